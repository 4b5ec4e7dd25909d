"""Which networks the stage `compare` trains, by which configs; its checks before any work."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from mmengine.config import Config
from msgspec import Meta, Struct

from detnas.config import load_config
from detnas.errors import UserError, user_input
from detnas.search.compared import FOUND
from detnas.search.costs import read_latency_tables, size_latency_budgets
from detnas.search.results import named_choices
from detnas.search.strategies.unseen import Unseen
from detnas.stages.settings import SearchSettings
from search_space.architecture import Architecture, Choices, choices_to_text, parse_architecture
from search_space.choices import CHOICES
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace, parse_space
from search_space.validation import convert

FIRST_CHOICES, RANDOM = "3x3", "random"
_DRAW = 12  # separates the draw of the random network from other uses of the seed
Text = Annotated[str, Meta(min_length=1)]


class CompareSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The `compare` section.

    Attributes:
        networks: "3x3" (every block the space's first choice), "random" (a uniform draw within the
            search's budgets), or architectures: files, published names, "space:choices".
        stock: config files of whole trainings with other backbones, by the name that they get.
    """

    networks: tuple[Text, ...] = ()
    stock: dict[Text, Text] = {}


@dataclass(frozen=True)
class Budgeted:
    """What the experiment's search says of networks, and how it scores.

    Attributes:
        sampler: draws inside the budgets.
        score: the metric that ranks.
        greater_is_better: whether its highest value is the best.
    """

    sampler: BudgetSampler
    score: str
    greater_is_better: bool


@dataclass(frozen=True)
class PlannedNetwork:
    """A network to train: its name, what texts call it, its choices; None of a stock backbone."""

    name: str
    label: str
    config: Config
    choices: Choices | None = None


@dataclass(frozen=True)
class ComparePlan:
    """What is compared.

    Attributes:
        settings: the section.
        recipe: the resolved config of retraining.
        stock: the resolved configs of stock backbones by name.
        search: None where the experiment has no search.
        space: of the found network's choices.
        work_dir: of the stage.
    """

    settings: CompareSettings
    recipe: Config
    stock: Mapping[str, Config]
    search: Budgeted | None
    space: SearchSpace
    work_dir: Path

    @property
    def names(self) -> list[str]:
        """Of all networks beside the found one, in the order in which they are trained."""
        return [*(_named(text, self.space)[0] for text in self.settings.networks), *self.stock]

    @property
    def found(self) -> Architecture | None:
        """The architecture that retraining trains; None where its file does not exist yet."""
        named = self.recipe.model.backbone.architecture
        if isinstance(named, str) and named.endswith(".json") and not Path(named).is_file():
            return None
        with user_input():
            return parse_architecture(named)

    def networks(self, found: Architecture) -> list[PlannedNetwork]:
        """All networks beside the found one.

        Raises:
            UserError: the budgets hold no other network than the found one.
        """
        planned = []
        for text in self.settings.networks:
            name, label, choices = _named(text, self.space)
            if choices is None:
                choices = self._draw(found)
            planned.append(PlannedNetwork(name, label, self._config(name, found, choices), choices))
        for name, config in self.stock.items():
            planned.append(PlannedNetwork(name, name, config))
        return planned

    def example(self) -> Config | None:
        """The recipe with a network that is known before the search; None without networks."""
        if not self.settings.networks:
            return None
        found = self.found or Architecture(self.space, self.space.first_choices)
        return self._config(FIRST_CHOICES, found, self.space.first_choices)

    def is_within_budget(self, choices: Choices | None) -> bool | None:
        """Whether the search's budgets admit a network; None where that is not known."""
        if self.search is None or choices is None:
            return None
        return self.search.sampler.contains(choices)

    def _config(self, name: str, found: Architecture, choices: Choices) -> Config:
        """The recipe of retraining with other choices, scaled and shuffled as the found ones."""
        other = replace(found, choices=choices).to_dict()
        config = Config(self.recipe.to_dict(), filename=self.recipe.filename)
        keys = ("space", "choices", "channel_shuffle", "scaling")
        config.model.backbone.architecture = {key: other[key] for key in keys}
        return placed(config, self.work_dir, name)

    def _draw(self, found: Architecture) -> Choices:
        assert self.search is not None, "it is checked"
        unseen = Unseen(self.search.sampler)
        rng = np.random.default_rng([self.recipe.randomness["seed"], _DRAW])
        while drawn := unseen.draw(rng, 1):
            if drawn[0] not in (found.choices, self.space.first_choices):
                return drawn[0]
        raise UserError(
            f"compare.networks: the budget holds no other network than the found one: leave "
            f"'{RANDOM}' out"
        )


def placed(config: Config, work_dir: Path, name: str) -> Config:
    """A config whose training writes into its network's own folder and log."""
    config.work_dir = str(work_dir / name)
    config.experiment_name = f"compare_{name}"  # two trainings may begin in one second
    return config


def read_plan(config: Config, overrides: Mapping[str, Any], experiment: Path) -> ComparePlan:
    """Read what a config's `compare` asks for, and the configs that it is about.

    Args:
        config: the resolved config of the stage.
        overrides: of every config that is read, as `load_config` takes them.
        experiment: its work directory.
    Raises:
        UserError: the section is invalid, a config is missing or cannot be resolved.
    """
    path = Path(config.filename)
    with user_input(str(path)):
        settings = convert(config.to_dict().get("compare") or {}, CompareSettings, "compare")
    if not settings.networks and not settings.stock:
        raise UserError(
            f"{path} names nothing to compare with: set compare=dict(networks=['3x3', 'random'])"
        )
    _check_names(list(settings.stock), path)
    seed = config.randomness["seed"]

    def load(file: Path, stage: str, options: Mapping[str, Any]) -> Config:
        return load_config(file, options, experiment / stage, seed, strict=False)

    recipe = path.parent / "retrain.py"
    if not recipe.is_file():
        raise UserError(f"{path}: {path.parent} has no retrain.py, by whose recipe networks train")
    # Weights that the command line names are of the space's networks, not of stock backbones.
    options = {key: value for key, value in overrides.items() if key != "load_from"}
    work_dir = Path(config.work_dir)
    stock = {
        name: placed(load(Path(file), "compare", options), work_dir, name)
        for name, file in settings.stock.items()
    }
    retrain = load(recipe, "retrain", overrides)
    search = None
    space = _space_of(retrain, recipe)
    if (file := path.parent / "search.py").is_file():
        search = _budgeted(load(file, "search", overrides))
        space = search.sampler.space
    plan = ComparePlan(settings, retrain, stock, search, space, work_dir)
    if RANDOM in settings.networks and search is None:
        raise UserError(
            f"{path}: compare.networks has '{RANDOM}', which is drawn within the search's budgets, "
            f"but {path.parent} has no search.py: leave it out"
        )
    _check_names(plan.names, path)
    return plan


def _space_of(retrain: Config, path: Path) -> SearchSpace:
    backbone = retrain.model.backbone
    if "architecture" not in backbone:
        raise UserError(f"{path} trains no network of a search space: `compare` needs a DetNASNet")
    with user_input(str(path)):
        if backbone.get("space") is not None:
            return parse_space(backbone.to_dict()["space"])
        return parse_architecture(backbone.to_dict()["architecture"]).space


def _budgeted(config: Config) -> Budgeted:
    settings = SearchSettings.from_section(config.to_dict()["search"])
    with user_input():
        space = parse_space(config.model.backbone.to_dict().get("space", "small"))
        measured = read_latency_tables(settings.cost_tables, space)
        budgets = size_latency_budgets(settings.budgets, measured)
        sampler = BudgetSampler(space, budgets, [table.costs for table in measured])
    return Budgeted(sampler, settings.score, settings.greater_is_better)


def _named(text: str, space: SearchSpace) -> tuple[str, str, Choices | None]:
    """Name, label and choices of an entry of `networks`; no choices of a random one."""
    if text == RANDOM:
        return text, "a random network", None
    if text == FIRST_CHOICES:
        choices = space.first_choices
        kinds = {space.choices[choice] for choice in choices}
        label = "the first choice of every block"
        if len(kinds) == 1:
            label = f"{CHOICES[kinds.pop()].label} in every block"
        return text, label, choices
    choices = named_choices(text, space, f"compare.networks: {text}")
    if text.endswith(".json"):
        return Path(text).stem, Path(text).stem, choices
    return (choices_to_text(choices).replace(",", "-") if ":" in text else text), text, choices


def _check_names(names: Sequence[str], path: Path) -> None:
    for name in names:
        if not re.fullmatch(r"\w[\w.-]*", name) or name == FOUND:
            raise UserError(
                f"{path}: compare: {name!r} cannot name a network's folder: use letters, digits, "
                f"'-' and '_', and not '{FOUND}'"
            )
        if names.count(name) > 1:
            raise UserError(f"{path}: compare names {name!r} twice: leave one out, or rename it")
