"""The pictures of kata 03, drawn from its solution by `python -m harness.authoring.pictures`."""

import torch

from harness.plots.boxes import Diagram
from harness.plots.cells import paint
from harness.plots.theme import PAGE, grid, legend, new_figure, panels, poles, title
from katas.k01_attention.attention import causal_mask
from katas.k03_transformer_blocks.transformer_blocks import TransformerBlock, gelu

SEQ, D_MODEL = 6, 8


def stream(theme):
    """A pre-norm block as two branches off a stream, above the numbers that it read and wrote."""
    page = Diagram(PAGE, 400, theme)
    line, branch = 150, 64
    page.stream((50, line), (750, line))
    page.text((50, line + 26), "x", size=11)
    page.text((750, line + 26), "out", size=11)
    for start, norm, layer, colour in [
        (84, "attention_norm", "attention", theme.series[0]),
        (424, "feedforward_norm", "feedforward", theme.series[1]),
    ]:
        page.arrow((start, line), (start, branch), (start + 22, branch))
        page.box((start + 90, branch), (136, 36), norm, theme.series[4])
        page.arrow((start + 158, branch), (start + 178, branch))
        page.box((start + 226, branch), (96, 36), layer, colour)
        page.arrow((start + 274, branch), (start + 292, branch), (start + 292, line - 11))
        page.plus((start + 292, line), colour)
        page.text((start + 146, line + 26), "passes by, untouched", quiet=True, size=8.5)
    for number, (name, table) in enumerate(_what_was_written().items()):
        left = 14 + 200 * number
        axes = page.inset((left, 240), (160, 120))
        paint(axes, table, poles(theme), (-2.5, 2.5))
        axes.set(xticks=[], yticks=[])
        page.text((left + 80, 222), name, size=9.5)
        if number:
            page.text((left - 20, 300), "=" if number == 3 else "+", size=15, quiet=True)
    page.text(
        (400, 382),
        "rows: 6 positions; columns: 8 features; blue is positive, orange negative",
        quiet=True,
        size=8.5,
    )
    return page.figure


def _what_was_written():
    torch.manual_seed(3)
    block = TransformerBlock(D_MODEL, num_heads=2, d_ff=16)
    x, mask = torch.randn(SEQ, D_MODEL), causal_mask(SEQ)
    with torch.no_grad():
        for parameter in block.parameters():
            if parameter.dim() == 2:  # matrices that keep the variance of what they multiply
                parameter.normal_(std=parameter.shape[1] ** -0.5)
        read = block.attention(block.attention_norm(x), mask)
        worked = block.feedforward(block.feedforward_norm(x + read))
        return {"x": x, "what attention adds": read, "what feedforward adds": worked, "out": block(x, mask)}


def bends(theme):
    """A GELU and a ReLU, and the difference between the two ways to compute a GELU."""
    figure = new_figure(PAGE, 300, theme)
    left, right = panels(figure, theme, 1, 2, width_ratios=[5, 4])
    x = torch.linspace(-4, 4, 161)
    left.plot(x, x.clamp(min=0), "--", color=theme.quiet, linewidth=1.6, label="ReLU")
    left.plot(x, gelu(x), color=theme.series[0], linewidth=2, label="GELU")
    left.set(xlabel="x", xlim=(-4, 4), ylim=(-0.6, 4.1))
    right.axhline(0, color=theme.quiet, linewidth=0.8)
    apart = gelu(x.double(), "tanh") - gelu(x.double())
    right.plot(x, 10_000 * apart, color=theme.series[1], linewidth=2)
    right.set(xlabel="x", xlim=(-4, 4), ylim=(-5.4, 5.4))
    title(left, "the bend", theme)
    title(right, "10,000 · (form with tanh − form with erf)", theme)
    for axes in (left, right):
        grid(axes, theme)
    legend(left, theme, loc="upper left")
    return figure


def depth(theme):
    """How large the numbers are on their way up through 16 blocks, and the gradients on their way down."""
    figure = new_figure(PAGE, 330, theme)
    left, right = panels(figure, theme, 1, 2)
    for kind in ["norms first", "norms last", "neither norms nor sums"]:
        scales, gradients = _up_and_down(kind)
        left.plot(scales, "o-", markersize=3)
        right.semilogy(gradients, "o-", markersize=3, label=kind)
    title(left, "going up: the standard deviation of the numbers", theme)
    title(right, "coming down: the norm of the gradient", theme)
    for axes in (left, right):
        grid(axes, theme)
        axes.set_xlabel("after block")
    legend(right, theme)
    return figure


def _up_and_down(kind, num_blocks=16, d_model=32):
    torch.manual_seed(0)
    x = torch.randn(2, 8, d_model, requires_grad=True)
    streams = [x]
    for _ in range(num_blocks):
        block = TransformerBlock(d_model, num_heads=4, d_ff=64, norm_first=kind == "norms first")
        for parameter in block.parameters():
            if parameter.dim() == 2:
                torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
        bare = kind == "neither norms nor sums"
        streams.append(block.feedforward(block.attention(streams[-1])) if bare else block(streams[-1]))
    gradients = torch.autograd.grad(streams[-1], streams, torch.randn_like(x))
    return [stream.std().item() for stream in streams], [gradient.norm().item() for gradient in gradients]


PICTURES = {"stream": stream, "bends": bends, "depth": depth}
