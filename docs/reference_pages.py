"""A Sphinx extension that writes the reference of commands and groups, from what they say themselves."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from hiexp.configs import CONFIGS

COMMANDS = ("train", "fit", "predict", "compare", "status", "sync", "export", "download")
REFERENCE = Path(__file__).parent / "reference"


def help_of(command: str) -> str:
    """Return what a command says to ``--help``."""
    done = subprocess.run(
        [sys.executable, "-m", f"hiexp.{command}", "--help"], capture_output=True, text=True, check=True
    )
    return done.stdout


def commands_page() -> str:
    """Return the page of all commands, in Markdown."""
    with ThreadPoolExecutor() as pool:
        said = dict(zip(COMMANDS, pool.map(help_of, COMMANDS), strict=True))
    parts = [f"## hiexp.{name}\n\n```text\n$ python -m hiexp.{name} --help\n{said[name]}```\n" for name in COMMANDS]
    head = "# Commands\n\nEach is also there as `hiexp-NAME`, and answers `--help` with what follows.\n"
    return "\n".join([head, *parts])


def group_page(group: Path) -> str:
    """Return the page of one group of settings: its members, each with its file."""
    name = str(group.relative_to(CONFIGS))
    asked = f"+{name}=" if name in ("experiment", "search", "debug") else f"{name}="
    parts = [f"# {name}\n\nChosen by `{asked}MEMBER`; the values of each are set by `{name}.KEY=VALUE`.\n"]
    if name in ("experiment", "search", "debug"):
        parts = [f"# {name}\n\nPresets, added by `{asked}MEMBER`; words after it change them.\n"]
    for member in sorted(group.glob("*.yaml")):
        parts.append(f"## {asked}{member.stem}\n\n```yaml\n{member.read_text()}```\n")
    return "\n".join(parts)


def write_pages(_: Sphinx) -> None:
    """Write ``reference/commands.md`` and ``reference/groups/*.md`` where they differ from what is there."""
    groups = sorted(path for path in CONFIGS.rglob("*") if path.is_dir() and list(path.glob("*.yaml")))
    names = ["-".join(group.relative_to(CONFIGS).parts) for group in groups]
    tops = "\n\n".join(
        f"## {command}.yaml\n\n```yaml\n{(CONFIGS / f'{command}.yaml').read_text()}```" for command in TOPS
    )
    listed = "\n".join(names)
    index = (
        "# Settings\n\nA command is composed of groups, one member of each, and of the keys at the top of its file; "
        "`--cfg job` shows all of it.\n\n```{toctree}\n:maxdepth: 1\n\n" + listed + "\n```\n\n" + tops + "\n"
    )
    pages = {"commands.md": commands_page(), "groups/index.md": index}
    pages |= {f"groups/{name}.md": group_page(group) for name, group in zip(names, groups, strict=True)}
    for name, text in pages.items():
        file = REFERENCE / name
        if not file.exists() or file.read_text() != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


TOPS = ("train", "fit", "predict", "sync")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Write the pages before Sphinx looks for them."""
    app.connect("config-inited", lambda app, _: write_pages(app))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
