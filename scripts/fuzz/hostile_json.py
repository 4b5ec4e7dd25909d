"""Reads hostile variants of the project's JSON files: each is read, or refused in one line.

    python scripts/fuzz/hostile_json.py [--cases 400] [--seed 0]

A variant replaces or removes some values of a valid file, or damages its text. Limits are 4 GiB of
memory and 20 s a file.
"""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
from flip_history import search
from fuzzing import Outcomes, limit_memory, limited, run_cases
from PIL import Image

from detnas.data.coco import coco_split
from detnas.data.split.make_split import split
from detnas.errors import user_input
from detnas.fidelity.table_file import read_table
from detnas.search.finalists import FINALISTS_FILE, Finalist, Finalists, read_finalists
from detnas.search.history.reading import SearchHistory
from detnas.search.trained import (
    TRAINED_FILE,
    TrainedCandidate,
    TrainedCandidates,
    read_trained,
)
from detnas.stages.state import STAGE_FILE, read_state
from search_space.architecture import parse_architecture
from search_space.latency import Device, LatencySettings, LatencyTable, load_latency_table

LIMIT_S = 20
TABLE = Path(__file__).resolve().parents[2] / "benchmarks/digits.csv"
NESTED = "[" * 100_000
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 1.5, 1e308, -0.0, 2**31, 2**63, 2**64, 10**400, -(10**400)),
    *(
        float("nan"),
        float("inf"),
        "",
        "0",
        "nan",
        "\x1b[2J",
        "a\nb",
        "\U0001f4a5",
        "../../etc/passwd",
    ),
    *("/dev/stdin", "x" * 5000, [], {}, [[]], [None], {"": 0}, [1, 2, 3, 4], [0, 0, -1, 1e400]),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document."""
    yield at
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*at, key))


def hostile(document: Any, generator: np.random.Generator) -> str:
    """The text of a variant."""
    document = copy.deepcopy(document)
    for _ in range(int(generator.integers(1, 4))):
        found = [place for place in places(document) if place]
        *path, key = found[int(generator.integers(len(found)))]
        inside = document
        for step in path:
            inside = inside[step]
        kind = generator.random()
        if kind < 0.2:
            del inside[key]
        elif kind < 0.3 and isinstance(inside, dict):
            inside["\x1b[2Jnew"] = inside.pop(key)
        elif kind < 0.4 and isinstance(inside, list):
            inside.append(copy.deepcopy(inside[key]))
        else:
            inside[key] = copy.deepcopy(HOSTILE[int(generator.integers(len(HOSTILE)))])
        if not [place for place in places(document) if place]:
            break
    text = json.dumps(document)
    kind = generator.random()
    if kind < 0.1:
        return text[: int(generator.integers(len(text)))]
    if kind < 0.15:
        return text.replace("1", NESTED, 1)
    if kind < 0.2:
        return text.replace("1", "1" * 5000, 1)
    return text


def read_annotations(path: Path) -> None:
    """As before a training, and as `detnas split` does."""
    coco_split("train", path, path.parent, within=(path.parent,))
    with TemporaryDirectory() as output:
        split([path], 1, 0, Path(output))


def documents(folder: Path) -> dict[str, tuple[Any, Callable[[Path], object]]]:
    """By file name: a valid document, and what reads it."""
    image = {"id": 1, "file_name": "a.png", "width": 9, "height": 9}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 0}
    for name in ("a", "b"):
        Image.new("RGB", (9, 9), {"a": "red", "b": "blue"}[name]).save(folder / f"{name}.png")
    architecture = parse_architecture("tiny:0,1,2,3,0,1,2,3,0,1")
    architecture.save(folder / "architecture.json")
    table = LatencyTable(
        space=architecture.space,
        base=0.5,
        table=((1.0, 2.0, 3.0, 4.0),) * 10,
        settings=LatencySettings(),
        device=Device("cpu", "a processor"),
        torch="2",
        date="2026-11-30",
    )
    finalist = Finalist((0,) * 10, 0.3, (0.3, 0.4), 0.35, (0.3, 0.4), 0.0, (0.0, 0.0), True)
    return {
        "architecture.json": (
            json.loads((folder / "architecture.json").read_text()),
            parse_architecture,
        ),
        "latency.json": (table.to_dict(), load_latency_table),
        "annotations.json": (
            {
                "images": [image, {**image, "id": 2, "file_name": "b.png"}],
                "annotations": [box, {**box, "id": 2, "image_id": 2}],
                "categories": [{"id": 1, "name": "cat"}],
            },
            read_annotations,
        ),
        STAGE_FILE: (
            {"config_sha256": "0", "inputs_sha256": {}, "seconds": 3.0, "config": {"seed": 3}},
            lambda path: read_state(path.parent),
        ),
        FINALISTS_FILE: (
            msgspec.to_builtins(Finalists("score", True, (0, 1), 0, (finalist,))),
            lambda path: read_finalists(path.parent),
        ),
        TRAINED_FILE: (
            msgspec.to_builtins(
                TrainedCandidates("score", 24, (TrainedCandidate((0,) * 10, 0.3, 0.4),))
            ),
            lambda path: read_trained(SearchHistory.read(path.parent)),
        ),
        "table.csv": (
            json.loads(TABLE.read_text().partition("\n")[0].removeprefix("#")),
            read_table,
        ),
    }


def run(cases: int, seed: int, outcomes: Outcomes) -> None:
    """Write and read."""
    limit_memory()
    generator = np.random.default_rng(seed)
    rows = TABLE.read_text().partition("\n")[2]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        search(folder)
        listed = documents(folder)
        for case in range(cases):
            name = list(listed)[case % len(listed)]
            document, read = listed[name]
            text = hostile(document, generator)
            if name.endswith(".csv"):
                text = f"# {text}\n{rows}"
            (folder / name).write_text(text)
            with outcomes.case(f"{case} ({name}, {text[:600]!r})"), limited(LIMIT_S), user_input():
                read(folder / name)
                outcomes.add(f"{name} is read")


if __name__ == "__main__":
    run_cases(__doc__, run)
