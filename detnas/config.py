"""Read OpenMMLab config files: overrides, references, derived values and the work directory.

A string in a config may refer to the config's top-level values and to the experiment's folder:
"{data_root}/images", "{experiment}/finetune/final.pth". A string that is one reference and nothing
else, such as "{max_iters}", becomes the value itself, with its type. "{stage_channels[-1]}" is an
item of a list and "{stage_channels[1:]}" a part of it. References are resolved after
`--cfg-options`, so an option changes every place that refers to it.

A base "detnas::_base_/models/retinanet.py" is that of the installed package, as "mmdet::..." is one
of mmdet's.

A config with a `space` gets `stage_channels` and `last_channels` from it, and from the `scaling` of
the network if there is one, unless it sets them.
"""

import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.runner import Runner

import detnas.models  # noqa: F401 - says what to install where OpenMMLab is missing
from detnas.config_keys import OWN_CONFIGS, misspelt_keys, own_config
from detnas.errors import MissingFileError, UserError, user_input
from detnas.files import replacing
from search_space.architecture import parse_architecture, parse_scaling
from search_space.compound_scaling import SETTINGS, BackboneScaling, overridden
from search_space.errors import SpaceError
from search_space.spaces import parse_space, scaled

# mmengine reads a package's index, a hundred YAML files, for each base config of that package.
config_utils.load = functools.cache(config_utils.load)


def _base_path(find: Callable[[str, str], tuple[str, str | None]], base: str, filename: str) -> Any:
    """Find a base config as mmengine does; ours belong to no scope."""
    if base.startswith(OWN_CONFIGS):
        return str(own_config(base)), None
    return find(base, filename)


Config._get_cfg_path = staticmethod(functools.partial(_base_path, Config._get_cfg_path))

_REFERENCE = re.compile(r"\{(\w+)(?:\[(?:(-?\d+)|(-?\d*):(-?\d*))\])?\}")
_DERIVED_KEYS = ("stage_channels", "last_channels")
_OWN_KEYS = (
    *("amp", "batch_norm_only", "compare", "console_level", "find_unused_parameters"),
    *("images_outside_data_root", "path_validation", "scoring", "small_images", "sync_bn"),
    "unusable_boxes",
)
_SPLITS = ("train", "val", "test", "search")
_DICTS = (
    *("model", "train_cfg", "val_cfg", "test_cfg", "optim_wrapper", "default_hooks", "env_cfg"),
    *(f"{split}_dataloader" for split in _SPLITS),
)
"""Sections that are dicts."""
_INNER_DICTS = {"model": "backbone"} | {f"{split}_dataloader": "dataset" for split in _SPLITS}
"""For sections, what of them is a dict, too."""
MOST_SEEDS = 2**32
_OF_DATASETS = ("metainfo", "filter_cfg")
_DEFAULT_HOOKS = ("timer", "logger", "param_scheduler", "checkpoint", "sampler_seed")
_LISTS = ("param_scheduler", "custom_hooks")
"""Sections that are a dict or a list of dicts."""
_REPLACED = ("space", "graph", "scaling")
"""Keys whose dicts options replace; others are merged."""
_OF_STAGES = ("auto_scale_lr", "custom_imports", "search", "space")
"""Keys that some stages read."""


def load_config(
    path: Path | str,
    options: Mapping[str, Any] | None = None,
    work_dir: Path | str | None = None,
    seed: int | None = None,
    strict: bool = True,
) -> Config:
    """Read and resolve a config file, as every command does.

    Args:
        path: a Python config of OpenMMLab's kind. It is code: never run a stranger's.
        options: overrides by dotted key, as `--cfg-options` gives them.
        work_dir: where the stage writes; None takes the config's own, or
            `work_dirs/<its folder>/<its name>`.
        seed: None takes the config's own `randomness`, or 0.
        strict: refuse options that neither the config nor mmengine's runner knows. Otherwise ignore
            them: an experiment's options may be for another of its stages.
    Returns:
        The resolved config, with `work_dir` and `randomness.seed` set.
    Raises:
        MissingFileError: there is no such file.
        UserError: it cannot be read or resolved, a key is misspelt, or an option is unknown.
    """
    path = Path(path)
    config = _read(path)
    if remark := next(misspelt_keys(path, config.to_dict(), {*_known_keys(), *_OF_STAGES}), None):
        raise UserError(remark)
    options = dict(options or {})
    for key in _unknown_options(config, options):
        if strict:
            raise UserError(
                f"--cfg-options {key}: {path} has no such key; {_closest(key, config.keys())}"
            )
        del options[key]
    _override(config, options, path)
    if work_dir is not None:
        config.work_dir = str(work_dir)
    elif config.get("work_dir") is None:
        config.work_dir = str(Path("work_dirs") / path.resolve().parent.name / path.stem)
    randomness = config.get("randomness") or {}
    _require(isinstance(randomness, Mapping), path, "randomness", randomness, "dict")
    randomness = dict(randomness)
    if seed is not None:
        randomness["seed"] = seed
    if randomness.get("seed") is None:
        randomness["seed"] = 0
    taken = randomness["seed"]
    if type(taken) is not int or not 0 <= taken < MOST_SEEDS:
        raise UserError(
            f"config {path}: seed is {taken!r}; set it to an integer >= 0 and below 2^32"
        )
    if unknown := set(randomness) - {"seed", "deterministic", "diff_rank_seed"}:
        raise UserError(f"config {path}: randomness has no key {sorted(map(str, unknown))[0]!r}")
    config.randomness = randomness
    if isinstance(config.get("image_scale"), list):  # of --cfg-options; Resize takes a tuple
        config.image_scale = tuple(config.image_scale)
    _derive_channels(config, path)
    _derive_scaling(config, path)
    resolved = Config(_resolver(config, path)(config.to_dict()), filename=str(path))
    _check_kinds(resolved, path)
    return resolved


def _check_kinds(config: Config, path: Path) -> None:
    """Refuse a section that is another kind of value than what all code expects."""
    for key in _DICTS:
        section = config.get(key)
        if section is None:
            continue
        _require(isinstance(section, Mapping), path, key, section, "dict")
        if key in _INNER_DICTS:
            inner = section.get(_INNER_DICTS[key], {})
            _require(isinstance(inner, Mapping), path, f"{key}.{_INNER_DICTS[key]}", inner, "dict")
    for key in _LISTS:
        section = config.get(key) or []
        items = [section] if isinstance(section, Mapping) else section
        is_list = isinstance(items, list | tuple) and all(isinstance(i, Mapping) for i in items)
        _require(is_list, path, key, section, "list of dicts")
    _check_inner_kinds(config, path)


_TEXTS = ("default_scope", "work_dir", "load_from", "log_level")
_INNER_KINDS: Mapping[str, tuple[str, ...]] = {
    "dict": (
        *("metainfo", "norm_cfg", "log_processor", "visualizer", "randomness", "auto_scale_lr"),
        *("env_cfg.mp_cfg", "env_cfg.cudnn_benchmark_cfg", "env_cfg.dist_cfg", "flip"),
        *(f"default_hooks.{name}" for name in _DEFAULT_HOOKS),
        *(f"{split}_dataloader.{key}" for split in _SPLITS for key in ("sampler", "batch_sampler")),
        *(f"{split}_dataloader.dataset.{key}" for split in _SPLITS for key in _OF_DATASETS),
    ),
    "list of dicts": tuple(f"{split}_dataloader.dataset.pipeline" for split in _SPLITS),
    "text": (*_TEXTS, "pretrained", *(f"{split}_dataloader.dataset.type" for split in _SPLITS)),
    "tuple of texts": ("classes",),
    "pair of sides of at least 1 pixel": ("image_scale",),
}
"""Values by what they must be; None, or none at all, is also right."""


def _is_of_kind(value: Any, kind: str) -> bool:
    if kind == "dict":
        return isinstance(value, Mapping)
    if kind == "text":
        return isinstance(value, str | Path)
    if isinstance(value, str) and kind == "tuple of texts":
        return True  # the check of data says how to write one class
    if not isinstance(value, list | tuple):
        return False
    if kind == "list of dicts":
        return all(isinstance(each, Mapping) for each in value)
    if kind == "tuple of texts":
        return all(isinstance(each, str) for each in value)
    return len(value) == 2 and all(type(side) is int and side >= 1 for side in value)


def _check_inner_kinds(config: Config, path: Path) -> None:
    for kind, keys in _INNER_KINDS.items():
        for key in keys:
            value: Any = config
            for part in key.split("."):
                value = value.get(part) if isinstance(value, Mapping | Config) else None
            if value is not None:
                _require(_is_of_kind(value, kind), path, key, value, kind)


def _require(is_met: bool, path: Path, key: str, value: Any, kind: str) -> None:
    if not is_met:
        raise UserError(f"config {path}: {key} is {value!r}; it must be a {kind}")


def _read(path: Path) -> Config:
    if not path.is_file():
        raise MissingFileError(f"config {path} does not exist")
    try:
        return Config.fromfile(str(path))
    except Exception as error:  # a config is code and may raise anything
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"config {path} cannot be read: {type(error).__name__}: {error}")


def unknown_options(path: Path | str, options: Mapping[str, Any]) -> list[str]:
    """The options whose first part neither the config nor mmengine's runner knows."""
    return _unknown_options(_read(Path(path)), options)


def _unknown_options(config: Config, options: Mapping[str, Any]) -> list[str]:
    known = {*config.keys(), *_known_keys()}
    if "space" in config:
        known.update(_DERIVED_KEYS)
    if "compound" in config:
        known.update(SETTINGS)
    return [key for key in options if _first(key) not in known]


def _known_keys() -> set[str]:
    """Keys that any stage may have."""
    return {*inspect.signature(Runner).parameters, *_OWN_KEYS}


def _first(key: str) -> str:
    return key.split(".")[0]


def _closest(option: str, known: Iterable[str]) -> str:
    match = difflib.get_close_matches(_first(option), known, n=1)
    return f"did you mean '{match[0]}'?" if match else "see docs/configs.md"


def _override(config: Config, options: Mapping[str, Any], path: Path) -> None:
    merged = deepcopy(dict(options))  # mmengine removes `_delete_` from what it merges
    for name in _REPLACED:
        if isinstance(merged.get(name), Mapping):
            value = merged.pop(name)
            config[name] = {key: each for key, each in value.items() if key != "_delete_"}
    for key in merged:
        _open_references(config, key, path)
    try:
        config.merge_from_dict(merged)
    except Exception as error:  # an option that does not fit raises errors of many types
        raise _unreadable(path, error) from error


def _open_references(config: Config, key: str, path: Path) -> None:
    """Replace the references that a dotted key passes through by their values."""
    where: Any = config
    for part in key.split(".")[:-1]:
        if not hasattr(where, "get") or part not in where:
            return
        whole = _REFERENCE.fullmatch(where[part]) if isinstance(where[part], str) else None
        if whole is not None and whole[1] in config:
            where[part] = _part(deepcopy(config[whole[1]]), whole, path)
        where = where[part]


def _derive_channels(config: Config, path: Path) -> None:
    """Set the channels that come from the config's `space`, unless the config sets them itself."""
    value = config.get("space")
    if value is None or all(key in config for key in _DERIVED_KEYS):
        return
    resolve = _resolver(config, path)
    with user_input(f"config {path}: space"):
        space = parse_space(resolve(value))
    with user_input(f"config {path}: scaling"):
        scaling = parse_scaling(resolve(config.get("scaling")))
        if scaling is None:
            scaling = _own_scaling(resolve(config.get("architecture")))
        if scaling is not None:
            space = scaled(space, scaling.width, scaling.depth)
    config.setdefault("stage_channels", [stage.channels for stage in space.stages])
    config.setdefault("last_channels", space.last_channels)


def _own_scaling(architecture: Any) -> BackboneScaling | None:
    """That of a config's architecture; mistakes in it are for the check of the model."""
    if architecture is None or (
        isinstance(architecture, str | Path) and not Path(architecture).is_file()
    ):
        return None
    with suppress(SpaceError):
        return parse_architecture(architecture).scaling
    return None


def _derive_scaling(config: Config, path: Path) -> None:
    """Set what comes from the config's `compound`, unless the config sets it itself."""
    if "compound" not in config:
        return
    resolve = _resolver(config, path)
    own = {key: resolve(config[key]) for key in SETTINGS if key in config}
    with user_input(f"config {path}: compound"):
        settings = overridden(resolve(config.compound), own)
    for key, value in settings.items():
        config.setdefault(key, value)


def _resolver(config: Config, path: Path) -> Callable[[Any], Any]:
    """A function that puts values in the place of a value's references, at any depth."""
    values = config.to_dict()
    if "work_dir" in values:
        values["experiment"] = str(Path(values["work_dir"]).parent)

    def resolve(text: str, seen: tuple[str, ...]) -> Any:
        whole = _REFERENCE.fullmatch(text)
        if whole is not None:
            return value_of(whole, seen)
        return _REFERENCE.sub(lambda match: str(value_of(match, seen)), text)

    def value_of(match: re.Match[str], seen: tuple[str, ...]) -> Any:
        name = match[1]
        if name in seen:
            raise UserError(f"config {path}: reference '{{{name}}}' refers to itself")
        if name not in values:
            return match[0]
        return _part(walk(values[name], (*seen, name)), match, path)

    def walk(value: Any, seen: tuple[str, ...] = ()) -> Any:
        if isinstance(value, str):
            return resolve(value, seen)
        if isinstance(value, Mapping):
            return {key: walk(item, seen) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(walk(item, seen) for item in value)
        return value

    return walk


def is_reference(text: str) -> bool:
    """Whether a config would put another value in the place of a part of the text."""
    return "{{" in text or _REFERENCE.search(text) is not None


def _part(value: Any, match: re.Match[str], path: Path) -> Any:
    """The item or part of the value that a reference asks for, or all of it."""
    index, start, stop = match[2], match[3], match[4]
    if index is None and start is None:
        return value
    try:
        if index is not None:
            return value[int(index)]
        return value[int(start) if start else None : int(stop) if stop else None]
    except (TypeError, LookupError) as error:
        raise UserError(f"config {path}: reference {match[0]!r}: {error}") from None


def unwrap_dataset(dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The configs of the plain datasets inside wrappers and concatenations."""
    if "datasets" in dataset:
        return [inner for part in dataset["datasets"] for inner in unwrap_dataset(part)]
    if isinstance(dataset.get("dataset"), Mapping):  # a wrapper, of any library
        return unwrap_dataset(dataset["dataset"])
    return [dict(dataset)]


def save_config(config: Config, path: Path | str) -> None:
    """Write the resolved config beside a stage's results."""
    with replacing(path) as temporary:
        config.dump(str(temporary))
