"""One job of a sweep, to be run in another process or on another host."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from hiexp.run.files import ERROR_FILE, HYDRA_FILE, METRICS_FILE, OVERRIDES_FILE
from hiexp.run.membership import FAILED, RUNNING, Sweep, noted_jobs
from hiexp.signals import ended_by_signals, received
from hiexp.tracking.credentials import redacted
from hiexp.writing import write_whole

TOLD_ELSEWHERE = "HIEXP_PROGRESS_ELSEWHERE"  # set where the process that waits for the jobs says how they end

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepJob:
    """A job of a sweep; called, it runs.

    Attributes
    ----------
    number : int
        Place in the sweep.
    overrides : sequence of str
        Its words, ``key=value``.
    context, config, function
        What Hydra knows of the command, the configuration of the sweep, and what the command does.
    singletons : mapping
        The state of Hydra's global objects.
    once : bool
        Whether the job must not run again where it was begun and its process died; a scheduler may put one that it
        has stopped itself back into its queue.
    """

    number: int
    overrides: Sequence[str]
    context: HydraContext
    config: DictConfig
    function: TaskFunction
    singletons: dict[Any, Any]
    once: bool

    def __call__(self) -> JobReturn:
        """Run it."""
        setup_globals()
        Singleton.set_state(self.singletons)
        os.environ |= {TOLD_ELSEWHERE: "1", "TQDM_DISABLE": "1"}
        config = self.composed()
        job, folder = config.hydra, Path(config.hydra.sweep.dir)
        if self.once and next(noted_jobs(folder, RUNNING, self.number), None):
            raise ChildProcessError("the worker that ran it died")
        sweep = Sweep.read(folder)
        sweep.note(job, RUNNING)
        HydraConfig.instance().set_config(config)
        in_main_thread = threading.current_thread() is threading.main_thread()
        try:
            with ended_by_signals() if in_main_thread else nullcontext():
                return run_job(
                    task_function=self.function,
                    config=config,
                    job_dir_key="hydra.sweep.dir",
                    job_subdir_key="hydra.sweep.subdir",
                    hydra_context=self.context,
                )
        except SystemExit as end:
            stopped = received()
            sweep.note(job, FAILED, f"stopped by {stopped.name}" if stopped else str(end.code))
            if in_main_thread:
                raise
            raise ChildProcessError(str(end.code)) from end

    def composed(self) -> DictConfig:
        """Return its configuration, with Hydra's part."""
        setup_globals()
        config = self.context.config_loader.load_sweep_config(self.config, list(self.overrides))
        with open_dict(config):
            config.hydra.job.id = f"{config.hydra.job.name}_{self.number}"
            config.hydra.job.num = self.number
        return config

    def has_begun(self) -> bool:
        """Return whether its process has come to life."""
        return next(noted_jobs(Path(self.config.hydra.sweep.dir), RUNNING, self.number), None) is not None

    def lost(self, reason: str) -> JobReturn:
        """Note why a job has come to nothing whose process cannot say so; return what Hydra takes for its end."""
        config = self.composed()
        sweep = Path(config.hydra.sweep.dir)
        folder = sweep / str(config.hydra.sweep.subdir)
        if not ((folder / METRICS_FILE).exists() or (folder / ERROR_FILE).exists()):
            before = next(noted_jobs(sweep, FAILED, self.number), None)
            reason = redacted(f"{before.said}; {reason}" if before else reason)
            if not (folder / OVERRIDES_FILE).exists():  # it has not even begun
                (folder / OVERRIDES_FILE).parent.mkdir(parents=True, exist_ok=True)
                OmegaConf.save(config.hydra.overrides.task, folder / OVERRIDES_FILE)
                OmegaConf.save(OmegaConf.create({"hydra": config.hydra}), folder / HYDRA_FILE)
            write_whole(folder / ERROR_FILE, reason)
            Sweep.read(sweep).note(config.hydra, FAILED, f"failed: {reason}")
        return nothing_returned(self.overrides)


def nothing_returned(overrides: Sequence[str]) -> JobReturn:
    """Return what Hydra takes for the end of a job that has no number to return; its sweeper stops at any other."""
    ended = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
    ended.return_value = None
    return ended
