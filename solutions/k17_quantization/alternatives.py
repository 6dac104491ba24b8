"""Other correct ways to write this kata; its tests must accept every one."""

import copy
from collections.abc import Collection

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8, UInt8
from torch import Tensor, nn

from katas.k00_shapes.shapes import Linear
from katas.k17_quantization.quantization import (
    QuantizedLinear,
    dequantize,
    pack_int4,
    quantize_rows,
    unpack_int4,
)


def quantize_rows__row_by_row(
    weight: Float[Tensor, "out in"], bits: int = 8, group: int | None = None
) -> tuple[Int8[Tensor, "out in"], Float[Tensor, "out groups"]]:
    """Groups split off one by one; codes clamped, and a small number instead of a scale of zero."""
    if bits not in range(2, 9):
        raise ValueError(f"{bits} bits")
    size, top = weight.size(1) if group is None else group, (1 << (bits - 1)) - 1
    if size <= 0 or weight.size(1) % size:
        raise ValueError(f"groups of {size} in rows of {weight.size(1)}")
    codes, scales = [], []
    with torch.no_grad():
        for part in weight.split(size, dim=1):
            scale = part.abs().max(dim=1, keepdim=True).values / top
            tiny = torch.finfo(weight.dtype).tiny
            codes.append(torch.clamp(torch.round(part / scale.clamp(min=tiny)), -top, top).char())
            scales.append(scale)
    return torch.cat(codes, dim=1), torch.cat(scales, dim=1)


def quantize_rows__inverse(
    weight: Float[Tensor, "out in"], bits: int = 8, group: int | None = None
) -> tuple[Int8[Tensor, "out in"], Float[Tensor, "out groups"]]:
    """Multiplied by the inverse of the scale, with a scale of one for zeros, and halves rounded up."""
    if bits < 2 or bits > 8:
        raise ValueError(f"bits = {bits}")
    group = weight.shape[1] if group is None else group
    if group <= 0 or weight.shape[1] % group:
        raise ValueError(f"group = {group} does not divide in = {weight.shape[1]}")
    grouped = weight.detach().unflatten(1, (-1, group))
    top = 2.0 ** (bits - 1) - 1
    largest = torch.linalg.vector_norm(grouped, ord=torch.inf, dim=2)
    inverse = top / largest
    inverse[largest == 0] = 1.0
    codes = torch.floor(grouped * inverse[..., None] + 0.5).flatten(1)
    return codes.to(torch.int8), largest.masked_fill(largest == 0, top) / top


def quantize_rows__repeated(
    weight: Float[Tensor, "out in"], bits: int = 8, group: int | None = None
) -> tuple[Int8[Tensor, "out in"], Float[Tensor, "out groups"]]:
    """A scale for each entry first, and away from zero at halves."""
    if not 1 < bits < 9:
        raise ValueError(f"cannot make codes of {bits} bits")
    width = weight.shape[1]
    size = width if group is None else group
    if size < 1 or width % size != 0:
        raise ValueError(f"{width} is not a multiple of {size}")
    weight = weight.data
    scales = torch.stack([each.abs().amax(1) for each in weight.chunk(width // size, dim=1)], dim=1)
    scales = scales / (2 ** (bits - 1) - 1)
    spread = scales.repeat_interleave(size, dim=1)
    steps = torch.nan_to_num(weight.abs() / spread) + 0.5
    return (steps.floor() * weight.sign()).to(torch.int8), scales


def dequantize__repeat_interleave(
    codes: Int8[Tensor, "out in"], scales: Float[Tensor, "out groups"]
) -> Float[Tensor, "out in"]:
    """A scale for every entry."""
    return codes * scales.repeat_interleave(codes.shape[1] // scales.shape[1], dim=1)


def dequantize__einsum(
    codes: Int8[Tensor, "out in"], scales: Float[Tensor, "out groups"]
) -> Float[Tensor, "out in"]:
    """Names for the axes."""
    grouped = codes.unflatten(1, (scales.shape[1], -1)).to(scales.dtype)
    return torch.einsum("ogj,og->ogj", grouped, scales).flatten(1)


def dequantize__column_by_column(
    codes: Int8[Tensor, "out in"], scales: Float[Tensor, "out groups"]
) -> Float[Tensor, "out in"]:
    """The scale of a column by integer division."""
    size = codes.size(1) // scales.size(1)
    columns = [codes[:, at].to(scales) * scales[:, at // size] for at in range(codes.size(1))]
    return torch.stack(columns, dim=1)


def pack_int4__shift(codes: Int8[Tensor, "out in"]) -> UInt8[Tensor, "out half"]:
    """Shift and or, on pairs."""
    out, columns = codes.shape
    if columns & 1:
        raise ValueError(f"cannot pair {columns} columns")
    low, high = codes.add(8).byte().view(out, -1, 2).unbind(-1)
    return high << 4 | low


def pack_int4__wide(codes: Int8[Tensor, "out in"]) -> UInt8[Tensor, "out half"]:
    """A product with (1, 16) in 64 bits."""
    if codes.shape[1] % 2:
        raise ValueError(f"in is odd: {codes.shape[1]}")
    pairs = (codes.long() + 8).reshape(codes.shape[0], -1, 2)
    return (pairs * pairs.new_tensor([1, 16])).sum(-1).to(torch.uint8)


def unpack_int4__masks(packed: UInt8[Tensor, "out half"]) -> Int8[Tensor, "out in"]:
    """Masks and shifts, written into every other column."""
    codes = packed.new_empty((packed.shape[0], 2 * packed.shape[1]), dtype=torch.int8)
    codes[:, ::2] = (packed & 0x0F).to(torch.int8) - 8
    codes[:, 1::2] = (packed >> 4).to(torch.int8) - 8
    return codes


def unpack_int4__wrapped(packed: UInt8[Tensor, "out half"]) -> Int8[Tensor, "out in"]:
    """Eight subtracted in uint8, which wraps around, and converts to the right negative number."""
    halves = torch.stack((packed.bitwise_and(15), packed.bitwise_right_shift(4)), dim=2)
    return (halves - 8).view(torch.int8).reshape(packed.shape[0], -1)


class QuantizedLinear__product_of_codes(QuantizedLinear):  # a subclass, because annotations mean the original
    """The product with codes first, group by group, and scales afterwards."""

    def __init__(
        self,
        codes: Int8[Tensor, "out in"] | UInt8[Tensor, "out half"],
        scales: Float[Tensor, "out groups"],
        bias: Float[Tensor, " out"] | None = None,
    ):
        nn.Module.__init__(self)
        self.register_buffer("codes", codes.clone())
        self.register_buffer("scales", scales.clone())
        self.register_parameter("bias", None if bias is None else nn.Parameter(bias.clone()))

    @classmethod
    def from_linear(
        cls, linear: nn.Linear | Linear, bits: int, group: int | None = None
    ) -> "QuantizedLinear":
        codes, scales = quantize_rows(linear.weight, bits, group)
        if bits <= 4:
            codes = pack_int4(codes)
        return cls(codes, scales, linear.bias)

    def whole_codes(self):
        return unpack_int4(self.codes) if self.codes.dtype is torch.uint8 else self.codes

    @property
    def weight(self) -> Float[Tensor, "out in"]:
        return dequantize(self.whole_codes(), self.scales)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        grouped = self.whole_codes().unflatten(1, (self.scales.shape[1], -1)).to(x.dtype)
        parts = torch.einsum("...gj,ogj->...og", x.unflatten(-1, grouped.shape[1:]), grouped)
        out = (parts * self.scales).sum(-1)
        return out if self.bias is None else out + self.bias


class QuantizedLinear__compared_widths(QuantizedLinear):
    """A matrix product; whether codes are packed is asked through the dtype's sign."""

    def __init__(
        self,
        codes: Int8[Tensor, "out in"] | UInt8[Tensor, "out half"],
        scales: Float[Tensor, "out groups"],
        bias: Float[Tensor, " out"] | None = None,
    ):
        nn.Module.__init__(self)
        for name, buffer in {"codes": codes, "scales": scales}.items():
            self.register_buffer(name, buffer.detach())
        self.bias = nn.Parameter(bias.detach()) if bias is not None else None

    @classmethod
    def from_linear(
        cls, linear: nn.Linear | Linear, bits: int, group: int | None = None
    ) -> "QuantizedLinear":
        codes, scales = quantize_rows(linear.weight.detach(), bits=bits, group=group)
        return cls(codes if bits > 4 else pack_int4(codes), scales, copy.deepcopy(linear.bias))

    @property
    def weight(self) -> Float[Tensor, "out in"]:
        packed = not self.codes.dtype.is_signed
        return dequantize(unpack_int4(self.codes) if packed else self.codes, self.scales)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        out = x @ self.weight.transpose(0, 1)
        if self.bias is not None:
            out = out + self.bias
        return out


def quantize_model__recursion(
    model: nn.Module, bits: int, group: int | None = None, skip: Collection[str] = ("lm_head",)
) -> nn.Module:
    """A copy, then down the tree of modules."""
    model = copy.deepcopy(model)
    seen, shared = set(), set()
    for _, parameter in model.named_parameters(remove_duplicate=False):
        (shared if id(parameter) in seen else seen).add(id(parameter))

    def replace(module: nn.Module, before: str) -> None:
        for name, child in module.named_children():
            if before + name in skip:
                continue
            if not isinstance(child, (nn.Linear, Linear)):
                replace(child, f"{before}{name}.")
            elif id(child.weight) not in shared:
                setattr(module, name, QuantizedLinear.from_linear(child, bits, group))

    replace(model, "")
    return model


def quantize_model__by_parent(
    model: nn.Module, bits: int, group: int | None = None, skip: Collection[str] = ("lm_head",)
) -> nn.Module:
    """A copy, then each linear map by the name of the module around it."""
    copied = copy.deepcopy(model)
    weights = [part.weight for part in copied.modules() if isinstance(getattr(part, "weight", None), Tensor)]
    for name, part in list(copied.named_modules()):
        parts = name.split(".")
        around = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
        if not isinstance(part, (Linear, nn.Linear)) or around & set(skip):
            continue
        if sum(each is part.weight for each in weights) > 1:
            continue
        parent, _, last = name.rpartition(".")
        setattr(copied.get_submodule(parent), last, QuantizedLinear.from_linear(part, bits, group))
    return copied


class QuantizedLinear__functional(QuantizedLinear):
    """Everything at once in `forward`, and keyword arguments of F.linear."""

    def __init__(
        self,
        codes: Int8[Tensor, "out in"] | UInt8[Tensor, "out half"],
        scales: Float[Tensor, "out groups"],
        bias: Float[Tensor, " out"] | None = None,
    ):
        nn.Module.__init__(self)
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales)
        if bias is None:
            self.bias = None
        else:
            self.bias = nn.Parameter(torch.empty_like(bias))
            with torch.no_grad():
                self.bias.copy_(bias)

    @classmethod
    def from_linear(
        cls, linear: nn.Linear | Linear, bits: int, group: int | None = None
    ) -> "QuantizedLinear":
        codes, scales = quantize_rows(linear.weight, bits, group)
        return cls(pack_int4(codes) if bits in (2, 3, 4) else codes, scales, linear.bias)

    @property
    def weight(self) -> Float[Tensor, "out in"]:
        codes = self.codes
        if codes.dtype == torch.uint8:
            codes = unpack_int4(codes)
        return dequantize(codes, self.scales)

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        return F.linear(input=x, weight=self.weight, bias=self.bias)
