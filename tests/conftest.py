"""What all tests share: hypothesis' examples, and training runs without yapf."""

from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import settings

settings.register_profile("detnas", derandomize=True, deadline=None)
settings.load_profile("detnas")


@pytest.fixture(scope="session", autouse=True)
def _configs_as_they_are() -> Iterator[None]:
    """Two thirds of a short run's time is mmengine laying out its config as code."""
    with mock.patch("yapf.yapflib.yapf_api.FormatCode", lambda text, **_: (text, True)):
        yield
