"""What is looked at before Hydra writes anything: settings, and the places that results go to."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from hiexp.errors import InputError
from hiexp.run.files import refuse_others_folder
from hiexp.run.summary import display_path, opening
from hiexp.run.transfer import check_transfer
from hiexp.tracking.credentials import has_password, redacted
from hiexp.tracking.database import POSTGRESQL, SQLITE

GRID = "hydra_plugins.hiexp_sweeper.GridSweeper"
STORES = (SQLITE, *POSTGRESQL, "http://", "https://")

log = logging.getLogger(__name__)


class ChecksCallback(Callback):
    """Refuse settings that cannot be, and places that cannot be used."""

    def on_run_start(self, config: DictConfig, **kwargs: object) -> None:
        """Look at a single run, once the screen says what it is about: the libraries take seconds to import."""
        with exit_on_error():
            log.info(opening(config.hydra, Path(config.hydra.run.dir)))
            from hiexp.run.settings import check_launcher, check_settings

            settings = without_hydra(config)
            check_settings(settings, config.hydra.job.name)
            check_launcher(config.hydra.launcher)  # shards go to it
            if settings.sweep.detach:
                raise InputError(
                    "sweep.detach=true: sweeps alone go on by themselves; -m as the first word makes one"
                )
            check_transfer(settings)
            if settings.dry_run:
                _end_dry_run(settings)
            check_places(config, "hydra.run.dir")
            folder = Path(config.hydra.run.dir)
            if _is_there(folder, "hydra.run.dir"):
                from hiexp.run.provenance import work_key

                refuse_others_folder(folder, work_key(settings), "hydra.run.dir")
            _make(folder, f"hydra.run.dir={folder}")

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        """Look at the places of a sweep; its settings are checked when its jobs are composed."""
        with exit_on_error():
            dry_run = config.get("dry_run")
            check_places(config, "hydra.sweep.dir", make=not dry_run)
            from hiexp.run.settings import check_launcher

            check_launcher(config.hydra.launcher)
            if dry_run and config.hydra.sweeper["_target_"] != GRID:
                raise InputError(
                    "dry_run=true: jobs of this sweeper are made while it goes; only those of hydra/sweeper=grid can "
                    "be listed"
                )
            sweep: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
            subdir = sweep["subdir"]
            if "${" not in str(subdir):
                raise InputError(
                    f"hydra.sweep.subdir={subdir}: all jobs would share one folder; name each by a value of its own, "
                    "'${hydra.job.num}' for example"
                )
            folder = Path(config.hydra.sweep.dir)
            if (
                _is_there(folder, "hydra.sweep.dir") and not folder.is_dir()
            ):  # beside a folder that is there, another one is made
                raise InputError(
                    f"hydra.sweep.dir={folder}: this is no folder; give one, or a name that is not there yet"
                )
            if not dry_run:
                _make(folder.parent, f"hydra.sweep.dir={folder}")


def _end_dry_run(settings: DictConfig) -> None:
    """Say what has been done of a single run, and end the command before anything is written."""
    from hydra.utils import instantiate

    from hiexp.run.provenance import work_key
    from hiexp.run.reuse import where_done

    done = where_done(instantiate(settings.tracking), work_key(settings))
    said = f"Done already in {display_path(done)}; a single run is run again" if done else "To run"
    log.info("%s. Nothing has been run or written (dry_run=true)", said)
    sys.exit(0)


def _is_there(folder: Path, setting: str) -> bool:
    try:
        return folder.exists()
    except OSError as error:  # a name too long, or a folder on the way that is closed
        raise InputError(f"{setting}={folder}: {error.strerror}; choose another folder") from error


def _make(folder: Path, said: str) -> None:
    """Make the folder of a run, or that which a sweep's lies in, as Hydra would next."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{said}: {error.strerror} ({error.filename}); choose another folder") from error


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Exit after an `InputError`: Hydra turns exceptions raised in a callback into warnings."""
    try:
        yield
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except InterpolationResolutionError as error:
        sys.stderr.write(f"{error.full_key}: {str(error).partition(chr(10))[0]}; correct what it refers to\n")
        sys.exit(1)


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a command's own settings."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def check_places(config: DictConfig, setting: str, *, make: bool = True) -> None:
    """Raise an `InputError` where the root, the folder of a run or sweep, or the store cannot be used.

    Parameters
    ----------
    config : DictConfig
        Configuration of a run or a sweep, with Hydra's own part; nothing of it need have been written.
    setting : str
        The key of the folder: ``hydra.run.dir`` or ``hydra.sweep.dir``.
    make : bool
        Whether to make the folder of all runs where it is missing.
    """
    if config.hydra.job.chdir:
        raise InputError(
            "hydra.job.chdir=true: paths would no longer start in the folder where the command is typed; leave it out"
        )
    tracking: Any = OmegaConf.to_container(config.tracking, resolve=False)
    raw = tracking.get("uri") or ""
    if has_password(raw):  # of a file; words of the command have lost theirs
        raise InputError(
            f"tracking.uri={redacted(raw)}: a password in a file of settings would be written into every run; "
            "give it by MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (PGUSER and PGPASSWORD for PostgreSQL)"
        )
    registered = config.tracking.get("register")
    if registered and re.search(r"[/:.%\"']|^\s|\s$", str(registered)):
        raise InputError(
            f"tracking.register={registered}: MLflow takes no model of this name; give letters, digits, - and _"
        )
    root = str(config.root or "")
    if not root.strip():
        raise InputError("root=: name the folder that receives runs/, mlruns/ and cache/, or leave it out")
    uri = str(config.tracking.get("uri") or "")
    if uri and not uri.startswith(STORES):
        raise InputError(
            f"tracking.uri={uri}: give http://HOST:PORT of an MLflow server, or the database of a store, "
            "postgresql://HOST:PORT/DATABASE or sqlite:///FILE; others are reached through a server"
        )
    if uri.startswith(SQLITE) and re.search(r"\?|%[0-9A-Fa-f]{2}", uri):
        raise InputError(
            f"root={root}: MLflow reads ? and % with two digits in a path as more than a name; choose another"
        )
    runs = Path(root) / "runs"
    try:
        if make:
            runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"root={root}: {error.strerror} ({error.filename}); choose another folder") from error
    folder = Path(OmegaConf.select(config, setting)).resolve()
    places = [runs, uri.removeprefix(SQLITE) if uri.startswith(SQLITE) else None]
    places += [config.tracking.get("artifacts"), config.cache.get("folder")]
    for place in map(str, filter(None, places)):
        if Path(place).resolve().is_relative_to(folder):
            raise InputError(
                f"{setting}={OmegaConf.select(config, setting)}: {place} lies in this folder and would become a part "
                f"of its own results; choose a folder below it, or leave {setting} out"
            )
