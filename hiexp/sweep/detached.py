"""A sweep that is left to a scheduler: submitted, ended by a job of its own after all others."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hydra.utils import instantiate
from omegaconf import DictConfig

from hiexp.errors import InputError
from hiexp.executors import outcome
from hiexp.run.membership import DONE, REUSED, Sweep, noted_jobs
from hiexp.sweep.ending import Ending

if TYPE_CHECKING:
    from hiexp.sweep.jobs import SweepJob


def check_detached(launcher: DictConfig) -> None:
    """Raise an `InputError` where no scheduler would go on with a sweep that nobody waits for."""
    if (launcher.get("executor") or {}).get("cluster") != "slurm":
        raise InputError(
            "sweep.detach=true: jobs go on without this process under SLURM alone, hydra/launcher=submitit_slurm"
        )


def submit_after(launcher: DictConfig, sweep: Sweep, ending: Ending) -> str:
    """Submit the end of a sweep, to be run when its jobs have ended in whatever way; return its name there.

    Parameters
    ----------
    launcher : DictConfig
        How its jobs were submitted.
    sweep : Sweep
        With the names of its jobs.
    ending : Ending
        What is to be done.
    """
    arrays = sorted({name.partition("_")[0] for name in sweep.submitted.values()}, key=int)
    with instantiate(launcher.executor) as executor:
        executor.executor.update_parameters(slurm_dependency=":".join(["afterany", *arrays]))
        (job,) = executor.submit_all([EndOfSweep(ending, Path(launcher.executor.folder).absolute())])
    replace(sweep, ending=job.job_id).write(ending.folder)
    return job.job_id


@dataclass(frozen=True)
class EndOfSweep:
    """The last job of a sweep; called, it ends it, and its process with 1 if a job has failed.

    Attributes
    ----------
    ending : Ending
        What is to be done.
    folder : Path
        Where submitit keeps what it has submitted.
    """

    ending: Ending
    folder: Path

    def __call__(self) -> None:
        """Note which jobs are lost, and why; then rank and judge."""
        from submitit import SlurmJob

        # submitit has set it up for itself
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
        sweep = self.ending.folder
        well = {job.number for state in (DONE, REUSED) for job in noted_jobs(sweep, state)}
        for number, name in Sweep.read(sweep).submitted.items():
            if int(number) not in well:
                job: SlurmJob = SlurmJob(folder=self.folder, job_id=name)
                job.done(force_check=True)
                lost = cast("SweepJob", job.submission().function)
                lost.lost(outcome(job)[1] or "it left nothing")
        if self.ending.finish():
            raise SystemExit(1)
