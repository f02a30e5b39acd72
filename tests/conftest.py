"""What the tests share: the real command in a process of its own, and the real spectra where they are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import settings
from matplotlib.figure import Figure
from matplotlib.text import Text
from omegaconf import DictConfig

from hiexp.configs import CONFIGS

# How long an example takes says more of the machine than of the code.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")

SHARED = Path(__file__).parents[2] / "shared"


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


def command(
    module: str, *words: str, cwd: Path, python: str = sys.executable, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE`` as a user would, in the folder `cwd`."""
    return subprocess.run(
        [python, "-m", module, *words],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "120"} | env,
        capture_output=True,
        text=True,
        timeout=300,
    )


train = partial(command, "hiexp.train")


def start_training(*words: str, cwd: Path) -> subprocess.Popen[str]:
    """Start the command as the leader of a process group of its own, which can be stopped."""
    return subprocess.Popen(
        [sys.executable, "-m", "hiexp.train", *words],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def hiexp_train(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command, run in the test's own empty folder, expected to end well."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        result = train(*words, cwd=tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    return run


def composed(*words: str, command: str = "train", hydra: bool = False) -> DictConfig:
    """Return the configuration of a command with some words, with or without Hydra's own part."""
    with initialize_config_dir(str(CONFIGS.absolute()), version_base="1.3"):
        return compose(command, overrides=list(words), return_hydra_config=hydra)


def configured(group: str, name: str, *words: str) -> object:
    """Return a member of a group as its YAML builds it."""
    return instantiate(composed(f"{group}={name}", *words)[group], _convert_="all")


def only_run(folder: Path) -> Path:
    """Return the folder of the single run below `folder`."""
    (config,) = folder.glob("runs/*/*/config.yaml")
    return config.parent


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
