"""What the documentation names exists: files, tests, modules, links; parameter descriptions are noun phrases."""

import re
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

from hiexp.run.files import PICTURES

ROOT = Path(__file__).parents[1]
MADE = {"_build", "groups", "commands.md"}  # by make docs, from files and commands
PAGES = [*ROOT.glob("*.md"), *(page for page in ROOT.glob("docs/**/*.md") if not MADE & {*page.parts})]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_exists(page):
    text = page.read_text()
    for path in re.findall(r"(?<![\w/.-])(?:hiexp|conf|tests|docs|benchmarks|hydra_plugins)/[\w/.-]*\w", text):
        assert (ROOT / path).exists() or any(ROOT.glob(f"{path}*")), path
    tests = {file.name for file in ROOT.glob("tests/**/*.py")}
    assert set(re.findall(r"\btest_\w+\.py", text)) <= tests
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        assert link.startswith("http") or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_modules_that_a_page_names_can_be_imported(page):
    for name in set(re.findall(r"\bhiexp(?:\.[a-z_]+)+", page.read_text())):
        module, last = name, ""
        while module and not _exists(module):
            assert not last, name  # a module and what stands in it, no more
            module, _, last = module.rpartition(".")
        if last:
            source = find_spec(module).origin
            assert re.search(rf"\b{last}\b", Path(source).read_text()), name


def _exists(module):
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_parameter_descriptions_are_noun_phrases():
    for file in ROOT.glob("hiexp/**/*.py"):
        lines = file.read_text().splitlines()
        for before, line in pairwise(lines):
            if re.match(r" +[\w*, ]+ : \S", before):
                assert not re.match(r" +Of ", line), f"{file}: {before.strip()}: {line.strip()}"


def test_no_page_has_a_name_that_sphinx_gives_a_page_of_its_own():
    assert not {file.stem for file in (ROOT / "docs").glob("*.md")} & {
        "search",
        "genindex",
        "modindex",
        "py-modindex",
    }


def test_the_gallery_names_and_shows_every_picture_that_is_written():
    page = (ROOT / "docs" / "gallery.md").read_text()
    sources = [file.read_text() for file in ROOT.glob("hiexp/**/*.py")]
    written = {name for text in sources for name in re.findall(r"\b(\w+\.(?:png|pdf))\"", text)}
    assert {"classes.png", "fits.pdf", "learning_curve.png", "saliency.png", "sweep.png"} <= written
    for name in written:
        assert name in page, name
    of_sweeps = {"sweep", "learning_curve"}
    assert {Path(name).stem for name in written if name.endswith(".png")} - of_sweeps <= {*PICTURES}
    assert "plots/objects/ID.pdf" in page
    shown = set(re.findall(r"\]\(gallery/([\w.]+)\)", page))
    assert shown == {file.name for file in ROOT.glob("docs/gallery/*")}
    assert sum(file.stat().st_size for file in ROOT.glob("docs/gallery/*")) < 1_500_000
