"""Work that an earlier run has finished is taken over by a job of a sweep."""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from filelock import Timeout
from hydra.utils import instantiate
from omegaconf import DictConfig

from hiexp.errors import InputError
from hiexp.locks import locked
from hiexp.run.files import ERROR_FILE, METRICS_FILE, REUSED_FILE, copy_results, results
from hiexp.tracking.mlflow_store import UID_TAG
from hiexp.writing import write_whole

if TYPE_CHECKING:
    from mlflow.entities import Run

    from hiexp.tracking.mlflow_store import MlflowTracking, NoTracking

log = logging.getLogger(__name__)

WORK_TAG = "work"  # what runs share whose numbers are the same
LOCKS = Path("runs", ".locks")  # below the root


def work_lock_file(root: str | Path, key: str) -> Path:
    """Return the file of the lock that whoever does some work holds."""
    return Path(root) / LOCKS / f"{key}.lock"


@contextlib.contextmanager
def work_lock(cfg: DictConfig, key: str, folder: Path, *, reusing: bool) -> Iterator[dict[str, float] | None]:
    """Hold the right to do what a configuration asks for; yield the metrics of an earlier run that has done it.

    Of processes that want the same, one works and the others wait, since a lock ends with the process that holds it:
    who holds it knows that whoever left the same work half done is dead, and marks such runs as failed.

    Parameters
    ----------
    cfg : DictConfig
        The composed configuration of a command.
    key : str
        Key of the work, as `hiexp.run.provenance.work_key` makes it.
    folder : Path
        The run's folder; receives copies of the files of the earlier one.
    reusing : bool
        Whether an earlier run may serve. Otherwise nobody waits.

    Raises
    ------
    InputError
        If no lock can be had below the root.
    """
    tracking = instantiate(cfg.tracking)
    reusing = reusing and tracking.reuse
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(work_lock_file(cfg.root, key), timeout=-1 if reusing else 0))
        except Timeout:  # the same is running: twice the work is what was asked for
            yield None
            return
        except OSError as error:
            raise InputError(
                f"root={cfg.root}: its folder runs takes no lock ({error.strerror or error}); "
                "choose a folder on another disk with root=FOLDER"
            ) from error
        yield _taken_over(tracking, key, folder, reusing=reusing)


def fail_orphaned_runs(tracking: MlflowTracking | NoTracking, root: Path) -> None:
    """Mark runs and sweeps below `root` as failed whose process has died without a word, whatever they were about."""
    for run in tracking.runs({"host": platform.node()}, "RUNNING"):
        tags = run.data.tags
        key = tags.get(WORK_TAG) or tags.get("sweep_hash", "")
        if re.fullmatch("[0-9a-f]+", key) and Path(tags.get("folder", "")).is_relative_to(root.absolute()):
            with contextlib.suppress(Timeout), locked(work_lock_file(root, key), timeout=0):  # who lives holds it
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
    except InputError:  # a store on this machine that cannot be used
        raise
    except Exception as error:  # a server that has gone away must not stop a sweep
        log.warning("Earlier runs cannot be asked for: %s", error)
        runs = []
    if not reusing:
        return None
    if results(folder, key):  # a scheduler has started the job again that was done
        (folder / ERROR_FILE).unlink(missing_ok=True)
        return json.loads((folder / METRICS_FILE).read_text())
    for run in runs:
        uid = run.data.tags.get(UID_TAG)
        if run.info.status != "FINISHED" or uid is None:
            continue
        source = Path(run.data.tags["folder"])
        found = results(source, key, uid)
        if found:
            copy_results(source, found, folder)
        elif not _fetched(tracking, run, key, folder):
            continue
        write_whole(folder / REUSED_FILE, json.dumps({"run_id": run.info.run_id, "folder": str(source)}))
        return json.loads((folder / METRICS_FILE).read_text())
    return None


def _fetched(tracking: MlflowTracking | NoTracking, run: Run, key: str, folder: Path) -> bool:
    """Return whether the store still has the run's files, unharmed, and copy them into `folder` if so."""
    try:
        with TemporaryDirectory(dir=folder, prefix=".") as place:
            tracking.fetch(run, Path(place))
            found = results(Path(place), key, run.data.tags[UID_TAG])
            if found:
                copy_results(Path(place), found, folder)
            return bool(found)
    except Exception as error:  # deleted by hand, or a server that has gone away: the work is done again
        log.warning("The files of run %s could not be fetched: %s", run.info.run_id, error)
        return False
