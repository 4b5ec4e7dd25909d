"""The page in a real browser: no errors, axe's checks, nothing cut off, keyboard, print.

Needs a Chromium on the PATH, and playwright and axe of the extra `dev`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_folders import build_all

from detnas.report.page import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")

PHONE, LAPTOP = (390, 844), (1440, 900)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        # Without a sandbox it runs as root, too; the only page is our own.
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("browser") / "experiment"
    build_all(folder)
    return write_report(folder).as_uri()


@pytest.fixture
def opened(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page; the parameter is the size of the window and the colour scheme."""
    (width, height), scheme = getattr(request, "param", (LAPTOP, "light"))
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda failed: problems.append(failed.url[:100]))
    page.goto(address)
    yield page
    assert not problems
    context.close()


@pytest.mark.parametrize(
    "opened",
    [(size, scheme) for size in (PHONE, LAPTOP) for scheme in ("light", "dark")],
    indirect=True,
    ids=["phone light", "phone dark", "laptop light", "laptop dark"],
)
def test_axe_finds_nothing_and_nothing_is_cut_off(opened: Any) -> None:
    found = axe.Axe().run(opened).response["violations"]
    assert not [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
    sizes = opened.evaluate("""() => {
        const wide = [...document.querySelectorAll("main *")].filter((each) =>
            each.checkVisibility() && !each.closest(".matrix, svg, thead")
            && each.scrollWidth > each.clientWidth + 1
            && getComputedStyle(each).overflowX !== "visible");
        const texts = [...document.querySelectorAll("figure svg text")]
            .filter((each) => each.checkVisibility() && each.textContent.trim())
            .map((each) => [each.getBBox().height, each.getScreenCTM()])
            .map(([height, scale]) => height * Math.hypot(scale.a, scale.b));
        return [document.documentElement.scrollWidth - innerWidth,
                wide.map((each) => each.outerHTML.slice(0, 90)), Math.min(...texts)];
    }""")
    overflow, wide, smallest = sizes
    assert overflow <= 0
    assert wide == []
    assert smallest > 10, "the text of figures can be read"


def test_the_history_is_sorted_and_filtered_by_keyboard(opened: Any) -> None:
    def scores() -> list[float]:
        cells = "#history-table tbody tr:not([hidden]) td:nth-child(2)"
        return [float(text) for text in opened.locator(cells).all_inner_texts()]

    before = scores()
    button = opened.locator("#history-table thead button", has_text="score")
    button.focus()
    opened.keyboard.press("Enter")
    assert scores() == sorted(before, reverse=True)
    head = opened.locator("#history-table th", has_text="score")
    assert head.get_attribute("aria-sort") == "descending"
    opened.keyboard.press("Space")
    assert scores() == sorted(before)
    assert head.get_attribute("aria-sort") == "ascending"
    search = opened.locator("input[type=search]")
    search.focus()
    opened.keyboard.type("4.")
    shown = opened.locator("[data-filter] [role=status]").inner_text()
    assert shown == f"{len(scores())} of 40 rows"
    numbers = opened.locator("#history-table tbody tr:not([hidden]) td:first-child")
    opened.locator("[data-filter] [data-column]").select_option(label="number")
    assert sorted(numbers.all_inner_texts()) == [f"4.{place}" for place in range(8)]
    search.fill("1.3")
    assert numbers.all_inner_texts() == ["1.3"], "no row whose cells, side by side, read so"
    search.fill("")
    opened.locator("[data-filter] [data-kind]").select_option("random")
    assert opened.locator("[data-filter] [role=status]").inner_text() == "8 of 40 rows"


def test_everything_that_scrolls_or_opens_can_be_reached(opened: Any) -> None:
    reached = set()
    for _ in range(120):
        opened.keyboard.press("Tab")
        tag = opened.evaluate("document.activeElement.tagName + document.activeElement.className")
        if tag.startswith("BODY"):
            break
        reached.add(tag.split()[0])
    assert {"A", "DIVscroll", "BUTTON", "INPUT", "SELECT", "SUMMARY"} <= reached


def test_it_prints_on_light_paper_without_controls(opened: Any, tmp_path: Path) -> None:
    opened.emulate_media(media="print", color_scheme="dark")
    assert (
        opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    )
    assert not opened.locator("nav").is_visible()
    assert opened.locator("figure .wide").first.is_visible()
    assert opened.locator("#history-table tbody tr").last.is_visible()
    opened.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 10_000


def test_a_watched_page_loads_again_unless_it_is_told_not_to(browser: Any, tmp_path: Path) -> None:
    build_all(tmp_path / "experiment")
    context = browser.new_context()
    page = context.new_page()
    page.goto(write_report(tmp_path / "experiment", reload=1.0).as_uri())
    with page.expect_navigation(timeout=5000):
        pass
    page.locator("[data-reload] input").uncheck()
    page.evaluate("window.isTheSame = true")
    page.wait_for_timeout(1500)
    assert page.evaluate("window.isTheSame") is True
    context.close()
