"""Ordered tests of kata 14: each adds one idea, and needs only what stands above it."""

import re
from contextlib import nullcontext

import pytest
import torch

from katas.k07_sampling.sampling import generate
from katas.k12_modern.modern import ModernConfig, ModernLM
from katas.k14_cache.cache import KVCache, cache_bytes, forward_cached, generate_cached, new_caches

# All sizes differ: 6 query heads of 4 features share 2 heads of keys and values.
SMALL = {"vocab_size": 13, "block_size": 11, "d_model": 24, "num_heads": 6, "num_layers": 3}
SMALL |= {"num_kv_heads": 2, "d_ff": 20}
MODELS = pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_kv_heads": 6, "qk_norm": False, "base": 100.0},
        {"num_kv_heads": 1, "qk_norm": False, "feedforward": "gated", "num_layers": 2},
    ],
    ids=["2 heads of keys", "6 heads of keys", "1 head of keys, gated network"],
)
# Logits are around 1. Right versions are off by 1e-7 if a table of angles was rounded to float32 on the way,
# otherwise by 1e-15; the nearest wrong ones by 0.01.
CLOSE = {"rtol": 0, "atol": 1e-6}


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def random_ids(*shape, seed):
    return torch.randint(13, shape, generator=torch.Generator().manual_seed(seed))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def random_model(seed=0, **changes):
    """A model in float64 whose parts all say something: a fresh one is silent."""
    with torch.random.fork_rng(devices=[]):
        model = ModernLM(ModernConfig(**{**SMALL, **changes})).double()
    for number, parameter in enumerate(model.parameters()):
        draw = normal(*parameter.shape, seed=100 * seed + number)
        parameter.data = draw / draw.shape[1] ** 0.5 if draw.dim() == 2 else 1 + draw / 2
    return model


def in_chunks(model, ids, caches, lengths):
    """The logits of the ids, cut into chunks of these lengths that are read one after the other."""
    chunks = [forward_cached(model, chunk, caches) for chunk in ids.split(lengths, dim=1)]
    return torch.cat(chunks, dim=1)


def bytes_behind(*tensors):
    """How many bytes the memory has that these tensors are views of, memory that they share only once."""
    found = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage.data_ptr(): storage.nbytes() for storage in found}.values())


def named_in(message, numbers):
    """The numbers that occur in the message, not as parts of other numbers."""
    return [number for number in numbers if re.search(rf"(?<![\d-]){number}(?!\d)", message)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("batch", "kv_heads", "d_head", "pieces"),
    [(2, 3, 5, [4]), (2, 3, 5, [2, 1, 4]), (1, 1, 2, [1, 1, 1]), (3, 3, 3, [3, 3, 1])],
)
def test_append_puts_new_positions_behind_the_earlier_ones(batch, kv_heads, d_head, pieces, dtype):
    """`append` returns the keys and values of all positions so far, in their order; `length` counts them."""
    cache = KVCache(batch, kv_heads, 7, d_head, dtype=dtype, device="cpu")
    keys, values = normal(2, batch, kv_heads, sum(pieces), d_head, seed=1, dtype=dtype)
    assert cache.length == 0, "a new cache is not empty"
    end = 0
    for new in pieces:
        start, end = end, end + new
        found = cache.append(keys[:, :, start:end], values[:, :, start:end])
        assert cache.length == end
        # Exact: numbers are stored, not computed.
        torch.testing.assert_close(found, (keys[:, :, :end], values[:, :, :end]), rtol=0, atol=0)


def test_cache_keeps_copies_in_memory_that_never_grows_or_moves():
    """What `append` returns are views of memory that was reserved at the start, large enough for max_len."""
    cache = KVCache(2, 3, 7, 5, dtype=torch.float32, device="cpu")
    keys, values = normal(2, 2, 3, 7, 5, seed=2, dtype=torch.float32)
    given = keys[:, :, :4].clone().requires_grad_(), values[:, :, :4].clone()
    first = cache.append(*given)
    reserved = 2 * (2 * 3 * 7 * 5) * 4
    assert bytes_behind(*first) == reserved, "bytes of the memory that the results are views of"
    given[0].data.zero_()  # the caller may use this memory for something else
    given[1].zero_()
    for at in range(4, 7):
        found = cache.append(keys[:, :, at : at + 1], values[:, :, at : at + 1])
        assert bytes_behind(*found) == reserved, "bytes of the memory that the results are views of"
        assert [x.data_ptr() for x in found] == [x.data_ptr() for x in first], "position 0 has moved"
    # Exact: numbers are stored, not computed.
    torch.testing.assert_close(found, (keys, values), rtol=0, atol=0)
    assert not any(x.requires_grad for x in (*first, *found)), "the cache requires a gradient"


@pytest.mark.parametrize("kept", [0, 1, 3, 5])
def test_truncated_cache_goes_on_behind_what_was_kept(kept):
    """After `truncate` the first positions are as before, and there is room for max_len again."""
    cache = KVCache(2, 3, 7, 5, dtype=torch.float64, device="cpu")
    keys, values = normal(2, 2, 3, 5, 5, seed=3)
    more = normal(2, 2, 3, 7 - kept, 5, seed=4)
    cache.append(keys, values)
    cache.truncate(kept)
    assert cache.length == kept
    expected = [torch.cat([x[:, :, :kept], y], dim=2) for x, y in zip((keys, values), more, strict=True)]
    # Exact: numbers are stored, not computed.
    torch.testing.assert_close(list(cache.append(*more)), expected, rtol=0, atol=0)


@MODELS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_new_caches_have_the_sizes_that_each_block_needs(changes, dtype):
    """Each block gets an empty cache of its own, in the dtype and on the device of the model."""
    model = random_model(**changes).to(dtype)
    with torch.device("meta"):  # not where the model is
        caches = new_caches(model, batch=5, max_len=7)
    assert len(caches) == model.config.num_layers
    kv_heads, new = model.config.num_kv_heads, normal(2, 5, model.config.num_kv_heads, 7, 4, seed=5).to(dtype)
    views = []
    for number, cache in enumerate(caches):
        assert cache.length == 0, "a new cache is not empty"
        keys, values = cache.append(new[0] + number, new[1] - number)
        assert (keys.dtype, keys.device) == (dtype, torch.device("cpu"))
        views += [keys, values]
    # Less, and blocks share their memory; more, and heads of keys are kept more than once.
    numbers = 2 * model.config.num_layers * 5 * kv_heads * 7 * 4
    assert bytes_behind(*views) == numbers * dtype.itemsize, "bytes of memory, in all blocks"


@MODELS
@pytest.mark.parametrize(("batch", "seq"), [(1, 1), (2, 5), (3, 11)])
def test_first_call_gives_the_logits_of_the_model(batch, seq, changes):
    """With empty caches, forward_cached(model, ids, caches) is model(ids), without a gradient."""
    model, ids = random_model(**changes), random_ids(batch, seq, seed=6)
    caches = new_caches(model, batch, 11)
    before, expected = ids.clone(), model(ids).detach()
    actual = forward_cached(model, ids, caches)
    torch.testing.assert_close(actual, expected, **CLOSE)
    assert [cache.length for cache in caches] == [seq] * len(caches), "lengths of the caches"
    assert not actual.requires_grad, "the logits require a gradient"
    assert torch.is_grad_enabled(), "gradients were left switched off"
    assert torch.equal(ids, before), "the ids were modified"


@MODELS
@pytest.mark.parametrize("prompt", [1, 4])
def test_token_by_token_gives_the_logits_of_the_whole_text(prompt, changes):
    """After a prompt, each token alone gets the logits that the model gives it in the whole text."""
    model, texts = random_model(**changes), random_ids(2, 3, 7, seed=7)
    expected = [model(ids).detach() for ids in texts]
    # Two texts in turn, each with caches of its own.
    caches = [new_caches(model, 3, 7) for _ in texts]
    logits = [[forward_cached(model, texts[i][:, :prompt], caches[i])] for i in (0, 1)]
    for at in range(prompt, 7):
        for i in (0, 1):
            logits[i].append(forward_cached(model, texts[i][:, at : at + 1], caches[i]))
    torch.testing.assert_close([torch.cat(each, dim=1) for each in logits], expected, **CLOSE)


@MODELS
@pytest.mark.parametrize("lengths", [[3, 3, 3, 2], [1, 2, 7, 1]])
def test_chunk_sees_what_is_before_it_and_nothing_after(lengths, changes):
    """Every position of a chunk sees the cached ones and those of the chunk up to itself, none later."""
    model, ids = random_model(**changes), random_ids(2, 11, seed=8)
    expected, caches = model(ids).detach(), new_caches(model, 2, 11)
    with torch.device("meta"):  # what is made inside is on the device of the ids
        torch.testing.assert_close(in_chunks(model, ids, caches, lengths), expected, **CLOSE)
    # Taken back and written otherwise, it is another text.
    other = torch.cat([ids[:, : lengths[0]], random_ids(2, 11 - lengths[0], seed=9)], dim=1)
    for cache in caches:
        cache.truncate(lengths[0])
    again = in_chunks(model, other[:, lengths[0] :], caches, lengths[1:])
    torch.testing.assert_close(again, model(other).detach()[:, lengths[0] :], **CLOSE)


class Noting(KVCache):
    """A cache that notes what it is given."""

    def append(self, key, value):
        self.given.append((key.clone(), value.clone()))
        return super().append(key, value)


@MODELS
def test_each_cache_holds_the_keys_and_values_of_its_block(changes):
    """A cache gets each position once: its keys as `project` gives them, turned, no head repeated."""
    model, ids = random_model(**changes), random_ids(2, 11, seed=10)
    config, d_head = model.config, 4
    sizes = (2, config.num_kv_heads, 11, d_head)
    caches = [Noting(*sizes, dtype=torch.float64, device="cpu") for _ in model.blocks]
    for cache in caches:
        cache.given = []
    in_chunks(model, ids, caches, [4, 1, 1, 5])
    pair = torch.arange(d_head // 2, dtype=torch.float64)
    angle = torch.arange(11)[:, None] * config.base ** (-2 * pair / d_head)  # position · frequency
    rotary, mask = (angle.cos(), angle.sin()), torch.ones(11, 11, dtype=torch.bool).tril()
    x = model.token_embedding(ids)
    for block, cache in zip(model.blocks, caches, strict=True):
        _, key, value = block.attention.project(block.attention_norm(x), rotary)
        given = [torch.cat(pieces, dim=2) for pieces in zip(*cache.given, strict=True)]
        torch.testing.assert_close(given, [key.detach(), value.detach()], **CLOSE)
        x = block(x, rotary, mask)


@pytest.mark.parametrize(
    ("config", "batch", "seq", "options", "expected"),
    [
        # GPT-2: 12 blocks of 12 heads with 64 features, 1024 tokens, two bytes: 36 MiB.
        ({"d_model": 768, "num_heads": 12, "num_layers": 12}, 1, 1024, {}, 37_748_736),
        ({"d_model": 768, "num_heads": 12, "num_layers": 12}, 8, 1024, {"bytes_per_number": 4}, 603_979_776),
        # 32 blocks of 32 heads with 128 features, 8192 tokens: 4 GiB, or 512 MiB with 4 heads of keys.
        ({"d_model": 4096, "num_heads": 32, "num_layers": 32}, 1, 8192, {}, 4_294_967_296),
        (
            {"d_model": 4096, "num_heads": 32, "num_layers": 32, "num_kv_heads": 4},
            *(1, 8192, {}, 536_870_912),
        ),
        ({"d_model": 30, "num_heads": 3, "num_layers": 5, "num_kv_heads": 1}, 7, 11, {}, 15_400),
    ],
    ids=["GPT-2", "GPT-2, 8 texts in float32", "32 heads of keys", "4 of 32 heads", "tiny"],
)
def test_cache_bytes_counts_keys_and_values_of_all_blocks(config, batch, seq, options, expected):
    """Keys and values, times blocks, texts, heads of keys, positions, features and bytes for each number."""
    config = ModernConfig(vocab_size=50_257, block_size=16_384, **config)
    assert cache_bytes(config, batch, seq, **options) == expected


@pytest.mark.parametrize(
    ("batch", "seq", "max_new_tokens", "options"),
    [
        (3, 4, 5, {"temperature": 0}),
        (1, 1, 3, {"temperature": 0, "top_k": 5}),
        (3, 4, 0, {}),
        (5, 2, 4, {"temperature": 0.5}),
        (5, 2, 4, {"top_k": 2}),
        (5, 2, 4, {"top_p": 0.6}),
        (7, 2, 4, {"temperature": 2.0, "top_k": 3, "top_p": 0.7}),
    ],
)
def test_generate_cached_chooses_the_tokens_of_generate(batch, seq, max_new_tokens, options):
    """With the same options and seed, generate_cached returns exactly what `generate` of kata 07 does."""
    model, ids = random_model(seed=1, num_layers=1), random_ids(batch, seq, seed=13)
    before, untouched = ids.clone(), torch.get_rng_state()
    expected = generate(model, ids, max_new_tokens, **options, generator=seeded(14))
    # Twice: nothing is left of the first text, nor is anything made on the default device.
    for around in (nullcontext(), torch.device("meta")):
        with around:
            actual = generate_cached(model, ids, max_new_tokens, **options, generator=seeded(14))
        # Exact: ids are whole numbers.
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    assert torch.equal(ids, before), "the prompt was modified"
    assert torch.equal(torch.get_rng_state(), untouched), "PyTorch's global generator was used"
    assert model.training, "the mode of the model was changed"


@pytest.mark.parametrize("eos_id", [None, 0, 3, 8])
def test_ended_row_stays_at_eos_as_in_generate(eos_id):
    """After its first eos_id a row gets nothing else; the others go on, and no column is missing."""
    model, ids = random_model(seed=2, num_layers=1), random_ids(7, 3, seed=15)
    options = {"temperature": 0, "eos_id": eos_id}
    expected = generate(model, ids, 6, **options)
    with torch.device("meta"):  # what is made inside is on the device of the ids
        actual = generate_cached(model, ids, 6, **options)
    # Exact: ids are whole numbers.
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize(("seq", "max_new_tokens"), [(4, 5), (4, 8), (11, 1)])
def test_every_position_is_computed_once(seq, max_new_tokens, monkeypatch):
    """Each cache is given seq + max_new_tokens - 1 positions in all: the last token is never read."""
    model, ids, really_append = random_model(), random_ids(2, seq, seed=16), KVCache.append
    given = []

    def append(self, key, value):
        given.append(key.shape[-2])
        return really_append(self, key, value)

    monkeypatch.setattr(KVCache, "append", append)
    generate_cached(model, ids, max_new_tokens, generator=seeded(17))
    assert sum(given) // model.config.num_layers == seq + max_new_tokens - 1, "positions for each cache"


@pytest.mark.parametrize(
    ("block_size", "seq", "max_new_tokens"),
    [(5, 3, 5), (5, 5, 2), (5, 9, 3), (3, 2, 7), (1, 2, 2)],
)
def test_window_slides_past_block_size_as_in_generate(block_size, seq, max_new_tokens):
    """Past block_size the last block_size ids count, from position 0 on, and are computed again."""
    model = random_model(seed=3, num_layers=2, block_size=block_size)
    ids = random_ids(7, seq, seed=18)
    expected = generate(model, ids, max_new_tokens, generator=seeded(19))
    # Exact: ids are whole numbers.
    actual = generate_cached(model, ids, max_new_tokens, generator=seeded(19))
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def append_to_a_full_cache(new):
    cache = KVCache(2, 3, 7, 5, dtype=torch.float64, device="cpu")
    keys = normal(2, 3, 7, 5, seed=20)
    cache.append(keys[:, :, :5], keys[:, :, :5])
    with pytest.raises(ValueError) as refusal:
        cache.append(keys[:, :, :new], keys[:, :, :new])
    assert cache.length == 5, "the refused positions were counted"
    # Exact: numbers are stored, not computed.
    torch.testing.assert_close(cache.append(keys[:, :, 5:], keys[:, :, 5:])[0], keys, rtol=0, atol=0)
    return refusal


def truncate_to(length):
    cache = KVCache(2, 3, 7, 5, dtype=torch.float64, device="cpu")
    cache.append(*normal(2, 2, 3, 5, 5, seed=21))
    with pytest.raises(ValueError) as refusal:
        cache.truncate(length)
    return refusal


def read_too_much(first, then):
    model, ids = random_model(), random_ids(2, 19, seed=22)
    caches = new_caches(model, 2, 19)  # longer than the block_size of 11
    if first:
        forward_cached(model, ids[:, :first], caches)
    with pytest.raises(ValueError) as refusal:
        forward_cached(model, ids[:, first : first + then], caches)
    assert [cache.length for cache in caches] == [first] * 3, "a cache was changed before the refusal"
    return refusal


@pytest.mark.parametrize(
    ("refused", "arguments", "named"),
    [
        (append_to_a_full_cache, (3,), ["8", "7"]),
        (append_to_a_full_cache, (7,), ["12", "7"]),
        (truncate_to, (6,), ["6"]),
        (truncate_to, (-1,), ["-1"]),
        (read_too_much, (0, 12), ["12", "11"]),
        (read_too_much, (11, 1), ["12", "11"]),
        (read_too_much, (9, 5), ["14", "11"]),
    ],
    ids=[
        "5 + 3 of 7 positions",
        "5 + 7 of 7 positions",
        "truncate(6) of 5",
        "truncate(-1)",
        "12 tokens of 11",
        "11 + 1 tokens of 11",
        "9 + 5 tokens of 11",
    ],
)
def test_more_than_fits_and_lengths_out_of_range_are_refused(refused, arguments, named):
    """ValueError names the lengths; nothing was stored before it, as half a step would be in the caches."""
    message = str(refused(*arguments).value)
    assert named_in(message, named) == named, f"the message does not name {' and '.join(named)}: {message}"
