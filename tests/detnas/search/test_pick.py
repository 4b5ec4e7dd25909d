"""Picks from a history under other budgets, and the networks of a front to choose from."""

from pathlib import Path

import numpy as np
import pytest

from detnas.errors import UserError
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.search.pick import find_candidate, pick, read_budgets
from detnas.search.portfolio import Listed, network_records, networks_csv, select_networks
from search_space.architecture import Architecture, Choices, macs, params
from search_space.spaces import get_space

SPACE = get_space("tiny")


def history_of(
    scores: list[float | None], random: int = 0, greater: bool = True, population: int = 5
) -> SearchHistory:
    """A search of random architectures with these scores; the last `random` are its baseline."""
    rng = np.random.default_rng(0)
    drawn: dict[Choices, None] = {}
    while len(drawn) < len(scores):
        drawn[tuple(rng.integers(SPACE.num_choices, size=SPACE.num_blocks).tolist())] = None
    rows = []
    first_random = len(scores) - random
    for i, (choices, score) in enumerate(zip(drawn, scores, strict=True)):
        architecture = Architecture(SPACE, choices)
        costs = {"macs": float(macs(architecture)), "params": float(params(architecture))}
        is_random = i >= first_random
        role, place = ("random", i - first_random) if is_random else ("search", i)
        generation, position = (0, place) if is_random else divmod(place, population)
        status = "failed" if score is None else "done"
        rows.append(
            Evaluation(
                *(i + 1, role, generation, position, choices, status, score, {}, costs),
                *(None, 1, "local", 1.0, 1.0, 2.0),
            )
        )
    fingerprint = {
        "space": SPACE.to_dict(),
        "channel_shuffle": "even_odd",
        "score": "map",
        "greater_is_better": greater,
        "budgets": [],
    }
    return SearchHistory(Path("history.db"), tuple(rows), fingerprint)


@pytest.mark.parametrize("greater", [True, False])
def test_the_best_within_a_budget(greater: bool) -> None:
    rng = np.random.default_rng(1)
    scores: list[float | None] = [*rng.random(29).tolist(), None]
    history = history_of(scores, random=6, greater=greater)
    median = sorted(row.costs["macs"] for row in history.rows)[15]
    found = pick(history, read_budgets([f"macs=..{median}"], history))
    inside = [row for row in history.rows if row.score is not None and row.costs["macs"] <= median]
    wanted = (max if greater else min)(inside, key=lambda row: row.score or 0.0)
    assert found.best == wanted
    assert found.within == len(inside)
    uniform = [row for row in inside if row.role == "random" or row.generation == 0]
    assert found.random == len(uniform)
    assert found.recorded == 29


def test_several_budgets_hold_together_and_none_may_fit() -> None:
    history = history_of(np.random.default_rng(2).random(20).tolist())
    row = history.rows[7]
    texts = [f"macs={row.costs['macs']}..{row.costs['macs']}", f"params=..{row.costs['params']}"]
    assert pick(history, read_budgets(texts, history)).best == row
    nothing = pick(history, read_budgets(["macs=..1"], history))
    assert (nothing.best, nothing.within, nothing.random) == (None, 0, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latency_ms=..5", "no cost 'latency_ms', only macs, params"),
        ("macs", "must look like"),
        ("macs=..nan", "must be finite"),
    ],
)
def test_other_budgets_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_budgets([text], history_of([0.1, 0.2]))
    with pytest.raises(UserError, match="names macs twice"):
        read_budgets(["macs=..5e6", "macs=1e6.."], history_of([0.1, 0.2]))


def test_candidates_are_found_as_the_history_lists_them() -> None:
    history = history_of([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, None, 0.8], random=1)
    assert find_candidate("2.0", history) == (history.rows[5].choices, history.rows[5])
    assert find_candidate("2.1", history) == (history.rows[6].choices, None)  # it has failed
    assert find_candidate("0.0", history) == (history.rows[7].choices, history.rows[7])
    key = history.architecture(history.rows[3]).key
    assert find_candidate(key, history) == (history.rows[3].choices, history.rows[3])
    with pytest.raises(UserError, match="no generation 9 with a position 0"):
        find_candidate("9.0", history)


def test_a_short_front_is_filled_up_from_all_steps_of_the_cost() -> None:
    rng = np.random.default_rng(3)
    scores: list[float | None] = rng.random(60).tolist()
    cheapest = min(history_of(scores).rows, key=lambda row: row.costs["macs"])
    scores[cheapest.id - 1] = 2.0  # it dominates all others
    history = history_of(scores)
    chosen = select_networks(history, ["macs"])
    assert [each.row for each in chosen if each.on_front] == history.front(["macs"])
    assert len(chosen) == 10
    costs = [each.row.costs["macs"] for each in chosen]
    assert costs == sorted(costs)
    everything = [row.costs["macs"] for row in history.rows]
    low, width = min(everything), (max(everything) - min(everything)) / 10
    steps = {min(int((cost - low) / width), 9) for cost in costs}
    taken = {min(int((cost - low) / width), 9) for cost in everything}
    assert steps == taken  # each step that has candidates gives one
    assert select_networks(history, ["macs"]) == chosen


def test_a_long_front_is_thinned_and_keeps_its_ends_and_the_best() -> None:
    ordered = sorted(history_of([0.0] * 40).rows, key=lambda row: row.costs["macs"])
    scores: list[float | None] = [0.0] * 40
    for rank, row in enumerate(ordered):
        scores[row.id - 1] = float(rank)
    history = history_of(scores)
    front = history.front(["macs"])
    assert len(front) > 30
    chosen = [each.row for each in select_networks(history, ["macs"], at_most=12)]
    assert len(chosen) == 12
    assert (chosen[0], chosen[-1]) == (front[0], front[-1])
    assert select_networks(history, ["macs"], at_most=1)[0].row == history.best()
    assert len(select_networks(history, ["macs", "params"], at_most=50)) <= 50


def test_fewer_candidates_than_wanted_are_all_chosen_and_listed() -> None:
    history = history_of([0.3, None, 0.1, 0.1], random=1)
    chosen = select_networks(history, ["macs"])
    assert {each.row.id for each in chosen} == {1, 3}
    records = network_records(history, [Listed(each, "a", None) for each in chosen])
    lines = networks_csv(records).splitlines()
    assert lines[0] == "folder,on_front,choices,macs,params,search_score,exported_score"
    assert len(lines) == 3
    with pytest.raises(UserError, match="no candidate has a score"):
        select_networks(history_of([None]), ["macs"])
    with pytest.raises(UserError, match="no cost 'joules'"):
        select_networks(history, ["joules"])
