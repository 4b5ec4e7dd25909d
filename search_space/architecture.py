"""One architecture: a space and one choice per block; to and from the JSON that users pass around.

The JSON, format "detnas-architecture" version 1, also carries the costs (checked when read), and
optionally the score it was chosen for and where it came from.
"""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_space.cost import DEFAULT_INPUT_SIZE, InputSize, costs
from search_space.documents import read_document
from search_space.errors import SpaceError
from search_space.published import PUBLISHED
from search_space.spaces import SPACES, SearchSpace, get_space

Choices = tuple[int, ...]
"""One block choice per block, as indices into the choices of a space."""

FORMAT = "detnas-architecture"
VERSION = 1
CHANNEL_SHUFFLES = ("even_odd", "interleave")
_REQUIRED = ("format", "version", "space", "channel_shuffle", "choices")
_OPTIONAL = ("scaling", "costs", "score", "provenance")
_COMPACT = ("space", "choices", "channel_shuffle")


def choices_to_text(choices: Iterable[int]) -> str:
    """Choices as the command line takes them: "2,1,2,0"."""
    return ",".join(map(str, choices))


def choices_from_text(text: str) -> Choices:
    """The reverse of `choices_to_text`."""
    return tuple(map(int, text.split(",")))


@dataclass(frozen=True)
class Architecture:
    """One choice per block, as indices into `space.choices`.

    `channel_shuffle` is how the channels are divided at stride 1: `even_odd` (the published
    detection networks) or `interleave` (the authors' supernets). Weights of one do not fit the
    other.

    Raises:
        ValueError: a wrong number of choices, a choice out of range, an unknown channel shuffle.
    """

    space: SearchSpace
    choices: tuple[int, ...]
    channel_shuffle: str = "even_odd"

    def __post_init__(self) -> None:
        # numpy integers are welcome, but do not serialise.
        object.__setattr__(self, "choices", tuple(int(choice) for choice in self.choices))
        space = self.space
        if len(self.choices) != space.num_blocks:
            raise SpaceError(
                f"architecture has {len(self.choices)} choices, "
                f"space {space.name!r} has {space.num_blocks} blocks"
            )
        for block, choice in enumerate(self.choices):
            if not 0 <= choice < space.num_choices:
                raise SpaceError(
                    f"choice {choice} of block {block} is out of range, "
                    f"space {space.name!r} has choices 0 to {space.num_choices - 1}"
                )
        if self.channel_shuffle not in CHANNEL_SHUFFLES:
            raise SpaceError(
                f"unknown channel shuffle {self.channel_shuffle!r}, "
                f"must be one of {', '.join(CHANNEL_SHUFFLES)}"
            )

    @property
    def key(self) -> str:
        """Compact form "small:2,1,..."; it names the choices, not the channel shuffle."""
        return f"{self.space.name}:{','.join(map(str, self.choices))}"

    @property
    def choice_names(self) -> tuple[str, ...]:
        """The choices by name."""
        return tuple(self.space.choices[choice] for choice in self.choices)

    def to_dict(
        self,
        score: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
        extra_costs: Mapping[str, Any] | None = None,
        input_size: InputSize = DEFAULT_INPUT_SIZE,
    ) -> dict[str, Any]:
        """The JSON object. `extra_costs` may hold a "latency_ms" with its device and hash."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "space": self.space.to_dict(),
            "scaling": None,
            "channel_shuffle": self.channel_shuffle,
            "choices": list(self.choice_names),
            "costs": {**costs(self, input_size), **(extra_costs or {})},
            "score": None if score is None else dict(score),
            "provenance": None if provenance is None else dict(provenance),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Architecture:
        """Read the JSON object.

        Raises:
            ValueError: another format or version, missing or unknown keys, invalid values, or
                costs that are not this architecture's.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise SpaceError(f'not an architecture: its "format" must be {FORMAT!r}')
        if data.get("version") != VERSION:
            raise SpaceError(
                f"architecture version {data.get('version')!r}, this program reads {VERSION}"
            )
        _check_keys(data, _REQUIRED, _OPTIONAL)
        if data.get("scaling") is not None:
            raise SpaceError('"scaling" must be null: version 1 has no scaled networks')
        for key in ("score", "provenance"):
            if not isinstance(data.get(key), Mapping | None):
                raise SpaceError(f'"{key}" must be an object or null')
        space = SearchSpace.from_dict(data["space"])
        architecture = cls(space, _read_choices(space, data["choices"]), data["channel_shuffle"])
        if data.get("costs") is not None:
            _check_costs(architecture, data["costs"])
        return architecture

    def save(
        self,
        path: str | Path,
        score: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
        extra_costs: Mapping[str, Any] | None = None,
        input_size: InputSize = DEFAULT_INPUT_SIZE,
    ) -> None:
        """Write the JSON file, whole or not at all."""
        path = Path(path)
        text = json.dumps(self.to_dict(score, provenance, extra_costs, input_size), indent=2)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            Path(temporary).chmod(0o644)  # mkstemp makes it readable by its owner alone
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: str | Path) -> Architecture:
        """Read a JSON file; errors as in `load_document`."""
        return cls.from_dict(load_document(path))


def load_document(path: str | Path) -> dict[str, Any]:
    """The whole checked content of an architecture file, score and provenance included.

    Raises:
        ValueError: no such file, not JSON, or not a valid architecture; the message names the file.
    """

    def checked(data: Any) -> dict[str, Any]:
        Architecture.from_dict(data)
        return data

    return read_document(path, "no such architecture file", checked)


def parse_architecture(what: str | Path | Mapping[str, Any] | Architecture) -> Architecture:
    """An architecture from whatever names one.

    `what` is an Architecture, a JSON file's path, a published name, "space:choices" with choices
    as comma-separated numbers or names, the JSON object, or {"space": name, "choices": [...]}
    with an optional "channel_shuffle".

    Raises:
        ValueError: it is none of these; the message lists what it may be.
    """
    if isinstance(what, Architecture):
        return what
    if isinstance(what, Path):
        return Architecture.load(what)
    if isinstance(what, Mapping):
        return _from_compact(what) if "format" not in what else Architecture.from_dict(what)
    if what in PUBLISHED:
        space_name, choices = PUBLISHED[what]
        return Architecture(SPACES[space_name], choices)
    if what.endswith(".json") or os.sep in what:
        return Architecture.load(what)
    space_name, colon, listed = what.partition(":")
    if colon:
        return _from_compact({"space": space_name, "choices": listed.split(",")})
    close = difflib.get_close_matches(what, PUBLISHED, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise SpaceError(
        f"unknown architecture {what!r}{hint}: give a .json file, 'space:choices' such as "
        f"'small:2,1,...', or one of {', '.join(PUBLISHED)}"
    )


def _from_compact(data: Mapping[str, Any]) -> Architecture:
    _check_keys(data, _COMPACT[:2], _COMPACT[2:])
    space = data["space"]
    space = get_space(space) if isinstance(space, str) else SearchSpace.from_dict(space)
    shuffle = data.get("channel_shuffle", CHANNEL_SHUFFLES[0])
    return Architecture(space, _read_choices(space, data["choices"]), shuffle)


def _check_keys(data: Mapping[str, Any], required: Sequence[str], optional: Sequence[str]) -> None:
    missing = [key for key in required if key not in data]
    if missing:
        raise SpaceError(f'architecture lacks the key "{missing[0]}"')
    unknown = [key for key in data if key not in (*required, *optional)]
    if unknown:
        raise SpaceError(f'architecture has the unknown key "{unknown[0]}"')


def _read_choices(space: SearchSpace, listed: object) -> tuple[int, ...]:
    """Choices given as integers, digits or names."""
    if not isinstance(listed, list | tuple):
        raise SpaceError("choices must be a list of numbers or names")

    def read(block: int, choice: object) -> int:
        if isinstance(choice, str):
            choice = choice.strip()
            if choice in space.choices:
                return space.choices.index(choice)
            if choice.isdecimal():
                return int(choice)
        elif isinstance(choice, int) and not isinstance(choice, bool):
            return choice
        raise SpaceError(
            f"choice {choice!r} of block {block} must be one of {', '.join(space.choices)} "
            f"or a number from 0 to {space.num_choices - 1}"
        )

    return tuple(read(block, choice) for block, choice in enumerate(listed))


def _check_costs(architecture: Architecture, stated: object) -> None:
    if not isinstance(stated, Mapping):
        raise SpaceError('"costs" must be an object')
    size = stated.get("input_size", list(DEFAULT_INPUT_SIZE))
    if not isinstance(size, list | tuple) or [type(side) for side in size] != [int] * 3:
        raise SpaceError('"costs": "input_size" must be [channels, height, width]')
    computed = costs(architecture, (size[0], size[1], size[2]))
    for name, value in stated.items():
        if name == "latency_ms":
            continue  # measured elsewhere: it cannot be re-derived here
        if name not in computed:
            raise SpaceError(f'"costs" has the unknown key "{name}"')
        if name != "input_size" and value != computed[name]:
            raise SpaceError(f"the file says {value} {name}, its choices have {computed[name]}")
