"""The candidate evaluator as workers build it: from what the coordinator sent, never their own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detnas.errors import MissingFileError, UserError
from detnas.search.settings import EvaluatorSettings


@dataclass(frozen=True)
class MakeCandidateEvaluator:
    """Builds the evaluator wherever a worker is; see `executors.base.MakeEvaluate`.

    Importing this module imports no torch, so that a worker may choose its device first.

    Attributes:
        config: the resolved config as a plain dict.
        supernet: the checkpoint's path.
        settings: with the number of threads decided.
        seed: chooses the calibration images.
        hashes: what `detnas.search.inputs.input_hashes` gave the coordinator.
        versions: what `detnas.search.inputs.versions` gave it.
        folder: the coordinator's working directory, from which the config's paths go.
    """

    config: Mapping[str, Any]
    supernet: str
    settings: EvaluatorSettings
    seed: int
    hashes: Mapping[str, Any]
    versions: Mapping[str, str]
    folder: str

    def __call__(self) -> Any:
        """The `CandidateEvaluator`.

        Raises:
            ValueError: this machine has other versions, weights or data than the coordinator.
            FileNotFoundError: it lacks the folder, the weights or the data.
        """
        from mmengine.config import Config
        from mmengine.utils import import_modules_from_strings

        from detnas.evaluation.evaluator import CandidateEvaluator
        from detnas.search.inputs import input_hashes, versions

        self._require_equal(versions(), self.versions, "install the coordinator's version")
        if not Path(self.folder).is_dir():
            raise MissingFileError(
                f"the search's folder {self.folder} does not exist on this machine; workers need "
                "the coordinator's files under the same paths, as on a shared filesystem"
            )
        os.chdir(self.folder)
        config = Config(dict(self.config))
        if config.get("custom_imports"):
            import_modules_from_strings(**config.custom_imports)
        hashes = input_hashes(config, self.supernet)
        self._require_equal(hashes, self.hashes, "give it the coordinator's files")
        return CandidateEvaluator(config, self.supernet, self.settings, self.seed)

    def _require_equal(self, here: Mapping[str, Any], there: Mapping[str, Any], mend: str) -> None:
        for name, value in there.items():
            if here[name] != value:
                raise UserError(
                    f"{name} is {here[name]} on this worker and {value} at the coordinator: {mend}"
                )
