"""Work that an earlier run has finished is taken over by a job of a sweep."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from hydra.utils import instantiate
from omegaconf import DictConfig

from hiexp.tracking import RECORD_FILE

if TYPE_CHECKING:
    from mlflow.entities import Run

    from hiexp.tracking import MlflowTracking, NoTracking

log = logging.getLogger(__name__)

METRICS_FILE, REUSED_FILE = "metrics.json", "reused.json"
WORK_TAG = "work"  # what runs share whose numbers are the same
LOCKS = Path("runs", ".locks")  # below the root
OWN = shutil.ignore_patterns(".hydra", "*.log", REUSED_FILE, RECORD_FILE)  # what every folder has of its own


@contextlib.contextmanager
def claimed(cfg: DictConfig, folder: Path, *, reusing: bool) -> Iterator[dict[str, float] | None]:
    """Hold the right to do what a configuration asks for; yield the metrics of an earlier run that has done it.

    Of processes that want the same, one works and the others wait, since a lock ends with the process that holds it:
    who holds it knows that whoever left the same work half done is dead, and marks such runs as failed.

    Parameters
    ----------
    cfg : DictConfig
        The composed configuration of a command.
    folder : Path
        Of the run; receives the files of the earlier one, as links where the disk allows it.
    reusing : bool
        Whether an earlier run may serve. Otherwise nobody waits.
    """
    from hiexp.provenance import work_key

    tracking, key = instantiate(cfg.tracking), work_key(cfg)
    reusing = reusing and tracking.reuse
    file = Path(cfg.root) / LOCKS / f"{key}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        turn = FileLock(file).acquire(timeout=-1 if reusing else 0)
    except Timeout:  # the same is running: twice the work is what was asked for
        yield None
        return
    with turn:
        yield _taken_over(tracking, key, folder, reusing=reusing)


def close_dead(tracking: MlflowTracking | NoTracking, root: Path) -> None:
    """Mark runs and sweeps below `root` as failed whose process has died without a word, whatever they were about."""
    for run in tracking.runs({"host": platform.node()}, "RUNNING"):
        tags = run.data.tags
        lock = FileLock(root / LOCKS / f"{tags.get(WORK_TAG) or tags.get('sweep_hash')}.lock")
        if Path(tags.get("folder", "")).is_relative_to(root.absolute()):
            with contextlib.suppress(Timeout), lock.acquire(timeout=0):  # who lives holds it
                tracking.close(run, "FAILED")


def _taken_over(
    tracking: MlflowTracking | NoTracking, key: str, folder: Path, *, reusing: bool
) -> dict[str, float] | None:
    """Return the metrics of a finished run after filling `folder` with its files, or None if there is no such run."""
    try:
        runs = tracking.runs({WORK_TAG: key})
        for run in runs:
            if run.info.status == "RUNNING" and run.data.tags["host"] == platform.node():
                tracking.close(run, "FAILED")
    except Exception as error:  # a server that has gone away must not stop a sweep
        log.warning("Earlier runs cannot be asked for: %s", error)
        return None
    for run in runs:
        if not reusing or run.info.status != "FINISHED":
            continue
        source = Path(run.data.tags["folder"])
        if (source / METRICS_FILE).exists():
            shutil.copytree(source, folder, copy_function=_link, ignore=OWN, dirs_exist_ok=True)
        elif not _fetched(tracking, run, folder):
            continue
        (folder / REUSED_FILE).write_text(json.dumps({"run_id": run.info.run_id, "folder": str(source)}))
        return json.loads((folder / METRICS_FILE).read_text())
    return None


def _fetched(tracking: MlflowTracking, run: Run, folder: Path) -> bool:
    """Return whether the store still has the run's files, and copy them into `folder` if so."""
    try:
        with TemporaryDirectory(dir=folder) as place:
            tracking.fetch(run, Path(place))
            shutil.copytree(place, folder, ignore=OWN, dirs_exist_ok=True)
        return (folder / METRICS_FILE).exists()
    except Exception as error:  # deleted by hand, or a server that has gone away: the work is done again
        log.warning("The files of run %s cannot be had: %s", run.info.run_id, error)
        return False


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, target)
