"""Ordered tests of kata 18: each adds one idea, and needs only what stands above it."""

import re
from copy import deepcopy

import pytest
import torch
from torch import nn

from katas.k00_shapes.shapes import Linear
from katas.k04_embeddings.embeddings import CharTokenizer
from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k06_training.training import cross_entropy, train_step
from katas.k18_finetuning.finetuning import (
    LoRALinear,
    add_lora,
    collate,
    exact_match,
    lora_state_dict,
    render,
)
from katas.k18_finetuning.tasks import load_small_model, made_up_words, tasks

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
KINDS = pytest.mark.parametrize("kind", [Linear, nn.Linear], ids=["Linear of kata 00", "nn.Linear"])
# All sizes differ: 7 inputs, 5 outputs, rank 3, and alpha / rank is 2.5.
RANK, ALPHA = 3, 7.5
# float64 keeps 16 digits of numbers around 10; the nearest wrong versions are off by 0.01.
CLOSE = {"rtol": 0, "atol": 1e-10}


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def fill(module, seed):
    """The module, all parameters of which are random and not small."""
    for number, parameter in enumerate(module.parameters()):
        parameter.data = normal(*parameter.shape, seed=100 * seed + number, dtype=parameter.dtype) / 2
    return module


def linear_map(kind=Linear, bias=True, dtype=torch.float64, seed=1):
    """A linear map from 7 to 5 features."""
    return fill(kind(7, 5, bias=bias).to(dtype), seed)


def adapter(kind=Linear, bias=True, seed=1, **options):
    """A LoRALinear in which both thin matrices are random."""
    return fill(LoRALinear(linear_map(kind, bias, **options), RANK, ALPHA), seed)


def product(module):
    """What the two thin matrices add to the weight: (alpha / rank) · B A."""
    return (ALPHA / RANK) * module.lora_b.detach() @ module.lora_a.detach()


def small_lm(seed=1, **changes):
    """A small TransformerLM in float64 whose parameters are all random and not small."""
    sizes = {"vocab_size": 11, "block_size": 9, "d_model": 12, "num_heads": 3, "num_layers": 2, "d_ff": 20}
    with torch.random.fork_rng(devices=[]):
        model = TransformerLM(ModelConfig(**{**sizes, **changes})).double()
    return fill(model, seed)


def trained(module):
    """The names of the parameters that require a gradient."""
    return [name for name, parameter in module.named_parameters() if parameter.requires_grad]


IDS = [[3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8, 10, 0]]


@DTYPES
@KINDS
@pytest.mark.parametrize("bias", [True, False], ids=["with bias", "without bias"])
def test_fresh_adapter_changes_nothing(bias, kind, dtype):
    """B starts at 0: a new LoRALinear gives the outputs of the linear map, with A and B in its dtype."""
    linear, x = linear_map(kind, bias, dtype), normal(2, 4, 7, seed=2, dtype=dtype)
    expected = linear(x).detach()
    module = LoRALinear(linear, RANK, ALPHA)
    assert (*module.lora_a.shape,) == (RANK, 7), "shape of lora_a"
    assert (*module.lora_b.shape,) == (5, RANK), "shape of lora_b"
    assert module.lora_a.dtype == dtype
    assert module.lora_b.dtype == dtype
    assert module.lora_b.count_nonzero() == 0, "entries of lora_b that are not 0"
    # What is added is 0. But float32 rounds a sum of seven products by 1e-6, whose order is not fixed.
    torch.testing.assert_close(module(x).detach(), expected, rtol=0, atol=1e-5)
    on_meta = LoRALinear(linear_map(kind, bias, dtype).to("meta"), RANK, ALPHA)
    assert {p.device.type for p in on_meta.parameters()} == {"meta"}, "devices"


def test_a_starts_at_random():
    """The entries of A have mean 0 and standard deviation 1/√in; at 0, neither A nor B would ever learn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = LoRALinear(Linear(900, 11), 100, 50.0)
    # 90,000 entries: their standard deviation is known to 0.24 % (one sigma), their mean to 0.0001.
    assert module.lora_a.std().item() == pytest.approx(1 / 30, rel=0.02), "standard deviation of lora_a"
    assert module.lora_a.mean().item() == pytest.approx(0, abs=0.001), "mean of lora_a"


@KINDS
@pytest.mark.parametrize("bias", [True, False], ids=["with bias", "without bias"])
def test_only_a_and_b_are_trained(bias, kind):
    """The linear map is kept and frozen; rank · (in + out) numbers are trained, and nothing else."""
    linear = linear_map(kind, bias)
    module = LoRALinear(linear, RANK, ALPHA)
    assert module.linear is linear, "the linear map was copied or replaced"
    kept = ["linear.bias"] * bias + ["linear.weight", "lora_a", "lora_b"]
    assert sorted(name for name, _ in module.named_parameters()) == kept, "names of the parameters"
    assert sorted(trained(module)) == ["lora_a", "lora_b"], "what requires a gradient"
    assert sum(p.numel() for p in module.parameters() if p.requires_grad) == RANK * (7 + 5)
    assert sorted(module.state_dict()) == kept, "names in the state dict"


@KINDS
@pytest.mark.parametrize("bias", [True, False], ids=["with bias", "without bias"])
def test_change_is_alpha_over_rank_times_b_a(bias, kind):
    """Outputs and gradients are those of a linear map with the weight W + (alpha / rank) · B A."""
    module = adapter(kind, bias)
    x, cotangent = normal(2, 4, 7, seed=4).requires_grad_(), normal(2, 4, 5, seed=5)
    found = torch.autograd.grad(module(x), [x, module.lora_a, module.lora_b], cotangent)
    a, b = (each.detach().clone().requires_grad_() for each in (module.lora_a, module.lora_b))
    dense = module.linear.weight + (ALPHA / RANK) * b @ a  # (out, in), never needed in the module
    out = x @ dense.T + (module.linear.bias if bias else 0)
    torch.testing.assert_close(module(x), out, **CLOSE)
    torch.testing.assert_close(found, torch.autograd.grad(out, [x, a, b], cotangent), **CLOSE)


def test_b_learns_from_the_first_step_and_a_from_the_second():
    """With B = 0 the gradient of A is 0; after one step B is not 0 any more, and A learns, too."""
    module = LoRALinear(linear_map(), RANK, ALPHA)
    x, cotangent = normal(13, 7, seed=6), normal(13, 5, seed=7)
    start = module.lora_a.detach().clone()
    expected = (ALPHA / RANK) * cotangent.T @ x @ start.T  # (out, rank)
    optimizer = torch.optim.SGD([module.lora_a, module.lora_b], lr=0.1)
    module(x).backward(cotangent)
    assert module.lora_a.grad.count_nonzero() == 0, "entries of A's first gradient that are not 0"
    torch.testing.assert_close(module.lora_b.grad, expected, **CLOSE)
    optimizer.step()
    optimizer.zero_grad()
    module(x).backward(cotangent)
    second = (ALPHA / RANK) * (-0.1 * expected).T @ cotangent.T @ x  # (rank, in)
    torch.testing.assert_close(module.lora_a.grad, second, **CLOSE)


@KINDS
@pytest.mark.parametrize("bias", [True, False], ids=["with bias", "without bias"])
def test_merged_weight_gives_the_same_outputs(bias, kind):
    """`merge` adds the product to the weight, `unmerge` takes it out; doing either twice is once."""
    module, x = adapter(kind, bias), normal(2, 4, 7, seed=8)
    before, expected, change = module.linear.weight.detach().clone(), module(x).detach(), product(module)
    thin = module.lora_a.detach().clone(), module.lora_b.detach().clone()
    assert module.merged is False, "a new LoRALinear is merged"
    for action, merged in (("unmerge", 0), ("merge", 1), ("merge", 1), ("unmerge", 0), ("unmerge", 0)):
        getattr(module, action)()
        torch.testing.assert_close(module.linear.weight.detach(), before + merged * change, **CLOSE)
        assert module.merged == merged, f"`merged` after {action}"
        torch.testing.assert_close(module(x).detach(), expected, **CLOSE)
    # Exact: they are not changed.
    torch.testing.assert_close((module.lora_a.detach(), module.lora_b.detach()), thin, rtol=0, atol=0)
    assert sorted(trained(module)) == ["lora_a", "lora_b"], "what requires a gradient"
    module.merge()
    fill(module, seed=9)  # another weight in it, and other thin matrices
    torch.testing.assert_close(module(x).detach(), module.linear(x).detach(), **CLOSE)


def assorted():
    """A model with linear maps of both kinds, at several depths, whose names resemble each other."""
    inner = nn.ModuleDict({"proj": Linear(6, 3), "proj_2": nn.Linear(3, 6), "norm": nn.LayerNorm(6)})
    stack = nn.Sequential(nn.Linear(6, 4, bias=False), nn.GELU(), Linear(4, 6))
    table = nn.Embedding(9, 6)
    parts = {"proj": nn.Linear(6, 5), "in_proj": Linear(5, 6), "a": inner, "b": stack, "c": table}
    return nn.ModuleDict(parts).double()


def untied():
    return small_lm(tie_weights=False)


@pytest.mark.parametrize(
    ("make", "targets", "adapted"),
    [
        (
            *(small_lm, ["query_proj", "value_proj"]),
            [f"blocks.{n}.attention.{each}_proj" for n in (0, 1) for each in ("query", "value")],
        ),
        (
            small_lm,
            ("feedforward.up_proj",),
            ["blocks.0.feedforward.up_proj", "blocks.1.feedforward.up_proj"],
        ),
        (small_lm, {"blocks.1.attention.out_proj"}, ["blocks.1.attention.out_proj"]),
        (untied, ["lm_head", "0.feedforward.down_proj"], ["blocks.0.feedforward.down_proj", "lm_head"]),
        (untied, ["key_proj", "1.attention.key_proj"], [f"blocks.{n}.attention.key_proj" for n in (0, 1)]),
        (assorted, ["proj"], ["proj", "a.proj"]),
        (assorted, ["b.2", "a.proj", "b.0"], ["a.proj", "b.0", "b.2"]),
    ],
    ids=[
        "queries and values",
        "feedforward.up_proj",
        "a whole name",
        "a head that is not tied",
        "named twice",
        "proj, but not in_proj or proj_2",
        "b.2, a.proj and b.0",
    ],
)
def test_targets_are_adapted_and_everything_else_is_frozen(make, targets, adapted):
    """add_lora returns A and B of each linear map that a target names; nothing else requires a gradient."""
    model = make()
    parts, count = {name: model.get_submodule(name) for name in adapted}, len(list(model.parameters()))
    parameters = add_lora(model, RANK, ALPHA, targets)
    found = [name for name, part in model.named_modules() if isinstance(part, LoRALinear)]
    assert found == adapted, "names of the adapted linear maps"
    for name, part in parts.items():
        assert model.get_submodule(name).linear is part, f"the linear map in {name} was copied or replaced"
    expected = [f"{name}.lora_{each}" for name in adapted for each in "ab"]
    assert trained(model) == expected, "what requires a gradient"
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert [names.get(id(each)) for each in parameters] == expected, "names of the parameters returned"
    assert len(names) == count + 2 * len(adapted), "number of parameters"
    fill(nn.ParameterList(parameters), seed=10)
    first, before = model.get_submodule(adapted[0]), parts[adapted[0]].weight.detach().clone()
    first.merge()
    assert (*first.lora_a.shape,) == (RANK, before.shape[1]), "shape of a lora_a"
    torch.testing.assert_close(first.linear.weight.detach() - before, product(first), **CLOSE)


def test_small_state_dict_carries_all_that_was_learned(tmp_path):
    """After ten steps the base is untouched, and what lora_state_dict saves makes a fresh base equal."""
    model, fresh = small_lm(), small_lm()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    targets, batch = ("value_proj", "down_proj"), (torch.tensor(IDS)[:, :-1], torch.tensor(IDS)[:, 1:])
    parameters = add_lora(model, RANK, ALPHA, targets)
    fill(nn.ParameterList(parameters), seed=11)
    optimizer = torch.optim.AdamW(parameters, lr=0.1)
    losses = [train_step(model, optimizer, [batch]) for _ in range(10)]
    assert losses[-1] < losses[0], "the loss did not fall"
    after = {name.replace(".linear.", "."): each for name, each in model.state_dict().items()}
    # Exact: frozen parameters are not changed.
    torch.testing.assert_close({name: after[name] for name in before}, before, rtol=0, atol=0)
    small = lora_state_dict(model)
    assert sorted(small) == sorted(trained(model)), "names in the small state dict"
    torch.save(small, tmp_path / "adapter.pt")
    add_lora(fresh, RANK, ALPHA, targets)
    fresh.load_state_dict(torch.load(tmp_path / "adapter.pt", weights_only=True), strict=False)
    # Exact: the same numbers go through the same operations.
    ids = torch.tensor(IDS)
    torch.testing.assert_close(fresh(ids).detach(), model(ids).detach(), rtol=0, atol=0)


class Pairs:
    """A tokenizer in which "th", "> " and "t\\n" are single tokens where they are encoded at once."""

    tokens = ("th", "> ", "t\n", *"\n abehrst>")

    def encode(self, text):
        return [self.tokens.index(piece) for piece in re.findall("th|> |t\n|.|\n", text)]


@pytest.mark.parametrize(
    ("instruction", "answer", "chars", "pieces", "learned"),
    [
        ("ab > ", "ba", "\n >ab", "ab > ba\n", 3),
        ("ba", "", "\n >ab", "ba\n", 1),
        ("b\n>", "b a", " ab>\n", "b\n>b a\n", 4),
        ("the best >", " heart", None, ["th", *"e best > heart\n"], 7),
        ("bat", "her bath", None, [*"bather ba", "th", "\n"], 8),
    ],
    ids=["ab > ba", "an empty answer", "an instruction of two lines", "a token for '> '", "a token for 'th'"],
)
def test_answer_and_its_end_are_to_be_learned(instruction, answer, chars, pieces, learned):
    """Behind the instruction are the answer and a newline, encoded one by one; only these two are learned."""
    tokenizer = CharTokenizer(chars) if chars else Pairs()
    ids, to_be_learned = render(instruction, answer, tokenizer)
    assert ids == [id for piece in pieces for id in tokenizer.encode(piece)], "ids"
    assert to_be_learned == [False] * (len(ids) - learned) + [True] * learned, "what is to be learned"


SHORT = ([7, 0], [False, True])
LONG = ([3, 1, 4, 1, 5, 9], [False, False, False, True, True, True])
MIXED = ([2, 6, 5, 3], [True, False, True, True])


@pytest.mark.parametrize("pad_id", [8, 0], ids=["a pad of its own", "padded with the end"])
@pytest.mark.parametrize(
    ("examples", "inputs", "targets"),
    [
        ([LONG], [[3, 1, 4, 1, 5]], [[-100, -100, 1, 5, 9]]),
        ([MIXED, MIXED], [[2, 6, 5]] * 2, [[-100, 5, 3]] * 2),
        (
            (SHORT, LONG, MIXED),
            [[7, "pad", "pad", "pad", "pad"], [3, 1, 4, 1, 5], [2, 6, 5, "pad", "pad"]],
            [[0, -100, -100, -100, -100], [-100, -100, 1, 5, 9], [-100, 5, 3, -100, -100]],
        ),
    ],
    ids=["one example", "equal lengths", "three lengths"],
)
def test_targets_are_the_next_tokens_that_are_to_be_learned(examples, inputs, targets, pad_id):
    """Inputs lack the last token, targets the first; other targets are -100, and padding is on the right."""
    before = deepcopy(examples)
    found = collate(examples, pad_id, 5)
    filled = torch.tensor([[pad_id if id == "pad" else id for id in row] for row in inputs])
    for row, (ids, _) in zip(found[0], examples, strict=True):
        behind = row[len(ids) - 1 :][:1]
        behind[behind == ids[-1]] = pad_id  # its last token may be there: nothing is learned from it
    # Exact: ids are whole numbers.
    torch.testing.assert_close(found[0], filled, rtol=0, atol=0)
    torch.testing.assert_close(found[1], torch.tensor(targets), rtol=0, atol=0)
    assert examples == before, "the examples were modified"


@pytest.mark.parametrize("pad_id", [0, 1, 10])
def test_padding_changes_no_loss(pad_id):
    """The loss of a batch is the mean over the tokens of all answers and ends, each example read alone."""
    model, tokenizer = small_lm(), CharTokenizer("\n >abcdefgh")
    pairs = [("a", "bc"), ("dab > ", "h"), ("hg>", "abde"), ("c", "")]
    losses = []
    for instruction, answer in pairs:
        ids = torch.tensor(tokenizer.encode(f"{instruction}{answer}\n"))
        chosen = model(ids[None, :-1]).log_softmax(dim=-1)[0].gather(-1, ids[1:, None])  # (seq, 1)
        losses.append(-chosen[len(instruction) - 1 :])
    inputs, targets = collate([render(*pair, tokenizer) for pair in pairs], pad_id, 9)
    found = cross_entropy(model(inputs), targets)
    torch.testing.assert_close(found, torch.cat(losses).mean(), **CLOSE)


class ByHeart(nn.Module):
    """A model that knows some texts: it continues the beginning of any, and ends what it does not know."""

    def __init__(self, tokenizer, texts):
        super().__init__()
        self.config = ModelConfig(vocab_size=tokenizer.vocab_size, block_size=23)
        self.tokenizer, self.texts = tokenizer, texts
        self.level = nn.Parameter(torch.tensor(0.1))
        self.dropout = nn.Dropout(0.5).eval()  # a part that is in a mode of its own
        self.called = set()

    def forward(self, ids):
        self.called.add((self.training, torch.is_grad_enabled()))
        logits = torch.zeros(*ids.shape, self.config.vocab_size)
        for row, text in zip(logits, map(self.tokenizer.decode, ids.tolist()), strict=True):
            for at in range(len(text)):
                following = [each[at + 1] for each in self.texts if each.startswith(text[: at + 1])]
                row[at, self.tokenizer.encode(following[0] if following else "\n")] = 1
        return logits * self.level


@pytest.mark.parametrize(
    ("written", "share"),
    [
        (["ba\n", "edc\n", "f\n"], 1.0),
        (["ba\n", "edx\n", "f\n"], 2 / 3),
        (["ba\nabc", "edc\n\n", "f\nf\n"], 1.0),
        (["bax\n", "edcde\n", "f\n"], 1 / 3),
        (["b\n", "edc\n", "\n"], 1 / 3),
        (["baaaaaaaaa", "edc???????", "fffffffffff"], 0.0),
        ([" ba\n", "edc \n", "f\n"], 1 / 3),
        (["ab\n", "cde\n", "f\n"], 1 / 3),
    ],
    ids=[
        "all right",
        "one wrong letter",
        "more behind the end",
        "longer answers",
        "shorter answers",
        "no end",
        "blanks too many",
        "not reversed",
    ],
)
def test_exact_match_wants_the_whole_answer_and_then_the_end(written, share):
    """A task is solved if the likeliest tokens are the answer and then a newline, whatever comes after it."""
    tokenizer = CharTokenizer.from_text("\n >?abcdefx")
    asked = [("ab > ", "ba"), ("cde > ", "edc"), ("f > ", "f")]
    texts = [f"{instruction}{text}{'?' * 9}" for (instruction, _), text in zip(asked, written, strict=True)]
    model, untouched = ByHeart(tokenizer, texts), torch.get_rng_state()
    found = exact_match(model, tokenizer, asked)
    assert model.called == {(False, False)}, "whether the model was training, and recording gradients"
    assert torch.equal(torch.get_rng_state(), untouched), "something was drawn at random"
    assert (model.training, model.dropout.training) == (True, False), "modes of the model and of a part"
    assert found == pytest.approx(share), "share of tasks solved"


def test_sixty_steps_teach_a_trained_model_to_follow_an_instruction():
    """Of words that it has never seen it reverses fewer than 10 % on request before, more than 60 % after."""
    model, tokenizer = load_small_model()
    held_out = tasks(made_up_words(20, held_out=True), ["reverse"])
    before = exact_match(model, tokenizer, held_out[:10])
    words = made_up_words(480, held_out=False, seed=1)
    examples = [render(*task, tokenizer) for task in tasks(words, ["reverse"])]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parameters = add_lora(model, rank=4, alpha=8.0, targets=("query_proj", "value_proj"))
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.0)
    for step in range(60):
        batch = collate(examples[8 * step : 8 * step + 8], 0, model.config.block_size)
        train_step(model, optimizer, [batch])
    # With other draws of A, and other words to learn from, the reference solves 75 to 95 % of these 20 tasks
    # afterwards (24 seeds), and 79 to 93 % of 300 others, of which it solves 1.7 % before.
    assert before < 0.1, "share solved before"
    assert exact_match(model, tokenizer, held_out) > 0.6, "share solved afterwards"


def add_to_small_lm(targets, twice=False):
    model = small_lm()
    if twice:
        add_lora(model, RANK, ALPHA, targets)
    before = [(name, parameter.requires_grad) for name, parameter in model.named_parameters()]
    with pytest.raises(ValueError) as refusal:
        add_lora(model, RANK, ALPHA, targets)
    after = [(name, parameter.requires_grad) for name, parameter in model.named_parameters()]
    assert after == before, "the model was changed before the refusal"
    return refusal


def render_answer(answer):
    with pytest.raises(ValueError) as refusal:
        render("a", answer, CharTokenizer("\n abc"))
    return refusal


def collate_into(block_size, *lengths):
    examples = [([1] * length, [False] + [True] * (length - 1)) for length in lengths]
    with pytest.raises(ValueError) as refusal:
        collate(examples, 0, block_size)
    return refusal


@pytest.mark.parametrize(
    ("refused", "arguments", "named"),
    [
        (add_to_small_lm, (["query_proj", "q_proj"],), ["q_proj"]),
        (add_to_small_lm, (["proj"],), ["proj"]),
        (add_to_small_lm, (["attention_norm"],), ["attention_norm"]),
        (add_to_small_lm, (["attention"],), ["attention"]),
        (add_to_small_lm, (["value_proj", "lm_head"],), ["lm_head"]),
        (add_to_small_lm, (["value_proj"], True), ["value_proj"]),
        (render_answer, ("b\nac",), ["b", "ac"]),
        (render_answer, ("cab\n",), ["cab"]),
        (collate_into, (7, 9), ["8", "7"]),
        (collate_into, (7, 3, 13, 4), ["12", "7"]),
    ],
    ids=[
        "a name that does not exist",
        "the end of a name's part",
        "a norm",
        "a module around linear maps",
        "a tied head",
        "a second adapter",
        "a newline in the answer",
        "a newline at its end",
        "8 inputs for 7",
        "12 inputs for 7",
    ],
)
def test_unknown_targets_tied_tables_and_what_does_not_fit_are_refused(refused, arguments, named):
    """ValueError names the target, the answer with a newline, or the number of inputs; nothing is changed."""
    message = str(refused(*arguments).value)
    found = [each for each in named if re.search(rf"(?<!\w){each}(?!\w)", message.replace("\\n", "\n"))]
    assert found == named, f"the message does not name {' and '.join(named)}: {message}"
