"""Prints the progress and the results of commands."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from detnas.fidelity.comparison import rows_of
from detnas.fidelity.statistics import Fidelity
from detnas.search.finalists import Finalists
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import FAILED, RANDOM
from detnas.search.progress import Progress
from detnas.search.results import best_candidate
from search_space.architecture import choices_to_text, macs, params


def duration(seconds: float) -> str:
    """Format seconds: "41 s", "12 min 5 s", "2 h 3 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def print_progress(progress: Progress) -> None:
    """Print one line per evaluated candidate on standard error."""
    best = "none yet" if progress.best is None else f"{progress.best.score:.4f}"
    shown = "" if progress.phase else f"best {best}  "
    _print_result(f"search  {_phase(progress)}", progress, shown)


def _phase(progress: Progress) -> str:
    if progress.phase is not None:
        return progress.phase
    if progress.last.role == RANDOM:
        return "random baseline"
    return f"generation {progress.last.generation + 1}/{progress.generations}"


def print_trainings(what: str) -> Callable[[Progress], None]:
    """Print one line per evaluated architecture on standard error, each beginning with `what`."""

    return partial(_print_result, what)


def _print_result(what: str, progress: Progress, best: str = "") -> None:
    score = "failed" if progress.last.score is None else f"{progress.last.score:.4f}"
    line = (
        f"    {what}  {progress.done}/{progress.total}  score {score}  {best}"
        f"{duration(progress.elapsed)}, {duration(progress.eta)} left"
    )
    with suppress(OSError):  # a closed terminal does not end a search
        print(line, file=sys.stderr, flush=True)


def latency_progress() -> Callable[[int, int], None]:
    """Print rounds and remaining time of a measurement on standard error every five seconds."""
    start = shown = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if done < total and now - shown < 5:
            return
        shown = now
        left = (now - start) / done * (total - done)
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
    failed = sum(row.status == FAILED for row in history.candidates)
    lines = [
        ("best architecture", architecture.key),
        ("MACs, parameters", f"{macs(architecture):,}, {params(architecture):,}"),
        ("search score", f"{best.score:.4f}"),
        ("evaluations", f"{len(history.candidates)}" + (f", {failed} failed" if failed else "")),
    ]
    scores = history.scores(RANDOM)
    if scores:
        spread = f"{min(scores):.4f} to {max(scores):.4f}, {len(scores)} architectures"
        lines.append(("random in budget", f"mean {statistics.fmean(scores):.4f}, {spread}"))
    return table(lines)


def print_fidelity(compared: Mapping[str, Fidelity]) -> None:
    """Print how well the supernet's scores rank trained networks, one column a comparison."""
    head, *rows = rows_of(compared)
    for number, name in enumerate(head):
        print(f"  {name:<20}" + "".join(f"  {row[number]:<22}" for row in rows))


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
    lines += [f"  failed  {choices_to_text(each.choices)}  {each.error}" for each in found.failed]
    return "\n".join(lines)


def _interval(interval: tuple[float, float] | None, sign: str = "") -> str:
    return "" if interval is None else " ({:{s}.4f} to {:{s}.4f})".format(*interval, s=sign)


def table(lines: list[tuple[str, str]]) -> str:
    """Names and values in two columns."""
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in lines)
