"""Atomic writing of files, and the error for a missing OpenMMLab."""

import subprocess
import sys
from pathlib import Path

import pytest

from detnas.files import file_sha256, replacing, write_text


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    write_text(path, "old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_hash_depends_on_the_content(tmp_path: Path) -> None:
    for name, text in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).write_text(text)
    assert file_sha256(tmp_path / "a") == file_sha256(tmp_path / "b")
    assert file_sha256(tmp_path / "a") != file_sha256(tmp_path / "c")


def test_missing_openmmlab_gives_an_install_command(tmp_path: Path) -> None:
    config = tmp_path / "c.py"
    config.write_text("a = 1\n")
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "hidden = {'mmengine', 'mmcv', 'mmdet', 'mmpretrain'}\n"
        "importlib.util.find_spec = lambda n, *a: None if n in hidden else find(n, *a)\n"
        "from detnas.cli import main\n"
        f"sys.exit(main(['train', {str(config)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "detnas[onedl]" in done.stderr
    assert "Traceback" not in done.stderr
