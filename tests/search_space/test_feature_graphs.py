"""Graphs of a feature pyramid: the named ones as published, others as data, mistakes refused."""

from typing import Any

import pytest

from search_space.errors import SpaceError
from search_space.feature_graphs import GRAPHS, bifpn, fpn, panet, parse_graph


def test_bifpn_of_five_levels_is_the_published_one() -> None:
    graph = bifpn(5)
    nodes = {number: (node.level, node.inputs) for number, node in enumerate(graph.nodes, 5)}
    assert nodes == {
        5: (3, (3, 4)),
        6: (2, (2, 5)),
        7: (1, (1, 6)),
        8: (0, (0, 7)),
        9: (1, (1, 7, 8)),
        10: (2, (2, 6, 9)),
        11: (3, (3, 5, 10)),
        12: (4, (4, 11)),
    }
    assert graph.outputs == (8, 9, 10, 11, 12)


def test_fpn_and_panet() -> None:
    assert [(n.level, n.inputs) for n in fpn(3).nodes] == [(2, (2,)), (1, (1, 3)), (0, (0, 4))]
    assert fpn(3).outputs == (5, 4, 3)
    assert [(n.level, n.inputs) for n in panet(3).nodes[3:]] == [(1, (4, 5)), (2, (3, 6))]
    assert panet(3).outputs == (5, 6, 7)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("levels", [1, 2, 3, 6])
def test_any_number_of_levels(name: str, levels: int) -> None:
    graph = parse_graph(name, levels)
    assert [graph.level_of(number) for number in graph.outputs] == list(range(levels))


def test_a_graph_of_ones_own() -> None:
    graph = parse_graph({"nodes": [(0, [0, 1]), (1, [1, 2])], "outputs": [2, 3]}, 2)
    assert graph.nodes[1].inputs == (1, 2)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("bifnp", "unknown graph 'bifnp'; did you mean 'bifpn'"),
        ({"nodes": [(0, [0, 1]), (1, [1, 3])], "outputs": [2, 3]}, "input 3 is not a map before"),
        ({"nodes": [(0, [0, 0]), (1, [1, 2])], "outputs": [2, 3]}, "must be different"),
        ({"nodes": [(0, []), (1, [1, 0])], "outputs": [2, 3]}, "one or more"),
        ({"nodes": [(2, [0, 1]), (1, [1, 2])], "outputs": [2, 3]}, "level 2 is not one of 0 to 1"),
        ({"nodes": [(0, [0, 1]), (1, [1, 2])], "outputs": [3, 2]}, "output 3 .* of level 0"),
        ({"nodes": [(0, [0, 1]), (1, [1, 2])], "outputs": [2]}, "2 levels has 1 outputs"),
        ({"nodes": [(0, [0]), (1, [0, 2])], "outputs": [2, 3]}, "map 1 of the graph is not used"),
        ({"nodes": [(0, [0, 1])], "output": [2]}, "unknown key|output"),
        ({"nodes": [3], "outputs": [2]}, "graph"),
        ({"nodes": None, "outputs": []}, "graph.nodes must be a list"),
        ({"nodes": [(0, [0, 1], "more"), (1, [1, 2])], "outputs": [2, 3]}, "graph.nodes"),
        (None, "graph is None; it must be a name"),
        (5, "graph is 5; it must be a name"),
        ({"levels": 3, "nodes": [], "outputs": []}, "3 levels has 0 outputs"),
    ],
)
def test_what_is_no_graph_is_refused(what: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        parse_graph(what, 2)
