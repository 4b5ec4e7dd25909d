"""Exports the networks of a search's front, one folder each, and lists them as CSV and JSON."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from detnas.console import duration, time_left
from detnas.files import write_text
from detnas.search.history.reading import SearchHistory
from detnas.search.portfolio import Listed, Selected, network_records, networks_csv, networks_json
from detnas.stages.deployable import ExportedNetwork, NetworkExporter, require_free

CSV_FILE = "front.csv"
JSON_FILE = "front.json"


def export_networks(
    exporter: NetworkExporter,
    history: SearchHistory,
    selected: Sequence[Selected],
    costs: Sequence[str],
    folder: Path,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Write each network to FOLDER/<number>_<macs>, unless it is there, then the two lists.

    The number is that of the candidate in the history, so it stays when the search grows.

    Args:
        exporter: of the search.
        selected: from `select_networks`.
        costs: that the selection minimised.
        say: gets a line per network, with the time left.
    Returns:
        The records of the lists.
    Raises:
        UserError: a folder holds something else.
    """
    folders = [folder / _name(each) for each in selected]
    for path in folders:
        require_free(path)
    listed = []
    began, written = time.monotonic(), 0
    for number, (each, own) in enumerate(zip(selected, folders, strict=True), 1):
        network = exporter.export(each.row.choices, each.row, own, keep=True)
        written += not network.kept
        elapsed = time.monotonic() - began
        pace = elapsed / max(written, 1)
        left = time_left(pace * (len(selected) - number), None, elapsed)
        say(
            f"    export  {number}/{len(selected)}  {_result(network)}  {duration(elapsed)}, {left}"
        )
        listed.append(Listed(each, own.name, network.exported))
    records = network_records(history, listed)
    write_text(folder / JSON_FILE, networks_json(history, costs, records))
    write_text(folder / CSV_FILE, networks_csv(records))
    return records


def _name(selected: Selected) -> str:
    return f"{selected.row.id:04d}_{selected.row.costs['macs']:.0f}"


def _result(network: ExportedNetwork) -> str:
    if network.kept:
        return f"{network.folder.name} is complete, kept"
    score = "none" if network.exported is None else f"{network.exported:.4f}"
    return f"{network.folder.name}  score {score}" + ("" if network.is_exact else ", differs")
