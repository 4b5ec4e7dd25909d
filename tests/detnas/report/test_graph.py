"""Pictures of feature graphs, and the fourth graph that docs/efficientdet.md shows."""

import re
from pathlib import Path
from textwrap import dedent

import numpy as np
from PIL import Image

from detnas.config import load_config
from detnas.models import BiFPN
from detnas.report.graph import draw_graphs, positions
from search_space.feature_graphs import bifpn, fpn, panet, parse_graph

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/efficientdet.md"


def test_outputs_share_the_last_column_and_no_maps_a_place() -> None:
    for graph in (fpn(5), panet(4), bifpn(6)):
        at = positions(graph)
        assert len(set(at.values())) == len(at)
        last = max(column for column, _ in at.values())
        assert {at[number][0] for number in graph.outputs} == {last}
        assert [at[number][1] for number in graph.outputs] == list(range(graph.levels))


def test_the_graph_of_the_docs_is_one_and_is_drawn(tmp_path: Path) -> None:
    code = re.search(r"^    graph = dict\(.*?^    \)$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert code is not None
    base = ROOT / "configs/efficientdet/efficientdet_d0_coco.py"
    config = tmp_path / "another.py"
    config.write_text(f'_base_ = ["{base}"]\n{dedent(code[0])}\n')
    shown = load_config(config).model.neck.graph
    graph = parse_graph(shown, 5)
    assert graph.outputs == (10, 11, 12, 13, 9)
    BiFPN([8, 8, 8], 8, graph=shown)
    path = tmp_path / "graphs.png"
    draw_graphs({"BiFPN": bifpn(5), "another": graph}, path)
    with Image.open(path) as image:
        assert image.width > 800
        assert np.asarray(image.convert("L")).std() > 20
