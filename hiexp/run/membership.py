"""What a job knows of the sweep that it belongs to, and leaves there of its own progress."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, Self, get_args

from hydra.conf import HydraConf
from pydantic import TypeAdapter

from hiexp.commandline import words_typed
from hiexp.printable import duration, natural_order
from hiexp.run.files import CONFIG_FILE, METRICS_FILE, OVERRIDES_FILE, SWEEP_HYDRA_FILE
from hiexp.tracking.mlflow_store import PARENT_TAG, SWEEP_UID_TAG
from hiexp.writing import write_whole

log = logging.getLogger(__name__)
PROGRESS = log.name  # what jobs of other processes may say on the screen

SWEEP_FILE, JOBS_FOLDER = ".sweep.json", ".jobs"

State = Literal["running", "done", "reused", "pruned", "failed"]
RUNNING, DONE, REUSED, PRUNED, FAILED = STATES = get_args(State)
ENDED = (DONE, REUSED, PRUNED, FAILED)


@dataclass(frozen=True)
class Job:
    """How far a job of a sweep is: a small file, since jobs may run in other processes and on other hosts.

    Attributes
    ----------
    number : int
        Place in the sweep.
    state : str
        "running", "done", "reused" (of an earlier run), "pruned" (stopped by its search) or "failed".
    folder : str
        Where its files are, in the sweep's folder.
    settings : str
        What tells it from the other jobs, as typed.
    said : str
        What came of it.
    when : float
        Seconds since 1970 at which it came into this state.
    """

    number: int
    state: State
    folder: str
    settings: str
    said: str = ""
    when: float = field(default_factory=time.time)

    def write(self, sweep: Path) -> None:
        """Note the state in the folder of the sweep, in the place of the one before."""
        folder = sweep / JOBS_FOLDER
        folder.mkdir(exist_ok=True)
        # The name tells the state, so that all are counted by one look into the folder.
        write_whole(folder / f"{self.number}.{self.state}.json", json.dumps(asdict(self)))
        for state in {*STATES} - {self.state}:
            (folder / f"{self.number}.{state}.json").unlink(missing_ok=True)


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
    submitted : dict of str to str
        Where a scheduler has the jobs, its names of them by their numbers.
    ending : str
        Its name of the job that ends the sweep.
    status : str
        How the sweep has ended, as MLflow says it; empty before.
    said : str
        Why it could not go on, where that is known.
    """

    uid: str
    parent: str | None
    n_jobs: int | None
    axes: tuple[str, ...]
    started: float
    submitted: dict[str, str] = field(default_factory=dict)
    ending: str = ""
    status: str = ""
    said: str = ""

    @classmethod
    def of(cls, job: HydraConf) -> Self:
        """Return the sweep that a job belongs to."""
        return cls.read(Path(job.sweep.dir))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the sweep whose folder it is."""
        return TypeAdapter(cls).validate_json((folder / SWEEP_FILE).read_bytes())

    def write(self, folder: Path) -> None:
        """Write the file."""
        write_whole(folder / SWEEP_FILE, json.dumps(asdict(self)))

    @classmethod
    def note_submitted(cls, folder: Path, names: Mapping[int, str]) -> None:
        """Note a scheduler's names of jobs, by their numbers, in the folder of their sweep."""
        sweep = cls.read(folder)
        told = {str(number): name for number, name in names.items()}
        replace(sweep, submitted=sweep.submitted | told).write(folder)

    def tags(self, job: HydraConf) -> dict[str, str]:
        """Return the tags by which a job's run is found."""
        tags = {"job": str(job.job.num), SWEEP_UID_TAG: self.uid}
        return tags | ({PARENT_TAG: self.parent} if self.parent else {})

    def note(self, job: HydraConf, state: State, said: str = "") -> None:
        """Note how far a job is, in the folder of the sweep."""
        settings = " ".join(word for word in words_typed(job.overrides.task) if word.partition("=")[0] in self.axes)
        Job(job.job.num, state, str(job.sweep.subdir), settings, said).write(Path(job.sweep.dir))

    def report(self, job: HydraConf, state: State, said: str) -> None:
        """Note and say on the screen how a job has ended, and what is done, running and left of the sweep."""
        self.note(job, state, said)
        folder = Path(job.sweep.dir)
        log.info("%s:  %s", self.counts(folder), self.last_words(folder, job.job.num))

    def counts(self, folder: Path) -> str:
        """Return what is done, running and left, and how long it will take."""
        counts = counted_states(folder)
        ended, running = sum(counts[state] for state in ENDED), counts[RUNNING]
        fresh = counts[DONE] + counts[PRUNED] + counts[FAILED]
        said = f"{ended} of {self.n_jobs or '?'} done, {running} running"
        if self.n_jobs is not None:
            said += f", {self.n_jobs - ended - running} left"
            if fresh and ended < self.n_jobs:
                said += f" ({duration((time.time() - self.started) / fresh * (self.n_jobs - ended))})"
        return said

    def last_words(self, folder: Path, number: int) -> str:
        """Return the number of a job that has ended, its settings, and what came of it."""
        for job in noted_jobs(folder, number=number):
            return f"#{number} {job.settings}  {job.said}"
        return f"#{number}"


def counted_states(folder: Path) -> Counter[str]:
    """Return how many jobs of a sweep are in each state."""
    return Counter(_state(name) for name in _names(folder))


def noted_jobs(folder: Path, state: State | None = None, number: int | None = None) -> Iterator[Job]:
    """Yield the jobs of a sweep that have noted how far they are, by number; all, those in one state, or one."""
    for name in sorted(_names(folder), key=natural_order):
        if state in (None, _state(name)) and number in (None, int(name.partition(".")[0])):
            try:
                yield TypeAdapter(Job).validate_json((folder / JOBS_FOLDER / name).read_bytes())
            except (OSError, ValueError):  # it has gone on to another state
                continue


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder / JOBS_FOLDER) if name[0].isdigit()]  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []


def _state(name: str) -> str:
    return name.split(".")[1]


def folders_below(runs: Path) -> Iterator[Path]:
    """Yield the folders of runs and sweeps below a folder, however deep they lie; not those of a sweep's jobs."""
    for place, folders, files in os.walk(runs):
        if ".hydra" in folders or not {CONFIG_FILE, METRICS_FILE, SWEEP_FILE, SWEEP_HYDRA_FILE}.isdisjoint(files):
            folders.clear()
            yield Path(place)


def sweeps_below(runs: Path) -> list[Path]:
    """Return the folders of the sweeps below a folder, at the end the one begun last."""
    begun = {}
    for folder in folders_below(runs):
        files = [folder / name for name in (SWEEP_FILE, SWEEP_HYDRA_FILE)]
        times = [file.stat().st_mtime_ns for file in files if file.is_file()]
        if times:
            begun[folder] = max(times), folder
    return sorted(begun, key=lambda folder: begun[folder])


def jobs_of(folder: Path) -> list[Path]:
    """Return the folders of the jobs that a sweep has begun, by number."""
    jobs = []
    for place, folders, _ in os.walk(folder):
        if Path(place, OVERRIDES_FILE).exists():
            jobs.append(Path(place))
            folders.clear()  # nothing of another job is below
    return sorted(jobs, key=lambda job: natural_order(job.name))
