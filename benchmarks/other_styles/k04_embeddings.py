# %% sorted-set-in-the-constructor
# idiom = "karpathy's lectures"
# slips = ["characters-sorted-by-the-constructor"]
# wrong = "The constructor sorts the characters, whatever order the caller gave."
class CharTokenizer:
    def __init__(self, chars):
        vocab = sorted(list(set(chars)))
        self._chars = vocab
        self._ids = {ch: i for i, ch in enumerate(vocab)}


# %% looked-up-without-a-check
# idiom = "nanoGPT"
# slips = ["key-error-let-through"]
# wrong = "An unknown character is a KeyError, without its position."
class CharTokenizer:
    def encode(self, text):
        encode = lambda s: [self._ids[c] for c in s]  # encoder: take a string, output a list of integers
        return encode(text)


# %% unknown-ones-skipped
# idiom = "rasbt"
# slips = ["unknown-character-left-out"]
# wrong = "Unknown characters are filtered out before the look-up."
class CharTokenizer:
    def encode(self, text):
        preprocessed = [item for item in text if item in self._ids]
        ids = [self._ids[s] for s in preprocessed]
        return ids


# %% itos-as-a-dict
# idiom = "nanoGPT"
# wrong = "The ids are the keys of a dict, so an id out of range is a KeyError, not an IndexError."
class CharTokenizer:
    def decode(self, ids):
        itos = {i: ch for i, ch in enumerate(self._chars)}
        return "".join([itos[i] for i in ids])


# %% only-joined
# idiom = "CS336 students"
# slips = ["negative-ids-count-from-the-end"]
# wrong = "Ids are not checked: -1 is the last character, and the list's own error names no id."
class CharTokenizer:
    def decode(self, ids):
        out = ""
        for token_id in ids:
            out += self._chars[token_id]
        return out


# %% product-with-one-hot
# idiom = "d2l"
# slips = ["one-hot-refuses-by-itself"]
# wrong = "one_hot raises RuntimeError where IndexError is asked for."
import torch.nn.functional as F


class TokenEmbedding:
    def forward(self, ids):
        X = F.one_hot(ids.long(), self.weight.shape[0]).to(self.weight.dtype)
        return torch.matmul(X, self.weight)


# %% times-the-root-of-the-width
# idiom = "annotated transformer"
# slips = ["embeddings-scaled"]
# wrong = "The rows are multiplied by √d_model."
import math


class TokenEmbedding:
    def forward(self, ids):
        return nn.functional.embedding(ids.long(), self.weight) * math.sqrt(self.weight.size(1))


# %% indexed
# idiom = "CS336 students"
# slips = ["negative-ids-wrap-around", "only-long-and-int"]
# wrong = "Indexing reads -1 as the last row, and takes no int16."
class TokenEmbedding:
    def forward(self, ids):
        return self.weight[ids, :]


# %% drawn-small
# idiom = "nanoGPT"
# wrong = "The entries are drawn from N(0, 0.02), not from N(0, 1)."
# slips = ["tokens-drawn-small"]
class TokenEmbedding:
    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
        torch.nn.init.normal_(self.weight, mean=0.0, std=0.02)


# %% an-embedding-inside
# idiom = "nanoGPT"
# slips = ["positions-in-an-embedding"]
# wrong = "The table is inside an nn.Embedding, so it is called wpe.weight in the state dict."
class LearnedPositionalEmbedding:
    def __init__(self, max_len, d_model):
        super().__init__()
        self.block_size = max_len
        self.wpe = nn.Embedding(max_len, d_model)

    def forward(self, seq_len, offset=0):
        if seq_len < 0 or offset < 0 or seq_len + offset > self.block_size:
            raise ValueError(f"seq_len {seq_len} + offset {offset} is not within max_len {self.block_size}")
        pos = torch.arange(offset, offset + seq_len, dtype=torch.long, device=self.wpe.weight.device)
        return self.wpe(pos)


# %% arange-of-positions
# idiom = "minGPT"
# slips = ["indices-on-the-default-device"]
# wrong = "The positions are on the default device, and too long a sequence is an IndexError."
class LearnedPositionalEmbedding:
    def forward(self, seq_len, offset=0):
        pos = torch.arange(offset, offset + seq_len)
        return self.weight[pos]


# %% log-of-ten-thousand
# idiom = "annotated transformer"
# slips = ["base-ignored", "angles-in-float32", "dtype-ignored", "device-ignored", "odd-width-accepted"]
# wrong = "The base is always 10000, the angles are float32, dtype and device are not used, odd widths are let in."
import math


def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    pe = torch.zeros(max_len, d_model)
    position = torch.arange(0, max_len).unsqueeze(1)
    div_term = torch.exp(torch.arange(0, d_model, 2) * -(math.log(10000.0) / d_model))
    pe[:, 0::2] = torch.sin(position * div_term)
    pe[:, 1::2] = torch.cos(position * div_term)
    return pe


# %% sines-then-cosines
# idiom = "x-transformers"
# slips = ["sines-and-cosines-in-halves"]
# wrong = "All sines come first, then all cosines."
def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2 != 0:
        raise ValueError(f"dimension must be even: {d_model}")
    exact = dict(dtype=torch.float64, device="cpu")
    inv_freq = 1.0 / (base ** (torch.arange(0, d_model, 2, **exact) / d_model))
    sinusoid_inp = torch.einsum("i,j->ij", torch.arange(max_len, **exact), inv_freq)
    emb = torch.cat((sinusoid_inp.sin(), sinusoid_inp.cos()), dim=-1)
    return emb.to(dtype=dtype or torch.get_default_dtype(), device=device or torch.get_default_device())


# %% two-i-in-steps-of-two
# idiom = "early tutorials"
# slips = ["exponent-doubled", "every-column-its-own-wave"]
# wrong = "Two mistakes: 2i where i already steps by two, and the cosine of a pair has another exponent than its sine."
import math


def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2:
        raise ValueError(f"d_model {d_model} is odd")
    pe = torch.zeros(max_len, d_model, dtype=torch.float64, device="cpu")
    for pos in range(max_len):
        for i in range(0, d_model, 2):
            pe[pos, i] = math.sin(pos / (base ** ((2 * i) / d_model)))
            pe[pos, i + 1] = math.cos(pos / (base ** ((2 * (i + 1)) / d_model)))
    return pe.to(device or torch.get_default_device(), dtype or torch.get_default_dtype())


# %% pairs-of-a-power
# idiom = "d2l"
# slips = ["cosine-first"]
# wrong = "Cosines are in the even columns and sines in the odd ones."
def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2:
        raise ValueError(f"num_hiddens = {d_model} is odd")
    X = torch.arange(max_len, dtype=torch.float64, device="cpu").reshape(-1, 1)
    X = X / torch.pow(base, torch.arange(0, d_model, 2, dtype=torch.float64, device="cpu") / d_model)
    P = torch.zeros((max_len, d_model), dtype=torch.float64, device="cpu")
    P[:, 1::2] = torch.sin(X)
    P[:, 0::2] = torch.cos(X)
    return P.to(dtype=dtype or torch.get_default_dtype(), device=device or torch.get_default_device())


# %% right-stoi-and-itos
# idiom = "karpathy's lectures"
class CharTokenizer:
    def __init__(self, chars):
        self.stoi, self.itos = {}, {}
        for i, ch in enumerate(chars):
            self.stoi[ch] = i
            self.itos[i] = ch

    @classmethod
    def from_text(cls, text):
        return cls(sorted(list(set(text))))

    @property
    def vocab_size(self):
        return len(self.itos)

    def encode(self, text):
        out = []
        for i, c in enumerate(text):
            if c not in self.stoi:
                raise ValueError(f"no token for {c!r} (position {i})")
            out.append(self.stoi[c])
        return out

    def decode(self, ids):
        def one(i):
            if i not in self.itos:
                raise IndexError(f"token {i} not in [0, {len(self.itos)})")
            return self.itos[i]

        return "".join(map(one, ids))


# %% right-even-and-odd-columns
# idiom = "annotated transformer"
import math


def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2 == 1:
        raise ValueError("cannot use sin/cos positional encoding with odd dim (got dim={:d})".format(d_model))
    pe = torch.zeros(max_len, d_model, dtype=torch.float64, device="cpu")
    position = torch.arange(0, max_len, dtype=torch.float64, device="cpu").unsqueeze(1)
    steps = torch.arange(0, d_model, 2, dtype=torch.float64, device="cpu")
    div_term = torch.exp(steps * -(math.log(base) / d_model))
    pe[:, 0::2] = torch.sin(position * div_term)
    pe[:, 1::2] = torch.cos(position * div_term)
    return pe.to(dtype or torch.get_default_dtype()).to(device or torch.get_default_device())


class LearnedPositionalEmbedding:
    def forward(self, seq_len, offset=0):
        n = self.weight.size(0)
        if not (0 <= seq_len and 0 <= offset and offset + seq_len <= n):
            raise ValueError(f"positions {offset} + {seq_len} (seq_len) do not fit into {n} (max_len)")
        pos = torch.arange(offset, offset + seq_len, device=self.weight.device)
        return nn.functional.embedding(pos, self.weight)


# %% right-checked-and-indexed
# idiom = "CS336 students"
class TokenEmbedding:
    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.weight = nn.Parameter(torch.empty((vocab_size, d_model)))
        nn.init.normal_(self.weight, mean=0, std=1)

    def forward(self, ids):
        ids = ids.to(torch.long)
        if ids.device.type != "meta" and ids.numel() and (ids.min() < 0 or ids.max() >= self.weight.shape[0]):
            raise IndexError("token id out of range")
        return self.weight[ids]


# %% compared-with-all-ids
# idiom = "Karpathy's lectures"
# slips = ["unknown-ids-become-zeros"]
# wrong = "An id out of range meets no row, and silently becomes a vector of zeros."
class TokenEmbedding:
    def forward(self, ids):
        num_classes = self.weight.shape[0]
        xenc = ids.unsqueeze(-1) == torch.arange(num_classes, device=ids.device)
        return xenc.to(self.weight.dtype) @ self.weight


# %% ten-thousand-in-the-exponential
# idiom = "annotated transformer"
# slips = ["base-ignored"]
# wrong = "The base is always 10000."
import math


def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2:
        raise ValueError(f"d_model = {d_model} is odd")
    pe = torch.zeros(max_len, d_model, dtype=torch.float64, device="cpu")
    position = torch.arange(0, max_len, dtype=torch.float64, device="cpu").unsqueeze(1)
    steps = torch.arange(0, d_model, 2, dtype=torch.float64, device="cpu")
    div_term = torch.exp(steps * -(math.log(10000.0) / d_model))
    pe[:, 0::2] = torch.sin(position * div_term)
    pe[:, 1::2] = torch.cos(position * div_term)
    return pe.to(device or torch.get_default_device(), dtype or torch.get_default_dtype())


# %% padding-without-a-gradient
# idiom = "fairseq"
# slips = ["token-zero-never-learns"]
# wrong = "Id 0 is taken for padding: its row gets no gradient."
import torch.nn.functional as F


class TokenEmbedding:
    def forward(self, ids):
        return F.embedding(ids.long(), self.weight, padding_idx=0)


# %% clamped-into-the-table
# idiom = "CS336 student"
# slips = ["ids-clamped"]
# wrong = "An id out of range reads the nearest row instead of raising IndexError."
class TokenEmbedding:
    def forward(self, ids):
        return self.weight[ids.long().clamp(0, self.weight.size(0) - 1)]


# %% two-axes-of-ids
# idiom = "minGPT"
# slips = ["two-axes-unpacked"]
# wrong = "Exactly two axes of ids are expected."
class TokenEmbedding:
    def forward(self, ids):
        b, t = ids.size()
        return nn.functional.embedding(ids.reshape(-1).long(), self.weight).view(b, t, -1)


# %% offset-to-seq-len
# idiom = "fairseq"
# slips = ["length-taken-for-the-end"]
# wrong = "The rows end at seq_len instead of offset + seq_len."
class LearnedPositionalEmbedding:
    def forward(self, seq_len, offset=0):
        n = self.weight.size(0)
        if seq_len < 0 or offset < 0 or seq_len + offset > n:
            raise ValueError(f"seq_len {seq_len}, offset {offset}, max_len {n}")
        return self.weight[offset:seq_len]


# %% one-for-the-batch
# idiom = "nanoGPT"
# slips = ["positions-with-a-batch-axis"]
# wrong = "There is a batch axis of size 1."
class LearnedPositionalEmbedding:
    def forward(self, seq_len, offset=0):
        if min(seq_len, offset) < 0 or seq_len + offset > self.weight.size(0):
            raise ValueError(f"seq_len={seq_len} offset={offset} max_len={self.weight.size(0)}")
        pos = torch.arange(offset, offset + seq_len, device=self.weight.device).unsqueeze(0)
        return nn.functional.embedding(pos, self.weight)


# %% rows-of-the-data
# idiom = "labml"
# slips = ["positions-cut-off-from-autograd"]
# wrong = "The rows are detached, so the table is never learned."
class LearnedPositionalEmbedding:
    def forward(self, seq_len, offset=0):
        if min(seq_len, offset) < 0 or seq_len + offset > len(self.weight):
            raise ValueError(f"{seq_len=} {offset=} max_len={len(self.weight)}")
        return self.weight.data[offset : offset + seq_len]


# %% half-minus-one
# idiom = "fairseq"
# slips = ["last-wave-is-the-base"]
# wrong = "The exponents run to 1 with the last wave: k / (d_model / 2 - 1) instead of 2k / d_model."
def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2:
        raise ValueError(f"d_model = {d_model}")
    half_dim = d_model // 2
    steps = torch.arange(half_dim, dtype=torch.float64, device="cpu")
    inv_freq = base ** -(steps / max(half_dim - 1, 1))
    angles = torch.outer(torch.arange(max_len, dtype=torch.float64, device="cpu"), inv_freq)
    table = torch.stack((angles.sin(), angles.cos()), dim=-1).view(max_len, d_model)
    return table.to(device or torch.get_default_device(), dtype or torch.get_default_dtype())


# %% multiplied-by-the-wavelength
# idiom = "d2l"
# slips = ["waves-get-shorter"]
# wrong = "The position is multiplied by the power of the base, where it was to be divided by it."
def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2 == 1:
        raise ValueError(f"d_model has to be even: {d_model}")
    P = torch.zeros((max_len, d_model), dtype=torch.float64, device="cpu")
    X = torch.arange(max_len, dtype=torch.float64, device="cpu").reshape(-1, 1) * torch.pow(
        base, torch.arange(0, d_model, 2, dtype=torch.float64, device="cpu") / d_model
    )
    P[:, 0::2] = torch.sin(X)
    P[:, 1::2] = torch.cos(X)
    return P.to(device or torch.get_default_device(), dtype or torch.get_default_dtype())


# %% uniform-rows
# idiom = "Karpathy's lectures"
# slips = ["positions-drawn-evenly-from-zero"]
# wrong = "The entries are drawn from U(0, 1), not from N(0, 1)."
class LearnedPositionalEmbedding:
    def __init__(self, max_len, d_model):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(max_len, d_model))


# %% wrapped-around
# idiom = "CS336 student"
# slips = ["positions-wrap-around"]
# wrong = "Positions from max_len on start again at row 0 instead of raising ValueError."
class LearnedPositionalEmbedding:
    def forward(self, seq_len, offset=0):
        if seq_len < 0 or offset < 0:
            raise ValueError(f"{seq_len=} {offset=}")
        positions = torch.arange(offset, offset + seq_len, device=self.weight.device)
        return self.weight[positions % self.weight.shape[0]]


# %% float32-by-default
# idiom = "LLaMA"
# slips = ["float32-by-default"]
# wrong = "Without a dtype the table is float32, whatever torch's default is."
def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2:
        raise ValueError(f"odd d_model {d_model}")
    freqs = 1.0 / (base ** (torch.arange(0, d_model, 2, dtype=torch.float64, device="cpu") / d_model))
    freqs = torch.outer(torch.arange(max_len, dtype=torch.float64, device="cpu"), freqs)
    out = torch.stack([freqs.sin(), freqs.cos()], dim=-1).reshape(max_len, d_model)
    if dtype is None:
        dtype = torch.float32
    return out.to(dtype=dtype, device=device if device is not None else torch.get_default_device())


# %% in-order-of-appearance
# idiom = "CS336 students"
# slips = ["vocabulary-in-order-of-appearance"]
# wrong = "from_text numbers the characters as they first occur, not in sorted order."
class CharTokenizer:
    @classmethod
    def from_text(cls, text):
        return cls(dict.fromkeys(text))


# %% most-common-first
# idiom = "d2l"
# slips = ["vocabulary-by-frequency"]
# wrong = "from_text numbers the most frequent character 0, not the first in sorted order."
import collections


class CharTokenizer:
    @classmethod
    def from_text(cls, text):
        counter = collections.Counter(text)
        token_freqs = sorted(counter.items(), key=lambda x: x[1], reverse=True)
        return cls([token for token, freq in token_freqs])


# %% unknown-token-added
# idiom = "rasbt"
# slips = ["token-for-the-unknown"]
# wrong = "A token for what is unknown is added to the vocabulary, and unknown characters get it."
class CharTokenizer:
    def __init__(self, chars):
        all_tokens = list(chars)
        all_tokens.extend(["<|unk|>"])
        self._chars = all_tokens
        self._ids = {token: integer for integer, token in enumerate(all_tokens)}

    def encode(self, text):
        return [self._ids[c] if c in self._ids else self._ids["<|unk|>"] for c in text]


# %% index-in-the-list
# idiom = "one-liners"
# slips = ["error-of-the-list-let-through"]
# wrong = "list.index raises a ValueError of its own, without the character's position."
class CharTokenizer:
    def encode(self, text):
        return list(map(self._chars.index, text))


# %% ids-as-a-tensor
# idiom = "nanoGPT"
# slips = ["ids-in-a-tensor"]
# wrong = "encode returns a tensor, where a list of integers is asked for."
class CharTokenizer:
    def encode(self, text):
        for position, char in enumerate(text):
            if char not in self._ids:
                raise ValueError(f"unknown character {char!r} at position {position}")
        return torch.tensor([self._ids[c] for c in text], dtype=torch.long)


# %% ids-joined-with-spaces
# idiom = "rasbt"
# slips = ["characters-joined-by-blanks"]
# wrong = "decode puts a space between the characters."
class CharTokenizer:
    def decode(self, ids):
        int_to_str = dict(enumerate(self._chars))
        ids = list(ids)
        missing = [i for i in ids if i not in int_to_str]
        if missing:
            raise IndexError(f"id {missing[0]} is not in the vocabulary")
        return " ".join([int_to_str[i] for i in ids])


# %% as-many-columns-as-ids
# idiom = "minimal GPTs"
# slips = ["as-many-classes-as-occur"]
# wrong = "one_hot without num_classes has as many columns as the largest id that occurs needs."
import torch.nn.functional as F


class TokenEmbedding:
    def forward(self, ids):
        if ids.numel() and not (0 <= ids.min() and ids.max() < len(self.weight)):
            raise IndexError(f"ids {ids.tolist()} are not all below {len(self.weight)}")
        return F.one_hot(ids.long()).to(self.weight.dtype) @ self.weight


# %% flattened-and-left-flat
# idiom = "minGPT"
# slips = ["ids-left-flat"]
# wrong = "The ids are flattened for the look-up, and the result keeps one axis for them all."
class TokenEmbedding:
    def forward(self, ids):
        return nn.functional.embedding(ids.reshape(-1).long(), self.weight)


# %% table-of-torch
# idiom = "nanoGPT"
# slips = ["table-in-an-embedding"]
# wrong = "The table is inside an nn.Embedding, so it is called wte.weight in the state dict."
class TokenEmbedding:
    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, d_model)

    def forward(self, ids):
        return self.wte(ids.long())


# %% always-from-the-first-row
# idiom = "rasbt"
# slips = ["offset-ignored"]
# wrong = "offset is checked, but the rows are always the first."
class LearnedPositionalEmbedding:
    def forward(self, seq_len, offset=0):
        context_length = self.weight.shape[0]
        if seq_len + offset > context_length:
            raise ValueError(f"seq_len {seq_len} + offset {offset} is more than max_len {context_length}")
        return self.weight[torch.arange(seq_len, device=self.weight.device)]


# %% last-position-refused
# idiom = "CS336 students"
# slips = ["full-length-refused"]
# wrong = "A sequence that ends with the last row of the table is refused."
class LearnedPositionalEmbedding:
    def forward(self, seq_len, offset=0):
        max_len, end = self.weight.size(0), offset + seq_len
        if end >= max_len:
            raise ValueError(f"{seq_len=} and {offset=} do not fit into {max_len=}")
        return self.weight[offset:end]


# %% table-for-a-batch
# idiom = "PyTorch tutorial"
# slips = ["table-with-a-batch-axis"]
# wrong = "The table has a batch axis in front: its shape is (1, max_len, d_model)."
def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2:
        raise ValueError(f"d_model must be even, got {d_model}")
    pe = torch.zeros(max_len, d_model, dtype=torch.float64, device="cpu")
    position = torch.arange(max_len, dtype=torch.float64, device="cpu").unsqueeze(1)
    div_term = base ** (torch.arange(0, d_model, 2, dtype=torch.float64, device="cpu") / d_model)
    pe[:, 0::2] = torch.sin(position / div_term)
    pe[:, 1::2] = torch.cos(position / div_term)
    pe = pe.unsqueeze(0)
    return pe.to(device or torch.get_default_device(), dtype or torch.get_default_dtype())


# %% everything-in-the-dtype-asked-for
# idiom = "x-transformers"
# slips = ["angles-in-float32"]
# wrong = "Positions and angles are computed in the dtype asked for, so they are rounded long before the end."
def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2:
        raise ValueError(f"dim {d_model} is not even")
    like = dict(dtype=dtype or torch.get_default_dtype(), device=device or torch.get_default_device())
    inv_freq = 1.0 / (base ** (torch.arange(0, d_model, 2, **like) / d_model))
    freqs = torch.einsum("i,j->ij", torch.arange(max_len, **like), inv_freq)
    return torch.stack((freqs.sin(), freqs.cos()), dim=-1).reshape(max_len, d_model)


# %% counted-from-one
# idiom = "fairseq"
# slips = ["table-positions-from-one"]
# wrong = "The positions are 1 … max_len instead of 0 … max_len - 1."
import math


def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2:
        raise ValueError(f"embedding_dim {d_model} is odd")
    rows = [
        [f(pos / base ** (2 * k / d_model)) for k in range(d_model // 2) for f in (math.sin, math.cos)]
        for pos in range(1, max_len + 1)
    ]
    table = torch.tensor(rows, dtype=torch.float64, device="cpu").reshape(max_len, d_model)
    return table.to(device or torch.get_default_device(), dtype or torch.get_default_dtype())


# %% right-by-complex-numbers
# idiom = "LLaMA"
def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model & 1:
        raise ValueError(f"d_model={d_model} cannot be split into pairs")
    freqs = base ** -(torch.arange(0, d_model, 2, device="cpu").double() / d_model)
    angles = torch.outer(torch.arange(max_len, device="cpu").double(), freqs)
    turns = torch.polar(torch.ones_like(angles), angles)
    pairs = torch.view_as_real(turns).flip(-1).reshape(max_len, d_model)  # cos + i sin, so sines second
    return pairs.to(device or torch.get_default_device(), dtype or torch.get_default_dtype())


class LearnedPositionalEmbedding:
    def forward(self, seq_len, offset=0):
        if offset + seq_len > self.weight.size(0):
            raise ValueError(f"{seq_len=}, {offset=}: more than max_len={self.weight.size(0)}")
        return self.weight.narrow(0, offset, seq_len)


# %% axes-of-an-empty-batch-inferred
# idiom = "d2l"
# slips = ["shape-of-an-empty-batch-inferred"]
# wrong = "view(..., -1) cannot tell how wide the rows are when there are none: an empty batch is an error."
class TokenEmbedding:
    def forward(self, ids):
        if ids.numel() and ids.device.type != "meta" and ids.min() < 0:
            raise IndexError(f"negative id {ids.min().item()}")
        return self.weight.index_select(0, ids.flatten().long()).view(*ids.shape, -1)


# %% right-with-a-vocabulary-class
# idiom = "d2l"
class Vocab(dict):
    def __missing__(self, token):
        raise ValueError(token)


class CharTokenizer:
    def __init__(self, chars):
        self.idx_to_token = tuple(chars)
        self.token_to_idx = Vocab(zip(self.idx_to_token, range(len(self.idx_to_token))))

    @classmethod
    def from_text(cls, text):
        return cls("".join(sorted({*text})))

    @property
    def vocab_size(self):
        return len(self.token_to_idx)

    def encode(self, text):
        ids = []
        try:
            for token in text:
                ids.append(self.token_to_idx[token])
        except ValueError as error:
            raise ValueError(f"{error.args[0]!r} at position {len(ids)} is not in the vocabulary") from None
        return ids

    def decode(self, ids):
        def tokens():
            for index in ids:
                if index < 0 or index >= len(self.idx_to_token):
                    raise IndexError(f"{index} is no index of the vocabulary")
                yield self.idx_to_token[index]

        return "".join(tokens())


# %% two-dictionaries-from-one-iterable
# idiom = "nanoGPT"
# slips = []
# wrong = "chars is enumerated twice, so of a generator the second dictionary gets nothing and decode refuses every id."
class CharTokenizer:
    def __init__(self, chars):
        self.stoi = {ch: i for i, ch in enumerate(chars)}
        self.itos = {i: ch for i, ch in enumerate(chars)}

    @classmethod
    def from_text(cls, text):
        return cls(sorted(list(set(text))))

    @property
    def vocab_size(self):
        return len(self.stoi)

    def encode(self, text):
        out = []
        for pos, c in enumerate(text):
            if c not in self.stoi:
                raise ValueError(f"unknown character {c!r} at position {pos}")
            out.append(self.stoi[c])
        return out

    def decode(self, ids):
        s = ""
        for i in ids:
            if i not in self.itos:
                raise IndexError(f"id {i} is not in 0 ... {len(self.itos) - 1}")
            s += self.itos[i]
        return s

    def save(self, path):
        chars = list(self.decode(range(self.vocab_size)))
        Path(path).write_text(json.dumps({"chars": chars}), encoding="utf-8")

    @classmethod
    def load(cls, path):
        try:
            chars = json.loads(Path(path).read_text(encoding="utf-8"))["chars"]
            if not all(len(char) == 1 for char in chars) or len(set(chars)) < len(chars):
                raise ValueError("its entries are not single characters, each of them once")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{path} is not a saved tokenizer: {error!r}") from error
        return cls(chars)


# %% numbered-as-they-appear
# idiom = "d2l"
# slips = ["vocabulary-in-order-of-appearance"]
# wrong = "from_text numbers the characters in the order in which they appear in the text, not in sorted order."
class CharTokenizer:
    def __init__(self, chars):
        self.idx_to_token, self.token_to_idx = [], {}
        for token in chars:
            self.token_to_idx[token] = len(self.idx_to_token)
            self.idx_to_token.append(token)

    @classmethod
    def from_text(cls, text):
        return cls(dict.fromkeys(text))

    @property
    def vocab_size(self):
        return len(self.idx_to_token)

    def encode(self, text):
        def lookup(position, token):
            try:
                return self.token_to_idx[token]
            except KeyError:
                raise ValueError(f"{token!r} (position {position}) is not in the vocabulary") from None

        return [lookup(position, token) for position, token in enumerate(text)]

    def decode(self, ids):
        tokens = []
        for idx in ids:
            if not 0 <= idx < self.vocab_size:
                raise IndexError(f"no token has the id {idx}")
            tokens.append(self.idx_to_token[idx])
        return "".join(tokens)

    def save(self, path):
        Path(path).write_text(json.dumps({"chars": self.idx_to_token}), encoding="utf-8")

    @classmethod
    def load(cls, path):
        try:
            chars = json.loads(Path(path).read_text(encoding="utf-8"))["chars"]
            if not all(len(char) == 1 for char in chars) or len(set(chars)) < len(chars):
                raise ValueError("its entries are not single characters, each of them once")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{path} is not a saved tokenizer: {error!r}") from error
        return cls(chars)


# %% lowest-unknown-instead-of-first
# idiom = "CS336 students"
# slips = []
# wrong = "The unknown characters are found as a sorted set difference, so of several the error names the lowest code point, not the first in the text."
class CharTokenizer:
    def __init__(self, chars):
        self.vocab = tuple(chars)
        self.lookup = dict(zip(self.vocab, range(len(self.vocab))))

    @classmethod
    def from_text(cls, text):
        return cls(sorted({*text}))

    @property
    def vocab_size(self):
        return len(self.vocab)

    def encode(self, text):
        missing = sorted(set(text) - self.lookup.keys())
        if missing:
            culprit = missing[0]
            raise ValueError(f"character {culprit!r} at position {text.index(culprit)} is unknown")
        return list(map(self.lookup.__getitem__, text))

    def decode(self, ids):
        ids = list(ids)
        bad = [i for i in ids if i < 0 or i >= len(self.vocab)]
        if bad:
            raise IndexError(f"id {bad[0]} out of range for a vocabulary of {len(self.vocab)}")
        return "".join(map(self.vocab.__getitem__, ids))

    def save(self, path):
        Path(path).write_text(json.dumps({"chars": list(self.vocab)}), encoding="utf-8")

    @classmethod
    def load(cls, path):
        try:
            chars = json.loads(Path(path).read_text(encoding="utf-8"))["chars"]
            if not all(len(char) == 1 for char in chars) or len(set(chars)) < len(chars):
                raise ValueError("its entries are not single characters, each of them once")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{path} is not a saved tokenizer: {error!r}") from error
        return cls(chars)


# %% list-that-counts-from-the-end
# idiom = "LLM-written"
# slips = []
# wrong = "decode leaves the check to the list, which reads a negative id from the end of the vocabulary."
class CharTokenizer:
    def __init__(self, chars):
        self._chars = list(chars)
        self._ids = {c: n for n, c in enumerate(self._chars)}

    @classmethod
    def from_text(cls, text):
        return cls(sorted(frozenset(text)))

    @property
    def vocab_size(self):
        return len(self._chars)

    def encode(self, text):
        result = [self._ids.get(c) for c in text]
        if None in result:
            where = result.index(None)
            raise ValueError(f"Cannot encode {text[where]!r} (position {where})")
        return result

    def decode(self, ids):
        pieces = []
        for token_id in ids:
            try:
                pieces.append(self._chars[token_id])
            except IndexError as exc:
                raise IndexError(f"Token id {token_id} is out of range") from exc
        return "".join(pieces)

    def save(self, path):
        Path(path).write_text(json.dumps({"chars": self._chars}), encoding="utf-8")

    @classmethod
    def load(cls, path):
        try:
            chars = json.loads(Path(path).read_text(encoding="utf-8"))["chars"]
            if not all(len(char) == 1 for char in chars) or len(set(chars)) < len(chars):
                raise ValueError("its entries are not single characters, each of them once")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{path} is not a saved tokenizer: {error!r}") from error
        return cls(chars)


# %% rows-times-the-root-of-the-width
# idiom = "annotated transformer"
# slips = ["embeddings-scaled"]
# wrong = "The rows are multiplied by the root of d_model, as in the paper but not in this kata."
import math


class TokenEmbedding(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model).normal_())
        self.d_model = d_model
        self.n = vocab_size

    def forward(self, ids):
        flat = ids.reshape(-1).long()
        if flat.numel() and (flat.min() < 0 or flat.max() >= self.n):
            raise IndexError(f"token id outside 0..{self.n - 1}")
        lut = self.weight.index_select(0, flat)
        return lut.view(*ids.shape, self.d_model) * math.sqrt(self.d_model)


# %% id-zero-is-padding
# idiom = "labml"
# slips = ["token-zero-never-learns"]
# wrong = "padding_idx=0 keeps all gradient from row 0, though here the id 0 is a character like any other."
import torch.nn.functional as F


class TokenEmbedding(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(vocab_size, d_model))
        nn.init.normal_(self.weight, mean=0.0, std=1.0)

    def forward(self, ids):
        return F.embedding(ids.to(torch.int64), self.weight, padding_idx=0)


# %% torchs-own-table-as-it-is
# idiom = "StackOverflow"
# slips = []
# wrong = "The ids go into nn.Embedding unconverted, which takes int32 and int64 only: int8 and int16 ids raise RuntimeError."
class TokenEmbedding(nn.Embedding):
    def __init__(self, vocab_size, d_model):
        super().__init__(num_embeddings=vocab_size, embedding_dim=d_model)

    def forward(self, ids):
        return super().forward(ids)


# %% slice-that-ends-early
# idiom = "minGPT"
# slips = ["offset-forgotten-in-the-check"]
# wrong = "Only seq_len is compared with max_len: with an offset past the end the slice comes back short and nothing is raised."
class LearnedPositionalEmbedding(nn.Module):
    def __init__(self, max_len, d_model):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(max_len, d_model))

    def forward(self, seq_len, offset=0):
        block_size = self.weight.size(0)
        if seq_len > block_size:
            raise ValueError(
                f"Cannot forward seq_len {seq_len} (offset {offset}), max_len is only {block_size}"
            )
        return self.weight[offset : offset + seq_len, :]


# %% position-ids-in-the-state-dict
# idiom = "Hugging Face BERT"
# slips = []
# wrong = "The positions are a persistent buffer, so the state dict holds position_ids beside the weight."
import torch.nn.functional as F


class LearnedPositionalEmbedding(nn.Module):
    def __init__(self, max_len, d_model):
        super().__init__()
        self.max_position_embeddings = max_len
        self.weight = nn.Parameter(torch.normal(0.0, 1.0, size=(max_len, d_model)))
        self.register_buffer("position_ids", torch.arange(max_len))

    def forward(self, seq_len, offset=0):
        end = offset + seq_len
        if end > self.max_position_embeddings:
            raise ValueError(
                f"seq_len={seq_len} with offset={offset} exceeds max_len={self.max_position_embeddings}"
            )
        return F.embedding(self.position_ids[offset:end], self.weight)


# %% two-i-with-i-already-even
# idiom = "blog post"
# slips = []
# wrong = "The column number is doubled again, and the cosine uses its own column, so the waves are too long and the pairs do not match."
import math


def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2 == 1:
        raise ValueError(f"d_model must be even, got d_model={d_model}")
    rows = []
    for pos in range(max_len):
        row = []
        for i in range(0, d_model, 2):
            row.append(math.sin(pos / (base ** ((2 * i) / d_model))))
            row.append(math.cos(pos / (base ** ((2 * (i + 1)) / d_model))))
        rows.append(row)
    pe = torch.tensor(rows, dtype=torch.float64, device=device).reshape(max_len, d_model)
    return pe.to(dtype or torch.get_default_dtype())


# %% angles-in-single-precision
# idiom = "annotated transformer"
# slips = []
# wrong = "Positions, rates and angles are float32, so the table is off by far more than rounding for large positions, even if float64 is asked for."
import math


def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model & 1:
        raise ValueError(f"odd d_model ({d_model})")
    pe = torch.zeros(max_len, d_model, dtype=dtype, device=device)
    position = torch.arange(0, max_len, device=device).float().unsqueeze(1)
    div_term = torch.exp(torch.arange(0, d_model, 2, device=device).float() * -(math.log(base) / d_model))
    pe[:, 0::2] = torch.sin(position * div_term)
    pe[:, 1::2] = torch.cos(position * div_term)
    return pe


# %% sines-left-cosines-right
# idiom = "x-transformers"
# slips = ["sines-and-cosines-in-halves"]
# wrong = "All sines come first and all cosines after them, instead of taking turns."
def sinusoidal_positions(max_len, d_model, base=10000.0, *, dtype=None, device=None):
    if d_model % 2 != 0:
        raise ValueError(f"sinusoids need pairs of features, d_model is {d_model}")
    kind = dict(dtype=torch.float64, device=device)
    inv_freq = 1.0 / (base ** (torch.arange(0, d_model, 2, **kind) / d_model))
    freqs = torch.einsum("i,j->ij", torch.arange(max_len, **kind), inv_freq)
    emb = torch.cat((freqs.sin(), freqs.cos()), dim=-1)
    return emb.to(torch.get_default_dtype() if dtype is None else dtype)
