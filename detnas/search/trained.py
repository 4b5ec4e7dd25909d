"""The candidates of a search that were trained on their own, and the one that is best then.

Supernet scores only propose them; the trained networks' scores on the search split decide.
"""

from pathlib import Path
from typing import Annotated

import msgspec

from detnas.search.choice_file import read_choice, save_choice
from detnas.search.history.reading import SearchHistory
from search_space.architecture import Choices

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
    candidates: Annotated[tuple[TrainedCandidate, ...], msgspec.Meta(min_length=1)]
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
        save_choice(self, path)


def read_trained(history: SearchHistory) -> TrainedCandidates | None:
    """The trained candidates of a search; None where there are none, or it has grown since.

    Raises:
        UserError: the file is damaged or of another version.
    """
    path = history.path.parent / TRAINED_FILE
    found = read_choice(path, TrainedCandidates, FORMAT, VERSION, "trained candidates")
    stands = found is not None and found.evaluations == len(history.scores())
    return found if stands else None
