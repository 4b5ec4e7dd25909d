"""The images of a split as its pipeline prepares them, kept between candidates.

In one process they are kept in its memory. The workers of a machine share a file, which the first
of them writes and all map into memory: images are decoded once, and a machine holds them once.
"""

import fcntl
import hmac
import mmap
import pickle
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from detnas.files import replacing

Item = dict[str, Any]
"""An image: "inputs", (3, H, W), and "data_samples", as mmdet's `PackDetInputs` makes them."""

FOLDER = "decoded"  # in the folder of a search
FREE_SHARE = 0.8  # of a file system's free space that a file of images may take
ALIGNMENT = 64  # bytes; of each image in the file


@dataclass(frozen=True)
class Kept:
    """What is known of a split's images after all have been loaded once.

    Attributes:
        shapes: height and width of each image, in the order of its loader.
        items: the first images, as many as fit.
        batch_size, collate: those of the loader.
        metainfo: that of the data set, such as its classes; None if it has none.
    """

    shapes: Sequence[tuple[int, int]]
    items: Sequence[Item]
    batch_size: int
    collate: Callable[[list[Item]], Any]
    metainfo: Mapping[str, Any] | None


class Keep(Protocol):
    """Loads the images of a split, and keeps as many of the first ones as fit."""

    def __call__(self, loader: Callable[[], DataLoader], limit: int) -> Kept: ...


def keep_in_memory(loader: Callable[[], DataLoader], limit: int) -> Kept:
    """Keep images in the memory of this process.

    Args:
        loader: makes or gives the loader of the split. Its images, pipeline and workers are used,
            not its batches.
        limit: bytes for the images.
    """
    made = loader()
    items: list[Item] = []
    shapes = []
    size, is_full = 0, False
    for item in one_by_one(made):
        shapes.append(shape_of(item))
        size += item["inputs"].nbytes
        is_full = is_full or size > limit
        if not is_full:  # an image of a loader's worker is in shared memory, and keeps files open
            items.append(deepcopy(item) if made.num_workers else item)
    _say_how_many_fit(len(items), len(shapes), f"search.evaluator.cache_mb={limit >> 20}")
    return Kept(shapes, items, *_about(made))


@dataclass(frozen=True)
class SharedFolder:
    """Where the workers of a search keep images in files, one folder per machine.

    Attributes:
        folder: made when it is needed.
        secret: signs what is unpickled, so that nothing is but what a worker of this search wrote.
    """

    folder: Path
    secret: bytes

    @classmethod
    def of_search(cls, work_dir: Path) -> "SharedFolder":
        """A folder in the search's, which does not exist yet."""
        return cls(work_dir / FOLDER / token_hex(8), token_bytes(32))

    def keep(self, name: str) -> Keep:
        """A `Keep` whose images are in files of this name."""

        def keep(loader: Callable[[], DataLoader], limit: int) -> Kept:
            return _keep_in_file(self, name, loader, limit)

        return keep

    def remove(self) -> None:
        """Remove it after the workers have ended, and what killed searches have left beside it.

        A process that has mapped a file keeps its images.
        """
        shutil.rmtree(self.folder.parent, ignore_errors=True)


def one_by_one(loader: DataLoader) -> Iterator[Item]:
    """The images of a loader in its order, each alone, loaded by its workers."""
    sampler: Any = loader.batch_sampler
    alone = [[index] for batch in sampler for index in batch]
    for (item,) in loader_of(loader, alone, list):
        yield item


def loader_of(
    ours: DataLoader,
    batches: Sequence[list[int]],
    collate: Callable[[list[Item]], Any] | None,
    persistent: bool = False,
) -> DataLoader:
    """A loader like ours, of batches with other images.

    Args:
        persistent: whether its workers stay between passes, if it has any.
    """
    return DataLoader(
        ours.dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=ours.num_workers,
        worker_init_fn=ours.worker_init_fn,
        timeout=ours.timeout,
        persistent_workers=persistent and ours.num_workers > 0,
    )


def shape_of(item: Item) -> tuple[int, int]:
    """Height and width of an image."""
    height, width = item["inputs"].shape[-2:]
    return int(height), int(width)


def _say_how_many_fit(kept: int, images: int, room: str) -> None:
    """A line about the images that do not fit, if there are any."""
    if kept < images:
        print(
            f"{kept} of {images} images fit into {room}; the others are loaded for every candidate",
            file=sys.stderr,
            flush=True,
        )


def _about(loader: DataLoader) -> tuple[int, Any, Any]:
    """The batch size of a loader, its function that makes batches, and its data set's metainfo."""
    sampler: Any = loader.batch_sampler
    return sampler.batch_size, loader.collate_fn, getattr(loader.dataset, "metainfo", None)


@dataclass(frozen=True)
class _Place:
    """Where an image is in the file, and what else its item has."""

    offset: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    rest: Item


class _Mapped(Sequence[Item]):
    """Images of a file that is mapped into memory; writing to one changes no other process's."""

    def __init__(self, file: Path, places: Sequence[_Place]) -> None:
        self._places = places
        with file.open("rb") as opened:
            self._bytes = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        place = self._places[index]
        count = int(torch.Size(place.shape).numel())
        flat = torch.frombuffer(self._bytes, dtype=place.dtype, count=count, offset=place.offset)
        return {"inputs": flat.view(place.shape), **place.rest}


def _keep_in_file(
    shared: SharedFolder, name: str, loader: Callable[[], DataLoader], limit: int
) -> Kept:
    """The images in the file of this machine; the first worker that asks writes it."""
    folder = shared.folder / socket.gethostname()
    folder.mkdir(parents=True, exist_ok=True)
    images, index = folder / f"{name}.images", folder / f"{name}.index"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not index.is_file():
            _write(shared.secret, images, index, loader(), limit)
    signed = index.read_bytes()
    if not hmac.compare_digest(signed[:32], _signature(shared.secret, signed[32:])):
        raise RuntimeError(f"{index} was not written by this search")
    shapes, places, about = pickle.loads(signed[32:])
    return Kept(shapes, _Mapped(images, places) if places else (), *about)


def _write(secret: bytes, images: Path, index: Path, loader: DataLoader, limit: int) -> None:
    free = int(FREE_SHARE * shutil.disk_usage(images.parent).free)
    room = f"search.evaluator.cache_mb={limit >> 20}"
    if free < limit:
        limit, room = free, f"the {free >> 20} MiB that are free in {images.parent}"
    shapes: list[tuple[int, int]] = []
    places: list[_Place] = []
    offset, is_full = 0, False
    with images.open("wb") as file:
        for item in one_by_one(loader):
            shapes.append(shape_of(item))
            inputs: Tensor = item["inputs"].contiguous()
            is_full = is_full or offset + inputs.nbytes > limit
            if is_full:
                continue
            rest = {key: value for key, value in item.items() if key != "inputs"}
            places.append(_Place(offset, tuple(inputs.shape), inputs.dtype, rest))
            file.seek(offset)
            file.write(inputs.numpy().tobytes())
            offset = -(-(offset + inputs.nbytes) // ALIGNMENT) * ALIGNMENT
    _say_how_many_fit(len(places), len(shapes), room)
    content = pickle.dumps((shapes, places, _about(loader)))
    with replacing(index) as half_written:
        half_written.write_bytes(_signature(secret, content) + content)


def _signature(secret: bytes, content: bytes) -> bytes:
    return hmac.digest(secret, content, "sha256")
