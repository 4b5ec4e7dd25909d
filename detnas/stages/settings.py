"""The `search` section of a config as typed settings.

Every key is declared here or in the settings of its part; an unknown key is an error that names the
closest one. What a resumed search may change is marked at each field (see `detnas.resuming`).
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, structs

from detnas.errors import UserError, user_input
from detnas.evaluation.settings import EvaluatorSettings
from detnas.resuming import MAY_CHANGE, MAY_GROW, RECORDED_RESOLVED, keys_marked, remove_keys
from detnas.search.executors.settings import ExecutorSettings
from detnas.search.finalists import MAX_SEEDS
from detnas.search.racing import RacingSettings
from detnas.search.strategies import StrategySettings, read_strategy
from detnas.search.strategies.evolution import EvolutionSettings
from search_space.budget import Budget
from search_space.validation import convert

Text = Annotated[str, Meta(min_length=1)]


class SearchSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The `search` section.

    Attributes:
        supernet: path of the fine-tuned supernet's checkpoint.
        strategy: settings of the chosen strategy.
        budgets: bounds that every candidate keeps; the first one's cost breaks ties of score.
        score: the key of the evaluator's metrics that ranks candidates.
        greater_is_better: whether the highest score wins.
        evaluator: how one candidate is scored.
        executor: where candidates are evaluated.
        racing: scores candidates on growing shares of the search split, and drops those that cannot
            become parents; None scores all in full.
        random_baseline: random architectures in the same budget, scored after the search for
            comparison; never parents.
        finalists: the best candidates, scored again after the search with other calibration images.
        finalist_seeds: sets of calibration images with which each finalist is scored.
        start_from: what the first generation begins with: architectures (files, published names,
            "space:choices"), earlier searches' work directories.
        cost_tables: files of measured costs, as `detnas measure-latency` writes them; recorded with
            every candidate, and usable by budgets and objectives.
    """

    supernet: Annotated[Text, RECORDED_RESOLVED]
    strategy: StrategySettings = EvolutionSettings()
    budgets: Annotated[tuple[Budget, ...], RECORDED_RESOLVED] = ()
    score: Text = "coco/bbox_mAP"
    greater_is_better: bool = True
    evaluator: EvaluatorSettings = EvaluatorSettings()
    executor: Annotated[ExecutorSettings, MAY_CHANGE] = ExecutorSettings()
    racing: RacingSettings | None = None
    random_baseline: Annotated[int, Meta(ge=0), MAY_GROW] = 0
    finalists: Annotated[int, Meta(ge=0), MAY_CHANGE] = 0
    finalist_seeds: Annotated[int, Meta(ge=1, le=MAX_SEEDS), MAY_CHANGE] = 3
    start_from: Annotated[tuple[Text, ...], RECORDED_RESOLVED] = ()
    cost_tables: Annotated[tuple[Text, ...], RECORDED_RESOLVED] = ()

    @classmethod
    def from_section(cls, section: Mapping[str, Any]) -> "SearchSettings":
        """Read a config's `search` section.

        Raises:
            UserError: an unknown key at any depth, a missing one, or a value out of its range.
        """
        if not isinstance(section, Mapping):
            raise UserError(f"search must be a dict, not {section!r}")
        section = dict(section)
        for key in ("start_from", "cost_tables"):
            if isinstance(section.get(key), str):
                section[key] = [section[key]]
        _refuse_common_mistakes(section)
        strategy = section.pop("strategy", {"type": "evolution"})
        with user_input():
            settings = convert(section, cls, "search")
            read = read_strategy(strategy, "search.strategy")
            settings = structs.replace(settings, strategy=read)
        if settings.racing is not None:
            _ = settings.racing_strategy
        return settings

    @property
    def racing_strategy(self) -> EvolutionSettings:
        """The strategy of a search that races.

        Raises:
            UserError: it has no parents by score.
        """
        if isinstance(self.strategy, EvolutionSettings):
            return self.strategy
        raise UserError(
            f"search.racing drops candidates that cannot become parents by their score, but "
            f"search.strategy.type is {self.strategy.type!r}: leave out search.racing, or set the "
            "strategy to 'evolution'"
        )

    def fingerprint(self) -> dict[str, Any]:
        """The settings that alter scores or proposals, as a history records them.

        What a setting stands for, such as the supernet's content, is added by the search's plan.
        """
        recorded: dict[str, Any] = msgspec.to_builtins(self)
        marks = (MAY_CHANGE, RECORDED_RESOLVED)
        remove_keys(recorded, keys_marked(SearchSettings, *marks))
        del recorded["random_baseline"]  # counted in the history itself
        if self.racing is None:
            del recorded["racing"]  # which earlier histories do not have
        return recorded


def _refuse_common_mistakes(section: Mapping[str, Any]) -> None:
    budgets, executor = section.get("budgets", ()), section.get("executor")
    if not isinstance(budgets, list | tuple):
        raise UserError(
            f"search.budgets must be a list of dicts, not {budgets!r}; on the command line write "
            """search.budgets=[{'cost':'macs','upper':3e8}]"""
        )
    if isinstance(executor, Mapping) and executor.get("type") == "distributed":
        raise UserError(
            "search.executor.type 'distributed' has been removed: use 'processes' on one machine, "
            "'ray' on several; scripts/dist_search.sh and slurm_search.sh choose"
        )


def remove_what_may_change(config: dict[str, Any]) -> None:
    """Remove from a config what a resumed search may change; its history checks what may grow."""
    if config.get("search") is not None:
        remove_keys(config["search"], keys_marked(SearchSettings, MAY_CHANGE, MAY_GROW))
