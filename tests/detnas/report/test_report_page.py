"""The report page: the right numbers, self-contained, in any state of the search."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from report_folders import SETTINGS, TINY, Page, build, candidates

from detnas.report.page import write_report
from detnas.search.history.reading import SearchHistory
from detnas.search.history.writer import History
from search_space.architecture import Architecture


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "a <b> & c"
    build(folder, [[0.1, None, 0.2], [0.25, 0.3125], [0.3, None]], random=(0.15, 0.22))
    best, _ = candidates(2, 1)[1]
    Architecture(TINY, best).save(folder / "best_architecture.json")
    metrics = {"coco/bbox_mAP_50": 0.5, "coco/bbox_mAP": 0.36125}
    summary = {"test_metrics": metrics, "score": "coco/bbox_mAP", "note": "<i>x</i>"}
    summary |= {"detector_macs": 812_000_000}
    (folder / "summary.json").write_text(json.dumps(summary))
    Image.new("RGB", (8, 8), "red").save(folder / "detections.png")
    assert write_report(folder) == folder / "report.html"
    return folder


def test_page_shows_the_numbers(finished: Path) -> None:
    text = " ".join(Page(finished / "report.html").text.split())
    best, costs = candidates(2, 1)[1]
    assert "7 candidates in 3 generations · 2 failed · seed 7" in text
    assert "MACs at 160\N{MULTIPLICATION SIGN}160 ≤ 25.00 M" in text
    lead = "test split after retraining, coco/bbox_mAP 0.3613 search score, coco/bbox_mAP"
    assert f"{lead} 0.3125 mean search score of 4 random ones 0.1675" in text
    assert "MACs of the detector 812.0 M" in text
    assert f"MACs at 160\N{MULTIPLICATION SIGN}160 {costs['macs'] / 1e6:.2f} M" in text
    assert "tiny:" + ",".join(map(str, best)) in text
    # Generations: number, evaluated, best, mean, failed, waiting.
    assert "1 3 0.2000 0.1500 1 0 2 2 0.3125 0.2812 0 0 3 2 0.3000 0.3000 1 0" in text
    assert "random baseline 2 0.2200 0.1850" in text
    assert "its first generation 3 0.2000 0.1500" in text
    assert "The first 4 evaluations of the search have a best of 0.3125" in text
    # Clopper and Pearson's bound for 0 of 4 is 1 - 0.05 ** (1 / 4).
    assert "None of the 4 scores better than the search's best: 0.3125 against 0.2200" in text
    assert "So at most 53 % of the architectures within the budget score better" in text
    assert "test_metrics.coco/bbox_mAP 0.36125" in text
    assert "note <i>x</i>" in text
    assert "2 RuntimeError: <script>alert(1)</script>" in text
    assert "holds another architecture" not in text


def test_best_candidates_come_first(finished: Path) -> None:
    html = (finished / "report.html").read_text(encoding="utf-8")
    top = html.split(">Best candidates</h2>")[1].split("</table>")[0]
    rows = top.split("<tr")[2:]
    found = [match[0] for row in rows if (match := re.search(r"0\.\d{4}", row))]
    assert found == ["0.3125", "0.3000", "0.2500", "0.2000", "0.1000"]
    assert all(row.count("<i ") == TINY.num_blocks for row in rows)


def test_page_is_self_contained_and_escaped(finished: Path) -> None:
    page = Page(finished / "report.html")
    assert [address.partition(",")[0] for address in page.addresses] == ["data:image/jpeg;base64"]
    assert page.tags.count("svg") == 4  # the course and the costs, each in two widths
    html = (finished / "report.html").read_text(encoding="utf-8")
    assert "http" not in html
    assert "<script>alert" not in html
    assert "url(" not in html.replace("url(#", "")
    assert page.tags.count("script") == 1
    assert not {"link", "iframe"} & set(page.tags)
    assert not re.findall(r"#a1[0-9a-f]{2}0[12]", html), "marker colours are replaced"


def test_objectives_have_pictures_and_a_front(finished: Path, tmp_path: Path) -> None:
    strategy = {"type": "pareto", "objectives": ["macs", "params"]}
    scores: list[list[float | None]] = [[0.1, None, 0.2], [0.25, 0.3125], [0.3, None]]
    build(tmp_path, scores, settings={**SETTINGS, "strategy": strategy})
    page = Page(write_report(tmp_path))
    assert page.tags.count("svg") == 6  # the course and each cost, each in two widths
    assert "has more MACs or more parameters." in " ".join(page.text.split())
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    table = html.split(">Pareto front</h3>")[1].split("</table>")[0]
    front = SearchHistory.read(tmp_path).front(["macs", "params"])
    assert re.findall(r">(0\.\d{4})<", table) == [f"{row.score:.4f}" for row in front]
    assert ">Pareto front</h3>" not in (finished / "report.html").read_text(encoding="utf-8")


def test_another_best_architecture_file_is_noted(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes((finished / "history.db").read_bytes())
    Architecture(TINY, (0,) * 10).save(tmp_path / "best_architecture.json")
    assert "holds another architecture" in Page(write_report(tmp_path)).text


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([], "Nothing has been proposed yet"),
        ([[None, None]], "No candidate has a score"),
    ],
    ids=["empty", "failed"],
)
def test_page_without_a_score(scores: list[list[float | None]], said: str, tmp_path: Path) -> None:
    build(tmp_path, scores)
    page = Page(write_report(tmp_path))
    assert said in page.text
    assert "No candidate has a score" in page.text
    assert not page.addresses


def test_page_of_a_running_search(tmp_path: Path) -> None:
    with History.create(tmp_path / "history.db", SETTINGS) as history:
        history.record_generation(0, candidates(3, 0))
        history.record_done(history.generation(0)[0].id, 0.5, {})
        text = Page(write_report(tmp_path)).text
    assert "2 still waiting" in text
    assert "0.5000" in text


def test_imports_neither_torch_nor_openmmlab() -> None:
    code = (
        "import sys, detnas.report.page, detnas.report.detections; "
        "heavy = {'torch', 'mmengine', 'mmcv', 'mmdet', 'matplotlib.pyplot'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
