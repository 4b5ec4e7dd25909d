"""The picture of an architecture: its size, its colours, and reproducible files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detnas.report.architecture import draw_architecture
from detnas.report.style import (
    BLACK,
    DARK,
    LIGHT,
    WHITE,
    cost_name,
    ink_on,
    readable_cost,
    readable_score,
)
from search_space.architecture import Architecture, parse_architecture
from search_space.choices import CHOICES
from search_space.spaces import PAPER_CHOICES, SearchSpace, Stage

NETWORKS = {
    "10 blocks": "tiny:2,1,2,0,3,3,1,0,2,2",
    "20 blocks": "detnasnet-300m-coco-fpn",
    "40 blocks": "detnasnet-1.3g-coco-fpn",
}


def share_of_colour(path: Path, colour: str) -> float:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return float((pixels == wanted).all(axis=2).mean())


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_picture_has_a_sensible_size_and_content(network: str, tmp_path: Path) -> None:
    path = tmp_path / "network.png"
    draw_architecture(parse_architecture(network), path)
    with Image.open(path) as image:
        assert 1200 <= image.width <= 2400
        assert 1.5 < image.width / image.height < 4.5
        assert np.asarray(image.convert("L")).std() > 20
    assert share_of_colour(path, LIGHT.panel) > 0.1


def test_area_of_a_choice_grows_with_its_count(tmp_path: Path) -> None:
    few, many = tmp_path / "few.png", tmp_path / "many.png"
    draw_architecture(parse_architecture("tiny:0,0,0,0,0,0,0,0,0,3"), few)
    draw_architecture(parse_architecture("tiny:3,3,3,3,3,3,3,3,3,0"), many)
    orange, blue = CHOICES["xception_3x3"].colour, CHOICES["shufflenet_3x3"].colour
    assert share_of_colour(many, orange) > 5 * share_of_colour(few, orange) > 0
    assert share_of_colour(few, blue) > 5 * share_of_colour(many, blue) > 0


def test_skipped_blocks_are_empty_boxes(tmp_path: Path) -> None:
    few, many = tmp_path / "few.png", tmp_path / "many.png"
    draw_architecture(parse_architecture("tiny-skip:1,4,1,1,1,1,1,1,1,1"), few)
    draw_architecture(parse_architecture("tiny-skip:1,4,1,4,1,4,4,4,1,4"), many)
    blue, fill = CHOICES["shufflenet_5x5"].colour, CHOICES["skip"].colour
    assert share_of_colour(few, blue) > 2 * share_of_colour(many, blue) > 0
    assert share_of_colour(many, LIGHT.panel) > share_of_colour(few, LIGHT.panel)
    assert share_of_colour(many, fill) == 0


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("tiny-skip:1,4,1,4,1,4,4,4,1,4", ["4 of 10 blocks", "Skip (no block)", "skip"]),
        ("tiny-skip:" + ",".join("0" * 10), ["tiny-skip space, 10 blocks", "Skip (no block)"]),
    ],
)
def test_the_picture_says_how_many_blocks_are_skipped(
    network: str, words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    texts: list[str] = []
    monkeypatch.setattr(
        "detnas.report.architecture.save_figure",
        lambda figure, path: texts.extend(text.get_text() for text in figure.axes[0].texts),
    )
    draw_architecture(parse_architecture(network), tmp_path / "network.png")
    assert all(any(word in text for text in texts) for word in words)
    assert texts.count("skip") == network.count("4")


def test_every_choice_has_its_own_look() -> None:
    for what in ("colour", "label", "mark"):
        assert len({getattr(choice, what) for choice in CHOICES.values()}) == len(CHOICES)


def test_text_is_readable_on_every_fill() -> None:
    assert ink_on("#c3e0f2") == ink_on("#67aedb") == ink_on("#f0a24b") == BLACK
    assert ink_on("#185a8d") == WHITE


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_equal_pictures_are_equal_files(suffix: str, tmp_path: Path) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    for path in (first, second):
        draw_architecture(parse_architecture(NETWORKS["10 blocks"]), path, theme=DARK)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_unusual_spaces_are_drawn(tmp_path: Path) -> None:
    lone = SearchSpace("lone", 8, (Stage(16, 1),), choices=("xception_3x3",))
    long = SearchSpace("long", 8, (Stage(16, 50), Stage(32, 1)), PAPER_CHOICES)
    for space in (lone, long):
        draw_architecture(Architecture(space, (0,) * space.num_blocks), tmp_path / "odd.png")


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.png or \.svg"):
        draw_architecture(parse_architecture(NETWORKS["10 blocks"]), tmp_path / "network.pdf")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("macs", 288_082_368, "288.1 M"),
        ("macs", 1_274_000_000, "1.27 G"),
        ("params", 169_600, "169.6 k"),
        ("latency_ms", 8.2, "8.20 ms"),
        ("layers", 12, "12"),
    ],
)
def test_costs_are_readable(name: str, value: float, text: str) -> None:
    assert readable_cost(name, value) == text


def test_names_and_scores_are_readable() -> None:
    assert cost_name("macs@320x320") == "MACs at 320\N{MULTIPLICATION SIGN}320"
    assert (readable_score(0.31249), readable_score(71.256)) == ("0.3125", "71.26")
