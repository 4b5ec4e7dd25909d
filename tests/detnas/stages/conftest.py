"""The data of the tests of stages: two scenes a split, and crops."""

from pathlib import Path

import pytest

from detnas.data.digits import DigitCounts, write_digits

COUNTS = DigitCounts(train_crops=10, val_crops=10, train_scenes=2, search_scenes=2, val_scenes=2)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of digits, as `write_digits` lays it out."""
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder, counts=COUNTS)
    return folder
