"""How long the stages after one take: by a forecast, or else by what each of them computes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from detnas.errors import UserError
from detnas.files import write_text

FORECAST_FILE = "forecast.json"


class _Forecast(msgspec.Struct, forbid_unknown_fields=True):
    """The content of `forecast.json`: seconds of each stage, as they were measured."""

    seconds: dict[str, float]
    format: Literal["detnas-forecast"] = "detnas-forecast"
    version: Literal[1] = 1


def write_forecast(folder: Path, seconds: Mapping[str, float]) -> None:
    """Write the seconds of each stage into an experiment's folder."""
    content = msgspec.to_builtins(_Forecast({k: round(v, 1) for k, v in seconds.items()}))
    write_text(folder / FORECAST_FILE, json.dumps(content, indent=2) + "\n")


def read_forecast(folder: Path) -> Mapping[str, float]:
    """The seconds of each stage, as `detnas init` measured them; empty without the file.

    Raises:
        UserError: it is damaged.
    """
    path = folder / FORECAST_FILE
    if not path.is_file():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Forecast).seconds
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): remove it, it only estimates time") from None


@dataclass(frozen=True)
class CheckedStage:
    """A stage that can run.

    Attributes:
        is_unfinished: whether it is still to run, or to go on.
        macs: from `Stage.check`.
        is_classifier: from `Stage`.
        seconds: from the folder's forecast; None if it has none.
    """

    is_unfinished: bool
    macs: float
    is_classifier: bool
    seconds: float | None = None


def relative_time_after(
    checked: Mapping[str, CheckedStage], name: str, retrained: int
) -> float | None:
    """How long the stages after one take, in terms of its own time; the test counts as nothing.

    By the forecast where the folder has one, otherwise by multiply-adds: small crops take several
    times as long for one as a detector's images, so the pace of a classifier says nothing of
    detectors.

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
    amounts = {other: checked[other].seconds or 0.0 for other in compared}
    if not all(amounts.values()):
        amounts = {other: checked[other].macs for other in compared}
        if len({checked[other].is_classifier for other in compared}) > 1:
            return None
    if name not in amounts or not all(amounts.values()):
        return None
    ahead = sum(amounts[other] for other in amounts if other != name)
    if name == "search":
        ahead += retrained * amounts.get("retrain", 0.0)
    return ahead / amounts[name]
