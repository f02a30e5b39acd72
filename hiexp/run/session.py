"""What the commands share: where their configuration is, how a run is recorded, how failures are told."""

from __future__ import annotations

import atexit
import errno
import functools
import gc
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from hiexp.commandline import BRIEF, words_typed
from hiexp.errors import InputError, OthersFolderError, PrunedError
from hiexp.heartbeat import beating
from hiexp.plots.formats import with_pdf
from hiexp.run.files import (
    CONFIG_FILE,
    ERROR_FILE,
    METRICS_FILE,
    PROVENANCE_FILE,
    PRUNED_FILE,
    begin,
    refuse_others_folder,
    seal,
)
from hiexp.run.membership import DONE, FAILED, PRUNED, REUSED, RUNNING, State, Sweep
from hiexp.run.reproduce import reproduce_command
from hiexp.run.reuse import WORK_TAG, refuse_separate_locks, work_lock
from hiexp.run.transfer import check_transfer
from hiexp.tracking.credentials import redacted
from hiexp.tracking.inputs import sample
from hiexp.tracking.mlflow_store import UID_TAG
from hiexp.writing import write_whole

if TYPE_CHECKING:
    from hiexp.tracking.mlflow_store import Record

OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOLCK)
ANOTHER_DISK = "make room, see to the permissions, or choose a folder on another disk with root=FOLDER"

log = logging.getLogger(__name__)

# Python would look for garbage among all objects of the libraries before it exits, for two seconds.
atexit.register(gc.freeze)


def run_folder() -> Path:
    """Return the folder of this run, or of this job of a sweep."""
    return Path(HydraConfig.get().runtime.output_dir)


def sweeping() -> bool:
    """Return whether this is one job of a sweep."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def report_job_ended(said: str, state: State = DONE) -> None:
    """Say on the screen how far the sweep is, and what came of the job of it that has ended."""
    job = HydraConfig.get()
    Sweep.of(job).report(job, state, said)


@contextmanager
def tracked_run(cfg: DictConfig, more_tags: Mapping[str, str] | None = None) -> Iterator[Record]:
    """Record the block with the tracker: its settings first, its metrics and the run's folder at the end.

    The member chosen of each group is recorded beside the settings, because people compare by them.

    Parameters
    ----------
    cfg : DictConfig
        The composed configuration of a command; its ``tracking`` says where to.
    more_tags : mapping of str to str, optional
        Tags beside those that every run has, or instead of them.
    """
    from hydra.utils import instantiate

    from hiexp.run.provenance import (
        config_hash,
        peak_memory_mb,
        provenance,
        run_name,
        run_tags,
        tracked_parameters,
        work_key,
    )

    job, folder = HydraConfig.get(), run_folder()
    key = work_key(cfg)
    run = begin(folder, key)
    write_whole(folder / CONFIG_FILE, redacted(OmegaConf.to_yaml(cfg, resolve=True)))
    chosen = {group: member for group, member in job.runtime.choices.items() if member}
    members = {group: member for group, member in chosen.items() if not group.startswith("hydra/")}
    tags = run_tags(reproduce_command(job, sweeping=sweeping()), folder) | {
        "config_hash": config_hash(cfg),
        WORK_TAG: key,
        UID_TAG: run.uid,
    }
    tags |= more_tags or {}
    tracking = instantiate(cfg.tracking)
    words = words_typed(job.overrides.task)
    if sweeping():
        sweep = Sweep.of(job)
        tags |= sweep.tags(job)
        words = [word for word in words if word.partition("=")[0] in sweep.axes]
    else:
        tracking.prepare()  # a sweep has done so
    pdf = not sweeping() if cfg.pdf is None else cfg.pdf
    name, chosen_values = run_name(words, members), tracked_parameters(cfg, members)
    with tracking.run(name, chosen_values, tags, folder) as record, with_pdf(pdf):
        yield record
        record.metrics["peak_memory_mb"] = peak_memory_mb()
        write_whole(folder / PROVENANCE_FILE, json.dumps(provenance(tags, record.inputs), indent=1))
        write_whole(folder / METRICS_FILE, json.dumps(record.metrics, indent=2))
        seal(folder, run)


def log_samples(record: Record, cfg: DictConfig, digest: str, parts: Mapping[str, Iterable[str]]) -> None:
    """Note in a record which objects of the dataset a run was made with, by what they were used for."""
    settings: Any = OmegaConf.to_container(cfg.dataset, resolve=True)
    name = HydraConfig.get().runtime.choices["dataset"]
    told = {key: redacted(value) if isinstance(value, str) else value for key, value in settings.items()}
    record.inputs = [sample(name, digest, told, context, ids) for context, ids in parts.items()]


def command(run: Callable[[DictConfig], float | None]) -> Callable[[DictConfig], float | None]:
    """Decorate what a command does with a configuration, alone or as a job of a sweep.

    Settings that cannot be are refused first. A job whose work is done already takes it over. What goes wrong is
    written to ``error.txt``; in a sweep the next job starts all the same.
    """

    @functools.wraps(run)
    def guarded(cfg: DictConfig) -> float | None:
        from hiexp.run.provenance import work_key  # imports pandas
        from hiexp.run.settings import check_settings

        with input_errors_as_messages(), failures_noted():
            check_settings(cfg, HydraConfig.get().job.name)
            check_transfer(cfg)
            key = work_key(cfg)
            refuse_others_folder(run_folder(), key, "hydra.sweep.subdir" if sweeping() else "hydra.run.dir")
            with beating(run_folder()):
                if sweeping():
                    _begin_job(cfg)
                with work_lock(cfg, key, run_folder(), in_sweep=sweeping()) as metrics:
                    if metrics is None:
                        return run(cfg)
                    report_job_ended("done in an earlier run", REUSED)
                    return metrics.get("success_rate")

    return guarded


def _begin_job(cfg: DictConfig) -> None:
    """Note that a job of a sweep runs, after a look at whether this host sees the locks of those that are at it."""
    job = HydraConfig.get()
    refuse_separate_locks(cfg, Path(job.sweep.dir))
    Sweep.of(job).note(job, RUNNING)


@contextmanager
def failures_noted() -> Iterator[None]:
    """Write what goes wrong to the run's ``error.txt``; in a sweep the next job starts all the same."""
    try:
        yield
    except OthersFolderError:  # nothing may be written there
        raise
    except PrunedError as end:
        write_whole(run_folder() / PRUNED_FILE, str(end))
        report_job_ended(f"pruned: {end}", PRUNED)
    except Exception as error:
        reason = redacted(str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}")
        with suppress(OSError):  # a full disk takes no word of it either
            write_whole(run_folder() / ERROR_FILE, redacted(f"{reason}\n\n{traceback.format_exc()}"))
        if not sweeping():
            raise
        report_job_ended(f"failed: {reason}", FAILED)


@contextmanager
def input_errors_as_messages() -> Iterator[None]:
    """Exit with the message of an `InputError`, or of a disk that refuses, alone; ``error.txt`` has the traceback."""
    try:
        yield
    except InputError as error:
        if BRIEF not in os.environ:
            raise
        sys.exit(redacted(str(error)))
    except OSError as error:
        if error.errno not in OF_THE_DISK or BRIEF not in os.environ:
            raise
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(f"{place}{error.strerror}; {ANOTHER_DISK}")
