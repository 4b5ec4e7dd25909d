"""Speed of reading images from a zip and a tar, compared with a folder.

    python scripts/benchmark/archive_reading.py [--folder DIR] [--cold] [--decode]

Reads the images of a folder in random order through mmengine's file backends, as a dataset's
transform does, from the folder, a zip (stored) and a tar, in alternating rounds. Without `--folder`
it first creates JPEGs of noise of about 20 KB. Images and archives are created in the work
directory if they do not exist yet.
"""

import argparse
import os
import random
import statistics
import tarfile
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
from mmengine.fileio import get

import detnas.training  # noqa: F401 - registers the archives' backend
from detnas.data.archives import local_path, open_archive
from detnas.data.checks import folder_split
from detnas.files import replacing

PER_CLASS = 100
NOISE, SIDE = (24, 24, 3), 256  # enlarged noise of this size gives JPEGs of 20 KB


def make_images(folder: Path, images: int) -> None:
    """Write JPEGs of noise, a hundred per class."""
    rng = np.random.default_rng(0)
    for i in range(images):
        path = folder / f"class_{i // PER_CLASS:04d}" / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = cv2.resize(rng.integers(0, 256, NOISE, np.uint8), (SIDE, SIDE))
        cv2.imwrite(str(path), image)


def make_archives(folder: Path, work_dir: Path) -> dict[str, str]:
    """Pack the folder as a zip and as a tar; return the roots of all three."""
    roots = {"folder": str(folder)}
    for kind in ("zip", "tar"):
        path = work_dir / f"{folder.name}.{kind}"
        roots[kind] = f"{kind}://{path}"
        if path.exists():
            continue
        with replacing(path) as temporary:
            if kind == "tar":
                with tarfile.open(temporary, "w") as tar:
                    tar.add(folder, ".")
            else:
                with zipfile.ZipFile(temporary, "w") as archive:
                    for file in sorted(folder.rglob("*")):
                        archive.write(file, file.relative_to(folder))
    return roots


def forget(files: list[Path]) -> None:
    """Ask the kernel to drop the files from its cache."""
    os.sync()
    for file in files:
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def seconds(root: str, names: list[str], decode: bool) -> float:
    """The time to read all names."""
    start = time.perf_counter()
    for name in names:
        content = get(f"{root}/{name}")
        if decode:
            cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return time.perf_counter() - start


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="one subfolder per class (default: created)")
    parser.add_argument("--images", type=int, default=5000, help="how many to create or to read")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--decode", action="store_true", help="also decode the images")
    parser.add_argument("--cold", action="store_true", help="drop the page cache before each round")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/benchmark/archives"))
    options = parser.parse_args()
    folder = options.folder or options.work_dir / "images"
    if options.folder is None and not folder.exists():
        make_images(folder, options.images)
    options.work_dir.mkdir(parents=True, exist_ok=True)
    roots = make_archives(folder, options.work_dir)
    for kind in ("zip", "tar"):
        start = time.perf_counter()
        open_archive(local_path(roots[kind]))
        print(f"{kind}: opened in {time.perf_counter() - start:.2f} s", flush=True)
    files = list(folder_split("all", folder).images)
    names = [str(file.relative_to(folder)) for file in files]
    taken: dict[str, list[float]] = {kind: [] for kind in roots}
    for i in range(options.rounds):
        order = random.Random(i).sample(names, min(options.images, len(names)))
        for kind, root in roots.items():
            if options.cold:
                forget(files if kind == "folder" else [local_path(root)])
            taken[kind].append(seconds(root, order, options.decode) / len(order))
    base = statistics.fmean(taken["folder"])
    size = statistics.fmean(file.stat().st_size for file in files)
    print(f"{len(order)} images of {size / 1000:.0f} KB, microseconds an image:")
    for kind, times in taken.items():
        mean = statistics.fmean(times)
        print(
            f"{kind:>6}  {mean * 1e6:7.1f}  {mean / base:.2f} of the folder  "
            f"(rounds {', '.join(f'{t * 1e6:.1f}' for t in times)})"
        )


if __name__ == "__main__":
    main()
