"""Parses the tensor names of the DetNAS authors, and translates them to our layers."""

import re
from dataclasses import dataclass

BACKBONE_KEY = re.compile(r"((?:(?:module|backbone|body)\.)*)(?:first_conv|features)\.")
_BLOCK_KEY = re.compile(
    r"features\.(?P<block>\d+)\.(?:(?P<choice>\d+)\.)?"
    r"(?:conv\.(?P<unit>\d+)|proj_conv)\."
    r"(?P<kind>interstellar|bn)(?P<place>\d+.)_"
    r"(?:(?P<name>(?P<family>shufflenet|xception)_\dx\d)_branch2(?P<letter>.)|proj)"
    r"(?P<spatial>_s_bn|_s)?\.(?P<tensor>\w+)"
)
# Position in a unit: a depthwise and a 1x1 convolution, each followed by its batch norm.
_IN_UNIT = {
    ("interstellar", "_s"): 0,
    ("interstellar", "_s_bn"): 1,
    ("interstellar", None): 2,
    ("bn", None): 3,
}
# Position of a unit's depthwise convolution in our branch. It is negative in the first unit of a
# ShuffleNet branch, which has none; a projection is one unit.
_UNIT_STARTS = {
    (None, None, None): 0,
    ("shufflenet", "0", "a"): -2,
    ("shufflenet", "1", "b"): 3,
    ("xception", "0", "a"): 0,
    ("xception", "1", "b"): 5,
    ("xception", "2", "c"): 10,
}
OTHER_LAYERS = {
    "first_conv.conv": "backbone.stem.0",
    "first_conv.bn": "backbone.stem.1",
    "last_conv.conv": "neck.conv",
    "last_conv.bn": "neck.norm",
    "fc.fc": "head.fc",
}


@dataclass(frozen=True)
class Layer:
    """The parsed name of a block's tensor.

    Attributes:
        block: index of the block in the network.
        choice: index of the choice, in a supernet.
        place: stage and block, such as "1a".
        name: name of the choice; None in projections.
        inner: our key within the block.
    """

    block: int
    choice: int | None
    place: str
    name: str | None
    inner: str


def parse_name(key: str) -> Layer | None:
    """Parse the name of a tensor; None if it is not in a block."""
    match = _BLOCK_KEY.fullmatch(key)
    if match is None:
        return None
    start = _UNIT_STARTS.get((match["family"], match["unit"], match["letter"]))
    offset = _IN_UNIT.get((match["kind"], match["spatial"]))
    if start is None or offset is None:
        return None
    branch = "projection" if match["name"] is None else "main"
    return Layer(
        block=int(match["block"]),
        choice=None if match["choice"] is None else int(match["choice"]),
        place=match["place"],
        name=match["name"],
        inner=f"{branch}.{start + offset}.{match['tensor']}",
    )
