"""Prints the progress and the results of commands."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from detnas.errors import printable
from detnas.fidelity.comparison import rows_of
from detnas.fidelity.statistics import Fidelity
from detnas.search.against_random import mean_score, random_scores
from detnas.search.compared import Comparison
from detnas.search.compared_text import conditions, verdict
from detnas.search.compared_text import rows_of as rows_of_networks
from detnas.search.costs import size_text
from detnas.search.finalists import Finalists
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import DROPPED, FAILED, RANDOM
from detnas.search.progress import Progress
from detnas.search.results import best_candidate
from detnas.search.trained import read_trained
from search_space.architecture import choices_to_text, macs, params
from search_space.cost import DEFAULT_INPUT_SIZE

CLASS_SUFFIX = "_precision"
"""Of the average precision of one class, as mmdet's CocoMetric names it."""
SHOWN_CLASSES = 20


def duration(seconds: float) -> str:
    """Format seconds: "41 s", "12 min 5 s", "2 h 3 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@cache
def say_once(text: str) -> None:
    """Print a line on standard error, once in a process."""
    print(printable(text), file=sys.stderr, flush=True)


def time_left(left: float, later: float | None, whole: float) -> str:
    """The time left of a stage, and of the run where stages follow whose length is estimated.

    Args:
        left: seconds of the stage.
        later: as `Stage.run` takes it.
        whole: seconds of the whole stage at its pace.
    """
    text = f"{duration(left)} left"
    return f"{text}, of the run about {duration(left + later * whole)}" if later else text


def print_progress(progress: Progress, later: float | None = None) -> None:
    """Print one line per evaluated candidate on standard error; `later` is as in `Stage.run`."""
    best = "none yet" if progress.best is None else f"{progress.best.score:.4f}"
    shown = "" if progress.phase else f"best {best}  "
    _print_result(f"search  {_phase(progress)}", progress, shown, later)


def _phase(progress: Progress) -> str:
    if progress.phase is not None:
        return progress.phase
    if progress.last.role == RANDOM:
        return "random baseline"
    return f"generation {progress.last.generation + 1}/{progress.generations}"


def print_trainings(what: str) -> Callable[[Progress], None]:
    """Print one line per evaluated architecture on standard error, each beginning with `what`."""

    def show(progress: Progress) -> None:
        _print_result(what if progress.phase is None else f"{what}  {progress.phase}", progress)

    return show


def _print_result(
    what: str, progress: Progress, best: str = "", later: float | None = None
) -> None:
    last = progress.last
    result = last.status if last.score is None else f"score {last.score:.4f}"
    line = (
        f"    {what}  {progress.done}/{progress.total}  {result}  {best}"
        f"{duration(progress.elapsed)}, "
        f"{time_left(progress.eta, later, progress.pace * progress.total)}"
    )
    with suppress(OSError):  # a closed terminal does not end a search
        print(line, file=sys.stderr, flush=True)


def latency_progress() -> Callable[[int, int], None]:
    """Print rounds and remaining time of a measurement on standard error every five seconds.

    The pace is that of the rounds after the first one: until that ends, models are built.
    """
    start = shown = time.monotonic()
    first: tuple[int, float] | None = None

    def progress(done: int, total: int) -> None:
        nonlocal shown, first
        now = time.monotonic()
        first = first or (done, now)
        if done < total and (now - shown < 5 or done == first[0]):
            return
        shown = now
        left = (now - first[1]) / max(done - first[0], 1) * (total - done)
        print(
            f"    latency  round {done}/{total}  {duration(now - start)}, {duration(left)} left",
            file=sys.stderr,
            flush=True,
        )

    return progress


def search_table(history: SearchHistory) -> str:
    """The result of a finished search as a few aligned lines."""
    best = best_candidate(history)
    architecture = history.architecture(best)
    statuses = Counter(row.status for row in history.candidates)
    unscored = [f"{statuses[name]} {name}" for name in (FAILED, DROPPED) if statuses[name]]
    lines = [
        ("best architecture", architecture.key),
        ("MACs, parameters", f"{macs(architecture):,}, {params(architecture):,}"),
        ("search score", f"{best.score:.4f}"),
    ]
    trained = read_trained(history)
    if trained is not None:
        lines.append(("trained score", f"{trained.best.score:.4f}, the best of {trained.count}"))
    lines += [
        ("evaluations", ", ".join([f"{len(history.candidates)}", *unscored])),
    ]
    scores = random_scores(history)
    if scores:
        lines.append(_random_line(mean_score(scores), scores[0], len(scores)))
    return table(lines)


def result_table(summary: Mapping[str, Any], report: Path) -> str:
    """What a finished experiment has found, from `summary.json`, as a few aligned lines.

    Args:
        summary: the file's content.
        report: the page, which is named where it exists.
    """
    lines = [*_tested(summary)]
    if "best_choices" in summary:
        choices = choices_to_text(summary["best_choices"])
        budget = summary["budget_macs"]
        height, width = summary.get("macs_input_size", DEFAULT_INPUT_SIZE[1:])
        within = "no budget" if budget is None else f"a budget of {budget:,.0f}"
        size = size_text(height, width)
        lines += [
            ("architecture", f"{summary['space']}:{choices}"),
            ("its MACs", f"{summary['best_macs']:,} of {within}, for {size}"),
        ]
    if "detector_macs" in summary:
        height, width = summary["detector_input_size"]
        count = f"{summary['detector_macs']:,} for {size_text(height, width)}"
        lines.append(("the detector's MACs", count))
    if "best_choices" in summary:
        score = summary["search_score"]
        shown = "none" if score is None else f"{score:.4f}"
        of = f"{summary['evaluations']} candidates"
        if "finalist_score" in summary:
            lines.append(("mean of the best finalist", f"{summary['finalist_score']:.4f}"))
        if "trained_score" in summary:
            best = f"{summary['trained_score']:.4f}, the best of {summary['trained_candidates']}"
            lines.append(("trained, search split", best))
        lines.append((f"search score, {summary['score']}", f"{shown}, chosen from {of}"))
        lines += _random(summary)
    lines.append(("time of the stages", duration(summary["seconds"])))
    if report.is_file():
        lines.append(("report", str(report)))
    return table(lines)


def tested_metric(summary: Mapping[str, Any]) -> tuple[str, float] | None:
    """Name and value of the test metric that matters: the one that ranked candidates, or the first.

    Args:
        summary: the content of `summary.json`.
    Returns:
        None where nothing was tested.
    """
    metrics = summary.get("test_metrics") or {}
    name = summary.get("score") if summary.get("score") in metrics else next(iter(metrics), None)
    return None if name is None else (name, metrics[name])


def _tested(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    tested = tested_metric(summary)
    if tested is None:
        return []
    lines = [(f"test split, {tested[0]}", f"{tested[1]:.4f}")]
    classes = {
        key.partition("/")[2].removesuffix(CLASS_SUFFIX): value
        for key, value in summary["test_metrics"].items()
        if key.endswith(CLASS_SUFFIX)
    }
    if 0 < len(classes) <= SHOWN_CLASSES:
        each = ", ".join(f"{label} {value:.3f}" for label, value in classes.items())
        lines.append(("its mAP by class", each))
    return lines


def _random(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not summary["random_evaluations"]:
        return []
    names = ("random_mean_score", "random_best_score", "random_evaluations")
    return [_random_line(*(summary[name] for name in names))]


def _random_line(mean: float, best: float, count: int) -> tuple[str, str]:
    """Random architectures of a search: its first generation and its baseline."""
    text = f"mean {mean:.4f}, best {best:.4f} of {count} (scores of the supernet, too)"
    return "random in the budget", text


def fidelity_table(compared: Mapping[str, Fidelity]) -> str:
    """How well the supernet's scores rank trained networks, one column a comparison."""
    head, *rows = rows_of(compared)
    return "\n".join(
        f"  {name:<30}" + "".join(f"  {row[number]:<22}" for row in rows).rstrip()
        for number, name in enumerate(head)
    )


def comparison_table(compared: Comparison) -> str:
    """The found network beside others, a column for each, and whether it is better."""
    rows = rows_of_networks(compared, SHOWN_CLASSES)
    lines = columns(list(zip(*rows, strict=True)))
    texts = (conditions(compared), *compared.notes, *verdict(compared))
    return "\n".join(f"  {line}" for line in (*lines, *map(printable, texts)))


def finalists_table(found: Finalists) -> str:
    """One line per finalist: mean, 95% interval, difference to the best, choices."""
    source = f"{len(found.seeds)} calibration seeds"
    if found.resamples:
        source += f" and {found.resamples} resampled sets of images"
    lines = [f"  finalists: mean and 95% interval of {found.metric}, from {source}"]
    for number, each in enumerate(found.finalists, 1):
        apart = "the best"
        if number > 1:
            verdict = "cannot be told apart" if each.indistinguishable else "worse"
            apart = f"{each.difference:+.4f}{_interval(each.difference_interval, '+')}  {verdict}"
        value = f"{each.mean:.4f}{_interval(each.interval)}"
        lines.append(f"  {number:>3}  {value:<26}  {apart:<52}  {choices_to_text(each.choices)}")
    if found.finalists[0].interval is None:
        lines.append("  one calibration seed and no resampled images: no intervals")
    elif not found.resamples:
        lines.append(f"  {found.metric} is not resampled: intervals are of calibration seeds alone")
    lines += [
        f"  failed  {choices_to_text(each.choices)}  {printable(each.error)}"
        for each in found.failed
    ]
    return "\n".join(lines)


def _interval(interval: tuple[float, float] | None, sign: str = "") -> str:
    return "" if interval is None else " ({:{s}.4f} to {:{s}.4f})".format(*interval, s=sign)


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Rows of cells as aligned lines; the columns of the numbers `right` end at their right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if number in right else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def table(lines: list[tuple[str, str]]) -> str:
    """Names and values in two columns."""
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"  {name:<{width}}  {printable(value)}" for name, value in lines)
