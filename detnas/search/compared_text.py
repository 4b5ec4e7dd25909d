"""What a comparison with other networks says: its verdict, and its table as texts."""

from collections.abc import Iterable, Mapping

from detnas.search.compared import FOUND, ComparedNetwork, Comparison
from detnas.search.finalists import Interval

ONE_TRAINING = (
    "Each network was trained once: the intervals are over test images, and do not contain how "
    "much another seed would change."
)


ENOUGH_IMAGES = 20
"""With fewer test images a bootstrap over them says nothing."""


def verdict(comparison: Comparison) -> tuple[str, ...]:
    """Whether the found network is better, as a sentence for each other network, and a caveat.

    It scores better or worse only where the paired interval of the difference excludes 0, of
    enough images.
    """
    sentences = [_verdict_on(each, comparison) for each in comparison.others]
    return (*sentences, ONE_TRAINING) if sentences else ("There is no other network to compare.",)


def _verdict_on(other: ComparedNetwork, comparison: Comparison) -> str:
    interval = other.difference_interval
    sign = 1 if comparison.greater_is_better else -1
    if interval is None:
        text = "has no interval of its difference to"
    elif comparison.images < ENOUGH_IMAGES:
        text = f"cannot be told from so few test images (fewer than {ENOUGH_IMAGES}) to differ from"
    elif min(sign * interval[0], sign * interval[1]) > 0:
        text = "scores better than"
    elif max(sign * interval[0], sign * interval[1]) < 0:
        text = "scores worse than"
    else:
        text = "is not shown to be better than"
    within = "" if interval is None else f" ({interval[0]:+.3f} to {interval[1]:+.3f})"
    return (
        f"The found network {text} {other.label}: {comparison.found.score:.3f} against "
        f"{other.score:.3f}, difference {other.difference:+.3f}{within} over {comparison.images} "
        "images, one training each."
    )


HEAD = (
    *("network", "test", "95 % interval", "found minus this", "its 95 % interval"),
    *("MACs, backbone", "MACs, detector", "parameters, backbone", "parameters, detector"),
    "latency, detector",
)


def rows_of(comparison: Comparison, classes: int) -> list[tuple[str, ...]]:
    """The comparison as a table of texts, its head first; a row for each network.

    Args:
        comparison: it.
        classes: with more than so many classes, their scores are left out.
    """
    sizes = _keys(each.by_size for each in comparison.networks)
    labels = _keys(each.by_class for each in comparison.networks)
    labels = labels if len(labels) <= classes else []
    head = (*HEAD, *(f"AP, {size}" for size in sizes), *(f"AP, {label}" for label in labels))
    rows = [head]
    for each in comparison.networks:
        costs = each.measured
        height, width = costs.detector_size
        is_found = each.name == FOUND
        label = each.label + (" (outside the budget)" if each.is_within_budget is False else "")
        rows.append(
            (
                *(label, f"{each.score:.4f}", _shown(each.interval)),
                "" if is_found else f"{each.difference:+.4f}",
                "" if is_found else _shown(each.difference_interval, "+"),
                *(_millions(costs.backbone_macs), _millions(costs.detector_macs)),
                *(_millions(costs.backbone_params), _millions(costs.detector_params)),
                f"{costs.latency_ms:.1f} ms at {width}x{height}",
                *(_score(each.by_size.get(size)) for size in sizes),
                *(_score(each.by_class.get(name)) for name in labels),
            )
        )
    return rows


def _keys(values: Iterable[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(key for each in values for key in each))


def _shown(interval: Interval | None, sign: str = "") -> str:
    return "none" if interval is None else "{:{s}.4f} to {:{s}.4f}".format(*interval, s=sign)


def _millions(count: int) -> str:
    return f"{count / 1e6:,.2f}M"


def _score(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def conditions(comparison: Comparison) -> str:
    """What the numbers of the table are of, in one line."""
    height, width = comparison.backbone_size
    source = f", intervals from {comparison.resamples} resampled sets of them"
    return (
        f"{comparison.metric} over {comparison.images} test images"
        f"{source if comparison.resamples else ''}; MACs of the backbone at {width}x{height}; "
        f"latency of the detector, one image, on {comparison.device}, "
        f"{comparison.threads} threads; sizes of images are width x height"
    )
