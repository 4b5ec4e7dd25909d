"""Time and memory of `detnas split` on a large COCO file, compared with reading it by `json`.

    python scripts/benchmark/split_memory.py [--megabytes 500] [--take 5000] [--folder DIR]

Writes a synthetic annotation file of the given size to a temporary folder, with the proportions of
COCO 2017 (7.3 boxes per image, polygons of two decimals, about 500 bytes per box). Runs the split,
`read_coco` and `json.loads`, each in its own process, and prints the time and the peak resident
memory of each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

BOXES_PER_IMAGE, CLASSES, SHAPES = 7.3, 80, 2000
MEGABYTE, GIBIBYTE = 1_000_000, 1 << 30

PROGRAMS = {
    "split": (
        "from pathlib import Path; from detnas.data.split import split; "
        "split([Path({file!r})], {take}, 0, Path({output!r}))"
    ),
    "read_coco": (
        "from pathlib import Path; from detnas.data.coco import read_coco; "
        "read_coco(Path({file!r}))"
    ),
    "json.loads": "import json; content = json.loads(open({file!r}, 'rb').read())",
}


def shapes(rng: np.random.Generator) -> Iterator[str]:
    """Annotation records as JSON without their ids: a polygon, its box and its area."""
    for _ in range(SHAPES):
        points = 4 + int(rng.gamma(2.0, 11.0))
        angles = np.sort(rng.uniform(0, 2 * np.pi, points))
        radii = rng.uniform(20, 90) * rng.uniform(0.8, 1.0, points)
        centre = rng.uniform(100, 500, 2)
        outline = centre + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
        (left, top), (right, bottom) = outline.min(0), outline.max(0)
        box = [left, top, right - left, bottom - top]
        values = {
            "segmentation": [outline.round(2).ravel().tolist()],
            "area": round(float(box[2] * box[3]) * 0.7, 4),
            "iscrowd": int(rng.random() < 0.01),
            "bbox": np.round(box, 2).tolist(),
            "category_id": 1 + int(CLASSES * rng.random() ** 3),
        }
        yield json.dumps(values)[1:]


def write_annotations(path: Path, size: int, rng: np.random.Generator) -> tuple[int, int]:
    """Write a COCO file of about `size` bytes; return the numbers of images and annotations."""
    ends = list(shapes(rng))
    image_bytes, box_bytes = len(image_record(0)) + 2, np.mean([len(end) for end in ends]) + 40
    images = int(size / (image_bytes + BOXES_PER_IMAGE * box_bytes))
    boxes = int(images * BOXES_PER_IMAGE)
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {"year": 2017}, "licenses": [{"id": 1, "name": "none"}], "images": [')
        write_list(file, (image_record(index) for index in range(images)))
        file.write('], "annotations": [')
        owners = rng.integers(images, size=boxes)
        records = (
            f'{{"id": {index}, "image_id": {owner}, {ends[index % SHAPES]}'
            for index, owner in enumerate(owners)
        )
        write_list(file, records)
        categories = [{"id": index, "name": f"class {index}"} for index in range(1, CLASSES + 1)]
        file.write(f'], "categories": {json.dumps(categories)}}}')
    return images, boxes


def image_record(index: int) -> str:
    """One image record with the keys of COCO."""
    name = f"{index:012d}.jpg"
    url = f"http://images.example.org/train2017/{name}"
    return (
        f'{{"license": 1, "file_name": "{name}", "coco_url": "{url}", "height": 480, "width": 640, '
        f'"date_captured": "2013-11-14 11:18:45", "flickr_url": "{url}", "id": {index}}}'
    )


def write_list(file: TextIO, records: Iterator[str]) -> None:
    """The records with commas between them."""
    separator = ""
    for record in records:
        file.write(f"{separator}{record}")
        separator = ", "


def measure(program: str) -> tuple[float, int]:
    """Run a program in a new process; return its seconds and peak resident memory in bytes."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", program])
    # Usage of this child alone; getrusage(RUSAGE_CHILDREN) gives the maximum of all children.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the program failed with status {process.returncode}: {program}")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Parse, write, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--take", type=int, default=5000)
    parser.add_argument("--folder", type=Path, help="where to write (default: the system's)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        file, output = Path(folder) / "instances.json", Path(folder) / "out"
        rng = np.random.default_rng(0)
        images, boxes = write_annotations(file, options.megabytes * MEGABYTE, rng)
        size = file.stat().st_size / MEGABYTE
        print(f"{size:.0f} MB, {images:,} images, {boxes:,} annotations", flush=True)
        for name, program in PROGRAMS.items():
            arguments = {"file": str(file), "output": str(output), "take": options.take}
            seconds, peak = measure(program.format(**arguments))
            print(f"{name:<10}  {seconds:6.1f} s  peak {peak / GIBIBYTE:5.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
