"""`--watch`: the page is written after each change, as long as a process writes there."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from report_folders import SETTINGS, Page, candidates

from detnas.cli import main
from detnas.report import watch
from detnas.search.history.writer import History


def test_the_page_follows_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    seen: list[tuple[int, bool]] = []
    with ExitStack() as running:
        history = running.enter_context(History.create(tmp_path / "history.db", SETTINGS))
        history.record_generation(0, candidates(3, 0))

        def sleep(seconds: float) -> None:
            assert seconds == 5
            seen.append((page.stat().st_mtime_ns, "data-reload=" in page.read_text()))
            if len(seen) == 2:  # nothing has changed before
                history.record_done(history.generation(0)[0].id, 0.5, {})
            if len(seen) == 3:
                assert "0.5000" in Page(page).text
                running.close()

        monkeypatch.setattr(watch.time, "sleep", sleep)
        assert main(["report", str(tmp_path), "--watch", "5"]) == 0
    assert seen[0] == seen[1] != seen[2]
    assert all(reloads for _, reloads in seen)
    assert "data-reload=" not in page.read_text().split("<script>")[0]
    assert capsys.readouterr().out.count("written: ") == 3


def test_an_interrupted_watch_leaves_a_page_that_does_not_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.lock").write_text("process 1 on another-machine since now")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", interrupt)
    with History.create(tmp_path / "history.db", SETTINGS) as history:
        history.record_generation(0, candidates(1, 0))
        assert main(["report", str(tmp_path), "--watch"]) == 130
    assert "data-reload=" not in (tmp_path / "report.html").read_text().split("<script>")[0]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_invalid_times_are_refused(
    seconds: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path), f"--watch={seconds}"]) == 2
    assert "it must be from 1 to 86400 seconds" in capsys.readouterr().err
