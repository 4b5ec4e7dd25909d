"""The data of the tests of training: a few crops of digits."""

from pathlib import Path

import pytest

from detnas.data.digits import DigitCounts, write_digits


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    counts = DigitCounts(
        train_crops=20, val_crops=10, train_scenes=1, search_scenes=1, val_scenes=1
    )
    write_digits(folder / "data", counts=counts)
    return folder / "data" / "classification"
