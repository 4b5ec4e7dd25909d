"""`detnas fidelity`: does the supernet rank networks as their own training does?

Architectures are drawn uniformly, scored on the experiment's supernet as its search would, and each
is trained on its own by the experiment's retraining recipe, once per seed. Each of these columns is
a history of its own, so an interrupted run resumes and nothing is trained twice.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device

from detnas.errors import MissingFileError, UserError
from detnas.evaluation.latency import device_name
from detnas.fidelity import table_file
from detnas.fidelity.comparison import (
    ALSO,
    FEWEST,
    NOTHING,
    SUPERNET,
    TRAINED,
    AgainstDrawn,
    against_drawn,
    compare,
    notes_on,
)
from detnas.fidelity.statistics import Fidelity as FidelityStatistics
from detnas.fidelity.table import Table, from_histories
from detnas.files import write_text
from detnas.search.executors.base import Executor, MakeEvaluate
from detnas.search.executors.build import Machine, build_executor
from detnas.search.executors.settings import ExecutorSettings
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory
from detnas.search.progress import ProgressCallback, in_phase
from detnas.search.results import best_candidate, named_choices
from detnas.stages.base import ARCHITECTURE, require_shared_weights
from detnas.stages.candidate_worker import MakeCandidateEvaluator
from detnas.stages.checks import check_weights
from detnas.stages.experiment import Experiment
from detnas.stages.fidelity_plan import FidelityPlan, draw_architectures
from detnas.stages.listed import evaluate_into
from detnas.stages.plan import SearchPlan, plan_search
from detnas.stages.standalone import TIMEOUT, standalone_trainings
from detnas.stages.train import check_training
from search_space.architecture import Choices, choices_to_text
from search_space.spaces import SearchSpace

RESULT_FILE, PICTURE = "fidelity.json", "fidelity.png"
FOUND = "found"
_OF_SCORES = (
    *("space", "channel_shuffle", "score", "greater_is_better", "evaluator", "seed"),
    *("supernet_sha256", "data", "images", "model_sha256", "metrics_sha256"),
)
"""What of a search's fingerprint the score of one candidate depends on."""


@dataclass(frozen=True)
class FidelityResult:
    """What a comparison found.

    Attributes:
        compared: from `compare`.
        also: the named architectures beside the drawn ones.
        notes: what is missing in it, and what is too few to be trusted.
        failures: a line for each evaluation that failed.
    """

    compared: Mapping[str, FidelityStatistics]
    also: tuple[AgainstDrawn, ...]
    notes: tuple[str, ...]
    failures: tuple[str, ...]


@dataclass(frozen=True)
class Fidelity:
    """An experiment whose supernet is compared with stand-alone trainings."""

    experiment: Experiment
    plan: FidelityPlan

    @property
    def work_dir(self) -> Path:
        """Where the columns and the results are written."""
        return self.experiment.work_dir / table_file.FOLDER

    def run(self, progress: ProgressCallback | None = None) -> FidelityResult:
        """Evaluate every column that is not finished; write and return what `compare` says.

        Evaluations that failed are tried again.

        Written are `table.csv` with all scores, `fidelity.json` with the statistics, and the
        picture `fidelity.png`.

        Raises:
            UserError: the folder has no search or no retraining, the supernet is absent, a
                column was begun under other settings, or too few evaluations succeeded.
        """
        search, retrain = self._checked()
        groups = draw_architectures(search.costs.sampler, self.plan)
        some = [choices for group in groups.values() for choices in group[: self.plan.from_nothing]]
        drawn = [choices for group in groups.values() for choices in group]
        space = search.costs.sampler.space
        named = dict.fromkeys(self._named(text, space) for text in self.plan.also)
        groups[ALSO] = tuple(choices for choices in named if choices not in drawn)
        listed = [*drawn, *groups[ALSO]]
        histories = {SUPERNET: self._on_supernet(search, listed, progress)}
        for kind, chosen in ((TRAINED, listed), (NOTHING, some)):
            for seed in range(self.plan.seeds if chosen else 0):
                name = f"{kind}/seed{seed}"
                trainings = standalone_trainings(
                    *(retrain, search, self.work_dir / name / "networks"),
                    *(seed, self.plan.threads, kind == NOTHING),
                )
                histories[name] = evaluate_into(
                    *(self.work_dir / name / FILE_NAME, trainings.fingerprint, chosen),
                    self._executor(trainings.make, self.plan.threads, search.settings.score),
                    search.costs,
                    in_phase(progress, name),
                )
        table = self._table(search, groups, histories)
        table_file.write_table(table, self.work_dir / table_file.FILE_NAME)
        compared = compare(table)
        if TRAINED not in compared:
            raise UserError(_nothing_to_compare(histories, {*listed}, self.work_dir))
        also = against_drawn(table)
        plain: dict[str, Any] = {name: found.to_dict() for name, found in compared.items()}
        if also:
            plain[ALSO] = [asdict(each) for each in also]
        write_text(self.work_dir / RESULT_FILE, json.dumps(plain, indent=2) + "\n")
        _draw(table, self.work_dir / PICTURE)
        left_out = {row.choices for history in histories.values() for row in history.rows}
        left_out -= {*listed}
        notes = list(notes_on(compared, table))
        notes += [
            f"{choices_to_text(choices)} of --also is one of the drawn ones"
            for choices in named
            if choices in drawn
        ]
        if retrain.get("load_from"):
            notes.append(
                "trainings begin from `load_from`, weights that the supernet's scores are of: tau "
                "is flattered (docs/fidelity.md)"
            )
        if left_out:
            notes.append(
                f"{len(left_out)} architectures of earlier runs are left out: give the numbers and "
                "--within of those runs to compare them, too"
            )
        return FidelityResult(
            compared, tuple(also), tuple(notes), tuple(_failures(histories, {*listed}))
        )

    def _named(self, text: str, space: SearchSpace) -> Choices:
        """The choices of an entry of `FidelityPlan.also`."""
        if text == FOUND:
            return best_candidate(SearchHistory.read(self.experiment.work_dir / "search")).choices
        return named_choices(text, space, f"--also {text}")

    def _table(
        self,
        search: SearchPlan,
        groups: Mapping[str, Sequence[Choices]],
        histories: Mapping[str, SearchHistory],
    ) -> Table:
        group_of = {choices: name for name, group in groups.items() for choices in group}
        finished = (row.finished or 0.0 for history in histories.values() for row in history.rows)
        about = {
            "metric": search.settings.score,
            "date": f"{datetime.fromtimestamp(max(finished), UTC):%Y-%m-%d}",
            "device": device_name(torch.device(get_device())),
            "torch": torch.__version__,
        }
        table = from_histories(histories, lambda choices: group_of.get(choices, ""), about=about)
        drawn = [choices in group_of for choices in table.architectures]
        return table if all(drawn) else table.select(drawn)

    def _checked(self) -> tuple[SearchPlan, Config]:
        """The search's plan and the config of retraining, checked."""
        stages = self.experiment.stages()
        for name in ("search", "retrain"):
            if name not in stages:
                raise UserError(
                    f"{self.experiment.folder} has no {name}.py: the supernet is scored as the "
                    "search does, and networks are trained as retraining does"
                )
        stage = self.experiment.stage("search")
        earlier = stage.work_dir / FILE_NAME
        recorded = SearchHistory.read(earlier).fingerprint if earlier.is_file() else None
        search = plan_search(stage.config, recorded)
        if not search.settings.greater_is_better:
            raise UserError(
                f"the lowest {search.settings.score} is the best; `detnas fidelity` compares "
                "scores of which the highest is"
            )
        check_weights(search.config, search.settings.supernet)
        stage = self.experiment.stage("retrain")
        require_shared_weights(stage)
        for name, file in stage.inputs().items():
            if name != ARCHITECTURE and not file.is_file():
                raise MissingFileError(f"{file}, which retraining starts from, does not exist")
        retrain = stage.config
        for key in ("test_dataloader", "test_evaluator"):
            if retrain.get(key) is None:
                raise UserError(f"the config of retraining has no `{key}`; add it")
        check_training(retrain)
        return search, retrain

    def _on_supernet(
        self, search: SearchPlan, listed: Sequence[Choices], progress: ProgressCallback | None
    ) -> SearchHistory:
        threads = search.settings.evaluator.threads
        assert threads is not None, "the plan has decided it"
        make = MakeCandidateEvaluator.of_plan(search)
        fingerprint = {key: search.fingerprint[key] for key in _OF_SCORES}
        fingerprint |= {"budgets": [], "strategy": {"type": "listed"}}
        return evaluate_into(
            *(self.work_dir / SUPERNET / FILE_NAME, fingerprint, listed),
            self._executor(make, threads, search.settings.score),
            search.costs,
            in_phase(progress, SUPERNET),
        )

    def _executor(self, make: MakeEvaluate, threads: int, score: str) -> Callable[[], Executor]:
        settings = ExecutorSettings()
        if self.plan.workers != 1:
            settings = ExecutorSettings("processes", workers=self.plan.workers, timeout=TIMEOUT)
        machine = Machine(torch.cuda.device_count(), threads)
        return lambda: build_executor(settings, make, score, machine)


def _failures(histories: Mapping[str, SearchHistory], listed: Set[Choices]) -> Iterator[str]:
    for name, history in histories.items():
        for row in history.failed:
            if row.choices in listed:
                yield f"{name}  {choices_to_text(row.choices)}  {row.error}"


def _nothing_to_compare(
    histories: Mapping[str, SearchHistory], listed: Set[Choices], work_dir: Path
) -> str:
    failures = list(_failures(histories, listed))
    return (
        f"{work_dir}: fewer than {FEWEST} architectures have all scores, for {len(failures)} "
        f"evaluations failed, the first one: {failures[0] if failures else 'none'}; fix that, then "
        "run the same command again"
    )


def _draw(table: Table, path: Path) -> None:
    try:
        from detnas.report.fidelity import draw_fidelity
    except ModuleNotFoundError as error:
        print(f"no picture: {error.name} is missing (detnas[report] has it)", file=sys.stderr)
        return
    draw_fidelity(table, path)
