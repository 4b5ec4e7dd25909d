"""When to start a worker again that could not start, and when to give up."""

from dataclasses import dataclass

MAX_FAILED_STARTS = 3
FIRST_PAUSE = 1.0  # seconds, doubled with each failed start in a row
LONGEST_PAUSE = 600.0


@dataclass
class Restarts:
    """The starts of one process, or of all workers of a Ray cluster.

    Gives up if the first worker is refused (it has other weights, say), or if
    `MAX_FAILED_STARTS` starts in a row fail. Once a worker has started it never gives up: what
    fails now may pass.
    """

    failures: int = 0  # in a row
    has_started: bool = False
    given_up: bool = False

    def succeed(self) -> None:
        """A worker has started."""
        self.failures, self.has_started, self.given_up = 0, True, False

    def fail(self, refused: bool) -> float:
        """A worker could not start: the seconds to wait before the next start."""
        self.failures += 1
        if not self.has_started and (refused or self.failures >= MAX_FAILED_STARTS):
            self.given_up = True
        return min(FIRST_PAUSE * 2 ** min(self.failures, 20), LONGEST_PAUSE)
