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
