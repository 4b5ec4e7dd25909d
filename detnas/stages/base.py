"""What a stage of an experiment is: checked, identified by its config and inputs, run."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mmengine.config import Config

from detnas.errors import MissingFileError, UserError, user_input
from detnas.files import file_sha256
from search_space.architecture import Architecture

ARCHITECTURE = "architecture"
OF_THE_MODEL = ("model", "data_preprocessor", "space", "default_scope", "custom_imports")
"""Sections that every stage reads."""


def _described(file: Path) -> str:
    """The SHA-256 of the architecture in a file: space, choices, channel shuffle."""
    with user_input():
        architecture = Architecture.load(file).network
    space, shuffle = architecture.space.to_dict(), architecture.channel_shuffle
    text = json.dumps([space, architecture.choices, shuffle])
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Stage(ABC):
    """One stage of an experiment.

    Attributes:
        name: such as "finetune".
        config: the resolved config; its `work_dir` is the stage's own folder.
        overrides: of the config, for stages that read other configs, too.
    """

    name: str
    config: Config
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def work_dir(self) -> Path:
        """Where the stage writes."""
        return Path(self.config.work_dir)

    @property
    def experiment_dir(self) -> Path:
        """The work directory of the experiment."""
        return self.work_dir.parent

    @property
    def is_classifier(self) -> bool:
        """Whether its model is a classifier, not a detector."""
        return "num_classes" in self.config.model.get("head", {})

    @abstractmethod
    def check(self) -> float:
        """Check what can be checked before the stages before it have run.

        Returns:
            How many multiply-adds each process of the stage takes, about, to estimate its time by
            that of a stage of the same kind; 0 where that is not known.
        Raises:
            UserError: invalid data, settings or checkpoints.
        """

    @abstractmethod
    def run(self, quiet: bool, later: float | None = None) -> None:
        """Run the stage, or resume it.

        Args:
            quiet: replace logs by short progress lines.
            later: how long the stages after it take, in terms of its own time; None if that is not
                known.
        """

    @abstractmethod
    def named_inputs(self) -> Mapping[str, Any]:
        """The values of the config that may name files the stage starts from."""

    def inputs(self) -> dict[str, Path]:
        """Files of other stages, or of other experiments, that the stage starts from."""
        files = dict(self.named_inputs())
        architecture = self.config.model.backbone.get("architecture")
        if isinstance(architecture, str) and architecture.endswith(".json"):
            files[ARCHITECTURE] = architecture
        return {
            name: Path(os.path.normpath(file))
            for name, file in files.items()
            if isinstance(file, str) and "://" not in file
        }

    def input_hashes(self) -> dict[str, str]:
        """The SHA-256 of each of `inputs`; of an architecture, that of what its file describes.

        So a score or a provenance written anew is the same input.

        Raises:
            MissingFileError: one of them does not exist.
        """
        hashes = {}
        for name, file in self.inputs().items():
            if not file.is_file():
                raise MissingFileError(
                    f"{file}, which stage '{self.name}' starts from, does not exist: run the stage "
                    "that makes it first, or name another by --cfg-options"
                )
            hashes[name] = _described(file) if name == ARCHITECTURE else file_sha256(file)
        return hashes

    def changed_inputs(self, earlier: Mapping[str, str], later: Mapping[str, str]) -> list[str]:
        """The names of the inputs that have changed, by their `input_hashes`.

        Up to version 0.1 that of an architecture was of the file itself.
        """
        changed = [name for name in {**earlier, **later} if earlier.get(name) != later.get(name)]
        both = ARCHITECTURE in earlier and ARCHITECTURE in later
        if both and earlier[ARCHITECTURE] == file_sha256(self.inputs()[ARCHITECTURE]):
            return [name for name in changed if name != ARCHITECTURE]
        return changed

    reads: ClassVar[tuple[str, ...]]
    """Sections of the config that decide the result; the others may change once it has begun."""

    def identity(self) -> dict[str, Any]:
        """What of the config may not change once the stage has begun."""
        identity: dict[str, Any] = self.config.to_dict()
        return identity

    def has_nothing(self) -> bool:
        """Whether a begun stage has no result yet, so that it may go on with other values."""
        return False

    def has_grown(self) -> bool:
        """Whether the config asks for more than the finished stage has done."""
        return False


def require_shared_weights(retrain: Stage) -> None:
    """Refuse a recipe for many networks that starts from weights of one architecture.

    Raises:
        UserError: it starts from the experiment's stage `pretrain_subnet`.
    """
    own = retrain.experiment_dir / "pretrain_subnet"
    for name, file in retrain.inputs().items():
        if file.is_relative_to(own):
            raise UserError(
                f"retraining starts from {file} ({name}), weights of one architecture, which do "
                "not fit others: name weights of a supernet, or none, such as "
                "--cfg-options pretrained=SUPERNET.pth"
            )
