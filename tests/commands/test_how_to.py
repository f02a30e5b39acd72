"""The how-to pages do what they say: their files and commands, in an empty folder, as a reader would type them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
BLOCK = re.compile(
    r"^```(?:\{code-block\} \w+\n:caption: `(?P<file>\S+)`|bash)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
TYPED = [*sorted((PAGES / "extend").glob("[!i]*.md")), PAGES / "cite.md"]


@pytest.mark.slow
@pytest.mark.parametrize("page", TYPED, ids=lambda page: page.stem)
def test_what_a_page_says_can_be_typed(page, tmp_path):
    """A package is installed into a folder of its own here, not into the environment of the tests."""
    site = tmp_path / "site"
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{site}:{os.environ.get('PYTHONPATH', '')}",
    }
    commands = 0
    for block in BLOCK.finditer(page.read_text()):
        if block["file"]:
            (tmp_path / block["file"]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block["file"]).write_text(block["text"])
            continue
        for line in block["text"].splitlines():
            typed = line.replace(
                "pip install", f"pip install --quiet --no-deps --no-build-isolation --no-index --target {site}"
            )
            result = subprocess.run(
                ["bash", "-c", typed], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
            )
            assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"
            assert "left out" not in result.stdout + result.stderr
            commands += 1
    assert commands
