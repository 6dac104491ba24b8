"""Kata 16's files of tensors: beside the library safetensors, and from people who mean harm."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.tests.support.references import reference


@pytest.fixture(scope="module")
def gpt2() -> ModuleType:
    return reference("16")


def tensors() -> dict[str, torch.Tensor]:
    """Every dtype of the kata, and shapes with sizes of 0 and without axes."""
    made = {
        str(dtype): torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
        for dtype in reference("16").DTYPES.values()
    }
    made |= {
        "empty": torch.zeros(3, 0, dtype=torch.float16),
        "scalar": torch.tensor(-2.5),
        "é \n": torch.ones(1),
    }
    return made


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    # Exact: numbers are stored, not computed.
    torch.testing.assert_close(dict(sorted(found.items())), dict(sorted(expected.items())), rtol=0, atol=0)


def test_the_library_reads_what_the_kata_writes(gpt2: ModuleType, tmp_path: Path) -> None:
    gpt2.write_safetensors(tmp_path / "ours", tensors())
    same(safetensors.torch.load_file(tmp_path / "ours"), tensors())
    with safetensors.safe_open(tmp_path / "ours", framework="pt") as file:  # mapped into memory
        same({name: file.get_tensor(name) for name in file.keys()}, tensors())  # noqa: SIM118  # it is no dict


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_the_kata_reads_what_the_library_writes(
    metadata: dict[str, str] | None, gpt2: ModuleType, tmp_path: Path
) -> None:
    safetensors.torch.save_file(tensors(), tmp_path / "theirs", metadata=metadata)
    same(gpt2.read_safetensors(tmp_path / "theirs"), tensors())


def entry(dtype: Any, shape: Any, *offsets: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}


GOOD = {"a": entry("F32", [2], 0, 8), "b": entry("U8", [3, 1], 8, 11)}
DEEP = b'{"a": ' + b"[" * 200_000


def with_header(header: Any, data: bytes = bytes(11), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(value: Any) -> bytes:
    """A file whose header has this value for "a", and a good one for "b"."""
    return with_header({**GOOD, "a": value})


HOSTILE = {
    "nothing": (b"", "header of 0 bytes does not fit into a file of 0"),
    "half a length": (bytes(4), "file of 4 bytes"),
    "only a length": (struct.pack("<Q", 5), "header of 5 bytes does not fit into a file of 8"),
    "an empty header": (bytes(8), "header is not JSON"),
    "zeros": (bytes(4096), "header is not JSON"),
    "a header one byte too long": (with_header(GOOD, b"", len(json.dumps(GOOD)) + 1), "does not fit"),
    "2 ** 63": (with_header(GOOD, length=2**63), "9223372036854775808"),
    "2 ** 64 - 1": (with_header(GOOD, length=2**64 - 1), "18446744073709551615"),
    "a pickle": (b"\x80\x04\x95" + bytes(100), "does not fit"),
    "not UTF-8": (with_header(b'{"\xff": 1}'), "header is not JSON"),
    "nested deeply": (with_header(DEEP), "nested too deeply"),
    "a list": (with_header([GOOD]), "must be an object"),
    "a number": (with_header(7), "must be an object"),
    "cut off": (with_header(json.dumps(GOOD).encode()[:40]), "header is not JSON"),
    "a name twice": (with_header(b'{"a": {}, "b": {}, "a": {}}'), "'a' twice"),
    "a key twice": (with_header(b'{"a": {"dtype": "F32", "dtype": "F64"}}'), "'dtype' twice"),
    "NaN": (with_header(b'{"a": NaN}'), "NaN"),
    "a huge integer": (with_header(b'{"a": ' + b"9" * 10_000 + b"}"), "header is not JSON"),
    "a very long name": (with_header({"x" * 5000: GOOD["a"]}), "5,000 characters"),
    "a value that is a list": (one([1]), "'a' must have dtype, shape and data_offsets"),
    "no offsets": (one({"dtype": "F32", "shape": [2]}), "'a' must have dtype, shape and data_offsets"),
    "one key more": (one({**GOOD["a"], "stride": [1]}), "'a' must have dtype, shape and data_offsets"),
    "an unknown dtype": (one(entry("F8_E4M3", [8], 0, 8)), "unknown dtype 'F8_E4M3'"),
    "a dtype in small letters": (one(entry("f32", [2], 0, 8)), "unknown dtype 'f32'"),
    "a dtype that is a list": (one(entry([], [2], 0, 8)), "dtype of 'a'"),
    "a shape that is a number": (one(entry("F32", 2, 0, 8)), "shape of 'a'"),
    "a size that is a fraction": (one(entry("F32", [2.0], 0, 8)), "shape of 'a'"),
    "a size that is true": (one(entry("F32", [2, True], 0, 8)), "shape of 'a'"),
    "a negative size": (one(entry("F32", [-2], 0, 8)), "shape of 'a'"),
    "two negative sizes": (one(entry("F32", [-2, -1], 0, 8)), "shape of 'a'"),
    "a size of 2 ** 70": (one(entry("F32", [2**70], 0, 8)), "shape of 'a'"),
    "a shape of 2 ** 80 numbers": (one(entry("F32", [2**40, 2**40], 0, 8)), "larger than any tensor"),
    "a shape of none and 2 ** 80": (one(entry("F32", [2**40, 0, 2**40], 0, 0)), "larger than any tensor"),
    "a shape of 1,000 axes": (one(entry("F32", [1] * 1000, 0, 4)), "larger than any tensor"),
    "a shape that is too large": (one(entry("F32", [2**40], 0, 8)), "takes 4398046511104 bytes"),
    "a shape that is too small": (one(entry("F32", [1], 0, 8)), "takes 4 bytes"),
    "an offset that is a text": (one(entry("F32", [2], 0, "8")), "data_offsets of 'a'"),
    "a negative offset": (one(entry("F32", [2], -8, 0)), "data_offsets of 'a'"),
    "three offsets": (one(entry("F32", [2], 0, 8, 8)), "data_offsets of 'a'"),
    "an end before its beginning": (one(entry("F32", [2], 8, 0)), "'a'"),
    "overlapping": (with_header({**GOOD, "b": entry("U8", [3], 5, 8)}, bytes(8)), "'b' begins at byte 5"),
    "the same bytes": (with_header({"a": GOOD["a"], "b": GOOD["a"]}, bytes(8)), "begins at byte 0"),
    "a hole": (with_header({**GOOD, "b": entry("U8", [3], 9, 12)}, bytes(12)), "'b' begins at byte 9"),
    "a hole at the start": (with_header({"a": entry("U8", [3], 1, 4)}, bytes(4)), "'a' begins at byte 1"),
    "a hole at the end": (with_header(GOOD, bytes(12)), "ends at byte 11 of the data, of which there are 12"),
    "data without a tensor": (with_header({}, bytes(1)), "ends at byte 0 of the data, of which there are 1"),
    "one byte missing": (with_header(GOOD, bytes(10)), "ends at byte 11 of the data, of which there are 10"),
    "no data": (with_header(GOOD, b""), "of which there are 0"),
    "a terabyte": (with_header({"a": entry("U8", [2**40], 0, 2**40)}, bytes(9)), "1099511627776"),
    "an empty tensor far away": (with_header({**GOOD, "c": entry("U8", [0], 2**60, 2**60)}), "'c' begins at"),
}  # fmt: skip  # a line for each lie


@pytest.mark.parametrize("lie", HOSTILE)
def test_a_hostile_file_is_refused_in_words(lie: str, gpt2: ModuleType, tmp_path: Path) -> None:
    raw, words = HOSTILE[lie]
    (tmp_path / "x.safetensors").write_bytes(raw)
    with pytest.raises(ValueError) as refusal:
        gpt2.read_safetensors(tmp_path / "x.safetensors")
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 400


def test_empty_tensors_and_no_tensors_are_no_lies(gpt2: ModuleType, tmp_path: Path) -> None:
    header = {**GOOD, "first": entry("F32", [0], 0, 0), "between": entry("F64", [2, 0], 8, 8)}
    (tmp_path / "x").write_bytes(with_header({**header, "last": entry("I8", [0, 3], 11, 11)}))
    assert sorted(gpt2.read_safetensors(tmp_path / "x")) == ["a", "b", "between", "first", "last"]
    (tmp_path / "x").write_bytes(with_header({"__metadata__": {"a": "b"}}, b""))
    assert gpt2.read_safetensors(tmp_path / "x") == {}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(data: st.DataObject, gpt2: ModuleType, tmp_path: Path) -> None:
    """Whatever bytes are changed, only ValueError is raised; tensors are never larger than the file."""
    raw = bytearray(with_header({**GOOD, "c": entry("BF16", [2, 2], 11, 19)}, bytes(range(19))))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] = data.draw(st.sampled_from(b'"\\0129[]{},: \xff') | st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)) | st.just(len(raw)))]
    path = tmp_path / "x.safetensors"
    path.write_bytes(raw)
    try:
        found = gpt2.read_safetensors(path)
    except ValueError:
        return
    assert sum(tensor.nbytes for tensor in found.values()) <= len(raw)
