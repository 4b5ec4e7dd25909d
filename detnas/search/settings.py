"""The `search` section of a config as typed settings, and what of it a resume may change.

Every key is read here and nowhere else; a key that nobody reads is an error naming the closest one.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from detnas.errors import UserError
from detnas.search.checks import (
    check_keys,
    from_mapping,
    require_bool,
    require_choice,
    require_int,
    require_mapping,
    require_number,
    require_text,
    split_type,
)
from detnas.search.strategies import STRATEGIES, StrategySettings
from detnas.search.strategies.evolution import EvolutionSettings
from search_space.sampling import Budget

MEMORY_FORMATS = ("channels_last", "contiguous")
DTYPES = ("float32", "float16", "bfloat16")
EXECUTORS = ("local", "processes", "ray")


@dataclass(frozen=True)
class EvaluatorSettings:
    """How one candidate is scored; all but `cache_mb` alter scores and may not change on resume.

    Attributes:
        calibration_images: training images over which BN statistics are recomputed.
        calibration_batch_size: images in one batch of that.
        threads: CPU threads of one evaluation; None keeps torch's own number.
        memory_format: "channels_last" or "contiguous".
        dtype: "float32", "float16" or "bfloat16".
        cache_mb: memory for decoded images kept between candidates, in MiB; 0 keeps none.
    """

    calibration_images: int = 500
    calibration_batch_size: int = 16
    threads: int | None = None
    memory_format: str = "channels_last"
    dtype: str = "float32"
    cache_mb: int = 2048

    def __post_init__(self) -> None:
        where = "search.evaluator"
        require_int(self.calibration_images, f"{where}.calibration_images", 1)
        require_int(self.calibration_batch_size, f"{where}.calibration_batch_size", 1)
        if self.threads is not None:
            require_int(self.threads, f"{where}.threads", 1)
        require_choice(self.memory_format, MEMORY_FORMATS, f"{where}.memory_format")
        require_choice(self.dtype, DTYPES, f"{where}.dtype")
        require_int(self.cache_mb, f"{where}.cache_mb", 0)


@dataclass(frozen=True)
class ExecutorSettings:
    """Where candidates are evaluated; never alters a score.

    Attributes:
        type: "local" in this process; "processes" in `workers` of this machine; "ray" on a Ray
            cluster.
        attempts: tries of a candidate before it is recorded as failed.
        workers: of "processes" (None: one a GPU, or as many as the CPUs have room for) and of "ray"
            (None: one a GPU of the cluster, or as its CPUs have room, growing with it).
        timeout: seconds for one try; a worker that takes longer is replaced. "local" has nobody to
            do so.
        address: of the Ray cluster; None starts one on this machine.
    """

    type: str = "local"
    attempts: int = 2
    workers: int | None = None
    timeout: float = 4 * 3600.0
    address: str | None = None

    def __post_init__(self) -> None:
        where = "search.executor"
        if self.type == "distributed":
            raise UserError(
                f"{where}.type 'distributed' has been removed: use 'processes' on one machine, "
                "'ray' on several; scripts/dist_search.sh and slurm_search.sh choose by themselves"
            )
        require_choice(self.type, EXECUTORS, f"{where}.type")
        require_int(self.attempts, f"{where}.attempts", 1)
        require_number(self.timeout, f"{where}.timeout")
        if self.timeout <= 0:
            raise UserError(f"{where}.timeout must be above 0 seconds, not {self.timeout}")
        if self.workers is not None:
            require_int(self.workers, f"{where}.workers", 1)
            self._require_type("workers", ("processes", "ray"))
        if self.address is not None:
            require_text(self.address, f"{where}.address")
            self._require_type("address", ("ray",))

    def _require_type(self, key: str, types: tuple[str, ...]) -> None:
        if self.type not in types:
            raise UserError(
                f"search.executor.{key} is for type {' and '.join(map(repr, types))}, "
                f"not {self.type!r}: leave it out"
            )


@dataclass(frozen=True)
class SearchSettings:
    """The `search` section.

    Attributes:
        supernet: path of the fine-tuned supernet's checkpoint.
        strategy: settings of the chosen strategy.
        budgets: bounds that every candidate keeps; the first one's cost breaks ties of score.
        score: the key of the evaluator's metrics that ranks candidates.
        greater_is_better: whether the highest score wins.
        evaluator: how one candidate is scored.
        executor: where.
        random_baseline: random architectures in the same budget scored after the search for
            comparison; never parents.
        start_from: what the first generation begins with: architectures (files, published names,
            "space:choices"), earlier searches' work directories.
        cost_tables: files of measured costs, as `detnas measure-latency` writes them; recorded with
            every candidate, and for budgets and objectives to use.
    """

    supernet: str
    strategy: StrategySettings = field(default_factory=EvolutionSettings)
    budgets: tuple[Budget, ...] = ()
    score: str = "coco/bbox_mAP"
    greater_is_better: bool = True
    evaluator: EvaluatorSettings = field(default_factory=EvaluatorSettings)
    executor: ExecutorSettings = field(default_factory=ExecutorSettings)
    random_baseline: int = 0
    start_from: tuple[str, ...] = ()
    cost_tables: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_text(self.supernet, "search.supernet")
        require_text(self.score, "search.score")
        require_bool(self.greater_is_better, "search.greater_is_better")
        require_int(self.random_baseline, "search.random_baseline", 0)

    @classmethod
    def from_dict(cls, section: Mapping[str, Any]) -> "SearchSettings":
        """Read a config's `search` section.

        Raises:
            ValueError: an unknown key at any depth, a missing one, or a value out of its range.
        """
        section = require_mapping(section, "search")
        check_keys(section, [item.name for item in fields(cls)], "search")
        ready: dict[str, Any] = {}
        if "strategy" in section:
            ready["strategy"] = _strategy(section["strategy"])
        if "budgets" in section:
            ready["budgets"] = _budgets(section["budgets"])
        if "evaluator" in section:
            ready["evaluator"] = from_mapping(
                EvaluatorSettings, section["evaluator"], "search.evaluator"
            )
        if "executor" in section:
            ready["executor"] = from_mapping(
                ExecutorSettings, section["executor"], "search.executor"
            )
        for key in ("start_from", "cost_tables"):
            if key in section:
                ready[key] = _texts(section[key], f"search.{key}")
        return from_mapping(cls, section, "search", **ready)

    def fingerprint(self) -> dict[str, Any]:
        """The settings that alter scores or proposals, as a history keeps them.

        The caller adds what is not in this section or stands on other files: budgets, space, seed,
        the supernet's hash, the data.
        """
        evaluator = asdict(self.evaluator)
        del evaluator["cache_mb"]
        return {
            "strategy": {"type": self.strategy.type, **asdict(self.strategy)},
            "score": self.score,
            "greater_is_better": self.greater_is_better,
            "evaluator": evaluator,
        }


def _strategy(section: object) -> StrategySettings:
    where = "search.strategy"
    name, options = split_type(section, STRATEGIES, where)
    require_choice(name, STRATEGIES, f"{where}.type")
    return from_mapping(STRATEGIES[name], options, where)


def _texts(value: object, where: str) -> tuple[str, ...]:
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise UserError(f"{where} must be a list of texts, not {value!r}")
    for i, item in enumerate(items):
        require_text(item, f"{where}[{i}]")
    return tuple(items)


def _budgets(section: object) -> tuple[Budget, ...]:
    if not isinstance(section, list | tuple):
        raise UserError(
            f"search.budgets must be a list of dicts, not {section!r}; on the command line write "
            """search.budgets=[{'cost':'macs','upper':3e8}]"""
        )
    return tuple(_budget(item, f"search.budgets[{i}]") for i, item in enumerate(section))


def _budget(section: object, where: str) -> Budget:
    values = dict(require_mapping(section, where))
    for bound in ("lower", "upper"):
        if values.get(bound) is not None:
            require_number(values[bound], f"{where}.{bound}")
    if "input_size" in values:
        values["input_size"] = _input_size(values["input_size"], f"{where}.input_size")
    return from_mapping(Budget, values, where)


def _input_size(value: object, where: str) -> tuple[int, int, int]:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise UserError(f"{where} must be (channels, height, width), not {value!r}")
    for size in value:
        require_int(size, where, 1)
    channels, height, width = value
    return channels, height, width
