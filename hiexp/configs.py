"""Where the YAML files are."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
# conf/ is inside an installed package and beside the package in a checkout.
CONFIGS = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir())
ARCHIVES = PACKAGE / "archives" / "conf"
