"""What a stage records of itself, `stage.json`, and whether the one that goes on is the same."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from mmengine.dist import is_main_process

from detnas.errors import UserError
from detnas.files import write_text
from detnas.stages import identity
from detnas.stages.base import ARCHITECTURE, Stage

STAGE_FILE = "stage.json"

_ELSEWHERE = "for the new ones choose another --work-dir, or move this folder away"


class _State(msgspec.Struct):
    """The content of a stage's `stage.json`.

    Attributes:
        seconds: of all attempts together; None until the stage is finished.
        config: as `identity.plain` has it; None in files of 0.1.0.
        spent: seconds of the attempts before the last one, which were interrupted.
        began: the last attempt, in seconds since 1970; None in earlier files.
        folder: the working directory, from which relative paths of the config begin; None in
            earlier files.
    """

    config_sha256: str
    inputs_sha256: dict[str, str]
    seconds: float | None
    config: dict[str, Any] | None = None
    spent: float = 0.0
    began: float | None = None
    folder: str | None = None


def read_state(folder: Path) -> dict[str, Any] | None:
    """The content of a stage's file, as `_State`; None where there is none.

    Raises:
        UserError: it is damaged.
    """
    path = folder / STAGE_FILE
    if not path.is_file():
        return None
    try:
        return msgspec.to_builtins(msgspec.json.decode(path.read_bytes(), type=_State))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is damaged ({error}): remove {folder} to run the stage again"
        ) from None


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the file, in the main process."""
    if is_main_process():
        write_text(folder / STAGE_FILE, json.dumps(state, indent=2) + "\n")


def check_config(stage: Stage) -> None:
    """Refuse a begun stage whose config now has other values.

    Raises:
        UserError: naming up to three of them.
    """
    before = read_state(stage.work_dir)
    if before is None or stage.has_nothing():
        return
    config, experiment = stage.identity(), stage.experiment_dir
    if before["config_sha256"] != identity.digest(config, experiment):
        if before["config"] is None:
            raise UserError(
                f"{stage.work_dir} was begun under another config, which is beside it as "
                f"{stage.name}.py: go on with that one; {_ELSEWHERE}"
            )
        folder = before["folder"] and Path(before["folder"])
        now = identity.plain(config, experiment)
        lines = identity.what_differs(before["config"], now, stage.reads, folder)
        if lines:
            named = "; ".join(lines[: identity.NAMED])
            rest = len(lines) - identity.NAMED
            raise UserError(
                f"{stage.work_dir} was begun with other values, {named}"
                f"{f' and {rest} more' if rest > 0 else ''}: give the earlier ones to go on, in "
                f"the config or by --cfg-options; {_ELSEWHERE}"
            )


def check_inputs(stage: Stage, earlier: Mapping[str, str], later: Mapping[str, str]) -> None:
    """Refuse a stage whose inputs have changed since it was begun.

    Args:
        stage: it.
        earlier: its `input_hashes` then.
        later: those now.
    Raises:
        UserError: naming the files.
    """
    changed = stage.changed_inputs(earlier, later)
    if changed:
        files = stage.inputs()
        named = ", ".join(f"{name}: {files.get(name, 'none now')}" for name in changed)
        what = "put the earlier file back to go on; " + _ELSEWHERE
        if changed == [ARCHITECTURE] and files.get(ARCHITECTURE, Path()).parent.name == "search":
            what = (
                "the search has grown and chosen another one: move the folders of retraining and "
                "test away to train it"
            )
        raise UserError(
            f"{stage.work_dir} was begun from other weights or another architecture than there are "
            f"now ({named}): {what}"
        )


def spent_before(folder: Path, before: Mapping[str, Any]) -> float:
    """Seconds of a stage's earlier attempts; an interrupted one lasted until its last file."""
    if before["seconds"] is not None:
        return float(before["seconds"])  # a search that has grown
    if before["began"] is None:
        return float(before["spent"])
    written = [file.stat().st_mtime for file in folder.rglob("*") if file.is_file()]
    last = min(max(written, default=0.0), time.time())  # files may come from elsewhere
    return float(before["spent"]) + max(0.0, last - before["began"])
