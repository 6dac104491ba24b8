"""Ordered tests of kata 19: each adds one idea, and needs only what stands above it."""

import contextlib
import re

import pytest
import torch

from katas.k04_embeddings.embeddings import sinusoidal_positions
from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k19_interpretability.induction import (
    draw_rows,
    load_induction_model,
    losses,
    repeats,
    unheard,
)
from katas.k19_interpretability.interpretability import (
    contributions,
    follows_score,
    logit_lens,
    patched,
    patching_map,
    recording,
)

# All sizes differ: 3 heads of 4 features, 2 blocks.
SMALL = {"vocab_size": 13, "block_size": 11, "d_model": 12, "num_heads": 3, "num_layers": 2, "d_ff": 20}
PRE_NORM = {
    "2 blocks": {},
    "1 block without biases": {"num_heads": 2, "num_layers": 1, "bias": False, "tie_weights": False},
    "sinusoids": {"positions": "sinusoidal"},
}
ALL = PRE_NORM | {"post-norm, no positions": {"norm_first": False, "positions": "none"}}
MODELS = pytest.mark.parametrize("changes", ALL.values(), ids=ALL)
TWO_MODELS = pytest.mark.parametrize("changes", list(ALL.values())[::3], ids=list(ALL)[::3])
# Numbers are around 1. Right versions are off by 1e-7 if the root of d_k was rounded to float32 in kata 01,
# otherwise by 1e-15; the nearest wrong ones by 0.01.
CLOSE = {"rtol": 0, "atol": 1e-6}


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def random_ids(*shape, seed):
    return torch.randint(13, shape, generator=torch.Generator().manual_seed(seed))


def random_model(seed=0, **changes):
    """A model in float64 whose parts all say something: a fresh one is silent."""
    with torch.random.fork_rng(devices=[]):
        model = TransformerLM(ModelConfig(**{**SMALL, **changes})).double().eval()
    for number, parameter in enumerate(model.parameters()):
        draw = normal(*parameter.shape, seed=100 * seed + number)
        parameter.data = draw / draw.shape[1] ** 0.5 if draw.dim() == 2 else 0.5 + draw / 2
    return model


@torch.no_grad()
def by_hand(model, ids, change=lambda name, x: x):
    """Every entry of a record, and the logits, from the parameters; `change` may alter any of them."""
    config, entries = model.config, {}

    def note(name, x):
        entries[name] = change(name, x)
        return entries[name]

    def attend(name, attention, x):
        heads, d_head = config.num_heads, config.d_model // config.num_heads
        mask = torch.ones(ids.shape[1], ids.shape[1]).tril() == 0
        weights, out = [], 0
        for h in range(heads):
            own = slice(h * d_head, (h + 1) * d_head)
            q, k, v = (
                p(x)[..., own] for p in (attention.query_proj, attention.key_proj, attention.value_proj)
            )
            weights.append((q @ k.mT / d_head**0.5).masked_fill(mask, -torch.inf).softmax(dim=-1))
            out = out + note(f"{name}.heads.{h}", weights[h] @ v @ attention.out_proj.weight[:, own].T)
        note(f"{name}.weights", torch.stack(weights, dim=1))
        return note(name, out if attention.out_proj.bias is None else out + attention.out_proj.bias)

    x = note("token_embedding", model.token_embedding.weight[ids])
    if config.positions == "learned":
        x = x + model.position_embedding.weight[: ids.shape[1]]
    elif config.positions == "sinusoidal":
        x = x + sinusoidal_positions(ids.shape[1], config.d_model, dtype=x.dtype)
    x = note("embedding", x)
    for i, block in enumerate(model.blocks):
        name, first, second = f"blocks.{i}", block.attention_norm, block.feedforward_norm
        if config.norm_first:
            x = x + attend(f"{name}.attention", block.attention, first(x))
            x = note(name, x + note(f"{name}.feedforward", block.feedforward(second(x))))
        else:
            x = first(x + attend(f"{name}.attention", block.attention, x))
            x = note(name, second(x + note(f"{name}.feedforward", block.feedforward(x))))
    return entries, model.lm_head(model.final_norm(x))


def state_of(model):
    """The mode of every module, and everything that hooks it or stands in its place."""
    return {
        name: (part.training, *(list(hooks) for hooks in (part._forward_hooks, part._forward_pre_hooks)),
               "forward" in vars(part))
        for name, part in model.named_modules()
    }  # fmt: skip  # one line for a module


def recorded(model, ids, names=None):
    with recording(model, names) as record:
        model(ids)
    return record


@MODELS
def test_record_holds_the_stream_and_the_output_of_each_module(changes):
    """`record` has the input of the first block, and what each block, attention and network returns."""
    model, ids = random_model(**changes), random_ids(2, 7, seed=1)
    expected, logits = by_hand(model, ids)
    names = [name for name in expected if not re.search("weights|heads", name)]
    with recording(model) as record:
        assert record == {}, "the record before the model is called"
        model(random_ids(3, 5, seed=2))
        actual = model(ids)  # the later call counts
        assert [name for name in names if name not in record] == [], "entries that are missing"
    torch.testing.assert_close(actual, logits, **CLOSE)
    assert [name for name in names if name not in record] == [], "entries that are lost in the end"
    torch.testing.assert_close(
        {name: record[name] for name in names}, {name: expected[name] for name in names}, **CLOSE
    )


@TWO_MODELS
def test_record_holds_the_weights_and_what_each_head_adds(changes):
    """Weights come from kata 02; a head adds its values, weighted, through its own columns of out_proj."""
    model, ids = random_model(**changes), random_ids(2, 7, seed=3)
    record, (expected, _) = recorded(model, ids), by_hand(model, ids)
    assert sorted(record) == sorted(expected), "names of the entries"
    torch.testing.assert_close(record, expected, **CLOSE)


@pytest.mark.parametrize(
    "names",
    [["blocks.1"], {"embedding", "blocks.0.attention.weights"}, ("blocks.0.attention.heads.2",), [], None],
    ids=["a block", "embedding and weights", "a head", "nothing", "all"],
)
def test_only_the_named_entries_are_recorded(names):
    """With `names`, the record has these entries and no other."""
    model, ids = random_model(), random_ids(2, 7, seed=4)
    expected, _ = by_hand(model, ids)
    chosen = {name: x for name, x in expected.items() if names is None or name in names}
    actual = recorded(model, ids, names)
    assert sorted(actual) == sorted(chosen), "names of the entries"
    torch.testing.assert_close(actual, chosen, **CLOSE)


def test_entries_are_copies_that_nothing_changes_later():
    """What the model writes into its own tensors afterwards does not change what was recorded."""

    class Overwriting(torch.nn.Module):
        """A block of the same parts, which goes on writing into tensors that it has made."""

        def __init__(self, block):
            super().__init__()
            for name, part in block.named_children():
                setattr(self, name, part)

        def forward(self, x, mask=None):
            read = self.attention(self.attention_norm(x), mask)
            read += x
            worked = self.feedforward(self.feedforward_norm(read))
            worked += read
            return worked

    model, ids = random_model(), random_ids(2, 7, seed=5)
    expected, _ = by_hand(model, ids)
    for i, block in enumerate(model.blocks):
        model.blocks[i] = Overwriting(block)
    with recording(model) as record:
        logits = model(ids)
        logits.zero_()
    assert sorted(record) == sorted(expected), "names of the entries"
    torch.testing.assert_close(record, expected, **CLOSE)


@pytest.mark.parametrize("error", [None, KeyError("stop")], ids=["no error", "an error"])
def test_recording_leaves_the_model_as_it_was(error):
    """Inside, the model is in evaluation mode and without gradients; afterwards everything is as before."""
    model, ids = random_model(dropout=0.5), random_ids(2, 7, seed=6)
    _, logits = by_hand(model, ids)
    model.train().blocks[1].eval()  # parts may differ
    before = state_of(model)
    with contextlib.suppress(KeyError), recording(model) as record:
        assert not any(part.training for part in model.modules()), "a module is in training mode"
        assert not torch.is_grad_enabled(), "gradients are recorded"
        torch.testing.assert_close(model(ids), logits, **CLOSE)
        if error:
            raise error
    assert torch.is_grad_enabled(), "gradients were left switched off"
    assert state_of(model) == before, "modes, hooks and replaced methods"
    kept = {name: x.clone() for name, x in record.items()}
    model(random_ids(2, 7, seed=7))
    # Exact: the record is closed.
    torch.testing.assert_close(record, kept, rtol=0, atol=0)
    with torch.no_grad():
        recorded(model, ids)
        assert not torch.is_grad_enabled(), "gradients were switched on"


@TWO_MODELS
def test_logit_lens_reads_the_stream_at_every_depth(changes):
    """At each depth, from the embedding to the last block, the final norm and the head make logits."""
    model, ids = random_model(**changes), random_ids(2, 7, seed=8)
    expected, logits = by_hand(model, ids)
    lens = logit_lens(model, recorded(model, ids))
    assert lens.shape == (1 + len(model.blocks), 2, 7, 13)
    torch.testing.assert_close(lens[-1], logits, **CLOSE)
    streams = ["embedding", *(f"blocks.{i}" for i in range(len(model.blocks)))]
    with torch.no_grad():
        early = [model.lm_head(model.final_norm(expected[name])) for name in streams]
    torch.testing.assert_close(lens, torch.stack(early), **CLOSE)
    assert not lens.requires_grad, "the result requires a gradient"


def whisper(model):
    """Make all that is written to the stream so small that the eps of the norms counts."""
    for name, parameter in model.named_parameters():
        if re.search("embedding|out_proj|down_proj", name):
            parameter.data /= 300
    return model


@pytest.mark.parametrize(
    ("changes", "quiet"),
    [*((each, False) for each in PRE_NORM.values()), ({}, True)],
    ids=[*PRE_NORM, "2 blocks, small numbers"],
)
def test_contributions_add_up_to_the_logit(changes, quiet):
    """Each part goes through the frozen final norm and the token's row of the head; the sum is the logit."""
    model, ids, tokens = random_model(**changes), random_ids(2, 7, seed=9), random_ids(2, 7, seed=10)
    if quiet:
        whisper(model)
    entries, logits = by_hand(model, ids)
    actual = contributions(model, recorded(model, ids), tokens)
    torch.testing.assert_close(sum(actual.values()), logits.gather(2, tokens[..., None])[..., 0], **CLOSE)
    row, norm, x = model.lm_head.weight[tokens], model.final_norm, entries[f"blocks.{len(model.blocks) - 1}"]
    biases = {
        f"blocks.{i}.attention.out_proj.bias": block.attention.out_proj.bias
        for i, block in enumerate(model.blocks)
    }
    parts = {name: part for name, part in entries.items() if re.search("heads|feedforward|token", name)}
    parts["position_embedding"] = entries["embedding"] - entries["token_embedding"]
    parts |= {name: torch.zeros(1, 1, 12) if b is None else b.view(1, 1, 12) for name, b in biases.items()}
    expected = {
        name: ((part - part.mean(-1, keepdim=True)) * norm.weight * row).sum(-1)
        / (x.var(-1, correction=0) + 1e-5).sqrt()
        for name, part in parts.items()
    }
    expected["final_norm.bias"] = ((0 if norm.bias is None else norm.bias) * row).sum(-1)
    assert sorted(actual) == sorted(expected), "names of the parts"
    torch.testing.assert_close(actual, {name: each.detach() for name, each in expected.items()}, **CLOSE)
    assert not any(each.requires_grad for each in actual.values()), "a result requires a gradient"


def looking(*keys):
    """Weights of a head whose query q looks at positions keys[q] alone, at each of them alike."""
    weights = torch.zeros(len(keys), len(keys), dtype=torch.float64)
    for query, seen in enumerate(keys):
        weights[query, list(seen)] = 1 / len(seen)
    return weights


def follows_by_loops(weights, ids):
    """follows_score, written out."""
    rows = [
        [sum(weights[b, h, q, j + 1] for j in found) for h in range(weights.shape[1])]
        for b in range(len(ids))
        for q in range(ids.shape[1])
        if (found := [j for j in range(q) if ids[b, j] == ids[b, q]])
    ]
    return torch.tensor(rows, dtype=weights.dtype).mean(dim=0)


def test_follows_score_is_attention_to_what_followed_the_same_token_earlier():
    """Mean over all queries whose token has occurred before: 1 at most, the chance level for an even head."""
    ids = torch.tensor([[5, 8, 2, 5, 8, 5, 5]])  # 5 is followed by 8, by 8 again, and by 5
    induction = looking([0], [0], [0], [1], [2], [1, 4], [6])
    induction[6, [1, 4, 6]] = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    even = looking(*(range(q + 1) for q in range(7)))
    previous, copies = looking([0], *([q] for q in range(6))), looking([0], [1], [2], [0], [1], [3], [5])
    heads = torch.stack([induction, even, previous, copies])[None]
    chance = (1 / 4 + 1 / 5 + 2 / 6 + 3 / 7) / 4  # what followed, among all that is seen
    expected = torch.tensor([1, chance, 1 / 4, 0], dtype=torch.float64)
    # float64 keeps 16 digits of sums of a few numbers.
    torch.testing.assert_close(follows_score(heads, ids), expected, rtol=0, atol=1e-12)
    more = torch.tensor([[1, 2, 1, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6], [7, 7, 7, 7, 2, 7, 2]])
    weights = normal(3, 5, 7, 7, seed=11)  # any numbers, also where a causal mask would have zeros
    torch.testing.assert_close(
        follows_score(weights, more), follows_by_loops(weights, more), rtol=0, atol=1e-12
    )


def test_replacing_a_part_by_itself_changes_nothing_and_the_whole_stream_all():
    """`patched` puts in what it is given: the stream of a run on other ids, or the same again."""
    model, ids, others = random_model(), random_ids(2, 5, seed=12), random_ids(2, 5, seed=13)
    entries, logits = by_hand(model, ids)
    other_entries, other_logits = by_hand(model, others)
    for name in ("embedding", "blocks.1"):
        torch.testing.assert_close(patched(model, ids, {name: other_entries[name]}), other_logits, **CLOSE)
    torch.testing.assert_close(patched(model, ids, {}), logits, **CLOSE)
    for name in (
        "token_embedding",
        "blocks.0.attention.heads.2",
        "blocks.1.attention",
        "blocks.1.feedforward",
    ):
        torch.testing.assert_close(patched(model, ids, {name: entries[name]}), logits, **CLOSE)


SILENT = torch.zeros((), dtype=torch.float64)
PATCHES = {
    "a network at two positions": ({"blocks.0.feedforward": normal(2, 7, 12, seed=14)}, [5, 2]),
    "the tokens at one position": ({"token_embedding": normal(12, seed=15)}, (3,)),
    "the embedding at no position": ({"embedding": normal(2, 7, 12, seed=16)}, []),
    "a silent head": ({"blocks.0.attention.heads.1": SILENT}, None),
    "two heads at some positions": (
        {"blocks.1.attention.heads.2": normal(2, 7, 12, seed=17), "blocks.1.attention.heads.0": SILENT},
        range(2, 5),
    ),
    "a head and its attention": (
        {"blocks.0.attention": normal(7, 12, seed=18), "blocks.0.attention.heads.0": SILENT},
        [0, 6],
    ),
    "parts of two blocks": (
        {"blocks.1.feedforward": SILENT, "blocks.0": normal(2, 1, 12, seed=19), "embedding": SILENT},
        [4],
    ),
}


@pytest.mark.parametrize(("replace", "positions"), PATCHES.values(), ids=PATCHES)
def test_only_the_given_positions_are_replaced(replace, positions):
    """There the run goes on from the value, which may broadcast; elsewhere from what the model computes."""
    model, ids = random_model(), random_ids(2, 7, seed=20)
    places = list(range(7) if positions is None else positions)

    def change(name, x):
        if name in replace:
            x = x.clone()
            x[:, places] = replace[name].expand_as(x)[:, places]
        return x

    expected, logits = by_hand(model, ids, change)
    before = {name: value.clone() for name, value in replace.items()}
    with recording(model) as record:
        torch.testing.assert_close(patched(model, ids, replace, positions), logits, **CLOSE)
    if not any(name.startswith("blocks.1") for name in replace):  # the second block reads what was put in
        later = [name for name in expected if name.startswith("blocks.1")]
        torch.testing.assert_close(
            {name: record[name] for name in later}, {name: expected[name] for name in later}, **CLOSE
        )
    # Exact: arguments are not modified.
    torch.testing.assert_close(replace, before, rtol=0, atol=0)


@pytest.mark.parametrize("fails", [False, True], ids=["no error", "an error"])
def test_patching_leaves_the_model_as_it_was(fails):
    """It runs in evaluation mode without gradients; mode and hooks are as before, also after an error."""
    model, ids = random_model(dropout=0.5), random_ids(2, 7, seed=21)
    names = ["embedding", "blocks.0.attention.heads.1", "blocks.1.attention", "blocks.1"]
    replace = {name: normal(2, 7, 12, seed=22).requires_grad_() for name in names}
    _, logits = by_hand(model, ids)
    model.train().blocks[0].eval()  # parts may differ
    training = []
    model.blocks[1].register_forward_pre_hook(lambda block, _: training.append(block.training))
    before = state_of(model)
    if fails:
        with pytest.raises(IndexError):
            patched(model, ids + 13, replace)  # there are no such tokens
    else:
        actual = patched(model, ids, replace, [])
        assert training == [False], "whether the second block was in training mode"
        torch.testing.assert_close(actual, logits, **CLOSE)
        assert not patched(model, ids, replace).requires_grad, "the logits require a gradient"
    assert torch.is_grad_enabled(), "gradients were left switched off"
    assert state_of(model) == before, "modes, hooks and replaced methods"


def test_patching_map_is_zero_where_nothing_comes_back_and_one_where_all_does():
    """Each vector of the stream is restored alone: its entry is the share of the answer that comes back."""
    model, clean = random_model(dropout=0.5).train(), random_ids(2, 3, seed=23)
    corrupted = clean.clone()
    corrupted[:, 1] = (clean[:, 1] + 5) % 13
    calls = []

    def metric(logits):
        calls.append(logits.requires_grad)
        return (logits[1, 2, 7] - 2 * logits[0, 2, 4]).item()

    actual = patching_map(model, clean, corrupted, metric)
    assert actual.shape == (1 + len(model.blocks), 3)
    assert not any(calls), "the logits require a gradient"
    model.eval()
    streams, (entries, logits) = ["embedding"], by_hand(model, clean)
    streams += [f"blocks.{i}" for i in range(len(model.blocks))]
    low, high = metric(by_hand(model, corrupted)[1]), metric(logits)
    expected = torch.zeros(len(streams), 3, dtype=torch.float64)
    for depth, stream in enumerate(streams):
        for at in range(3):

            def change(name, x, stream=stream, at=at):
                if name == stream:
                    x[:, at] = entries[name][:, at]
                return x

            expected[depth, at] = (metric(by_hand(model, corrupted, change)[1]) - low) / (high - low)
    # The logits, off by 1e-7, are divided by a difference of about 1.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    nothing, everything = actual[:, 0], torch.stack([actual[0, 1], actual[-1, 2]])
    torch.testing.assert_close(nothing, torch.zeros_like(nothing), rtol=0, atol=1e-5)
    torch.testing.assert_close(everything, torch.ones_like(everything), rtol=0, atol=1e-5)


def test_trained_model_copies_what_followed_by_a_circuit_of_heads():
    """Its second block looks at what followed; silence the head that matters most, and repeats are lost."""
    model, rows = load_induction_model(), draw_rows(24, torch.Generator().manual_seed(24))
    ids, repeated, new = rows[:, :-1], repeats(rows), unheard(rows)
    record = recorded(model, ids)
    scores = [follows_score(record[f"blocks.{i}.attention.weights"], ids) for i in range(2)]
    assert scores[1].max() > 0.5, "attention to what followed, second block"
    assert scores[0].max() < 0.15, "attention to what followed, first block"

    before = losses(patched(model, ids, {}), rows)

    def cost(name):
        change = losses(patched(model, ids, {name: torch.zeros(())}), rows) - before
        return change[repeated].mean().item(), change[new].mean().item()

    heads = [f"blocks.{i}.attention.heads.{h}" for i in range(2) for h in range(2)]
    costs = {name: cost(name) for name in heads}
    best = max(heads, key=lambda name: costs[name][0])
    assert costs[best][0] > 1, "nats that silencing it costs on repeats"
    assert abs(costs[best][1]) < 0.05, "and on letters that follow a new one"


def named_in(message, words):
    """The words that occur in the message, not as parts of others."""
    return [word for word in words if re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w]|\.\w)", message)]


def record_names(*names):
    with recording(random_model(), names):
        raise AssertionError("the names are not refused")


def patch(replace, positions=None):
    return patched(random_model(), random_ids(2, 7, seed=25), dict.fromkeys(replace, SILENT), positions)


def contribution(tokens, **changes):
    model, ids = random_model(**changes), random_ids(2, 7, seed=26)
    return contributions(model, recorded(model, ids), ids + tokens)


def map_of_a_constant():
    model = random_model(num_layers=1)
    return patching_map(model, random_ids(1, 2, seed=27), random_ids(1, 2, seed=28), lambda logits: 2.5)


SCORES, ALL_DIFFERENT = normal(2, 3, 5, 5, seed=29), torch.arange(10).view(2, 5)
WEIGHTS, HEAD_3 = "blocks.0.attention.weights", "blocks.0.attention.heads.3"
REFUSED = {
    "blocks.2 of 2": (ValueError, ["blocks.2"], lambda: record_names("blocks.0", "blocks.2")),
    "two unknown names": (ValueError, [HEAD_3, "weights"], lambda: record_names(HEAD_3, "weights")),
    "lm_head to replace": (ValueError, ["lm_head"], lambda: patch(["lm_head", "blocks.1"])),
    "weights to replace": (ValueError, [WEIGHTS], lambda: patch([WEIGHTS])),
    "position 7 of 7": (ValueError, ["7"], lambda: patch(["embedding"], [0, 7])),
    "positions 8 and 11 of 7": (ValueError, ["8", "11", "7"], lambda: patch(["embedding"], [8, 1, 11])),
    "position -1": (ValueError, ["-1", "7"], lambda: patch(["embedding"], [-1])),
    "post-norm blocks": (ValueError, ["norm_first"], lambda: contribution(0, norm_first=False)),
    "tokens below 0": (IndexError, [], lambda: contribution(-13)),
    "tokens above 12": (IndexError, [], lambda: contribution(13)),
    "no token that occurs twice": (ValueError, [], lambda: follows_score(SCORES, ALL_DIFFERENT)),
    "a metric that never changes": (ValueError, ["2.5"], map_of_a_constant),
}


@pytest.mark.parametrize(("error", "named", "call"), REFUSED.values(), ids=REFUSED)
def test_unknown_names_and_values_out_of_range_are_refused(error, named, call):
    """The error names what would go wrong in silence: a name, a position, norm_first, a constant metric."""
    with pytest.raises(error) as refusal:
        call()
    message = str(refusal.value)
    assert named_in(message, named) == named, f"the message does not name {' and '.join(named)}: {message}"
