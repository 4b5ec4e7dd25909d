"""`detnas.search`: any Python function, resumed, in processes, with its mistakes named."""

import inspect
import multiprocessing
import pydoc
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detnas
from detnas.search import searching
from detnas.search.executors.base import MissingScoreError
from detnas.search.function_scorer import FunctionScorer, MakeFunctionScorer
from detnas.search.loop import SearchFailedError
from detnas.search.strategies.random_search import RandomSettings
from search_space.spaces import parse_space

TINY = parse_space("tiny")
SETTINGS: dict[str, Any] = {
    "budgets": "macs=..45e6",
    "strategy": {
        "type": "evolution",
        "generations": 3,
        "population": 6,
        "parents": 3,
        "mutations": 2,
        "crossovers": 2,
    },
    "seed": 1,
}


def score(architecture: detnas.Architecture) -> float:
    return sum((block + 1) * choice for block, choice in enumerate(architecture.choices)) / 100


def two_numbers(architecture: detnas.Architecture) -> dict[str, Any]:
    return {"score": -score(architecture), "other": None}


def _values(history: detnas.SearchHistory) -> list[Any]:
    return [(row.role, row.choices, row.score, row.status) for row in history.rows]


def test_the_best_is_found_recorded_and_written(tmp_path: Path) -> None:
    seen = []
    options = {**SETTINGS, "random_baseline": 2, "progress": seen.append}
    history = detnas.search("tiny", score, work_dir=tmp_path / "a" / "b", **options)
    assert len(history.candidates) == 18
    assert len(history.baseline) == 2
    assert len(seen) == 20
    best = history.require_best()
    assert best.score == max(row.score for row in history.candidates)
    assert all(row.costs["macs"] <= 45e6 for row in history.rows)
    document = detnas.Architecture.load(tmp_path / "a" / "b" / "best_architecture.json")
    assert document.choices == best.choices
    assert score(document) == best.score


def test_a_dict_a_budget_and_lower_scores_are_taken(tmp_path: Path) -> None:
    options = {**SETTINGS, "budgets": [detnas.Budget(upper=45e6), {"cost": "params"}]}
    history = detnas.search(
        "tiny", two_numbers, work_dir=tmp_path, greater_is_better=False, **options
    )
    assert history.require_best().score == min(history.scores())
    assert history.require_best().metrics["other"] is None


@pytest.mark.parametrize("stop", [0, 3, 6, 14, 17])
def test_a_search_that_was_stopped_resumes_to_the_same_end(stop: int, tmp_path: Path) -> None:
    left = stop

    def interrupted(architecture: detnas.Architecture) -> float:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return score(architecture)

    with pytest.raises(KeyboardInterrupt):
        detnas.search("tiny", interrupted, work_dir=tmp_path / "stopped", **SETTINGS)
    resumed = detnas.search("tiny", score, work_dir=tmp_path / "stopped", **SETTINGS)
    whole = detnas.search("tiny", score, work_dir=tmp_path / "whole", **SETTINGS)
    assert _values(resumed) == _values(whole)


def test_a_finished_search_evaluates_nothing_again_and_may_grow(tmp_path: Path) -> None:
    first = detnas.search("tiny", score, work_dir=tmp_path, **SETTINGS)

    def fail(architecture: detnas.Architecture) -> float:
        raise AssertionError

    again = detnas.search("tiny", fail, work_dir=tmp_path, **SETTINGS)
    assert _values(again) == _values(first)
    strategy = {**SETTINGS["strategy"], "generations": 4}
    grown = detnas.search("tiny", score, work_dir=tmp_path, **{**SETTINGS, "strategy": strategy})
    assert _values(grown)[:18] == _values(first)
    assert len(grown.candidates) == 24


def test_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    one = detnas.search("tiny", score, work_dir=tmp_path / "one", **SETTINGS)
    two = detnas.search("tiny", score, work_dir=tmp_path / "two", workers=2, **SETTINGS)
    assert _values(one) == _values(two)
    assert {row.worker for row in two.rows}.isdisjoint({"local", None})


def test_a_pareto_search_writes_its_front(tmp_path: Path) -> None:
    pytest.importorskip("moocore")
    strategy = {**SETTINGS["strategy"], "type": "pareto"}
    history = detnas.search("tiny", score, work_dir=tmp_path, strategy=strategy)
    assert (tmp_path / "pareto_front.json").is_file()
    assert history.objectives == ("macs",)


def test_one_failing_candidate_does_not_end_the_search(tmp_path: Path) -> None:
    calls = 0

    def fails_once(architecture: detnas.Architecture) -> float:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("out of memory")
        return score(architecture)

    history = detnas.search("tiny", fails_once, work_dir=tmp_path, **SETTINGS)
    assert [row.error for row in history.failed] == ["RuntimeError: out of memory"]


def test_a_function_that_always_fails_is_said_and_can_be_mended(tmp_path: Path) -> None:
    with pytest.raises(SearchFailedError, match=r"evaluate returned a str; it must .*resume=True"):
        detnas.search("tiny", lambda a: "high", work_dir=tmp_path, **SETTINGS)  # type: ignore[arg-type, return-value]
    mended = detnas.search("tiny", score, work_dir=tmp_path, **SETTINGS)
    whole = detnas.search("tiny", score, work_dir=tmp_path / "whole", **SETTINGS)
    assert _values(mended) == _values(whole)


def test_a_missing_score_is_named_and_leaves_no_history(tmp_path: Path) -> None:
    with pytest.raises(
        MissingScoreError, match=r"score='score' is not among what evaluate ret.* mAP"
    ):
        detnas.search("tiny", lambda a: {"mAP": 0.5}, work_dir=tmp_path, **SETTINGS)
    assert not (tmp_path / "history.db").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": True}, "seed is True"),
        ({"workers": 0}, "workers is 0; it must be an integer of at least 1"),
        ({"workers": None}, "workers is None"),
        ({"workers": True}, "workers is True"),
        ({"attempts": "2"}, "attempts is '2'"),
        ({"timeout": None}, "timeout must be a number"),
        ({"gpus": True}, "gpus is True"),
        ({"resume": "no"}, "resume is 'no'; it must be True or False"),
        ({"score": 5}, "score is 5; it must be a name"),
        ({"score": ""}, "score is ''"),
        ({"score": " "}, "score is ' '"),
        ({"score": None}, "score is None"),
        ({"score": b"mAP"}, "score is b'mAP'"),
        ({"score": "\udcff"}, r"score is '\\udcff'"),
        ({"score": "a\nb"}, r"score is 'a\\nb'"),
        ({"progress": 5}, "progress is 5; it must be a function"),
        ({"progress": lambda: None}, "progress must take one argument"),
        ({"evaluate": lambda: 1.0}, "evaluate must take one argument, an Architecture"),
        ({"work_dir": None}, "work_dir is None; it must be the path of a folder"),
        ({"work_dir": ""}, "work_dir is ''"),
        ({"work_dir": "a\0b"}, r"work_dir is 'a\\x00b'"),
        ({"work_dir": 5}, "work_dir is 5"),
        ({"strategy": None}, "strategy is None; it must be 'evolution'"),
        ({"strategy": RandomSettings(population=0)}, "strategy.population must be an integer >= 1"),
        ({"strategy": "evolutoin"}, "did you mean 'evolution'"),
        ({"strategy": {"type": "random", "population": 0}}, "strategy.population"),
        ({"strategy": {"type": "evolution", "population": 20}}, "^strategy: mutations"),
        ({"budgets": "macs=..1"}, "admits no architecture"),
        ({"budgets": 5}, "budgets has 5; it must be a text such as"),
        ({"budgets": None}, "budgets has None"),
        ({"budgets": [None]}, "budgets has None"),
        ({"budgets": [{"cst": "macs"}]}, "did you mean 'cost'"),
        ({"space": None}, "space is None: give a name"),
        ({"space": {**TINY.to_dict(), "name": "\udcff"}}, "must be one word"),
        ({"space": "smal"}, "did you mean 'small'"),
        ({"evaluate": 3}, "must be a function"),
        ({"channel_shuffle": "odd"}, "channel_shuffle is 'odd'"),
        ({"depends_on": {"a": {1}}}, "depends_on must hold JSON"),
        ({"depends_on": {"a": float("nan")}}, "depends_on must hold JSON"),
        ({"depends_on": {"a": "\udcff"}}, "depends_on must hold JSON"),
        ({"depends_on": [1]}, "depends_on is .1.; it must be a dict"),
        ({"greater_is_better": "no"}, "greater_is_better is 'no'; it must be True or False"),
        ({"cost_tables": "none.json"}, "none.json"),
        ({"cost_tables": None}, "cost_tables is None; it must be a list of files"),
        ({"workers": 2, "evaluate": lambda a: 1.0}, "top level of a module, or set workers=1"),
    ],
)
def test_mistakes_are_named_before_anything_is_made(
    change: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = {"space": "tiny", "evaluate": score, "work_dir": "search", **SETTINGS, **change}
    with pytest.raises(detnas.UserError, match=said) as refusal:
        detnas.search(**arguments)
    assert "\n" not in str(refusal.value)
    assert not [*tmp_path.iterdir()]


def test_a_budget_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="upper must be a number or None, not '45e6'"):
        detnas.Budget(upper="45e6")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    detnas.search("tiny", score, work_dir=folder, depends_on={"data": 1}, **SETTINGS)
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resume": False}, "already exists; resume it with resume=True"),
        ({"seed": 2}, "made with seed = 1, but now it is 2"),
        ({"depends_on": {"data": 2}}, "made with depends_on.data = 1, but now it is 2"),
        ({"budgets": "macs=..44e6"}, "budgets.0.upper"),
        ({"budgets": ()}, r"made with budgets = \[{.*}\], but now it is \[\]: change it back"),
        (
            {"strategy": {**SETTINGS["strategy"], "generations": 2}},
            "generations = 3, but now it is 2: generations may only increase; set 3 or more",
        ),
    ],
)
def test_a_history_of_other_settings_is_not_continued(
    change: dict[str, Any], said: str, finished: Path
) -> None:
    before = _values(detnas.SearchHistory.read(finished))
    options = {**SETTINGS, "depends_on": {"data": 1}, **change}
    with pytest.raises(detnas.UserError, match=said):
        detnas.search("tiny", score, work_dir=finished, **options)
    after = detnas.SearchHistory.read(finished)
    assert _values(after) == before
    assert after.seed == 1


def test_an_experiment_s_folder_is_refused(tmp_path: Path) -> None:
    """Its report would mix two searches."""
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(detnas.UserError, match="holds an experiment: name a folder"):
        detnas.search("tiny", score, work_dir=tmp_path, **SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(detnas.UserError, match="file is a file: name a folder"):
        detnas.search("tiny", score, work_dir=tmp_path / "file", **SETTINGS)


SCRIPT = """
import detnas

def evaluate(architecture):
    return 1.0

if __name__ == '__main__':
    detnas.search("tiny", evaluate, work_dir="out", workers=2, strategy={strategy!r})
"""


def test_a_guarded_script_searches_in_processes(tmp_path: Path) -> None:
    strategy = {"type": "random", "generations": 1, "population": 2}
    (tmp_path / "script.py").write_text(SCRIPT.format(strategy=strategy))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "best_architecture.json").is_file()


def _refused(folder: Path, arguments: Sequence[str] = (), script: str = "") -> str:
    """The last line of a Python process that fails before its search makes files."""
    done = subprocess.run(
        [sys.executable, *arguments],
        input=script,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert not (folder / "out").exists()
    assert done.stderr.count("Traceback") == 1  # none of a worker
    return str(done.stderr.splitlines()[-1])


def test_a_script_without_its_guard_is_told_once(tmp_path: Path) -> None:
    script = SCRIPT.format(strategy="random").replace("if __name__ == '__main__'", "if True")
    (tmp_path / "script.py").write_text(script)
    said = _refused(tmp_path, ["script.py"])
    assert 'make the call under `if __name__ == "__main__":`' in said


def test_a_script_from_a_pipe_is_told_what_to_do(tmp_path: Path) -> None:
    script = SCRIPT.format(strategy="random")
    said = _refused(tmp_path, script=script)
    assert "cannot import the script <stdin>: save it as a file, or set workers=1" in said


def test_an_evaluation_that_exits_fails_alone(tmp_path: Path) -> None:
    calls = 0

    def exits_once(architecture: detnas.Architecture) -> float:
        nonlocal calls
        calls += 1
        if calls == 2:
            sys.exit("no data")
        return score(architecture)

    history = detnas.search("tiny", exits_once, work_dir=tmp_path, **SETTINGS)
    assert [row.error for row in history.failed] == [
        "RuntimeError: evaluate called sys.exit('no data')"
    ]


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("3", "evaluate returned a str; it must return a number"),
        (True, "evaluate returned a bool; it must"),
        (np.bool_(True), "evaluate returned a bool"),
        ({"score": "3"}, "evaluate returned a str for 'score'"),
        ({"score": True}, "evaluate returned a bool for 'score'"),
        ({"score": 1.0, "other": "3"}, "evaluate returned a str for 'other'"),
        ({"score": 1.0, "\udcff": 2.0}, r"called '\\udcff', which is not printable"),
    ],
)
def test_what_is_no_number_is_no_score(returned: Any, said: str) -> None:
    scorer = FunctionScorer(lambda architecture: returned, TINY, "even_odd", "score")
    with pytest.raises(TypeError, match=said):
        scorer((0,) * 10)


def test_numbers_of_other_types_are_scores() -> None:
    for returned in (3, np.float32(3), np.array(3), Fraction(3), {"score": 3, "done": True}):
        scorer = FunctionScorer(lambda a, given=returned: given, TINY, "even_odd", "score")
        assert scorer((0,) * 10)["score"] == 3.0


def test_help_shows_the_function() -> None:
    text = pydoc.render_doc(detnas.search, renderer=pydoc.plaintext)
    assert "detnas.search - Search a space by a function" in text
    assert "detnas.search(space, evaluate, *, work_dir, budgets=(), " in text
    arguments = inspect.signature(detnas.search).parameters
    assert arguments == inspect.signature(searching.search).parameters
    for name in arguments:
        assert f"\n        {name}: " in text, name


def test_a_worker_that_imports_an_unguarded_script_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(detnas.UserError, match="make the call under"):
        detnas.search("tiny", score, work_dir=tmp_path / "out", **SETTINGS)
    assert not (tmp_path / "out").exists()


def test_a_function_that_a_worker_cannot_import_is_said() -> None:
    made = MakeFunctionScorer.of(FunctionScorer(score, TINY, "even_odd", "score"))
    lost = MakeFunctionScorer(made.pickled.replace(b"score", b"scare", 1))
    with pytest.raises(detnas.UserError, match="cannot be imported in a worker"):
        lost()
    assert made()((0,) * 10) == {"score": 0.0}
