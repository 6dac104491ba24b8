"""Quantization: the weights of a trained model as small whole numbers, in a quarter of the space or less.

A weight is kept as a code, an integer of 8 or 4 bits, and a scale that it shares with its neighbours;
it is read as code · scale. Codes and scales are computed once, from the trained weights, without any
data and without training.

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import copy
from collections import Counter
from collections.abc import Collection

import torch
from jaxtyping import Float, Int8, UInt8
from torch import Tensor, nn
from torch.nn.functional import linear as linear_map

from katas.k00_shapes.shapes import Linear


def quantize_rows(
    weight: Float[Tensor, "out in"], bits: int = 8, group: int | None = None
) -> tuple[Int8[Tensor, "out in"], Float[Tensor, "out groups"]]:
    """Return codes and scales for a weight: each entry is about its code times the scale of its group.

    scale = (largest absolute value of the group) / (2^(bits - 1) - 1)
    code  = weight / scale, rounded to the nearest integer

    A group is a run of `group` neighbours in a row: entries 0 … group - 1 of each row are its first
    group, and so on, each with a scale of its own. By default a whole row is one group. So codes are
    from -(2^(bits - 1) - 1) to 2^(bits - 1) - 1, in as many steps on either side, and 0 means 0. In
    a group of zeros all codes are 0 and the scale is some finite number. The scales have the dtype
    of the weight. Neither result requires a gradient, even if the weight does.

    Raises ValueError naming bits if that is outside 2 … 8, and naming group and in if group is less
    than 1 or does not divide in.
    Source: Krishnamoorthi, Quantizing deep convolutional networks for efficient inference (2018),
    section 2.2, for the formulas; Frantar et al., GPTQ: Accurate Post-Training Quantization for
    Generative Pre-trained Transformers (2023), for groups of neighbours.
    """
    raise NotImplementedError


def dequantize(codes: Int8[Tensor, "out in"], scales: Float[Tensor, "out groups"]) -> Float[Tensor, "out in"]:
    """Return the weight that codes and scales stand for: each code times the scale of its group.

    The entries of a row are divided among its scales in runs of equal length, in / groups, as
    `quantize_rows` makes them. The result has the dtype of the scales.
    """
    raise NotImplementedError


def pack_int4(codes: Int8[Tensor, "out in"]) -> UInt8[Tensor, "out half"]:
    """Return the codes of a weight in half as many bytes, two neighbours in each.

    packed[o, j] = (codes[o, 2j] + 8) + 16 · (codes[o, 2j + 1] + 8), for j = 0 … in / 2 - 1

    The codes must be from -8 to 7: after adding 8, each fits into four bits. The first one takes
    the lower half of the byte, the second one the upper half.

    Raises ValueError naming in if that is odd.
    """
    raise NotImplementedError


def unpack_int4(packed: UInt8[Tensor, "out half"]) -> Int8[Tensor, "out in"]:
    """Return the codes that pack_int4 has packed, from -8 to 7, in their order."""
    raise NotImplementedError


class QuantizedLinear(nn.Module):
    """A linear map that keeps codes and scales in place of its weight, and is not trained.

    out = x weightᵀ + bias, where weight = dequantize(codes, scales)

    Source: Frantar et al., GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
    Transformers (2023), for weights in few bits that are dequantized when they are used.
    """

    def __init__(
        self,
        codes: Int8[Tensor, "out in"] | UInt8[Tensor, "out half"],
        scales: Float[Tensor, "out groups"],
        bias: Float[Tensor, " out"] | None = None,
    ):
        """Create the buffers `codes` and `scales`, and `bias`, a parameter or None.

        Nothing else is in the state dict. Codes of type uint8 are packed as pack_int4 does it, those
        of type int8 are not.
        """
        raise NotImplementedError

    @classmethod
    def from_linear(
        cls, linear: nn.Linear | Linear, bits: int, group: int | None = None
    ) -> "QuantizedLinear":
        """Return a linear map with the codes and scales of quantize_rows, and a copy of the bias.

        Codes of 4 bits or fewer are packed two to a byte, others take a byte each. `linear` has a
        parameter `weight`, of shape (out, in), and a parameter `bias`, or None.

        Raises ValueError as quantize_rows does, and as pack_int4 does where codes are packed.
        """
        raise NotImplementedError

    @property
    def weight(self) -> Float[Tensor, "out in"]:
        """The dequantized weight, computed from codes and scales each time and not kept."""
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Return x weightᵀ + bias, or without the bias if that is None, by the dequantized weight."""
        raise NotImplementedError


def quantize_model(
    model: nn.Module, bits: int, group: int | None = None, skip: Collection[str] = ("lm_head",)
) -> nn.Module:
    """Return a copy of the model in which linear maps are a QuantizedLinear each, made by from_linear.

    Linear maps are the modules inside the model of type nn.Linear or, as in these katas, `Linear` of
    kata 00, however deep. These stay as they are:

    - one that `skip` names, or that is inside a module that it names; the names are those of
      model.named_modules(), such as "lm_head" or "blocks.0.attention";
    - one whose weight also belongs to another module, as that of a tied head does: its codes would
      come on top of the table instead of replacing it. In the copy the two are tied as well.

    Everything else is copied, a QuantizedLinear too: quantizing twice changes nothing. The model is not
    modified, and shares no memory with the copy.

    Raises ValueError as QuantizedLinear.from_linear does.
    """
    raise NotImplementedError
