"""A forecast as the lines that `detnas check` prints."""

from collections.abc import Sequence

from detnas.console import columns, duration, table
from detnas.stages.forecast.forecaster import Forecast
from detnas.stages.forecast.memory import GB


def forecast_table(forecast: Forecast, stages: Sequence[str]) -> str:
    """The machine, the networks within the budgets, and the times of the stages.

    Args:
        stages: all of the experiment's, in order; those without a time are finished.
    """
    return "\n\n".join(
        filter(None, [_machine(forecast), _networks(forecast), _times(forecast, stages)])
    )


def _machine(forecast: Forecast) -> str:
    (needed, there), (files, free) = forecast.memory, forecast.disk
    return table(
        [
            ("device", forecast.device),
            ("memory", f"{needed / GB:.1f} GB for the largest step, of {there / GB:.1f} GB"),
            ("disk", f"{files / GB:.1f} GB for checkpoints at most, of {free / GB:.1f} GB free"),
        ]
    )


def _networks(forecast: Forecast) -> str:
    if not forecast.networks:
        return ""
    within = forecast.budgets or "no budget"
    height, width = forecast.networks[0].size
    rows = [("", "MACs", f"detector's, {width}x{height}", "parameters", "detector's", "latency")]
    rows += [
        (
            each.what,
            f"{each.macs / 1e6:.1f} M",
            f"{each.detector_macs / 1e6:,.1f} M",
            f"{each.params[0] / 1e6:.2f} M",
            f"{each.params[1] / 1e6:.2f} M",
            f"{each.latency_ms:.1f} ms",
        )
        for each in forecast.networks
    ]
    head = f"  {forecast.count:,} networks within {within}; of 1,000 random ones:"
    lines = columns(rows, right=range(1, len(rows[0])))
    return "\n".join([head, *(f"  {line}" for line in lines)])


def _times(forecast: Forecast, stages: Sequence[str]) -> str:
    lines = [
        (
            stage,
            f"about {duration(forecast.seconds[stage])}"
            if stage in forecast.seconds
            else "finished",
        )
        for stage in stages
    ]
    lines.append(("all that is left", f"about {duration(sum(forecast.seconds.values()))}"))
    return table(lines)
