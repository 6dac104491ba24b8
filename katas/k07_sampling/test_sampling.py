"""Ordered tests of kata 07: each adds one idea, and needs only what stands above it."""

import math
from itertools import combinations
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from katas.k07_sampling.sampling import (
    apply_temperature,
    generate,
    greedy,
    sample_next,
    top_k_filter,
    top_p_filter,
)

# Probabilities in percent, a row for each distribution; a zero is a logit of -inf.
PERCENT = [
    [19, 2, 41, 30, 8],
    [70, 12, 5, 3, 10],
    [1, 94, 2, 0, 3],
    [22, 18, 21, 19, 20],
    [2, 3, 10, 35, 50],
    [50, 35, 10, 3, 2],
]


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def logits_for(percent, dtype=torch.float64):
    """Logits with these probabilities; each row has its own constant added, which changes nothing."""
    logits = torch.tensor(percent, dtype=torch.float64).log()
    return (logits + 7 * normal(*logits.shape[:-1], 1, seed=0)).to(dtype)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


class StandIn(nn.Module):
    """In the place of a model: the logit of the token that comes next is the highest in its row."""

    def __init__(self, vocab, block_size):
        super().__init__()
        self.vocab, self.config = vocab, SimpleNamespace(block_size=block_size)

    def forward(self, ids):
        if ids.shape[1] > self.config.block_size:
            raise IndexError(
                f"the model was shown {ids.shape[1]} positions, but its block_size is "
                f"{self.config.block_size}"
            )
        tokens = torch.arange(self.vocab, device=ids.device)
        # -1e4 for what comes next, -2e4 and lower for the others: sampling too has no choice.
        return -1e4 * (1 + (tokens - self.next_ids(ids)[..., None]) % self.vocab)


class Mixing(StandIn):
    """The next token depends on every id that the model is shown, and on its place."""

    def next_ids(self, ids):
        # From 2, for with 1 a model that is shown one id alone would repeat it.
        places = torch.arange(2, ids.shape[1] + 2, device=ids.device)
        return (ids * places).cumsum(dim=1) % self.vocab

    def continued(self, prompt, steps):
        """The prompt of one row with `steps` tokens more, worked out without tensors."""
        ids = list(prompt)
        for _ in range(steps):
            shown = ids[-self.config.block_size :]
            ids.append(sum(place * id for place, id in enumerate(shown, start=2)) % self.vocab)
        return ids


class Counting(StandIn):
    """After each id comes the next higher one, and after the last one comes 0."""

    def next_ids(self, ids):
        return (ids + 1) % self.vocab


class Constant(StandIn):
    """The same logits whatever the text is."""

    def __init__(self, logits):
        super().__init__(len(logits), block_size=8)
        self.logits = logits

    def forward(self, ids):
        return self.logits.expand(*ids.shape, -1)


class WithParts(Counting):
    """A model of several modules, which remembers in what state it was called, and may fail."""

    def __init__(self, failing_call):
        super().__init__(vocab=5, block_size=8)
        self.first = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1))
        self.second = nn.Dropout(0.5)
        self.failing_call = failing_call
        self.training_parts, self.gradients = [], []

    def modes(self):
        return {name or "model": module.training for name, module in self.named_modules()}

    def forward(self, ids):
        self.training_parts.append([name for name, training in self.modes().items() if training])
        self.gradients.append(torch.is_grad_enabled())
        if len(self.gradients) == self.failing_call:
            raise OSError("this call was made to fail")
        return super().forward(ids)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (5,)])
def test_greedy_takes_the_token_with_the_highest_logit(batch):
    """The id of the highest logit of each row is chosen, also where all logits are below zero."""
    logits = normal(*batch, 5, seed=1) - 10
    logits[..., 2] = -math.inf
    before = logits.clone()
    rows = logits.reshape(-1, 5).tolist()
    expected = torch.tensor([row.index(max(row)) for row in rows]).reshape(batch)
    # Exact: ids are whole numbers.
    torch.testing.assert_close(greedy(logits), expected, rtol=0, atol=0)
    assert torch.equal(logits, before), "the logits were modified"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [0.5, 1, 2.5, 1e-3])
def test_temperature_divides_the_logits(temperature, dtype):
    """Every logit is divided by the temperature: below 1 the differences grow, above 1 they shrink."""
    logits = normal(2, 3, 5, seed=2, dtype=dtype)
    logits[1, 2, 3] = -math.inf
    before = logits.clone()
    expected = torch.tensor([x / temperature for x in logits.flatten().tolist()], dtype=dtype)
    actual = apply_temperature(logits, temperature)
    # Rounding is relative: right versions are off by 1e-7, in float64 too if the temperature is in
    # float32. Something added to the temperature shows at 1e-3: 1e-8 makes 1e-5 of the result.
    torch.testing.assert_close(actual, expected.reshape(2, 3, 5), rtol=1e-6, atol=0)
    assert torch.equal(logits, before), "the logits were modified"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("logits", "k"),
    [
        ([1.0, 4, 2, 5, 3], 2),
        ([1.0, 4, 2, 5, 3], 1),
        ([-1.0, -4, -2, -5, -3], 3),
        ([1.0, 4, 2, 5, 3], 5),
        ([1.0, 4, 2, 5, 3], 8),
        ([2.0, -math.inf, 7, -math.inf, 3], 2),
        ([[0.0, 3, 1], [3.0, 0, 1], [1.0, 2, 3]], 2),
        ([[5.0, 1, 3, 4, 2]], 3),
        ([[[1.0, 2], [4, 3]], [[-6, -5], [7, 8]], [[9, 10], [0, -1]]], 1),
        ([1.0, 3, 3, 3, 5], 2),
        ([3.0, 3, 3, 3, 3], 3),
        ([[7.0, 1, 1, 1], [1, 7, 7, 7], [2, 1, 2, 1]], 2),
    ],
)
def test_top_k_keeps_exactly_the_k_highest(logits, k, dtype):
    """The k highest logits stay, in their places; no more than k do, even if some are equal."""
    logits = torch.tensor(logits, dtype=dtype)
    before = logits.clone()
    actual = top_k_filter(logits, k)
    assert torch.equal(logits, before), "the logits were modified"
    # Exact: numbers are moved, not computed.
    in_place = torch.where(actual == -math.inf, -math.inf, logits)
    torch.testing.assert_close(actual, in_place, rtol=0, atol=0)
    # Which of several equal logits survive is open. So each row is compared in descending order.
    expected = logits.sort(dim=-1, descending=True).values
    expected[..., k:] = -math.inf
    in_order = actual.sort(dim=-1, descending=True).values
    torch.testing.assert_close(in_order, expected, rtol=0, atol=0)


def likeliest(percent, p):
    """The fewest tokens that have probability p together, by trying all sets of tokens."""
    for size in range(1, len(percent) + 1):
        best = max(combinations(range(len(percent)), size), key=lambda ids: sum(percent[id] for id in ids))
        if sum(percent[id] for id in best) >= 100 * p:
            return best
    raise AssertionError("the probabilities of a row have to sum to 100 %")


# Half a percent away from every sum of whole percents: rounding decides nothing here.
@pytest.mark.parametrize("p", [0.005, 0.405, 0.415, 0.695, 0.705, 0.855, 0.965, 0.995])
@pytest.mark.parametrize(
    ("batch", "dtype"),
    [((), torch.float64), ((6,), torch.float32), ((2, 3), torch.float64), ((5,), torch.float64)],
)
def test_top_p_keeps_the_fewest_tokens_that_reach_p(batch, dtype, p):
    """The likeliest tokens stay, in their places, up to the one with which their sum reaches p."""
    percent = PERCENT[: math.prod(batch)]
    logits = logits_for(percent, dtype)
    expected = torch.full_like(logits, -math.inf)
    for row, kept in enumerate(likeliest(each, p) for each in percent):
        expected[row, list(kept)] = logits[row, list(kept)]
    logits, expected = logits.reshape(*batch, 5), expected.reshape(*batch, 5)
    before = logits.clone()
    # Exact: numbers are moved, not computed.
    torch.testing.assert_close(top_p_filter(logits, p), expected, rtol=0, atol=0)
    assert torch.equal(logits, before), "the logits were modified"


@pytest.mark.parametrize(
    ("logits", "p", "survivors"),
    [
        # In float32, two or four equal logits have probabilities 1/2 or 1/4 without any rounding, also by
        # a softmax whose sum is never zero because 1e-9 is added to it.
        ([3.0, -math.inf, 3], 0.5, 1),
        ([3.0, 3, 3, 3], 0.25, 1),
        ([3.0, 3, 3, 3], 0.5, 2),
        ([3.0, -math.inf, 3, 3, -math.inf, 3], 0.75, 3),
        ([3.0, 3, 3, 3], 0.3, 2),
        ([3.0, 3, 3, 3], 0.8, 4),
        # With p = 1 no token is left out, even if the sum before it is rounded up to 1.
        ([3.0, 1, 2, 2, 0], 1.0, 5),
        ([3.0, -37, -math.inf, -39], 1, 3),
        # Nor if its own probability is rounded down to 0.
        ([3.0, -200, 1], 1.0, 3),
        ([3.0, -200, -math.inf, 1], 1, 3),
    ],
)
def test_top_p_stops_when_the_sum_is_exactly_p(logits, p, survivors):
    """A sum of exactly p is enough, equal logits do not survive together, and p = 1 keeps all."""
    logits = torch.tensor([logits, logits[::-1]], dtype=torch.float32)
    # Which of several equal logits survive is open. So each row is compared in descending order.
    expected = logits.sort(dim=-1, descending=True).values
    expected[:, survivors:] = -math.inf
    actual = top_p_filter(logits, p).sort(dim=-1, descending=True).values
    # Exact: numbers are moved, not computed.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize(("dtype", "shift"), [(torch.float32, 1e3), (torch.float64, -1e4)])
@pytest.mark.parametrize("batch", [(), (6,), (2, 3), (5,)])
def test_tokens_are_drawn_as_often_as_they_are_likely(batch, dtype, shift):
    """Each row gets its ids with the probabilities softmax(logits), and never one with logit -inf."""
    percent = PERCENT[: math.prod(batch)]
    logits = (logits_for(percent) + shift).to(dtype).reshape(*batch, 5)
    before = logits.clone()
    drawn = sample_next(logits.expand(10_000, *batch, 5), seeded(3))
    assert torch.equal(logits, before), "the logits were modified"
    shares = torch.stack([(drawn == id).double().mean(dim=0) for id in range(5)], dim=-1)
    expected = torch.tensor(percent, dtype=torch.float64).reshape(*batch, 5) / 100
    # Of 10,000 draws a share strays by at most 0.005; here six times.
    torch.testing.assert_close(shares, expected, rtol=0, atol=0.03)
    assert (shares[expected == 0] == 0).all(), "a token with a logit of -inf was drawn"
    assert sample_next(logits, seeded(4)).shape == batch  # a single draw as well


def test_rows_and_calls_draw_independently_from_the_generator():
    """Rows and calls draw independently of each other, and only from the generator that is given."""
    logits = logits_for(PERCENT[0]).expand(50, 30, 40, 5)
    untouched = torch.get_rng_state()
    generator = seeded(5)
    first, second = sample_next(logits, generator), sample_next(logits, generator)
    # Independent draws agree with probability Σ p²: neighbours along each axis, and the two calls.
    neighbours = [first.roll(1, axis) for axis in range(3)]
    alike = torch.stack([(first == other).double().mean() for other in (*neighbours, second)])
    expected = torch.full_like(alike, sum(percent**2 for percent in PERCENT[0]) / 100**2)
    # Of 60,000 pairs the share strays by 0.002; here six times.
    torch.testing.assert_close(alike, expected, rtol=0, atol=0.012)
    assert torch.equal(torch.get_rng_state(), untouched), "PyTorch's global generator was used"
    # Exact: the same seed gives the same ids.
    torch.testing.assert_close(sample_next(logits, seeded(5)), first, rtol=0, atol=0)
    with torch.random.fork_rng(devices=[]):
        assert not torch.equal(sample_next(logits), sample_next(logits)), "without a generator, all are alike"


@pytest.mark.parametrize(
    ("batch", "seq", "max_new_tokens"), [(1, 4, 1), (1, 4, 6), (3, 4, 6), (4, 4, 4), (3, 1, 5), (3, 4, 0)]
)
def test_generate_appends_the_likeliest_token_again_and_again(batch, seq, max_new_tokens):
    """At temperature 0 each row gets the likeliest next token appended, max_new_tokens times."""
    model = Mixing(vocab=11, block_size=50)
    ids = torch.randint(11, (batch, seq), generator=seeded(6))
    before = ids.clone()
    expected = torch.tensor([model.continued(row, max_new_tokens) for row in ids.tolist()])
    # Exact: ids are whole numbers.
    torch.testing.assert_close(generate(model, ids, max_new_tokens, temperature=0), expected, rtol=0, atol=0)
    assert torch.equal(ids, before), "the prompt was modified"


@pytest.mark.parametrize(
    ("block_size", "seq", "max_new_tokens"),
    [(5, 3, 7), (5, 5, 4), (5, 4, 1), (5, 5, 1), (5, 9, 3), (1, 2, 3)],
)
def test_generate_shows_the_model_the_last_block_size_ids(block_size, seq, max_new_tokens):
    """The model sees the last block_size ids, all if they are fewer; the result keeps every id."""
    model = Mixing(vocab=11, block_size=block_size)
    ids = torch.randint(11, (3, seq), generator=seeded(7))
    expected = torch.tensor([model.continued(row, max_new_tokens) for row in ids.tolist()])
    # Exact: ids are whole numbers.
    torch.testing.assert_close(generate(model, ids, max_new_tokens, temperature=0), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [7, 50, 3, 25, 15]),
        ({"temperature": 0.5}, [7**2, 50**2, 3**2, 25**2, 15**2]),
        ({"top_k": 2}, [0, 50, 0, 25, 0]),
        ({"top_k": 1}, [0, 1, 0, 0, 0]),
        ({"top_p": 0.8}, [0, 50, 0, 25, 15]),
        ({"top_p": 1e-3}, [0, 1, 0, 0, 0]),
        ({"top_k": 9, "top_p": 1.0}, [7, 50, 3, 25, 15]),
        # Squared, the first two have 92 %; rooted, they have 59 %.
        ({"temperature": 0.5, "top_p": 0.8}, [0, 50**2, 0, 25**2, 0]),
        ({"temperature": 2.0, "top_p": 0.7}, [0, 50**0.5, 0, 25**0.5, 15**0.5]),
        # Of the three that top-k leaves, the first two have 83 %; rooted, they have 76 %.
        ({"top_k": 3, "top_p": 0.8}, [0, 50, 0, 25, 0]),
        ({"temperature": 2.0, "top_k": 3, "top_p": 0.7}, [0, 50**0.5, 0, 25**0.5, 0]),
    ],
)
def test_generate_scales_then_filters_then_draws(options, expected):
    """First the temperature, then top-k, then top-p on the tokens that top-k left; the draw comes last."""
    model = Constant(logits_for([7, 50, 3, 25, 15], torch.float32))
    ids = torch.zeros(2500, 1, dtype=torch.int64)
    untouched = torch.get_rng_state()
    text = generate(model, ids, 2, **options, generator=seeded(8))
    shares = torch.stack([(text[:, 1:] == id).double().mean() for id in range(5)])
    expected = torch.tensor(expected, dtype=torch.float64)
    # Of 5,000 draws a share strays by at most 0.007; here four times.
    torch.testing.assert_close(shares, expected / expected.sum(), rtol=0, atol=0.03)
    assert (shares[expected == 0] == 0).all(), "a token was drawn that the filters should have taken out"
    assert torch.equal(torch.get_rng_state(), untouched), "PyTorch's global generator was used"
    # Exact: the same seed gives the same text.
    torch.testing.assert_close(generate(model, ids, 2, **options, generator=seeded(8)), text, rtol=0, atol=0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(
    ("eos_id", "ids", "expected"),
    [
        (3, [[0, 2], [1, 0], [2, 4]], [[0, 2, 3, 3, 3], [1, 0, 1, 2, 3], [2, 4, 0, 1, 2]]),
        (0, [[1, 1], [2, 4], [4, 3]], [[1, 1, 2, 3, 4], [2, 4, 0, 0, 0], [4, 3, 4, 0, 0]]),
        (3, [[0, 2], [1, 1]], [[0, 2, 3, 3, 3, 3], [1, 1, 2, 3, 3, 3]]),
        (3, [[0, 2], [1, 2]], [[0, 2, 3, 3, 3], [1, 2, 3, 3, 3]]),  # all in one step
        (3, [[0, 2]], [[0, 2, 3]]),
        (3, [[3, 1], [2, 4]], [[3, 1, 2, 3, 3], [2, 4, 0, 1, 2]]),  # a prompt may hold it
        (None, [[1, 2], [2, 4]], [[1, 2, 3, 4, 0], [2, 4, 0, 1, 2]]),
    ],
)
def test_row_that_ended_stays_at_eos_while_others_go_on(eos_id, ids, expected, temperature):
    """After its first eos_id a row gets nothing else, and the result has all its columns."""
    ids, expected = torch.tensor(ids), torch.tensor(expected)
    options = {"temperature": temperature, "eos_id": eos_id, "generator": seeded(9)}
    actual = generate(Counting(vocab=5, block_size=8), ids, expected.shape[1] - 2, **options)
    # Exact: ids are whole numbers.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize("failing_call", [None, 3])
@pytest.mark.parametrize("whole", [True, False])
def test_generate_leaves_every_module_in_the_mode_it_was_in(whole, failing_call):
    """Generate in evaluation mode and without gradients; then put each module back into its own mode."""
    model = WithParts(failing_call).train(whole)
    model.first[0].train(not whole)  # a part in another mode than the whole
    before, ids = model.modes(), torch.tensor([[1, 2], [4, 0]])
    if failing_call is None:
        generate(model, ids, 4, temperature=0)
    else:
        with pytest.raises(OSError, match="made to fail"):
            generate(model, ids, 4, temperature=0)
    calls = 4 if failing_call is None else failing_call
    assert model.training_parts == [[]] * calls, "parts in training mode, call by call"
    assert model.gradients == [False] * calls, "whether gradients were recorded, call by call"
    assert model.modes() == before, "a part was left in another mode"
    assert torch.is_grad_enabled(), "gradients were left switched off"


def test_works_on_the_device_of_its_inputs():
    """Tensors made inside are on the device of the inputs, whatever PyTorch's default device is."""
    logits = normal(3, 5, seed=11)
    model, ids = Counting(vocab=5, block_size=4), torch.tensor([[0, 2], [1, 0], [2, 4]])
    options = {"top_k": 3, "top_p": 0.9, "eos_id": 3, "generator": seeded(12)}
    calls = [
        lambda: greedy(logits),
        lambda: apply_temperature(logits, 0.5),
        lambda: top_k_filter(logits, 3),
        lambda: top_p_filter(logits, 0.7),
        lambda: sample_next(logits, seeded(13)),
        lambda: generate(model, ids, 3, temperature=0),
        lambda: generate(model, ids, 3, **options),
    ]
    expected = [call() for call in calls]
    with torch.device("meta"):  # where tensors have shapes, but no numbers
        actual = [call() for call in calls]
    # Exact: nothing else differs between the two.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (apply_temperature, {"temperature": 0.0}, "0"),
        (apply_temperature, {"temperature": -0.25}, "-0.25"),
        (apply_temperature, {"temperature": math.nan}, "nan"),
        (apply_temperature, {"temperature": math.inf}, "inf"),
        (generate, {"temperature": -0.25}, "-0.25"),
        (top_p_filter, {"p": 0.0}, "0"),
        (top_p_filter, {"p": -0.25}, "-0.25"),
        (top_p_filter, {"p": 1.5}, "1.5"),
        (top_p_filter, {"p": math.nan}, "nan"),
        (generate, {"top_p": 1.5}, "1.5"),
    ],
    ids=[
        "apply_temperature(temperature=0.0)",
        "apply_temperature(temperature=-0.25)",
        "apply_temperature(temperature=nan)",
        "apply_temperature(temperature=inf)",
        "generate(temperature=-0.25)",
        "top_p_filter(p=0.0)",
        "top_p_filter(p=-0.25)",
        "top_p_filter(p=1.5)",
        "top_p_filter(p=nan)",
        "generate(top_p=1.5)",
    ],
)
def test_temperature_and_p_out_of_range_are_refused(function, arguments, named):
    """ValueError names a temperature that is not positive and finite, and a p that is not in (0, 1]."""
    if function.__name__ == "generate":
        given = {"model": Counting(5, 8), "ids": torch.tensor([[1, 2], [4, 0]]), "max_new_tokens": 3}
    else:
        given = {"logits": normal(2, 5, seed=10)}
    with pytest.raises(ValueError) as refusal:
        function(**given, **arguments)
    assert named in str(refusal.value), f"the message does not name {named}: {refusal.value}"
