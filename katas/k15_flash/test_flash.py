"""Ordered tests of kata 15: each adds one idea, and needs only what stands above it."""

import math
from itertools import permutations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from katas.k01_attention.attention import causal_mask, scaled_dot_product_attention
from katas.k15_flash.flash import Partial, absorb, flash_attention, flash_forward


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def inputs(batch, queries, keys, *, d_k=3, d_v=2, seed, dtype=torch.float64):
    """Query, key and value; all their sizes differ."""
    shapes = (queries, d_k), (keys, d_k), (keys, d_v)
    return [normal(*batch, *shape, seed=10 * seed + i, dtype=dtype) for i, shape in enumerate(shapes)]


def nothing(*shape, dtype=torch.float64):
    """The Partial of queries that have seen nothing, for an output of this shape."""
    maximum = torch.full(shape[:-1], -math.inf, dtype=dtype)
    return Partial(maximum, torch.zeros(shape[:-1], dtype=dtype), torch.zeros(shape, dtype=dtype))


def absorb_all(blocks, *, dtype=torch.float64):
    """Absorb pairs of scores and values one after the other."""
    (scores, value), *_ = blocks
    partial = nothing(*scores.shape[:-1], value.shape[-1], dtype=dtype)
    for scores, value in blocks:
        partial = absorb(partial, scores, value)
    return partial


def reference(query, key, value, causal):
    """Your own attention of kata 01, with its mask."""
    mask = causal_mask(query.shape[-2], key.shape[-2]) if causal else None
    return scaled_dot_product_attention(query, key, value, mask)


class Watching(TorchDispatchMode):
    """Sees every tensor that PyTorch makes, and remembers the size of the largest."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.largest = max([self.largest, *(tensor.numel() for tensor in tensors_in(result))])
        return result


def tensors_in(values):
    """The tensors in a value, or in lists and dictionaries of values."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_block_is_a_softmax_that_is_not_yet_divided(dtype):
    """One block gives the highest score, the sum of the exponentials below it, and the values so weighted."""
    scores = torch.tensor([[1.0, 2, 5], [4, 3, 1]], dtype=dtype).log()
    value = torch.tensor([[10.0, 0], [0, 10], [10, 10]], dtype=dtype)
    partial = absorb_all([(scores, value)], dtype=dtype)
    expected = Partial(
        maximum=torch.tensor([5.0, 4], dtype=dtype).log(),
        total=torch.tensor([8 / 5, 8 / 4], dtype=dtype),
        output=torch.tensor([[60 / 5, 70 / 5], [50 / 4, 40 / 4]], dtype=dtype),
    )
    # float32: right versions are off by 1e-6; the nearest wrong one (divided by the total) by 0.6.
    torch.testing.assert_close(partial._asdict(), expected._asdict(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_blocks_may_be_absorbed_in_any_order(batch):
    """Blocks of any sizes, in any order, give what one block of all the keys gives."""
    scores, value = 3 * normal(*batch, 5, 11, seed=1), normal(*batch, 11, 2, seed=2)
    expected = absorb_all([(scores, value)])
    for sizes in [(4, 7), (1, 4, 6)]:
        blocks = list(zip(scores.split(sizes, dim=-1), value.split(sizes, dim=-2), strict=True))
        for order in permutations(blocks):
            # float64: right versions are off by 4e-15; without rescaling by 0.1 and more.
            torch.testing.assert_close(absorb_all(order)._asdict(), expected._asdict(), rtol=0, atol=1e-12)
    arguments = *expected, scores + 1, value
    before = [argument.clone() for argument in arguments]
    absorb(expected, *arguments[3:])
    assert all(map(torch.equal, arguments, before)), "absorb has modified its arguments"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shift", [1000, -1000])
def test_scores_around_a_thousand_neither_overflow_nor_vanish(shift, dtype):
    """With 1,000 added to every score, or taken from it, only the maximum changes."""
    # In eighths, so that float32 adds 1,000 without rounding.
    scores = (8 * normal(5, 11, seed=3)).round().div(8).to(dtype)
    value = normal(11, 2, seed=4, dtype=dtype)
    one = absorb_all([(scores, value)], dtype=dtype)
    expected = one._replace(maximum=one.maximum + shift)
    for sizes in [(11,), (4, 7)]:
        blocks = zip((scores + shift).split(sizes, dim=-1), value.split(sizes), strict=True)
        other = absorb_all(list(blocks), dtype=dtype)
        # float32: right versions are off by 1e-6; wrong ones are NaN, infinite or zero.
        torch.testing.assert_close(other._asdict(), expected._asdict(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch", [(), (3,)])
def test_hidden_block_changes_nothing(batch):
    """A block of scores of -inf changes nothing: not before a query has seen a key, and not after it."""
    scores, value = normal(*batch, 5, 11, seed=5), normal(*batch, 11, 2, seed=6)
    hidden, other_value = torch.full((*batch, 5, 4), -math.inf).double(), normal(*batch, 4, 2, seed=7)
    blind, expected = nothing(*batch, 5, 2), absorb_all([(scores, value)])
    partial = absorb_all([(hidden, other_value), (hidden, other_value)])
    # Exact: there is nothing to compute.
    torch.testing.assert_close(partial._asdict(), blind._asdict(), rtol=0, atol=0)
    blocks = (hidden, other_value), (scores, value)
    for order in (blocks, blocks[::-1]):
        # Right versions are off by 1e-15; wrong ones are NaN.
        torch.testing.assert_close(absorb_all(order)._asdict(), expected._asdict(), rtol=0, atol=1e-12)
    # Hidden from some queries only, and in part from others.
    hidden[..., 1, 2], hidden[..., 3, :] = 0.5, normal(4, seed=8)
    partial = absorb_all([(hidden, other_value), (scores, value)])
    both = torch.cat([hidden, scores], dim=-1), torch.cat([other_value, value], dim=-2)
    torch.testing.assert_close(partial._asdict(), absorb_all([both])._asdict(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("offset", [0, 1000, -1000])
@pytest.mark.parametrize(
    ("batch", "queries", "keys", "dtype"),
    [((), 5, 7, torch.float32), ((3,), 7, 5, torch.float64), ((2, 3), 7, 7, torch.float32)],
)
def test_forward_gives_the_attention_of_kata_01_for_every_block(batch, queries, keys, offset, dtype):
    """Output is your own attention of kata 01, also if the last block is not full, or the only one."""
    query, key, value = inputs(batch, queries, keys, d_k=4, seed=1, dtype=dtype)
    # In eighths, and with a root of 2, so that float32 rounds no score, whatever is divided first.
    query, key = (8 * query).round() / 8, (8 * key).round() / 8
    query[..., 0], key[..., 0] = 1, 2 * offset  # moves all scores by the offset
    arguments = query, key, value
    before = [argument.clone() for argument in arguments]
    expected = reference(*(x.double() for x in arguments), causal=False).to(dtype)
    for block in range(1, keys + 2):
        output, _ = flash_forward(query, key, value, causal=False, block=block)
        # float32: right versions are off by 1e-6, or by 1e-4 if they subtract a logarithm around 1,000, where
        # numbers are 6e-5 apart. Wrong ones are off by 0.1 and more.
        torch.testing.assert_close(output, expected, rtol=0, atol=1e-3)
    assert all(map(torch.equal, arguments, before)), "flash_forward has modified its arguments"


@pytest.mark.parametrize(("batch", "queries", "keys"), [((), 5, 7), ((3,), 7, 5), ((2, 3), 7, 7)])
def test_forward_gives_the_logarithm_of_each_sum(batch, queries, keys):
    """The second result is torch.logsumexp of the scaled scores, one number for each query."""
    query, key, value = inputs(batch, queries, keys, seed=2)
    expected = torch.logsumexp(query @ key.mT / math.sqrt(3), dim=-1)
    for block in range(1, keys + 2):
        _, log_sum = flash_forward(query, key, value, causal=False, block=block)
        # Right versions are off by 1e-7, if √d_k is in float32; without the maximum, or the scale, by 0.1.
        torch.testing.assert_close(log_sum, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize(("queries", "keys"), [(5, 7), (7, 7), (7, 5), (1, 7), (7, 1)])
def test_causal_queries_see_the_keys_up_to_their_own(batch, queries, keys):
    """The last query lines up with the last key; a query that sees nothing gets zeros, and -inf."""
    query, key, value = inputs(batch, queries, keys, seed=3)
    expected = reference(query, key, value, causal=True)
    scores = query @ key.mT / math.sqrt(3)
    expected_sum = scores.masked_fill(~causal_mask(queries, keys), -math.inf).logsumexp(dim=-1)
    # Not 1 first: one position too far and one block too far would look the same.
    for block in [2, 1, *range(3, keys + 2)]:
        output, log_sum = flash_forward(query, key, value, causal=True, block=block)
        # Right versions are off by 1e-7, if √d_k is in float32; a mask moved by one position by 0.1.
        torch.testing.assert_close(output, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(log_sum, expected_sum, rtol=0, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("batch", "queries", "keys", "dtype"),
    [((), 5, 7, torch.float32), ((3,), 7, 5, torch.float64), ((2, 3), 7, 7, torch.float32)],
)
def test_output_and_gradients_are_those_of_kata_01(batch, queries, keys, causal, dtype):
    """Output and gradients are those of kata 01 for every block; a query that sees nothing adds nothing."""
    arguments = [x.requires_grad_() for x in inputs(batch, queries, keys, seed=4, dtype=dtype)]
    doubled = [x.detach().double().requires_grad_() for x in arguments]
    cotangent = normal(*batch, queries, 2, seed=9)
    output = reference(*doubled, causal)
    names = "output", "gradient of query", "gradient of key", "gradient of value"
    expected = output, *torch.autograd.grad(output, doubled, cotangent)
    expected = {name: x.detach().to(dtype) for name, x in zip(names, expected, strict=True)}
    for block in range(1, keys + 2):
        output = flash_attention(*arguments, causal=causal, block=block)
        gradients = torch.autograd.grad(output, arguments, cotangent.to(dtype))
        actual = dict(zip(names, [output.detach(), *gradients], strict=True))
        # Right versions are off by 1e-6, in float64 by 1e-7 if √d_k is in float32; wrong ones by 0.1.
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("queries", "keys", "causal"), [(3, 5, False), (5, 5, True), (5, 3, True)])
def test_gradients_agree_with_differences_of_the_output(queries, keys, causal):
    """Gradients are what the output changes by, measured for each number in query, key and value."""
    arguments = [x.requires_grad_() for x in inputs((), queries, keys, seed=5)]
    # Central differences in float64 are off by 1e-9; a wrong gradient by 0.01 and more.
    assert torch.autograd.gradcheck(
        lambda *x: flash_attention(*x, causal=causal, block=2), arguments, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(67, 61), (61, 67)])
def test_no_tensor_has_queries_times_keys_entries(queries, keys, causal):
    """No tensor, not even a mask, is as large as the matrix of scores, neither in forward nor in backward."""
    arguments = [x.requires_grad_() for x in inputs((), queries, keys, seed=6)]
    with Watching() as forward:
        output = flash_attention(*arguments, causal=causal, block=5)
    with Watching() as backward:
        output.backward(normal(queries, 2, seed=10))
    whole = queries * keys
    assert forward.largest < whole, f"forward makes one of {forward.largest} entries; all scores: {whole}"
    assert backward.largest < whole, f"backward makes one of {backward.largest} entries; all scores: {whole}"


def test_what_is_kept_for_backward_grows_linearly():
    """Twice the length keeps twice the numbers until backward; ctx.save_for_backward keeps the tensors."""
    counts = []
    for length in (60, 120):
        arguments = [x.requires_grad_() for x in inputs((), length, length, seed=7)]
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, saved=saved: saved.append(tensor) or tensor, lambda tensor: tensor
        ):
            output = flash_attention(*arguments, causal=True, block=5)
        assert output.requires_grad, "the output is cut off from the inputs"
        assert saved, "nothing was kept with ctx.save_for_backward"
        on_ctx = tensors_in(vars(output.grad_fn)) if hasattr(output.grad_fn, "__dict__") else []
        counts.append(sum(tensor.numel() for tensor in [*saved, *on_ctx]))
    # Right versions keep exactly twice as many; the weights of all blocks would be nearly four times.
    assert counts[1] < 2.5 * counts[0], f"kept for 60 positions: {counts[0]} numbers; for 120: {counts[1]}"


@pytest.mark.parametrize(("queries", "keys"), [(37, 37), (17, 37)])
def test_hidden_blocks_are_skipped(queries, keys):
    """Where causal=True hides a whole block nothing is computed: that is about half of the work."""
    arguments = [x.requires_grad_() for x in inputs((), queries, keys, seed=8)]
    # Besides what queries see, the blocks on the diagonal are computed whole, also if queries are cut.
    share = causal_mask(queries, keys).double().mean().item() + 1.5 * 5 / keys
    counts = {}
    for causal in (False, True):
        with FlopCounterMode(display=False) as forward:
            output = flash_attention(*arguments, causal=causal, block=5)
        with FlopCounterMode(display=False) as backward:
            output.backward(normal(queries, 2, seed=11))
        counts[causal] = forward.get_total_flops(), backward.get_total_flops()
    for name, whole, half in zip(["forward", "backward"], counts[False], counts[True], strict=True):
        assert half <= share * whole, f"{name}: {half} FLOPs, {whole} without causal; at most {share:.0%}"


def test_tensors_are_made_on_the_device_of_the_inputs():
    """Tensors made inside are on the device of the inputs, and no function looks at their values."""
    arguments = inputs((2,), 5, 7, seed=9)
    expected = [*flash_forward(*arguments, causal=True, block=3), flash_attention(*arguments, causal=True)]
    with torch.device("meta"):  # a default device of tensors with shapes, but no numbers
        actual = [*flash_forward(*arguments, causal=True, block=3), flash_attention(*arguments, causal=True)]
    # Exact: nothing else differs between the two.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    on_meta = [x.to("meta").requires_grad_() for x in arguments]
    output = flash_attention(*on_meta, causal=True, block=3)
    gradients = torch.autograd.grad(output, on_meta, torch.empty_like(output))
    assert [gradient.shape for gradient in gradients] == [argument.shape for argument in arguments]


@pytest.mark.parametrize("block", [0, -3])
@pytest.mark.parametrize(
    "function", [flash_forward, flash_attention], ids=["flash_forward", "flash_attention"]
)
def test_block_below_one_is_refused(function, block):
    """ValueError names a block that is not at least 1: with -3 a loop would end before it began."""
    query, key, value = inputs((), 5, 7, seed=10)
    with pytest.raises(ValueError) as refusal:
        function(query, key, value, causal=False, block=block)
    assert str(block) in str(refusal.value), f"the message does not name {block}: {refusal.value}"
