"""What the comparison of a search with random architectures shows, in plain words.

The verdict counts what was measured: it claims no more than the numbers do.
"""

from collections.abc import Iterator

from detnas.report.style import readable_score, signed_score
from detnas.search.against_random import AgainstRandom


def verdict(found: AgainstRandom) -> str:
    """One sentence: whether the scores show that the search did better than random ones."""
    shown = list(_evidence(found))
    if all(shown):
        only = "" if found.equal else ", although the best of equally many was only estimated"
        return f"By these scores, the search did better than random architectures{only}."
    if not any(shown):
        return "These scores do not show that the search did better than random architectures."
    worse = _is_worse_on_average(found)
    why = "on average its candidates are worse" if worse else "the points below do not agree"
    return (
        "These scores show only in part that the search did better than random architectures: "
        f"{why}."
    )


def _evidence(found: AgainstRandom) -> Iterator[bool]:
    """Whether the search is ahead, by each measurement that there is."""
    sign = 1.0 if found.greater_is_better else -1.0
    yield found.better == 0 and not found.is_best and found.best != found.drawn_best
    if found.equal is not None:
        yield sign * found.equal.search > sign * found.equal.random
    else:
        yield sign * found.best > sign * found.expected
    if found.later is not None:
        yield min(sign * end for end in found.later.interval) > 0


def _is_worse_on_average(found: AgainstRandom) -> bool:
    sign = 1.0 if found.greater_is_better else -1.0
    return found.later is not None and max(sign * end for end in found.later.interval) < 0


def points(found: AgainstRandom) -> Iterator[tuple[str, str]]:
    """What is compared, and what came out, point by point."""
    yield "Best against all random ones", _best(found)
    if found.equal is not None:
        yield (
            "Best at equal counts",
            f"The first {found.equal.evaluations} evaluations of the search have a best of "
            f"{readable_score(found.equal.search)}; {found.equal.evaluations} random ones have "
            f"{readable_score(found.equal.random)}. The first generation is among both. "
            "It is one search, so there is no interval.",
        )
    else:
        yield (
            "Best at equal counts",
            "Not measured: the only random architectures are the search's own first generation. "
            "search.random_baseline draws more.",
        )
    if found.later is not None:
        yield "Average", _average(found)
    yield "Estimate", _estimate(found)


def _best(found: AgainstRandom) -> str:
    if found.is_best:
        return (
            f"The search's best is one of the {found.drawn} random ones: it found nothing better "
            "than they are. So they do not say how many architectures within the budget are better."
        )
    share = (
        f"So at most {100 * found.share:.0f} % of the architectures within the budget score "
        "better, with 95 % confidence."
    )
    if found.better:
        return (
            f"{found.better} of the {found.drawn} score better than the search's best, "
            f"{readable_score(found.best)}. {share}"
        )
    unequal = ""
    if found.evaluations > found.drawn:
        unequal = (
            f" That compares the best of {found.evaluations} with the best of {found.drawn}, and "
            "more evaluations find a better one by chance, too."
        )
    return (
        f"None of the {found.drawn} scores better than the search's best: "
        f"{readable_score(found.best)} against {readable_score(found.drawn_best)}.{unequal} {share}"
    )


def _average(found: AgainstRandom) -> str:
    later = found.later
    assert later is not None
    which = (
        f"The {later.evaluations} candidates"
        if later.evaluations == later.proposed
        else f"The first {later.evaluations} of the {later.proposed} candidates"
    )
    low, high = later.interval
    sign = 1.0 if found.greater_is_better else -1.0
    if min(sign * low, sign * high) > 0:
        meaning = "better than random ones, by more than chance"
    elif _is_worse_on_average(found):
        meaning = "worse than random ones, by more than chance"
    else:
        meaning = "the interval contains 0, so they may be no better than random ones"
    return (
        f"{which} that the search proposed after its first generation score "
        f"{signed_score(later.difference)} against the mean of the {found.drawn} random ones, "
        f"with a 95 % interval from {signed_score(low)} to {signed_score(high)} (bootstrap over "
        f"architectures): {meaning}."
    )


def _estimate(found: AgainstRandom) -> str:
    sign = 1.0 if found.greater_is_better else -1.0
    ahead = sign * found.best > sign * found.expected
    return (
        f"As many random architectures as the search evaluated, {found.evaluations}, would have a "
        f"best of about {readable_score(found.expected)} if scores were normally distributed. "
        f"The search's best, {readable_score(found.best)}, is {'' if ahead else 'not '}better than "
        "that. Only the mean and the deviation of the "
        f"{found.drawn} enter, so this is an extrapolation and no measurement."
    )
