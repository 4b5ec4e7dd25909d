"""What all tests share: threads that wait idly, hypothesis' examples, training without yapf."""

import os
from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import settings

# Test processes share the cores: their OpenMP threads must not spin while they wait. Read by torch
# when it is imported, here and in subprocesses.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

settings.register_profile("detnas", derandomize=True, deadline=None)
settings.load_profile("detnas")


@pytest.fixture(scope="session", autouse=True)
def _configs_as_they_are() -> Iterator[None]:
    """Two thirds of a short run's time is mmengine laying out its config as code."""
    with mock.patch("yapf.yapflib.yapf_api.FormatCode", lambda text, **_: (text, True)):
        yield
