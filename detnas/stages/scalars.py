"""Gives the numbers of searches and tests to the config's `visualizer`, such as TensorBoard.

Training stages give theirs through mmengine's LoggerHook. A config without `visualizer` has only
the files that each stage writes anyway.
"""

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from mmengine.config import Config
from mmengine.registry import VISUALIZERS, init_default_scope

from detnas.search.history.records import DROPPED, RANDOM, Evaluation
from detnas.search.progress import Progress, ProgressCallback


@contextmanager
def opened_visualizer(config: Config) -> Iterator[Any | None]:
    """The visualizer of a config, closed afterwards; None where the config has none.

    It writes into `vis_data` of the config's work directory, unless its backends say otherwise.
    """
    section = config.get("visualizer")
    if section is None:
        yield None
        return
    init_default_scope(config.get("default_scope", "mmdet"))
    arguments = deepcopy(dict(section))
    # mmengine keeps one visualizer for each name; a stage must not get that of another stage.
    arguments["name"] = f"{config.work_dir} {time.time_ns()}"
    arguments.setdefault("save_dir", str(config.work_dir))
    visualizer = VISUALIZERS.build(arguments)
    visualizer.add_config(config)
    try:
        yield visualizer
    finally:
        visualizer.close()


def show_test(config: Config, metrics: Mapping[str, float]) -> None:
    """Give the metrics of a test to the config's visualizer, as "test/coco/bbox_mAP" and so on."""
    with opened_visualizer(config) as visualizer:
        if visualizer is not None:
            visualizer.add_scalars({f"test/{name}": value for name, value in metrics.items()})


@contextmanager
def shown_search(
    config: Config, recorded: Iterable[Evaluation], progress: ProgressCallback | None
) -> Iterator[ProgressCallback | None]:
    """A progress callback that also gives the results of a search to the config's visualizer.

    The step is the number of candidates that have a result, so a resumed search continues it.

    Args:
        config: of the search.
        recorded: what its history holds when the run begins.
        progress: called as before.
    """
    with opened_visualizer(config) as visualizer:
        if visualizer is None:
            yield progress
            return
        scalars = _SearchScalars(visualizer, recorded)

        def both(state: Progress) -> None:
            if progress is not None:
                progress(state)
            scalars.add(state)

        yield both
        scalars.end_generation()


class _SearchScalars:
    """Turns the progress of a search into scalars.

    Args:
        visualizer: mmengine's.
        recorded: the earlier results: the first generation of this run may have some of them.
    """

    def __init__(self, visualizer: Any, recorded: Iterable[Evaluation]) -> None:
        self._visualizer = visualizer
        searched = [each for each in recorded if each.role != RANDOM]
        self._done = sum(each.settled for each in searched)
        self._generation = max((each.generation for each in searched), default=0)
        begun = [each for each in searched if each.generation == self._generation]
        self._scores: list[float] = []
        self._has_dropped = any(each.status == DROPPED for each in begun)
        if not all(each.settled for each in begun):  # of a whole one, the mean is written
            self._scores = [each.score for each in begun if each.score is not None]

    def add(self, state: Progress) -> None:
        """One more result of the search or of its random baseline."""
        last = state.last
        if last.role == RANDOM:
            self.end_generation()
            if last.score is not None:
                self._visualizer.add_scalars({"random/score": last.score}, step=state.done)
            return
        if last.generation != self._generation:
            self.end_generation()
            self._generation = last.generation
        self._done = state.done
        scalars = {
            f"search/{name.replace('@', '_at_')}": value  # MLflow takes no "@"
            for name, value in last.costs.items()
        }
        if last.score is not None:
            self._scores.append(last.score)
            scalars["search/score"] = last.score
        self._has_dropped = self._has_dropped or last.status == DROPPED
        if state.best is not None and state.best.score is not None:
            scalars["search/best_score"] = state.best.score
        self._visualizer.add_scalars(scalars, step=state.done)

    def end_generation(self) -> None:
        """Give the mean of the generation that ends, if it has any score and nothing was dropped.

        The mean of those that racing has left compares with no other one.
        """
        if self._scores and not self._has_dropped:
            mean = statistics.fmean(self._scores)
            self._visualizer.add_scalars({"search/generation_mean": mean}, step=self._done)
        self._scores = []
        self._has_dropped = False
