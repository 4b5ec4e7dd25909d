"""The error of data that is not there: one line for all files of a folder that is missing."""

from pathlib import Path

from detnas.errors import MissingFileError


def absent(what: str, path: Path, fix: str) -> MissingFileError:
    """The error of a missing file or folder of a data set.

    Where folders above it are missing, too, as of data that was moved, it names the outermost one.
    So the errors of all files below it are the same, and are said once.

    Args:
        what: that the file is, such as "annotation file".
        path: of the file.
        fix: which keys to correct.
    """
    folders = [each for each in path.parents if not each.exists()]
    if not folders:
        return MissingFileError(f"{what} {path} does not exist; {fix}")
    return MissingFileError(
        f"data folder {folders[-1]} does not exist; correct `data_root`, `pretrain_root` or "
        "`ann_file`"
    )
