"""The pages of the docs: links, the files that they name, and the site built of them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from detnas.version import __version__

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
IN_CODE = re.compile(r"^```.*?^```|^ {4}.*?$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"`((?:detnas|search_space|tests|scripts|configs)/[\w./-]*)(?:::\w+)?`")


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's titles, as code hosts and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r" ", "-", re.sub(r"[^\w\- ]", "", title.lower())) for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(IN_CODE.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in _anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("name", ["method.md", "extending.md", "structure.md", "install.md"])
def test_files_that_a_page_names_exist(name: str) -> None:
    paths = PATH.findall((ROOT / "docs" / name).read_text(encoding="utf-8"))
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert missing in ([], ["detnas/commands/NAME.py"])


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    missing = {page.name for page in (ROOT / "docs").glob("*.md")} - {*LINK.findall(index)}
    assert missing == {"README.md"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, which builds without warnings."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("docs") / "site"
    build = ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(
        [sys.executable, *build], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_every_page(site: Path) -> None:
    page = (site / "getting_started.html").read_text(encoding="utf-8")
    inside_a_list = page.split("a folder of its own:")[1][:400]
    assert '<div class="highlight">' in inside_a_list  # code there is code, not a paragraph
    for beside in ("changelog.html", "contributing.html", "reference_configs.html"):
        assert (site / beside).is_file()
    for written in site.glob("*.html"):  # nothing is asked of another host
        assert not re.findall(r"<(?:script|link)[^>]*https?://", written.read_text("utf-8"))


def test_the_search_of_the_site_works_from_the_disk(site: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(offline=True).new_page()
        page.goto((site / "index.html").as_uri())
        page.locator("input[name=query]").press_sequentially("recalibration")  # the page hears keys
        links = page.locator("a.md-search-result__link")
        links.first.wait_for(timeout=60_000)
        assert "method.html" in " ".join(str(link.get_attribute("href")) for link in links.all())
        browser.close()


def test_the_newest_version_is_everywhere() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(\d[\d.]*)\]", changes, re.M)[0] == __version__
    wheels = re.findall(r"detnas-(\d[\d.]*)-py3", (ROOT / "docs/install.md").read_text("utf-8"))
    assert set(wheels) == {__version__}


def test_the_dockerfile_copies_what_exists() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY")]
    assert all((ROOT / name).exists() for names in copied for name in names)
    extras = re.search(r"\.\[([\w,]+)\]", "\n".join(lines))
    assert extras is not None
    known = re.findall(r'^        "(\w+)": \[', (ROOT / "setup.py").read_text("utf-8"), re.M)
    assert set(extras[1].split(",")) <= set(known)
