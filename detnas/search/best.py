"""The best architecture of a history as the JSON that users pass around."""

from pathlib import Path

from detnas.files import file_sha256
from detnas.search.records import best_of, read_fingerprint, read_history
from detnas.version import __version__
from search_space.architecture import Architecture
from search_space.spaces import SearchSpace

CONFIG_FILE = "config.py"
"""The resolved config that a search leaves beside its history."""


def best_architecture(history: Path | str) -> tuple[Architecture, float]:
    """The best architecture of a history, and its score.

    Raises:
        ValueError: there is no such history, it is damaged, or nothing in it has a score.
    """
    fingerprint = read_fingerprint(history)
    best = best_of(read_history(history), fingerprint["greater_is_better"])
    if best is None or best.score is None:
        raise ValueError(f"{history}: no candidate has a score yet; let the search go on first")
    space = SearchSpace.from_dict(fingerprint["space"])
    return Architecture(space, best.choices, fingerprint["channel_shuffle"]), best.score


def write_best(history: Path | str, path: Path | str) -> Architecture:
    """Write the best architecture of a history, with its score and where it comes from.

    Args:
        history: a search's `history.db`.
        path: the JSON file to write.
    Raises:
        ValueError: there is no such history, it is damaged, or nothing in it has a score.
    """
    architecture, score = best_architecture(history)
    fingerprint = read_fingerprint(history)
    config = Path(history).parent / CONFIG_FILE
    architecture.save(
        path,
        score={"metric": fingerprint["score"], "value": score, "split": "search"},
        provenance={
            "seed": fingerprint["seed"],
            "supernet_sha256": fingerprint["supernet_sha256"],
            "config_sha256": file_sha256(config) if config.is_file() else None,
            "detnas_version": __version__,
        },
    )
    return architecture
