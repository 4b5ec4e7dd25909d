"""The reference of the config keys that DetNAS adds, from its settings and registered classes."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import mmdet.registry
import mmengine.registry
from docstrings import escaped, signature_rows, struct_rows, summary, table
from mmengine.registry import Registry
from msgspec import Struct

from detnas.config import _OWN_KEYS
from detnas.evaluation.path_validation import PathValidation
from detnas.evaluation.settings import EvaluatorSettings
from detnas.models.backbones import Backbone
from detnas.search.executors.settings import ExecutorSettings
from detnas.search.racing import RacingSettings
from detnas.search.strategies import STRATEGIES
from detnas.stages.compare.plan import CompareSettings
from detnas.stages.settings import SearchSettings
from detnas.training.batch_norm_only import BatchNormOnly
from detnas.training.paths import POLICIES
from detnas.training.small_images import SmallImages
from search_space.budget import Budget
from search_space.choices import CHOICES
from search_space.compound_scaling import BackboneScaling, DetectorScaling
from search_space.cost import COSTS
from search_space.feature_graphs import FeatureGraph, Node
from search_space.spaces import SPACES, SearchSpace

HEAD = """\
# Reference: config keys

<!-- Written by scripts/docs/write_reference.py from the settings and classes. Do not edit. -->

The keys that DetNAS adds to OpenMMLab's configs, with their types, defaults and limits.
[configs.md](configs.md) explains how configs are put together. A misspelt key is refused, with the
nearest known one. "On resume" says what `--resume` may change of a search that was begun; where it
is empty, the value must stay, or what it stands for.
"""

OWN_KEYS = {
    "amp": (
        'None, "bf16" or "fp16"',
        "training in that precision ([training.md](training.md#precision))",
    ),
    "batch_norm_only": (
        "dict",
        "trains only batch norm of a supernet from some iteration on: "
        "[batch_norm_only](#batch_norm_only)",
    ),
    "compare": ("dict", "of `compare.py`: [compare](#compare)"),
    "console_level": ("text", "the least severe level that the console shows, such as `WARNING`"),
    "find_unused_parameters": (
        "True or False",
        "in training with several processes, whether parameters may get no gradient; a supernet "
        "always allows it",
    ),
    "images_outside_data_root": (
        "True or False",
        "whether annotations may name images outside `data_root`",
    ),
    "path_validation": (
        "dict",
        "scores of paths while a supernet trains: [path_validation](#path_validation)",
    ),
    "scoring": (
        "dict",
        "how `detnas test` scores: the keys of [search.evaluator](#searchevaluator)",
    ),
    "small_images": (
        "dict",
        "resizes the images of a pretraining until some iteration: [small_images](#small_images)",
    ),
    "sync_bn": (
        "text",
        '"torch" or "mmcv": SyncBN for all batch norm, on several GPUs; mmengine\'s key',
    ),
    "unusable_boxes": (
        '"drop" or "refuse"',
        "boxes of no use are left out, or stop the run ([data.md](data.md))",
    ),
}
"""What the values of `detnas.config._OWN_KEYS` are, of which no type or docstring tells."""

FIELDS = ("key", "value", "default", "meaning", "on resume")
ARGUMENTS = ("argument", "default", "meaning")

SECTIONS: tuple[tuple[str, str, type[Struct]], ...] = (
    ("search", "What `search.py` sets.", SearchSettings),
    ("search.evaluator", "How one candidate is scored.", EvaluatorSettings),
    ("search.executor", "Where candidates are evaluated; never alters a score.", ExecutorSettings),
    ("search.racing", "Candidates dropped before they are scored in full.", RacingSettings),
    ("search.budgets", "One of the list: bounds on a cost, both inclusive.", Budget),
    ("compare", "Networks that are trained and compared with the found one.", CompareSettings),
    ("path_validation", "Scores of paths while a supernet trains.", PathValidation),
    ("batch_norm_only", "Of a supernet: what its training fixes.", BatchNormOnly),
    ("small_images", "Of a pretraining: progressive resizing.", SmallImages),
    ("space", "A search space of your own, as a dict.", SearchSpace),
    ("scaling", "Of a backbone: a wider and deeper network.", BackboneScaling),
    (
        "compound",
        "The top-level keys that `compound` sets, a published model or a coefficient.",
        DetectorScaling,
    ),
    ("graph", "A feature pyramid as data, for `BiFPN`.", FeatureGraph),
    ("graph.nodes", "One of the list.", Node),
)
"""The dicts of a config, and the type that each is read into."""


def page() -> str:
    """The page as Markdown."""
    return "\n".join(_parts())


def _parts() -> Iterator[str]:
    yield HEAD
    yield "## Top-level keys\n"
    rows = [(f"`{key}`", *OWN_KEYS[key]) for key in sorted(_OWN_KEYS)]
    others = ("search", "space", "scaling", "compound", "graph")
    rows += [(f"`{key}`", "", f"[{key}](#{key})") for key in others]
    yield table(("key", "value", "meaning"), rows) + "\n"
    for name, purpose, kind in SECTIONS:
        yield f"## {name}\n\n{purpose}\n"
        yield table(FIELDS, struct_rows(kind)) + "\n"
        if name == "search":
            yield from _strategies()
    yield "## Names\n"
    known = {"spaces": SPACES, "choices": CHOICES, "costs": COSTS, "strategies": STRATEGIES}
    rows = [(kind, ", ".join(f"`{name}`" for name in names)) for kind, names in known.items()]
    yield table(("of", "names"), rows) + "\n"
    yield "## path_policy\n\nThe `type` of `path_policy`, and its arguments.\n"
    for name, function in POLICIES.items():
        yield from _described(name, function, skipped=("space", "seed"))
    yield "## Classes\n\nWhat a config may name as `type`.\n"
    yield from _described("Backbone", Backbone, ("space", "channel_shuffle", "build_block"))
    for name, kind in sorted(registered().items()):
        yield from _described(name, kind)


def _strategies() -> Iterator[str]:
    yield "## search.strategy\n\n`type` is one of these; the other keys are those of its table.\n"
    for name, kind in STRATEGIES.items():
        yield f"### strategy {name}\n\n{escaped(summary(kind))}\n"
        yield table(FIELDS, struct_rows(kind)) + "\n"


def _described(name: str, kind: Any, skipped: tuple[str, ...] = ()) -> Iterator[str]:
    yield f"### {name}\n\n{escaped(summary(kind))}\n"
    if rows := table(ARGUMENTS, signature_rows(kind, skipped)):
        yield rows + "\n"


def registered() -> dict[str, Any]:
    """The classes of DetNAS that OpenMMLab's registries know, by name."""
    for package in ("detnas.models", "detnas.training", "detnas.evaluation"):
        for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            import_module(module.name)
    registries = [
        each
        for module in (mmengine.registry, mmdet.registry)
        for each in vars(module).values()
        if isinstance(each, Registry)
    ]
    return {
        name: kind
        for registry in registries
        for name, kind in registry.module_dict.items()
        if inspect.isclass(kind) and kind.__module__.startswith("detnas.")
    }
