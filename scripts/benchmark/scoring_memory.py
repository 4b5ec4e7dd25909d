"""Memory of the workers of one machine that score the same images, together.

    python scripts/benchmark/scoring_memory.py [--images 1000] [--workers 1 8] [--json FILE]

Images of COCO's size, resized to 1333x800. Each worker is a process that holds the decoded images
as a search's workers do, shared in a file, or each in its own memory; it has no network. The table
has the proportional set size, in which what several processes share counts once.
"""

import argparse
import json
import multiprocessing
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from coco_shape import DIVISOR, loader_config, write_data
from mmengine.registry import init_default_scope

from detnas.evaluation.batches import Batches, scored_loader
from detnas.evaluation.evaluator import quiet_logger, quiet_stdout
from detnas.evaluation.kept_images import SharedFolder, keep_in_memory

MUCH = 1 << 40  # bytes


def hold(config: dict[str, Any], shared: SharedFolder | None, pipe: Connection) -> None:
    """Load the images, look at each in turn, say so, and wait."""
    quiet_logger()
    init_default_scope("mmdet")
    keep = keep_in_memory if shared is None else shared.keep("scored")
    with quiet_stdout():
        batches = Batches(lambda: scored_loader(config, 0), MUCH, DIVISOR, keep)
        total = sum(int(image.sum()) for batch in batches for image in batch["inputs"])
    pipe.send(total)
    pipe.recv()


def proportional_mib(process: int) -> float:
    """The proportional set size of a process."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel gives no proportional set size")


def together(config: dict[str, Any], workers: int, shared: SharedFolder | None) -> float:
    """MiB of so many workers."""
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in range(workers)]
    processes = [context.Process(target=hold, args=(config, shared, theirs)) for _, theirs in pairs]
    for process in processes:
        process.start()
    totals = {ours.recv() for ours, _ in pairs}
    assert len(totals) == 1, "all see the same images"
    found = sum(proportional_mib(process.pid or 0) for process in processes)
    for (ours, _), process in zip(pairs, processes, strict=True):
        ours.send(None)
        process.join()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--scale", type=int, nargs=2, default=(1333, 800))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--folder", type=Path, help="for the files; by default a temporary one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_data(folder, options.images)
        config = loader_config(folder, tuple(options.scale), None) | {"num_workers": 0}
        empty = loader_config(folder, tuple(options.scale), 1) | {"num_workers": 0}
        for workers in options.workers:
            for kind in ("shared", "each its own"):
                if kind != "shared" and workers > 2:
                    continue  # more than a machine has
                shared = SharedFolder.of_search(folder) if kind == "shared" else None
                whole = together(config, workers, shared)
                other = SharedFolder.of_search(folder) if kind == "shared" else None
                rest = together(empty, workers, other)
                found[f"{workers} workers, {kind}"] = whole
                print(
                    f"{workers} workers, {kind}: {whole:,.0f} MiB, {whole - rest:,.0f} MiB of it "
                    f"images ({rest:,.0f} MiB with one image)",
                    flush=True,
                )
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
