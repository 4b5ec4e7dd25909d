"""A finished experiment that the tests of the command line share."""

from pathlib import Path

import pytest

from detnas.data.digits import DigitCounts, write_digits

MINIATURE = Path(__file__).parents[1] / "miniature"
COUNTS = DigitCounts(train_crops=24, val_crops=10, train_scenes=8, search_scenes=4, val_scenes=4)


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished RetinaNet experiment."""
    from detnas.cli import main

    folder = tmp_path_factory.mktemp("retinanet")
    write_digits(folder / "data", counts=COUNTS)
    assert main(["run", str(MINIATURE / "retinanet"), "--work-dir", str(folder), "--quiet"]) == 0
    return folder
