"""What of a stage's config decides its result, and what differs from when the stage was begun."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detnas.config_listing import differences

NAMED = 3
"""Differences that a message lists."""

_LOGS = frozenset({"launcher", "log_level", "console_level", "log_processor", "visualizer"})
_SPEED = frozenset({"num_workers", "persistent_workers", "prefetch_factor", "pin_memory", "mp_cfg"})
_KEEPING = frozenset({"checkpoint_interval"})
_CHECKS = frozenset({"images_outside_data_root", "path_validation", "unusable_boxes"})
_HOOKS = frozenset({"checkpoint", "logger", "timer", "visualization"})
"""Of `default_hooks`."""

_PATHS = frozenset(
    {"data_root", "pretrain_root", "ann_file", "checkpoint", "pretrained", "load_from", "supernet"}
)


def plain(config: Mapping[str, Any], experiment: Path) -> dict[str, Any]:
    """A config as JSON has it, with the experiment's path left out, so that it may be moved."""
    content: dict[str, Any] = json.loads(_text(config, experiment))
    return content


def digest(config: Mapping[str, Any], experiment: Path) -> str:
    """Hash of a stage's config, by which versions up to 0.1 told configs apart."""
    return hashlib.sha256(_text(config, experiment).encode()).hexdigest()


def _text(config: Mapping[str, Any], experiment: Path) -> str:
    what = {key: value for key, value in config.items() if key != "work_dir"}
    return json.dumps(_placed(what, str(experiment)), sort_keys=True, default=str)


def _placed(value: Any, experiment: str) -> Any:
    """The value with paths in the experiment's folder as "{experiment}/..."."""
    if isinstance(value, Mapping):
        return {key: _placed(item, experiment) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_placed(item, experiment) for item in value]
    text = str(value) if isinstance(value, Path) else value
    if isinstance(text, str) and (text == experiment or text.startswith(experiment + os.sep)):
        return "{experiment}" + text[len(experiment) :]
    return value


def what_matters(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A config without what changes no result: speed, logs, how often checkpoints are kept.

    Args:
        config: as `plain` has it.
        folder: that its relative paths begin from. Paths count by the file that they lead to.
    """
    kept: dict[str, Any] = _reduced(config, folder)
    return kept


def _reduced(value: Any, folder: Path, name: str = "") -> Any:
    if isinstance(value, Mapping):
        dropped = _HOOKS if name == "default_hooks" else _LOGS | _SPEED | _KEEPING | _CHECKS
        return {k: _reduced(item, folder, k) for k, item in value.items() if k not in dropped}
    if isinstance(value, list):
        return [_reduced(item, folder) for item in value]
    if name not in _PATHS or not isinstance(value, str) or not value or "://" in value:
        return value
    is_placed = value.startswith("{experiment}")
    return os.path.normpath(value) if is_placed else os.path.realpath(folder / value)


def what_differs(
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    reads: Sequence[str],
    folder: Path | None = None,
) -> list[str]:
    """A line for each key that matters and differs, those of the file's own level first.

    There is none if all differences are outside of what the stage reads. Otherwise those of values
    that its sections refer to are listed too, as they are what the user has changed.

    Args:
        before: the config of the stage as it was begun, as `plain` has it.
        now: the config that it is to go on with.
        reads: sections, as `Stage.reads`.
        folder: the working directory then; None takes today's.
    """
    old, new = what_matters(before, folder or Path.cwd()), what_matters(now, Path.cwd())
    if all(old.get(key) == new.get(key) for key in reads):
        return []
    lines = differences(old, new)
    return sorted(lines, key=lambda line: "." in line.partition(":")[0])
