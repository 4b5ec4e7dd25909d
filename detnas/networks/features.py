"""Where a backbone's feature maps come from, in the form that timm gives it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, overload

from search_space.spaces import SearchSpace


@dataclass(frozen=True)
class Feature:
    """The feature map of one stage, by timm's names.

    Attributes:
        num_chs: its channels.
        reduction: its stride: 4 means a quarter of the image's height and width.
        module: the name of the module that returns it, such as "blocks.3".
        index: of the stage.
    """

    num_chs: int
    reduction: int
    module: str
    index: int


class FeatureInfo:
    """The returned feature maps, with the methods of timm's class of that name.

    Length, index and iteration are over all stages, as dicts with the fields of `Feature`. `idx` of
    a method counts them, too, and None takes the returned ones.

    Args:
        features: of every stage.
        out_indices: the stages that are returned.
    """

    def __init__(self, features: Sequence[Feature], out_indices: Sequence[int]) -> None:
        self.info = [asdict(feature) for feature in features]
        self.out_indices = tuple(out_indices)

    @overload
    def channels(self, idx: int) -> int: ...
    @overload
    def channels(self, idx: Sequence[int] | None = None) -> list[int]: ...
    def channels(self, idx: int | Sequence[int] | None = None) -> int | list[int]:
        """Channels of the feature maps."""
        return self.get("num_chs", idx)

    @overload
    def reduction(self, idx: int) -> int: ...
    @overload
    def reduction(self, idx: Sequence[int] | None = None) -> list[int]: ...
    def reduction(self, idx: int | Sequence[int] | None = None) -> int | list[int]:
        """Strides of the feature maps."""
        return self.get("reduction", idx)

    @overload
    def module_name(self, idx: int) -> str: ...
    @overload
    def module_name(self, idx: Sequence[int] | None = None) -> list[str]: ...
    def module_name(self, idx: int | Sequence[int] | None = None) -> str | list[str]:
        """Names of the modules that return them."""
        return self.get("module", idx)

    def get(self, key: str, idx: int | Sequence[int] | None = None) -> Any:
        """The values of a key: one for an integer, else a list."""
        if isinstance(idx, int):
            return self.info[idx][key]
        return [self.info[i][key] for i in (self.out_indices if idx is None else idx)]

    def get_dicts(
        self, keys: Sequence[str] | None = None, idx: int | Sequence[int] | None = None
    ) -> Any:
        """The dicts, with all keys or those given."""
        if isinstance(idx, int):
            return {key: self.info[idx][key] for key in keys or self.info[idx]}
        chosen = self.out_indices if idx is None else idx
        return [self.get_dicts(keys, i) for i in chosen]

    def __len__(self) -> int:
        return len(self.info)

    def __getitem__(self, item: int) -> dict[str, Any]:
        return self.info[item]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.info)


def features_of(space: SearchSpace) -> list[Feature]:
    """The feature map of every stage of a space: the output of the stage's last block."""
    last = {spec.stage: spec.index for spec in space.block_specs()}
    return [
        Feature(stage.channels, 2 ** (number + 2), f"blocks.{last[number]}", number)
        for number, stage in enumerate(space.stages)
    ]
