"""What a job knows of the sweep that it belongs to, and says of its progress."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from hydra.conf import HydraConf

from hiexp.commandline import words_typed
from hiexp.printable import duration, natural_order
from hiexp.run.files import ERROR_FILE, METRICS_FILE, OVERRIDES_FILE, REUSED_FILE
from hiexp.tracking.mlflow_store import PARENT_TAG, SWEEP_UID_TAG
from hiexp.writing import write_whole

log = logging.getLogger(__name__)
PROGRESS = log.name  # what jobs of other processes may say on the screen

SWEEP_FILE = ".sweep.json"


@dataclass(frozen=True)
class Sweep:
    """What the jobs of a sweep know of it: a file in its folder, since they may run in other processes.

    Attributes
    ----------
    uid : str
        Identifier of the run that stands for the sweep, known before MLflow is.
    parent : str or None
        MLflow's id of that run, if MLflow has it.
    n_jobs : int or None
        None where a sweeper decides while it goes.
    axes : tuple of str
        The keys that differ between jobs.
    started : float
        Seconds since 1970.
    """

    uid: str
    parent: str | None
    n_jobs: int | None
    axes: tuple[str, ...]
    started: float

    @classmethod
    def of(cls, job: HydraConf) -> Self:
        """Return the sweep that a job belongs to."""
        return cls(**json.loads((Path(job.sweep.dir) / SWEEP_FILE).read_text()))

    def write(self, folder: Path) -> None:
        """Write the file."""
        write_whole(folder / SWEEP_FILE, json.dumps(asdict(self)))

    def tags(self, job: HydraConf) -> dict[str, str]:
        """Return the tags by which a job's run is found."""
        tags = {"job": str(job.job.num), SWEEP_UID_TAG: self.uid}
        return tags | ({PARENT_TAG: self.parent} if self.parent else {})

    def report(self, job: HydraConf, said: str) -> None:
        """Say on the screen, when a job has ended, what is done, running and left, and what came of the job."""
        folder = Path(job.sweep.dir)
        jobs = jobs_of(folder)
        ended = [one for one in jobs if (one / METRICS_FILE).exists() or (one / ERROR_FILE).exists()]
        fresh = sum(not (one / REUSED_FILE).exists() for one in ended)
        counts = f"{len(ended)} of {self.n_jobs or '?'} done, {len(jobs) - len(ended)} running"
        if self.n_jobs is not None:
            counts += f", {self.n_jobs - len(jobs)} left"
            if fresh and len(ended) < self.n_jobs:
                counts += f" ({duration((time.time() - self.started) / fresh * (self.n_jobs - len(ended)))})"
        settings = " ".join(word for word in words_typed(job.overrides.task) if word.partition("=")[0] in self.axes)
        log.info("%s:  #%d %s  %s", counts, job.job.num, settings, said)


def jobs_of(folder: Path) -> list[Path]:
    """Return the folders of the jobs that a sweep has begun, by number."""
    jobs = [file.parents[1] for file in folder.rglob(OVERRIDES_FILE)]
    return sorted(jobs, key=lambda job: natural_order(job.name))
