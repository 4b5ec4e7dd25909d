"""Archives read like the folder they were made from; archives that cannot be read are refused."""

import bz2
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detnas.data import archive_index, archives
from detnas.data.archive_index import scan_tar
from detnas.data.archives import LARGEST, locate, open_archive
from detnas.data.checks import SplitOverlapError, check_disjoint, folder_split
from detnas.errors import UserError

FILES = {
    "train/cat/1.jpg": b"one" * 99,
    "train/cat/deep/2.JPEG": b"",
    "train/cat/.hidden.jpg": b"hidden",
    "train/cat.b/3.png": bytes(range(256)) * 40,
    "train/cat0/4.jpg": b"four",
    "train/élan/5 5.jpg": b"five",
    "train/notes.txt": b"text",
    "val/cat/1.jpg": b"val",
}


def make_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_deflated_zip(path: Path, files: dict[str, bytes]) -> Path:
    return make_zip(path, files, zipfile.ZIP_DEFLATED)


def make_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


Make = Callable[[Path, dict[str, bytes]], Path]
MAKERS = [
    pytest.param(make_zip, "a.zip", id="zip"),
    pytest.param(make_deflated_zip, "a.zip", id="deflated zip"),
    pytest.param(make_tar, "a.tar", id="tar"),
]


@pytest.mark.parametrize(("make", "name"), MAKERS)
def test_files_read_back_as_packed(make: Make, name: str, tmp_path: Path) -> None:
    archive = open_archive(make(tmp_path / name, FILES))
    for file, content in FILES.items():
        assert archive.read(file) == content, file
    for absent in ("train/cat", "train/cat/1.jp", "train/cat/1.jpg/x", "zebra", ""):
        with pytest.raises(FileNotFoundError, match=r"archive .* holds no file"):
            archive.read(absent)


@pytest.mark.parametrize(("make", "name"), MAKERS)
def test_classes_and_images_are_those_of_the_folder(make: Make, name: str, tmp_path: Path) -> None:
    for file, content in FILES.items():
        (tmp_path / "folder" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / file).write_bytes(content)
    (tmp_path / "folder" / "train/cat/.hidden.jpg").unlink()
    path = make(tmp_path / name, FILES)
    ours = folder_split("train", f"{path.suffix[1:]}://{path}/train/").images
    folder = folder_split("train", tmp_path / "folder" / "train").images
    assert [image.relative_to(path) for image in ours] == [
        image.relative_to(tmp_path / "folder") for image in folder
    ]


@given(
    st.sets(
        st.lists(st.text("a0./-b", min_size=1, max_size=2), min_size=1, max_size=3)
        .map("/".join)
        .map(lambda name: archive_index.clean_name(name))
        .filter(bool),
        max_size=12,
    )
)
def test_walking_an_index_finds_all_files_and_folders(names: set[str]) -> None:
    files = {n for n in names if not any(other.startswith(f"{n}/") for other in names)}
    index = archive_index._index({name.encode(): (0, 0, 0, 0, False) for name in files})
    folders = {"/".join(name.split("/")[:i]) for name in files for i in range(name.count("/") + 1)}
    shown = {name for name in files if not name.rpartition("/")[2].startswith(".")}
    walked = list(index.walk(recursive=True))
    assert sorted(walked) == sorted(
        [(name, False) for name in shown] + [(name, True) for name in folders - {""}]
    )
    for folder in folders - {""}:
        assert index.is_folder(folder)
        inside = {name for name in shown | folders if name.rpartition("/")[0] == folder}
        assert {f"{folder}/{name}" for name, _ in index.walk(folder)} == inside
    for name in files:
        assert index.find(name) is not None
        assert not index.is_folder(name)


@pytest.mark.parametrize(
    ("address", "archive", "name"),
    [
        ("zip://data/a.zip/train/cat", "data/a.zip", "train/cat"),
        ("zip://data/a.zip", "data/a.zip", ""),
        ("tar:///abs/b.v2.TAR//./train/../val/", "/abs/b.v2.TAR", "val"),
        ("zip://x.zipped/a.zip/b.zip/c", "x.zipped/a.zip", "b.zip/c"),
    ],
)
def test_an_address_ends_the_archive_at_its_suffix(address: str, archive: str, name: str) -> None:
    assert locate(address) == (Path(archive), name)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("zip://data/a.tar/train", r"names no \.zip file; write zip://<archive>\.zip/<folder>"),
        ("tar://data/a.tar.gz/train", r"data/a\.tar\.gz/train is a compressed tar.*decompress"),
        ("tar://data/a.tgz", "is a compressed tar"),
        ("data/a.zip", "is not an archive address"),
    ],
)
def test_invalid_addresses_are_refused(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        locate(address)


def test_absent_archives_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"archive .*a\.zip does not exist; correct"):
        folder_split("train", f"zip://{tmp_path}/a.zip/train")
    path = make_zip(tmp_path / "a.zip", FILES)
    message = r"holds no folder 'tra'; its folders are 'train', 'val': correct `data_root`"
    with pytest.raises(FileNotFoundError, match=message):
        folder_split("train", f"zip://{path}/tra")
    with pytest.raises(ValueError, match=r"a\.zip/val/cat holds no class folders"):
        folder_split("val", f"zip://{path}/val/cat")
    with pytest.raises(FileNotFoundError, match="address an archive as zip://"):
        folder_split("train", path / "train")


def test_a_class_folder_without_images_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"cat/1.jpg": b"1", "dog/": b""})
    with pytest.raises(ValueError, match=r"class folder .*a\.zip/dog holds no images; add some"):
        folder_split("train", f"zip://{path}")


def test_splits_of_the_same_archived_folder_overlap(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", FILES)
    (tmp_path / "b.zip").symlink_to(path)
    train = folder_split("train", f"zip://{path}/train")
    check_disjoint([train, folder_split("val", f"zip://{path}/val")], by_content=False)
    val = folder_split("val", f"zip://{tmp_path}/b.zip/train")
    with pytest.raises(SplitOverlapError, match=r"'train' and 'val' share 5 image\(s\)"):
        check_disjoint([train, val], by_content=False)


def test_a_compressed_tar_is_recognised_by_its_content(tmp_path: Path) -> None:
    plain = make_tar(tmp_path / "plain.tar", FILES).read_bytes()
    for compress in (gzip.compress, bz2.compress):
        path = tmp_path / f"{compress.__module__}.tar"
        path.write_bytes(compress(plain))
        with pytest.raises(ValueError, match="is a compressed tar, which has no random access"):
            open_archive(path)


def _cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def test_damaged_archives_are_refused_when_opened(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.zip is not a complete zip archive .*copy it again"):
        open_archive(_cut(make_zip(tmp_path / "a.zip", FILES), 900))
    path = make_tar(tmp_path / "a.tar", {"c/1": b"1" * 2000, "c/2": b"2"})
    whole = path.read_bytes()
    for size, message in (
        (2000, "not a complete uncompressed tar"),
        (2560, "no end mark; copy it"),
    ):
        with pytest.raises(ValueError, match=message):
            open_archive(_cut(path, size))
        path.write_bytes(whole)
    path.write_bytes(whole[:2560] + b"x" * 99 + whole[2659:])
    with pytest.raises(ValueError, match=r"a\.tar is damaged at byte 2560; copy it again"):
        open_archive(path)


@pytest.mark.parametrize("make", [make_zip, make_deflated_zip])
def test_a_damaged_member_of_a_zip_is_refused_when_read(make: Make, tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", {"c/1": b"content", "c/2": b"other"})
    content = bytearray(path.read_bytes())
    content[33:40] = b"CONTENT"  # after the header of 30 bytes and the name of 3
    path.write_bytes(content)
    archive = open_archive(path)
    with pytest.raises(ValueError, match=r"archive .*a\.zip is damaged at 'c/1'; copy it again"):
        archive.read("c/1")
    assert archive.read("c/2") == b"other"


def test_members_that_cannot_be_read_in_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"c/1 is compressed by method 12; .*zip -0"):
        open_archive(make_zip(tmp_path / "method.zip", {"c/1": b"1"}, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        link = zipfile.ZipInfo("c/1")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "2")
    with pytest.raises(ValueError, match=r"c/1 is a symbolic link; .*links followed"):
        open_archive(tmp_path / "link.zip")
    with tarfile.open(tmp_path / "link.tar", "w") as tar:
        info = tarfile.TarInfo("c/1")
        info.type, info.linkname = tarfile.SYMTYPE, "2"
        tar.addfile(info)
    with pytest.raises(ValueError, match=r"c/1 is a symbolic link; .*--dereference"):
        open_archive(tmp_path / "link.tar")


def test_what_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c/1", bytes(LARGEST + 1))
        archive.writestr("c/2", b"other")
    assert path.stat().st_size < LARGEST / 100
    with pytest.raises(UserError, match=r"'c/1' has 268,435,457 bytes; images have at most"):
        open_archive(path).read("c/1")
    assert open_archive(path).read("c/2") == b"other"


def test_an_archive_of_an_unknown_version_or_depth_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"c/1": b"1"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 6] = 148  # the version needed to extract
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.zip is not a complete zip archive .*14\.8"):
        open_archive(path)
    for make in (make_zip, make_tar):
        deep = make(
            tmp_path / f"deep{make.__name__}.{make.__name__[-3:]}", {"a/" * 2000 + "1": b""}
        )
        with pytest.raises(UserError, match="2000 folders deep"):
            open_archive(deep)


def test_hard_links_in_a_tar_are_followed(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", {"c/1": b"content"})
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo("c/2")
        info.type, info.linkname = tarfile.LNKTYPE, "./c/1"
        tar.addfile(info)
    assert open_archive(path).read("c/2") == b"content"


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The archives scanned so far; the user's cache folder is empty at first."""
    seen: list[Path] = []

    def scan(path: Path) -> archive_index.ArchiveIndex:
        seen.append(path)
        return scan_tar(path)

    monkeypatch.setattr(archives, "scan_tar", scan)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return seen


def read_in_new_process(path: Path, name: str) -> bytes:
    """Read as a new process would, without the archives this process has open."""
    archives._open.cache_clear()
    return open_archive(path).read(name)


def test_the_index_is_reused_until_the_archive_changes(tmp_path: Path, scans: list[Path]) -> None:
    path = make_tar(tmp_path / "a.tar", {"c/1": b"old"})
    assert [read_in_new_process(path, "c/1") for _ in range(2)] == [b"old"] * 2
    assert len(scans) == 1
    make_tar(path, {"a/0": b"before", "c/1": b"new"})
    assert open_archive(path).read("c/1") == b"new"  # in the process that had the old one open
    assert read_in_new_process(path, "c/1") == b"new"
    assert len(scans) == 2


def test_a_damaged_saved_index_is_rebuilt(tmp_path: Path, scans: list[Path]) -> None:
    path = make_tar(tmp_path / "a.tar", {"c/1": b"1"})
    read_in_new_process(path, "c/1")
    (kept,) = tmp_path.glob("*.npz")
    whole = kept.read_bytes()
    for content in (b"", b"rubbish", whole[:300], gzip.compress(whole)):
        kept.write_bytes(content)
        assert read_in_new_process(path, "c/1") == b"1"
    assert len(scans) == 5


def test_the_index_is_saved_in_the_users_cache_otherwise(tmp_path: Path, scans: list[Path]) -> None:
    path = make_tar(tmp_path / "a.tar", {"c/1": b"1"})
    (tmp_path / "a.tar.detnas-index.npz").mkdir()  # so that no file of that name can be written
    assert [read_in_new_process(path, "c/1") for _ in range(2)] == [b"1"] * 2
    assert len(scans) == 1
    assert len([*(tmp_path / "caches" / "detnas").glob("a.tar.*.npz")]) == 1


def test_a_long_scan_shows_its_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(archive_index, "PROGRESS_SECONDS", 0.0)
    scan_tar(make_tar(tmp_path / "a.tar", {"c/1": b"1" * 9728, "c/2": b"2"}))
    assert "a.tar  50%  0 s left" in capsys.readouterr().err
