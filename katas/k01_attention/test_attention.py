"""Ordered tests of kata 01: each adds one idea, and needs only what stands above it."""

import math

import pytest
import torch
import torch.nn.functional as F

from katas.k00_shapes.shapes import numerical_gradient
from katas.k01_attention.attention import (
    attention_weights,
    causal_mask,
    padding_mask,
    scaled_dot_product_attention,
    softmax,
)


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def random_mask(*shape, seed):
    """A mask that shows every query the first key, hides the last one, and draws the others."""
    mask = normal(*shape, seed=seed) > 0
    mask[..., 0], mask[..., -1] = True, False
    return mask


def query_and_key_with_weights_in_eighths():
    # A query of 2 in one feature, divided by √4, picks that feature of each key: a logarithm.
    query = 2 * torch.eye(3, 4)
    key = torch.tensor([[1.0, 3, 4, 7], [2.0, 1, 2, 7], [5.0, 4, 2, 7]]).log()
    return query, key


def test_softmax_turns_scores_into_shares_of_one():
    """The exponentials of the scores in a row, divided by their sum, are its weights."""
    x = torch.log(torch.tensor([[1.0, 2.0, 5.0], [3.0, 2.0, 3.0]]))
    expected = torch.tensor([[0.125, 0.25, 0.625], [0.375, 0.25, 0.375]])
    # float32: right versions are off by 6e-8, the nearest wrong one (divided by the sum of all) by 0.3.
    torch.testing.assert_close(softmax(x, dim=-1), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_softmax_runs_along_the_axis_asked_for(dim):
    """The weights sum to one along axis `dim`, whichever axis that is, and along no other."""
    x = normal(2, 5, 3, seed=0)
    # Right versions are off by 1e-7, if a step of them is in float32; another axis makes 0.5.
    torch.testing.assert_close(softmax(x, dim), torch.softmax(x, dim), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dim", [1, 0])
def test_softmax_is_stable_for_scores_of_ten_thousand(dim):
    """Rows of scores around 10,000 and around -10,000, side by side, get their right weights."""
    x = torch.tensor([[1e4, 9999, 9997], [-1e4, -10001, -10003], [0, -1, -3], [-1e4, 1e4, 0]])
    shares = torch.tensor([1, math.exp(-1), math.exp(-3)]) / (1 + math.exp(-1) + math.exp(-3))
    expected = torch.stack([shares, shares, shares, torch.tensor([0.0, 1.0, 0.0])])
    actual = softmax(x, 1) if dim == 1 else softmax(x.T, 0).T
    # At 10,000 float32 moves in steps of 1e-3: the right exp(x - logsumexp(x)) is 3e-4 off. Wrong
    # versions give NaN, or 0 for a weight of 0.7.
    torch.testing.assert_close(actual, expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("dim", [1, 0])
def test_softmax_of_nothing_but_minus_infinity_is_zero(dim):
    """A row of nothing but -inf gets zeros, and no gradient becomes NaN or infinite."""
    x = normal(4, 5, seed=1)
    x[1], x[2, :3] = -math.inf, -math.inf  # row 1 wholly, row 2 in part
    expected, cotangent = torch.softmax(x, 1), normal(4, 5, seed=2)
    expected[1] = 0
    x.requires_grad_()
    actual = softmax(x, 1) if dim == 1 else softmax(x.T, 0).T
    # Right versions are off by 1e-7, if a step of them is in float32; wrong ones give NaN, or weights.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    actual.backward(cotangent)
    assert x.grad.isfinite().all(), "the gradient holds a NaN or an infinity"
    expected_gradient = expected * (cotangent - (expected * cotangent).sum(1, keepdim=True))
    torch.testing.assert_close(x.grad[[0, 2, 3]], expected_gradient[[0, 2, 3]], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((3,), [[1, 0, 0], [1, 1, 0], [1, 1, 1]]),
        ((3, 3), [[1, 0, 0], [1, 1, 0], [1, 1, 1]]),
        ((2, 5), [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]),
        ((1, 4), [[1, 1, 1, 1]]),
        ((4, 2), [[0, 0], [0, 0], [1, 0], [1, 1]]),
    ],
)
def test_causal_mask_shows_each_query_the_keys_up_to_its_own(sizes, expected):
    """A query sees the keys up to its own position, the last query lined up with the last key."""
    actual = causal_mask(*sizes).int()
    # Exact: a mask has no rounding.
    torch.testing.assert_close(actual, torch.tensor(expected).int(), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_padding_mask_shows_the_first_positions_of_each_sequence(dtype):
    """As many positions as the sequence is long are shown, the padding after them is hidden."""
    lengths = torch.tensor([3, 0, 4, 1, 2], dtype=dtype)
    expected = [[1, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]]
    actual = padding_mask(lengths, 4).squeeze(1).int()
    # Exact: a mask has no rounding.
    torch.testing.assert_close(actual, torch.tensor(expected).int(), rtol=0, atol=0)


def test_attention_weights_compare_a_query_with_every_key():
    """A query's weights are the softmax, over the keys, of its dot products divided by √d_k."""
    query, key = query_and_key_with_weights_in_eighths()
    expected = torch.tensor([[1.0, 2.0, 5.0], [3.0, 1.0, 4.0], [4.0, 2.0, 2.0]]) / 8
    # float32: right versions are off by 6e-8, the nearest wrong one (scores transposed) by 0.1.
    torch.testing.assert_close(attention_weights(query, key), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_attention_weights_take_any_number_of_batch_axes(batch, dtype):
    """Each element of the batch gets its own weights, whatever the sizes and the dtype."""
    query = normal(*batch, 5, 11, seed=3, dtype=dtype)
    key = normal(*batch, 7, 11, seed=4, dtype=dtype)
    # PyTorch's attention, in float64, with the identity for values: its output is the weights.
    identity = torch.eye(7, dtype=torch.float64).expand(*batch, 7, 7)
    expected = F.scaled_dot_product_attention(query.double(), key.double(), identity).to(dtype)
    # Right versions are off by 2e-7, in float64 too if √d_k is in float32; the nearest wrong one by 0.2.
    torch.testing.assert_close(attention_weights(query, key), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("batch", "mask_shape"),
    [((), (5, 7)), ((3,), (3, 5, 7)), ((5,), (5, 7)), ((3,), (3, 1, 7)), ((2, 3), (3, 5, 7))],
)
def test_masked_positions_get_zero_weight(batch, mask_shape):
    """Positions that the mask hides get a weight of exactly zero, and the rest still sum to one."""
    query, key = normal(*batch, 5, 11, seed=5), normal(*batch, 7, 11, seed=6)
    mask = random_mask(*mask_shape, seed=7)
    key[..., -1, :] = 1e6  # hidden from every query
    weights = attention_weights(query, key, mask)
    hidden = ~mask.expand(weights.shape)
    assert weights[hidden].abs().max() == 0, "a hidden position has a weight"
    identity = torch.eye(7, dtype=torch.float64).expand(*batch, 7, 7)
    expected = F.scaled_dot_product_attention(query, key, identity, attn_mask=mask)
    # Right versions are off by 1e-7, the nearest wrong one (divided by d_k) by 0.3.
    torch.testing.assert_close(weights, expected, rtol=0, atol=1e-5)
    # Nor may scores that are very low where the mask shows, or very high where it hides, reach it.
    high = attention_weights(1e5 * query, key, mask)
    assert high[hidden].abs().max() == 0, "with high scores, a hidden position has a weight"


@pytest.mark.parametrize("mask_shape", [(5, 1), (5, 3), (2, 5, 3)])
def test_query_that_may_attend_to_nothing_gets_zeros(mask_shape):
    """A query that sees no key has zeros for weights, and no gradient becomes NaN or infinite."""
    query = normal(2, 5, 7, seed=8).requires_grad_()
    key = normal(2, 3, 7, seed=9).requires_grad_()
    mask = torch.ones(mask_shape, dtype=torch.bool)
    mask[..., [1, 4], :] = False
    weights = attention_weights(query, key, mask)
    expected = attention_weights(query, key) * torch.tensor([1.0, 0, 1, 1, 0])[:, None]
    # Both come from the same function. A query that reads everything alike has weights of 0.3.
    torch.testing.assert_close(weights, expected, rtol=0, atol=1e-5)
    cotangent = normal(*weights.shape, seed=10)
    gradients = torch.autograd.grad(weights, (query, key), cotangent)
    assert all(gradient.isfinite().all() for gradient in gradients), "a gradient is NaN or infinite"
    q, k = query.detach(), key.detach()
    measured = (  # by your own function of kata 00: it knows nothing of backward
        numerical_gradient(lambda x: (attention_weights(x, k, mask) * cotangent).sum(), q),
        numerical_gradient(lambda x: (attention_weights(q, x, mask) * cotangent).sum(), k),
    )
    # Central differences in float64 are off by 7e-10; a softmax whose sum is detached by 1.3.
    torch.testing.assert_close(gradients, measured, rtol=0, atol=1e-6)


def test_output_is_the_weighted_average_of_the_values():
    """Each query gets the sum of all values, each times the attention that its key received."""
    query, key = query_and_key_with_weights_in_eighths()
    value = torch.tensor([[8.0, 0.0], [0.0, 8.0], [8.0, 8.0]])
    actual = scaled_dot_product_attention(query, key, value)
    # float32: right versions are off by 5e-7, the nearest wrong one (divided by d_k) by 0.7.
    torch.testing.assert_close(actual, torch.tensor([[6.0, 7], [7, 5], [6, 4]]), rtol=0, atol=1e-4)
    mask = torch.tensor([[True, True, False], [False, False, False], [False, True, True]])
    actual = scaled_dot_product_attention(query, key, value, mask)
    expected = torch.tensor([[8 / 3, 16 / 3], [0, 0], [4, 8]])
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("batch", "mask_shape"),
    [((3,), None), ((), (5, 7)), ((5,), (5, 7)), ((3,), (3, 1, 7)), ((2, 3), (2, 1, 5, 7))],
)
def test_output_and_gradients_agree_with_pytorch(batch, mask_shape, dtype):
    """Output and gradients are those of PyTorch's own attention, whatever the mask hides."""
    query = normal(*batch, 5, 11, seed=11, dtype=dtype).requires_grad_()
    key = normal(*batch, 7, 11, seed=12, dtype=dtype)
    value = normal(*batch, 7, 2, seed=13, dtype=dtype)
    mask = None if mask_shape is None else random_mask(*mask_shape, seed=14)
    if mask is not None:
        key[..., -1, :], value[..., -1, :] = 1e6, 1e6  # hidden from every query
    inputs = query, key.requires_grad_(), value.requires_grad_()
    cotangent = normal(*batch, 5, 2, seed=15)
    actual = scaled_dot_product_attention(*inputs, mask)
    expected = F.scaled_dot_product_attention(*(x.double() for x in inputs), attn_mask=mask)
    # Right versions are off by 4e-7, in float64 too if √d_k is in float32; the nearest wrong one by 0.4.
    torch.testing.assert_close(actual, expected.to(dtype), rtol=0, atol=1e-5)
    actual_gradients = torch.autograd.grad(actual, inputs, cotangent.to(dtype))
    expected_gradients = torch.autograd.grad(expected, inputs, cotangent)
    torch.testing.assert_close(actual_gradients, expected_gradients, rtol=0, atol=1e-5)


def test_tensors_are_made_on_the_device_of_the_inputs():
    """A function makes its tensors on the device asked for, or on that of its arguments."""
    assert causal_mask(2, 3).device.type == "cpu"
    assert causal_mask(2, 3, device="meta").device.type == "meta"
    assert causal_mask(2, device=torch.device("meta")).device.type == "meta"
    lengths = torch.empty(2, dtype=torch.int64, device="meta")  # shapes and dtypes, but no numbers
    mask = padding_mask(lengths, 5)
    assert mask.device.type == "meta"
    query, key = torch.empty(2, 3, 7, device="meta"), torch.empty(2, 5, 7, device="meta")
    value = torch.empty(2, 5, 4, device="meta")
    assert scaled_dot_product_attention(query, key, value, mask).device.type == "meta"


def test_arguments_are_never_modified():
    """No function writes into the tensors that it is given."""
    query, key = normal(3, 5, 11, seed=16), normal(3, 7, 11, seed=17)
    value = normal(3, 7, 2, seed=18)
    mask, lengths = random_mask(3, 5, 7, seed=19), torch.tensor([4, 7, 2])
    arguments = query, key, value, mask, lengths
    before = tuple(argument.clone() for argument in arguments)
    softmax(query, 1)
    padding_mask(lengths, 9)
    attention_weights(query, key, mask)
    scaled_dot_product_attention(query, key, value, mask)
    # Exact: untouched means bit for bit.
    torch.testing.assert_close(arguments, before, rtol=0, atol=0)
