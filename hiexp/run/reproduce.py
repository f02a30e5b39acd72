"""The command that repeats a run or a sweep."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from hiexp.commandline import words_typed


def reproduce_command(job: Any, *, sweeping: bool) -> str:
    """Return the command that reproduces a run, or a job of a sweep, by itself, from Hydra's configuration of it."""
    words, of_hydra = (words_typed(job["overrides"][kind]) for kind in ("task", "hydra"))
    # A preset that is a sweep would run all of its jobs; -m is no part of one job.
    mode = ["hydra.mode=RUN"] if sweeping and "hydra.mode=MULTIRUN" not in of_hydra else []
    where = [word for word in of_hydra if word.startswith("hydra.searchpath=")]
    return shlex.join(["python", "-m", f"hiexp.{job['job']['name']}", *words, *where, *mode])


def sweep_command(hydra: DictConfig | Mapping) -> str:
    """Return the command of a sweep, from Hydra's configuration of it or its ``multirun.yaml``."""
    task, of_hydra = (words_typed(hydra["overrides"][kind]) for kind in ("task", "hydra"))
    words = [word for word in of_hydra if word != "hydra.mode=MULTIRUN"]
    return f"python -m hiexp.{hydra['job']['name']} -m {shlex.join([*task, *words])}"
