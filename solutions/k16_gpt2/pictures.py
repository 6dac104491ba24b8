"""The pictures of kata 16, drawn from its solution by `python -m harness.authoring.pictures`."""

import json
import tempfile
from pathlib import Path

import torch

from harness.plots.boxes import Diagram
from harness.plots.theme import PAGE
from katas.k05_model.model import ModelConfig
from katas.k16_gpt2.gpt2 import weights_from_gpt2, write_safetensors

SCALE, SHIFT = torch.tensor(2.0), torch.tensor([1.0, -1.0])  # the tensors of theory.md


def example():
    """The bytes of the file in theory.md, and its header."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "two.safetensors"
        write_safetensors(path, {"scale": SCALE, "shift": SHIFT})
        raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    return raw, length, json.loads(raw[8 : 8 + length])


def layout(theme):
    """A file as a bar of bytes, with one ruler for the file and one for the data."""
    raw, length, header = example()
    page = Diagram(PAGE, 250, theme)
    one, two, three, four, _ = theme.series
    left, right, header_width, scale = 22, 44, 300, 24.0  # pixels; the header is not drawn to scale
    starts = {0: left, 8: left + 8 * 13, 8 + length: left + 8 * 13 + header_width}
    x = starts[8 + length]
    bars = [(0, 8, left, 8 * 13, "length", f"{length}, little-endian", four)]
    bars.append((8, 8 + length, starts[8], header_width, "header", f"{length} bytes of JSON", one))
    for (name, entry), colour in zip(header.items(), (two, three), strict=True):
        begin, end = entry["data_offsets"]
        width = (end - begin) * scale
        bars.append((8 + length + begin, 8 + length + end, x, width, name, f"{end - begin} bytes", colour))
        starts[8 + length + end] = x = x + width
    for _begin, _end, at, width, name, note, colour in bars:
        page.box((at + width / 2, 96), (width - 3, 54), name, colour, note=note)
    page.text((left, 26), "bytes of the file", align="left", quiet=True)
    for byte, at in starts.items():
        page.arrow((at, 50), (at, 66), head=False)
        page.text((at, 42), str(byte), size=9)
    data, end = starts[8 + length], x
    page.arrow((data, 148), (end, 148), head=False)
    for byte in range(0, len(raw) - 8 - length + 1, 4):
        at = data + byte * scale
        page.arrow((at, 142), (at, 154), head=False)
        page.text((at, 166), str(byte), size=9)
    page.text((data, 190), "data_offsets count from here", align="left", quiet=True)
    numbers = [*SCALE.reshape(1).tolist(), *SHIFT.tolist()]
    for place, number in enumerate(numbers):
        page.text((data + (4 * place + 2) * scale, 222), f"{number:g}", colour=(two, three, three)[place])
        piece = raw[8 + length + 4 * place :][:4].hex(" ")
        page.text((data + (4 * place + 2) * scale, 238), piece, size=8, quiet=True)
    page.text((data - right / 2, 222), "numbers", quiet=True, align="right")
    page.text((data - right / 2, 238), "bytes, in hexadecimal", quiet=True, align="right", size=8)
    return page.figure


def becomes():
    """For each name of GPT-2 the names that its numbers go to: each tensor carries a number of its own."""
    config = ModelConfig(vocab_size=2, block_size=3, d_model=4, num_heads=1, num_layers=1)
    shapes = {"wte": (2, 4), "wpe": (3, 4), "h.0.ln_1": (4,), "h.0.attn.c_attn": (4, 12)}
    shapes |= {"h.0.attn.c_proj": (4, 4), "h.0.ln_2": (4,), "h.0.mlp.c_fc": (4, 16)}
    shapes |= {"h.0.mlp.c_proj": (16, 4), "ln_f": (4,)}
    state = {f"{name}.weight": torch.full(shape, float(i)) for i, (name, shape) in enumerate(shapes.items())}
    biases = {f"{name}.bias": torch.zeros(shape[-1:]) for name, shape in shapes.items() if name[:2] != "wt"}
    biases.pop("wpe.bias")
    found = {name: [] for name in shapes}
    for ours, tensor in weights_from_gpt2(state | biases, config).items():
        if ours.endswith(".weight"):
            found[list(shapes)[int(tensor.flatten()[0])]].append(ours.removesuffix(".weight"))
    return found


def names(theme):
    """GPT-2's names and ours, joined by lines; what is transposed and cut is marked."""
    pairs = becomes()
    order = ["token_embedding", "position_embedding"]
    order += [name for names in pairs.values() for name in names if name.startswith("blocks")]
    order += ["final_norm", "lm_head"]
    row, top, box = 34, 62, 24
    page = Diagram(PAGE, top + row * len(order) - 8, theme)
    colours = {"plain": theme.quiet, "turned": theme.series[0], "cut": theme.series[1]}
    left, right, width = 130, 650, 210
    places = {name: top + row * place for place, name in enumerate(order)}
    theirs_at = {name: sum(places[ours] for ours in found) / len(found) for name, found in pairs.items()}
    theirs_at["wte"] = places["token_embedding"]
    theirs_at["h.0.attn.bias"] = places["blocks.0.attention.key_proj"] + row
    page.text((left, 26), "GPT-2", size=10.5)
    page.text((right, 26), "TransformerLM", size=10.5)
    for name, found in pairs.items():
        kind = "cut" if len(found) > 1 and ".c_" in name else "turned" if ".c_" in name else "plain"
        page.box((left, theirs_at[name]), (width, box), name, None if kind == "plain" else colours[kind])
        for ours in found:
            path = ((left + width / 2, theirs_at[name]), (right - width / 2 - 12, places[ours]))
            page.arrow(*path, colour=colours[kind])
            page.box(
                (right, places[ours]), (width + 24, box), ours, None if kind == "plain" else colours[kind]
            )
    page.box((left, theirs_at["h.0.attn.bias"]), (width, box), "h.0.attn.bias", dashed=True)
    page.text(
        (left + width / 2 + 14, theirs_at["h.0.attn.bias"]),
        "a mask: dropped",
        quiet=True,
        align="left",
        size=8.5,
    )
    for x, kind, text in ((300, "turned", "transposed"), (410, "cut", "transposed and cut")):
        page.text((x, 26), text, colour=colours[kind], align="left")
    return page.figure


PICTURES = {"layout": layout, "names": names}
