# %% applied-to-torchs-own-classes
# idiom = "nanoGPT"
# slips = ["not-drawn-again"]
# wrong = "The function that draws asks for nn.Linear and nn.Embedding, which no module here is: nothing is drawn."
import torch


class TransformerLM:
    def _draw_parameters(self):
        self.apply(self._init_weights)
        for pn, p in self.named_parameters():
            if pn.endswith("c_proj.weight"):
                torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * self.config.num_layers))

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)


# %% applied-without-biases
# idiom = "minGPT"
# slips = ["biases-left-as-they-were"]
# wrong = "The weights are drawn, the biases of the linear maps stay as they were."
class TransformerLM:
    def _draw_parameters(self):
        self.apply(init_weights)
        for name, p in self.named_parameters():
            if "out_proj.weight" in name or "down_proj.weight" in name:
                nn.init.normal_(p, 0.0, 0.02 / math.sqrt(2 * self.config.num_layers))


def init_weights(module):
    if isinstance(module, (Linear, TokenEmbedding, LearnedPositionalEmbedding)):
        module.weight.data.normal_(mean=0.0, std=0.02)


# %% scaled-by-the-layers
# idiom = "nanoGPT"
# slips = ["one-write-per-block"]
# wrong = "The factor is 1/√num_layers; each block writes to the stream twice."
class TransformerLM:
    def _draw_parameters(self):
        for m in self.modules():
            if hasattr(m, "weight") and m.weight.ndim == 2:
                nn.init.normal_(m.weight, std=0.02)
                if getattr(m, "bias", None) is not None:
                    nn.init.constant_(m.bias, 0.0)
        for block in self.blocks:
            for proj in (block.attention.out_proj, block.feedforward.down_proj):
                proj.weight.data.mul_(self.config.num_layers**-0.5)


# %% head-of-its-own
# idiom = "rasbt"
# slips = ["never-tied"]
# wrong = "The head always has a weight of its own."
class TransformerLM:
    def __init__(self, config):
        super().__init__()
        if config.vocab_size is None:
            raise ValueError("vocab_size must be given, not None")
        self.config = cfg = config
        self.token_embedding = TokenEmbedding(cfg.vocab_size, cfg.d_model)
        self.position_embedding = LearnedPositionalEmbedding(cfg.block_size, cfg.d_model)
        self.dropout = nn.Dropout(cfg.dropout)
        self.blocks = nn.ModuleList(
            [
                TransformerBlock(cfg.d_model, cfg.num_heads, cfg.d_ff, cfg.dropout, bias=cfg.bias)
                for _ in range(cfg.num_layers)
            ]
        )
        self.final_norm = LayerNorm(cfg.d_model, bias=cfg.bias)
        self.lm_head = Linear(cfg.d_model, cfg.vocab_size, bias=False)
        self._draw_parameters()


# %% blocks-by-add-module
# idiom = "d2l"
# wrong = "The blocks are called blocks.block0, blocks.block1 … in the state dict."
class TransformerLM:
    def __init__(self, config):
        super().__init__()
        if config.vocab_size is None:
            raise ValueError("vocab_size is None")
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.Sequential()
        for i in range(config.num_layers):
            block = TransformerBlock(
                config.d_model, config.num_heads, config.d_ff, config.dropout, bias=config.bias
            )
            self.blocks.add_module("block" + str(i), block)
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()


# %% one-layer-in-a-list
# idiom = "annotated transformer"
# slips = ["one-block-many-times"]
# wrong = "The list is multiplied, so all of its entries are the same block."
class TransformerLM:
    def __init__(self, config):
        super().__init__()
        if config.vocab_size is None:
            raise ValueError("vocab_size is None")
        self.config = config
        N, c = config.num_layers, config
        self.token_embedding = TokenEmbedding(c.vocab_size, c.d_model)
        self.position_embedding = LearnedPositionalEmbedding(c.block_size, c.d_model)
        self.dropout = nn.Dropout(c.dropout)
        layer = TransformerBlock(c.d_model, c.num_heads, c.d_ff, dropout=c.dropout, bias=c.bias)
        self.blocks = clones(layer, N)
        self.final_norm = LayerNorm(c.d_model, bias=c.bias)
        self.lm_head = Linear(c.d_model, c.vocab_size, bias=False)
        if c.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()


def clones(module, n):
    return nn.ModuleList([module] * n)


# %% triangle-as-a-buffer
# idiom = "karpathy's lectures"
# slips = ["mask-in-the-state-dict", "triangle-in-the-state-dict", "mask-called-bias-in-the-state-dict"]
# wrong = "The mask is a persistent buffer, so it is in the state dict."
import torch


class TransformerLM:
    def __init__(self, config):
        super().__init__()
        if config.vocab_size is None:
            raise ValueError("vocab_size is None")
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        self.register_buffer("tril", torch.tril(torch.ones(config.block_size, config.block_size)))
        self.dropout = nn.Dropout(config.dropout)
        blocks = [
            TransformerBlock(config.d_model, config.num_heads, config.d_ff, config.dropout, bias=config.bias)
            for _ in range(config.num_layers)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()

    def forward(self, ids):
        B, T = ids.shape
        if T > self.config.block_size:
            raise ValueError(f"{T} tokens, block_size {self.config.block_size}")
        x = self.dropout(self.token_embedding(ids) + self.position_embedding(T))
        for block in self.blocks:
            x = block(x, self.tril[:T, :T] == 1)
        return self.lm_head(self.final_norm(x))


# %% only-the-last-in-evaluation
# idiom = "nanoGPT"
# slips = ["last-position-in-evaluation"]
# wrong = "In evaluation only the last position gets logits."
class TransformerLM:
    def forward(self, ids):
        b, t = ids.size()
        if t > self.config.block_size:
            raise ValueError(f"Cannot forward sequence of length {t}, block size is {self.config.block_size}")
        x = self.dropout(self.token_embedding(ids) + self.position_embedding(t))
        for block in self.blocks:
            x = block(x, causal_mask(t, device=ids.device))
        x = self.final_norm(x)
        if self.training:
            return self.lm_head(x)
        return self.lm_head(x[:, [-1], :])


# %% asserted-to-fit
# idiom = "minGPT"
# wrong = "Too long a sequence is an AssertionError, not a ValueError."
class TransformerLM:
    def forward(self, ids):
        device = ids.device
        b, t = ids.size()
        assert t <= self.config.block_size, f"length {t} exceeds block size {self.config.block_size}"
        x = self.token_embedding(ids)
        if self.position_embedding is not None:
            x = x + self.position_embedding(t)
        elif self.config.positions == "sinusoidal":
            x = x + sinusoidal_positions(t, self.config.d_model, dtype=x.dtype, device=x.device)
        x = self.dropout(x)
        mask = causal_mask(t, t, device)
        for block in self.blocks:
            x = block(x, mask)
        return self.lm_head(self.final_norm(x))


# %% embeddings-times-the-root
# idiom = "annotated transformer"
# slips = ["embeddings-scaled"]
# wrong = "The token embeddings are multiplied by √d_model."
class TransformerLM:
    def forward(self, ids):
        return self.lm_head(self.decode(self.embed(ids), causal_mask(ids.size(1), device=ids.device)))

    def embed(self, ids):
        if ids.size(1) > self.config.block_size:
            raise ValueError(f"{ids.size(1)} > {self.config.block_size}")
        lut = self.token_embedding(ids) * math.sqrt(self.config.d_model)
        return self.dropout(lut + self.position_embedding(ids.size(1)))

    def decode(self, x, mask):
        for layer in self.blocks:
            x = layer(x, mask)
        return self.final_norm(x)


# %% a-generator-with-log-softmax
# idiom = "annotated transformer"
# slips = ["log-softmax-in-forward"]
# wrong = "Logarithms of probabilities are returned, not logits."
from torch.nn.functional import log_softmax


class TransformerLM:
    def forward(self, ids):
        if ids.size(1) > self.config.block_size:
            raise ValueError(f"{ids.size(1)} > {self.config.block_size}")
        x = self.dropout(self.token_embedding(ids) + self.position_embedding(ids.size(1)))
        for layer in self.blocks:
            x = layer(x, causal_mask(ids.size(1), device=ids.device))
        return log_softmax(self.lm_head(self.final_norm(x)), dim=-1)


# %% dropped-before-the-positions
# idiom = "labml"
# slips = ["only-tokens-dropped"]
# wrong = "The token embeddings are dropped before the positions are added."
class TransformerLM:
    def forward(self, ids):
        seq_len = ids.shape[-1]
        if seq_len > self.config.block_size:
            raise ValueError(f"{seq_len} > {self.config.block_size}")
        x = self.dropout(self.token_embedding(ids))
        x = x + self.position_embedding(seq_len)
        mask = causal_mask(seq_len, device=ids.device)
        for layer in self.blocks:
            x = layer(x=x, mask=mask)
        return self.lm_head(self.final_norm(x))


# %% without-the-position-table
# idiom = "nanoGPT"
# slips = ["tokens-counted", "missing-table-counted"]
# wrong = "Two mistakes: Without embeddings only the position table is left out; the token table still counts. And it expects a position table in every model."
def count_parameters(model, include_embeddings=True):
    n_params = sum(p.numel() for p in model.parameters())
    if not include_embeddings:
        n_params -= model.position_embedding.weight.numel()
    return n_params


# %% minus-the-output-layer
# idiom = "rasbt"
# slips = ["head-always-left-out", "head-and-table-subtracted"]
# wrong = "The head is taken off as well as the tables, whether it is tied or not."
def count_parameters(model, include_embeddings=True):
    total_params = sum(p.numel() for p in model.parameters())
    if include_embeddings:
        return total_params
    layers = (model.token_embedding, model.position_embedding, model.lm_head)
    return total_params - sum(p.numel() for layer in layers if layer for p in layer.parameters())


# %% summed-over-the-modules
# idiom = "minGPT"
# slips = ["tied-counted-twice", "counted-module-by-module"]
# wrong = "The parameters of each module are added up, so a tied weight counts twice."
def count_parameters(model, include_embeddings=True):
    n_params = 0
    for name, module in model.named_modules():
        if include_embeddings or name not in ("token_embedding", "position_embedding", "lm_head"):
            n_params += sum(p.numel() for p in module.parameters(recurse=False))
    return n_params


# %% mask-without-a-device
# idiom = "CS336 students"
# slips = ["mask-on-the-cpu"]
# wrong = "The mask is made on the default device."
import torch


class TransformerLM:
    def forward(self, ids):
        _, seq_len = ids.shape
        if seq_len > self.config.block_size:
            raise ValueError(f"seq_len {seq_len} is larger than context_length {self.config.block_size}")
        mask = torch.tril(torch.ones(seq_len, seq_len, dtype=torch.bool))
        x = self.token_embedding(ids)
        if self.position_embedding is not None:
            x = x + self.position_embedding(seq_len)
        elif self.config.positions == "sinusoidal":
            x = x + sinusoidal_positions(seq_len, self.config.d_model, dtype=x.dtype, device=x.device)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, mask=mask)
        return self.lm_head(self.final_norm(x))


# %% cropped-to-the-context
# idiom = "karpathy's lectures"
# slips = ["long-sequences-cut"]
# wrong = "Too long a sequence is cut to its last block_size tokens."
class TransformerLM:
    def forward(self, ids):
        idx_cond = ids[:, -self.config.block_size :]
        B, T = idx_cond.shape
        x = self.token_embedding(idx_cond)
        if self.position_embedding is not None:
            x = x + self.position_embedding(T)
        elif self.config.positions == "sinusoidal":
            x = x + sinusoidal_positions(T, self.config.d_model, dtype=x.dtype, device=x.device)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, causal_mask(T, device=ids.device))
        return self.lm_head(self.final_norm(x))


# %% probabilities-without-a-norm
# idiom = "CS336 students"
# slips = ["no-final-norm", "softmax-in-forward"]
# wrong = "Two mistakes: the final norm is left out, and probabilities are returned."
class TransformerLM:
    def forward(self, ids):
        seq_len = ids.shape[1]
        if seq_len > self.config.block_size:
            raise ValueError(f"{seq_len} > {self.config.block_size}")
        out = self.dropout(self.token_embedding(ids) + self.position_embedding(seq_len))
        for block in self.blocks:
            out = block(out, causal_mask(seq_len, device=ids.device))
        return self.lm_head(out).softmax(dim=-1)


# %% unmasked-and-undropped
# idiom = "rasbt"
# slips = ["mask-forgotten", "embeddings-not-dropped"]
# wrong = "Two mistakes: the blocks get no mask, and the embeddings are not dropped."
class TransformerLM:
    def forward(self, ids):
        batch_size, seq_len = ids.shape
        if seq_len > self.config.block_size:
            raise ValueError(f"{seq_len} > {self.config.block_size}")
        tok_embeds = self.token_embedding(ids)
        pos_embeds = self.position_embedding(seq_len)
        x = tok_embeds + pos_embeds
        for trf_block in self.blocks:
            x = trf_block(x)
        x = self.final_norm(x)
        logits = self.lm_head(x)
        return logits


# %% right-by-modules
# idiom = "nanoGPT"
import torch


class TransformerLM:
    def _draw_parameters(self):
        self.apply(self._init_weights)
        for pn, p in self.named_parameters():
            if pn.endswith("out_proj.weight") or pn.endswith("down_proj.weight"):
                torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * self.config.num_layers))

    def _init_weights(self, module):
        if isinstance(module, Linear):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        elif isinstance(module, (TokenEmbedding, LearnedPositionalEmbedding)):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, ids):
        device = ids.device
        b, t = ids.size()
        if t > self.config.block_size:
            raise ValueError(f"Cannot forward sequence of length {t}, block size is {self.config.block_size}")
        tok_emb = self.token_embedding(ids)  # (b, t, n_embd)
        if self.config.positions == "learned":
            pos_emb = self.position_embedding(t)  # (t, n_embd)
        elif self.config.positions == "sinusoidal":
            pos_emb = sinusoidal_positions(t, self.config.d_model, device=device).to(tok_emb.dtype)
        else:
            pos_emb = 0
        x = self.dropout(tok_emb + pos_emb)
        for block in self.blocks:
            x = block(x, causal_mask(t, device=device))
        return self.lm_head(self.final_norm(x))


# %% right-buffer-not-saved
# idiom = "labml"
import torch


class TransformerLM:
    def __init__(self, config):
        super().__init__()
        if config.vocab_size is None:
            raise ValueError("vocab_size=None: give a number")
        n, bias = config.d_model, config.bias
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, n)
        self.position_embedding = None
        pe = None
        if config.positions == "learned":
            self.position_embedding = LearnedPositionalEmbedding(config.block_size, n)
        elif config.positions == "sinusoidal":
            pe = sinusoidal_positions(config.block_size, n)
        self.register_buffer("pe", pe, persistent=False)
        size = (config.block_size, config.block_size)
        self.register_buffer("mask", torch.ones(size, dtype=torch.bool).tril(), persistent=False)
        layers = []
        for _ in range(config.num_layers):
            layers.append(
                TransformerBlock(n, config.num_heads, config.d_ff, config.dropout, config.norm_first, bias)
            )
        self.blocks = nn.ModuleList(layers)
        self.final_norm = LayerNorm(n, bias=bias)
        self.lm_head = Linear(n, config.vocab_size, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()

    def forward(self, ids):
        t = ids.shape[1]
        if t > len(self.mask):
            raise ValueError(f"seq_len {t}, but block_size {len(self.mask)}")
        x = self.token_embedding(ids)
        if self.pe is not None:
            x = x + self.pe[:t]
        elif self.position_embedding is not None:
            x = x + self.position_embedding(t)
        x = self.dropout(x)
        for layer in self.blocks:
            x = layer(x, mask=self.mask[:t, :t])
        return self.lm_head(self.final_norm(x))


# %% right-by-identity
# idiom = "minGPT"
def count_parameters(model, include_embeddings=True):
    unique = {id(p): p for p in model.parameters()}
    if not include_embeddings:
        for table in (model.token_embedding, model.position_embedding):
            if table is not None:
                unique.pop(id(table.weight), None)
    return sum(p.numel() for p in unique.values())


# %% apply-meets-only-torchs-classes
# idiom = "nanoGPT"
# slips = ["not-drawn-again-and-tied-to-the-head", "biases-left-as-they-were"]
# wrong = "isinstance(module, nn.Linear) never meets the katas' own classes, so nothing is drawn again."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            [
                TransformerBlock(
                    config.d_model, config.num_heads, config.d_ff, config.dropout, bias=config.bias
                )
                for _ in range(config.num_layers)
            ]
        )
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.token_embedding.weight = self.lm_head.weight
        # init all weights
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)


# %% apply-and-then-the-projections
# idiom = "nanoGPT"
# slips = ["biases-left-as-they-were", "drawn-by-torchs-classes"]
# wrong = "isinstance never meets the katas' own classes, so only out_proj and down_proj are drawn again."
class TransformerLM(nn.Module):
    def _draw_parameters(self):
        self.apply(self._init_weights)
        # apply special scaled init to the residual projections, per GPT-2 paper
        for pn, p in self.named_parameters():
            if pn.endswith("out_proj.weight") or pn.endswith("down_proj.weight"):
                nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * self.config.num_layers))

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            module.weight.data.normal_(mean=0.0, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.data.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.bias.data.zero_()
            module.weight.data.fill_(1.0)


# %% residual-projections-by-the-layers
# idiom = "minGPT"
# slips = ["one-write-per-block"]
# wrong = "The projections into the stream are divided by the root of num_layers, without the 2."
class TransformerLM(nn.Module):
    def _draw_parameters(self):
        self.apply(self._init_weights)
        for pn, p in self.named_parameters():
            if pn.endswith("out_proj.weight") or pn.endswith("down_proj.weight"):
                torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(self.config.num_layers))

    def _init_weights(self, module):
        if isinstance(module, Linear):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        elif isinstance(module, (TokenEmbedding, LearnedPositionalEmbedding)):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
        elif isinstance(module, LayerNorm):
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
            torch.nn.init.ones_(module.weight)


import torch


# %% initializer-range-for-everything
# idiom = "Hugging Face"
# slips = ["stream-like-the-rest"]
# wrong = "The projections into the stream start as large as everything else."
class TransformerLM(nn.Module):
    def _draw_parameters(self):
        initializer_range = 0.02
        for module in self.modules():
            if isinstance(module, (Linear, TokenEmbedding, LearnedPositionalEmbedding)):
                module.weight.data.normal_(mean=0.0, std=initializer_range)
            if getattr(module, "bias", None) is not None:
                module.bias.data.zero_()


# %% glorot-for-all-matrices
# idiom = "annotated transformer"
# slips = [
#     "glorot-for-all",
#     "glorot-and-no-biases",
#     "glorot-cut-off-and-no-biases",
#     "biases-left-as-they-were",
# ]
# wrong = "All matrices are drawn by Glorot's rule, and biases stay as they were."
class TransformerLM(nn.Module):
    def _draw_parameters(self):
        # Initialize parameters with Glorot / fan_avg.
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)


# %% truncated-by-the-fans
# idiom = "CS336 students"
# slips = [
#     "glorot-for-all",
#     "glorot-and-no-biases",
#     "glorot-cut-off-and-no-biases",
# ]
# wrong = "The standard deviation of a matrix comes from its sizes, and is not 0.02."
class TransformerLM(nn.Module):
    def _draw_parameters(self):
        for name, p in self.named_parameters():
            if p.dim() == 2:
                std = (2 / (p.shape[0] + p.shape[1])) ** 0.5
                nn.init.trunc_normal_(p, mean=0.0, std=std, a=-3 * std, b=3 * std)
            elif "bias" in name:
                nn.init.zeros_(p)


# %% head-of-its-own-again
# idiom = "rasbt"
# slips = ["never-tied", "tied-by-copy"]
# wrong = "tie_weights is not looked at: the head always has a weight of its own."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        cfg = config
        self.token_embedding = TokenEmbedding(cfg.vocab_size, cfg.d_model)
        self.position_embedding = LearnedPositionalEmbedding(cfg.block_size, cfg.d_model)
        self.drop_emb = nn.Dropout(cfg.dropout)
        self.blocks = nn.Sequential(
            *[
                TransformerBlock(cfg.d_model, cfg.num_heads, cfg.d_ff, cfg.dropout, bias=cfg.bias)
                for _ in range(cfg.num_layers)
            ]
        )
        self.final_norm = LayerNorm(cfg.d_model, bias=cfg.bias)
        self.lm_head = Linear(cfg.d_model, cfg.vocab_size, bias=False)
        self._draw_parameters()

    def forward(self, ids):
        batch_size, seq_len = ids.shape
        if seq_len > self.config.block_size:
            raise ValueError(f"{seq_len} > {self.config.block_size}")
        x = self.drop_emb(self.token_embedding(ids) + self.position_embedding(seq_len))
        mask = causal_mask(seq_len, device=ids.device)
        for blk in self.blocks:
            x = blk(x, mask)
        return self.lm_head(self.final_norm(x))


# %% weight-copied-with-data
# idiom = "CS336 students"
# slips = ["tied-by-copy", "never-tied", "tied-by-its-data"]
# wrong = "The values are copied, so the head has a weight of its own."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config.vocab_size is None:
            raise ValueError(f"vocab_size must be set, got {config.vocab_size}")
        self.config = config
        d, n = config.d_model, config.num_layers
        self.token_embedding = TokenEmbedding(config.vocab_size, d)
        self.position_embedding = LearnedPositionalEmbedding(config.block_size, d)
        self.dropout = nn.Dropout(config.dropout)
        layers = []
        for _ in range(n):
            layers.append(
                TransformerBlock(d, config.num_heads, config.d_ff, config.dropout, bias=config.bias)
            )
        self.blocks = nn.ModuleList(layers)
        self.final_norm = LayerNorm(d, bias=config.bias)
        self.lm_head = Linear(d, config.vocab_size, bias=False)
        self._draw_parameters()
        if config.tie_weights:
            self.lm_head.weight.data.copy_(self.token_embedding.weight.data)


# %% sequential-without-a-mask
# idiom = "ng-video-lecture"
# slips = ["mask-forgotten"]
# wrong = "A Sequential hands each block nothing but x, so there is no mask."
class TransformerLM(nn.Module):
    def forward(self, ids):
        B, T = ids.shape
        if T > self.config.block_size:
            raise ValueError(f"T = {T} is more than block_size = {self.config.block_size}")
        tok_emb = self.token_embedding(ids)
        pos_emb = self.position_embedding(T)
        x = self.dropout(tok_emb + pos_emb)
        x = nn.Sequential(*self.blocks)(x)
        x = self.final_norm(x)
        return self.lm_head(x)


# %% sequence-length-asserted
# idiom = "nanoGPT"
# wrong = "The length is asserted, so a sequence too long raises an AssertionError instead of a ValueError."
class TransformerLM(nn.Module):
    def forward(self, ids):
        b, t = ids.size()
        block_size = self.config.block_size
        assert t <= block_size, f"Cannot forward sequence of length {t}, block size is only {block_size}"
        x = self.token_embedding(ids)
        if self.position_embedding is not None:
            x = x + self.position_embedding(t)
        elif self.config.positions == "sinusoidal":
            x = x + sinusoidal_positions(t, self.config.d_model, dtype=x.dtype, device=x.device)
        x = self.dropout(x)
        mask = causal_mask(t, device=ids.device)
        for block in self.blocks:
            x = block(x, mask)
        x = self.final_norm(x)
        return self.lm_head(x)


# %% head-on-the-very-last-position
# idiom = "nanoGPT"
# slips = ["last-position-only", "last-position-with-its-axis"]
# wrong = "Only the logits of the last position are computed; the axis is kept."
class TransformerLM(nn.Module):
    def forward(self, ids):
        b, t = ids.size()
        if t > self.config.block_size:
            raise ValueError(f"sequence of length {t}, block size is only {self.config.block_size}")
        x = self.dropout(self.token_embedding(ids) + self.position_embedding(t))
        mask = causal_mask(t, device=ids.device)
        for block in self.blocks:
            x = block(x, mask)
        x = self.final_norm(x)
        # inference-time mini-optimization: only forward the lm_head on the very last position
        return self.lm_head(x[:, [-1], :])  # note: using list [-1] to preserve the time dim


# %% true-means-hidden
# idiom = "rasbt"
# slips = ["mask-inverted"]
# wrong = "The mask is True above the diagonal, as in PyTorch's MultiheadAttention; here True means visible."
class TransformerLM(nn.Module):
    def forward(self, ids):
        _, num_tokens = ids.shape
        if num_tokens > self.config.block_size:
            raise ValueError(f"{num_tokens} tokens, context_length {self.config.block_size}")
        x = self.dropout(self.token_embedding(ids) + self.position_embedding(num_tokens))
        ones = torch.ones(num_tokens, num_tokens, device=ids.device)
        mask = torch.triu(ones, diagonal=1).bool()
        for block in self.blocks:
            x = block(x, mask)
        return self.lm_head(self.final_norm(x))


import torch


# %% tril-as-a-saved-buffer
# idiom = "minGPT"
# slips = ["mask-in-the-state-dict", "triangle-in-the-state-dict", "mask-called-bias-in-the-state-dict"]
# wrong = "The mask is a buffer that is saved, so the state dict has an entry that is no parameter."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config.vocab_size is None:
            raise ValueError("config.vocab_size is None")
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        self.drop = nn.Dropout(config.dropout)
        tril = torch.tril(torch.ones(config.block_size, config.block_size)).bool()
        self.register_buffer("bias", tril)
        self.blocks = nn.ModuleList()
        for _ in range(config.num_layers):
            block = TransformerBlock(
                config.d_model, config.num_heads, config.d_ff, dropout=config.dropout, bias=config.bias
            )
            self.blocks.append(block)
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()

    def forward(self, ids):
        t = ids.size(1)
        if t > self.config.block_size:
            raise ValueError(f"sequence of {t}, block_size {self.config.block_size}")
        x = self.drop(self.token_embedding(ids) + self.position_embedding(t))
        for block in self.blocks:
            x = block(x, self.bias[:t, :t])
        return self.lm_head(self.final_norm(x))


import torch


# %% a-tensor-of-positions
# idiom = "nanoGPT"
# slips = ["positions-as-a-tensor"]
# wrong = "The position embedding takes a number of positions, and is given a tensor of positions."
class TransformerLM(nn.Module):
    def forward(self, ids):
        device = ids.device
        b, t = ids.size()
        if t > self.config.block_size:
            raise ValueError(f"t = {t}, block_size = {self.config.block_size}")
        pos = torch.arange(0, t, dtype=torch.long, device=device)  # shape (t)
        x = self.dropout(self.token_embedding(ids) + self.position_embedding(pos))
        mask = causal_mask(t, device=device)
        for block in self.blocks:
            x = block(x, mask)
        return self.lm_head(self.final_norm(x))


import torch


# %% embeddings-times-the-root-again
# idiom = "annotated transformer"
# slips = ["embeddings-scaled"]
# wrong = "The token embeddings are multiplied by the root of d_model."
class TransformerLM(nn.Module):
    def forward(self, ids):
        if ids.size(-1) > self.config.block_size:
            raise ValueError(f"{ids.size(-1)} is longer than {self.config.block_size}")
        x = self.token_embedding(ids) * math.sqrt(self.config.d_model)
        x = self.dropout(x + self.position_embedding(ids.size(1)))
        mask = causal_mask(ids.size(1), device=ids.device)
        for layer in self.blocks:
            x = layer(x, mask)
        return self.lm_head(self.final_norm(x))


# %% norm-forgotten-and-softmax-added
# idiom = "CS336 students"
# slips = ["softmax-in-forward", "no-final-norm"]
# wrong = "Two mistakes: the final norm is left out, and probabilities come back."
class TransformerLM(nn.Module):
    def forward(self, ids):
        batch_size, sequence_length = ids.shape
        if sequence_length > self.config.block_size:
            raise ValueError(f"{sequence_length} > context_length {self.config.block_size}")
        token_positions = self.position_embedding(sequence_length)
        x = self.dropout(self.token_embedding(ids) + token_positions)
        mask = causal_mask(sequence_length, device=ids.device)
        for layer in self.blocks:
            x = layer(x, mask)
        return softmax(self.lm_head(x), dim=-1)


from katas.k01_attention.attention import softmax


# %% norm-made-and-not-used
# idiom = "labml"
# slips = ["no-final-norm"]
# wrong = "The final norm is made and never applied."
class TransformerLM(nn.Module):
    def forward(self, ids):
        seq_len = ids.shape[1]
        if seq_len > self.config.block_size:
            raise ValueError(f"seq_len={seq_len}, block_size={self.config.block_size}")
        x = self.dropout(self.token_embedding(ids) + self.position_embedding(seq_len))
        mask = causal_mask(seq_len, device=x.device)
        for i in range(len(self.blocks)):
            x = self.blocks[i](x, mask)
        return self.lm_head(x)


# %% bias-for-the-head-and-no-tie
# idiom = "CS336 students"
# slips = ["head-with-bias", "never-tied", "tied-by-copy"]
# wrong = "Two mistakes: the head has a bias, and it is never tied."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        self.dropout = nn.Dropout(p=config.dropout)
        self.blocks = nn.ModuleList(
            [
                TransformerBlock(
                    config.d_model, config.num_heads, config.d_ff, config.dropout, bias=config.bias
                )
                for _ in range(config.num_layers)
            ]
        )
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, config.bias)
        self._draw_parameters()


# %% blocks-times-layers
# idiom = "CS336 students"
# slips = ["one-block-many-times"]
# wrong = "A list of one block is multiplied, so all entries are the same block."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        if not config.vocab_size:
            raise ValueError("vocab_size: None")
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        block = TransformerBlock(
            config.d_model, config.num_heads, config.d_ff, config.dropout, bias=config.bias
        )
        self.blocks = nn.ModuleList([block] * config.num_layers)
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()


# %% functional-dropout
# idiom = "x-transformers"
# slips = ["dropout-in-evaluation"]
# wrong = "F.dropout drops in evaluation too."
class TransformerLM(nn.Module):
    def forward(self, ids):
        n = ids.shape[1]
        if n > self.config.block_size:
            raise ValueError(f"sequence length {n} exceeds max_seq_len {self.config.block_size}")
        x = self.token_embedding(ids) + self.position_embedding(n)
        x = F.dropout(x, p=self.config.dropout)
        mask = causal_mask(n, device=ids.device)
        for layer in self.blocks:
            x = layer(x, mask=mask)
        return self.lm_head(self.final_norm(x))


import torch.nn.functional as F


# %% embeddings-never-dropped
# idiom = "CS336 students"
# slips = ["embeddings-not-dropped", "long-sequences-cut"]
# wrong = "Two mistakes: the embeddings are not dropped, and a sequence that is too long is cut."
class TransformerLM(nn.Module):
    def forward(self, ids):
        ids = ids[:, -self.config.block_size :]
        T = ids.shape[1]
        x = self.token_embedding(ids) + self.position_embedding(T)
        mask = causal_mask(T, device=ids.device)
        for block in self.blocks:
            x = block(x, mask)
        return self.lm_head(self.final_norm(x))


# %% parameters-without-positions
# idiom = "nanoGPT"
# slips = ["tokens-counted", "missing-table-counted"]
# wrong = "Two mistakes: Only the position table is left out; the token table counts although it was to be left out. And it expects a position table in every model."
def count_parameters(model, include_embeddings=True):
    n_params = sum(p.numel() for p in model.parameters())
    if not include_embeddings:
        n_params -= model.position_embedding.weight.numel()
    return n_params


# %% trainable-parameters
# idiom = "rasbt"
# slips = ["only-trained-ones-counted"]
# wrong = "Parameters that are not trained are left out."
def count_parameters(model, include_embeddings=True):
    total_params = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if include_embeddings:
        return total_params
    return total_params - model.token_embedding.weight.numel() - model.position_embedding.weight.numel()


# %% excluded-by-torchs-embedding
# idiom = "Hugging Face"
# slips = ["embeddings-never-left-out"]
# wrong = "isinstance(module, nn.Embedding) never meets the katas' tables, so nothing is left out."
def count_parameters(model, include_embeddings=True):
    if include_embeddings:
        return sum(p.numel() for p in model.parameters())
    embedding_param_names = {
        f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Embedding)
    }
    return sum(p.numel() for name, p in model.named_parameters() if name not in embedding_param_names)


# %% all-three-tables-subtracted
# idiom = "rasbt"
# slips = ["head-always-left-out", "head-and-table-subtracted"]
# wrong = "The head is taken off whether it is tied or not; a tied one is taken off twice."
def count_parameters(model, include_embeddings=True):
    total = sum(p.numel() for p in model.parameters())
    if not include_embeddings:
        for layer in (model.token_embedding, model.position_embedding, model.lm_head):
            if layer is not None:
                total -= sum(p.numel() for p in layer.parameters())
    return total


# %% module-by-module
# idiom = "minGPT"
# slips = ["tied-counted-twice", "counted-module-by-module"]
# wrong = "It adds up module by module, so a tied weight counts twice."
def count_parameters(model, include_embeddings=True):
    n_params = 0
    for module in model.modules():
        n_params += sum(p.numel() for p in module.parameters(recurse=False))
    if not include_embeddings:
        n_params -= model.token_embedding.weight.numel() + model.position_embedding.weight.numel()
    return n_params


# %% init-weights-of-the-own-classes
# idiom = "nanoGPT"
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config.vocab_size is None:
            raise ValueError("vocab_size is None: ask the tokenizer")
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = None
        if config.positions == "learned":
            self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList([self._block(config) for _ in range(config.num_layers)])
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.token_embedding.weight = self.lm_head.weight
        self.apply(self._init_weights)
        for pn, p in self.named_parameters():
            if pn.endswith("out_proj.weight") or pn.endswith("down_proj.weight"):
                nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * config.num_layers))

    @staticmethod
    def _block(config):
        return TransformerBlock(
            config.d_model, config.num_heads, config.d_ff, config.dropout, config.norm_first, config.bias
        )

    def _init_weights(self, module):
        if isinstance(module, Linear):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (TokenEmbedding, LearnedPositionalEmbedding)):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, ids):
        b, t = ids.size()
        if t > self.config.block_size:
            raise ValueError(
                f"Cannot forward sequence of length {t}, block size is only {self.config.block_size}"
            )
        x = self.token_embedding(ids)
        pos = self.config.positions
        if pos == "learned":
            x = x + self.position_embedding(t)
        if pos == "sinusoidal":
            x = x + sinusoidal_positions(t, x.size(-1), dtype=x.dtype, device=x.device)
        x = self.drop(x)
        mask = causal_mask(t, device=ids.device)
        for block in self.blocks:
            x = block(x, mask)
        x = self.final_norm(x)
        return self.lm_head(x)


# %% clones-of-one-block
# idiom = "annotated transformer"
import copy


def clones(module, N):
    return nn.ModuleList([copy.deepcopy(module) for _ in range(N)])


class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config.vocab_size is None:
            raise ValueError("a model needs a vocab_size")
        self.config = config
        block = TransformerBlock(
            config.d_model,
            config.num_heads,
            config.d_ff,
            config.dropout,
            norm_first=config.norm_first,
            bias=config.bias,
        )
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = (
            LearnedPositionalEmbedding(config.block_size, config.d_model)
            if config.positions == "learned"
            else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = clones(block, config.num_layers)
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()


# %% tril-in-forward
# idiom = "minGPT"
class TransformerLM(nn.Module):
    def forward(self, ids):
        t = ids.size(1)
        if t > self.config.block_size:
            raise ValueError(f"{t} tokens for {self.config.block_size} positions")
        h = self.token_embedding(ids)
        if self.position_embedding:
            h = h + self.position_embedding(t)[None]
        elif self.config.positions != "none":
            h = h + sinusoidal_positions(t, self.config.d_model).to(h)[None]
        h = self.dropout(h)
        mask = torch.ones(t, t, dtype=torch.bool, device=ids.device).tril()
        for block in self.blocks:
            h = block(h, mask[None])
        return torch.einsum("btd,vd->btv", self.final_norm(h), self.lm_head.weight)


import torch


# %% counted-by-identity
# idiom = "Hugging Face"
def count_parameters(model, include_embeddings=True):
    seen = {id(p): p for m in model.modules() for p in m.parameters(recurse=False)}
    if not include_embeddings:
        for table in (model.token_embedding, model.position_embedding):
            if table is not None:
                seen.pop(id(table.weight))
    return sum(p.numel() for p in seen.values())


# %% norm-over-the-embeddings
# idiom = "BERT"
# slips = ["norm-before-the-blocks"]
# wrong = "The final norm is applied to the embeddings instead of to what the blocks give."
class TransformerLM:
    def forward(self, ids):
        input_ids = ids
        batch_size, seq_length = input_ids.size()
        if seq_length > self.config.block_size:
            raise ValueError(f"seq {seq_length} > block_size {self.config.block_size}")
        embeddings = self.token_embedding(input_ids)
        embeddings += self.position_embedding(seq_length)
        hidden_states = self.dropout(self.final_norm(embeddings))
        causal = causal_mask(seq_length, device=input_ids.device)
        for layer_module in self.blocks:
            hidden_states = layer_module(hidden_states, causal)
        return self.lm_head(hidden_states)


# %% residual-around-each-block
# idiom = "x-transformers"
# slips = ["stream-added-twice"]
# wrong = "The stream is added once more around each block, which has its residual connections already."
class TransformerLM:
    def forward(self, ids):
        n = ids.shape[1]
        if n > self.config.block_size:
            raise ValueError(f"{n} tokens, and block_size is {self.config.block_size}")
        x = self.token_embedding(ids)
        x = x + self.position_embedding(n)
        x = self.dropout(x)
        mask = causal_mask(n, device=ids.device)
        for layer in self.blocks:
            residual = x
            x = layer(x, mask) + residual
        x = self.final_norm(x)
        return self.lm_head(x)


# %% each-layer-reads-the-embeddings
# idiom = "CS336 student"
# slips = ["only-the-last-block"]
# wrong = "Every block reads the embeddings, and only what the last one gives is used."
class TransformerLM:
    def forward(self, ids):
        in_indices = ids
        context_length = in_indices.shape[-1]
        if context_length > self.config.block_size:
            raise ValueError(f"{context_length} > {self.config.block_size}")
        token_embeddings = self.token_embedding(in_indices)
        token_embeddings = self.dropout(token_embeddings + self.position_embedding(context_length))
        mask = causal_mask(context_length, device=in_indices.device)
        for layer in self.blocks:
            x = layer(token_embeddings, mask)
        return self.lm_head(self.final_norm(x))


# %% drop-rate-for-the-embeddings-only
# idiom = "rasbt"
# slips = ["blocks-without-dropout"]
# wrong = "The blocks are made without dropout; only the embeddings are dropped."
class TransformerLM:
    def __init__(self, config):
        cfg = config
        super().__init__()
        if cfg.vocab_size is None:
            raise ValueError("vocab_size is None")
        self.config = cfg
        self.token_embedding = TokenEmbedding(cfg.vocab_size, cfg.d_model)
        self.position_embedding = LearnedPositionalEmbedding(cfg.block_size, cfg.d_model)
        self.drop_emb = nn.Dropout(cfg.dropout)
        self.blocks = nn.Sequential(
            *[
                TransformerBlock(
                    cfg.d_model, cfg.num_heads, cfg.d_ff, norm_first=cfg.norm_first, bias=cfg.bias
                )
                for _ in range(cfg.num_layers)
            ]
        )
        self.final_norm = LayerNorm(cfg.d_model, bias=cfg.bias)
        self.lm_head = Linear(cfg.d_model, cfg.vocab_size, bias=False)
        if cfg.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()

    def forward(self, ids):
        in_idx = ids
        batch_size, seq_len = in_idx.shape
        if seq_len > self.config.block_size:
            raise ValueError(f"{seq_len} > block_size {self.config.block_size}")
        tok_embeds = self.token_embedding(in_idx)
        pos_embeds = self.position_embedding(seq_len)
        x = self.drop_emb(tok_embeds + pos_embeds)
        mask = causal_mask(seq_len, device=in_idx.device)
        for trf_block in self.blocks:
            x = trf_block(x, mask)
        x = self.final_norm(x)
        return self.lm_head(x)


# %% head-wrapped-in-a-parameter
# idiom = "labml"
# slips = ["tied-by-copy", "tied-by-its-data", "never-tied"]
# wrong = "The head gets a Parameter of its own, made of the table's numbers: not the same Parameter."
class TransformerLM:
    def __init__(self, config):
        c = config
        super().__init__()
        if c.vocab_size is None:
            raise ValueError("vocab_size has to be known")
        self.config = c
        self.token_embedding = TokenEmbedding(c.vocab_size, c.d_model)
        self.position_embedding = LearnedPositionalEmbedding(c.block_size, c.d_model)
        self.dropout = nn.Dropout(c.dropout)
        self.blocks = nn.ModuleList()
        for _ in range(c.num_layers):
            self.blocks.append(TransformerBlock(c.d_model, c.num_heads, c.d_ff, c.dropout, bias=c.bias))
        self.final_norm = LayerNorm(c.d_model, bias=c.bias)
        self.lm_head = Linear(c.d_model, c.vocab_size, bias=False)
        self._draw_parameters()
        if c.tie_weights:
            self.lm_head.weight = nn.Parameter(self.token_embedding.weight)


# %% everything-from-one-normal
# idiom = "CS336 student"
# slips = ["all-drawn-alike", "norms-drawn-too"]
# wrong = "All parameters are drawn from N(0, 0.02), the weights of norms and the biases as well."
class TransformerLM:
    def _draw_parameters(self):
        for p in self.parameters():
            nn.init.normal_(p, mean=0.0, std=0.02)
        scale = 0.02 / math.sqrt(2 * self.config.num_layers)
        for layer in self.blocks:
            nn.init.normal_(layer.attention.out_proj.weight, mean=0.0, std=scale)
            nn.init.normal_(layer.feedforward.down_proj.weight, mean=0.0, std=scale)


# %% cut-at-two-deviations
# idiom = "CS336 student"
# slips = ["draws-cut-off"]
# wrong = "The draws are cut at two standard deviations, so that they are no normal ones and narrower."
class TransformerLM:
    def _draw_parameters(self):
        std = 0.02
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.ndim >= 2:
                s = std
                if "out_proj" in name or "down_proj" in name:
                    s = std / (2 * self.config.num_layers) ** 0.5
                nn.init.trunc_normal_(p, mean=0.0, std=s, a=-2 * s, b=2 * s)


# %% residual-scale-without-the-root
# idiom = "minGPT"
# slips = ["root-forgotten"]
# wrong = "The projections into the stream are drawn with 0.02 / (2 · num_layers), without the root."
class TransformerLM:
    def _draw_parameters(self):
        self.apply(self._init_weights)
        for pn, p in self.named_parameters():
            if pn.endswith("out_proj.weight") or pn.endswith("down_proj.weight"):
                nn.init.normal_(p, mean=0.0, std=0.02 / (2 * self.config.num_layers))

    def _init_weights(self, module):
        if isinstance(module, (Linear, TokenEmbedding, LearnedPositionalEmbedding)):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
        if isinstance(module, Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        elif isinstance(module, LayerNorm):
            nn.init.ones_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


# %% padding-hidden
# idiom = "annotated transformer"
# slips = ["token-zero-hidden"]
# wrong = "Token 0 is taken for padding and hidden, though here it is a token like the others."
class TransformerLM:
    def forward(self, ids):
        tgt = ids
        if tgt.size(-1) > self.config.block_size:
            raise ValueError(f"{tgt.size(-1)} exceeds {self.config.block_size}")
        x = self.dropout(self.token_embedding(tgt) + self.position_embedding(tgt.size(-1)))
        mask = make_std_mask(tgt, 0)
        for layer in self.blocks:
            x = layer(x, mask)
        return self.lm_head(self.final_norm(x))


def make_std_mask(tgt, pad):
    tgt_mask = (tgt != pad).unsqueeze(-2)
    return tgt_mask & causal_mask(tgt.size(-1), device=tgt.device)


# %% dropped-once-more-before-the-head
# idiom = "labml"
# slips = ["dropped-before-the-head"]
# wrong = "What the blocks give is dropped once more, before the final norm."
class TransformerLM:
    def forward(self, ids):
        seq_len = ids.shape[1]
        if seq_len > self.config.block_size:
            raise ValueError(f"{seq_len} tokens > block_size = {self.config.block_size}")
        x = self.token_embedding(ids) + self.position_embedding(seq_len)
        x = self.dropout(x)
        mask = causal_mask(seq_len, device=ids.device)
        for layer in self.blocks:
            x = layer(x, mask)
        x = self.dropout(x)
        return self.lm_head(self.final_norm(x))


# %% sequence-first
# idiom = "PyTorch tutorial"
# slips = ["positions-and-blocks-along-the-batch", "positions-along-the-batch"]
# wrong = "The ids are read as (seq, batch), so that the axes change places."
class TransformerLM:
    def forward(self, ids):
        src = ids
        seq_len, batch_size = src.shape
        if seq_len > self.config.block_size:
            raise ValueError(f"{seq_len} > {self.config.block_size}")
        pe = self.position_embedding(seq_len).unsqueeze(1)
        x = self.dropout(self.token_embedding(src) + pe)
        mask = causal_mask(seq_len, device=src.device)
        for layer in self.blocks:
            x = layer(x.transpose(0, 1), mask).transpose(0, 1)
        return self.lm_head(self.final_norm(x))


# %% minus-infinity-above-the-diagonal
# idiom = "LLaMA"
# slips = ["mask-to-be-added"]
# wrong = "The mask is one to be added to the scores, 0 and -inf, not one of booleans."
import torch


class TransformerLM:
    def forward(self, ids):
        tokens = ids
        _bsz, seqlen = tokens.shape
        if seqlen > self.config.block_size:
            raise ValueError(f"{seqlen} > {self.config.block_size}")
        h = self.dropout(self.token_embedding(tokens) + self.position_embedding(seqlen))
        mask = torch.full((seqlen, seqlen), float("-inf"), device=tokens.device)
        mask = torch.triu(mask, diagonal=1)
        for layer in self.blocks:
            h = layer(h, mask)
        return self.lm_head(self.final_norm(h))


# %% logits-and-a-loss
# idiom = "nanoGPT"
# slips = ["logits-in-a-pair"]
# wrong = "A pair comes back, the logits and a loss that is None."
class TransformerLM:
    def forward(self, ids):
        idx = ids
        b, t = idx.size()
        if t > self.config.block_size:
            raise ValueError(f"Cannot forward sequence of length {t}, block size is {self.config.block_size}")
        x = self.dropout(self.token_embedding(idx) + self.position_embedding(t))
        mask = causal_mask(t, device=idx.device)
        for block in self.blocks:
            x = block(x, mask)
        x = self.final_norm(x)
        logits = self.lm_head(x)
        loss = None
        return logits, loss


# %% table-transposed-for-a-head
# idiom = "GPT-2 in TensorFlow"
# slips = ["always-the-token-table"]
# wrong = "The logits are always made with the token table, also when the head is not tied to it."
class TransformerLM:
    def forward(self, ids):
        X = ids
        batch, sequence = X.shape
        if sequence > self.config.block_size:
            raise ValueError(f"{sequence} > {self.config.block_size}")
        wte, wpe = self.token_embedding, self.position_embedding
        h = self.dropout(wte(X) + wpe(sequence))
        mask = causal_mask(sequence, device=X.device)
        for layer in self.blocks:
            h = layer(h, mask)
        h = self.final_norm(h)
        h_flat = h.reshape(batch * sequence, self.config.d_model)
        logits = h_flat @ wte.weight.t()
        return logits.reshape(batch, sequence, -1)


# %% positions-for-every-block
# idiom = "DETR"
# slips = ["positions-for-each-block"]
# wrong = "The positions are added before each block, not once."
class TransformerLM:
    def forward(self, ids):
        if ids.size(1) > self.config.block_size:
            raise ValueError(f"{ids.size(1)} > {self.config.block_size}")
        pos = self.position_embedding(ids.size(1))
        x = self.dropout(self.token_embedding(ids) + pos)
        mask = causal_mask(ids.size(1), device=ids.device)
        for i, layer in enumerate(self.blocks):
            x = layer(x if i == 0 else x + pos, mask)
        return self.lm_head(self.final_norm(x))


# %% positions-from-zeros
# idiom = "minGPT"
# slips = ["positions-start-at-zero"]
# wrong = "The position table starts as zeros."
class TransformerLM:
    def _draw_parameters(self):
        for module in self.modules():
            if isinstance(module, (Linear, TokenEmbedding)):
                module.weight.data.normal_(mean=0.0, std=0.02)
                if getattr(module, "bias", None) is not None:
                    module.bias.data.zero_()
            elif isinstance(module, LayerNorm):
                module.weight.data.fill_(1.0)
            elif isinstance(module, LearnedPositionalEmbedding):
                module.weight.data.zero_()
        for block in self.blocks:
            block.attention.out_proj.weight.data.div_(math.sqrt(2 * self.config.num_layers))
            block.feedforward.down_proj.weight.data.div_(math.sqrt(2 * self.config.num_layers))


# %% blocks-in-a-python-list
# idiom = "CS336 student"
# slips = ["blocks-in-a-list"]
# wrong = "The blocks are in a plain list, so that the model does not know their parameters."
class TransformerLM:
    def __init__(self, config):
        super().__init__()
        if config.vocab_size is None:
            raise ValueError("vocab_size!")
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = []
        for _ in range(config.num_layers):
            self.blocks.append(
                TransformerBlock(
                    d_model=config.d_model,
                    num_heads=config.num_heads,
                    d_ff=config.d_ff,
                    dropout=config.dropout,
                    bias=config.bias,
                )
            )
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()


# %% entries-of-the-state-dict
# idiom = "Stack Overflow"
# slips = ["state-dict-counted", "tied-counted-twice"]
# wrong = "It adds up the state dict: a tied weight counts twice, and buffers count."
def count_parameters(model, include_embeddings=True):
    total = 0
    for name, tensor in model.state_dict().items():
        if not include_embeddings and "embedding" in name:
            continue
        total += tensor.numel()
    return total


# %% blocks-alone
# idiom = "scaling laws"
# slips = ["only-the-blocks-counted"]
# wrong = "Without embeddings only the blocks count; the final norm and an untied head do not."
def count_parameters(model, include_embeddings=True):
    if include_embeddings:
        return sum(p.numel() for p in model.parameters())
    return sum(p.numel() for block in model.blocks for p in block.parameters())


# %% positions-as-a-saved-buffer
# idiom = "annotated transformer"
# slips = ["sinusoids-in-the-state-dict", "sinusoids-called-pe-in-the-state-dict"]
# wrong = "The sinusoids are a persistent buffer, so they are in the state dict."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = c = config
        self.token_embedding = TokenEmbedding(c.vocab_size, c.d_model)
        self.position_embedding = None
        if c.positions == "learned":
            self.position_embedding = LearnedPositionalEmbedding(c.block_size, c.d_model)
        elif c.positions == "sinusoidal":
            self.register_buffer("pe", sinusoidal_positions(c.block_size, c.d_model))
        self.dropout = nn.Dropout(c.dropout)
        layers = [
            TransformerBlock(c.d_model, c.num_heads, c.d_ff, c.dropout, c.norm_first, c.bias)
            for _ in range(c.num_layers)
        ]
        self.blocks = nn.ModuleList(layers)
        self.final_norm = LayerNorm(c.d_model, bias=c.bias)
        self.lm_head = Linear(c.d_model, c.vocab_size, bias=False)
        if c.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()

    def forward(self, ids):
        if ids.size(1) > self.config.block_size:
            raise ValueError(f"{ids.size(1)} > {self.config.block_size}")
        x = self.token_embedding(ids)
        if self.config.positions == "sinusoidal":
            x = x + self.pe[: x.size(1)].requires_grad_(False)
        elif self.config.positions == "learned":
            x = x + self.position_embedding(x.size(1))
        x = self.dropout(x)
        for layer in self.blocks:
            x = layer(x, causal_mask(ids.size(1), device=ids.device))
        return self.lm_head(self.final_norm(x))


# %% tokens-times-the-root-with-sinusoids
# idiom = "labml"
# slips = ["sinusoids-and-scaled-tokens"]
# wrong = "Where positions are sinusoidal, the tokens are multiplied by √d_model."
class TransformerLM(nn.Module):
    def forward(self, ids):
        seq_len = ids.shape[1]
        if seq_len > self.config.block_size:
            raise ValueError(f"{seq_len} > {self.config.block_size}")
        x = self.token_embedding(ids)
        if self.config.positions == "sinusoidal":
            pe = sinusoidal_positions(seq_len, self.config.d_model, dtype=x.dtype, device=x.device)
            x = x * math.sqrt(self.config.d_model) + pe
        elif self.position_embedding:
            x = x + self.position_embedding(seq_len)
        mask = causal_mask(seq_len, device=ids.device)
        x = self.dropout(x)
        for layer in self.blocks:
            x = layer(x=x, mask=mask)
        return self.lm_head(self.final_norm(x))


# %% norm-first-left-at-its-default
# idiom = "PyTorch tutorial"
# slips = ["norm-first-not-passed-on"]
# wrong = "norm_first is not handed to the blocks, which are always pre-norm."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = (
            LearnedPositionalEmbedding(config.block_size, config.d_model)
            if config.positions == "learned"
            else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList()
        for _ in range(config.num_layers):
            layer = TransformerBlock(
                config.d_model, config.num_heads, config.d_ff, dropout=config.dropout, bias=config.bias
            )
            self.blocks.append(layer)
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()


# %% mask-of-the-whole-context
# idiom = "annotated transformer"
# slips = ["mask-of-the-longest-sequence"]
# wrong = "The mask has block_size positions, however many the sequence has."
class TransformerLM:
    def forward(self, ids):
        seq = ids.size(1)
        if seq > self.config.block_size:
            raise ValueError(f"seq {seq} > block_size {self.config.block_size}")
        return self.generator(
            self.decode(self.embed(ids), causal_mask(self.config.block_size, device=ids.device))
        )

    def embed(self, ids):
        x = self.token_embedding(ids)
        match self.config.positions:
            case "learned":
                x = x + self.position_embedding(ids.size(1))
            case "sinusoidal":
                x = x + sinusoidal_positions(ids.size(1), x.size(-1), dtype=x.dtype, device=x.device)
        return self.dropout(x)

    def decode(self, x, tgt_mask):
        for layer in self.blocks:
            x = layer(x, tgt_mask)
        return self.final_norm(x)

    def generator(self, x):
        return self.lm_head(x)


# %% positions-along-the-batch
# idiom = "PyTorch tutorial"
# slips = ["positions-along-the-batch", "sinusoids-along-the-batch"]
# wrong = "As many positions as there are sequences: they are counted along the batch axis."
class TransformerLM:
    def forward(self, ids):
        if ids.shape[1] > self.config.block_size:
            raise ValueError(f"seq {ids.shape[1]} is longer than block_size {self.config.block_size}")
        x = self.token_embedding(ids)
        n = x.size(0)
        if self.config.positions == "learned":
            x = x + self.position_embedding(n)
        if self.config.positions == "sinusoidal":
            x = x + sinusoidal_positions(n, x.size(2), dtype=x.dtype, device=x.device)
        x, mask = self.dropout(x), causal_mask(ids.shape[1], device=ids.device)
        for block in self.blocks:
            x = block(x, mask)
        return self.lm_head(self.final_norm(x))


# %% variance-of-two-hundredths
# idiom = "CS336 students"
# slips = ["std-as-variance"]
# wrong = "0.02 is taken for the variance, so all weights are drawn with its root, 0.14."
import torch


class TransformerLM:
    def _draw_parameters(self):
        sigma = 0.02**0.5
        for name, p in self.named_parameters():
            if "norm" in name:
                continue
            elif p.ndim == 1:
                torch.nn.init.constant_(p, 0.0)
            elif "out_proj" in name or "down_proj" in name:
                torch.nn.init.normal_(p, 0.0, sigma / (2 * self.config.num_layers) ** 0.5)
            else:
                torch.nn.init.normal_(p, 0.0, sigma)


# %% whatever-ends-with-proj
# idiom = "nanoGPT"
# slips = ["all-projections-smaller"]
# wrong = "Every projection of the blocks gets the smaller deviation, not only the two that write to the stream."
import math

import torch


class TransformerLM:
    def _draw_parameters(self):
        self.apply(self._init_weights)
        # apply special scaled init to the residual projections, per GPT-2 paper
        for pn, p in self.named_parameters():
            if pn.endswith("proj.weight"):
                torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * self.config.num_layers))

    def _init_weights(self, module):
        if isinstance(module, Linear):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        elif isinstance(module, TokenEmbedding | LearnedPositionalEmbedding):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)


# %% seeded-by-itself
# idiom = "karpathy's lectures"
# slips = ["seed-set-inside"]
# wrong = "The constructor sets the seed 1337, so every model starts with the same weights, whatever the seed."
import torch


class TransformerLM:
    def __init__(self, config):
        super().__init__()
        torch.manual_seed(1337)
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = (
            LearnedPositionalEmbedding(config.block_size, config.d_model)
            if config.positions == "learned"
            else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList([self.block() for _ in range(config.num_layers)])
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()

    def block(self):
        c = self.config
        return TransformerBlock(c.d_model, c.num_heads, c.d_ff, c.dropout, c.norm_first, c.bias)


# %% tokens-and-positions-dropped-apart
# idiom = "labml"
# slips = ["tables-dropped-apart-for-each-sequence"]
# wrong = "Tokens and positions are dropped each on their own, not their sum."
class TransformerLM:
    def forward(self, ids):
        T, c = ids.shape[-1], self.config
        if T > c.block_size:
            raise ValueError(f"seq {T}, block_size {c.block_size}")
        tok = self.token_embedding(ids)
        pos = None
        if c.positions == "learned":
            pos = self.position_embedding(T).expand_as(tok)
        elif c.positions == "sinusoidal":
            pos = sinusoidal_positions(T, c.d_model, dtype=tok.dtype, device=tok.device).expand_as(tok)
        x = self.dropout(tok) if pos is None else self.dropout(tok) + self.dropout(pos)
        mask = causal_mask(T, device=ids.device)
        for block in self.blocks:
            x = block(x, mask)
        return self.lm_head(self.final_norm(x))


# %% final-norm-always-with-a-bias
# idiom = "CS336 students"
# slips = ["final-norm-ignores-bias"]
# wrong = "final_norm has a bias whatever the configuration says."
class TransformerLM:
    def __init__(self, config):
        super().__init__()
        self.config = config
        d = config.d_model
        self.token_embedding = TokenEmbedding(config.vocab_size, d)
        self.position_embedding = None
        if config.positions == "learned":
            self.position_embedding = LearnedPositionalEmbedding(config.block_size, d)
        self.dropout = nn.Dropout(config.dropout)
        kwargs = dict(dropout=config.dropout, norm_first=config.norm_first, bias=config.bias)
        layers = [
            TransformerBlock(d, config.num_heads, config.d_ff, **kwargs) for _ in range(config.num_layers)
        ]
        self.blocks = nn.ModuleList(layers)
        self.final_norm = LayerNorm(d)
        self.lm_head = Linear(d, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()


# %% returned-from-inside-the-loop
# idiom = "minGPT"
# slips = ["only-the-first-block"]
# wrong = "The return is indented too far: the logits are those after the first block."
class TransformerLM:
    def forward(self, ids):
        b, t = ids.size()
        if t > self.config.block_size:
            raise ValueError(f"Cannot forward seq of length {t}, block_size is only {self.config.block_size}")
        x = self.token_embedding(ids)
        if self.position_embedding is not None:
            x = x + self.position_embedding(t)
        elif self.config.positions != "none":
            x = x + sinusoidal_positions(t, self.config.d_model, dtype=x.dtype, device=x.device)
        x = self.dropout(x)
        mask = causal_mask(t, device=ids.device)
        for block in self.blocks:
            x = block(x, mask)
            logits = self.lm_head(self.final_norm(x))
            return logits


# %% positions-always-learned
# idiom = "rasbt"
# slips = ["table-although-not-learned"]
# wrong = "The configuration's positions are not looked at: they are always learned."
class TransformerLM:
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        self.drop_emb = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                config.d_model, config.num_heads, config.d_ff, config.dropout, config.norm_first, config.bias
            )
            for _ in range(config.num_layers)
        )
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._draw_parameters()

    def forward(self, ids):
        seq_len = ids.shape[1]
        if seq_len > self.config.block_size:
            raise ValueError(f"seq {seq_len} exceeds block_size {self.config.block_size}")
        x = self.drop_emb(self.token_embedding(ids) + self.position_embedding(seq_len))
        mask = causal_mask(seq_len, device=ids.device)
        for block in self.blocks:
            x = block(x, mask)
        return self.lm_head(self.final_norm(x))


# %% full-context-refused
# idiom = "CS336 students"
# slips = ["block-size-refused"]
# wrong = "A sequence of exactly block_size tokens is refused."
import functools


class TransformerLM:
    def forward(self, ids):
        n, c = ids.shape[-1], self.config
        if not n < c.block_size:
            raise ValueError(f"seq = {n} must be below block_size = {c.block_size}")
        x = self.token_embedding(ids)
        if c.positions == "learned":
            x = x + self.position_embedding(n)
        elif c.positions == "sinusoidal":
            x = x + sinusoidal_positions(n, c.d_model, dtype=x.dtype, device=x.device)
        mask = causal_mask(n, device=ids.device)
        x = functools.reduce(lambda h, layer: layer(h, mask), self.blocks, self.dropout(x))
        return self.lm_head(self.final_norm(x))


# %% logits-times-the-root
# idiom = "PaLM"
# slips = ["logits-over-the-root"]
# wrong = "The logits are divided by the root of d_model."
class TransformerLM:
    def forward(self, ids):
        n, c = ids.shape[-1], self.config
        if n > c.block_size:
            raise ValueError(f"{n} tokens, block_size {c.block_size}")
        x = self.token_embedding(ids)
        if c.positions == "learned":
            x = x + self.position_embedding(n)
        elif c.positions == "sinusoidal":
            x = x + sinusoidal_positions(n, c.d_model, dtype=x.dtype, device=x.device)
        x, mask = self.dropout(x), causal_mask(n, device=ids.device)
        for attn_and_ff in self.blocks:
            x = attn_and_ff(x, mask)
        return self.final_norm(x) @ self.lm_head.weight.t() * c.d_model**-0.5


# %% number-of-tensors
# idiom = "one-liners"
# slips = ["parameters-as-ones"]
# wrong = "The parameters are counted as tensors, not the numbers in them."
def count_parameters(model, include_embeddings=True):
    skip = () if include_embeddings else ("token_embedding", "position_embedding")
    return len([p for n, p in model.named_parameters() if not n.startswith(skip)])


# %% residual-projections-from-zero
# idiom = "modded-nanogpt"
# slips = ["stream-from-zero"]
# wrong = "The two projections into the stream start as zeros."
class TransformerLM:
    def _draw_parameters(self):
        for m in self.modules():
            if isinstance(m, (Linear, TokenEmbedding, LearnedPositionalEmbedding)):
                nn.init.normal_(m.weight, std=0.02)
                if getattr(m, "bias", None) is not None:
                    m.bias.data.zero_()
        for block in self.blocks:
            block.attention.out_proj.weight.data.zero_()  # zero init suggested by @Grad62304977
            block.feedforward.down_proj.weight.data.zero_()


# %% right-table-from-the-head
# idiom = "nanoGPT"
import torch


class TransformerLM:
    def __init__(self, config):
        super().__init__()
        self.config = c = config
        self.lm_head = Linear(c.d_model, c.vocab_size, bias=False)
        self.token_embedding = TokenEmbedding(c.vocab_size, c.d_model)
        if c.tie_weights:
            self.token_embedding.weight = self.lm_head.weight
        learned = c.positions == "learned"
        self.position_embedding = LearnedPositionalEmbedding(c.block_size, c.d_model) if learned else None
        args = (c.d_model, c.num_heads, c.d_ff, c.dropout, c.norm_first, c.bias)
        self.blocks = nn.ModuleList()
        for _ in range(c.num_layers):
            self.blocks.append(TransformerBlock(*args))
        self.final_norm = LayerNorm(c.d_model, bias=c.bias)
        self.drop = nn.Dropout(c.dropout)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self):
        into_stream = {
            id(p) for b in self.blocks for p in (b.attention.out_proj.weight, b.feedforward.down_proj.weight)
        }
        for p in self.parameters():
            if p.dim() > 1:
                scale = (2 * self.config.num_layers) ** -0.5 if id(p) in into_stream else 1.0
                p.copy_(torch.randn_like(p) * 0.02 * scale)
        for m in self.modules():
            if isinstance(m, Linear) and m.bias is not None:
                m.bias.fill_(0)

    def forward(self, ids):
        T = ids.size(1)
        if T > self.config.block_size:
            raise ValueError(f"seq={T} block_size={self.config.block_size}")
        h = self.token_embedding(ids) + self.position(T)
        h, mask = self.drop(h), causal_mask(T, device=ids.device)
        for b in self.blocks:
            h = b(h, mask)
        return torch.einsum("btd,vd->btv", self.final_norm(h), self.lm_head.weight)

    def position(self, T):
        if self.position_embedding is not None:
            return self.position_embedding(T)
        like = self.token_embedding.weight
        if self.config.positions == "none":
            return like.new_zeros(())
        return sinusoidal_positions(T, self.config.d_model, dtype=like.dtype, device=like.device)


# %% right-counted-by-name
# idiom = "Hugging Face"
def count_parameters(model, include_embeddings=True):
    sizes = {name: p.numel() for name, p in model.named_parameters(remove_duplicate=True)}
    if not include_embeddings:
        sizes = {
            n: s for n, s in sizes.items() if not n.startswith(("token_embedding.", "position_embedding."))
        }
    return sum(sizes.values())


# %% apply-that-finds-no-linear
# idiom = "minGPT"
# slips = ["drawn-by-torchs-classes"]
# wrong = "_init_weights looks for nn.Linear and nn.Embedding, of which the model has none: all but the residual projections keep their own start, embeddings N(0, 1)."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = (
            LearnedPositionalEmbedding(config.block_size, config.d_model)
            if config.positions == "learned"
            else None
        )
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            [
                TransformerBlock(
                    config.d_model,
                    config.num_heads,
                    config.d_ff,
                    dropout=config.dropout,
                    norm_first=config.norm_first,
                    bias=config.bias,
                )
                for _ in range(config.num_layers)
            ]
        )
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight

        # init all weights, and apply a special scaled init to the residual projections, per GPT-2 paper
        self.apply(self._init_weights)
        for pn, p in self.named_parameters():
            if pn.endswith("attention.out_proj.weight") or pn.endswith("feedforward.down_proj.weight"):
                nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * config.num_layers))

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
        elif isinstance(module, nn.LayerNorm):
            nn.init.zeros_(module.bias)
            nn.init.ones_(module.weight)

    def forward(self, ids):
        b, t = ids.size()
        if t > self.config.block_size:
            raise ValueError(f"Cannot forward seq of length {t}, block_size is only {self.config.block_size}")
        x = self.token_embedding(ids)
        if self.config.positions == "learned":
            x = x + self.position_embedding(t)
        elif self.config.positions == "sinusoidal":
            x = x + sinusoidal_positions(t, x.size(-1), dtype=x.dtype, device=x.device)
        x = self.drop(x)
        mask = causal_mask(t, device=x.device)
        for block in self.blocks:
            x = block(x, mask)
        return self.lm_head(self.final_norm(x))


# %% tied-through-data
# idiom = "StackOverflow"
# slips = ["never-tied", "tied-by-copy", "tied-by-its-data"]
# wrong = "The head is tied by its .data: the two Parameters share memory but not identity, so gradients and optimizer steps are separate."
class TransformerLM(nn.Module):
    def __init__(self, config):
        nn.Module.__init__(self)
        self.config = c = config
        self.token_embedding = TokenEmbedding(c.vocab_size, c.d_model)
        self.position_embedding = None
        if c.positions == "learned":
            self.position_embedding = LearnedPositionalEmbedding(c.block_size, c.d_model)
        kwargs = dict(d_model=c.d_model, num_heads=c.num_heads, d_ff=c.d_ff)
        kwargs.update(dropout=c.dropout, norm_first=c.norm_first, bias=c.bias)
        self.blocks = nn.ModuleList(TransformerBlock(**kwargs) for _ in range(c.num_layers))
        self.final_norm = LayerNorm(c.d_model, bias=c.bias)
        self.lm_head = Linear(c.d_model, c.vocab_size, bias=False)
        self.dropout = nn.Dropout(c.dropout)
        self.reset_parameters()
        if c.tie_weights:
            self.lm_head.weight.data = self.token_embedding.weight.data

    def reset_parameters(self):
        small = 0.02 / (2 * self.config.num_layers) ** 0.5
        for m in self.modules():
            if isinstance(m, (Linear, TokenEmbedding, LearnedPositionalEmbedding)):
                m.weight.data.normal_(0.0, 0.02)
            if isinstance(m, Linear) and m.bias is not None:
                m.bias.data.zero_()
        for blk in self.blocks:
            blk.attention.out_proj.weight.data.normal_(0.0, small)
            blk.feedforward.down_proj.weight.data.normal_(0.0, small)

    def forward(self, ids):
        seq = ids.shape[1]
        if seq > self.config.block_size:
            raise ValueError(f"seq {seq} > block_size {self.config.block_size}")
        h = self.token_embedding(ids)
        match self.config.positions:
            case "learned":
                h = h + self.position_embedding(seq)
            case "sinusoidal":
                h = h + sinusoidal_positions(seq, self.config.d_model, dtype=h.dtype, device=h.device)
        h = self.dropout(h)
        visible = causal_mask(seq, device=h.device)
        for blk in self.blocks:
            h = blk(h, mask=visible)
        return self.lm_head(self.final_norm(h))


# %% no-final-norm-after-post-norm
# idiom = "LLM-written"
# slips = ["final-norm-for-pre-norm-only"]
# wrong = "With post-norm blocks final_norm is skipped, because the last block ends with a norm already; the contract has it in both cases."
import torch.nn.functional as F


class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        width = config.d_model
        self.token_embedding = TokenEmbedding(config.vocab_size, width)
        learned = config.positions == "learned"
        self.position_embedding = LearnedPositionalEmbedding(config.block_size, width) if learned else None
        self.blocks = nn.ModuleList()
        for _ in range(config.num_layers):
            self.blocks.append(
                TransformerBlock(
                    d_model=width,
                    num_heads=config.num_heads,
                    d_ff=config.d_ff,
                    dropout=config.dropout,
                    norm_first=config.norm_first,
                    bias=config.bias,
                )
            )
        self.final_norm = LayerNorm(width, bias=config.bias)
        self.lm_head = Linear(width, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._initialise()

    def _initialise(self):
        residual_std = 0.02 * (2 * self.config.num_layers) ** -0.5
        for name, param in self.named_parameters():
            if "norm" in name:
                nn.init.constant_(param, float(name.endswith("weight")))
            elif name.endswith("bias"):
                nn.init.zeros_(param)
            elif name.endswith(("attention.out_proj.weight", "feedforward.down_proj.weight")):
                nn.init.normal_(param, std=residual_std)
            else:
                nn.init.normal_(param, std=0.02)

    def _positions(self, like):
        n = like.shape[-2]
        if self.config.positions == "learned":
            return self.position_embedding(n)
        if self.config.positions == "sinusoidal":
            return sinusoidal_positions(n, self.config.d_model, dtype=like.dtype, device=like.device)
        return 0

    def forward(self, ids):
        n = ids.shape[-1]
        if n > self.config.block_size:
            raise ValueError(f"seq={n} is more than block_size={self.config.block_size}")
        hidden = self.token_embedding(ids)
        hidden = F.dropout(hidden + self._positions(hidden), self.config.dropout, self.training)
        mask = causal_mask(n, device=ids.device)
        for layer in self.blocks:
            hidden = layer(hidden, mask)
        # Post-norm blocks already end in a LayerNorm, so normalise only with pre-norm.
        if self.config.norm_first:
            hidden = self.final_norm(hidden)
        return self.lm_head(hidden)


# %% dropout-on-tokens-before-positions
# idiom = "labml"
# slips = ["only-tokens-dropped"]
# wrong = "The token vectors are dropped before the positions are added, so the positions never are."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = {
            "learned": lambda: LearnedPositionalEmbedding(config.block_size, config.d_model),
        }.get(config.positions, lambda: None)()
        make = lambda: TransformerBlock(
            config.d_model,
            config.num_heads,
            config.d_ff,
            config.dropout,
            config.norm_first,
            config.bias,
        )
        self.blocks = nn.ModuleList([make() for _ in range(config.num_layers)])
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        self.embed_dropout = nn.Dropout(config.dropout)

        for m in [m for m in self.modules() if isinstance(m, Linear)]:
            nn.init.normal_(m.weight, std=0.02)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        if self.position_embedding is not None:
            nn.init.normal_(self.position_embedding.weight, std=0.02)
        for b in self.blocks:
            for proj in (b.attention.out_proj, b.feedforward.down_proj):
                nn.init.normal_(proj.weight, std=0.02 / math.sqrt(2 * config.num_layers))

        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight

    def forward(self, ids):
        T = ids.size(1)
        if T > self.config.block_size:
            raise ValueError(f"seq ({T}) must not exceed block_size ({self.config.block_size})")
        tok = self.embed_dropout(self.token_embedding(ids))
        if self.position_embedding is not None:
            tok = tok + self.position_embedding(T).unsqueeze(0)
        elif self.config.positions == "sinusoidal":
            pe = sinusoidal_positions(T, self.config.d_model, dtype=tok.dtype, device=tok.device)
            tok = tok + pe[None]
        causal = causal_mask(T, device=tok.device)
        for b in self.blocks:
            tok = b(tok, causal)
        return self.lm_head(self.final_norm(tok))


# %% context-cropped-quietly
# idiom = "nanoGPT"
# slips = []
# wrong = "A sequence longer than block_size is cropped to its end, as in generate, instead of raising ValueError."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        C = config.d_model
        self.token_embedding = TokenEmbedding(config.vocab_size, C)
        self.lm_head = Linear(C, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight  # weight tying
        if config.positions == "learned":
            self.position_embedding = LearnedPositionalEmbedding(config.block_size, C)
        else:
            self.position_embedding = None
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList([self._block(config) for _ in range(config.num_layers)])
        self.final_norm = LayerNorm(C, bias=config.bias)
        self.apply(self._init)

    @staticmethod
    def _block(cfg):
        return TransformerBlock(
            cfg.d_model,
            cfg.num_heads,
            cfg.d_ff,
            dropout=cfg.dropout,
            bias=cfg.bias,
            norm_first=cfg.norm_first,
        )

    def _init(self, module):
        if isinstance(module, (Linear, TokenEmbedding, LearnedPositionalEmbedding)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        if isinstance(module, (Linear, LayerNorm)) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, TransformerBlock):
            # apply() comes to the children first, so this overwrites theirs
            s = 0.02 / math.sqrt(2 * self.config.num_layers)
            nn.init.normal_(module.attention.out_proj.weight, 0.0, s)
            nn.init.normal_(module.feedforward.down_proj.weight, 0.0, s)

    def forward(self, ids):
        idx_cond = ids if ids.size(1) <= self.config.block_size else ids[:, -self.config.block_size :]
        B, T = idx_cond.shape
        x = self.token_embedding(idx_cond)
        if self.config.positions == "learned":
            x = x + self.position_embedding(T)
        if self.config.positions == "sinusoidal":
            x = x + sinusoidal_positions(T, self.config.d_model, dtype=x.dtype, device=x.device)
        x = self.drop(x)
        m = causal_mask(T, device=x.device)
        for block in self.blocks:
            x = block(x, m)
        x = self.final_norm(x)
        return self.lm_head(x)


# %% block-arguments-in-the-wrong-order
# idiom = "CS336 students"
# slips = ["bias-passed-as-norm-first", "blocks-ignore-bias"]
# wrong = "bias and norm_first change places in the call of TransformerBlock: without a bias the blocks become post-norm, and post-norm ones lose their biases."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        V, D, L = config.vocab_size, config.d_model, config.num_layers
        self.token_embedding = TokenEmbedding(V, D)
        self.position_embedding = (
            None if config.positions != "learned" else LearnedPositionalEmbedding(config.block_size, D)
        )
        block_args = (D, config.num_heads, config.d_ff, config.dropout, config.bias, config.norm_first)
        self.blocks = nn.ModuleList(TransformerBlock(*block_args) for _ in range(L))
        self.final_norm = LayerNorm(D, bias=config.bias)
        self.lm_head = Linear(D, V, bias=False)
        self.emb_drop = nn.Dropout(config.dropout)

        def normal(t, std):
            t.detach().normal_(std=std)

        for p in self.parameters():
            if p.dim() == 2:
                normal(p, 0.02)
        for b in self.blocks:
            normal(b.attention.out_proj.weight, 0.02 / (2 * L) ** 0.5)
            normal(b.feedforward.down_proj.weight, 0.02 / (2 * L) ** 0.5)
        for n, p in self.named_parameters():
            if n.endswith(".bias"):
                p.detach().zero_()
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight

    def forward(self, ids):
        S = ids.shape[1]
        if S > self.config.block_size:
            raise ValueError(f"seq of {S} tokens does not fit block_size {self.config.block_size}")
        z = self.token_embedding(ids)
        if self.position_embedding is not None:
            z = z + self.position_embedding(seq_len=S)
        if self.config.positions == "sinusoidal":
            z = z + sinusoidal_positions(S, z.shape[-1], dtype=z.dtype, device=z.device)
        z = self.emb_drop(z)
        for b in self.blocks:
            z = b(z, causal_mask(S, device=z.device))
        return self.lm_head(self.final_norm(z))


# %% every-projection-made-small
# idiom = "nanoGPT"
# slips = ["all-projections-smaller"]
# wrong = "All names that end in proj.weight get the small start of the residual projections, so query, key, value and up_proj get it too."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.register_module("position_embedding", None)
        if config.positions == "learned":
            self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                config.d_model,
                config.num_heads,
                config.d_ff,
                config.dropout,
                norm_first=config.norm_first,
                bias=config.bias,
            )
            for _ in range(config.num_layers)
        )
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        self.drop = nn.Dropout(config.dropout)
        for module in self.modules():
            if isinstance(module, Linear | TokenEmbedding | LearnedPositionalEmbedding):
                nn.init.normal_(module.weight, mean=0.0, std=0.02)
                if isinstance(module, (Linear, LayerNorm)) and module.bias is not None:
                    nn.init.zeros_(module.bias)
        for pn, p in self.named_parameters():
            if pn.endswith("proj.weight"):
                nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * config.num_layers))
        if config.tie_weights:
            self.token_embedding.weight = self.lm_head.weight

    def forward(self, ids):
        t = ids.size(-1)
        if not t <= self.config.block_size:
            raise ValueError(f"seq is {t} but block_size is {self.config.block_size}")
        emb = self.token_embedding(ids)
        pos = {
            "learned": lambda: self.position_embedding(t),
            "sinusoidal": lambda: sinusoidal_positions(
                t, self.config.d_model, dtype=emb.dtype, device=emb.device
            ),
            "none": lambda: 0.0,
        }[self.config.positions]()
        x = self.drop(emb + pos)
        mask = causal_mask(t, device=ids.device)
        for block in self.blocks:
            x = block(x, mask)
        return self.lm_head(self.final_norm(x))


# %% sinusoids-made-once-in-float32
# idiom = "LLM-written"
# slips = ["sinusoids-on-the-default-device"]
# wrong = "The table of sinusoids is a plain attribute made in __init__, so it does not follow the model to another dtype or device."
class TransformerLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.position_embedding = None
        self.pos_table = None
        if config.positions == "learned":
            self.position_embedding = LearnedPositionalEmbedding(config.block_size, config.d_model)
        elif config.positions == "sinusoidal":
            self.pos_table = sinusoidal_positions(config.block_size, config.d_model)
        self.embedding_dropout = nn.Dropout(p=config.dropout)
        self.blocks = nn.ModuleList()
        for index in range(config.num_layers):
            block = TransformerBlock(
                config.d_model,
                config.num_heads,
                config.d_ff,
                dropout=config.dropout,
                norm_first=config.norm_first,
                bias=config.bias,
            )
            self.blocks.add_module(str(index), block)
        self.final_norm = LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.token_embedding.weight
        self._reset()

    def _reset(self):
        scaled = {
            id(w) for b in self.blocks for w in (b.attention.out_proj.weight, b.feedforward.down_proj.weight)
        }
        for name, p in self.named_parameters():
            if p.ndim < 2:
                (nn.init.zeros_ if name.endswith("bias") else nn.init.ones_)(p)
            else:
                std = 0.02 / math.sqrt(2 * self.config.num_layers) if id(p) in scaled else 0.02
                nn.init.normal_(p, mean=0.0, std=std)

    def forward(self, ids):
        _, length = ids.shape
        if length > self.config.block_size:
            raise ValueError(f"Input seq length {length} exceeds block_size {self.config.block_size}")
        out = self.token_embedding(ids)
        if self.position_embedding is not None:
            out = out + self.position_embedding(length)
        elif self.pos_table is not None:
            out = out + self.pos_table[:length]
        out = self.embedding_dropout(out)
        mask = causal_mask(length, device=out.device)
        for block in self.blocks:
            out = block(out, mask=mask)
        return self.lm_head(self.final_norm(out))


# %% counted-in-the-state-dict
# idiom = "StackOverflow"
# slips = ["state-dict-counted"]
# wrong = "The state dict holds a tied weight under two names and the buffers too, so both are counted."
def count_parameters(model, include_embeddings=True):
    total = sum(v.numel() for v in model.state_dict().values())
    if include_embeddings:
        return total
    tables = [model.token_embedding, model.position_embedding]
    return total - sum(t.weight.numel() for t in tables if t is not None)


# %% only-what-is-trained
# idiom = "StackOverflow"
# slips = ["only-trained-ones-counted"]
# wrong = "Parameters that do not require a gradient are left out, so a frozen model has none."
def count_parameters(model, include_embeddings=True):
    skip = set()
    if not include_embeddings:
        skip = {
            id(p)
            for m in (model.token_embedding, model.position_embedding)
            if m is not None
            for p in m.parameters()
        }
    return sum(p.numel() for p in model.parameters() if p.requires_grad and id(p) not in skip)


# %% head-never-counts
# idiom = "CS336 students"
# slips = ["head-always-left-out"]
# wrong = "Without the embeddings the head is left out by its name, also if it is not tied to the table."
def count_parameters(model, include_embeddings=True):
    n = 0
    for name, param in model.named_parameters():
        if not include_embeddings and name.startswith(
            ("token_embedding.", "position_embedding.", "lm_head.")
        ):
            continue
        size = 1
        for extent in param.shape:
            size *= extent
        n += size
    return n


# %% minus-the-positions-only
# idiom = "nanoGPT"
# slips = ["tokens-counted"]
# wrong = "Only the table of positions is subtracted, since with a tied head the token table does work in the last layer: it should be left out."
def count_parameters(model, include_embeddings=True):
    n_params = sum(p.numel() for p in model.parameters())
    if not include_embeddings and model.position_embedding is not None:
        n_params -= model.position_embedding.weight.numel()
    return n_params
