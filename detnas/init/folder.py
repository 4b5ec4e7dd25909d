"""Writes the config files of an experiment: short ones, to be read and changed by the user."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detnas.files import write_text
from detnas.init import templates
from detnas.init.chosen import CROPS, LATENCY_FILE, NONE, RESNETS, Chosen
from detnas.init.detectors import DetectorFile
from detnas.init.schedule import Schedule, as_values
from search_space.budget import Budget
from search_space.latency import NAME as LATENCY


def write_configs(folder: Path, chosen: Chosen) -> None:
    """Write the config files into an existing folder; earlier ones of the same names go."""
    for name, text in config_files(chosen).items():
        write_text(folder / name, text)


def config_files(chosen: Chosen) -> dict[str, str]:
    """The text of each config file by its name."""
    files = {
        "data.py": templates.DATA.substitute(
            classes=_listed(chosen.classes),
            folders=_image_folders(chosen.image_folders),
            size=repr(chosen.size),
            batch=chosen.batch,
            workers=chosen.workers,
            annotations=_annotations(chosen.detector),
        ),
        "space.py": _space(chosen),
        "model.py": chosen.detector.text,
        "detector.py": _detector(chosen),
        "finetune.py": _finetune(chosen),
        "search.py": _search(chosen),
        "retrain.py": templates.RETRAIN.substitute(as_values(chosen.schedule)),
        "compare.py": _compare(chosen),
    }
    if chosen.pretrains:
        files["pretrain.py"] = _pretrain(chosen)
    for name, weights in chosen.stock.items():
        files[f"{name}.py"] = _stock(name, weights, chosen.schedule)
    return files


def _listed(names: Sequence[str]) -> str:
    body = "".join(f"    {_text(name)},\n" for name in names)
    return f"(\n{body})"


def _text(value: str) -> str:
    """A text as code, in the quotes of the other configs."""
    return json.dumps(value, ensure_ascii=False)


def _image_folders(folders: tuple[Path, Path]) -> str:
    train, val = (_text(str(folder)) for folder in folders)
    if train == val:
        return f"train_folder = search_folder = test_folder = {train}"
    return f"train_folder = search_folder = {train}\ntest_folder = {val}"


def _annotations(detector: DetectorFile) -> str:
    if not detector.with_mask:
        return ""
    return 'annotations = dict(with_mask=True)\ntest_evaluator = dict(metric=["bbox", "segm"])\n'


def _number(value: float) -> str:
    """A number as code, all its digits: 263_000_000."""
    return f"{int(value):_}" if value == int(value) else repr(value)


def _space(chosen: Chosen) -> str:
    lines = [
        "# What is searched, and within which budget. Spaces: small-skip, small, elastic,",
        "# tiny-skip, tiny, large, or one of them in another width, such as small@0.5.",
    ]
    lines.append(f"space = {_dict(chosen.space)}")
    if chosen.macs is not None:
        lines.append(
            f"macs_budget = {_number(chosen.macs)}  # multiply-adds of the backbone at 224x224"
        )
    return "\n".join(lines) + "\n"


def _detector(chosen: Chosen) -> str:
    bases = [
        "./model.py",
        "./space.py",
        "./data.py",
        "detnas::_base_/preprocessing/imagenet.py",
        "detnas::_base_/schedules/detection.py",
        *_runtime(chosen),
    ]
    text = f"# What fine-tuning, search and retraining share.\n{_bases(bases)}"
    text += "".join(f"{line}\n" for line in chosen.narrow)
    return text + _optimizer(chosen)


def _optimizer(chosen: Chosen) -> str:
    """SGD's learning rate, or the optimiser that the detector's authors use."""
    wrapper = chosen.detector.optimizer
    if wrapper is None:
        return f"lr = {0.02 * chosen.batch / 8:.4g}  # of SGD, for {chosen.batch} images a step\n"
    base = chosen.detector.optimizer_batch
    optimizer = dict(wrapper["optimizer"])
    note = ""
    if optimizer.get("lr"):
        # Adam's steps have the same length for any gradient, so their noise decides: a root.
        optimizer["lr"] = float(f"{optimizer['lr'] * (chosen.batch / base) ** 0.5:.2g}")
        note = f"# As its authors train it; their lr is for {base} images.\n"
    return f"{note}optim_wrapper = {_dict({'_delete_': True, **wrapper, 'optimizer': optimizer})}\n"


def _dict(value: Any) -> str:
    """A value as code, with `dict(...)` for mappings."""
    if isinstance(value, Mapping):
        return "dict(" + ", ".join(f"{key}={_dict(each)}" for key, each in value.items()) + ")"
    return _text(value) if isinstance(value, str) else repr(value)


def _runtime(chosen: Chosen) -> list[str]:
    scalars = ["detnas::_base_/tensorboard.py"] if chosen.scalars else []
    return ["detnas::_base_/runtime.py", *scalars]


def _bases(names: Sequence[str]) -> str:
    body = "".join(f'    "{name}",\n' for name in names)
    return f"_base_ = [\n{body}]\n"


def _pretrain(chosen: Chosen) -> str:
    bases = [
        "detnas::_base_/models/classifier.py",
        "detnas::_base_/backbones/supernet.py",
        "./space.py",
        "detnas::_base_/preprocessing/imagenet.py",
        "detnas::_base_/datasets/image_folder.py",
        "detnas::_base_/schedules/classification.py",
        *_runtime(chosen),
    ]
    values = as_values(chosen.schedule)
    root = "{{ fileDirname }}/" + CROPS if chosen.pretrained == CROPS else chosen.pretrained
    what = "crops of your objects" if chosen.pretrained == CROPS else "the images of a folder"
    return templates.PRETRAIN.substitute(
        values,
        what=what,
        bases=_bases(bases),
        root=root,
        classes=chosen.pretrain_classes,
        workers=chosen.workers,
        interval=max(1, chosen.schedule.pretrain // 3),
    )


def _finetune(chosen: Chosen) -> str:
    values = as_values(chosen.schedule)
    if chosen.pretrains:
        start = 'pretrained = "{experiment}/pretrain/final.pth"'
    elif chosen.pretrained == NONE:
        start = (
            f"path_warmup_iters = {round(0.5 * chosen.schedule.finetune)}"
            "  # the path of 3x3 blocks alone, for nothing was pretrained"
        )
    else:
        start = f"pretrained = {_text(chosen.pretrained)}"
    return templates.FINETUNE.substitute(values, start=start)


def _search(chosen: Chosen) -> str:
    return templates.SEARCH.substitute(
        as_values(chosen.schedule), budgets=_budgets(chosen.budgets, chosen.macs)
    )


def _budgets(budgets: Sequence[Budget], macs: float | None) -> str:
    if macs is not None:
        return ""
    rows = []
    for each in budgets:
        bounds = {"cost": each.cost, "lower": each.lower, "upper": each.upper}
        if each.cost == "macs":
            bounds["input_size"] = tuple(each.input_size)  # type: ignore[assignment]
        rows.append(_dict({key: value for key, value in bounds.items() if value is not None}))
    text = f"    budgets=[{', '.join(rows)}],\n"
    if any(each.cost == LATENCY for each in budgets):
        text += f'    cost_tables=["{{{{ fileDirname }}}}/{LATENCY_FILE}"],\n'
    return text


def _compare(chosen: Chosen) -> str:
    stock = ""
    if chosen.stock:
        each = ", ".join(f'{name}="{{{{ fileDirname }}}}/{name}.py"' for name in chosen.stock)
        stock = f", stock=dict({each})"
    return templates.COMPARE.substitute(stock=stock)


def _stock(name: str, weights: str | None, schedule: Schedule) -> str:
    depth, channels = RESNETS[name]
    checkpoint = f"torchvision://{name}" if weights is None else weights
    start = f'init_cfg=dict(type="Pretrained", checkpoint={_text(checkpoint)}),'
    if weights == NONE:
        start = "init_cfg=None,"
    return templates.STOCK.substitute(
        as_values(schedule), name=name, depth=depth, channels=repr(channels), start=start
    )
