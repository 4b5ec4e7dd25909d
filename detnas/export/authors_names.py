"""The names of the DetNAS authors' tensors: what each says, and which of our layers it is."""

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
# A unit is a depthwise and a 1x1 convolution, each with its batch norm, in this order.
_IN_UNIT = {
    ("interstellar", "_s"): 0,
    ("interstellar", "_s_bn"): 1,
    ("interstellar", None): 2,
    ("bn", None): 3,
}
# Where our branch has the unit's depthwise convolution. A ShuffleNet branch's first unit has none;
# a projection is one unit.
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
    """What the name of a block's tensor says.

    `place` is stage and block, such as "1a"; `name` the choice, which projections do not say;
    `inner` our key inside the block.
    """

    block: int
    choice: int | None
    place: str
    name: str | None
    inner: str


def parse_name(key: str) -> Layer | None:
    """What the name of a block's tensor says; None where it is none."""
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
