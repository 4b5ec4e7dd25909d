"""The Python of docs/extending.md runs, and what it adds can be used."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

from detnas.search.strategies import STRATEGIES
from detnas.stages.settings import SearchSettings
from search_space.architecture import Architecture, costs
from search_space.choices import CHOICES
from search_space.cost import COSTS
from search_space.sampling import Budget, BudgetSampler
from search_space.spaces import SPACES, SearchSpace, Stage

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with ExitStack() as stack:
        for table in (SPACES, CHOICES, COSTS, STRATEGIES):
            stack.enter_context(mock.patch.dict(table))  # type: ignore[arg-type]
        yield


@pytest.fixture
def blocks() -> list[str]:
    """The Python blocks of the page."""
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def test_a_file_of_ones_own_has_a_command_of_its_own(blocks: list[str], tmp_path: Path) -> None:
    (tmp_path / "my_spaces.py").write_text(blocks[0])
    (tmp_path / "my_detnas.py").write_text(blocks[1])
    done = subprocess.run(
        [sys.executable, "my_detnas.py", "space", "mine"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    page = PAGE.read_text(encoding="utf-8")
    shown = page.split("`python my_detnas.py space mine` then prints\n\n")[1]
    assert shown.startswith("".join(f"    {line}\n" for line in done.stdout.splitlines()))


def test_the_code_of_the_page(
    blocks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(blocks) == 5
    (tmp_path / "my_spaces.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), {"__name__": "extending"})
    assert SPACES["mine"].size == 2**4 * 3**6
    space = SearchSpace(
        "other", 8, (Stage(16, 2),), ("shufflenet_3x3", "shufflenet_9x9", "plain_3x3")
    )
    known = costs(Architecture(space, (2, 1)))
    assert known["weights"] == known["params"] - _biases_and_norms(space, (2, 1))
    limit = known["weights"]
    assert BudgetSampler(space, [Budget("weights", upper=limit)]).contains((2, 1))
    section = {"type": "hill_climb", "step": 0.1}
    settings = SearchSettings.from_section({"supernet": "s.pth", "strategy": section})
    assert settings.strategy.type == "hill_climb"


def test_the_choices_of_the_page_are_built_and_inflated(blocks: list[str]) -> None:
    torch = pytest.importorskip("torch")
    from detnas.models import DetNASSupernet

    exec(compile(blocks[2], PAGE.name, "exec"), {"__name__": "extending"})
    names = ("shufflenet_3x3", "shufflenet_9x9", "plain_3x3")
    space = SearchSpace("other", 8, (Stage(16, 2), Stage(32, 2)), names)
    supernet = DetNASSupernet(space.to_dict(), out_indices=(0, 1))
    supernet.inflate()
    supernet.set_path((2, 2, 2, 2))
    assert [tuple(each.shape[1:]) for each in supernet(torch.randn(2, 3, 32, 32))] == [
        (16, 8, 8),
        (32, 4, 4),
    ]


def _biases_and_norms(space: SearchSpace, choices: tuple[int, ...]) -> int:
    """Parameters beside the weights of convolutions: two of each batch norm, the stem's bias."""
    channels = space.stem * 3
    for spec, choice in zip(space.block_specs(), choices, strict=True):
        for branch in CHOICES[space.choices[choice]].convs(spec):
            channels += sum(2 * conv.out_channels for conv in branch)
    return channels
