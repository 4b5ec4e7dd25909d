"""The `search` section: what it reads, and that every mistake is named with its mend."""

import subprocess
import sys
from typing import Any

import pytest

from detnas.search.executors.settings import ExecutorSettings
from detnas.search.strategies.evolution import EvolutionSettings
from detnas.search.strategies.random_search import RandomSettings
from detnas.stages.settings import SearchSettings
from search_space.sampling import Budget


def section(**changes: Any) -> dict[str, Any]:
    return {"supernet": "latest.pth", **changes}


def test_reads_a_whole_section() -> None:
    settings = SearchSettings.from_section(
        section(
            strategy={"type": "evolution", "generations": 3, "mutation_probability": 0.2},
            budgets=[{"cost": "macs", "upper": 3e8, "lower": None, "input_size": [3, 64, 96]}],
            score="coco/bbox_mAP_50",
            evaluator={"threads": 1, "cache_mb": 10},
            executor={"type": "local", "attempts": 3},
            random_baseline=5,
        )
    )
    assert settings.strategy == EvolutionSettings(generations=3, mutation_probability=0.2)
    assert settings.budgets == (Budget("macs", upper=3e8, input_size=(3, 64, 96)),)
    assert settings.evaluator.threads == 1
    assert settings.executor == ExecutorSettings("local", 3)


def test_defaults_are_those_of_the_authors() -> None:
    settings = SearchSettings.from_section(section())
    assert settings.strategy == EvolutionSettings(20, 50, 10, 20, 20, 0.1)
    assert settings.evaluator.calibration_images == 500
    random = SearchSettings.from_section(section(strategy={"type": "random", "population": 7}))
    assert random.strategy == RandomSettings(population=7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": []}, "unknown key 'budget' under search; did you mean 'budgets'?"),
        (
            {"strategy": {"type": "evolution", "genrations": 3}},
            "unknown key 'genrations' under search.strategy; did you mean 'generations'?",
        ),
        (
            {"strategy": {"type": "random", "parents": 3}},
            "unknown key 'parents' under search.strategy; known: generations, population",
        ),
        (
            {"budgets": [{"uper": 3}]},
            "unknown key 'uper' under search.budgets[0]; did you mean 'upper'?",
        ),
        (
            {"evaluator": {"thread": 3}},
            "unknown key 'thread' under search.evaluator; did you mean 'threads'?",
        ),
        ({"executor": {"worker": 3}}, "unknown key 'worker' under search.executor; did you mean"),
        ({"executor": {"workers": 3}}, "workers is for type 'processes' and 'ray', not 'local'"),
        ({"executor": {"type": "distributed"}}, "'distributed' has been removed: use 'processes'"),
        (
            {"executor": {"type": "processes", "address": "auto"}},
            "address is for type 'ray', not 'processes': leave it out",
        ),
        ({"executor": {"type": "processes", "workers": 0}}, "workers must be an integer >= 1"),
        ({"executor": {"timeout": 0}}, "search.executor.timeout must be a number > 0"),
        ({"start_from": 3}, "search.start_from must be a list"),
        ({"cost_tables": [""]}, "search.cost_tables[0] must be a non-empty string"),
        (
            {"strategy": {"type": "evolutoin"}},
            "unknown search.strategy.type 'evolutoin'; did you mean 'evolution'?",
        ),
        ({"strategy": {"population": 3}}, "key 'type' is missing under search.strategy"),
        ({"strategy": "evolution"}, "search.strategy must be a dict, not 'evolution'"),
        (
            {"strategy": {"type": "evolution", "population": 30}},
            "mutations (20) and crossovers (20) together exceed population (30)",
        ),
        (
            {"strategy": {"type": "evolution", "parents": 60}},
            "search.strategy.parents (60) exceeds population (50)",
        ),
        ({"strategy": {"type": "random", "generations": 0}}, "generations must be an integer >= 1"),
        (
            {"strategy": {"type": "random", "generations": "9"}},
            "generations must be an integer, not '9'",
        ),
        (
            {"strategy": {"type": "evolution", "mutation_probability": 1.5}},
            "mutation_probability must be a number <= 1, not 1.5",
        ),
        ({"budgets": {"upper": 3}}, "search.budgets must be a list of dicts"),
        ({"budgets": [{"upper": "300M"}]}, "search.budgets[0].upper must be a number or None"),
        (
            {"budgets": [{"input_size": (224, 224)}]},
            "search.budgets[0].input_size must be [channels, height, width]",
        ),
        ({"evaluator": {"dtype": "float23"}}, "did you mean 'float32'?"),
        ({"evaluator": {"threads": 0}}, "search.evaluator.threads must be an integer >= 1"),
        ({"executor": {"type": "proceses"}}, "unknown search.executor.type 'proceses'"),
        ({"executor": {"attempts": 0}}, "search.executor.attempts must be an integer >= 1"),
        ({"evaluator": {"calibration_images": -1}}, "calibration_images must be an integer >= 0"),
        ({"evaluator": {"batch_shapes": "same"}}, "search.evaluator.batch_shapes"),
        ({"finalists": -1}, "search.finalists must be an integer >= 0"),
        ({"finalist_seeds": 0}, "search.finalist_seeds must be an integer >= 1"),
        ({"random_baseline": -1}, "search.random_baseline must be an integer >= 0"),
        ({"supernet": None}, "search.supernet must be a string"),
    ],
)
def test_invalid_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        SearchSettings.from_section(section(**changes))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_supernet_is_required() -> None:
    with pytest.raises(ValueError, match="key 'supernet' is missing under search"):
        SearchSettings.from_section({})


def test_fingerprint_omits_settings_that_do_not_affect_scores() -> None:
    print_of = [
        SearchSettings.from_section(section(**changes)).fingerprint()
        for changes in (
            {},
            {"executor": {"attempts": 5}, "random_baseline": 9, "evaluator": {"cache_mb": 0}},
            {"finalists": 5, "finalist_seeds": 4},
            {"evaluator": {"threads": 2}},
        )
    ]
    assert print_of[0] == print_of[1] == print_of[2] != print_of[3]


def test_imports_neither_torch_nor_openmmlab() -> None:
    script = (
        "import sys; import detnas.search.loop, detnas.search.executors.build; "
        "print({'torch', 'mmengine', 'mmdet', 'mmcv', 'mmpretrain'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
