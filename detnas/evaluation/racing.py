"""Scores a candidate on growing shares of the search split, and stops where a race drops it.

The images of a share are added to those of the shares before it, so no image passes the network
twice. The metric of a share is computed from the detections and the ground truth of its images.
"""

from collections.abc import Sequence
from copy import copy
from math import isfinite
from typing import Any

import torch
from mmengine.evaluator import Evaluator

from detnas.evaluation.batches import Batches
from detnas.evaluation.ordered import evaluated
from detnas.search.racing import DROPPED_AT, CutOffs, Race, share_images, share_metric


class RacedScoring:
    """Scores one candidate after another in a race.

    All of a search are scored in these batches, also those that do not race, since batches of other
    images change the last digits.

    Args:
        race: the search's test.
        batches: of the whole search split.
        seed: chooses the images of the shares.
    """

    def __init__(self, race: Race, batches: Batches, seed: int) -> None:
        self._race = race
        shares = share_images(batches.images, race.settings.shares, seed)
        before = [[], *shares]
        wholes = [*shares, list(range(batches.images))]
        self._parts = [
            batches.part(sorted(set(whole) - set(known)))
            for known, whole in zip(before, wholes, strict=True)
        ]

    @torch.no_grad()
    def __call__(
        self, model: Any, metrics: Evaluator, cut_offs: CutOffs | None
    ) -> dict[str, float]:
        """The metrics of the whole split, and the score on every share.

        Of a candidate that is dropped, the scores on the shares so far and `DROPPED_AT`.

        Args:
            model: with the candidate's path, recalibrated.
            metrics: of the search split.
            cut_offs: of the shares; None computes no scores on them.
        """
        model.eval()
        for metric in metrics.metrics:  # left over from a failed evaluation
            metric.results.clear()
        shares = self._race.settings.shares
        order: list[int] = []
        on_shares: dict[str, float] = {}
        for place, part in enumerate(self._parts):
            for batch in part:
                metrics.process(data_samples=model.val_step(batch), data_batch=batch)
            order += part.order
            if place == len(shares):
                break
            if cut_offs is None:
                continue
            found = metrics_of_part(metrics, order).get(self._race.score)
            if found is None or not isfinite(found):  # such as where nothing is detected
                continue
            on_shares[share_metric(self._race.score, shares[place])] = found
            if self._race.drops(place, found, cut_offs):
                return on_shares | {DROPPED_AT: shares[place]}
        return evaluated(metrics, order) | on_shares


def metrics_of_part(metrics: Evaluator, order: Sequence[int]) -> dict[str, float]:
    """The metrics of a share's images alone, as floats; what the metrics hold stays.

    Metrics that take their ground truth from a file, as COCO's, are told the images; others have it
    with the results.

    Args:
        metrics: they hold the results of the share's images.
        order: of each result, the image's place in the split.
    """
    part = copy(metrics)
    part.metrics = [copy(metric) for metric in metrics.metrics]
    for metric in part.metrics:
        metric.results = list(metric.results)
        if any(getattr(metric, api, None) is not None for api in ("_coco_api", "_lvis_api")):
            metric.img_ids = [found["img_id"] for _, found in metric.results]
    return evaluated(part, order)
