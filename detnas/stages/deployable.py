"""Writes candidates of a search as whole networks with recalibrated batch norm, ready to use.

Such a folder has the weights, a config that tests them on the search split, and the architecture.
`detnas test` gives the score that the search has recorded.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import torch
from mmengine.config import Config
from msgspec import structs
from torch import Tensor

from detnas.config import load_config, save_config
from detnas.errors import UserError
from detnas.evaluation.evaluator import CandidateEvaluator
from detnas.evaluation.settings import EvaluatorSettings
from detnas.export.weights import write_network
from detnas.files import file_sha256, write_text
from detnas.models.checkpoints import read_checkpoint
from detnas.search.history.fingerprint import normalised
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.search.results import CONFIG_FILE, architecture_document
from detnas.stages.checks import check_weights
from detnas.stages.detector import MODEL_FILE
from detnas.stages.plan import SearchPlan, plan_search
from detnas.stages.searched import searched_config
from detnas.stages.test import SCORING, score_checkpoint
from search_space.architecture import Architecture, Choices

ARCHITECTURE_FILE = "architecture.json"
_KEPT = (
    *("custom_imports", "default_scope", "data_preprocessor", "env_cfg", "randomness"),
    *("unusable_boxes", "images_outside_data_root"),
)
"""Sections of a search's config that a test reads, too."""
_INPUTS = ("data", "images", "model_sha256", "metrics_sha256", "evaluator")
"""Of a fingerprint: what scores depend on besides the supernet's weights."""


@dataclass(frozen=True)
class ExportedNetwork:
    """A network that was written.

    Attributes:
        folder: with `model.pth`, `config.py` and `architecture.json`.
        recorded: the score in the history; None if the search has not scored it.
        exported: the score of what was written; None if the metric is missing.
        kept: whether it was there already.
    """

    folder: Path
    recorded: float | None
    exported: float | None
    kept: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether both scores are equal in all digits, or there is nothing to compare with."""
        return self.recorded is None or self.recorded == self.exported


class NetworkExporter:
    """Writes candidates of one search.

    Args:
        history: of the search.
        supernet: its checkpoint, where it is no longer at the path that its config names.
    Raises:
        UserError: as `searched_config` and `plan_search`.
    """

    def __init__(self, history: SearchHistory, supernet: Path | None = None) -> None:
        self._history = history
        config = searched_config(history, supernet)
        self._plan: SearchPlan = plan_search(config, history.fingerprint)
        check_weights(config, self._plan.settings.supernet)
        # Another machine may have another kind of device. Its scores differ, which is then said.
        evaluator = structs.replace(self._plan.settings.evaluator, device=None)
        self._settings: EvaluatorSettings = evaluator

    @cached_property
    def _evaluator(self) -> CandidateEvaluator:
        plan = self._plan
        return CandidateEvaluator(plan.config, plan.settings.supernet, self._settings, plan.seed)

    @cached_property
    def _dataset_meta(self) -> Mapping[str, Any] | None:
        meta: Mapping[str, Any] = read_checkpoint(self._plan.settings.supernet)["meta"]
        return meta.get("dataset_meta")

    @property
    def changed_inputs(self) -> list[str]:
        """Which inputs of scores have changed since the search, by their keys in the history."""
        recorded, now = self._history.fingerprint, normalised(self._plan.fingerprint)
        return [key for key in _INPUTS if key in recorded and recorded[key] != now[key]]

    def export(
        self, choices: Choices, row: Evaluation | None, folder: Path, keep: bool = False
    ) -> ExportedNetwork:
        """Write one network, and score what was written.

        The file that completes the folder is written last.

        Args:
            choices: of the network.
            row: its evaluation, if it has a score.
            folder: for the three files.
            keep: leave a complete folder of the same network as it is.
        Raises:
            UserError: the folder holds something else.
        """
        require_free(folder)
        recorded = None if row is None else row.score
        marker = folder / ARCHITECTURE_FILE
        if keep and row is not None:
            found = _read_complete(folder)
            if found is not None and found.items() >= self._expected(row).items():
                return ExportedNetwork(folder, recorded, found["exported_score"], kept=True)
        marker.unlink(missing_ok=True)
        architecture = self._history.architecture_of(choices)
        weights = folder / MODEL_FILE
        origin = {"calibrated_from": self._plan.settings.supernet}
        state_dict = self._calibrated_weights(choices)
        write_network(state_dict, architecture, weights, self._dataset_meta, origin)
        save_config(self._config(architecture), folder / CONFIG_FILE)
        config = load_config(folder / CONFIG_FILE)
        exported = score_checkpoint(config, weights, checked=True).get(self._history.score_name)
        document = self._document(architecture, row, exported)
        document["provenance"] |= {
            "exported_score": exported,
            "weights_sha256": file_sha256(weights),
        }
        write_text(marker, json.dumps(document, indent=2) + "\n")
        return ExportedNetwork(folder, recorded, exported)

    def _calibrated_weights(self, choices: Choices) -> dict[str, Tensor]:
        threads = torch.get_num_threads()
        try:
            return self._evaluator.calibrated_weights(choices)
        finally:
            torch.set_num_threads(threads)  # the evaluator sets its own

    def _document(
        self, architecture: Architecture, row: Evaluation | None, exported: float | None
    ) -> dict[str, Any]:
        if row is not None:
            return architecture_document(self._history, row)
        score = {"metric": self._history.score_name, "value": exported, "split": "search"}
        provenance = {"supernet_sha256": self._history.recorded("supernet_sha256")}
        return architecture.to_dict(score=score, provenance=provenance)

    def _expected(self, row: Evaluation) -> dict[str, Any]:
        """What `_read_complete` gives of a folder that was exported of this row."""
        return {
            "choices": list(self._history.architecture(row).choice_names),
            "score": row.score,
            "supernet_sha256": self._history.recorded("supernet_sha256"),
        }

    def _config(self, architecture: Architecture) -> Config:
        """A config that tests the network as the search has scored it."""
        config = self._plan.config.to_dict()
        model = config["model"]
        backbone = {
            key: value
            for key, value in model["backbone"].items()
            if key not in ("space", "channel_shuffle", "init_cfg")
        }
        backbone |= {
            "type": "DetNASNet",
            "architecture": {
                "space": architecture.space.to_dict(),
                "choices": list(architecture.choice_names),
                "channel_shuffle": architecture.channel_shuffle,
            },
            "memory_format": self._settings.memory_format,
        }
        return Config(
            {
                **{key: config[key] for key in _KEPT if config.get(key) is not None},
                "model": {**model, "backbone": backbone},
                "test_dataloader": config["val_dataloader"],
                "test_evaluator": config["val_evaluator"],
                "test_cfg": {"type": "TestLoop"},
                SCORING: _scoring(self._plan.settings.evaluator),
                "work_dir": "{{ fileDirname }}",
            }
        )


def require_free(folder: Path) -> None:
    """Refuse a folder whose files an export would replace by others.

    Raises:
        UserError: it is no folder, or has a config without an exported network.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name a folder to write to")
    if (folder / CONFIG_FILE).exists() and not (folder / MODEL_FILE).exists():
        raise UserError(
            f"{folder / CONFIG_FILE} is not of an exported network, and would be replaced: name "
            "another folder"
        )


def _scoring(settings: EvaluatorSettings) -> dict[str, Any]:
    """The settings that scores depend on once batch norm is recalibrated."""
    values: dict[str, Any] = msgspec.to_builtins(settings)
    omitted = ["calibration_images", "calibration_batch_size", "cache_mb", "device"]
    if settings.device == "cpu":
        omitted.append("tf32")
    return {k: value for k, value in values.items() if k not in omitted and value is not None}


def _read_complete(folder: Path) -> dict[str, Any] | None:
    """What a complete folder says of its network; None if it is not complete."""
    try:
        document = json.loads((folder / ARCHITECTURE_FILE).read_text(encoding="utf-8"))
        provenance = document["provenance"]
        found = {
            "choices": document["choices"],
            "score": document["score"]["value"],
            "supernet_sha256": provenance["supernet_sha256"],
            "exported_score": provenance["exported_score"],
        }
        is_whole = file_sha256(folder / MODEL_FILE) == provenance["weights_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if is_whole and (folder / CONFIG_FILE).is_file() else None
