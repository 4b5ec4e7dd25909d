"""The arrows between packages, and which commands stay light."""

import ast
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPENMMLAB = {"mmengine", "mmcv", "mmdet", "mmpretrain"}
BASICS = {"detnas.errors", "detnas.files", "detnas.version"}
# What a package may import of the project, beside itself, search_space and BASICS.
MAY_IMPORT = {
    "detnas.data": set(),
    "detnas.models": set(),
    "detnas.training": {
        "detnas.data",
        "detnas.models",
        "detnas.config",
        "detnas.distributed",
        "detnas.stages.checks",
    },
    "detnas.evaluation": {
        "detnas.models",
        "detnas.config",
        "detnas.distributed",
        "detnas.stages.checks",
    },
    "detnas.export": {"detnas.models"},
    "detnas.search": {
        "detnas.data",
        "detnas.models",
        "detnas.evaluation",
        "detnas.export",
        "detnas.config",
        "detnas.distributed",
        "detnas.stages.checks",
    },
    "detnas.report": {"detnas.search"},
}


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def _package(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_search_space_knows_nothing_of_detnas_or_openmmlab() -> None:
    for path in (ROOT / "search_space").rglob("*.py"):
        roots = {name.split(".")[0] for name in _imports(path)}
        assert not roots & (OPENMMLAB | {"detnas"}), path
        assert "torch" not in roots or path.name == "blocks.py", path


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_along_the_arrows(package: str) -> None:
    allowed = MAY_IMPORT[package] | BASICS | {package}
    for path in (ROOT / package.replace(".", "/")).rglob("*.py"):
        used = {_package(name) for name in _imports(path) if name.startswith("detnas.")}
        assert used <= allowed, (path, used - allowed)


def test_strategies_and_reports_need_no_torch_and_no_openmmlab() -> None:
    files = [*(ROOT / "detnas/search/strategies").rglob("*.py")]
    files += [*(ROOT / "detnas/report").rglob("*.py"), *(ROOT / "detnas/data").rglob("*.py")]
    for path in files:
        roots = {name.split(".")[0] for name in _imports(path)}
        assert not roots & (OPENMMLAB | {"torch", "torchvision"}), path


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
