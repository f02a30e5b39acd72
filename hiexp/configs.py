"""Where the YAML files are, and what more than one command reads in them."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
# conf/ is inside an installed package and beside the package in a checkout.
CONFIGS = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir())
ARCHIVES = PACKAGE / "archives" / "conf"


def store_uri(root: str = ".") -> str:
    """Return the URI of the store below a folder that receives runs (``conf/tracking/local.yaml``)."""
    from omegaconf import OmegaConf  # --help needs none of it

    local = OmegaConf.load(CONFIGS / "tracking" / "local.yaml")
    return OmegaConf.create({"root": root, "tracking": local}).tracking.uri
