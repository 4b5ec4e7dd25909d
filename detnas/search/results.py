"""What a search leaves beside its history: the best architecture, the Pareto front, as JSON."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from detnas.errors import UserError, user_input
from detnas.files import file_sha256, write_text
from detnas.search.finalists import FINALISTS_FILE, read_finalists
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.search.trained import TRAINED_FILE, read_trained
from detnas.version import __version__
from search_space.architecture import Choices, parse_architecture
from search_space.compound_scaling import BackboneScaling
from search_space.spaces import SearchSpace

CONFIG_FILE = "config.py"
"""The resolved config, written beside the history."""

BEST_FILE = "best_architecture.json"
FRONT_FILE = "pareto_front.json"
FRONT_FORMAT = "detnas-front"
FRONT_VERSION = 1


def architecture_document(history: SearchHistory, row: Evaluation) -> dict[str, Any]:
    """The architecture JSON of a row that has a score: with score, provenance, measured costs."""
    return history.architecture(row).to_dict(**_stated(history, row))


def best_candidate(history: SearchHistory) -> Evaluation:
    """The candidate that a search has chosen.

    It is the best trained one if candidates were trained on their own, else the best finalist if
    finalists were scored, otherwise the best candidate of the search.

    Raises:
        UserError: no candidate has a score yet, or `trained.json` or `finalists.json` is damaged.
    """
    return _chosen(history)[0]


def write_best(
    history: SearchHistory, path: Path | str, scaling: BackboneScaling | None = None
) -> None:
    """Write `best_candidate` as architecture JSON, whole or not at all.

    With a `scaling` it is wider and deeper, and states no score: nobody has measured it.

    Its score is the one that it was chosen by. If it was chosen among K trained networks,
    "retrained" is K in its provenance, and if among finalists, "finalists" is true.

    Raises:
        UserError: as `best_candidate`.
    """
    row, score, provenance = _chosen(history)
    stated = _stated(history, row)
    stated["score"]["value"] = score
    stated["provenance"].update(provenance)
    if scaling is not None:
        stated = {"provenance": stated["provenance"]}
    replace(history.architecture(row), scaling=scaling).save(path, **stated)


def _chosen(history: SearchHistory) -> tuple[Evaluation, float | None, dict[str, Any]]:
    """The chosen candidate, the score that it was chosen by, and how it was."""
    trained = read_trained(history)
    if trained is not None:
        row = _row_of(history, trained.best.choices, TRAINED_FILE)
        return row, trained.best.score, {"retrained": trained.count}
    finalists = read_finalists(history.path.parent)
    if finalists is not None:
        row = _row_of(history, finalists.best.choices, FINALISTS_FILE)
        return row, finalists.best.mean, {"finalists": True}
    best = history.require_best()
    return best, best.score, {}


def _row_of(history: SearchHistory, choices: Choices, file: str) -> Evaluation:
    for row in history.candidates:
        if row.choices == choices:
            return row
    raise UserError(f"{history.path.parent / file} is of another search: remove it")


def named_choices(text: str, space: SearchSpace, option: str) -> Choices:
    """The choices of an architecture that the user named, as `parse_architecture` reads it.

    Raises:
        UserError: it is none, or not of the search's space; the message names the option.
    """
    with user_input(option):
        parsed = parse_architecture(text)
        choices = parsed.unscaled_choices(text)
    if parsed.space != space:
        raise UserError(
            f"{option} is of space '{parsed.space.name}', but the search is of '{space.name}': "
            "name one of that space"
        )
    return choices


def write_front(history: SearchHistory, path: Path | str, objectives: Sequence[str]) -> None:
    """Write the Pareto front of a search as JSON: its architectures and their values.

    Each of "architectures" is the architecture JSON of one candidate. "values" holds the score and
    the objectives of each in the same order.

    Raises:
        UserError: no candidate has a score yet, or the history has no such cost.
    """
    history.require_best()
    front = history.front(objectives)
    document = {
        "format": FRONT_FORMAT,
        "version": FRONT_VERSION,
        "metric": history.score_name,
        "objectives": list(objectives),
        "values": [
            {"score": row.score, **{name: row.costs[name] for name in objectives}} for row in front
        ],
        "architectures": [architecture_document(history, row) for row in front],
    }
    write_text(path, json.dumps(document, indent=2) + "\n")


def _stated(history: SearchHistory, row: Evaluation) -> dict[str, Any]:
    """What the JSON says of a candidate besides its choices."""
    config = history.path.parent / CONFIG_FILE
    return {
        "score": {"metric": history.score_name, "value": row.score, "split": "search"},
        "provenance": {
            "seed": history.recorded("seed"),
            "supernet_sha256": history.recorded("supernet_sha256"),
            "config_sha256": file_sha256(config) if config.is_file() else None,
            "detnas_version": __version__,
        },
        "extra_costs": {
            name: {"value": row.costs[name], **conditions}
            for name, conditions in history.fingerprint.get("measured_costs", {}).items()
            if "@" not in name  # an architecture states one latency
        },
    }
