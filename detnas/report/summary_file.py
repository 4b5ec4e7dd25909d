"""Reads `summary.json`, the outcome of an experiment, and checks what the page takes from it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from detnas.errors import user_input
from search_space.documents import read_document
from search_space.errors import SpaceError
from search_space.validation import convert

SUMMARY_FILE = "summary.json"
DEPTH = 50
"""Of values within values; nothing that DetNAS writes is nested so deep."""

_Side = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class _Known(msgspec.Struct):
    """The keys that the page reads, besides those that it only lists."""

    test_metrics: dict[str, Any] | None = None
    score: str | None = None
    detector_macs: Annotated[float, msgspec.Meta(ge=0, le=1e18)] | None = None
    detector_input_size: tuple[_Side, _Side] | None = None


def read_summary(path: Path) -> dict[str, Any]:
    """The content of `summary.json`.

    Raises:
        UserError: it is damaged, or a key that the page reads has a value of another type.
    """

    def parse(content: Any) -> dict[str, Any]:
        summary = _json_object(content)
        convert(summary, _Known)
        odd = [key for key, value in summary.items() if _is_no_number(value)]
        if odd:
            raise SpaceError(f"{odd[0]} is {summary[odd[0]]}, which is no number")
        return summary

    with user_input():
        return read_document(path, "no such file", parse)


def read_metrics(path: Path) -> dict[str, Any]:
    """The metrics of a test by name.

    Raises:
        UserError: the file is damaged.
    """
    with user_input():
        return read_document(path, "no such file", _json_object)


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def measured(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary without those of its `test_metrics` that are no numbers."""
    metrics = summary.get("test_metrics") or {}
    numbers = {name: value for name, value in metrics.items() if _is_number(value)}
    return {**summary, "test_metrics": numbers}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _json_object(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise SpaceError("must hold a JSON object")
    require_shallow(content)
    return content


def require_shallow(value: Any) -> None:
    """Raise SpaceError where values are nested deeper than `DEPTH`: no page can list them."""
    level = [value]
    for _ in range(DEPTH):
        level = [item for each in level for item in _items(each)]
    if level:
        raise SpaceError(f"its values are nested more than {DEPTH} deep")


def _items(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []
