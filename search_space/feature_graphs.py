"""Cross-scale graphs of a feature pyramid as data: which maps each node combines, at what level.

A graph is one cell; `detnas.models.efficientdet.bifpn` builds it, `detnas.report` draws it. Maps
are numbered: the cell's inputs from 0, the finest level first, then its nodes in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from search_space.errors import SpaceError
from search_space.validation import convert, did_you_mean

Fusion = Literal["fast", "softmax", "unbounded", "sum"]
"""How a node weighs what it combines; see `detnas.models.efficientdet.bifpn.BiFPN`."""


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    """A node: the level of its output, 0 the finest, and the numbers of the maps it combines."""

    level: int
    inputs: tuple[int, ...]


class FeatureGraph(Struct, frozen=True, forbid_unknown_fields=True):
    """One cell of a feature pyramid.

    Attributes:
        levels: of the inputs, and of the outputs.
        nodes: in the order of their computation.
        outputs: the number of the node that is the output of each level, the finest first.

    Raises:
        SpaceError: a node without inputs, with an unknown or a later one, or with one twice; a
            level that does not exist; an output that is not a node of its level; a node that
            nothing needs.
    """

    levels: int
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise SpaceError(f"a graph of {self.levels} levels: it needs at least 1")
        for number, node in enumerate(self.nodes, self.levels):
            where = f"node {number} of the graph"
            if not 0 <= node.level < self.levels:
                raise SpaceError(
                    f"{where}: level {node.level} is not one of 0 to {self.levels - 1}"
                )
            if not node.inputs or len(set(node.inputs)) != len(node.inputs):
                raise SpaceError(f"{where}: inputs {node.inputs} must be different, one or more")
            if unknown := [each for each in node.inputs if not 0 <= each < number]:
                raise SpaceError(f"{where}: input {unknown[0]} is not a map before it")
        last = self.levels + len(self.nodes)
        if len(self.outputs) != self.levels:
            raise SpaceError(f"a graph of {self.levels} levels has {len(self.outputs)} outputs")
        for level, number in enumerate(self.outputs):
            if not self.levels <= number < last or self.level_of(number) != level:
                raise SpaceError(f"output {number} of the graph is not a node of level {level}")
        used = {each for node in self.nodes for each in node.inputs} | set(self.outputs)
        if idle := [number for number in range(last) if number not in used]:
            raise SpaceError(f"map {idle[0]} of the graph is not used by any node or output")

    def level_of(self, number: int) -> int:
        """The level of an input or node."""
        return number if number < self.levels else self.nodes[number - self.levels].level


def fpn(levels: int) -> FeatureGraph:
    """Top-down alone (Lin et al., CVPR 2017): each level adds the coarser output."""
    nodes: list[Node] = []
    for level in reversed(range(levels)):
        coarser = (levels + len(nodes) - 1,) if nodes else ()
        nodes.append(Node(level, (level, *coarser)))
    return FeatureGraph(levels, tuple(nodes), tuple(reversed(range(levels, 2 * levels))))


def panet(levels: int) -> FeatureGraph:
    """FPN, then a bottom-up pass over its outputs (Liu et al., CVPR 2018)."""
    down = fpn(levels)
    nodes, outputs = list(down.nodes), [down.outputs[0]]
    for level in range(1, levels):
        nodes.append(Node(level, (down.outputs[level], outputs[-1])))
        outputs.append(levels + len(nodes) - 1)
    return FeatureGraph(levels, tuple(nodes), tuple(outputs))


def bifpn(levels: int) -> FeatureGraph:
    """Top-down and bottom-up with the input again at every output (Tan et al., CVPR 2020).

    Levels between the first and the last have a node in both passes; a node with a single input is
    left out.
    """
    nodes: list[Node] = []
    between = {}
    for level in reversed(range(levels - 1)):
        coarser = levels + len(nodes) - 1 if nodes else levels - 1
        nodes.append(Node(level, (level, coarser)))
        between[level] = levels + len(nodes) - 1
    if levels == 1:
        return FeatureGraph(1, (Node(0, (0,)),), (1,))
    outputs = [between[0]]
    for level in range(1, levels):
        own = (level, between[level]) if level in between else (level,)
        nodes.append(Node(level, (*own, outputs[-1])))
        outputs.append(levels + len(nodes) - 1)
    return FeatureGraph(levels, tuple(nodes), tuple(outputs))


GRAPHS: Mapping[str, Callable[[int], FeatureGraph]] = {"bifpn": bifpn, "fpn": fpn, "panet": panet}
"""The named graphs, as functions of the number of levels."""


def parse_graph(what: str | Mapping[str, Any] | FeatureGraph, levels: int) -> FeatureGraph:
    """A graph of so many levels.

    Args:
        what: a name of `GRAPHS`; or dict(nodes=[(level, inputs), ...], outputs=[...]).

    Raises:
        SpaceError: an unknown name, or a graph that is not one, or of other levels.
    """
    if levels < 1:
        raise SpaceError(f"a graph of {levels} levels: it needs at least 1")
    if isinstance(what, str):
        if what not in GRAPHS:
            raise SpaceError(f"unknown graph {what!r}; {did_you_mean(what, GRAPHS, list_all=True)}")
        return GRAPHS[what](levels)
    if isinstance(what, Mapping):
        nodes = what.get("nodes", ())
        if isinstance(nodes, list | tuple):
            nodes = [_node(node) for node in nodes]
        what = convert({"levels": levels, **what, "nodes": nodes}, FeatureGraph, "graph")
    if not isinstance(what, FeatureGraph):
        raise SpaceError(f"graph is {what!r}; it must be a name or dict(nodes=..., outputs=...)")
    if what.levels != levels:
        raise SpaceError(f"the graph has {what.levels} levels, the pyramid {levels}")
    return what


def _node(value: Any) -> Any:
    """A node given as (level, inputs)."""
    if isinstance(value, list | tuple) and len(value) == 2:
        return dict(zip(("level", "inputs"), value, strict=True))
    return value
