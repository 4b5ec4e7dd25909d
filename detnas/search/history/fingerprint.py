"""The fingerprint: all settings that affect scores or proposals, compared on a resume."""

import json
from collections.abc import Mapping
from typing import Any

from detnas.errors import UserError
from detnas.resuming import MAY_GROW, keys_marked
from detnas.search.strategies import StrategySettings

# Strategy settings that a resumed search may increase.
MAY_GROW_KEYS = tuple(keys_marked(StrategySettings, MAY_GROW, prefix="strategy."))
# Keys that earlier histories lack; a resumed search adds them.
ADDED_LATER = ("images.", "data.metrics", "evaluator.device", "evaluator.tf32")
# Values that the absence of a key stands for, in histories of versions that did not have it.
ABSENT_MEANS: Mapping[str, Any] = {
    "evaluator.batch_shapes": "mixed",
    "evaluator.fold_batch_norm": False,
}


def normalised(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """The fingerprint as it reads back from JSON: tuples as lists, keys as strings."""
    return dict(json.loads(json.dumps(fingerprint)))


def check_fingerprint(
    path: object,
    recorded: Mapping[str, Any],
    asked: Mapping[str, Any],
    otherwise: str = "choose another work directory",
) -> None:
    """Refuse to resume a history under settings that change its scores or proposals.

    Args:
        path: the history, for the message.
        recorded: the normalised fingerprint it was made with.
        asked: the normalised fingerprint of the search that resumes it.
        otherwise: what else the user can do, for the message.

    Raises:
        UserError: naming the first key that differs, with both values. `strategy.generations`
            may be higher than recorded.
    """
    before, now = (dict(ABSENT_MEANS) | _flatten(each) for each in (recorded, asked))
    for key in [*before, *(key for key in now if key not in before)]:
        old, new = before.get(key), now.get(key)
        if old == new and (key in before) == (key in now):
            continue
        if key.startswith(ADDED_LATER) and key not in before:
            continue
        if key in MAY_GROW_KEYS and old is not None and new is not None:
            if new >= old:
                continue
            raise UserError(
                f"{path} was made with {key} = {old}, but now it is {new}: "
                f"{key.rpartition('.')[2]} may only increase; set {old} or more"
            )
        if isinstance(_at(recorded, listed := key.removesuffix(".count")), list):
            key = listed  # another number of entries
        raise UserError(
            f"{path} was made with {key} = {_shown(recorded, before, key)}, "
            f"but now it is {_shown(asked, now, key)}: "
            f"change it back to resume, or {otherwise}"
        )


def recorded_value(recorded: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key of a recorded fingerprint; None if it has none."""
    return _flatten(recorded).get(key, ABSENT_MEANS.get(key))


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            flat.update(_flatten(item, f"{name}."))
        elif isinstance(item, list) and item and isinstance(item[0], Mapping):
            flat[f"{name}.count"] = len(item)
            for i, entry in enumerate(item):
                flat.update(_flatten(entry, f"{name}.{i}."))
        else:
            flat[name] = item
    return flat


def _at(fingerprint: Any, key: str) -> Any:
    """What is at a dotted key, a list or dict as a whole; None where nothing is."""
    for step in key.split("."):
        if isinstance(fingerprint, list):
            fingerprint = fingerprint[int(step)] if step.isdecimal() else None
        else:
            fingerprint = fingerprint.get(step) if isinstance(fingerprint, Mapping) else None
    return fingerprint


def _shown(fingerprint: Mapping[str, Any], flat: Mapping[str, Any], key: str) -> str:
    whole = _at(fingerprint, key)
    if whole is not None or key in flat:
        return json.dumps(flat.get(key, whole))
    return "nothing"
