"""Folders for tests of the report: a history with given scores, and all that the page can show."""

import io
import json
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from detnas.search.compared import ComparedNetwork, Comparison, Measured
from detnas.search.detection_errors import DetectionErrors, ErrorType
from detnas.search.finalists import Finalist, Finalists
from detnas.search.history.reading import SearchHistory
from detnas.search.history.writer import History
from detnas.search.shown_images import ShownImage, ShownImages
from search_space.architecture import Architecture
from search_space.cost import macs_table, params_table
from search_space.spaces import get_space

TINY = get_space("tiny")
SETTINGS: dict[str, Any] = {
    "space": TINY.to_dict(),
    "channel_shuffle": "even_odd",
    "budgets": [{"cost": "macs", "lower": None, "upper": 25e6, "input_size": [3, 160, 160]}],
    "strategy": {"type": "evolution", "generations": 3},
    "score": "coco/bbox_mAP",
    "greater_is_better": True,
    "seed": 7,
}
MACS, PARAMS = macs_table(TINY, (3, 160, 160)), params_table(TINY)
VOID = {"meta", "img", "br", "input"}


class Page(HTMLParser):
    """Checks that tags are closed in order; collects text and addresses outside of the page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.addresses: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = [v or "" for k, v in attrs if k in ("src", "srcset", "href", "xlink:href")]
        self.addresses += [v for v in found if not v.startswith("#")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data + " "

    @property
    def words(self) -> str:
        """The text with single spaces."""
        return " ".join(self.text.split())


def candidates(count: int, seed: int) -> list[tuple[tuple[int, ...], dict[str, float]]]:
    drawn = np.random.default_rng(seed).integers(0, 4, (count, TINY.num_blocks))
    chosen = [tuple(map(int, choices)) for choices in drawn]
    return [
        (choices, {"macs": MACS.of(choices), "params": PARAMS.of(choices)}) for choices in chosen
    ]


def build(
    folder: Path,
    scores: list[list[float | None]],
    random: tuple[float, ...] = (),
    settings: dict[str, Any] = SETTINGS,
) -> None:
    """A folder whose history has these scores; None is a failed candidate."""
    folder.mkdir(exist_ok=True)
    with History.create(folder / "history.db", settings) as history:
        for generation, listed in enumerate(scores):
            history.record_generation(generation, candidates(len(listed), generation))
        history.record_generation(0, candidates(len(random), 99), "random")
        waiting = [e for e in history.rows() if not e.settled]
        for evaluation, score in zip(waiting, [*chain(*scores), *random], strict=True):
            if score is None:
                history.record_failed(evaluation.id, "RuntimeError: <script>alert(1)</script>")
            else:
                history.record_done(evaluation.id, score, {})


CLASSES = ("red", "white <b>", "platelet")


def shown_image(name: str, missed: int | None = None) -> ShownImage:
    """A grey image with two detections, and one object."""
    jpeg = io.BytesIO()
    Image.new("RGB", (64, 48), (140, 140, 150)).save(jpeg, "JPEG")
    boxes = ((10.0, 10.0, 90.0, 70.0), (100.0, 20.0, 150.0, 110.0))
    return ShownImage(
        *(name, 160, 120, jpeg.getvalue(), boxes, (0, 1), (0.9, 0.5), boxes[:1], (0,)),
        missed=missed,
        wrong=missed,
    )


def build_all(folder: Path) -> None:
    """A finished experiment of which the page shows every part."""
    scores = np.random.default_rng(0).normal(0.3, 0.02, (4, 8)).round(4).tolist()
    build(folder, scores, random=tuple(scores[0]))
    Architecture(TINY, (0,) * 10).save(folder / "best_architecture.json")
    chosen = [row for row in SearchHistory.read(folder).ranked()[:3] if row.score is not None]
    finalists = tuple(
        Finalist(
            *(
                row.choices,
                row.score,
                (row.score,),
                row.score,
                (row.score - 0.01, row.score + 0.01),
            ),
            *(row.score - chosen[0].score, (-0.02, 0.01 - 0.02 * place), place < 1),
        )
        for place, row in enumerate(chosen)
    )
    Finalists("coco/bbox_mAP", True, (1, 2), 200, finalists).save(folder / "finalists.json")
    metrics = {"coco/bbox_mAP": 0.36} | {f"coco/{name}_precision": 0.3 for name in CLASSES}
    summary = {"test_metrics": metrics, "score": "coco/bbox_mAP"}
    (folder / "summary.json").write_text(json.dumps(summary))
    for name in ("pretrain", "search", "test"):
        (folder / name).mkdir()
        state = {"config_sha256": "", "inputs_sha256": {}, "seconds": 60.0, "spent": 20.0}
        state |= {"began": 1.7e9, "config": {"randomness": {"seed": 7}, "lr": 0.1}}
        (folder / name / "stage.json").write_text(json.dumps(state))
    runs = {"20260101_000000": (10, 20, 30), "20260101_010000": (30, 40)}
    for run, steps in runs.items():
        data = folder / "pretrain" / run / "vis_data"
        data.mkdir(parents=True)
        rows = [{"loss": 30.0 / step, "loss_cls": 9.0 / step, "step": step} for step in steps]
        (data / "scalars.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    DetectionErrors(
        *(73, 0.5, 0.1, 0.3, CLASSES, (9, 8, 7), 0.5),
        types=tuple(ErrorType(name, 5, 0.01) for name in ("Miss", "Loc", "Cls", "Dupe", "Bkg")),
        confusion=((5, 1, 0, 3), (0, 8, 0, 0), (2, 0, 1, 4), (6, 1, 0, 0)),
        worst=(shown_image("worst <i>.jpg", 2),),
        made_by="hotcoco 1.3",
    ).save(folder / "test" / "errors.json")
    ShownImages(CLASSES, 0.3, (shown_image("shown.jpg"),)).save(folder / "detections.json")
    measured = Measured(1_000_000, 9_000_000, (96, 128), 10_000, 90_000, 8.2)
    common = {"by_class": dict.fromkeys(CLASSES, 0.3), "by_size": {"small": 0.1}}
    networks = tuple(
        ComparedNetwork(
            *(name, label, None, True, 0.36 - gap, (0.34 - gap, 0.38 - gap), gap),
            difference_interval=(gap - 0.005, gap + 0.005) if gap else None,
            measured=measured,
            **common,
        )
        for name, label, gap in (
            ("found", "the found network", 0.0),
            ("other", "another one", 0.01),
        )
    )
    (folder / "compare").mkdir()
    Comparison("coco/bbox_mAP", True, 73, 200, (160, 160), "some CPU", 2, networks).save(
        folder / "compare" / "comparison.json"
    )
