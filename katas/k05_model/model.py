"""The language model: embeddings, a stack of blocks, and scores for the next token.

You have built every part already. A token becomes a vector, its position is added, and the blocks
write into these vectors, one block after the other; the result at a position is compared with every
token of the vocabulary. That gives a score, a logit, for each token that may come next.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import math
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from katas.k00_shapes.shapes import Linear
from katas.k01_attention.attention import causal_mask
from katas.k03_transformer_blocks.transformer_blocks import LayerNorm, TransformerBlock
from katas.k04_embeddings.embeddings import (
    LearnedPositionalEmbedding,
    TokenEmbedding,
    sinusoidal_positions,
)


@dataclass(frozen=True)
class ModelConfig:  # given
    """The sizes of a model, and what its parts have in common. Invalid values raise ValueError."""

    vocab_size: int | None  # how many tokens there are to choose from; None: as many as the tokenizer has
    block_size: int  # the longest sequence that the model reads, in tokens
    d_model: int = 128  # the width of the residual stream
    num_heads: int = 4  # heads in each block's attention; they divide d_model among them
    num_layers: int = 4  # blocks
    d_ff: int | None = None  # the width inside the feed-forward networks; 4 · d_model if left out
    dropout: float = 0.0  # the share dropped in training, from 0 to below 1
    bias: bool = True  # whether the linear maps and the norms in the blocks, and the final norm, have one
    tie_weights: bool = True  # whether the head shares its weight with the token embedding
    positions: str = "learned"  # how a token's place gets into its vector: learned, sinusoidal or none
    norm_first: bool = True  # whether the blocks are pre-norm, as in GPT-2, or post-norm, as in 2017

    def __post_init__(self) -> None:
        if self.d_ff is None:
            object.__setattr__(self, "d_ff", 4 * self.d_model)  # the dataclass is frozen
        for name in ("vocab_size", "block_size", "d_model", "num_heads", "num_layers", "d_ff"):
            value = getattr(self, name)
            if name == "vocab_size" and value is None:
                continue  # the tokenizer is not chosen yet; a configuration can wait for it, a model cannot
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        if self.d_model % self.num_heads != 0:
            raise ValueError(f"d_model = {self.d_model} cannot be divided among num_heads = {self.num_heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and less than 1, not {self.dropout}")
        if self.positions not in ("learned", "sinusoidal", "none"):
            raise ValueError(f"positions must be learned, sinusoidal or none, not {self.positions!r}")
        if self.positions == "sinusoidal" and self.d_model % 2 != 0:
            raise ValueError(f"sinusoidal positions need an even d_model, not {self.d_model}")


class TransformerLM(nn.Module):
    """A language model: reads ids, and scores at every position which token comes next.

    x = token_embedding(ids) + positions
    x = block(x), for every block in turn, each position reading itself and the earlier ones
    logits = lm_head(final_norm(x))

    `config.positions` chooses what is added to the tokens. "learned": the first rows of a table;
    "sinusoidal": `sinusoidal_positions` of kata 04, unscaled; "none": nothing, so that only the
    causal mask tells the order. `config.norm_first` chooses pre-norm or post-norm for all blocks;
    final_norm is there in both cases. With `bias` false, no linear map and no norm has a bias.

    Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019), section 2.3,
    for the defaults; Vaswani et al., Attention Is All You Need (2017), section 3.5, for sinusoids;
    Haviv et al., Transformer Language Models without Positional Encodings Still Learn Positional
    Information (2022), for none; Xiong et al., On Layer Normalization in the Transformer
    Architecture (2020), for the place of the norms.
    """

    def __init__(self, config: ModelConfig):
        """Create the model that `config` describes, and keep it as the attribute `config`.

        The parts are `token_embedding` (TokenEmbedding), `position_embedding`
        (LearnedPositionalEmbedding with "learned" positions, None with others), `blocks`
        (TransformerBlock, num_layers of them, called blocks.0, blocks.1, … in the state dict),
        `final_norm` (LayerNorm) and `lm_head` (Linear, never with a bias). The state dict holds
        their parameters and nothing else. With `tie_weights` the weight of lm_head is the very
        Parameter that token_embedding.weight is.

        The parameters are drawn on PyTorch's global generator, which torch.manual_seed sets:

        - weights of linear maps and of embeddings from N(0, 0.02), where 0.02 is the standard
          deviation, also in a tied head;
        - but attention.out_proj.weight and feedforward.down_proj.weight, which write into the
          residual stream, from N(0, 0.02 / √(2 · num_layers));
        - weights of norms are 1, and biases 0.

        Source: Radford et al., Improving Language Understanding by Generative Pre-Training (2018),
        section 4.1, for 0.02; Radford et al. (2019), section 2.3, for the smaller ones; Press and
        Wolf, Using the Output Embedding to Improve Language Models (2017), for the tied head.
        """
        raise NotImplementedError

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        """Return at every position a logit for each token of the vocabulary, as the next one.

        The formulas are those of the class. A softmax over the last axis would make probabilities
        of the logits; it is left to the loss, which can do it more precisely.

        Position s reads the ids 0 … s of its own sequence, and no later ones. In training every
        entry of the sum of tokens and positions is set to zero with probability `dropout` before
        the first block, and the others are divided by 1 - dropout; the blocks drop as
        `TransformerBlock` says. In evaluation nothing is dropped.

        Sinusoids have the dtype and the device of the token embeddings.

        Raises ValueError naming seq and block_size if the sequence is longer than block_size,
        whatever the positions are, and IndexError if an id is outside 0 … vocab_size - 1.
        Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019), section
        2.3; Radford et al., Improving Language Understanding by Generative Pre-Training (2018),
        section 4.1, for dropout on the embeddings.
        """
        raise NotImplementedError


def count_parameters(model: nn.Module, include_embeddings: bool = True) -> int:
    """Return how many numbers the parameters of the model hold.

    A parameter that occurs in several places counts once; one that is not trained counts as well;
    a buffer does not. `model` may be any module.

    With include_embeddings=False it must be a TransformerLM: its tables, token_embedding and (if
    there is one) position_embedding, are then left out, and the head with them if its weight is
    tied to the table. An untied head counts.
    """
    raise NotImplementedError
