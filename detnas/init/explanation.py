"""What `detnas init` found and chose, and why: the README.md of an experiment's folder."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from detnas.console import duration
from detnas.data.statistics import class_lines
from detnas.init.chosen import CROPS, NONE, Chosen
from detnas.init.data import PreparedData
from detnas.init.schedule import SEEN, wanted_side
from detnas.init.space import SpaceChoice

if TYPE_CHECKING:
    from detnas.init.create import Request

README = "README.md"


def explanation(request: "Request", chosen: Chosen, data: PreparedData, space: SpaceChoice) -> str:
    """The text, in Markdown."""
    parts = [
        f"# {request.folder.name}\n",
        "What `detnas init` found in your data and chose. Every choice is a line of a config file "
        "here: change what you like, then run `detnas check` again.\n",
        "## Found\n",
        *_found(request, data),
        "\n## Chosen\n",
        *_chosen(request, chosen, data, space),
        "\n## About how long\n",
        *_times(chosen),
        "\n## Next\n",
        f"    detnas check {request.folder}    # all problems at once; costs, and times again",
        f"    detnas run {request.folder}      # goes on where it was stopped",
    ]
    return "\n".join(parts) + "\n"


def _found(request: "Request", data: PreparedData) -> Iterator[str]:
    statistics = data.statistics
    width, height = statistics.sides
    yield (
        f"- {request.train}: {data.train.format.upper()}, {statistics.images:,} images, the median "
        f"one {width}x{height}, {statistics.empty:,} without a box"
    )
    for line in class_lines(statistics):
        yield f"    - {line}"
    sizes = data.images
    carved = "search and val" if "val" in data.split.images else "search"
    yield (
        f"- train {sizes['train']:,}, search {sizes['search']:,}, val {sizes['val']:,} images; "
        f"{carved} carved out by class, images that look nearly the same on one side"
    )
    for note in (*data.notes, *data.split.warnings):
        yield f"- note: {note}"


def _chosen(
    request: "Request", chosen: Chosen, data: PreparedData, space: SpaceChoice
) -> Iterator[str]:
    yield f"- detector `{request.detector}` (model.py)"
    for note in chosen.detector.notes:
        yield f"    - {note}"
    if chosen.narrow:
        yield "    - with a narrower neck and head than mmdet's, as there is no GPU (detector.py)"
    yield f"- space `{space.parsed.name}`, budget {_budget(chosen)}: {space.why} (space.py)"
    yield f"- images scaled to fit {chosen.size[0]}x{chosen.size[1]}: {_why_size(chosen, data)}"
    yield f"- batches of {chosen.batch} images, for this machine (data.py)"
    yield f"- pretraining: {_pretraining(chosen)}"
    schedule = chosen.schedule
    share = (
        "the full schedule" if schedule.share == 1 else f"{schedule.share:.0%} of a full schedule"
    )
    yield f"- {share} fits into {duration(request.seconds)}:"
    if schedule.pretrain:
        yield f"    - pretrain: {schedule.pretrain:,} iterations"
    yield f"    - finetune: {schedule.finetune:,} iterations"
    yield f"    - search: {schedule.generations} generations of {schedule.population} candidates"
    others = ", ".join(["every block 3x3", "a random one", *chosen.stock])
    yield f"    - retrain: {schedule.retrain:,} iterations; as many for each of: {others}"


def _budget(chosen: Chosen) -> str:
    return ", ".join(str(budget) for budget in chosen.budgets)


def _why_size(chosen: Chosen, data: PreparedData) -> str:
    statistics = data.statistics
    scale = chosen.schedule.side / statistics.longest
    smallest = min(statistics.medians)
    name = statistics.classes[statistics.medians.index(smallest)]
    seen = f"the median {name}, the smallest class, then has {smallest * scale:.0f} pixels"
    wanted = wanted_side(statistics.medians, statistics.longest)
    if chosen.schedule.side < wanted:
        return f"{seen}; {SEEN} would need images of {wanted}, for which the time is too short"
    return seen


def _pretraining(chosen: Chosen) -> str:
    if chosen.pretrained == CROPS:
        return f"your objects, cut out, and background: {chosen.pretrain_classes} classes (crops/)"
    if chosen.pretrained == NONE:
        return "none; paths learn little in a short fine-tuning, so trust the scores less"
    return chosen.pretrained


def _times(chosen: Chosen) -> Iterator[str]:
    for stage, seconds in chosen.schedule.seconds.items():
        yield f"- {stage}: {duration(seconds)}"
    yield f"- all: {duration(chosen.schedule.total)}, if nothing else runs on this machine"
