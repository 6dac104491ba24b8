# %% three-axes-unpacked
# idiom = "nanoGPT"
# slips = ["three-axes-unpacked"]
# wrong = "Exactly three axes are unpacked: it stops at a sequence without a batch axis."
def split_heads(x, num_heads):
    B, T, C = x.size()
    check(C, num_heads)
    return x.view(B, T, num_heads, C // num_heads).transpose(1, 2)  # (B, nh, T, hs)


def check(n_embd, n_head):
    if n_head <= 0 or n_embd % n_head != 0:
        raise ValueError(f"n_embd {n_embd} is not a multiple of n_head {n_head}")


# %% heads-behind-the-positions
# idiom = "labml"
# slips = ["heads-left-behind-the-positions", "heads-stacked-as-axis-one"]
# wrong = "The heads stay behind the positions: the result is (*batch, seq, heads, d_head)."
def split_heads(x, num_heads):
    _check_heads(x.shape[-1], num_heads)
    head_shape = x.shape[:-1]
    d_k = x.shape[-1] // num_heads
    return x.reshape(*head_shape, num_heads, d_k)


# %% heads-last
# idiom = "x-transformers"
# slips = ["features-dealt-in-turn"]
# wrong = "The pattern is (d h) where it should be (h d): each head gets every num_heads-th feature."
def split_heads(x, num_heads):
    h = num_heads
    _check_heads(x.shape[-1], h)
    t = x.unflatten(-1, (x.shape[-1] // h, h))
    return t.movedim(-1, -3)


# %% reshaped-at-once
# idiom = "CS336 students"
# slips = ["heads-split-by-view"]
# wrong = "Reshaped straight to (heads, seq, d_head): a head gets positions instead of features."
def split_heads(x, num_heads):
    *batch_dims, seq_len, d_model = x.shape
    _check_heads(d_model, num_heads)
    return x.reshape(*batch_dims, num_heads, seq_len, d_model // num_heads)


# %% concatenated-for-one-batch-axis
# idiom = "annotated transformer"
# slips = ["merge-with-one-batch-axis"]
# wrong = "The axes are counted from the front, for exactly one batch axis."
def merge_heads(x):
    nbatches, h, d_k = x.size(0), x.size(1), x.size(-1)
    return x.transpose(1, 2).contiguous().view(nbatches, -1, h * d_k)


# %% glued-without-transpose
# idiom = "rasbt"
# slips = ["merge-without-transpose"]
# wrong = "The heads are not moved back before the view: features of different positions are joined."
def merge_heads(x):
    num_heads, num_tokens, head_dim = x.shape[-3:]
    d_out = num_heads * head_dim
    context_vec = x.contiguous().view(*x.shape[:-3], num_tokens, d_out)
    return context_vec


# %% residual-dropout-too
# idiom = "minGPT"
# slips = ["dropout-on-the-output", "dropout-on-the-output-too"]
# wrong = "The output is dropped besides the attention weights."
class MultiHeadAttention:
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        _check_heads(d_model, num_heads)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} must be in [0, 1)")
        self.query_proj = Linear(d_model, d_model, bias)
        self.key_proj = Linear(d_model, d_model, bias)
        self.value_proj = Linear(d_model, d_model, bias)
        self.out_proj = Linear(d_model, d_model, bias)
        self.attn_dropout = nn.Dropout(dropout)
        self.resid_dropout = nn.Dropout(dropout)
        self.num_heads = num_heads

    def forward(self, x, mask=None):
        att = self.attn_dropout(self.attention_weights(x, mask))
        v = split_heads(self.value_proj(x), self.num_heads)
        y = merge_heads(att @ v)
        return self.resid_dropout(self.out_proj(y))


# %% scale-of-the-whole-width
# idiom = "x-transformers"
# slips = ["scale-by-d-model"]
# wrong = "The scale is d_model ** -0.5 where that of a head belongs."
import torch


class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        h, scale = self.num_heads, x.shape[-1] ** -0.5
        q, k = (proj(x).unflatten(-1, (h, -1)) for proj in (self.query_proj, self.key_proj))
        sim = torch.einsum("... i h d, ... j h d -> ... h i j", q, k) * scale
        return attend(sim, None if mask is None else mask.unsqueeze(-3))


def attend(sim, mask):
    if mask is None:
        return sim.softmax(dim=-1)
    attn = sim.masked_fill(~mask, -torch.finfo(sim.dtype).max).softmax(dim=-1)
    return attn.masked_fill(~mask, 0.0)


# %% mask-against-the-heads
# idiom = "CS336 students"
# slips = ["mask-without-head-axis"]
# wrong = "The mask gets no axis for the heads, so its batch axis meets the heads."
class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        n_h = self.num_heads
        Q = split_heads(self.query_proj.forward(x), n_h)
        K = split_heads(self.key_proj.forward(x), n_h)
        return attention_weights(query=Q, key=K, mask=mask)


# %% same-mask-for-all-heads
# idiom = "annotated transformer"
# slips = ["head-axis-counted-from-the-front"]
# wrong = "unsqueeze(1) puts the axis of the heads right for exactly one batch axis in the mask."
class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        if mask is not None:
            # Same mask applied to all h heads.
            mask = mask.unsqueeze(1)
        query, key = [split_heads(lin(x), self.num_heads) for lin in (self.query_proj, self.key_proj)]
        return attention_weights(query, key, mask)


# %% output-with-bias
# idiom = "rasbt"
# slips = ["bias-not-passed-on"]
# wrong = "Only queries, keys and values take `bias`: out_proj always has one."
class MultiHeadAttention:
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        _check_heads(d_model, num_heads)
        if dropout < 0 or dropout >= 1:
            raise ValueError("dropout: " + str(dropout))
        qkv_bias = bias
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.query_proj = Linear(d_model, d_model, bias=qkv_bias)
        self.key_proj = Linear(d_model, d_model, bias=qkv_bias)
        self.value_proj = Linear(d_model, d_model, bias=qkv_bias)
        self.out_proj = Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)


# %% one-projection-for-three
# idiom = "nanoGPT"
# wrong = "Queries, keys and values are one fused projection, so the names in the state dict are others."
class MultiHeadAttention:
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        _check_heads(d_model, num_heads)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}")
        self.n_head, self.n_embd = num_heads, d_model
        self.c_attn = Linear(d_model, 3 * d_model, bias)
        self.out_proj = Linear(d_model, d_model, bias)
        self.attn_dropout = nn.Dropout(dropout)

    def attention_weights(self, x, mask=None):
        q, k, _ = self.c_attn(x).split(self.n_embd, dim=-1)
        mask = None if mask is None else mask.unsqueeze(-3)
        return attention_weights(split_heads(q, self.n_head), split_heads(k, self.n_head), mask)

    def forward(self, x, mask=None):
        _, _, v = self.c_attn(x).split(self.n_embd, dim=-1)
        att = self.attn_dropout(self.attention_weights(x, mask))
        return self.out_proj(merge_heads(att @ split_heads(v, self.n_head)))


# %% clones-of-a-projection
# idiom = "annotated transformer"
# wrong = "The projections are called linears.0 to linears.3 in the state dict."
import copy


class MultiHeadAttention:
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        _check_heads(d_model, num_heads)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}")
        self.h = num_heads
        self.linears = clones(Linear(d_model, d_model, bias), 4)
        self.dropout = nn.Dropout(p=dropout)

    def attention_weights(self, x, mask=None):
        query, key = [split_heads(lin(x), self.h) for lin in self.linears[:2]]
        return attention_weights(query, key, None if mask is None else mask.unsqueeze(-3))

    def forward(self, x, mask=None):
        value = split_heads(self.linears[2](x), self.h)
        x = merge_heads(self.dropout(self.attention_weights(x, mask)) @ value)
        return self.linears[-1](x)


def clones(module, N):
    return nn.ModuleList([copy.deepcopy(module) for _ in range(N)])


# %% functional-dropout
# idiom = "CS336 students"
# slips = ["dropout-in-evaluation"]
# wrong = "F.dropout without training=self.training drops in evaluation too."
import torch.nn.functional as F


class MultiHeadAttention:
    def forward(self, x, mask=None):
        attn = F.dropout(self.attention_weights(x, mask), self.dropout.p)
        out = attn @ split_heads(self.value_proj(x), self.num_heads)
        return self.out_proj(merge_heads(out))


# %% dropout-made-in-forward
# idiom = "CS336 students"
# wrong = "A new nn.Dropout is made in each call, which is always in training mode."
# slips = ["dropout-in-evaluation", "dropout-made-in-forward"]
class MultiHeadAttention:
    def forward(self, x, mask=None):
        weights = nn.Dropout(self.dropout.p)(self.attention_weights(x, mask))
        return self.out_proj(merge_heads(weights @ split_heads(self.value_proj(x), self.num_heads)))


# %% flash-with-dropout-always
# idiom = "nanoGPT"
# slips = ["dropout-in-evaluation"]
# wrong = "dropout_p is given in evaluation too."
import torch


class MultiHeadAttention:
    def forward(self, x, mask=None):
        q, k, v = (
            split_heads(p(x), self.num_heads) for p in (self.query_proj, self.key_proj, self.value_proj)
        )
        if mask is not None:
            mask = mask.unsqueeze(-3)
        y = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=self.dropout.p
        )
        return self.out_proj(merge_heads(y))


# %% asserted-to-divide
# idiom = "nanoGPT"
# wrong = "An assert refuses the number of heads: AssertionError where ValueError is asked for."
class MultiHeadAttention:
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        assert d_model % num_heads == 0
        self.query_proj = Linear(d_model, d_model, bias)
        self.key_proj = Linear(d_model, d_model, bias)
        self.value_proj = Linear(d_model, d_model, bias)
        self.out_proj = Linear(d_model, d_model, bias)
        self.dropout = nn.Dropout(dropout)
        self.num_heads = num_heads


# %% key-asks-query
# idiom = "karpathy's lectures"
# slips = ["query-and-key-exchanged"]
# wrong = "k and q are unpacked in the wrong order: the keys ask."
class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        k, q = self.qk(x)
        if mask is not None:
            mask = mask[..., None, :, :]
        return attention_weights(q, k, mask)

    def qk(self, x):
        return [split_heads(layer(x), self.num_heads) for layer in (self.query_proj, self.key_proj)]


# %% heads-one-after-the-other
# idiom = "karpathy's lectures"
# slips = ["no-output-projection"]
# wrong = "The heads are joined and returned: out_proj is never used."
import torch


class MultiHeadAttention:
    def forward(self, x, mask=None):
        wei = self.dropout(self.attention_weights(x, mask))
        v = self.value_proj(x).chunk(self.num_heads, dim=-1)
        return torch.cat([wei[..., h, :, :] @ v[h] for h in range(self.num_heads)], dim=-1)


# %% wrong-scale-and-residual-dropout
# idiom = "minGPT"
# slips = ["scale-by-d-model", "dropout-on-the-output"]
# wrong = "Two mistakes: the scores are divided by √d_model, and the output is dropped instead of the weights."
import math


class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        q = split_heads(self.query_proj(x), self.num_heads)
        k = split_heads(self.key_proj(x), self.num_heads)
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(x.size(-1)))
        if mask is not None:
            att = att.masked_fill(mask.unsqueeze(-3) == 0, float("-inf"))
        return softmax(att, dim=-1)

    def forward(self, x, mask=None):
        y = self.attention_weights(x, mask) @ split_heads(self.value_proj(x), self.num_heads)
        return self.dropout(self.out_proj(merge_heads(y)))


from katas.k01_attention.attention import softmax


# %% mask-in-front-and-dropped-scores
# idiom = "labml"
# slips = ["head-axis-counted-from-the-front", "scores-dropped"]
# wrong = "Two mistakes: the mask's axis for the heads is axis 1, and forward drops the queries, not the weights."
class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        query = self.dropout(split_heads(self.query_proj(x), self.num_heads))
        key = split_heads(self.key_proj(x), self.num_heads)
        return attention_weights(query, key, mask if mask is None else mask.unsqueeze(1))

    def forward(self, x, mask=None):
        value = split_heads(self.value_proj(x), self.num_heads)
        return self.out_proj(merge_heads(self.attention_weights(x, mask) @ value))


# %% right-weights-stacked
# idiom = "nanoGPT"
import torch
import torch.nn.functional as F


class MultiHeadAttention:
    def forward(self, x, mask=None):
        w = torch.cat([p.weight for p in self.parts()])
        b = torch.cat([p.bias for p in self.parts()]) if self.out_proj.bias is not None else None
        q, k, v = (split_heads(t, self.num_heads) for t in F.linear(x, w, b).chunk(3, dim=-1))
        p = self.dropout.p if self.training else 0.0
        mask = None if mask is None else mask.unsqueeze(-3)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
        return self.out_proj(merge_heads(y))

    def parts(self):
        return self.query_proj, self.key_proj, self.value_proj


# %% right-by-einsum
# idiom = "x-transformers"
# whole = true
import torch


def default(val, d):
    return d if val is None else val


class MultiHeadAttention:
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        heads_of(d_model, num_heads)
        if not (0.0 <= dropout < 1.0):
            raise ValueError(f"attention dropout {dropout} is not in [0, 1)")
        self.heads = num_heads
        for name in ("query", "key", "value", "out"):
            setattr(self, f"{name}_proj", Linear(d_model, d_model, bias))
        self.attn_dropout = nn.Dropout(dropout)

    def attention_weights(self, x, mask=None):
        q, k = split_heads(self.query_proj(x), self.heads), split_heads(self.key_proj(x), self.heads)
        sim = torch.einsum("... i d, ... j d -> ... i j", q, k) * q.shape[-1] ** -0.5
        mask = default(mask, torch.ones((), dtype=torch.bool, device=x.device).expand(1, 1)).unsqueeze(-3)
        sim = sim.masked_fill(~mask, -torch.finfo(sim.dtype).max)
        return sim.softmax(dim=-1).masked_fill(~mask, 0.0)

    def forward(self, x, mask=None):
        attn = self.attn_dropout(self.attention_weights(x, mask))
        out = torch.einsum(
            "... h i j, ... h j d -> ... h i d", attn, split_heads(self.value_proj(x), self.heads)
        )
        return self.out_proj(merge_heads(out))


def merge_heads(x):
    return torch.cat(x.unbind(dim=-3), dim=-1)


def heads_of(dim, heads):
    if heads < 1 or dim % heads:
        raise ValueError(f"dimension {dim} cannot be divided into {heads} heads")
    return dim // heads


def split_heads(x, num_heads):
    dim_head = heads_of(x.shape[-1], num_heads)
    return torch.stack(x.split(dim_head, dim=-1), dim=-3)


# %% right-head-by-head
# idiom = "rasbt"
import torch


class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        queries = self.query_proj(x).chunk(self.num_heads, dim=-1)
        keys = self.key_proj(x).chunk(self.num_heads, dim=-1)
        per_head = [attention_weights(q, k, mask) for q, k in zip(queries, keys)]
        return torch.stack(per_head, dim=-3)


# %% causal-whatever-the-mask
# idiom = "nanoGPT"
# slips = ["always-causal"]
# wrong = "It is always causal, in forward as in the weights, whatever the mask says."
import torch
import torch.nn.functional as F


class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        T = x.size(-2)
        q = split_heads(self.query_proj(x), self.num_heads)
        k = split_heads(self.key_proj(x), self.num_heads)
        tril = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
        if mask is not None:
            tril = tril & mask.unsqueeze(-3)
        return attention_weights(q, k, tril)


# %% masked-where-true
# idiom = "labml"
# slips = ["mask-inverted"]
# wrong = "True in the mask hides, so what is to be seen is hidden and the other way round."
import torch


class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        q = split_heads(self.query_proj(x), self.num_heads)
        k = split_heads(self.key_proj(x), self.num_heads)
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(mask.unsqueeze(-3), float("-inf"))
        return torch.softmax(scores, dim=-1).nan_to_num(0.0)


# %% minus-a-billion
# idiom = "annotated transformer"
# slips = ["mask-not-low-enough"]
# wrong = "Hidden scores are -1e9, so a position that may attend to nothing reads all alike."
class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        h = self.num_heads
        query, key = split_heads(self.query_proj(x), h), split_heads(self.key_proj(x), h)
        d_k = query.size(-1)
        scores = query @ key.transpose(-2, -1) / d_k**0.5
        if mask is not None:
            scores = scores.masked_fill(mask.unsqueeze(-3) == 0, -1e9)
        return scores.softmax(dim=-1)


# %% heads-before-the-three
# idiom = "GPT-NeoX"
# slips = ["triples-taken-head-by-head"]
# wrong = "What is projected as all queries, all keys, all values is read as one triple for each head."
import torch
import torch.nn.functional as F


class MultiHeadAttention:
    def _qkv(self, x):
        projections = (self.query_proj, self.key_proj, self.value_proj)
        weight = torch.cat([p.weight for p in projections])
        bias = None if self.query_proj.bias is None else torch.cat([p.bias for p in projections])
        qkv = F.linear(x, weight, bias)
        qkv = qkv.view(*x.shape[:-1], self.num_heads, 3 * x.shape[-1] // self.num_heads)
        return [part.transpose(-3, -2) for part in qkv.chunk(3, dim=-1)]

    def attention_weights(self, x, mask=None):
        q, k, _ = self._qkv(x)
        return attention_weights(q, k, mask if mask is None else mask.unsqueeze(-3))

    def forward(self, x, mask=None):
        _, _, v = self._qkv(x)
        return self.out_proj(merge_heads(self.dropout(self.attention_weights(x, mask)) @ v))


# %% viewed-without-moving-the-heads
# idiom = "CS336 student"
# slips = ["heads-flattened-where-they-are"]
# wrong = "forward flattens the heads without moving them behind the positions."
class MultiHeadAttention:
    def forward(self, x, mask=None):
        weights = self.dropout(self.attention_weights(x, mask))
        v = split_heads(self.value_proj(x), self.num_heads)
        out = (weights @ v).contiguous().view(x.shape)
        return self.out_proj(out)


# %% weights-returned-after-dropout
# idiom = "labml"
# slips = ["dropped-weights-shown"]
# wrong = "attention_weights drops weights in training; they were to be shown whole."
class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        query = split_heads(self.query_proj(x), self.num_heads)
        key = split_heads(self.key_proj(x), self.num_heads)
        attn = attention_weights(query, key, None if mask is None else mask.unsqueeze(-3))
        return self.dropout(attn)

    def forward(self, x, mask=None):
        attn = self.attention_weights(x, mask)
        value = split_heads(self.value_proj(x), self.num_heads)
        return self.out_proj(merge_heads(attn @ value))


# %% dropped-by-hand-and-not-scaled
# idiom = "d2l"
# slips = ["kept-weights-not-divided", "kept-weights-not-divided-drawn-alike"]
# wrong = "The weights that are kept are not divided by 1 - dropout."
import torch


class MultiHeadAttention:
    def forward(self, x, mask=None):
        attn = self.attention_weights(x, mask)
        if self.training:
            keep = torch.rand(attn.shape, device=attn.device) > self.dropout.p
            attn = attn * keep
        v = split_heads(self.value_proj(x), self.num_heads)
        return self.out_proj(merge_heads(attn @ v))


# %% weights-averaged-over-the-heads
# idiom = "torch.nn.MultiheadAttention"
# slips = ["weights-averaged-over-heads"]
# wrong = "The weights are the mean over the heads; each head was to have its own."
class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        q = split_heads(self.query_proj(x), self.num_heads)
        k = split_heads(self.key_proj(x), self.num_heads)
        w = attention_weights(q, k, None if mask is None else mask.unsqueeze(-3))
        return w.mean(dim=-3, keepdim=True).expand_as(w)


# %% residual-inside
# idiom = "d2l"
# slips = ["input-added"]
# wrong = "x is added to the output, which is the block's to do."
class MultiHeadAttention:
    def forward(self, x, mask=None):
        identity = x
        values = split_heads(self.value_proj(x), self.num_heads)
        heads = self.dropout(self.attention_weights(x, mask)) @ values
        return identity + self.out_proj(merge_heads(heads))


# %% scaled-before-and-after
# idiom = "x-transformers"
# slips = ["scaled-twice"]
# wrong = "The queries are scaled by 1/√d_head, and the scores once more."
class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        h, scale = self.num_heads, (x.shape[-1] // self.num_heads) ** -0.5
        q, k = (split_heads(t, h) for t in (self.query_proj(x), self.key_proj(x)))
        q = q * scale
        if mask is not None:
            mask = mask.unsqueeze(-3)
        return attention_weights(q, k, mask)


# %% one-layer-four-times
# idiom = "annotated transformer"
# slips = ["one-projection-under-four-names", "query-and-key-share-a-projection"]
# wrong = "The four projections are the same layer under four names."
class MultiHeadAttention:
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        _check_heads(d_model, num_heads)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout = {dropout}")
        self.num_heads = num_heads
        linears = clones(Linear(d_model, d_model, bias), 4)
        self.query_proj, self.key_proj, self.value_proj, self.out_proj = linears
        self.dropout = nn.Dropout(dropout)


def clones(module, N):
    return [module for _ in range(N)]


# %% chunks-stacked-in-front
# idiom = "rasbt"
# slips = ["heads-left-behind-the-positions", "heads-stacked-as-axis-one"]
# wrong = "The heads become axis 1 whatever the batch axes are: right for exactly one of them."
import torch


def split_heads(x, num_heads):
    _check_heads(x.shape[-1], num_heads)
    d_head = x.shape[-1] // num_heads
    heads = [x[..., i * d_head : (i + 1) * d_head] for i in range(num_heads)]
    return torch.stack(heads, dim=1)


# %% merged-as-features-of-heads
# idiom = "einops"
# slips = ["merge-takes-turns"]
# wrong = "The pattern is (d h) in merging, so the features of the heads alternate."
def merge_heads(x):
    *batch, h, s, d = x.shape
    return x.movedim(-3, -1).reshape(*batch, s, d * h)


# %% values-dropped
# idiom = "CS336 student"
# slips = ["values-dropped"]
# wrong = "The values are dropped instead of the attention weights."
class MultiHeadAttention:
    def forward(self, x, mask=None):
        v = self.dropout(split_heads(self.value_proj(x), self.num_heads))
        return self.out_proj(merge_heads(self.attention_weights(x, mask) @ v))


# %% flash-for-a-decoder
# idiom = "nanoGPT"
# slips = ["always-causal"]
# wrong = "forward is always causal and never looks at the mask."
import torch.nn.functional as F


class MultiHeadAttention:
    def forward(self, x, mask=None):
        q, k, v = map(self.heads, (self.query_proj, self.key_proj, self.value_proj), [x] * 3)
        # efficient attention using Flash Attention CUDA kernels
        p = self.dropout.p if self.training else 0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=p, is_causal=True)
        return self.out_proj(merge_heads(y))

    def heads(self, proj, x):
        return split_heads(proj(x), self.num_heads)


# %% boolean-mask-added
# idiom = "labml"
# slips = ["mask-added-as-ones"]
# wrong = "The mask is added to the scores as numbers: what is visible gains 1, and nothing is hidden."
class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        query = split_heads(self.query_proj(x), self.num_heads)
        key = split_heads(self.key_proj(x), self.num_heads)
        scores = query @ key.mT / query.shape[-1] ** 0.5
        if mask is not None:
            scores = scores + mask.unsqueeze(-3).to(scores.dtype)
        return scores.softmax(dim=-1)


# %% root-of-the-length
# idiom = "annotated transformer"
# slips = ["scale-by-the-length"]
# wrong = "The scores are divided by the root of the sequence's length, not of a head's width."
import math


class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        query, key = [split_heads(lin(x), self.num_heads) for lin in (self.query_proj, self.key_proj)]
        return attention(query, key, mask)


def attention(query, key, mask=None):
    d_k = query.size(-2)
    scores = (query @ key.transpose(-2, -1)) / math.sqrt(d_k)
    if mask is None:
        return scores.softmax(dim=-1)
    mask = mask.unsqueeze(-3)
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1).masked_fill(~mask, 0.0)


# %% softmax-over-axis-one
# idiom = "karpathy's lectures"
# slips = ["softmax-over-axis-one"]
# wrong = "The softmax is over axis 1: with one batch axis these are the heads, not the keys."
import torch.nn.functional as F


class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        q = split_heads(self.query_proj(x), self.num_heads)
        k = split_heads(self.key_proj(x), self.num_heads)
        wei = q @ k.transpose(-2, -1) * k.shape[-1] ** -0.5
        if mask is not None:
            wei = wei.masked_fill(~mask.unsqueeze(-3), float("-inf"))
        return F.softmax(wei, dim=1).nan_to_num(0.0)


# %% summed-over-the-queries
# idiom = "einsum"
# slips = ["weights-transposed"]
# wrong = "The sum is over the queries: each position gets what its key gave away, weighted by the columns."
import torch


class MultiHeadAttention:
    def forward(self, x, mask=None):
        attn = self.dropout(self.attention_weights(x, mask))
        v = self.value_proj(x).unflatten(-1, (self.num_heads, -1))
        out = torch.einsum("...hij,...ihd->...jhd", attn, v)
        return self.out_proj(out.flatten(-2))


# %% mask-repeated-for-the-heads
# idiom = "d2l"
# slips = ["mask-of-the-next-sequence"]
# wrong = "Batch and heads are one axis, batch first, but the mask is repeated with the heads first."
import torch


class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        *batch, seq, _ = x.shape
        x = x.reshape(-1, seq, x.shape[-1])
        queries = transpose_qkv(self.query_proj(x), self.num_heads)
        keys = transpose_qkv(self.key_proj(x), self.num_heads)
        scores = torch.bmm(queries, keys.transpose(1, 2)) / queries.shape[-1] ** 0.5
        if mask is not None:
            mask = mask.expand(*batch, seq, seq).reshape(-1, seq, seq)
            mask = mask.repeat(self.num_heads, 1, 1)
            scores = scores.masked_fill(~mask, float("-inf"))
        return scores.softmax(dim=-1).nan_to_num(0.0).reshape(*batch, self.num_heads, seq, seq)


def transpose_qkv(X, num_heads):
    X = X.reshape(X.shape[0], X.shape[1], num_heads, -1).permute(0, 2, 1, 3)
    return X.reshape(-1, X.shape[2], X.shape[3])


# %% head-size-for-the-number
# idiom = "karpathy's lectures"
# slips = ["number-of-heads-for-their-width"]
# wrong = "num_heads is taken for the width of a head: there are d_model / num_heads heads that wide."
def split_heads(x, num_heads):
    _check_heads(x.shape[-1], num_heads)
    head_size = num_heads
    heads = x.split(head_size, dim=-1)
    return torch.stack(heads, dim=-3)


import torch


# %% keys-without-a-bias
# idiom = "Whisper"
# slips = ["key-without-bias"]
# wrong = "key_proj never has a bias."
class MultiHeadAttention:
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        _check_heads(d_model, num_heads)
        self.num_heads = num_heads
        self.query_proj = Linear(d_model, d_model, bias=bias)
        self.key_proj = Linear(d_model, d_model, bias=False)
        self.value_proj = Linear(d_model, d_model, bias=bias)
        self.out_proj = Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)


# %% share-that-is-kept
# idiom = "TensorFlow 1"
# slips = ["dropout-as-the-share-kept"]
# wrong = "dropout is taken for the share that is kept."
class MultiHeadAttention:
    def forward(self, x, mask=None):
        weights = self.attention_weights(x, mask)
        if self.training and self.dropout.p > 0:
            weights = nn.functional.dropout(weights, p=1 - self.dropout.p)
        value = split_heads(self.value_proj(x), self.num_heads)
        return self.out_proj(merge_heads(weights @ value))


# %% weights-only-to-be-looked-at
# idiom = "labml"
# slips = ["weights-without-gradients"]
# wrong = "The weights are computed without gradients, so query_proj and key_proj never learn."
import torch


class MultiHeadAttention:
    @torch.no_grad()
    def attention_weights(self, x, mask=None):
        q, k = (split_heads(p(x), self.num_heads) for p in (self.query_proj, self.key_proj))
        return attention_weights(q, k, mask[..., None, :, :] if mask is not None else None)


# %% keys-pasted-for-values
# idiom = "CS336 students"
# slips = ["keys-for-values"]
# wrong = "What the heads read are the keys: value_proj is never used."
class MultiHeadAttention:
    def forward(self, x, mask=None):
        attn = self.dropout(self.attention_weights(x, mask))
        V = split_heads(self.key_proj(x), self.num_heads)
        return self.out_proj(merge_heads(attn @ V))


# %% head-axis-put-in-place
# idiom = "x-transformers"
# slips = ["mask-changed-in-place"]
# wrong = "unsqueeze_ changes the caller's mask, which has an axis more after the call."
class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        q = split_heads(self.query_proj(x), self.num_heads)
        k = split_heads(self.key_proj(x), self.num_heads)
        if mask is not None:
            mask.unsqueeze_(-3)
        return attention_weights(q, k, mask)


# %% weights-times-the-mask
# idiom = "d2l"
# slips = ["mask-after-the-softmax"]
# wrong = "The mask comes after the softmax, so the visible weights of a row do not add up to 1."
class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        q = split_heads(self.query_proj(x), self.num_heads)
        k = split_heads(self.key_proj(x), self.num_heads)
        attention = attention_weights(q, k)
        return attention if mask is None else attention * mask[..., None, :, :]


# %% right-slices-of-the-matrices
# idiom = "mechanistic interpretability"
import torch


class MultiHeadAttention:
    def forward(self, x, mask=None):
        pattern = self.dropout(self.attention_weights(x, mask))
        W_V = self.value_proj.weight.unflatten(0, (self.num_heads, -1))
        W_O = self.out_proj.weight.unflatten(1, (self.num_heads, -1))
        v = torch.einsum("...pm,hdm->...hpd", x, W_V)
        if self.value_proj.bias is not None:
            v = v + self.value_proj.bias.unflatten(0, (self.num_heads, 1, -1))
        out = torch.einsum("...hqk,...hkd,mhd->...qm", pattern, v, W_O)
        return out if self.out_proj.bias is None else out + self.out_proj.bias


# %% right-heads-in-the-batch
# idiom = "d2l"
import torch


class MultiHeadAttention:
    def attention_weights(self, x, mask=None):
        *batch, seq, d = x.shape
        flat = x.reshape(-1, seq, d)
        q, k = (transpose_qkv(p(flat), self.num_heads) for p in (self.query_proj, self.key_proj))
        if mask is not None:
            mask = (
                mask.expand(*batch, seq, seq).reshape(-1, seq, seq).repeat_interleave(self.num_heads, dim=0)
            )
        return attention_weights(q, k, mask).reshape(*batch, self.num_heads, seq, seq)


def transpose_qkv(X, num_heads):
    X = X.reshape(X.shape[0], X.shape[1], num_heads, -1).permute(0, 2, 1, 3)
    return X.reshape(-1, X.shape[2], X.shape[3])


# %% view-straight-to-heads
# idiom = "StackOverflow"
# slips = ["heads-split-by-view"]
# wrong = "The features are viewed directly as (heads, seq, d_head) without a transpose, so a head gets whole positions instead of a slice of each."
def split_heads(x, num_heads):
    *lead, T, C = x.size()
    if C % num_heads:
        raise ValueError(f"d_model ({C}) is not divisible by num_heads ({num_heads})")
    return x.contiguous().view(*lead, num_heads, T, C // num_heads)


# %% dealt-like-cards
# idiom = "CS336 students"
# slips = ["features-dealt-in-turn"]
# wrong = "Head h takes every num_heads-th feature, starting at h, instead of a run of neighbours."
import torch


def split_heads(x, num_heads):
    d_head, rest = divmod(x.shape[-1], num_heads)
    if rest != 0:
        raise ValueError(f"d_model={x.shape[-1]} cannot be split into num_heads={num_heads}")
    pieces = [x[..., h::num_heads] for h in range(num_heads)]
    return torch.stack(pieces, dim=-3)


# %% split-without-asking
# idiom = "LLM-written"
# slips = []
# wrong = "Whether num_heads divides d_model is not checked: 10 features for 4 heads silently become 5 heads of 2."
import torch


def split_heads(x, num_heads):
    head_size = x.size(-1) // num_heads
    return torch.stack(x.split(head_size, dim=-1), dim=-3)


# %% merge-by-reshape-alone
# idiom = "StackOverflow"
# slips = ["merge-without-transpose"]
# wrong = "Heads and positions are not swapped back before the reshape, so a position gets the features of other positions."
import torch


def merge_heads(x):
    H, S, D = x.shape[-3:]
    return torch.reshape(x, tuple(x.shape[:-3]) + (S, H * D))


# %% merge-four-axes-only
# idiom = "minGPT"
# slips = []
# wrong = "It unpacks exactly four axes: an input without a batch axis, or with two of them, is refused."
def merge_heads(x):
    B, nh, T, hs = x.shape
    y = x.permute(0, 2, 1, 3).contiguous()
    return y.view(B, T, nh * hs)


# %% scaled-by-the-model-width
# idiom = "x-transformers"
# slips = ["scale-by-d-model"]
# wrong = "The scores are divided by the root of d_model instead of d_head, so the weights are too even with more than one head."
import torch


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"num_heads ({num_heads}) has to divide d_model ({d_model})")
        self.heads = num_heads
        self.scale = d_model**-0.5
        for name in ("query_proj", "key_proj", "value_proj", "out_proj"):
            setattr(self, name, Linear(d_model, d_model, bias=bias))
        self.attn_dropout = nn.Dropout(dropout)

    def attention_weights(self, x, mask=None):
        q, k = (split_heads(f(x), self.heads) for f in (self.query_proj, self.key_proj))
        dots = torch.einsum("...hid,...hjd->...hij", q, k) * self.scale
        if mask is None:
            return dots.softmax(dim=-1)
        keep = mask.expand(*x.shape[:-1], x.shape[-2]).unsqueeze(-3)
        dots = torch.where(keep, dots, torch.finfo(dots.dtype).min)
        return dots.softmax(dim=-1) * keep

    def forward(self, x, mask=None):
        attn = self.attn_dropout(self.attention_weights(x, mask))
        out = torch.einsum("...hij,...hjd->...hid", attn, split_heads(self.value_proj(x), self.heads))
        return self.out_proj(merge_heads(out))


# %% bias-switch-for-three-of-four
# idiom = "rasbt"
# slips = ["bias-not-passed-on"]
# wrong = "bias reaches only query, key and value, as a qkv_bias does: out_proj always has a bias."
import torch


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        if not d_model % num_heads == 0:
            raise ValueError(
                f"d_model must be divisible by num_heads, got d_model {d_model}, num_heads {num_heads}"
            )

        self.d_out = d_model
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads

        self.query_proj = Linear(d_model, d_model, bias=bias)
        self.key_proj = Linear(d_model, d_model, bias=bias)
        self.value_proj = Linear(d_model, d_model, bias=bias)
        self.out_proj = Linear(d_model, d_model)  # Linear layer to combine head outputs
        self.dropout = nn.Dropout(dropout)

    def _heads(self, t):
        return t.unflatten(-1, (self.num_heads, self.head_dim)).transpose(-3, -2)

    def attention_weights(self, x, mask=None):
        queries = self._heads(self.query_proj(x))
        keys = self._heads(self.key_proj(x))
        attn_scores = queries @ keys.transpose(-2, -1) / self.head_dim**0.5
        if mask is not None:
            mask_bool = mask.expand(x.shape[:-1] + (x.shape[-2],)).unsqueeze(-3)
            attn_scores = attn_scores.masked_fill(~mask_bool, torch.finfo(attn_scores.dtype).min)
            return torch.softmax(attn_scores, dim=-1).masked_fill(~mask_bool, 0.0)
        return torch.softmax(attn_scores, dim=-1)

    def forward(self, x, mask=None):
        values = self._heads(self.value_proj(x))
        attn_weights = self.dropout(self.attention_weights(x, mask))
        context_vec = (attn_weights @ values).transpose(-3, -2)
        context_vec = context_vec.contiguous().flatten(-2)
        return self.out_proj(context_vec)


# %% flash-drops-in-evaluation
# idiom = "nanoGPT"
# slips = ["dropout-in-evaluation", "dropout-made-in-forward"]
# wrong = "dropout_p is handed to scaled_dot_product_attention whether the module trains or not, so weights are dropped in evaluation as well."
import torch
import torch.nn.functional as F


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"d_model {d_model} % num_heads {num_heads} != 0")
        self.n_head, self.dropout = num_heads, dropout
        self.query_proj = Linear(d_model, d_model, bias)
        self.key_proj = Linear(d_model, d_model, bias)
        self.value_proj = Linear(d_model, d_model, bias)
        self.out_proj = Linear(d_model, d_model, bias)

    def _mask(self, x, mask):
        if mask is None:
            return None
        T = x.size(-2)
        return mask.expand(*x.shape[:-2], T, T).unsqueeze(-3)

    def attention_weights(self, x, mask=None):
        q = split_heads(self.query_proj(x), self.n_head)
        k = split_heads(self.key_proj(x), self.n_head)
        return attention_weights(q, k, self._mask(x, mask))

    def forward(self, x, mask=None):
        q = split_heads(self.query_proj(x), self.n_head)
        k = split_heads(self.key_proj(x), self.n_head)
        v = split_heads(self.value_proj(x), self.n_head)
        m = self._mask(x, mask)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=m, dropout_p=self.dropout)
        if m is not None:
            y = y.masked_fill(~m.any(dim=-1, keepdim=True), 0.0)
        return self.out_proj(merge_heads(y))


# %% head-axis-put-into-the-callers-mask
# idiom = "labml"
# slips = ["mask-changed-in-place"]
# wrong = "unsqueeze_ adds the axis for the heads to the caller's own mask, which comes back with one axis more after every call."
import math

import torch


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        self.heads = num_heads
        self.d_k, remainder = divmod(d_model, num_heads)
        if remainder:
            raise ValueError(f"d_model = {d_model}, num_heads = {num_heads}: heads of unequal width")
        self.query_proj = Linear(d_model, d_model, bias=bias)
        self.key_proj = Linear(d_model, d_model, bias=bias)
        self.value_proj = Linear(d_model, d_model, bias=bias)
        self.out_proj = Linear(d_model, d_model, bias=bias)
        self.softmax = nn.Softmax(dim=-1)
        self.dropout = nn.Dropout(p=dropout)

    def prepare_mask(self, mask):
        while mask.dim() < 2:
            mask = mask[None]
        return mask.unsqueeze_(-3)

    def attention_weights(self, x, mask=None):
        query = split_heads(self.query_proj(x), self.heads)
        key = split_heads(self.key_proj(x), self.heads)
        scores = torch.einsum("...id,...jd->...ij", query, key)
        scores = scores / math.sqrt(self.d_k)
        if mask is None:
            return self.softmax(scores)
        mask = self.prepare_mask(mask)
        scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)
        return self.softmax(scores) * mask

    def forward(self, x, mask=None):
        value = split_heads(self.value_proj(x), self.heads)
        attn = self.dropout(self.attention_weights(x, mask))
        x = torch.einsum("...ij,...jd->...id", attn, value)
        return self.out_proj(merge_heads(x))


# %% weights-shown-after-the-dropout
# idiom = "d2l"
# slips = ["dropped-weights-shown"]
# wrong = "The dropout sits inside attention_weights, so in training that method returns weights with holes."
class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        if d_model % num_heads > 0:
            raise ValueError(f"num_hiddens d_model={d_model} does not fit num_heads={num_heads}")
        self.num_heads = num_heads
        self.dropout = nn.Dropout(dropout)
        self.query_proj, self.key_proj, self.value_proj, self.out_proj = (
            Linear(d_model, d_model, bias=bias) for _ in range(4)
        )

    def attention_weights(self, x, mask=None):
        queries, keys = (
            split_heads(self.query_proj(x), self.num_heads),
            split_heads(self.key_proj(x), self.num_heads),
        )
        if mask is not None:
            n = x.shape[-2]
            mask = mask.broadcast_to(*x.shape[:-2], n, n)[..., None, :, :]
        return self.dropout(attention_weights(queries, keys, mask))

    def forward(self, x, mask=None):
        values = split_heads(self.value_proj(x), self.num_heads)
        output = self.attention_weights(x, mask).matmul(values)
        return self.out_proj(merge_heads(output))


# %% multiplied-by-the-mask-after-softmax
# idiom = "LLM-written"
# slips = ["mask-after-the-softmax"]
# wrong = "The mask multiplies the finished weights, so what is hidden has taken its share and the rest sums to less than one."
import torch
import torch.nn.functional as F


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(
                f"Expected num_heads to divide d_model, but d_model={d_model} and num_heads={num_heads}"
            )
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.p = dropout
        self.query_proj = Linear(d_model, d_model, bias=bias)
        self.key_proj = Linear(d_model, d_model, bias=bias)
        self.value_proj = Linear(d_model, d_model, bias=bias)
        self.out_proj = Linear(d_model, d_model, bias=bias)

    def _shape(self, t):
        return t.reshape(*t.shape[:-1], self.num_heads, self.head_dim).transpose(-2, -3)

    def attention_weights(self, x, mask=None):
        Q, K = self._shape(self.query_proj(x)), self._shape(self.key_proj(x))
        A = F.softmax(torch.matmul(Q, K.mT).div(self.head_dim**0.5), dim=-1)
        if mask is not None:
            L = x.shape[-2]
            A = A * mask.expand(*x.shape[:-2], L, L).unsqueeze(-3).to(A.dtype)
        return A

    def forward(self, x, mask=None):
        A = F.dropout(self.attention_weights(x, mask), p=self.p, training=self.training)
        O = torch.matmul(A, self._shape(self.value_proj(x)))
        return self.out_proj(O.transpose(-2, -3).reshape(x.shape))


# %% head-by-head-with-minus-infinity
# idiom = "CS336 students"
# slips = ["blind-position-is-nan"]
# wrong = "Hidden scores are -inf and torch's softmax follows, so a position that may attend to nothing gets NaN instead of zeros."
import torch


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError("d_model %d not divisible by num_heads %d" % (d_model, num_heads))
        self.num_heads = num_heads
        self.d_k = d_model // num_heads
        self.query_proj = Linear(d_model, d_model, bias=bias)
        self.key_proj = Linear(d_model, d_model, bias=bias)
        self.value_proj = Linear(d_model, d_model, bias=bias)
        self.out_proj = Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def attention_weights(self, x, mask=None):
        Q = self.query_proj(x)
        K = self.key_proj(x)
        per_head = []
        for h in range(self.num_heads):
            cols = slice(h * self.d_k, (h + 1) * self.d_k)
            logits = Q[..., cols] @ K[..., cols].transpose(-1, -2)
            logits = logits / self.d_k**0.5
            if mask is not None:
                logits = logits.masked_fill(mask.logical_not(), float("-inf"))
            per_head.append(torch.softmax(logits, dim=-1))
        return torch.stack(per_head, dim=-3)

    def forward(self, x, mask=None):
        P = self.dropout(self.attention_weights(x, mask))
        V = self.value_proj(x)
        outs = []
        for h in range(self.num_heads):
            outs.append(P[..., h, :, :] @ V[..., h * self.d_k : (h + 1) * self.d_k])
        return self.out_proj(torch.cat(outs, dim=-1))
