"""What a search found as the JSON that users pass around: the best architecture, or any other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detnas.errors import UserError
from detnas.files import file_sha256
from detnas.search.history.records import Evaluation, best_of, read_fingerprint, read_history
from detnas.version import __version__
from search_space.architecture import Architecture
from search_space.spaces import SearchSpace

# What a search leaves beside its history: the resolved config, and this.
CONFIG_FILE = "config.py"
BEST_FILE = "best_architecture.json"


@dataclass(frozen=True)
class Found:
    """A candidate with what its JSON says of it: its score, its origin, its measured costs."""

    architecture: Architecture
    score: Mapping[str, Any]
    provenance: Mapping[str, Any]
    measured: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object."""
        return self.architecture.to_dict(self.score, self.provenance, self.measured)

    def save(self, path: Path | str) -> None:
        """Write the JSON file, whole or not at all."""
        self.architecture.save(path, self.score, self.provenance, self.measured)


def found(
    history: Path | str, fingerprint: Mapping[str, Any], evaluations: Iterable[Evaluation]
) -> list[Found]:
    """Candidates of a history that have scores; `fingerprint` is the history's."""
    space = SearchSpace.from_dict(fingerprint["space"])
    config = Path(history).parent / CONFIG_FILE
    provenance = {
        "seed": fingerprint["seed"],
        "supernet_sha256": fingerprint["supernet_sha256"],
        "config_sha256": file_sha256(config) if config.is_file() else None,
        "detnas_version": __version__,
    }
    return [
        Found(
            Architecture(space, evaluation.choices, fingerprint["channel_shuffle"]),
            {"metric": fingerprint["score"], "value": evaluation.score, "split": "search"},
            provenance,
            {
                name: {"value": evaluation.costs[name], **conditions}
                for name, conditions in fingerprint.get("measured_costs", {}).items()
                if "@" not in name  # an architecture states one latency
            },
        )
        for evaluation in evaluations
    ]


def find_best(history: Path | str) -> Found:
    """The best candidate of a history.

    Raises:
        ValueError: there is no such history, it is damaged, or nothing in it has a score.
    """
    fingerprint = read_fingerprint(history)
    best = best_of(read_history(history), fingerprint["greater_is_better"])
    if best is None:
        raise UserError(f"{history}: no candidate has a score yet; let the search go on first")
    return found(history, fingerprint, [best])[0]


def write_best(history: Path | str, path: Path | str) -> Architecture:
    """Write the best architecture of a history as JSON; errors as `find_best`."""
    best = find_best(history)
    best.save(path)
    return best.architecture
