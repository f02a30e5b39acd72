"""What made a run: its settings, its code, its machine."""

from __future__ import annotations

import functools
import getpass
import glob
import hashlib
import json
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hiexp import __version__
from hiexp.cache import fingerprint
from hiexp.configs import PACKAGE
from hiexp.nested import leaves
from hiexp.run.trained import content, takes_model, trained_run
from hiexp.run.transfer import real_settings
from hiexp.tracking.credentials import redacted

NUMERICS = ("numpy", "scipy", "astropy", "scikit-learn", "torch")  # whose versions numbers may depend on
OF_CONTROLS = "labels.seed"  # by which the controls of a sweep are told apart
# Where results go does not change them.
PLACES = (
    *("root", "cache", "tracking", "experiment_name", "sweep", "shards", "dry_run"),
    *("dataset.cache", "asymmetry.cache", "feature.cache", "classifier.checkpoints"),
)


def flat_parameters(cfg: DictConfig) -> dict[str, object]:
    """Return every resolved value of the configuration under its dotted key."""
    values = leaves(OmegaConf.to_container(cfg, resolve=True))
    return {key: redacted(value) if isinstance(value, str) else value for key, value in values}


def tracked_parameters(cfg: DictConfig, members: Mapping[str, str]) -> dict[str, object]:
    """Return what has been chosen, each choice once: members of groups, and settings that numbers depend on.

    Left out are settings that only repeat another one (``${epochs}``), and what a member's name stands for.

    Parameters
    ----------
    cfg : DictConfig
        The composed configuration of a command.
    members : mapping of str to str
        The member chosen of each group.
    """
    raw: Any = OmegaConf.to_container(cfg, resolve=False)
    repeated = {key for key, value in leaves(raw) if isinstance(value, str) and re.fullmatch(r"\$\{\w+\}", value)}
    chosen = {group: member for group, member in members.items() if not is_place(group)}
    return chosen | {
        key: value
        for key, value in flat_parameters(cfg).items()
        if not (is_place(key) or key in repeated - {OF_CONTROLS} or key.endswith(("._partial_", "._recursive_")))
        and not (key.endswith("._target_") and key.rpartition(".")[0] in members)
    }


def run_name(words: Sequence[str], members: Mapping[str, str]) -> str:
    """Return what a run is called by what tells it from others: ``complex 0.5 s42``.

    Members of groups, text and fractions stand alone, whole numbers follow the first letter of their key.

    Parameters
    ----------
    words : sequence of str
        ``key=value``, as typed.
    members : mapping of str to str
        The member chosen of each group.
    """
    parts = []
    for word in words:
        key, _, value = word.lstrip("+~").partition("=")
        if is_place(key):
            continue
        short = key.rpartition(".")[2]
        value = value.strip("'\"")
        plain = key in members or not re.fullmatch(r"-?\d+|true|false|null", value, re.IGNORECASE)
        parts.append(value if plain else f"{short if value.isalpha() else short[:1]}{' ' * value.isalpha()}{value}")
    return " ".join(filter(None, parts))[:250] or "default"


def is_place(key: str) -> bool:
    """Return whether a key says where results go, which does not change them."""
    return any(key == place or key.startswith(f"{place}.") for place in PLACES)


def config_hash(cfg: DictConfig) -> str:
    """Return 12 hexadecimal digits that two configurations share when they ask for the same numbers."""
    return hashlib.sha256(json.dumps(_settings(cfg), sort_keys=True, default=str).encode()).hexdigest()[:12]


def work_key(cfg: DictConfig) -> str:
    """Return 16 hexadecimal digits that two runs share when the second would find the numbers of the first.

    Beside the settings it depends on the code, on the modules that the settings name, and on names, sizes and times
    of the data: the files, or the files in the folders, that they name, and that the spectra of a transfer are in.
    """
    settings = _settings(cfg)
    named = [*settings.values(), *flat_parameters(OmegaConf.create(real_settings(cfg))).values()]
    return fingerprint(settings, [_files(value) for value in named if isinstance(value, str)])


def _settings(cfg: DictConfig) -> dict[str, object]:
    """Return what numbers depend on: settings, and of a trained run that they name its settings and model."""
    settings = {key: value for key, value in flat_parameters(cfg).items() if not is_place(key)}
    return settings | ({"run": content(trained_run(cfg))} if takes_model(cfg) else {})


@functools.cache  # a folder of 31,502 spectra takes longer than composing the job that names it
def _files(name: str) -> list[tuple[str, int, int]]:
    """Return name, size and time of the files that a setting may name: one, those in a folder or of a pattern."""
    place = Path(name)
    try:
        if glob.has_magic(name) and not place.exists():
            found = [Path(file) for file in glob.glob(name, recursive=True)]  # noqa: PTH207
        else:
            found = [place] if place.is_file() else list(place.iterdir())
        files = sorted(file for file in found if file.is_file())
    except (OSError, ValueError):  # most settings name no file
        return []
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]


@functools.cache
def code_version() -> str:
    """Return the git commit of this package's checkout, or its version where it was installed from a wheel."""
    checkout = PACKAGE.parent
    # A repository further up, the user's own, says nothing of this package.
    if not (checkout / ".git").exists():
        return f"hiexp {__version__}"
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        changed = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return f"hiexp {__version__}"
    return f"{commit}-changed" if changed else commit


def _git(checkout: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(checkout), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def run_tags(command: str, folder: Path) -> dict[str, str]:
    """Return the tags of a run of `command`, those that the MLflow UI shows in its own columns included.

    Parameters
    ----------
    command : str
        What reproduces the run.
    folder : Path
        The run's folder.
    """
    version = code_version()
    return {
        "git_commit": version,
        "code": fingerprint(),
        "command": command,
        "folder": str(folder.absolute()),
        "host": platform.node(),
        "mlflow.source.git.commit": version,
        "mlflow.source.name": shlex.split(command)[2],
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
    }


def provenance(tags: Mapping[str, str], samples: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return what others need to know of a run: the command, versions, samples; no host, folder or user of it.

    Parameters
    ----------
    tags : mapping of str to str
        As `run_tags` has them.
    samples : sequence of mapping
        As `hiexp.tracking.inputs.sample` has them.
    """
    return {
        "command": tags["command"],
        "code_version": tags["git_commit"],
        "code": tags["code"],
        "versions": _versions(),
        "samples": [*samples],
    }


@functools.cache
def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in NUMERICS}


def _user() -> str:
    """Return who runs this; containers run under numbers that no list of users knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def peak_memory_mb() -> float:
    """Return the most memory that this process has held so far, MB; in a sweep, the jobs before counted in."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
