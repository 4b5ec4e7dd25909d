"""What the stages of an experiment recorded: times, attempts, configs, seeds, versions."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from detnas.errors import UserError
from detnas.locks import is_written
from detnas.report.summary_file import require_shallow

STAGE_FILE = "stage.json"
STAGES = ("pretrain", "finetune", "search", "retrain-top", "pretrain_subnet", "retrain", "test")
"""In the order in which they run; "compare" and others come after them."""

_RUN = re.compile(r"\d{8}_\d{6}")
_VERSION = re.compile(
    r"^ +(Python|PyTorch|TorchVision|OpenCV|MMEngine|CUDA available|GPU 0): (.+)$", re.MULTILINE
)
_LOG_HEAD = 20_000  # characters, in which mmengine lists versions


_Duration = Annotated[float, msgspec.Meta(ge=0, le=1e10)]
_Time = Annotated[float, msgspec.Meta(ge=0, lt=253_402_300_800)]  # until the year 9999


class _State(msgspec.Struct):
    """The fields of `stage.json` that the page shows; `detnas.stages.state` writes it."""

    seconds: _Duration | None = None
    config: dict[str, Any] | None = None
    spent: _Duration = 0.0
    began: _Time | None = None


@dataclass(frozen=True)
class StageRecord:
    """One stage.

    Attributes:
        name: of its folder.
        seconds: of all attempts together; None until it is finished.
        spent: seconds of earlier attempts, which were interrupted.
        began: the last attempt, in UTC; None in files of earlier versions.
        is_running: whether it is being written; None if that is not known.
        attempts: that a training has had; None for other stages.
        config: its resolved config.
        folder: of the stage.
    """

    name: str
    seconds: float | None
    spent: float
    began: datetime | None
    is_running: bool | None
    attempts: int | None
    config: Mapping[str, Any]
    folder: Path

    @property
    def state(self) -> str:
        """Whether it is finished."""
        if self.seconds is not None:
            return "finished"
        return {True: "running", False: "interrupted", None: "not finished"}[self.is_running]

    @property
    def taken(self) -> float | None:
        """Seconds so far; None where it is not known how long an interrupted one lasted."""
        if self.seconds is None and self.is_running and self.began is not None:
            return self.spent + (datetime.now(UTC) - self.began).total_seconds()
        return self.seconds

    @property
    def seed(self) -> Any:
        """The seed of its config; None where there is none."""
        randomness = self.config.get("randomness")
        return randomness.get("seed") if isinstance(randomness, Mapping) else None


def stage_files(folder: Path) -> list[Path]:
    """The records of the stages that were begun in an experiment's folder, or the folder's own."""
    files = [folder / STAGE_FILE, *sorted(folder.glob(f"*/{STAGE_FILE}"))]
    return [file for file in files if file.is_file()]


def in_order(stages: Iterable[StageRecord]) -> list[StageRecord]:
    """The stages in the order in which they run."""
    order = {name: place for place, name in enumerate(STAGES)}
    return sorted(stages, key=lambda stage: order.get(stage.name, len(order)))


def read_stage(file: Path) -> StageRecord:
    """What a `stage.json` records.

    Raises:
        UserError: it is damaged.
    """
    try:
        state = msgspec.json.decode(file.read_bytes(), type=_State)
        require_shallow(state.config)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{file} is damaged ({error}): remove {file.parent} to run the stage again"
        ) from None
    folder = file.parent
    runs = len(run_folders(folder))
    began = None if state.began is None else datetime.fromtimestamp(state.began, UTC)
    name = folder.resolve().name
    is_running = False if state.seconds is not None else _is_written(folder)
    return StageRecord(
        name=name,
        seconds=state.seconds,
        spent=state.spent,
        began=began,
        is_running=is_running,
        attempts=runs or None,
        config=state.config or {},
        folder=folder,
    )


def _is_written(folder: Path) -> bool | None:
    """Whether a process writes into a stage's folder, or runs the experiment that it is of."""
    states = {is_written(folder), is_written(folder.parent)}
    return True if True in states else None if None in states else False


def run_folders(folder: Path) -> list[Path]:
    """The folders that mmengine makes for each attempt of a training, the first one first."""
    return sorted(each for each in folder.glob("*_*") if _RUN.fullmatch(each.name))


def versions(stages: list[StageRecord]) -> dict[str, str]:
    """The versions that the log of the last training lists; empty where there is none."""
    logs = [
        log for stage in stages for run in run_folders(stage.folder) for log in run.glob("*.log")
    ]
    if not logs:
        return {}
    last = max(logs, key=lambda log: log.name)
    with last.open(encoding="utf-8", errors="replace") as file:
        return {name: value.strip() for name, value in _VERSION.findall(file.read(_LOG_HEAD))}
