"""The layout of feature maps in memory, and what helps where a part of a model refuses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from typing import Any

from detnas.errors import UserError
from detnas.networks.base import MEMORY_FORMATS


def use_memory_format(model: Any, name: str) -> None:
    """Give a model's weights, and the feature maps of a backbone of DetNAS, one of the layouts."""
    memory_format = MEMORY_FORMATS[name]
    model.to(memory_format=memory_format)
    model.backbone.memory_format = memory_format


@contextmanager
def memory_format_explained(key: str = "model.backbone.memory_format") -> Iterator[None]:
    """Name the key that helps where a part of a model views maps as if they were contiguous.

    Args:
        key: of the config.

    Raises:
        UserError: in place of torch's RuntimeError.
    """
    try:
        yield
    except RuntimeError as error:
        if "view size is not compatible" not in str(error):
            raise
        where = extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"the model views feature maps as contiguous ({Path(where.filename).name}:"
            f"{where.lineno}): set {key}='contiguous'"
        ) from error
