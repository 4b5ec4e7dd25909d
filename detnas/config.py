"""Configs in: OpenMMLab config files, with overrides, references and a work directory.

A string in a config may refer to the config's own top-level values and to the experiment's folder:
"{data_root}/images", "{experiment}/finetune/final.pth"; one that is a reference alone, such as
"{max_iters}", becomes the value itself, of whatever type; "{stage_channels[-1]}" and
"{stage_channels[1:]}" are an item and a part of a list. References are resolved after
`--cfg-options`, so one option changes every place that stands on it.
"""

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

import detnas.models  # noqa: F401 - says what to install where OpenMMLab is missing
from detnas.errors import MissingFileError, UserError
from detnas.files import replacing

_REFERENCE = re.compile(r"\{(\w+)(?:\[(?:(-?\d+)|(-?\d*):(-?\d*))\])?\}")
_OWN_KEYS = ("amp", "console_level", "find_unused_parameters", "sync_bn")
_WRAPPERS = ("RepeatDataset", "ClassBalancedDataset", "MultiImageMixDataset", "SeededDataset")


class UnknownOptionError(UserError):
    """An override of a key that nobody reads."""


def load_config(
    path: Path | str,
    options: Mapping[str, Any] | None = None,
    work_dir: Path | str | None = None,
    seed: int | None = None,
    strict: bool = True,
) -> Config:
    """Read a config file as every command does.

    Args:
        path: a Python config of OpenMMLab's kind. It is code: run none received from a stranger.
        options: overrides by dotted key, as `--cfg-options` gives them.
        work_dir: where the stage writes; None takes the config's own, or
            `work_dirs/<its folder>/<its name>`.
        seed: None takes the config's own `randomness`, or 0.
        strict: refuse options that neither the config nor mmengine's runner knows; else leave
            them out, as an experiment's options that are for another of its stages.
    Returns:
        The resolved config, with `work_dir` and `randomness.seed` set.
    Raises:
        FileNotFoundError, ValueError: there is no such file, or it cannot be read or resolved.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"config {path} does not exist")
    try:
        config = Config.fromfile(str(path))
        options = dict(options or {})
        unknown = _unknown_options(config, options)
        if unknown and strict:
            raise UnknownOptionError(
                f"--cfg-options {unknown[0]}: {path} has no such key; "
                + _closest(unknown[0], config.keys())
            )
        options = {key: value for key, value in options.items() if key not in unknown}
        if options:
            for key in options:
                _open_references(config, key)
            config.merge_from_dict(options)
    except UnknownOptionError:
        raise
    except Exception as error:  # a config is code and may raise anything
        raise UserError(f"config {path} cannot be read: {type(error).__name__}: {error}") from error
    if work_dir is not None:
        config.work_dir = str(work_dir)
    elif config.get("work_dir") is None:
        config.work_dir = str(Path("work_dirs") / path.resolve().parent.name / path.stem)
    randomness = dict(config.get("randomness") or {})
    if seed is not None:
        randomness["seed"] = seed
    if randomness.get("seed") is None:
        randomness["seed"] = 0
    config.randomness = randomness
    return _resolved(config, path)


def unknown_options(path: Path | str, options: Mapping[str, Any]) -> list[str]:
    """Those of the options whose first part neither the config nor mmengine's runner knows."""
    return _unknown_options(Config.fromfile(str(path)), options)


def _unknown_options(config: Config, options: Mapping[str, Any]) -> list[str]:
    known = {*config.keys(), *inspect.signature(Runner).parameters, *_OWN_KEYS}
    return [key for key in options if key.split(".")[0] not in known]


def _closest(option: str, known: Iterable[str]) -> str:
    first = option.split(".")[0]
    match = difflib.get_close_matches(first, known, n=1)
    return f"did you mean '{match[0]}'?" if match else "see docs/configs.md"


def _open_references(config: Config, key: str) -> None:
    """Put values in the place of the references that a dotted key goes through."""
    where: Any = config
    for part in key.split(".")[:-1]:
        if not hasattr(where, "get") or part not in where:
            return
        whole = _REFERENCE.fullmatch(where[part]) if isinstance(where[part], str) else None
        if whole is not None and whole[1] in config:
            where[part] = _part(deepcopy(config[whole[1]]), whole, Path(key))
        where = where[part]


def _resolved(config: Config, path: Path) -> Config:
    values = config.to_dict()
    values["experiment"] = str(Path(config.work_dir).parent)

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

    return Config(walk(config.to_dict()), filename=str(path))


def _part(value: Any, match: re.Match[str], path: Path) -> Any:
    """The item or slice of a value that a reference names; the value where it names none."""
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
    if dataset.get("type") in _WRAPPERS:
        return unwrap_dataset(dataset["dataset"])
    return [dict(dataset)]


def save_config(config: Config, path: Path | str) -> None:
    """Write the resolved config beside a stage's results."""
    with replacing(path) as temporary:
        config.dump(str(temporary))
