"""The real commands, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path


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


def start(module: str, *words: str, cwd: Path) -> subprocess.Popen[str]:
    """Start ``python -m MODULE`` as the leader of a process group of its own, which can be stopped."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *words],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


start_training = partial(start, "hiexp.train")


def only_run(folder: Path) -> Path:
    """Return the folder of the single run below `folder`."""
    (config,) = folder.glob("runs/*/*/config.yaml")
    return config.parent
