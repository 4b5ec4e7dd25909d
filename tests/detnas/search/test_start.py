"""Warm starts: what a source may be, which candidates an earlier search gives, what is refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from toy_search import MINI, TINY, TOY_STRATEGIES, rows_of, toy_sampler

from detnas.search.costs import CandidateCosts
from detnas.search.history.file import FILE_NAME
from detnas.search.history.records import best_of
from detnas.search.history.writer import History
from detnas.search.warm_start import read_start
from search_space.architecture import PUBLISHED, Architecture, Choices, choices_to_text
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace, get_space

SAMPLER = toy_sampler()
LOW: list[Choices] = [(0,) * 10, (3, *(0,) * 9), (1, *(0,) * 9), (0,) * 9 + (1,)]
HIGH: Choices = (2,) * 10  # outside SAMPLER's budget


def name(choices: Choices) -> str:
    return f"tiny:{choices_to_text(choices)}"


def make_history(
    folder: Path,
    scores: dict[Choices, float | None],
    greater_is_better: bool = True,
    space: SearchSpace = TINY,
) -> str:
    """A work directory whose search has these scores; None failed."""
    folder.mkdir(parents=True)
    costs = CandidateCosts(toy_sampler(space))
    settings: dict[str, Any] = {"space": space.to_dict(), "greater_is_better": greater_is_better}
    with History.create(folder / FILE_NAME, settings) as history:
        history.record_generation(0, [(choices, costs(choices)) for choices in scores])
        for row in history.rows():
            if (score := scores[row.choices]) is None:
                history.record_failed(row.id, "RuntimeError: unlucky")
            else:
                history.record_done(row.id, score, {})
        history.record_generation(0, [(LOW[3], {"macs": 1.0})], "random")
        history.record_done(history.rows()[-1].id, 99.0, {})
    return str(folder)


SCORES: dict[Choices, float | None] = {
    LOW[0]: 0.3,
    LOW[1]: 0.30000000000000004,  # better in the last digit
    LOW[2]: 0.3,  # ties with the first, and has more MACs
    LOW[3]: None,
    HIGH: 0.9,
}


def test_architectures_keep_their_order(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    Architecture(TINY, LOW[2], "interleave").save(file)
    assert read_start([name(LOW[1]), str(file), name(LOW[0])], SAMPLER, 5) == [
        LOW[1],
        LOW[2],
        LOW[0],
    ]
    assert read_start([name(LOW[1]), name(LOW[1])], SAMPLER, 1) == [LOW[1]]
    assert read_start([], SAMPLER, 5) == []


def test_published_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published, (space, choices) = next(iter(PUBLISHED.items()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / published).mkdir()  # an experiment may be called so
    assert read_start([published], BudgetSampler(get_space(space)), 3) == [tuple(choices)]


@pytest.mark.parametrize("where", ["", FILE_NAME, "of an experiment"])
def test_the_best_of_an_earlier_search(where: str, tmp_path: Path) -> None:
    inner = tmp_path / "run" / ("search" if where.startswith("of") else "")
    source = Path(make_history(inner, SCORES))
    source = source / where if where == FILE_NAME else tmp_path / "run"
    assert read_start([str(source)], SAMPLER, 50) == [LOW[1], LOW[0], LOW[2]]
    assert read_start([str(source)], SAMPLER, 2) == [LOW[1], LOW[0]]
    whole = read_start([str(source)], toy_sampler(share=1.0), 50)
    best = best_of(rows_of(inner / FILE_NAME))
    assert best is not None
    assert whole == [best.choices, LOW[1], LOW[0], LOW[2]] == [HIGH, *whole[1:]]


def test_lower_scores_may_be_better(tmp_path: Path) -> None:
    source = make_history(tmp_path / "run", SCORES, greater_is_better=False)
    assert read_start([source], SAMPLER, 50) == [LOW[0], LOW[2], LOW[1]]


def test_architectures_come_first_then_histories_alternate(tmp_path: Path) -> None:
    first = make_history(tmp_path / "a", {LOW[0]: 0.9, LOW[1]: 0.8, LOW[2]: 0.7})
    second = make_history(tmp_path / "b", {LOW[3]: 0.2, LOW[2]: 0.1})
    assert read_start([first, second], SAMPLER, 9) == [LOW[0], LOW[3], LOW[1], LOW[2]]
    assert read_start([first, name(LOW[2]), second], SAMPLER, 3) == [LOW[2], LOW[0], LOW[3]]


def test_every_strategy_starts_with_the_architectures_read(tmp_path: Path) -> None:
    start = read_start([make_history(tmp_path / "run", SCORES)], SAMPLER, 50)
    for settings in TOY_STRATEGIES:
        strategy = settings.build(SAMPLER, CandidateCosts(SAMPLER), 0, start)
        assert strategy.ask()[:3] == start


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["tiny:0,1"], "architecture has 2 choices, space 'tiny' has 10 blocks"),
        (["nothing"], "unknown architecture 'nothing'"),
        (["some/where"], "some/where: no such architecture file"),
        (["some/where.db"], "some/where.db: no such history"),
        (["empty"], "empty: holds no history.db; give the work directory of a search"),
        (["detnasnet-300m-coco-fpn"], "is of the space 'small', this search is of 'tiny'"),
        ([name(HIGH)], f"{name(HIGH)}: {name(HIGH)} has macs 49,379,456, params "),
        (["mini"], "mini: is of the space 'mini', this search is of 'tiny'"),
        (["high"], "high: none of its 1 candidates with a score lies within macs <= "),
        (["failed"], "failed: no candidate has a score; leave it out or resume that search"),
        (["foreign"], "foreign/history.db: its settings lack 'space'; it is not from a search"),
        ([name(LOW[0]), name(LOW[1]), name(LOW[2])], "3 architectures, more than its population"),
    ],
)
def test_invalid_starts_are_refused(
    sources: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    make_history(Path("mini"), {(0, 0): 0.5}, space=MINI)
    make_history(Path("high"), {HIGH: 0.5})
    make_history(Path("failed"), {LOW[0]: None})
    Path("foreign").mkdir()
    History.create(Path("foreign") / FILE_NAME, {}).close()
    with pytest.raises(ValueError) as refusal:
        read_start(sources, SAMPLER, 2)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert str(Path.cwd()) not in str(refusal.value)


def test_imports_neither_torch_nor_the_library_of_fronts() -> None:
    script = (
        "import sys; import detnas.search.warm_start, detnas.search.front, detnas.resuming; "
        "print({'torch', 'mmengine', 'mmdet', 'moocore'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
