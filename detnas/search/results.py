"""What a search leaves beside its history: the best architecture, the Pareto front, as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detnas.errors import UserError
from detnas.files import file_sha256, write_text
from detnas.search.finalists import FINALISTS_FILE, Finalists, read_finalists
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.version import __version__

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
    """The best finalist if finalists were scored, otherwise the best candidate of the search.

    Raises:
        UserError: no candidate has a score yet, or `finalists.json` is damaged.
    """
    found = read_finalists(history.path.parent)
    return history.require_best() if found is None else _best_finalist(history, found)


def write_best(history: SearchHistory, path: Path | str) -> None:
    """Write the best architecture of a search as JSON, whole or not at all.

    Where finalists were scored, it is the best of them. Its score is then the mean over calibration
    seeds, and "finalists" is true in its provenance.

    Raises:
        UserError: as `best_candidate`.
    """
    found = read_finalists(history.path.parent)
    if found is None:
        best = history.require_best()
        history.architecture(best).save(path, **_stated(history, best))
        return
    write_chosen(history, _best_finalist(history, found), found.best.mean, path, finalists=True)


def write_chosen(
    history: SearchHistory, row: Evaluation, score: float, path: Path | str, **provenance: Any
) -> None:
    """Write a candidate that was chosen by another score than the search's.

    Args:
        history: of the search.
        row: the candidate.
        score: that it was chosen by, on the search split.
        path: of the JSON file.
        provenance: how it was chosen.
    """
    stated = _stated(history, row)
    stated["score"]["value"] = score
    stated["provenance"].update(provenance)
    history.architecture(row).save(path, **stated)


def _best_finalist(history: SearchHistory, found: Finalists) -> Evaluation:
    for row in history.candidates:
        if row.choices == found.best.choices:
            return row
    raise UserError(f"{history.path.parent / FINALISTS_FILE} is of another search: remove it")


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
    recorded = history.fingerprint
    return {
        "score": {"metric": history.score_name, "value": row.score, "split": "search"},
        "provenance": {
            "seed": recorded["seed"],
            "supernet_sha256": recorded["supernet_sha256"],
            "config_sha256": file_sha256(config) if config.is_file() else None,
            "detnas_version": __version__,
        },
        "extra_costs": {
            name: {"value": row.costs[name], **conditions}
            for name, conditions in recorded.get("measured_costs", {}).items()
            if "@" not in name  # an architecture states one latency
        },
    }
