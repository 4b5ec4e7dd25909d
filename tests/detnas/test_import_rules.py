"""Which commands stay light; the arrows between packages are contracts in pyproject.toml."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPENMMLAB = {"mmengine", "mmcv", "mmdet", "mmpretrain"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["cost", "detnasnet-300m-coco-fpn", "--json"],
        ["split", "--help"],
        ["history", "--help"],
        ["history", "WORK_DIR"],
        ["report", "--help"],
        ["export", "--help"],
        ["pick", "WORK_DIR", "--budget", "macs=..1"],
        ["predict", "--help"],
        ["space", "small", "--budget", "macs=..260e6", "--json"],
        ["sample", "small", "--budget", "macs=..250e6", "-n", "10", "--json"],
        ["measure-latency", "--help"],
    ],
)
def test_light_commands_import_neither_torch_nor_openmmlab(
    arguments: list[str], tmp_path: Path
) -> None:
    history = shutil.copy(ROOT / "tests/golden/history_v2.db", tmp_path / "history.db")
    with sqlite3.connect(history) as connection:  # the toy search does not record it
        known = "json_set(value, '$.greater_is_better', json('true'))"
        connection.execute(f"UPDATE meta SET value = {known} WHERE key = 'fingerprint'")
    arguments = [text.replace("WORK_DIR", str(tmp_path)) for text in arguments]
    heavy = sorted(OPENMMLAB | {"torch", "sklearn", "matplotlib"})
    code = (
        "import sys\nfrom detnas.cli import main\n"
        f"try:\n    status = main({arguments!r})\n"
        "except SystemExit as end:\n    status = end.code\n"
        f"loaded = [name for name in {heavy!r} if name in sys.modules]\n"
        "sys.exit(f'loaded {loaded}' if loaded or status else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_line_starts_without_any_command_and_imports_only_the_one_called() -> None:
    code = (
        "import sys, detnas.cli\n"
        "commands = lambda: [n for n in sys.modules if n.startswith('detnas.commands.')]\n"
        "assert not commands(), commands()\n"
        "detnas.cli.parse(['cost', 'small'])\n"
        "loaded = {'detnas.commands.cost', 'detnas.commands.options'}\n"
        "assert set(commands()) == loaded, commands()\n"
        f"heavy = {sorted(OPENMMLAB | {'torch', 'sklearn', 'matplotlib', 'cv2', 'PIL', 'ray'})!r}\n"
        "assert not [name for name in heavy if name in sys.modules]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_file_says_what_it_is_for() -> None:
    for folder in ("search_space", "detnas", "scripts", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert text.startswith(('"""', "# ")), path
