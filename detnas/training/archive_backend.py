"""Archives for OpenMMLab's datasets and transforms: what begins with "zip://" or "tar://".

Importing this module registers the backend with mmengine, which chooses it by the prefix of a
path: a config needs nothing but the address in `data_root`. See `detnas.data.archives`.
"""

import posixpath
from collections.abc import Iterator

from mmengine.fileio import BaseStorageBackend, register_backend

from detnas.data.archives import SCHEMES, locate, open_archive
from detnas.errors import MissingFileError


class ArchiveAddress(str):
    """The address of something in an archive.

    A dataset keeps its images' addresses; a worker that was not forked imports this module, and
    with it registers the backend, when it unpickles the first.
    """

    __slots__ = ()


# An mmengine that came to know these prefixes itself would not know our index.
@register_backend("archive", prefixes=SCHEMES, force=True)
class ArchiveBackend(BaseStorageBackend):
    """Reads files and lists folders in zip and tar archives; writes nothing.

    Archives that are absent, damaged or of another kind, and names that are not in them, raise
    FileNotFoundError or ValueError with the archive and the mend.
    """

    def get(self, filepath: str) -> bytes:
        """The content of a file."""
        archive, name = locate(filepath)
        return open_archive(archive).read(name)

    def get_text(self, filepath: str, encoding: str = "utf-8") -> str:
        """The content of a text file, as an annotation list is."""
        return self.get(filepath).decode(encoding)

    def exists(self, filepath: str) -> bool:
        """Whether there is such a file or folder in the archive."""
        return self.isfile(filepath) or self.isdir(filepath)

    def isfile(self, filepath: str) -> bool:
        """Whether there is such a file in the archive."""
        archive, name = locate(filepath)
        return open_archive(archive).index.find(name) is not None

    def isdir(self, filepath: str) -> bool:
        """Whether there is such a folder in the archive."""
        archive, name = locate(filepath)
        return open_archive(archive).index.is_folder(name)

    def join_path(self, filepath: str, *filepaths: str) -> ArchiveAddress:
        """An address and names below it, as one address."""
        return ArchiveAddress(posixpath.join(filepath, *filepaths))

    def list_dir_or_file(
        self,
        dir_path: str,
        list_dir: bool = True,
        list_file: bool = True,
        suffix: str | tuple[str, ...] | None = None,
        recursive: bool = False,
    ) -> Iterator[str]:
        """Names below a folder, relative to it; hidden files are passed over.

        Args:
            dir_path: the folder's address.
            list_dir, list_file: whether to give folders, and files.
            suffix: of the files to give; None gives all.
            recursive: also what lies in folders below.
        Raises:
            FileNotFoundError: there is no such folder.
        """
        archive, folder = locate(dir_path)
        index = open_archive(archive).index
        if not index.is_folder(folder):
            raise MissingFileError(f"archive {archive} holds no folder {folder!r}")
        for name, is_folder in index.walk(folder, recursive):
            if is_folder:
                wanted = list_dir
            else:
                wanted = list_file and (suffix is None or name.endswith(suffix))
            if wanted:
                yield name
