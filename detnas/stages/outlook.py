"""How long the stages after one take, by what each of them computes."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CheckedStage:
    """A stage that can run.

    Attributes:
        is_unfinished: whether it is still to run, or to go on.
        macs: from `Stage.check`.
        is_classifier: from `Stage`.
    """

    is_unfinished: bool
    macs: float
    is_classifier: bool


def relative_time_after(
    checked: Mapping[str, CheckedStage], name: str, retrained: int
) -> float | None:
    """How long the stages after one take, in terms of its own time; the test counts as nothing.

    By multiply-adds, of which small crops take several times as long as a detector's images: the
    pace of a classifier says nothing of detectors.

    Args:
        checked: the stages of the run, in order.
        name: of the one.
        retrained: candidates of the search that are trained to choose among them.
    Returns:
        None where stages do not compare, or the multiply-adds of one are not known.
    """
    names = list(checked)
    after = [other for other in names[names.index(name) + 1 :] if checked[other].is_unfinished]
    compared = [other for other in [name, *after] if other != "test"]
    macs = {other: checked[other].macs for other in compared}
    kinds = {checked[other].is_classifier for other in compared}
    if name not in macs or len(kinds) > 1 or not all(macs.values()):
        return None
    ahead = sum(macs[other] for other in macs if other != name)
    if name == "search":
        ahead += retrained * macs.get("retrain", 0.0)
    return ahead / macs[name]
