"""Compares our EfficientDet with the public PyTorch port: raw outputs, detections, losses.

    python scripts/benchmark/efficientdet_port.py write d0 512 512 FILE  # with effdet
    python scripts/benchmark/efficientdet_port.py compare FILE           # with DetNAS

The port (effdet 0.4.1, with timm) and mmdet need not share an environment: "write" imports neither
DetNAS nor OpenMMLab. Weights are random, a function of their names alone, with batch norm's
statistics of one batch. tests/data/efficientdet_d0.pt was written by `write d0 128 256 FILE
--classes 2 --seed-only`: a small file, without weights.
"""

import argparse
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

BOXES = ((20.0, 30.0, 120.0, 100.0), (64.0, 10.0, 90.0, 60.0), (5.0, 70.0, 61.0, 127.0))
"""Objects of the losses, x1, y1, x2, y2 in pixels; their classes are 0, 1, 0."""


def random_value(name: str, shape: tuple[int, ...]) -> Tensor:
    """A parameter's value, by its name in the port."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("edge_weights"):
        value = generator.uniform(-0.2, 1.5, shape)
    elif name.endswith(".bias"):
        value = generator.normal(-2.0 if "class_net.predict" in name else 0.0, 0.1, shape)
    elif len(shape) == 1:
        value = generator.uniform(0.8, 1.2, shape)
    else:
        scale = 0.2 if "box_net.predict" in name else 1.0  # boxes near their anchors
        value = generator.normal(0.0, scale * float(np.prod(shape[1:])) ** -0.5, shape)
    return torch.tensor(value, dtype=torch.float32)


def fill(values: Mapping[str, Tensor]) -> None:
    """Set parameters, by their names in the port, to `random_value`."""
    with torch.no_grad():
        for name, value in values.items():
            value.copy_(random_value(name, tuple(value.shape)))


def image(height: int, width: int) -> Tensor:
    """Random pixels, (2, 3, height, width)."""
    generator = np.random.default_rng(7)
    return torch.tensor(generator.normal(size=(2, 3, height, width)), dtype=torch.float32)


def calibrate(network: nn.Module, x: Tensor) -> None:
    """Give batch norms the statistics of one batch, so that activations stay moderate."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(x)
    network.eval()


def write(options: argparse.Namespace) -> None:
    """Run the port."""
    from effdet import DetBenchPredict, DetBenchTrain, EfficientDet, get_efficientdet_config

    config = get_efficientdet_config(f"tf_efficientdet_{options.model}")
    config.image_size = (options.height, options.width)
    config.num_classes = options.classes
    config.backbone_args.drop_path_rate = 0.0  # so that calibration is deterministic
    network = EfficientDet(config, pretrained_backbone=False)
    fill(dict(network.named_parameters()))
    x = image(options.height, options.width)
    calibrate(network, x)
    with torch.no_grad():
        classes, boxes = network(x)
        info = {
            "img_scale": torch.ones(2),
            "img_size": torch.tensor([[float(options.width), float(options.height)]] * 2),
        }
        detections = DetBenchPredict(network)(x, info)
        target = {
            "bbox": [torch.tensor([(b[1], b[0], b[3], b[2]) for b in BOXES])] * 2,
            "cls": [torch.tensor([1.0, 2.0, 1.0])] * 2,
        }
        losses = DetBenchTrain(network).eval()(x, {**target, **info})
    content = {
        "model": options.model,
        "size": (options.height, options.width),
        "num_classes": options.classes,
        "classes": classes,
        "boxes": boxes,
        "detections": detections,
        "losses": {name: float(losses[name]) for name in ("class_loss", "box_loss")},
    }
    if options.seed_only:
        content["shapes"] = {k: tuple(v.shape) for k, v in network.named_parameters()}
    else:
        content["state_dict"] = network.state_dict()
    torch.save(content, options.file)


def build(model: str, num_classes: int) -> Any:
    """Our detector, as its config has it."""
    from mmengine.registry import MODELS, init_default_scope

    import detnas.models  # noqa: F401
    from detnas.config import load_config

    path = Path(__file__).parents[2] / f"configs/efficientdet/efficientdet_{model}_coco.py"
    options = {"num_classes": num_classes, "norm_cfg.type": "BN", "drop_path_rate": 0.0}
    init_default_scope("mmdet")
    return MODELS.build(load_config(path, options).model)


def differences(content: Mapping[str, Any]) -> dict[str, float]:
    """The largest absolute difference of each output from the port's."""
    from mmdet.structures import DetDataSample
    from mmengine.config import ConfigDict
    from mmengine.structures import InstanceData

    import detnas.models  # noqa: F401 - first: it provides mmcv's operators
    from detnas.export.efficientdet import port_order, renamed

    detector = build(content["model"], content["num_classes"])
    x = image(*content["size"])
    if "state_dict" in content:
        detector.load_state_dict(renamed(content["state_dict"], content["model"]))
        detector.eval()
    else:
        values = {name: random_value(name, shape) for name, shape in content["shapes"].items()}
        detector.load_state_dict(renamed(values, content["model"]), strict=False)
        calibrate(detector, x)
    height, width = content["size"]
    meta = {"img_shape": (height, width), "scale_factor": (1.0, 1.0), "ori_shape": (height, width)}
    head = detector.bbox_head
    with torch.no_grad():
        classes, boxes = detector(x)
        # The port has no threshold, and keeps boxes that clipping to the image has made empty.
        test_cfg = ConfigDict({**head.test_cfg, "score_thr": 0.0, "min_bbox_size": -1})
        found = head.predict_by_feat(classes, boxes, batch_img_metas=[meta] * 2, cfg=test_cfg)
        objects = InstanceData(bboxes=torch.tensor(BOXES), labels=torch.tensor([0, 1, 0]))
        sample = DetDataSample(
            metainfo={**meta, "pad_shape": (height, width)}, gt_instances=objects
        )
        losses = head.loss_by_feat(classes, boxes, [sample.gt_instances] * 2, [sample.metainfo] * 2)
    pairs = [
        pair
        for result, theirs in zip(found, content["detections"], strict=True)
        for pair in matched(result, theirs)
    ]
    positives = float(sum(number_of_positives(head, classes, sample)))
    scale = (positives + 1) / positives  # the port divides by the number of positives + 1
    return {
        "class logits": largest(classes, content["classes"]),
        "box deltas": largest(boxes, [port_order(each) for each in content["boxes"]]),
        "detections: scores": max(score for score, _ in pairs),
        "detections: boxes (pixels)": max(box for _, box in pairs),
        "class loss": abs(float(sum(losses["loss_cls"])) / scale - content["losses"]["class_loss"]),
        "box loss": abs(
            float(sum(losses["loss_bbox"])) / scale - 50 * content["losses"]["box_loss"]
        ),
    }


def matched(ours: Any, theirs: Tensor) -> list[tuple[float, float]]:
    """For each of our detections how far the port's nearest of its class is: in score, in pixels.

    Detections with equal scores to the last digits may have changed places.
    """
    distances = []
    for box, score, label in zip(ours.bboxes, ours.scores, ours.labels, strict=True):
        same = theirs[theirs[:, 5] == label + 1]
        pixels, scores = (same[:, :4] - box).abs().amax(1), (same[:, 4] - score).abs()
        nearest = int((pixels + 100 * scores).argmin())
        distances.append((float(scores[nearest]), float(pixels[nearest])))
    return distances


def number_of_positives(head: Any, maps: list[Tensor], sample: Any) -> list[int]:
    """Anchors that are assigned to an object, of both images."""
    sizes = [x.shape[-2:] for x in maps]
    anchors, flags = head.get_anchors(sizes, [sample.metainfo] * 2, device="cpu")
    targets = head.get_targets(anchors, flags, [sample.gt_instances] * 2, [sample.metainfo] * 2)
    return [int(targets[-1])]


def largest(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """The largest difference over all levels."""
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))


def compare(options: argparse.Namespace) -> None:
    """Print a table."""
    content = torch.load(options.file)
    print(f"{content['model']} at {content['size'][0]}x{content['size'][1]}")
    for name, value in differences(content).items():
        print(f"  {name:<28} {value:.2e}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    writing = commands.add_parser("write")
    writing.add_argument("model")
    writing.add_argument("height", type=int)
    writing.add_argument("width", type=int)
    writing.add_argument("file", type=Path)
    writing.add_argument("--classes", type=int, default=90)
    writing.add_argument("--seed-only", action="store_true")
    writing.set_defaults(run=write)
    comparing = commands.add_parser("compare")
    comparing.add_argument("file", type=Path)
    comparing.set_defaults(run=compare)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
