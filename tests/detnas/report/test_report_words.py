"""The words of the page: odd names, sizes of images, the verdict on random search, the docs."""

import re
import warnings
from pathlib import Path

import pytest
from PIL import Image
from report_folders import SETTINGS, Page, build, build_all

from detnas.report.curves import draw_search
from detnas.report.losses import LossCurve, draw_losses
from detnas.report.page import write_report
from detnas.report.random_text import points, verdict
from detnas.report.shots import LABELLED, shot_labels
from detnas.report.style import cost_name, readable_score, readable_size, signed_score
from detnas.search.against_random import AgainstRandom, EqualCount, LaterMean
from detnas.search.history.reading import SearchHistory
from detnas.search.shown_images import ShownImage

DOCS = Path(__file__).parents[3] / "docs" / "report.md"
TIMES = "\N{MULTIPLICATION SIGN}"


@pytest.mark.parametrize("name", ["a$b$c", "$x_{", "\\frac{$", "\u65e5\u672c\u8a9e"])
def test_any_name_of_a_score_or_a_stage_is_drawn_as_it_is(name: str, tmp_path: Path) -> None:
    settings = {**SETTINGS, "score": name}
    build(tmp_path / "search", [[0.1, 0.2]], random=(0.15, 0.22), settings=settings)
    curve = LossCurve(name, (1, 2), {"loss": (2.0, 1.0), f"loss_{name}": (1.0, 1.0)}, ())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_losses([curve], tmp_path / "losses.svg")
        draw_losses([curve], tmp_path / "losses.png")
        draw_search(SearchHistory.read(tmp_path / "search"), tmp_path / "search.png")
        html = write_report(tmp_path / "search").read_text(encoding="utf-8")
    assert name in (tmp_path / "losses.svg").read_text(encoding="utf-8")
    assert html.count(f">{name}</text>") >= 2, "the label of each figure's axis"
    with Image.open(tmp_path / "losses.png") as image:
        assert image.width > 1000


def test_sizes_of_images_say_width_first() -> None:
    assert readable_size(96, 160) == f"160{TIMES}96 (width{TIMES}height)"
    assert readable_size(160, 160) == f"160{TIMES}160"
    assert cost_name("macs@96x160") == f"MACs at 160{TIMES}96 (width{TIMES}height)"


def test_the_page_has_one_order_of_sides(tmp_path: Path) -> None:
    budget = {"cost": "macs", "lower": None, "upper": 25e6, "input_size": [3, 96, 160]}
    build(tmp_path, [[0.1, 0.2]], settings={**SETTINGS, "budgets": [budget]})
    (tmp_path / "summary.json").write_text(
        '{"detector_macs": 5000000, "detector_input_size": [96, 160], "macs_input_size": [96, 160]}'
    )
    words = Page(write_report(tmp_path)).words
    assert words.count(f"160{TIMES}96 (width{TIMES}height)") == 5
    assert "96, 160" not in words
    assert f"96{TIMES}160" not in words


def test_large_scores_are_powers_of_ten() -> None:
    assert [readable_score(value) for value in (0.25, 31.5, 1e308)] == ["0.2500", "31.50", "1e+308"]
    assert signed_score(-0.25) == "\N{MINUS SIGN}0.2500"


def compared(**values: object) -> AgainstRandom:
    defaults = {
        "drawn": 20,
        "mean": 0.3,
        "deviation": 0.02,
        "drawn_best": 0.34,
        "equal": None,
        "later": LaterMean(16, 16, 0.03, (0.01, 0.05)),
        "best": 0.40,
        "evaluations": 36,
        "expected": 0.35,
        "better": 0,
        "is_best": False,
        "share": 0.14,
        "greater_is_better": True,
    }
    return AgainstRandom(**{**defaults, **values})  # type: ignore[arg-type]


NOT, PART = "do not show that the search did better", "only in part"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "did better than random architectures, although the best of equally many was only"),
        ({"equal": EqualCount(20, 0.40, 0.34)}, "the search did better than random architectures."),
        ({"equal": EqualCount(20, 0.33, 0.34)}, PART),
        ({"expected": 0.4156}, PART),
        ({"later": LaterMean(16, 16, 0.01, (-0.01, 0.05))}, PART),
        ({"expected": 0.45, "is_best": True, "later": None}, NOT),
        ({"expected": 0.45, "better": 2, "later": LaterMean(9, 9, 0.0, (-0.1, 0.1))}, NOT),
    ],
)
def test_the_verdict_claims_what_was_measured(values: dict[str, object], said: str) -> None:
    assert said in verdict(compared(**values))


def test_the_verdict_where_lower_is_better() -> None:
    low = {"best": 0.2, "drawn_best": 0.25, "expected": 0.22, "greater_is_better": False}
    better = LaterMean(16, 16, -0.03, (-0.05, -0.01))
    assert "the search did better" in verdict(compared(**low, later=better))
    worse = LaterMean(16, 16, 0.03, (0.01, 0.05))
    assert PART in verdict(compared(**low, later=worse))
    assert "worse than random ones" in dict(points(compared(**low, later=worse)))["Average"]


def test_the_points_say_what_is_compared() -> None:
    said = dict(points(compared(later=LaterMean(20, 30, 0.03, (0.01, 0.05)), expected=0.4156)))
    assert "the best of 36 with the best of 20" in said["Best against all random ones"]
    assert "The first 20 of the 30 candidates that the search proposed" in said["Average"]
    assert "The search's best, 0.4000, is not better than that" in said["Estimate"]
    assert "extrapolation" in said["Estimate"]


def test_labels_stay_on_the_image() -> None:
    boxes = tuple((float(at), 0.0 if at % 2 else 50.0, 159.0, 119.0) for at in range(0, 150, 5))
    count = len(boxes)
    scores = tuple(0.3 + 0.01 * place for place in range(count))
    image = ShownImage("a.jpg", 160, 120, b"", boxes, (0,) * count, scores, (), ())
    labels = shot_labels(image, ("cat",), ("#ffffff",))
    assert len(labels) == LABELLED
    assert labels[-1].text == f"cat {scores[-1]:.2f}"
    assert all(0 <= label.x <= 160 and label.size <= label.y <= 120 for label in labels)
    assert labels[-1].anchor == "end"


def test_the_docs_name_every_heading_of_the_page(tmp_path: Path) -> None:
    build_all(tmp_path / "all")
    (tmp_path / "all" / "detections.json").unlink()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "all" / "detections.png")
    html = write_report(tmp_path / "all").read_text(encoding="utf-8")
    docs = " ".join(DOCS.read_text(encoding="utf-8").split())
    headings = [re.sub(r":.*", "", each) for each in re.findall(r"<h2 id=[^>]*>([^<]*)</h2>", html)]
    templates = Path(write_report.__code__.co_filename).parent / "templates"
    written = {
        re.sub(r":.*", "", heading)
        for file in templates.glob("_*.html")
        for heading in re.findall(r"<h2 id=[^>]*>([^<]*)</h2>", file.read_text(encoding="utf-8"))
    }
    assert set(headings) <= written
    assert len(written) >= 15
    assert not [heading for heading in written if f"| {heading} |" not in docs]
