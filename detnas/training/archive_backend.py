"""The file backend for OpenMMLab's datasets and transforms to read "zip://" and "tar://" addresses.

Importing this module registers the backend with mmengine, which selects it by the prefix of a path.
A config only needs the address in `data_root`. See `detnas.data.archives`.
"""

import posixpath
from collections.abc import Iterator

from mmengine.fileio import BaseStorageBackend, register_backend

from detnas.data.archives import SCHEMES, locate, open_archive
from detnas.errors import MissingFileError


class ArchiveAddress(str):
    """The address of a file or folder in an archive.

    A dataset stores the addresses of its images. A loader worker that was not forked imports this
    module when it unpickles the first address, and that registers the backend.
    """

    __slots__ = ()


# `force`: a future mmengine may have its own backend for these prefixes.
@register_backend("archive", prefixes=SCHEMES, force=True)
class ArchiveBackend(BaseStorageBackend):
    """Reads files and lists folders in zip and tar archives.

    Methods raise MissingFileError for absent archives and members, and UserError for archives that
    are damaged or of another format.
    """

    def get(self, filepath: str) -> bytes:
        """The content of a file."""
        archive, name = locate(filepath)
        return open_archive(archive).read(name)

    def get_text(self, filepath: str, encoding: str = "utf-8") -> str:
        """The content of a text file, such as an annotation list."""
        return self.get(filepath).decode(encoding)

    def exists(self, filepath: str) -> bool:
        """Whether the archive has this file or folder."""
        return self.isfile(filepath) or self.isdir(filepath)

    def isfile(self, filepath: str) -> bool:
        """Whether the archive has this file."""
        archive, name = locate(filepath)
        return open_archive(archive).index.find(name) is not None

    def isdir(self, filepath: str) -> bool:
        """Whether the archive has this folder."""
        archive, name = locate(filepath)
        return open_archive(archive).index.is_folder(name)

    def join_path(self, filepath: str, *filepaths: str) -> ArchiveAddress:
        """The address of a path below another address."""
        return ArchiveAddress(posixpath.join(filepath, *filepaths))

    def list_dir_or_file(
        self,
        dir_path: str,
        list_dir: bool = True,
        list_file: bool = True,
        suffix: str | tuple[str, ...] | None = None,
        recursive: bool = False,
    ) -> Iterator[str]:
        """Yield names in a folder, relative to it; hidden files are skipped.

        Args:
            dir_path: the folder's address.
            list_dir, list_file: whether to yield folders, and files.
            suffix: only files with this suffix; None means all.
            recursive: include subfolders.
        Raises:
            MissingFileError: there is no such folder.
        """
        archive, folder = locate(dir_path)
        index = open_archive(archive).index
        if not index.is_folder(folder):
            raise MissingFileError(f"archive {archive} holds no folder {folder!r}")
        for name, is_folder in index.walk(folder, recursive):
            if list_dir if is_folder else list_file and name.endswith(suffix or ""):
                yield name
