"""The diagram of the imports shows every module once, and only arrows that no longer way makes needless."""

from __future__ import annotations

from pathlib import Path

from harness.diagram import END, START, diagram, drawn_into, without_shortcuts

LAYERS = 'layers = [["leaf"], ["middle"], ["end"]]\nnever_at_import = []\nonly = {}\n'


def package(folder: Path) -> Path:
    made = folder / "harness"
    made.mkdir()
    (made / "layers.toml").write_text(LAYERS)
    for module, text in {
        "__init__": "",
        "leaf": "",
        "middle": "from harness.leaf import x\n",
        "end": "import harness.leaf\n\ndef f():\n    from harness import middle\n",
    }.items():
        (made / f"{module}.py").write_text(text)
    return made


def test_an_arrow_that_a_longer_way_makes_needless_is_left_out() -> None:
    edges = {"a": {"b", "c", "d"}, "b": {"c"}, "c": set(), "d": set()}
    assert without_shortcuts(edges) == {"a": {"b", "d"}, "b": {"c"}, "c": set(), "d": set()}


def test_layers_are_drawn_from_the_top_with_what_each_module_imports(tmp_path: Path) -> None:
    assert diagram(package(tmp_path)) == (
        "flowchart TD\n"
        '  subgraph layer2["layer 3"]\n    end_py["end"]\n  end\n'
        '  subgraph layer1["layer 2"]\n    middle_py["middle"]\n  end\n'
        '  subgraph layer0["layer 1"]\n    leaf_py["leaf"]\n  end\n'
        "  end_py --> middle_py\n"
        "  middle_py --> leaf_py\n"
    )


def test_it_is_drawn_between_two_lines_of_the_page(tmp_path: Path) -> None:
    made = package(tmp_path)
    once = drawn_into(f"before\n{START}\nold\n{END}\nafter\n", made)
    assert once is not None
    assert once.startswith(f"before\n{START}\n\n```mermaid\nflowchart TD\n")
    assert once.endswith(f"```\n\n{END}\nafter\n")
    assert drawn_into(once, made) == once
    assert drawn_into("no place for it", made) is None
