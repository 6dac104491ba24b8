# %% new-gelu-for-both
# idiom = "minGPT"
# slips = ["gelu-tanh-for-exact"]
# wrong = "The form with tanh is used for the exact one as well."
def gelu(x, approximate="none"):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


# %% power-of-the-sum
# idiom = "rasbt"
# slips = ["gelu-cube-of-the-sum"]
# wrong = "A misplaced parenthesis: the third power is taken of x + 0.044715 x."
import torch.nn.functional as F


def gelu(x, approximate="none"):
    if approximate == "none":
        return F.gelu(x)
    inner = torch.pow(x + 0.044715 * x, 3)
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2.0 / math.pi) * inner))


# %% sigmoid-of-1702
# idiom = "x-transformers"
# slips = ["gelu-by-sigmoid"]
# wrong = "The quick form x · σ(1.702 x) is used for the exact one."
def gelu(x, approximate="none"):
    if approximate == "tanh":
        return nn.functional.gelu(x, approximate=approximate)
    return x * (1.702 * x).sigmoid()


# %% std-plus-eps
# idiom = "annotated transformer"
# slips = ["norm-unbiased-variance", "norm-eps-outside-the-root", "norm-unbiased-and-eps-outside-the-root"]
# wrong = "Two mistakes: the standard deviation divides by n - 1, and eps is added to it, outside the root."
class LayerNorm:
    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        std = x.std(-1, keepdim=True)
        y = self.weight * (x - mean) / (std + self.eps)
        return y if self.bias is None else y + self.bias


# %% var-as-it-comes
# idiom = "rasbt"
# slips = ["norm-unbiased-variance"]
# wrong = "var divides by n - 1 unless told otherwise."
class LayerNorm:
    def forward(self, x):
        mean = x.mean(dim=-1, keepdim=True)
        var = x.var(dim=-1, keepdim=True)
        norm_x = (x - mean) / torch.sqrt(var + self.eps)
        shift = 0 if self.bias is None else self.bias
        return self.weight * norm_x + shift


# %% mean-of-squares-minus-square-of-mean
# idiom = "labml"
# slips = ["norm-variance-in-one-pass"]
# wrong = "The variance is a difference of two large numbers far from zero, which loses its precision."
class LayerNorm:
    def forward(self, x):
        mean = x.mean(dim=[-1], keepdim=True)
        mean_x2 = (x**2).mean(dim=[-1], keepdim=True)
        var = mean_x2 - mean**2
        x_norm = (x - mean) / torch.sqrt(var + self.eps)
        x_norm = self.weight * x_norm
        if self.bias is not None:
            x_norm = x_norm + self.bias
        return x_norm


# %% torch-with-its-own-eps
# idiom = "nanoGPT"
# slips = ["norm-eps-ignored"]
# wrong = "1e-5 is written down where self.eps belongs."
import torch.nn.functional as F


class LayerNorm:
    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


# %% features-on-axis-one
# idiom = "CS336 students"
# slips = ["norm-axis-counted-from-the-front"]
# wrong = "Mean and variance run over axis 1, which is that of the positions in a batch of sequences."
class LayerNorm:
    def forward(self, x):
        mu = torch.mean(x, 1, keepdim=True)
        sigma2 = torch.var(x, 1, keepdim=True, unbiased=False)
        out = (x - mu) * torch.rsqrt(sigma2 + self.eps) * self.weight
        return out + self.bias if self.bias is not None else out


# %% root-of-the-std
# idiom = "CS336 students"
# wrong = "The standard deviation stands where the variance belongs, so another root is taken of it."
# slips = ["norm-std-for-the-variance"]
class LayerNorm:
    def forward(self, x):
        mu = x.mean(-1, keepdim=True)
        sigma = x.std(-1, keepdim=True, unbiased=False)
        x = (x - mu) / torch.sqrt(sigma + self.eps)
        x = x * self.weight
        return x if self.bias is None else x + self.bias


# %% relu-between
# idiom = "d2l"
# wrong = "The network has a ReLU between its two maps, not a GELU."
# slips = ["feedforward-by-relu"]
class FeedForward:
    def forward(self, x):
        return self.dropout(self.down_proj(torch.relu(self.up_proj(x))))


# %% tanh-as-in-gpt-2
# idiom = "nanoGPT"
# slips = ["feedforward-by-tanh"]
# wrong = "The network uses the form with tanh."
class FeedForward:
    def forward(self, x):
        x = self.up_proj(x)
        x = gelu(x, approximate="tanh")
        x = self.down_proj(x)
        x = self.dropout(x)
        return x


# %% a-sequence-of-layers
# idiom = "rasbt"
# wrong = "The maps are in an nn.Sequential, so they are called layers.0 and layers.2 in the state dict."
class FeedForward:
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"{dropout=}")
        self.layers = nn.Sequential(Linear(d_model, d_ff, bias), GELU(), Linear(d_ff, d_model, bias))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.layers(x))


class GELU(nn.Module):
    def forward(self, x):
        return gelu(x)


# %% dropout-before-the-second-map
# idiom = "annotated transformer"
# slips = ["feedforward-drops-hidden-features"]
# wrong = "The hidden features are dropped, not the output."
class FeedForward:
    def forward(self, x):
        return self.down_proj(self.dropout(gelu(self.up_proj(x))))


# %% dropout-after-both
# idiom = "x-transformers"
# wrong = "Hidden features are dropped besides the output."
# slips = ["feedforward-drops-hidden-features-too"]
class FeedForward:
    def forward(self, x):
        hidden = self.dropout(gelu(self.up_proj(x)))
        return self.dropout(self.down_proj(hidden))


# %% four-times-as-wide
# idiom = "karpathy's lectures"
# slips = ["feedforward-width-ignored"]
# wrong = "The network is 4 · d_model wide whatever d_ff is."
class FeedForward:
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__()
        if dropout < 0 or dropout >= 1:
            raise ValueError(f"dropout must be in [0, 1): {dropout}")
        n_embd = d_model
        self.up_proj = Linear(n_embd, 4 * n_embd, bias)
        self.down_proj = Linear(4 * n_embd, n_embd, bias)
        self.dropout = nn.Dropout(dropout)


# %% a-sublayer-connection
# idiom = "annotated transformer"
# slips = ["dropped-twice"]
# wrong = "The connection drops what each sub-layer gives, and the feed-forward network has dropped it already."
class TransformerBlock:
    def forward(self, x, mask=None):
        x = self.connect(x, self.attention_norm, lambda x: self.attention(x, mask))
        return self.connect(x, self.feedforward_norm, self.feedforward)

    def connect(self, x, norm, sublayer):
        if self.norm_first:
            return x + self.dropout(sublayer(norm(x)))
        return norm(x + self.dropout(sublayer(x)))


# %% pre-norm-without-dropout
# idiom = "nanoGPT"
# slips = ["always-pre-norm", "attention-output-not-dropped"]
# wrong = "Two mistakes: it is pre-norm whatever norm_first says, and what attention adds is not dropped."
class TransformerBlock:
    def forward(self, x, mask=None):
        x = x + self.attention(self.attention_norm(x), mask)
        x = x + self.feedforward(self.feedforward_norm(x))
        return x


# %% plus-equals
# idiom = "CS336 students"
# slips = ["added-in-place"]
# wrong = "x += … writes into the caller's tensor."
class TransformerBlock:
    def forward(self, x, mask=None):
        if not self.norm_first:
            x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
            return self.feedforward_norm(x + self.feedforward(x))
        attn_out = self.attention(self.attention_norm(x), mask)
        x += self.dropout(attn_out)
        x += self.feedforward(self.feedforward_norm(x))
        return x


# %% shortcut-taken-too-late
# idiom = "rasbt"
# slips = ["norm-on-the-stream", "always-post-norm"]
# wrong = "The shortcut is taken after the norm, so the normalised x is added to."
class TransformerBlock:
    def forward(self, x, mask=None):
        if self.norm_first is False:
            x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
            return self.feedforward_norm(x + self.feedforward(x))
        x = self.attention_norm(x)
        shortcut = x
        x = self.attention(x, mask)
        x = self.dropout(x)
        x = x + shortcut
        x = self.feedforward_norm(x)
        shortcut = x
        x = self.feedforward(x)
        return x + shortcut


# %% both-from-one-norm-input
# idiom = "x-transformers"
# slips = ["side-by-side"]
# wrong = "Both sub-layers get the same x, and their outputs are added."
class TransformerBlock:
    def forward(self, x, mask=None):
        if self.norm_first:
            attn_out = self.dropout(self.attention(self.attention_norm(x), mask))
            ff_out = self.feedforward(self.feedforward_norm(x))
            return x + attn_out + ff_out
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        return self.feedforward_norm(x + self.feedforward(x))


# %% keyword-lost-on-the-way
# idiom = "d2l"
# slips = ["mask-not-passed-on"]
# wrong = "The sub-layer is called by a lambda that drops the mask."
class AddNorm:
    def __init__(self, norm, dropout):
        self.norm, self.dropout = norm, dropout

    def __call__(self, X, Y):
        return self.norm(self.dropout(Y) + X)


class TransformerBlock:
    def forward(self, x, mask=None):
        if self.norm_first:
            sublayer = lambda y, **kwargs: self.attention(self.attention_norm(y))
            x = x + self.dropout(sublayer(x, mask=mask))
            return x + self.feedforward(self.feedforward_norm(x))
        Y = AddNorm(self.attention_norm, self.dropout)(x, self.attention(x, mask))
        return AddNorm(self.feedforward_norm, nn.Identity())(Y, self.feedforward(Y))


# %% unbiased-and-relu
# idiom = "CS336 students"
# slips = ["norm-unbiased-variance"]
# wrong = "Two mistakes: the variance divides by n - 1, and the network has a ReLU."
class LayerNorm:
    def forward(self, x):
        mu = x.mean(-1, keepdim=True)
        var = x.var(-1, keepdim=True)
        out = (x - mu) * (var + self.eps).rsqrt() * self.weight
        return out if self.bias is None else out + self.bias


class FeedForward:
    def forward(self, x):
        return self.dropout(self.down_proj(self.up_proj(x).clamp(min=0)))


# %% right-root-as-a-tensor
# idiom = "rasbt"
def gelu(x, approximate="none"):
    if approximate == "none":
        return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
    return (
        0.5
        * x
        * (1 + torch.tanh(torch.sqrt(torch.tensor(2.0 / torch.pi)) * (x + 0.044715 * torch.pow(x, 3))))
    )


# %% right-root-as-a-literal
# idiom = "x-transformers"
def gelu(x, approximate="none"):
    if approximate == "tanh":
        return x * 0.5 * (1.0 + torch.tanh(0.7978845608 * x * (1.0 + 0.044715 * x * x)))
    return x * torch.special.ndtr(x)


# %% right-std-without-correction
# idiom = "annotated transformer"
class LayerNorm:
    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        var = x.var(-1, keepdim=True, unbiased=False)
        normed = (x - mean) / (var + self.eps).sqrt()
        if self.bias is not None:
            return self.weight * normed + self.bias
        return self.weight * normed


class TransformerBlock:
    def forward(self, x, mask=None):
        x = self.sublayer(x, self.attention_norm, lambda y: self.dropout(self.attention(y, mask)))
        return self.sublayer(x, self.feedforward_norm, self.feedforward)

    def sublayer(self, x, norm, f):
        return x + f(norm(x)) if self.norm_first else norm(x + f(x))


# %% right-torch-layer-norm
# idiom = "nanoGPT"
import torch.nn.functional as F


class LayerNorm:
    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class FeedForward:
    def forward(self, x):
        x = self.up_proj(x)
        x = F.gelu(x)
        x = self.down_proj(x)
        return self.dropout(x)


# %% typo-in-the-constant
# idiom = "nanoGPT"
# slips = ["gelu-constant-ten-times-too-large"]
# wrong = "0.44715 is written for 0.044715."
def gelu(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.44715 * x**3)))
    return 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0)))


# %% any-string-is-true
# idiom = "LLM assistant"
# slips = ["gelu-tanh-for-exact"]
# wrong = "The string \"none\" is true, so the form with tanh is always taken."
def gelu(x, approximate="none"):
    if approximate:
        c = math.sqrt(2 / math.pi)
        return 0.5 * x * (1 + torch.tanh(c * (x + 0.044715 * x.pow(3))))
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


# %% probability-without-the-number
# idiom = "Exercism"
# slips = ["gelu-without-x"]
# wrong = "The exact form is Φ(x), not x · Φ(x)."
def phi(x):
    return 0.5 * (1 + torch.erf(x / 2**0.5))


def gelu(x, approximate="none"):
    if approximate == "none":
        return phi(x)
    return 0.5 * x * (1 + torch.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)))


# %% root-of-two-pi
# idiom = "CS336 students"
# slips = ["gelu-tanh-factor-of-root-two-pi"]
# wrong = "The factor in the tanh is √(2π), not √(2/π)."
def gelu(x, approximate="none"):
    if approximate == "none":
        return x / 2 * (1 + torch.erf(x / math.sqrt(2)))
    inner = math.sqrt(2 * math.pi) * (x + 0.044715 * x * x * x)
    return x / 2 * (1 + torch.tanh(inner))


# %% erf-of-half
# idiom = "Exercism"
# slips = ["gelu-erf-of-half"]
# wrong = "erf takes x / 2, not x / √2."
def gelu(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    cdf = (1 + torch.erf(x / 2)) / 2
    return x * cdf


# %% rms-by-habit
# idiom = "CS336 students"
# slips = ["norm-by-the-root-mean-square", "norm-not-centred", "norm-mean-square-for-variance"]
# wrong = "It is an RMSNorm: nothing is centred, and the root is that of the mean square of x."
class LayerNorm:
    def forward(self, x):
        ms = x.pow(2).mean(-1, keepdim=True)
        x = x * torch.rsqrt(ms + self.eps)
        x = x * self.weight
        if self.bias is not None:
            x = x + self.bias
        return x


# %% truth-of-the-bias
# idiom = "Exercism"
# slips = ["norm-truth-of-the-bias"]
# wrong = "if self.bias: asks for the truth of a tensor of several numbers."
class LayerNorm:
    def forward(self, x):
        mu = x.mean(-1, keepdim=True)
        sigma = ((x - mu) ** 2).mean(-1, keepdim=True)
        out = self.weight * (x - mu) / torch.sqrt(sigma + self.eps)
        if self.bias:
            out = out + self.bias
        return out


# %% shifted-then-scaled
# idiom = "LLM assistant"
# slips = ["norm-shifted-then-scaled"]
# wrong = "The bias is added before the weight multiplies."
class LayerNorm:
    def forward(self, x):
        mean = x.mean(dim=-1, keepdim=True)
        var = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
        x_hat = (x - mean) / torch.sqrt(var + self.eps)
        if self.bias is not None:
            x_hat = x_hat + self.bias
        return x_hat * self.weight


# %% statistics-of-the-whole-sequence
# idiom = "d2l"
# slips = ["norm-over-the-positions-too"]
# wrong = "Mean and variance run over the last two axes, positions as well as features."
class LayerNorm:
    def forward(self, x):
        dims = (-2, -1) if x.dim() > 1 else (-1,)
        mean = x.mean(dim=dims, keepdim=True)
        var = ((x - mean) ** 2).mean(dim=dims, keepdim=True)
        y = (x - mean) / torch.sqrt(var + self.eps) * self.weight
        return y + self.bias if self.bias is not None else y


# %% divided-by-the-variance
# idiom = "Exercism"
# slips = ["norm-root-forgotten"]
# wrong = "It is divided by var + eps, without the root."
class LayerNorm:
    def forward(self, x):
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = torch.mean(centred**2, dim=-1, keepdim=True)
        normed = centred / (variance + self.eps)
        result = normed * self.weight
        if self.bias is not None:
            result = result + self.bias
        return result


# %% float32-in-between
# idiom = "Hugging Face"
# slips = ["norm-computed-in-float32"]
# wrong = "It computes in float32 and casts back to the input's dtype, so float64 keeps only 7 digits."
class LayerNorm:
    def forward(self, x):
        input_dtype = x.dtype
        h = x.to(torch.float32)
        mean = h.mean(-1, keepdim=True)
        variance = (h - mean).pow(2).mean(-1, keepdim=True)
        h = (h - mean) * torch.rsqrt(variance + self.eps)
        h = self.weight * h.to(input_dtype)
        return h if self.bias is None else h + self.bias


# %% weight-not-a-parameter
# idiom = "Exercism"
# slips = ["norm-parameters-are-tensors", "norm-weight-is-no-parameter"]
# wrong = "weight and bias are plain tensors, so nothing is learned and the state dict is empty."
class LayerNorm:
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.eps = eps
        self.weight = torch.ones(d_model)
        self.bias = torch.zeros(d_model) if bias else None


# %% bias-frozen-not-absent
# idiom = "LLM assistant"
# slips = ["norm-bias-frozen", "norm-bias-always"]
# wrong = "With bias=False the bias is there, with requires_grad=False, and in the state dict."
class LayerNorm:
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model), requires_grad=bias)


# %% functional-dropout-always-on
# idiom = "CS336 students"
# slips = ["feedforward-dropout-in-evaluation"]
# wrong = "F.dropout drops in evaluation too, because training is not passed on."
import torch.nn.functional as F


class FeedForward:
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__()
        self.p = dropout
        self.up_proj = Linear(d_model, d_ff, bias)
        self.down_proj = Linear(d_ff, d_model, bias)

    def forward(self, x):
        return F.dropout(self.down_proj(gelu(self.up_proj(x))), self.p)


# %% residual-inside-the-network
# idiom = "annotated transformer"
# slips = ["feedforward-adds-its-input"]
# wrong = "The network adds x itself, which the block is to do."
class FeedForward:
    def forward(self, x):
        h = gelu(self.up_proj(x))
        return x + self.dropout(self.down_proj(h))


# %% features-out-and-in
# idiom = "Exercism"
# slips = ["feedforward-sizes-exchanged"]
# wrong = "Linear is given its sizes in the order (out, in)."
class FeedForward:
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__()
        self.up_proj = Linear(d_ff, d_model, bias=bias)
        self.down_proj = Linear(d_model, d_ff, bias=bias)
        self.dropout = nn.Dropout(dropout)


# %% arguments-by-position
# idiom = "nanoGPT"
# slips = ["norms-keep-their-bias"]
# wrong = "bias is passed by position to the norms, where eps comes second."
class TransformerBlock:
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        self.norm_first = norm_first
        self.attention_norm = LayerNorm(d_model, bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias=bias, dropout=dropout)
        self.feedforward_norm = LayerNorm(d_model, bias)
        self.feedforward = FeedForward(d_model, d_ff, dropout=dropout, bias=bias)
        self.dropout = nn.Dropout(dropout)


# %% one-norm-twice
# idiom = "rasbt"
# slips = ["one-norm-for-both"]
# wrong = "Both norms are one module."
class TransformerBlock:
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        norm = LayerNorm(d_model, bias=bias)
        self.attention_norm = norm
        self.attention = MultiHeadAttention(d_model, num_heads, bias=bias, dropout=dropout)
        self.feedforward_norm = norm
        self.feedforward = FeedForward(d_model, d_ff, dropout=dropout, bias=bias)
        self.drop = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x, mask=None):
        if self.norm_first:
            x = x + self.drop(self.attention(self.attention_norm(x), mask))
            return x + self.feedforward(self.feedforward_norm(x))
        x = self.attention_norm(x + self.drop(self.attention(x, mask)))
        return self.feedforward_norm(x + self.feedforward(x))


# %% sum-of-x-and-a-norm
# idiom = "x-transformers"
# slips = ["norm-on-what-is-added"]
# wrong = "Post-norm normalises what a sub-layer gives before x is added, not the sum."
class TransformerBlock:
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        self.norm_first = norm_first
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias=bias, dropout=dropout)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.feedforward = FeedForward(d_model, d_ff, dropout=dropout, bias=bias)
        self.resid_dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        if self.norm_first:
            x = x + self.resid_dropout(self.attention(self.attention_norm(x), mask=mask))
            x = x + self.feedforward(self.feedforward_norm(x))
        else:
            x = x + self.attention_norm(self.resid_dropout(self.attention(x, mask=mask)))
            x = x + self.feedforward_norm(self.feedforward(x))
        return x


# %% the-sum-is-dropped
# idiom = "d2l"
# slips = ["stream-dropped"]
# wrong = "Dropout is applied to the sum of x and what attention gives, so the stream itself loses entries."
class TransformerBlock:
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias=bias, dropout=dropout)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.feedforward = FeedForward(d_model, d_ff, dropout=dropout, bias=bias)
        self.dropout1 = nn.Dropout(dropout)
        self.pre = norm_first

    def forward(self, x, mask=None):
        if self.pre:
            x = self.dropout1(x + self.attention(self.attention_norm(x), mask))
            x = x + self.feedforward(self.feedforward_norm(x))
            return x
        Y = self.attention_norm(self.dropout1(x + self.attention(x, mask)))
        return self.feedforward_norm(Y + self.feedforward(Y))


# %% shortcut-from-the-start
# idiom = "rasbt"
# slips = ["sums-with-the-input-of-the-block"]
# wrong = "The second sum adds the input of the block, not what attention has made of it: attention's sum is lost."
class TransformerBlock:
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias=bias, dropout=dropout)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.feedforward = FeedForward(d_model, d_ff, dropout=dropout, bias=bias)
        self.drop_shortcut = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x, mask=None):
        shortcut = x
        if self.norm_first:
            x = self.attention_norm(x)
            x = self.attention(x, mask)
            x = self.drop_shortcut(x)
            x = x + shortcut
            x = self.feedforward_norm(x)
            x = self.feedforward(x)
            x = x + shortcut
            return x
        x = self.attention_norm(shortcut + self.drop_shortcut(self.attention(x, mask)))
        x = self.feedforward_norm(x + self.feedforward(x))
        return x


# %% normed-twice-in-post-norm
# idiom = "LLM assistant"
# slips = ["post-norm-normalises-before-as-well"]
# wrong = "Post-norm normalises before the sub-layers as well."
class TransformerBlock:
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias=bias, dropout=dropout)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.feedforward = FeedForward(d_model, d_ff, dropout=dropout, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x, mask=None):
        attn_out = self.dropout(self.attention(self.attention_norm(x), mask))
        x = x + attn_out
        if not self.norm_first:
            x = self.attention_norm(x)
        ff_out = self.feedforward(self.feedforward_norm(x))
        x = x + ff_out
        if not self.norm_first:
            x = self.feedforward_norm(x)
        return x


# %% no-dropout-and-no-bias
# idiom = "LLM assistant"
# slips = ["attention-keeps-its-bias", "attention-output-not-dropped"]
# wrong = "Two mistakes: bias is not passed to the attention, and what attention adds is not dropped."
class TransformerBlock:
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, num_heads, dropout=dropout)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.feedforward = FeedForward(d_model, d_ff, dropout=dropout, bias=bias)
        self.norm_first = norm_first

    def forward(self, x, mask=None):
        if self.norm_first:
            x = x + self.attention(self.attention_norm(x), mask)
            return x + self.feedforward(self.feedforward_norm(x))
        x = self.attention_norm(x + self.attention(x, mask))
        return self.feedforward_norm(x + self.feedforward(x))


# %% no-eps-and-unbiased
# idiom = "Exercism"
# slips = ["norm-unbiased-and-without-eps", "norm-unbiased-variance", "norm-without-eps"]
# wrong = "Two mistakes: eps is left out, and the variance divides by n - 1."
class LayerNorm:
    def forward(self, x):
        m = torch.mean(x, dim=-1, keepdim=True)
        s = torch.std(x, dim=-1, keepdim=True)
        y = (x - m) / s * self.weight
        if self.bias is not None:
            y += self.bias
        return y


# %% right-special-functions
# idiom = "LLM assistant"
def gelu(x, approximate="none"):
    if approximate == "none":
        return x * torch.special.ndtr(x)
    if approximate == "tanh":
        return x * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3)))
    raise ValueError(approximate)


# %% right-torch-linear-and-var-mean
# idiom = "nanoGPT"
class LayerNorm:
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.register_parameter("bias", nn.Parameter(torch.zeros(d_model)) if bias else None)

    def forward(self, x):
        var, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
        out = (x - mean) * (var + self.eps).rsqrt()
        out = out * self.weight
        return out if self.bias is None else out + self.bias


class FeedForward:
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__()
        self.up_proj = nn.Linear(d_model, d_ff, bias=bias)
        self.down_proj = nn.Linear(d_ff, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.down_proj(gelu(self.up_proj(x))))


# %% complement-of-the-error-function
# idiom = "LLM assistant"
# slips = ["gelu-share-above"]
# wrong = "erfc(x / √2) / 2 is the share above x, not below."
def gelu(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * torch.erfc(x / math.sqrt(2))


# %% four-fifths
# idiom = "Exercism"
# slips = ["gelu-tanh-factor-rounded"]
# wrong = "√(2/π) is rounded to 0.8."
def gelu(x, approximate="none"):
    if approximate == "none":
        return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
    return 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.044715 * torch.pow(x, 3))))


# %% all-but-the-first-axis
# idiom = "CS336 students"
# slips = ["norm-over-all-axes-but-the-first"]
# wrong = "It normalises over all axes but the first."
class LayerNorm:
    def forward(self, x):
        dims = tuple(range(1, x.ndim)) or (0,)
        mean = x.mean(dims, keepdim=True)
        var = x.var(dims, keepdim=True, unbiased=False)
        x = (x - mean) / torch.sqrt(var + self.eps)
        x = x * self.weight
        return x + self.bias if self.bias is not None else x


# %% a-norm-of-pytorch-inside
# idiom = "minGPT"
# slips = []
# wrong = "The parameters are in a module inside, so they are called ln.weight and ln.bias."
class LayerNorm:
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.ln = nn.LayerNorm(d_model, eps=eps, bias=bias)

    def forward(self, x):
        return self.ln(x)


# %% input-dropped
# idiom = "Exercism"
# slips = ["feedforward-drops-its-input"]
# wrong = "The input of the network is dropped, not its output."
class FeedForward:
    def forward(self, x):
        x = self.dropout(x)
        x = gelu(self.up_proj(x))
        return self.down_proj(x)


# %% gelu-of-pytorch-with-tanh
# idiom = "nanoGPT"
# slips = ["feedforward-by-tanh"]
# wrong = "The network uses the form with tanh."
class FeedForward:
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__()
        self.up_proj = Linear(d_model, d_ff, bias=bias)
        self.act = nn.GELU(approximate="tanh")
        self.down_proj = Linear(d_ff, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.down_proj(self.act(self.up_proj(x))))


# %% post-norm-in-any-case
# idiom = "labml"
# slips = ["always-post-norm"]
# wrong = "Post-norm whatever norm_first says."
class TransformerBlock:
    def forward(self, x, mask=None):
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        x = self.feedforward_norm(x + self.feedforward(x))
        return x


# %% last-norm-of-post-norm-left-out
# idiom = "d2l"
# slips = ["last-norm-left-out"]
# wrong = "With norm_first=False the second sum is not normalised."
class TransformerBlock:
    def forward(self, x, mask=None):
        if self.norm_first:
            x = x + self.dropout(self.attention(self.attention_norm(x), mask))
            x = x + self.feedforward(self.feedforward_norm(x))
        else:
            x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
            x = x + self.feedforward(x)
        return x


# %% residual-of-the-norm
# idiom = "rasbt"
# slips = ["feedforward-norm-on-the-stream"]
# wrong = "The second shortcut is taken after feedforward_norm: the normalised stream is added to."
class TransformerBlock:
    def forward(self, x, mask=None):
        if not self.norm_first:
            x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
            return self.feedforward_norm(x + self.feedforward(x))
        shortcut = x
        x = self.attention_norm(x)
        x = self.dropout(self.attention(x, mask)) + shortcut
        x = self.feedforward_norm(x)
        shortcut = x
        return self.feedforward(x) + shortcut


# %% dropout-not-told
# idiom = "CS336 students"
# slips = ["attention-weights-not-dropped", "feedforward-told-of-no-dropout"]
# wrong = "dropout is handed to neither attention nor the network."
class TransformerBlock:
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        self.norm_first = norm_first
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias=bias)
        self.feedforward = FeedForward(d_model, d_ff, bias=bias)
        self.dropout = nn.Dropout(dropout)


# %% cubic-outside-the-bracket
# idiom = "blog post"
# slips = ["gelu-tanh-factor-on-x-alone"]
# wrong = "In the tanh form the factor of the root of 2/pi multiplies x only and not the cubic term, so the curve is off by about a hundredth."
def gelu(x, approximate="none"):
    if approximate == "tanh":
        inner = math.sqrt(2.0 / math.pi) * x + 0.044715 * torch.pow(x, 3)
        return 0.5 * x * (1.0 + torch.tanh(inner))
    return 0.5 * x * torch.erfc(-x / math.sqrt(2.0))


# %% tanh-by-hand
# idiom = "CS336 students"
# slips = []
# wrong = "The tanh is written with exponentials of 2u, which overflow from about x = 10: there the tanh form is inf/inf, NaN."
def _tanh(u):
    e2u = torch.exp(2 * u)
    return (e2u - 1) / (e2u + 1)


def gelu(x, approximate="none"):
    if approximate == "none":
        cdf = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    else:
        cdf = 0.5 * (1 + _tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return x * cdf


# %% quick-gelu
# idiom = "CLIP / x-transformers"
# slips = []
# wrong = "The approximate form is x * sigmoid(1.702 x), another approximation, off by up to 0.02."
import torch.nn.functional as F


def gelu(x, approximate="none"):
    exact = approximate != "tanh"
    return F.gelu(x) if exact else x.mul(torch.sigmoid(1.702 * x))


# %% variance-as-a-difference-of-moments
# idiom = "Triton/CUDA blog post"
# slips = ["norm-variance-in-one-pass"]
# wrong = "The variance is E[x^2] - E[x]^2, which cancels: rows around 10,000 lose their precision in float32 and may even be NaN."
class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        if bias:
            self.bias = nn.Parameter(torch.zeros(d_model))
        else:
            self.register_parameter("bias", None)

    def forward(self, x):
        n = x.shape[-1]
        mu = x.sum(-1, keepdim=True) / n
        var = x.square().sum(-1, keepdim=True) / n - mu * mu
        out = (x - mu) * torch.rsqrt(var + self.eps) * self.weight
        return out if self.bias is None else out + self.bias


# %% nanogpt-layernorm
# idiom = "nanoGPT"
# slips = ["norm-eps-ignored"]
# wrong = "The functional layer norm is called with the constant 1e-5: the argument eps is ignored."
from torch.nn import functional as F


class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


# %% all-axes-but-the-batch
# idiom = "d2l"
# slips = ["norm-over-all-axes-but-the-first"]
# wrong = "Mean and variance run over all axes but the first, as for images, so the positions of a sequence share them."
class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(d_model)), eps
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x):
        axes = tuple(range(1, x.dim())) if x.dim() > 1 else (0,)
        centred = x - x.mean(dim=axes, keepdim=True)
        variance = (centred**2).mean(dim=axes, keepdim=True)
        X_hat = centred / torch.sqrt(variance + self.eps)
        Y = self.weight * X_hat
        if self.bias is not None:
            Y = Y + self.bias
        return Y


# %% dropout-on-the-hidden-layer
# idiom = "annotated transformer"
# slips = ["feedforward-drops-hidden-features"]
# wrong = "The dropout sits between the activation and the second map, so hidden features are dropped and not entries of the output."
class FeedForward(nn.Module):
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__()
        self.up_proj = Linear(d_model, d_ff, bias=bias)
        self.down_proj = Linear(d_ff, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.down_proj(self.dropout(gelu(self.up_proj(x))))


# %% dropout-without-the-mode
# idiom = "StackOverflow"
# slips = ["feedforward-dropout-in-evaluation", "feedforward-dropout-made-in-forward"]
# wrong = "The functional dropout is called without training=self.training, so entries are dropped in evaluation as well."
from torch.nn.functional import dropout as drop_entries


class FeedForward(nn.Module):
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__()
        self.p = dropout
        self.up_proj, self.down_proj = (
            nn.Linear(d_model, d_ff, bias=bias),
            nn.Linear(d_ff, d_model, bias=bias),
        )

    def forward(self, x):
        hidden = gelu(self.up_proj(x))
        return drop_entries(self.down_proj(hidden), p=self.p)


# %% both-from-the-same-input
# idiom = "GPT-J / lucidrains"
# slips = ["side-by-side"]
# wrong = "In pre-norm the feed-forward network reads the input of the block and not what attention has already added to it (a parallel block)."
import torch.nn.functional as F


class TransformerBlock(nn.Module):
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, num_heads, bias=bias, dropout=dropout)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.feedforward = FeedForward(d_model, d_ff, dropout=dropout, bias=bias)
        self.norm_first, self.p = norm_first, dropout

    def _attend(self, h, mask):
        return F.dropout(self.attention(h, mask), self.p, self.training)

    def forward(self, x, mask=None):
        if self.norm_first:
            a = self._attend(self.attention_norm(x), mask)
            f = self.feedforward(self.feedforward_norm(x))
            return x + a + f
        x = self.attention_norm(x + self._attend(x, mask))
        return self.feedforward_norm(x + self.feedforward(x))


# %% sublayer-connection-drops-again
# idiom = "annotated transformer"
# slips = ["dropped-twice"]
# wrong = "The residual connection drops the output of every sub-layer, but FeedForward has dropped its own already: its entries are dropped and rescaled twice."
class TransformerBlock(nn.Module):
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, num_heads, bias=bias, dropout=dropout)
        self.feedforward = FeedForward(d_model, d_ff, dropout=dropout, bias=bias)
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.dropout_p = dropout
        self.norm_first = norm_first

    def sublayer(self, x, norm, fn):
        def drop(t):
            return nn.functional.dropout(t, p=self.dropout_p, training=self.training)

        return x + drop(fn(norm(x))) if self.norm_first else norm(x + drop(fn(x)))

    def forward(self, x, mask=None):
        x = self.sublayer(x, self.attention_norm, lambda t: self.attention(t, mask))
        return self.sublayer(x, self.feedforward_norm, self.feedforward)


# %% norm-then-add
# idiom = "LLM-written"
# slips = ["norm-on-what-is-added"]
# wrong = "In post-norm the output of the sub-layer is normalised and then added, instead of the sum being normalised."
class TransformerBlock(nn.Module):
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        self.norm_first = norm_first
        self.drop_rate = dropout
        self.attention_norm = LayerNorm(d_model, bias=bias)
        self.feedforward_norm = LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model=d_model, num_heads=num_heads, dropout=dropout, bias=bias)
        self.feedforward = FeedForward(d_model=d_model, d_ff=d_ff, dropout=dropout, bias=bias)

    def forward(self, x, mask=None):
        residual = x
        if self.norm_first:
            x = self.attention_norm(x)
        x = self.attention(x, mask=mask)
        x = torch.dropout(x, self.drop_rate, self.training)
        if not self.norm_first:
            x = self.attention_norm(x)
        x = residual + x

        residual = x
        if self.norm_first:
            x = self.feedforward_norm(x)
        x = self.feedforward(x)
        if not self.norm_first:
            x = self.feedforward_norm(x)
        x = residual + x
        return x


# %% residual-from-the-normed
# idiom = "rasbt readers"
# slips = ["always-post-norm", "both-norms-on-the-stream"]
# wrong = "In pre-norm x is overwritten by its norm, so the sub-layers are added to the normalised input and the stream does not run through."
from functools import partial


class TransformerBlock(nn.Module):
    def __init__(self, d_model, num_heads, d_ff, dropout=0.0, norm_first=True, bias=True):
        super().__init__()
        make_norm = partial(LayerNorm, d_model, bias=bias)
        self.attention_norm = make_norm()
        self.attention = MultiHeadAttention(d_model, num_heads, bias, dropout)
        self.feedforward_norm = make_norm()
        self.feedforward = FeedForward(d_model, d_ff, dropout, bias)
        self.resid_pdrop = dropout
        self.norm_first = norm_first

    def forward(self, x, mask=None):
        if self.norm_first:
            x = self.attention_norm(x)
        x = x + torch.dropout(self.attention(x, mask), self.resid_pdrop, self.training)
        x = self.feedforward_norm(x) if self.norm_first else self.attention_norm(x)
        x = x + self.feedforward(x)
        return x if self.norm_first else self.feedforward_norm(x)
