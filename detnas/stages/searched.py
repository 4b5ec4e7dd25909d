"""The config that a finished search was run with, to go on from there."""

from pathlib import Path

from mmengine.config import Config

from detnas.config import load_config
from detnas.errors import MissingFileError, UserError
from detnas.files import file_sha256
from detnas.search.history.reading import SearchHistory
from detnas.search.results import CONFIG_FILE


def searched_config(history: SearchHistory, supernet: Path | None = None) -> Config:
    """The config that a search has saved beside its history. It is executed, as every config.

    Args:
        history: of the search.
        supernet: its checkpoint, where it is no longer at the path that the config names.
    Raises:
        UserError: there is no such config, or the checkpoint is not that of the search.
    """
    folder = history.path.parent
    file = folder / CONFIG_FILE
    if not file.is_file():
        raise MissingFileError(
            f"{file}, the config of the search, does not exist: name the work directory of "
            "`detnas search`, with all its files"
        )
    config = load_config(file, work_dir=folder)
    if not isinstance(config.get("search"), dict):
        raise UserError(f"{file} has no `search` section, so it is not the config of a search")
    if supernet is not None:
        config.search.supernet = str(supernet)
    checkpoint = Path(str(config.search.get("supernet")))
    if not checkpoint.is_file():
        raise MissingFileError(
            f"checkpoint {checkpoint}, the supernet of the search, does not exist: name it by "
            "--supernet"
        )
    if file_sha256(checkpoint) != history.recorded("supernet_sha256"):
        raise UserError(
            f"{checkpoint} is not the supernet of the search: its content differs; name that one "
            "by --supernet"
        )
    return config
