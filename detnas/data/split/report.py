"""The report of a split: counts and shares of the classes in both parts, as data and as a table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detnas.data.boxes import ClassCounts


@dataclass(frozen=True)
class SplitReport:
    """The result of `detnas.data.split.split`.

    Attributes:
        seed: of the draw.
        classes: counts of each class, in the annotation files' order (VOC: by name).
        total: counts of all classes together; images without boxes are included.
        set_aside: the name of boxes that are not counted: "crowd" or "difficult".
        files: the files written.
        notes: remarks, one line each, such as on renumbered ids.
    """

    seed: int
    classes: tuple[ClassCounts, ...]
    total: ClassCounts
    set_aside: str
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    @property
    def image_share(self) -> float:
        """The search part's share of the images."""
        return self.total.images.search / sum(self.total.images)

    @property
    def missing(self) -> tuple[str, ...]:
        """The classes that have no counted box in the search part."""
        return tuple(row.name for row in self.classes if not row.boxes.search)

    @property
    def largest_deviation(self) -> tuple[str, float] | None:
        """The class whose share differs most from that of the images, and the relative deviation.

        At -0.2 the class's share is a fifth too small; at -1 the search part lacks the class. None
        if there are no boxes.
        """
        deviations = [
            (row.name, row.share / self.image_share - 1)
            for row in self.classes
            if row.share is not None
        ]
        return max(deviations, key=lambda pair: abs(pair[1]), default=None)

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON; shares and deviations are fractions, or None if undefined."""
        largest = self.largest_deviation
        return {
            "seed": self.seed,
            "images": {**self.total.images._asdict(), "share": self.image_share},
            "total": self._row(self.total),
            "classes": [self._row(row) for row in self.classes],
            "largest_deviation": largest
            and {"class": largest[0], "relative_to_share_of_images": largest[1]},
            "missing_in_search": list(self.missing),
            "set_aside": self.set_aside,
            "notes": list(self.notes),
            "files": [str(path) for path in self.files],
        }

    def _row(self, row: ClassCounts) -> dict[str, Any]:
        return {
            "class": row.name,
            "boxes": {**row.boxes._asdict(), "share": row.share},
            "images": row.images._asdict(),
            self.set_aside: row.ignored._asdict(),
        }


def split_table(report: SplitReport) -> str:
    """The report as an aligned table, one line per class, with remarks and warnings below."""
    rows = [["class", "boxes: train", "search", "share", "images: train", "search"]]
    for row in (*report.classes, report.total):
        train, search, *images = (f"{count:,}" for count in (*row.boxes, *row.images))
        share = "-" if row.share is None else _percent(row.share)
        rows.append([row.name, train, search, share, *images])
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [
        "  ".join([f"  {name:<{first}}", *map(str.rjust, cells, others)]) for name, *cells in rows
    ]
    return "\n".join([*lines, "", *(f"  {line}" for line in _remarks(report))])


def _percent(share: float, sign: str = "") -> str:
    return f"{100 * share:{sign}.1f} %"


def _remarks(report: SplitReport) -> list[str]:
    ignored, images = report.total.ignored, report.total.images
    remarks = [
        f"{report.set_aside} boxes, not counted: {ignored.train:,} in train, "
        f"{ignored.search:,} in search",
        f"{images.search:,} of {sum(images):,} images ({_percent(report.image_share)}) drawn "
        f"with seed {report.seed}",
    ]
    if report.largest_deviation:
        name, deviation = report.largest_deviation
        remarks.append(
            f"largest deviation from the images' share: {name}, by {_percent(deviation, '+')}"
        )
    remarks += report.notes
    if report.missing:
        listed = ", ".join(map(repr, report.missing))
        remarks.append(f"warning: the search split has no box of {listed}; take more images")
    return remarks
