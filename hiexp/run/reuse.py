"""Work that an earlier run has finished is taken over by a job of a sweep."""

from __future__ import annotations

import contextlib
import json
import logging
import platform
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from filelock import Timeout
from hydra.utils import instantiate
from omegaconf import DictConfig

from hiexp.errors import InputError
from hiexp.heartbeat import host_of, is_dead, without_common_locks
from hiexp.locks import locked
from hiexp.run.files import ERROR_FILE, METRICS_FILE, REUSED_FILE, copy_results, results
from hiexp.run.membership import RUNNING, noted_jobs
from hiexp.tracking.mlflow_store import UID_TAG
from hiexp.writing import write_whole

if TYPE_CHECKING:
    from mlflow.entities import Run

    from hiexp.tracking.mlflow_store import MlflowTracking, NoTracking

log = logging.getLogger(__name__)

WORK_TAG = "work"  # what runs share whose numbers are the same
DETACHED_TAG = "detached"  # of a sweep: the scheduler's name of the job that ends it
LOCKS = Path("runs", ".locks")  # below the root


def work_lock_file(root: str | Path, key: str) -> Path:
    """Return the file of the lock that whoever does some work holds."""
    return Path(root) / LOCKS / f"{key}.lock"


@contextlib.contextmanager
def work_lock(cfg: DictConfig, key: str, folder: Path, *, in_sweep: bool) -> Iterator[dict[str, float] | None]:
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
    in_sweep : bool
        Whether it is a job of a sweep, which an earlier run may serve if the tracker allows it; others do not wait.

    Raises
    ------
    InputError
        If no lock can be had below the root.
    """
    tracking = instantiate(cfg.tracking)
    waits = in_sweep and tracking.reuse
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(work_lock_file(cfg.root, key), timeout=-1 if waits else 0))
        except Timeout:  # the same is running: twice the work is what was asked for
            yield None
            return
        except OSError as error:
            raise InputError(
                f"root={cfg.root}: its folder runs takes no lock ({error.strerror or error}); "
                "choose a folder on another disk with root=FOLDER"
            ) from error
        yield _taken_over(tracking, key, folder, in_sweep=in_sweep)


def where_done(tracking: MlflowTracking | NoTracking, key: str) -> Path | None:
    """Return the folder of an earlier run that has done some work, as the store has it; nothing is written.

    Parameters
    ----------
    tracking : MlflowTracking or NoTracking
        The store that is asked; one that is not there yet is not made.
    key : str
        Key of the work.
    """
    if not tracking.is_there():
        return None
    try:
        runs = tracking.runs({WORK_TAG: key}, "FINISHED")
    except InputError:
        raise
    except Exception as error:  # a server that has gone away
        log.warning("Earlier runs cannot be asked for: %s", str(error).partition("\n")[0])
        return None
    return next((Path(run.data.tags["folder"]) for run in runs if UID_TAG in run.data.tags), None)


def fail_orphaned_runs(tracking: MlflowTracking | NoTracking, root: Path) -> int:
    """Mark runs and sweeps below `root` as failed whose process has died without a word, whatever they were about.

    Returns
    -------
    int
        How many there were.
    """
    n_dead = 0
    for run in tracking.runs({}, "RUNNING"):
        tags = run.data.tags
        folder = Path(tags.get("folder", ""))
        # A sweep that was handed to a scheduler has no process while its jobs wait.
        if DETACHED_TAG not in tags and folder.is_relative_to(root.absolute()) and is_dead(folder, tags["host"]):
            tracking.close(run, "FAILED")
            n_dead += 1
    return n_dead


def refuse_separate_locks(cfg: DictConfig, sweep: Path) -> None:
    """Raise an `InputError` where this host does not see the locks of another that is at the same sweep.

    A store in one file, results taken over, and the cache need them: two processes would otherwise write at once.
    """
    tracking = instantiate(cfg.tracking)
    if not (tracking.locks or tracking.reuse or cfg.cache.get("folder")):
        return
    for folder in (sweep, *(sweep / job.folder for job in noted_jobs(sweep, RUNNING))):
        if host_of(folder) in (None, platform.node()):
            continue
        host = without_common_locks(folder)
        if host is not None:
            raise InputError(
                f"{folder}: the lock that host {host} holds here is not seen on host {platform.node()}, so that both "
                "would write the same files; mount this disk with locks between hosts (NFS without nolock and "
                "local_lock, Lustre with flock), choose another one with root=FOLDER, or do without locks: "
                "tracking=deferred cache=off"
            )
        return


def _taken_over(
    tracking: MlflowTracking | NoTracking, key: str, folder: Path, *, in_sweep: bool
) -> dict[str, float] | None:
    """Return the metrics of a finished run after filling `folder` with its files, or None if there is no such run."""
    try:
        runs = tracking.runs({WORK_TAG: key})
        for run in runs:
            tags = run.data.tags
            # In one folder it is the same run again, which a scheduler has stopped and put back into its queue.
            again = Path(tags["folder"]) == folder.absolute()
            if run.info.status == "RUNNING" and (again or is_dead(Path(tags["folder"]), tags["host"])):
                tracking.close(run, "FAILED")
    except InputError:  # a store on this machine that cannot be used
        raise
    except Exception as error:  # a server that has gone away must not stop a sweep
        log.warning("Earlier runs cannot be asked for: %s", str(error).partition("\n")[0])
        runs = []
    if in_sweep and results(folder, key):  # a scheduler has started the job again that was done
        (folder / ERROR_FILE).unlink(missing_ok=True)
        return json.loads((folder / METRICS_FILE).read_text())
    if not in_sweep or not tracking.reuse:
        return None
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
