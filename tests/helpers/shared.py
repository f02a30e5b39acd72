"""Where real files and reference results for tests are; not everybody has them."""

from pathlib import Path

SHARED = Path(__file__).parents[3] / "shared"
