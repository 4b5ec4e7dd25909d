"""The history: what it keeps, what it refuses, and what survives."""

import csv
import io
import json
import math
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from toy_search import noisy, rows_of, toy_search, trajectory

from detnas.search.history import file as history_file
from detnas.search.history import journal, listing
from detnas.search.history.file import DamagedHistoryError, HistoryWriteError, backup_path
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import best_of
from detnas.search.history.writer import History
from search_space.architecture import choices_to_text

FINGERPRINT: dict[str, Any] = {
    "space": "tiny",
    "budgets": [{"cost": "macs", "upper": 3e6, "input_size": (3, 64, 64)}],
    "strategy": {"type": "random", "generations": 2},
    "seed": 0,
}
CANDIDATES = [((0, 1), {"macs": 7}), ((1, 1), {"macs": 5}), ((2, 3), {"macs": 5})]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    with History.create(path, FINGERPRINT) as made:
        made.record_generation(0, CANDIDATES)
        yield made


def changed(**changes: Any) -> dict[str, Any]:
    return {**FINGERPRINT, **changes}


def test_keeps_results_at_full_precision(history: History, path: Path) -> None:
    first, second, third = (e.id for e in history.generation(0))
    history.mark_running(first, "local")
    history.record_done(first, 0.1 + 0.2, {"s": 0.1 + 0.2, "nan": math.nan})
    history.mark_running(second, "gpu1")
    history.mark_running(second, "gpu2")
    history.record_failed(second, "RuntimeError: unlucky")
    history.mark_running(third, "local")
    done, failed, running = rows_of(path)
    assert (done.status, done.score, done.metrics) == (
        "done",
        0.1 + 0.2,
        {"s": 0.1 + 0.2, "nan": None},
    )
    assert done.started is not None
    assert done.finished is not None
    assert 0 <= done.finished - done.started < 60
    assert (failed.status, failed.error, failed.attempts) == ("failed", "RuntimeError: unlucky", 2)
    assert (failed.worker, failed.score, failed.costs) == ("gpu2", None, {"macs": 5})
    assert (running.status, running.choices, running.position) == ("running", (2, 3), 2)
    assert not running.settled


def test_best_breaks_ties_by_cost_and_order(history: History) -> None:
    for evaluation in history.generation(0):
        history.record_done(evaluation.id, 1.0, {})
    best = best_of(history.rows())
    assert best is not None
    assert best.choices == (1, 1)  # of equal scores the cheapest, of equal costs the earliest
    assert best_of(history.rows(), role="random") is None


def test_open_proposes_running_candidates_again(history: History, path: Path) -> None:
    history.mark_running(history.generation(0)[0].id, "local")
    history.close()
    with History.open(path, FINGERPRINT) as again:
        assert [e.status for e in again.generation(0)] == ["proposed"] * 3


def test_a_result_is_recorded_once(history: History) -> None:
    key = history.generation(0)[0].id
    history.record_done(key, 1.0, {})
    with pytest.raises(AssertionError):
        history.record_failed(key, "late")


def test_duplicate_candidates_roll_back_the_generation(history: History) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        history.record_generation(1, [((3, 3), {"macs": 1}), CANDIDATES[0]])
    assert history.generation(1) == []
    history.record_generation(0, [CANDIDATES[0]] * 2, role="random")
    assert len(history.rows()) == 5


def test_create_refuses_to_overwrite(history: History, path: Path) -> None:
    history.close()
    with pytest.raises(ValueError, match=r"already exists; resume it with --resume"):
        History.create(path, FINGERPRINT)
    assert len(rows_of(path)) == 3


def test_open_refuses_an_absent_history(path: Path) -> None:
    with pytest.raises(ValueError, match="no such history"):
        History.open(path, FINGERPRINT)
    with pytest.raises(ValueError, match="no such history"):
        rows_of(path)
    assert list(path.parent.iterdir()) == []
    inner = path.parent / "trained" / "seed0"
    inner.mkdir(parents=True)
    (inner / "history.db").touch()
    with pytest.raises(ValueError, match=r"no such history; there are .*trained/seed0"):
        rows_of(path.parent / "history.db")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (changed(space="small"), 'space = "tiny", but now it is "small"'),
        (changed(seed=1), "seed = 0, but now it is 1"),
        (changed(budgets=[]), '3000000.0, "input_size": [3, 64, 64]}], but now it is []'),
        (
            changed(budgets=[{"cost": "macs", "upper": 2e6, "input_size": (3, 64, 64)}]),
            "budgets.0.upper = 3000000.0, but now it is 2000000.0",
        ),
        (changed(data="a.json"), 'data = nothing, but now it is "a.json"'),
        (
            changed(strategy={"type": "random", "generations": 1}),
            "generations may only increase; set 2 or more",
        ),
    ],
)
def test_open_refuses_another_search(
    history: History, path: Path, asked: dict[str, Any], message: str
) -> None:
    history.close()
    with pytest.raises(ValueError) as refusal:
        History.open(path, asked)
    assert message in str(refusal.value)
    History.open(path, FINGERPRINT).close()  # the refusal released the lock


def test_a_search_without_a_score_begins_anew_when_its_cause_is_mended(
    history: History, path: Path
) -> None:
    first, second, _ = (e.id for e in history.generation(0))
    history.mark_running(first, "local")
    assert not SearchHistory.read(path).has_only_failed
    history.record_failed(first, "OSError: image file is truncated")
    assert SearchHistory.read(path).has_only_failed
    history.close()
    mended = changed(data="b.json")
    with History.open(path, mended) as again:
        assert rows_of(path) == []
        again.record_generation(0, CANDIDATES)
        again.mark_running(first, "local")
        again.record_done(first, 0.5, {"s": 0.5})
        again.mark_running(second, "local")
        again.record_failed(second, "RuntimeError: unlucky")
    assert SearchHistory.read(path).fingerprint["data"] == "b.json"
    assert not SearchHistory.read(path).has_only_failed
    with pytest.raises(ValueError, match=r'data = "b.json", but now it is nothing'):
        History.open(path, FINGERPRINT)


def test_generations_may_grow(history: History, path: Path) -> None:
    history.close()
    grown = changed(strategy={"type": "random", "generations": 5})
    History.open(path, grown).close()
    assert SearchHistory.read(path).fingerprint == json.loads(json.dumps(grown))


def test_only_a_second_writer_is_refused(history: History, path: Path) -> None:
    with pytest.raises(ValueError, match=r"in use by another search \(process \d+"):
        History.open(path, FINGERPRINT)
    assert len(rows_of(path)) == 3


def test_unknown_version_is_refused(history: History, path: Path) -> None:
    history.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for read in (SearchHistory.read, lambda p: History.open(p, FINGERPRINT)):
        with pytest.raises(ValueError, match=r"version 99; this program reads versions up to 4"):
            read(path)


def damage_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xa5" * 8192
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        damage_page,
        lambda path: path.write_bytes(b"not a database" * 500),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(b""),
    ],
    ids=["page", "text", "cut", "empty"],
)
def test_damaged_file_is_refused_with_its_backup_named(
    history: History, path: Path, damage: Any
) -> None:
    history.close()
    content = path.read_bytes()
    damage(path)
    with pytest.raises(DamagedHistoryError, match="has no backup"):
        History.open(path, FINGERPRINT)
    path.write_bytes(content)
    with History.open(path, FINGERPRINT) as whole:
        whole.backup()
    damage(path)
    for read in (SearchHistory.read, lambda p: History.open(p, FINGERPRINT)):
        with pytest.raises(DamagedHistoryError, match=r"rename .*history\.backup\.db"):
            read(path)


def change(path: Path, statement: str) -> None:
    """Change a closed history as this program never does: without checksums."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE evaluations SET costs = '[\"macs'", "cannot be read"),
        ("UPDATE evaluations SET costs = '[1]'", "cannot be read"),
        ('UPDATE evaluations SET metrics = \'{"a": "x"}\'', "cannot be read"),
        ("UPDATE evaluations SET choices = '1,2,x' WHERE id = 1", "cannot be read"),
        ("UPDATE evaluations SET choices = '1,2' WHERE id = 3", "row 3 of evaluations differs"),
        ("UPDATE evaluations SET score = 0.5, status = 'done' WHERE id = 2", "row 2 of eval"),
        ("UPDATE evaluations SET attempts = 3, checksum = NULL", "row 1 of evaluations differs"),
        ("UPDATE meta SET value = 'x'", "cannot be read"),
        ("UPDATE meta SET value = '[1]' WHERE key = 'fingerprint'", "cannot be read"),
        ("UPDATE meta SET value = '1' WHERE key = 'created'", "row 2 of meta differs"),
        ("DELETE FROM meta WHERE key = 'fingerprint'", "it has no settings"),
        ("DELETE FROM evaluations WHERE id = 2", "rows of its evaluations are missing"),
        ("DELETE FROM evaluations WHERE id = 1", "rows of its evaluations are missing"),
        ("UPDATE evaluations SET costs = '{}'", "cannot be read: row 1 has the costs"),
        ("UPDATE evaluations SET costs = '{\"macs\": 1e999}'", "cannot be read"),
        ("UPDATE evaluations SET score = 9e999, status = 'done'", "row 1 has the score inf"),
        ("UPDATE evaluations SET finished = -1e300", "row 1 has the times"),
        ("UPDATE evaluations SET metrics = replace(hex(zeroblob(50000)), '0', '[')", "cannot be r"),
        ("DROP TABLE meta", "its tables are not those of version 4"),
        ("ALTER TABLE evaluations RENAME error TO errors", "its tables are not those"),
        ("DROP INDEX no_candidate_twice", "its tables are not those of version 4"),
        ("PRAGMA user_version = 2", "its tables are not those of version 2"),
        ("PRAGMA user_version = 3", "its tables are not those of version 3"),
    ],
)
def test_a_changed_row_or_table_is_reported_as_damage(
    history: History, path: Path, damage: str, said: str
) -> None:
    history.backup()
    history.close()
    change(path, damage)
    for read in (SearchHistory.read, lambda p: History.open(p, FINGERPRINT)):
        with pytest.raises(DamagedHistoryError, match=rf"{said}.*history\.backup\.db"):
            read(path)


def test_statistics_of_sqlite_are_no_damage(history: History, path: Path) -> None:
    history.close()
    change(path, "ANALYZE")
    assert len(rows_of(path)) == 3
    History.open(path, FINGERPRINT).close()


def test_damage_that_a_running_search_meets_is_named(history: History, path: Path) -> None:
    history.close()
    with History.open(path, FINGERPRINT) as opened:
        opened._connection.execute("PRAGMA journal_mode = DELETE")
        content = bytearray(path.read_bytes())
        content[4096:] = b"\xa5" * (len(content) - 4096)
        content[27] ^= 1  # the counter of changes, by which SQLite knows that its cache is old
        path.write_bytes(content)
        with pytest.raises(DamagedHistoryError, match="has no backup"):
            opened.record_generation(1, [((9, 9), {"macs": 9})])


def test_backup_restores_the_search(history: History, path: Path) -> None:
    history.record_done(history.generation(0)[0].id, 1.0, {})
    history.backup()
    history.record_done(history.generation(0)[1].id, 1.0, {})
    history.close()
    assert [file.name for file in sorted(path.parent.iterdir())] == [
        "history.backup.db",
        "history.db",
        "history.db.lock",
    ]
    for file in path.parent.glob("history.db*"):
        file.unlink()
    backup_path(path).rename(path)
    with History.open(path, FINGERPRINT) as restored:
        assert [e.status for e in restored.rows()] == ["done", "proposed", "proposed"]


def test_what_a_killed_search_left_half_written_is_removed(history: History, path: Path) -> None:
    history.close()
    left = [".history.backup.db.x1y2z3_4.db", ".history.backup.db.x1y2z3_4.db-journal"]
    left += [".best_architecture.json.abcdefgh.json"]
    kept = [".hidden", ".notes.txt", ".keep.a1b2c3d4e5.json"]
    for name in [*left, *kept]:
        (path.parent / name).touch()
    History.open(path, FINGERPRINT).close()
    assert sorted(file.name for file in path.parent.glob(".*")) == sorted(kept)


def test_log_left_by_a_deleted_history_is_not_replayed(path: Path) -> None:
    with History.create(path, FINGERPRINT) as old:
        old.record_generation(0, CANDIDATES)
        log = Path(f"{path}-wal").read_bytes()
    path.unlink()
    Path(f"{path}-wal").write_bytes(log)
    with History.create(path, FINGERPRINT) as new:
        assert new.rows() == []


class WithoutWal(sqlite3.Connection):
    """A connection as on a filesystem without shared memory."""

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement == "PRAGMA journal_mode = WAL":
            statement = "PRAGMA journal_mode"
        return super().execute(statement, *values)


def test_without_wal_the_rollback_journal_is_used(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(
        history_file.sqlite3, "connect", lambda *a, **k: connect(*a, factory=WithoutWal, **k)
    )
    with History.create(path, FINGERPRINT) as history:
        history.record_generation(0, CANDIDATES)
        assert not Path(f"{path}-wal").exists()
    assert "rollback journal (delete)" in caplog.text
    assert len(rows_of(path)) == 3


def test_full_disk_loses_nothing(history: History, path: Path) -> None:
    key = history.generation(0)[0].id
    history.record_done(key, 1.0, {})
    pages = history._connection.execute("PRAGMA page_count").fetchone()[0]
    history._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = [((i, i), {"macs": i}) for i in range(4, 4000)]
    with pytest.raises(HistoryWriteError, match=r"full.*resume with --resume"):
        history.record_generation(1, big)
    assert [e.status for e in rows_of(path)] == [
        "done",
        "proposed",
        "proposed",
    ]


def test_history_of_version_1_is_read_upgraded_and_resumed(tmp_path: Path) -> None:
    """The file was left by the last program of version 1, killed in its middle."""
    old, whole = tmp_path / "old.db", tmp_path / "whole.db"
    shutil.copy(Path(__file__).with_name("history_v1.db"), old)
    before = rows_of(old)
    assert {e.proposed for e in before} == {None}
    assert sum(e.settled for e in before) == 10
    for path in (old, whole):
        toy_search(path, evaluate=noisy, baseline=3)
    assert trajectory(rows_of(old)) == trajectory(rows_of(whole))
    after = rows_of(old)
    assert after[:10] == before[:10]
    assert all(e.proposed is not None for e in after[12:])
    connection = sqlite3.connect(old)
    assert connection.execute("PRAGMA user_version").fetchone() == (4,)
    connection.close()
    change(old, "UPDATE evaluations SET score = score + 1 WHERE id = 5")
    with pytest.raises(DamagedHistoryError, match="row 5 of evaluations differs"):
        rows_of(old)


def test_a_history_of_version_2_gets_checksums_when_its_search_is_resumed(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    shutil.copy(Path(__file__).parents[2] / "golden/history_v2.db", path)
    before = SearchHistory.read(path)
    with History.open(path, before.fingerprint):
        pass
    after = SearchHistory.read(path)
    assert [e for e in after.rows if e.settled] == [e for e in before.rows if e.settled]
    assert len(after.rows) == len(before.rows)
    assert after.fingerprint == before.fingerprint
    change(path, "UPDATE evaluations SET generation = 77 WHERE id = 5")
    with pytest.raises(DamagedHistoryError, match="row 5 of evaluations differs"):
        SearchHistory.read(path)


def test_an_upgrade_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old.db"
    shutil.copy(Path(__file__).with_name("history_v1.db"), old)
    before = rows_of(old)
    monkeypatch.setitem(history_file.UPGRADES, 1, f"{history_file.UPGRADES[1]}; SELECT * FROM none")
    with pytest.raises(HistoryWriteError, match="version 1 and cannot be upgraded"):
        toy_search(old, evaluate=noisy, baseline=3)
    assert rows_of(old) == before
    monkeypatch.undo()
    toy_search(old, evaluate=noisy, baseline=3)


def test_spreadsheets_and_terminals_do_not_obey_an_error(history: History, path: Path) -> None:
    key = history.generation(0)[0].id
    history.record_failed(key, "=HYPERLINK(1)\x1b[2J")
    history.record_done(history.generation(0)[1].id, -1.5, {"+metric": -2.0})
    rows = rows_of(path)
    head, first, second = list(csv.reader(io.StringIO(listing.history_csv(rows))))[:3]
    assert first[head.index("error")] == "'=HYPERLINK(1)\\x1b[2J"
    assert second[head.index("score")] == "-1.5"
    assert second[head.index("'+metric")] == "-2.0"
    assert "=HYPERLINK(1)\\x1b[2J" in listing.history_table(rows)


def test_csv_and_json_contain_all_fields(tmp_path: Path) -> None:
    toy_search(tmp_path / "history.db", evaluate=noisy, baseline=3)
    rows = rows_of(tmp_path / "history.db")
    read = list(csv.DictReader(io.StringIO(listing.history_csv(rows))))
    assert len(read) == len(rows) == 27
    for row, line in zip(rows, read, strict=True):
        assert line["choices"] == choices_to_text(row.choices)
        assert float(line["macs"]) == row.costs["macs"]
        assert line["metric:score"] == line["score"]
        assert line["error"] == (row.error or "")
        if row.score is not None:
            assert float(line["score"]) == row.score
            assert row.proposed <= row.started <= row.finished  # type: ignore[operator]
            assert float(line["finished"]) == row.finished
    items = json.loads(listing.history_json(rows))
    assert [item["score"] for item in items] == [row.score for row in rows]
    table = listing.history_table(rows).splitlines()
    assert len(table) == 29
    assert table[-1].startswith("27 candidates: ")
    assert "RuntimeError: unlucky" in "".join(table)


def test_readers_undo_half_a_transaction_in_a_rollback_journal(
    history: History, path: Path, tmp_path: Path
) -> None:
    """The files that a kill during a commit leaves without a write-ahead log."""
    history.close()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = DELETE")
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN")
    for i in range(3000):  # more than the cache holds, so that pages reach the file uncommitted
        writer.execute(
            "INSERT INTO evaluations (role, generation, position, choices, status, costs) "
            "VALUES ('search', 7, ?, ?, 'proposed', '{}')",
            (i, f"{i}"),
        )
    killed = tmp_path / "killed"
    killed.mkdir()
    for file in (path, Path(f"{path}-journal")):
        shutil.copy(file, killed)
    writer.close()
    assert [e.choices for e in rows_of(killed / path.name)] == [
        (0, 1),
        (1, 1),
        (2, 3),
    ]
    assert not (killed / f"{path.name}-journal").exists()


def test_on_a_network_filesystem_the_rollback_journal_is_used(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kind = journal.filesystem_of(path)
    assert kind
    assert journal.filesystem_of(Path("/proc/self")) == "proc"
    monkeypatch.setattr(journal, "NETWORK_FILESYSTEMS", {kind})
    with History.create(path, FINGERPRINT) as history:
        history.record_generation(0, CANDIDATES)
        assert not Path(f"{path}-wal").exists()
    assert "rollback journal (delete)" in caplog.text


def test_failed_backup_is_only_logged(
    history: History, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backup_path(path).mkdir()
    history.backup()
    assert "history.backup.db cannot be written" in caplog.text
