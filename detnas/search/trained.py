"""The candidates of a search that were trained on their own, and the one that is best then.

Supernet scores only propose them; the trained networks' scores on the search split decide.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from detnas.errors import user_input
from detnas.files import write_text
from detnas.search.history.reading import SearchHistory
from search_space.architecture import Choices
from search_space.documents import read_document, require_format
from search_space.validation import convert

TRAINED_FILE = "trained.json"
FORMAT, VERSION = "detnas-trained", 1


class TrainedCandidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate that was trained on its own.

    Attributes:
        choices: one block choice per block.
        search_score: its score in the search.
        score: of the trained network on the search split; None where its training failed.
        error: why it failed.
    """

    choices: Choices
    search_score: float
    score: float | None
    error: str | None = None


class TrainedCandidates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `trained.json`.

    Attributes:
        metric: the score.
        evaluations: how many candidates of the search had a score at the time. If it has more now,
            the choice no longer stands.
        candidates: the best trained network first, failed ones last.
    """

    metric: str
    evaluations: int
    candidates: tuple[TrainedCandidate, ...]
    format: str = FORMAT
    version: int = VERSION

    @property
    def best(self) -> TrainedCandidate:
        """The candidate whose trained network is best."""
        return self.candidates[0]

    @property
    def count(self) -> int:
        """How many networks were trained to the end."""
        return sum(each.score is not None for each in self.candidates)

    def save(self, path: Path) -> None:
        """Write the JSON file, whole or not at all."""
        write_text(path, json.dumps(msgspec.to_builtins(self), indent=2) + "\n")


def read_trained(history: SearchHistory) -> TrainedCandidates | None:
    """The trained candidates of a search; None where there are none, or it has grown since.

    Raises:
        UserError: the file is damaged or of another version.
    """
    path = history.path.parent / TRAINED_FILE
    if not path.is_file():
        return None

    def parse(data: Any) -> TrainedCandidates:
        require_format(data, "trained candidates", FORMAT, VERSION)
        found = convert(data, TrainedCandidates, "trained candidates")
        assert isinstance(found, TrainedCandidates)
        return found

    with user_input():
        found = read_document(path, "no such file", parse)
    return found if found.evaluations == len(history.scores()) else None
