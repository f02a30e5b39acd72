"""Fixtures: the command in an empty folder, the real spectra, a real browser, the figures that are written."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.chromium import CHROMIUM, FLAGS
from helpers.commands import train
from helpers.shared import SHARED
from hypothesis import settings
from matplotlib.figure import Figure
from matplotlib.text import Text

# How long an example takes says more of the machine than of the code.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")

# A shell's background jobs ignore Ctrl-C, and so would the commands that it is sent to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def appss() -> Path:
    """Folder of the 13 real Arecibo spectra."""
    folder = SHARED / "data" / "appss"
    if not folder.is_dir():
        pytest.skip("the real spectra (../shared/data/appss) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def faults() -> Path:
    """Folder of the small inputs that failed once."""
    folder = SHARED / "faults"
    if not folder.is_dir():
        pytest.skip("the collection of faulty files (../shared/faults) is not on this machine")
    return folder


@pytest.fixture(scope="session")
def density():
    """What simulated lines tell of A_flux: learned once, which takes seconds."""
    from helpers.posterior import learned  # imports torch, which most tests do without

    return learned()


@pytest.fixture(scope="module")
def browser():
    """A real browser with a new profile, closed after the module: Playwright opens one at a time in a process."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def hiexp_train(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command, run in the test's own empty folder, expected to end well."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        result = train(*words, cwd=tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    return run


@pytest.fixture
def drawn(monkeypatch):
    """The figures, as they are when they are written."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *file, **how: figures.append(figure))
    return figures


@pytest.fixture
def written(monkeypatch):
    """Words and their places, in pixels, of the pictures that are written; a list of them and the page for each."""
    pages, words = [], {}
    draw, save = Text.draw, Figure.savefig

    def remember(text, renderer):
        if text.get_visible() and text.get_text().strip():
            words[text] = text.get_text(), text.get_window_extent(renderer)
        draw(text, renderer)

    def turn_page(figure, *file, **how):
        words.clear()
        save(figure, *file, **how)
        pages.append((list(words.values()), figure.bbox))

    monkeypatch.setattr(Text, "draw", remember)
    monkeypatch.setattr(Figure, "savefig", turn_page)
    return pages
