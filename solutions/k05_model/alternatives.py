"""Other correct ways to write this kata; its tests must accept every one."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from katas.k00_shapes.shapes import Linear
from katas.k01_attention.attention import causal_mask
from katas.k02_multi_head.multi_head import merge_heads, split_heads
from katas.k03_transformer_blocks.transformer_blocks import LayerNorm, TransformerBlock
from katas.k04_embeddings.embeddings import (
    LearnedPositionalEmbedding,
    TokenEmbedding,
    sinusoidal_positions,
)
from katas.k05_model.model import ModelConfig


class TransformerLM__pytorchs_modules(nn.Module):
    """Embeddings, norm and head from torch.nn, and a function that is applied to every module."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        learned = config.positions == "learned"
        self.position_embedding = nn.Embedding(config.block_size, config.d_model) if learned else None
        self.blocks = nn.ModuleList()
        for _ in range(config.num_layers):
            sizes = (config.d_model, config.num_heads, config.d_ff)
            options = {"dropout": config.dropout, "norm_first": config.norm_first, "bias": config.bias}
            self.blocks.append(TransformerBlock(*sizes, **options))
        self.final_norm = nn.LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.apply(self._draw)
        for block in self.blocks:
            for projection in (block.attention.out_proj, block.feedforward.down_proj):
                nn.init.normal_(projection.weight, 0.0, 0.02 * (2 * config.num_layers) ** -0.5)
        if config.tie_weights:
            self.token_embedding.weight = self.lm_head.weight

    def _draw(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding | nn.Linear | Linear):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
        if getattr(module, "bias", None) is not None:
            module.bias.data.zero_()

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        _, seq = ids.shape
        if seq > self.config.block_size:
            raise ValueError(f"seq {seq} exceeds block_size {self.config.block_size}")
        x = self.token_embedding(ids)
        if self.position_embedding is not None:
            x = x + self.position_embedding(torch.arange(seq, device=ids.device))[None]
        if self.config.positions == "sinusoidal":
            x = x + sinusoidal_positions(seq, x.shape[-1]).to(x)
        x = F.dropout(x, self.config.dropout, training=self.training)
        mask = torch.ones(seq, seq, dtype=torch.bool, device=ids.device).tril()
        for block in self.blocks:
            x = block(x, mask)
        return self.lm_head(self.final_norm(x))


class TransformerLM__head_first(nn.Module):
    """The head owns the tied weight; the mask is a buffer that is not saved."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.register_buffer("mask", causal_mask(config.block_size), persistent=False)
        self.lm_head = Linear(config.d_model, config.vocab_size, False)
        self.final_norm = LayerNorm(config.d_model, 1e-5, config.bias)
        self.blocks = nn.Sequential(
            *[
                TransformerBlock(
                    config.d_model,
                    config.num_heads,
                    config.d_ff,
                    config.dropout,
                    config.norm_first,
                    config.bias,
                )
                for _ in range(config.num_layers)
            ]
        )
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        if config.tie_weights:
            self.token_embedding.weight = self.lm_head.weight
        sizes = (config.block_size, config.d_model)
        self.register_module("position_embedding", None)
        self.register_buffer("sinusoids", None)
        match config.positions:
            case "learned":
                self.position_embedding = LearnedPositionalEmbedding(*sizes)
            case "sinusoidal":
                self.register_buffer("sinusoids", sinusoidal_positions(*sizes), persistent=False)
        self.drop = nn.Dropout(config.dropout)
        small = 0.02 / (2 * config.num_layers) ** 0.5
        with torch.no_grad():
            for name, parameter in reversed(list(self.named_parameters())):
                if "norm" in name or "bias" in name:
                    parameter.fill_(1.0 if name.endswith("weight") else 0.0)
                else:
                    narrow = "out_proj" in name or "down_proj" in name
                    parameter.copy_(torch.randn_like(parameter) * (small if narrow else 0.02))

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        seq = ids.size(1)
        if self.config.block_size < seq:
            raise ValueError(f"block_size={self.config.block_size} is less than seq={seq}")
        x = self.token_embedding(ids)
        if self.sinusoids is not None:
            x = self.sinusoids[:seq] + x
        elif self.position_embedding is not None:
            x = self.position_embedding(seq) + x
        x = self.drop(x)
        for block in self.blocks:
            x = block(x, self.mask[:seq, :seq])
        return F.linear(self.final_norm(x), self.lm_head.weight)


class TransformerLM__written_out(nn.Module):
    """Rows picked by index_select, and the blocks' parts called one by one."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = None
        if config.positions not in ("none", "sinusoidal"):
            self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        sizes = (
            config.d_model,
            config.num_heads,
            config.d_ff,
            config.dropout,
            config.norm_first,
            config.bias,
        )
        self.blocks = nn.ModuleList([TransformerBlock(*sizes) for _ in range(config.num_layers)])
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        for module in self.modules():
            own = dict(module.named_parameters(recurse=False))
            if "weight" in own and own["weight"].dim() == 2:
                nn.init.normal_(own["weight"], std=0.02)
            if "bias" in own:
                nn.init.zeros_(own["bias"])
        for block in self.blocks:
            block.attention.out_proj.weight.data.mul_((2 * config.num_layers) ** -0.5)
            block.feedforward.down_proj.weight.data.mul_((2 * config.num_layers) ** -0.5)
        if config.tie_weights:
            del self.lm_head.weight
            self.lm_head.register_parameter("weight", self.token_embedding.weight)

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        batch, seq = ids.shape
        if seq > self.config.block_size:
            raise ValueError(f"{seq} positions, but there are vectors for {self.config.block_size} only")
        x = self.token_embedding.weight.index_select(0, ids.flatten()).unflatten(0, (batch, seq))
        if self.config.positions == "learned":
            x = x + self.position_embedding.weight[:seq].expand(batch, -1, -1)
        if self.config.positions == "sinusoidal":
            x = x + sinusoidal_positions(self.config.block_size, x.shape[2], dtype=x.dtype).to(x.device)[:seq]
        x = self._dropped(x)
        mask = causal_mask(seq, seq, ids.device).expand(batch, seq, seq)
        for block in self.blocks:
            if self.config.norm_first:
                x = x + self._dropped(block.attention(block.attention_norm(x), mask))
                x = x + block.feedforward(block.feedforward_norm(x))
            else:
                x = block.attention_norm(x + self._dropped(block.attention(x, mask)))
                x = block.feedforward_norm(x + block.feedforward(x))
        return torch.einsum("bsm,vm->bsv", self.final_norm(x), self.lm_head.weight)

    def _dropped(self, x: Tensor) -> Tensor:
        p = self.config.dropout
        if not self.training or p == 0:
            return x
        return torch.where(torch.rand_like(x) < p, 0.0, x / (1 - p))


class TransformerLM__pytorchs_kernel(nn.Module):
    """PyTorch's fused causal attention between the projections of the blocks."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        table = (config.block_size, config.d_model)
        self.position_embedding = (
            LearnedPositionalEmbedding(*table) if config.positions == "learned" else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                d_model=config.d_model,
                num_heads=config.num_heads,
                d_ff=config.d_ff,
                dropout=config.dropout,
                norm_first=config.norm_first,
                bias=config.bias,
            )
            for _ in range(config.num_layers)
        )
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        into_stream = ("attention.out_proj.weight", "feedforward.down_proj.weight")
        for name, parameter in self.named_parameters(remove_duplicate=False):  # a tied one twice
            if parameter.dim() == 1:
                nn.init.constant_(parameter, float("norm.weight" in name))
            else:
                scale = math.sqrt(1 / (2 * config.num_layers)) if name.endswith(into_stream) else 1
                nn.init.normal_(parameter, std=0.02 * scale)

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        if ids.shape[1] > self.config.block_size:
            raise ValueError(f"{ids.shape[1]} > block_size {self.config.block_size}")
        x = self.dropout(self.token_embedding(ids) + self._positions(ids))
        for block in self.blocks:
            if block.norm_first:
                x = x + self._read(block.attention, block.attention_norm(x))
                x = x + block.feedforward(block.feedforward_norm(x))
            else:
                x = block.attention_norm(x + self._read(block.attention, x))
                x = block.feedforward_norm(x + block.feedforward(x))
        return self.lm_head(self.final_norm(x))

    def _positions(self, ids: Tensor) -> Tensor:
        if self.position_embedding is not None:
            return self.position_embedding(ids.shape[1])
        like, width = self.token_embedding.weight, self.config.d_model
        if self.config.positions == "none":
            return like.new_zeros(width)
        return sinusoidal_positions(ids.shape[1], width, dtype=like.dtype, device=like.device)

    def _read(self, layer: nn.Module, y: Tensor) -> Tensor:
        p = self.config.dropout if self.training else 0.0
        heads = [
            split_heads(projection(y), self.config.num_heads)
            for projection in (layer.query_proj, layer.key_proj, layer.value_proj)
        ]
        read = F.scaled_dot_product_attention(*heads, dropout_p=p, is_causal=True)
        return self.dropout(layer.out_proj(merge_heads(read)))


class TransformerLM__one_sequence_after_another(nn.Module):
    """Each sequence of the batch on its own, and the positions as ids of a second token table."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = None
        tables = [self.lm_head, self.token_embedding]
        if config.positions == "learned":
            self.position_embedding = TokenEmbedding(config.block_size, config.d_model)
            tables.append(self.position_embedding)
        self.blocks = nn.ModuleList()
        for _ in range(config.num_layers):
            sizes = (config.d_model, config.num_heads, config.d_ff)
            block = TransformerBlock(*sizes, config.dropout, config.norm_first)
            self.blocks.append(block)
        self.final_norm = LayerNorm(config.d_model)
        if not config.bias:
            for module in self.modules():
                if getattr(module, "bias", None) is not None and not isinstance(module, TransformerBlock):
                    module.bias = None
        for table in tables:
            torch.nn.init.normal_(table.weight, std=0.02)
        for block in self.blocks:
            for name, parameter in block.named_parameters():
                if name.endswith("bias"):
                    nn.init.zeros_(parameter)
                elif name.endswith("proj.weight"):
                    narrow = name.endswith(("out_proj.weight", "down_proj.weight"))
                    nn.init.normal_(parameter, std=0.02 / (2 * config.num_layers) ** (narrow / 2))
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        seq = ids.shape[1]
        if seq > self.config.block_size:
            raise ValueError(f"too long: {seq} > {self.config.block_size}")
        mask = causal_mask(seq, device=ids.device)
        logits = []
        for row in ids:
            x = self.token_embedding(row)
            if self.config.positions == "learned":
                x = x + self.position_embedding(torch.arange(seq, device=ids.device))
            elif self.config.positions != "none":
                x = x + sinusoidal_positions(seq, self.config.d_model, device=ids.device).type_as(x)
            x = F.dropout(x, self.config.dropout, self.training)
            for block in self.blocks:
                x = block(x, mask)
            logits.append(self.lm_head(self.final_norm(x)))
        return torch.stack(logits)


class TransformerLM__hugging_face(nn.Module):
    """The GPT-2 of Hugging Face computes the logits, with the parameters that this model holds.

    Its blocks are pre-norm; post-norm blocks are applied here.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = None
        if config.positions == "learned":
            self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        sizes = (
            config.d_model,
            config.num_heads,
            config.d_ff,
            config.dropout,
            config.norm_first,
            config.bias,
        )
        self.blocks = nn.ModuleList(TransformerBlock(*sizes) for _ in range(config.num_layers))
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "norm" not in name:
                nn.init.normal_(parameter, std=0.02)
        for block in self.blocks:
            nn.init.normal_(block.attention.out_proj.weight, std=0.02 / math.sqrt(2 * config.num_layers))
            nn.init.normal_(block.feedforward.down_proj.weight, std=0.02 / math.sqrt(2 * config.num_layers))

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        if ids.shape[1] > self.config.block_size:
            raise ValueError(f"{ids.shape[1]} tokens, block_size {self.config.block_size}")
        if not self.config.norm_first:
            x = self.token_embedding(ids) + self._positions()[: ids.shape[1]]
            x = F.dropout(x, self.config.dropout, self.training)
            for block in self.blocks:
                x = block(x, causal_mask(ids.shape[1], device=ids.device))
            return self.lm_head(self.final_norm(x))
        theirs = self._gpt2().to(ids.device).train(self.training)
        options = {"attention_mask": torch.ones_like(ids), "use_cache": False}  # no padding
        return functional_call(theirs, self._state(), (ids.long(),), options).logits

    def _positions(self) -> Tensor:
        like, sizes = self.token_embedding.weight, (self.config.block_size, self.config.d_model)
        if self.config.positions == "learned":
            return self.position_embedding.weight
        if self.config.positions == "none":
            return like.new_zeros(sizes)
        return sinusoidal_positions(*sizes, dtype=like.dtype, device=like.device)

    def _gpt2(self) -> nn.Module:
        from transformers import GPT2Config, GPT2LMHeadModel  # here, because it takes seconds

        sizes = GPT2Config(
            vocab_size=self.config.vocab_size,
            n_positions=self.config.block_size,
            n_embd=self.config.d_model,
            n_layer=self.config.num_layers,
            n_head=self.config.num_heads,
            n_inner=self.config.d_ff,
            activation_function="gelu",  # the exact one; GPT-2 was trained with the other form
            embd_pdrop=self.config.dropout,
            attn_pdrop=self.config.dropout,
            resid_pdrop=self.config.dropout,
            layer_norm_epsilon=1e-5,
            bos_token_id=None,
            eos_token_id=None,
            tie_word_embeddings=False,  # the state has both
            attn_implementation="eager",
        )
        with torch.random.fork_rng(devices=[]):
            return GPT2LMHeadModel(sizes)

    def _state(self) -> dict[str, Tensor]:
        state = {
            "transformer.wte.weight": self.token_embedding.weight,
            "transformer.wpe.weight": self._positions(),
            "lm_head.weight": self.lm_head.weight,
        }
        layers = {"transformer.ln_f": [self.final_norm]}
        for number, block in enumerate(self.blocks):
            attention, at = block.attention, f"transformer.h.{number}"
            layers[f"{at}.ln_1"] = [block.attention_norm]
            layers[f"{at}.attn.c_attn"] = [attention.query_proj, attention.key_proj, attention.value_proj]
            layers[f"{at}.attn.c_proj"] = [attention.out_proj]
            layers[f"{at}.ln_2"] = [block.feedforward_norm]
            layers[f"{at}.mlp.c_fc"] = [block.feedforward.up_proj]
            layers[f"{at}.mlp.c_proj"] = [block.feedforward.down_proj]
        for name, parts in layers.items():
            weight = torch.cat([part.weight for part in parts])
            state[f"{name}.weight"] = weight.mT if weight.dim() == 2 else weight  # theirs are (in, out)
            biases = [
                part.weight.new_zeros(len(part.weight)) if part.bias is None else part.bias for part in parts
            ]
            state[f"{name}.bias"] = torch.cat(biases)
        return state


def count_parameters__set_of_parameters(model: nn.Module, include_embeddings: bool = True) -> int:
    """A set: parameters are told apart by identity."""
    parameters = {parameter for module in model.modules() for parameter in module.parameters()}
    if not include_embeddings:
        parameters -= {model.token_embedding.weight, getattr(model.position_embedding, "weight", None)}
    return sum(parameter.numel() for parameter in parameters)


def count_parameters__by_name(model: nn.Module, include_embeddings: bool = True) -> int:
    """By the names; a tied head that comes by its own name is left out for being the table."""
    total = 0
    for name, parameter in model.named_parameters():
        in_tables = "embedding" in name
        if name == "lm_head.weight" and hasattr(model, "token_embedding"):
            in_tables = parameter is model.token_embedding.weight
        if include_embeddings or not in_tables:
            total += math.prod(parameter.shape)
    return total


def count_parameters__by_class(model: nn.Module, include_embeddings: bool = True) -> int:
    """The tables found by their classes, wherever in the model they are."""
    tables = set()
    for module in model.modules():
        if isinstance(module, TokenEmbedding | LearnedPositionalEmbedding):
            tables.add(id(module.weight))
    return sum(p.numel() for p in model.parameters() if include_embeddings or id(p) not in tables)


def count_parameters__by_identity(model: nn.Module, include_embeddings: bool = True) -> int:
    """Walks through all places, remembers what it has met, and takes off the tables at the end."""
    sizes = {id(p): p.numel() for _, p in model.named_parameters(remove_duplicate=False)}
    if not include_embeddings:
        for table in filter(None, (model.token_embedding, model.position_embedding)):
            del sizes[id(table.weight)]
    return sum(sizes.values())


def count_parameters__vectors(model: nn.Module, include_embeddings: bool = True) -> int:
    """The length of all parameters laid end to end."""
    left_out = [] if include_embeddings else [model.token_embedding]
    if left_out and model.position_embedding is not None:
        left_out.append(model.position_embedding)
    tables = sum(nn.utils.parameters_to_vector(table.parameters()).numel() for table in left_out)
    parameters = list(model.parameters())
    return (nn.utils.parameters_to_vector(parameters).numel() if parameters else 0) - tables
