"""The configuration of a run: found, and checked at the edges that the katas do not know."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.course.katas import Course
from harness.training import words
from harness.training.request import CannotTrain, TrainingRequest
from harness.training.run_folder import RunFolder

CAPSTONE = "k09_capstone"
DEFAULT = "laptop"
LARGEST_SEED = 2**64 - 1  # what torch takes
_LARGEST_FILE = 1_000_000  # bytes
_MOST_VALUES = 10_000  # with every alias of YAML written out
_DEEPEST = 20  # a configuration has two levels
_FLOAT = 4  # bytes
_INTEGER = 8
_IN_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def read_configuration(course: Course, capstone: ModuleType, request: TrainingRequest) -> Any:
    """Return the capstone's RunConfig that is asked for. Raises CannotTrain, or an error of the katas."""
    path = _path(course, request)
    _check_extent(str(path), _read(path), is_json=path.suffix.lower() == ".json")
    for change in request.changes:
        _check_extent(change, change.partition("=")[2].strip(), is_json=False)
    config = capstone.RunConfig.from_file(path).override(request.changes)
    _check_values(config)
    return config


def _path(course: Course, request: TrainingRequest) -> Path:
    resumed = RunFolder(request.run_dir).config if request.resume and request.run_dir else None
    if request.config is None and resumed and resumed.is_file():
        return resumed
    return _named(course, request.config or DEFAULT)


def _named(course: Course, name: str) -> Path:
    """Return the file, or the capstone's configuration of that name. Raises CannotTrain."""
    folder = course.root / "katas" / CAPSTONE / "configs"
    for path in (Path(name), folder / f"{name}.yaml"):
        if os.path.isfile(path):
            return path
    raise CannotTrain(words.no_configuration(name, sorted(path.stem for path in folder.glob("*.yaml"))))


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise CannotTrain(words.configuration_too_large(path, _LARGEST_FILE))
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CannotTrain(words.configuration_not_read(path, error.strerror or str(error))) from None


def _check_extent(name: str, text: str, *, is_json: bool) -> None:
    """Check that the katas can read and quote a text. Raises CannotTrain."""
    for depth, values in _json_extents(text) if is_json else _yaml_extents(text):
        if depth > _DEEPEST:
            raise CannotTrain(words.nested_too_deeply(name, _DEEPEST))
        if values > _MOST_VALUES:
            raise CannotTrain(words.too_many_values(name, _MOST_VALUES))


def _json_extents(text: str) -> Iterator[tuple[int, int]]:
    depth = 0
    for match in _IN_JSON.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        yield depth, 0  # JSON has no aliases, so its size is the file's


def _yaml_extents(text: str) -> Iterator[tuple[int, int]]:
    """Yield the depth and the number of values so far, up to the first error, which the katas report."""
    import yaml

    sizes: dict[str, int] = {}  # by anchor
    opened: list[tuple[str | None, int]] = []  # collections: the anchor, and the values before it
    values = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append((event.anchor, values))
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, before = opened.pop()
                sizes |= {anchor: values - before} if anchor else {}
            elif isinstance(event, yaml.NodeEvent):
                values += sizes.get(event.anchor, 1) if isinstance(event, yaml.AliasEvent) else 1
            yield len(opened), values
    except yaml.YAMLError:
        return


def _check_values(config: Any) -> None:
    """Check what the katas accept but torch or this machine cannot do. Raises CannotTrain."""
    if config.training.seed > LARGEST_SEED:
        raise CannotTrain(words.seed_too_large(config.training.seed, LARGEST_SEED))
    needed, present = _least_memory(config), _memory()
    if present and needed > present:
        raise CannotTrain(words.too_little_memory(config, needed, present))


def _least_memory(config: Any) -> int:
    """Return the bytes that the parameters and one batch need, as a lower limit for training."""
    model, training = config.model, config.training
    block = model.d_model * (4 * model.d_model + 2 * (model.d_ff or 0))
    parameters = model.block_size * model.d_model + model.num_layers * block
    tokens = 2 * training.batch_size * model.block_size  # inputs and targets
    return int(_FLOAT * parameters + _INTEGER * tokens)


def _memory() -> int:
    """Return the bytes of this machine's memory; 0 if the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0
