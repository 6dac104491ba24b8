"""Interpretability: what a trained model computes on the way to its answer, and which part of it matters.

A residual stream runs through the model, and every head and every network only adds to it. So an answer
can be taken apart into what each of them has added. Recording shows what a part does; replacing what it
does, and watching the answer, shows whether that matters.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding, pad
from torch.utils.hooks import RemovableHandle

from katas.k01_attention.attention import causal_mask
from katas.k02_multi_head.multi_head import split_heads
from katas.k05_model.model import TransformerLM

_EPS = 1e-5  # of the norms of katas 03 and 05


@contextmanager
def recording(model: TransformerLM, names: Collection[str] | None = None) -> Iterator[dict[str, Tensor]]:
    """Record what the parts of the model compute: `with recording(model) as record: model(ids)`.

    `record` is a dict, empty at first. Whenever the model is called inside the `with` block, it gets
    these entries, in place of those of an earlier call. Each has the shape (batch, seq, d_model), but
    for the weights; i is the number of a block and h that of a head, both counted from 0.

    - "token_embedding": the output of model.token_embedding
    - "embedding": the input of blocks.0, which is tokens plus positions
    - "blocks.i.attention.weights": (batch, heads, seq, seq), what attention_weights of kata 02 gives
      for the input of blocks.i.attention and the causal mask of kata 01
    - "blocks.i.attention.heads.h": what head h adds to the output of that attention, which is
      weights[:, h] @ value[:, h], through the columns of out_proj.weight that belong to the head,
      h · d_head … (h + 1) · d_head - 1; the bias of out_proj belongs to no head
    - "blocks.i.attention", "blocks.i.feedforward", "blocks.i": the output of that module

    With `names`, the record gets only the entries with these names.

    Inside the `with` block the model is in evaluation mode, and no gradients are recorded. When it
    ends, also by an error, every module is in the mode that it had, gradients are recorded as before,
    and no hook is left. The entries are copies: a model that goes on writing into its own tensors does
    not change them. A model under recording gives the logits that it gives otherwise. It must call its
    blocks, and a block its attention and its feedforward, as modules, x first: block(x, mask), not
    block.forward(x, mask), which runs no hooks.

    Raises ValueError naming each name that is not listed above, before the `with` block.
    Source: Elhage et al., A Mathematical Framework for Transformer Circuits (2021), for the stream and
    for heads that add to it independently.
    """
    raise NotImplementedError


def logit_lens(model: TransformerLM, record: Mapping[str, Tensor]) -> Float[Tensor, "depth batch seq vocab"]:
    """Return the logits that the model would give if it ended after each block.

    out[0] = lm_head(final_norm(record["embedding"])), as if there were no blocks
    out[i + 1] = lm_head(final_norm(record["blocks.i"])), after block i

    So depth is num_layers + 1, and the last entry is the output of the model. `record` is one of
    `recording`. The result requires no gradient.

    Source: nostalgebraist, interpreting GPT: the logit lens (2020).
    """
    raise NotImplementedError


def contributions(
    model: TransformerLM, record: Mapping[str, Tensor], tokens: Int[Tensor, "batch seq"]
) -> dict[str, Float[Tensor, "batch seq"]]:
    """Return how much each part of the model adds to the logits of these tokens.

    tokens[b, s] is the token whose logit at position s is taken apart: often the one that really comes
    next, ids[b, s + 1]. The parts add up to that logit. With u the row of lm_head.weight for the
    token, x the output of the last block at the position, and `part` one of the vectors of which x is
    the sum, that part adds

    Σ_k (part[k] - mean(part)) / √(var(x) + eps) · final_norm.weight[k] · u[k]

    where mean and var run over the features, var divides by their number, and eps is 1e-5. So the
    final norm is frozen: every part is divided by what the whole x is divided by. The parts are

    - "token_embedding", and "position_embedding", which is the rest of the embedding
    - "blocks.i.attention.heads.h", "blocks.i.attention.out_proj.bias" and "blocks.i.feedforward", for
      each block and each of its heads
    - "final_norm.bias", which adds Σ_k final_norm.bias[k] · u[k]

    A part that the model does not have, such as a bias, adds 0. `record` is one of `recording`. The
    results require no gradient.

    Raises ValueError naming norm_first if the model's blocks are post-norm, where x is not the sum of
    the parts, and IndexError if a token is outside 0 … vocab_size - 1.
    Source: Elhage et al., A Mathematical Framework for Transformer Circuits (2021), section "Virtual
    weights and the residual stream"; Wang et al., Interpretability in the Wild (2022), for the frozen
    norm.
    """
    raise NotImplementedError


def follows_score(
    weights: Float[Tensor, "batch heads seq seq"], ids: Int[Tensor, "batch seq"]
) -> Float[Tensor, "heads"]:
    """Return for each head how much attention goes to what followed the same token earlier.

    A query q counts if its token has occurred earlier in its row, at some j < q with ids[j] = ids[q].
    Its attention to what followed is Σ_j weights[q, j + 1], over all such j. The score of a head is the
    mean of that over all queries that count, in all rows: each query counts once. 1 is the most, and a
    head that attends evenly gets the chance level.

    Raises ValueError if no query counts.
    Source: Olsson et al., In-context Learning and Induction Heads (2022), section "Key concepts", there
    the prefix-matching score.
    """
    raise NotImplementedError


def patched(
    model: TransformerLM,
    ids: Int[Tensor, "batch seq"],
    replace: Mapping[str, Tensor],
    positions: Sequence[int] | None = None,
) -> Float[Tensor, "batch seq vocab"]:
    """Return the model's logits for ids in a run in which some parts compute something else.

    Each key of `replace` names an entry of `recording`, but not weights. At the given positions, and by
    default at all of them, what the model computes there is replaced by the value, and everything after
    that is computed from it; at other positions it stays. A value has the shape of the entry in this
    run, (batch, seq, d_model), or one that broadcasts to it: torch.zeros(()) silences a head. Only the
    given positions of a value are used.

    "blocks.i.attention.heads.h" is replaced within the output of blocks.i.attention: what the head adds
    is taken out, and the value is put in. Several heads of an attention may be replaced; if the
    attention is replaced as well, that decides. "embedding", the input of blocks.0, comes after
    "token_embedding".

    The model runs in evaluation mode, and no gradients are recorded. Afterwards, also after an error,
    every module is in the mode that it had, and no hook is left. A `recording` around the call records
    this run: whatever is computed after a replaced part is computed from the value.

    Raises ValueError naming each name that cannot be replaced, and ValueError naming each position
    outside 0 … seq - 1, negative ones too, and seq.
    Source: Vig et al., Investigating Gender Bias in Language Models Using Causal Mediation Analysis
    (2020); Meng et al., Locating and Editing Factual Associations in GPT (2022), section 2.1.
    """
    raise NotImplementedError


def patching_map(
    model: TransformerLM,
    clean: Int[Tensor, "batch seq"],
    corrupted: Int[Tensor, "batch seq"],
    metric: Callable[[Tensor], float],
) -> Float[Tensor, "depth seq"]:
    """Return how much of the answer comes back when one vector of the stream is restored.

    out[d, s] = (metric(restored) - metric(corrupted)) / (metric(clean) - metric(corrupted))

    where metric is given logits, of shape (batch, seq, vocab): those of the clean ids, those of the
    corrupted ids, and those of the corrupted ids in a run in which the stream at depth d and position s,
    in all rows, is replaced by that of the clean run. Depth 0 is "embedding", and depth i + 1 is
    "blocks.i", as in `logit_lens`. So 0 means that nothing has come back, and 1 everything; numbers
    below 0 and above 1 are possible.

    All runs are as in `patched`. The result has the dtype of the logits and their device, and requires
    no gradient.

    Raises ValueError naming the metric's value if it is the same for both inputs.
    Source: Meng et al., Locating and Editing Factual Associations in GPT (2022), section 2.1, there
    causal tracing.
    """
    raise NotImplementedError
