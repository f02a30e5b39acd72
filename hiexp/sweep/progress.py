"""How far a sweep is, read from its folder by whoever asks, on any host that sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hiexp.errors import InputError
from hiexp.executors import states
from hiexp.heartbeat import host_of, is_at_work
from hiexp.printable import duration, printable
from hiexp.run.files import RANKING_FILE, SWEEP_HYDRA_FILE
from hiexp.run.membership import ENDED, FAILED, PRUNED, REUSED, RUNNING, SWEEP_FILE, Job, Sweep, noted_jobs
from hiexp.run.reading import read_sweep_settings
from hiexp.run.reproduce import sweep_command
from hiexp.run.summary import display_path, python_command

SHOWN = 20  # jobs of a kind
PAUSE = 2.0  # seconds between two looks
QUEUED = ("PENDING", "REQUEUED")
GOES_ON = (*QUEUED, "READY", "RUNNING", "UNKNOWN", "COMPLETING", "PREEMPTED")  # with a scheduler


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Attributes
    ----------
    folder : Path
        The sweep's.
    sweep : Sweep
        What its folder says of it.
    jobs : sequence of Job
        Those that have begun, by number.
    lost : mapping of int to str
        Jobs that are not at work any more though they have not ended, and what is known of them.
    waiting : int
        Jobs that a scheduler has not started yet.
    abandoned : bool
        Whether nobody is there who would end the sweep, and no job is at work.
    unattended : bool
        Whether nobody is there who would end the sweep, but a scheduler has jobs of it.
    """

    folder: Path
    sweep: Sweep
    jobs: Sequence[Job]
    lost: Mapping[int, str] = field(default_factory=dict)
    waiting: int = 0
    abandoned: bool = False
    unattended: bool = False

    def of(self, *states: str) -> list[Job]:
        """Return the jobs in one of these states."""
        return [job for job in self.jobs if job.state in states]

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return bool(self.sweep.status) or self.abandoned


def read_progress(folder: Path) -> Progress:
    """Return how far the sweep in a folder is.

    Raises
    ------
    InputError
        If it is no sweep's folder.
    """
    try:
        sweep = Sweep.read(folder)
    except OSError as error:
        there = "no sweep is in this folder" if folder.is_dir() else "no such folder"
        raise InputError(f"{printable(str(folder))}: {there}; give runs/<date>/<time>_sweep") from error
    except ValueError as error:
        raise InputError(
            f"{printable(str(folder / SWEEP_FILE))}: damaged, or of another version; "
            "the command of the sweep, typed again, runs what is missing"
        ) from error
    jobs = list(noted_jobs(folder))
    if sweep.status:
        return Progress(folder, sweep, jobs)
    lost = {
        job.number: f"nothing has been heard of its process ({host_of(folder / job.folder) or 'unknown host'})"
        for job in jobs
        if job.state == RUNNING and not is_at_work(folder / job.folder)
    }
    if not sweep.submitted:
        return Progress(folder, sweep, jobs, lost, abandoned=not is_at_work(folder))
    said = scheduler_states(folder / ".submitit", [*sweep.submitted.values(), sweep.ending])
    queued = {int(number) for number, name in sweep.submitted.items() if said[name] in QUEUED}
    jobs = [job for job in jobs if not (job.state == FAILED and job.number in queued)]  # stopped, to be started again
    begun = {job.number for job in jobs}
    ended = {job.number for job in jobs if job.state in ENDED}
    lost = {
        int(number): f"{said[name]} (job {name})"
        for number, name in sweep.submitted.items()
        if int(number) not in ended and said[name].split()[0] not in GOES_ON
    }
    waiting = sum(int(number) not in begun | lost.keys() for number in sweep.submitted)
    left = any(int(number) not in ended | lost.keys() for number in sweep.submitted)
    ends = bool(sweep.ending) and said[sweep.ending].split()[0] in GOES_ON
    nobody = not (ends or is_at_work(folder))
    return Progress(folder, sweep, jobs, lost, waiting, nobody and not left, nobody and left)


def scheduler_states(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return what SLURM says of jobs: PENDING, RUNNING, CANCELLED by ..., UNKNOWN where it cannot be asked."""
    try:
        from submitit import SlurmJob
    except ImportError:
        return dict.fromkeys(names, "UNKNOWN")
    return {"": "UNKNOWN"} | states([SlurmJob(folder=folder, job_id=name) for name in names if name])


def progress_text(now: Progress) -> str:
    """Return what the screen says of a sweep: counts, who is at work, who has failed, and what to type next."""
    sweep, folder = now.sweep, display_path(now.folder)
    n_ended, n_failed, n_reused, n_pruned = (len(now.of(*some)) for some in (ENDED, [FAILED], [REUSED], [PRUNED]))
    at_work = [job for job in now.of(RUNNING) if job.number not in now.lost]
    counts = [f"{n_ended - n_failed - n_pruned} done" + (f" ({n_reused} in an earlier run)" if n_reused else "")]
    counts += [f"{n_pruned} pruned"] if n_pruned else []
    counts += [f"{n_failed} failed", f"{len(at_work)} running"]
    counts += [f"{len(now.lost)} lost"] if now.lost else []
    if sweep.n_jobs is not None:
        n_left = sweep.n_jobs - n_ended - len(at_work) - len(now.lost)
        counts.append(f"{n_left} left" + (f" ({now.waiting} in SLURM's queue)" if now.waiting else ""))
    command = sweep_command(read_sweep_settings(now.folder / SWEEP_HYDRA_FILE))
    lines = [printable(command), "", f"{sweep.n_jobs or 'some'} jobs: {', '.join(counts)}; {_time(now, n_ended)}"]
    rows = [(job, f"for {duration(time.time() - job.when)}") for job in at_work]
    rows += [(job, now.lost.get(job.number, job.said)) for job in now.jobs if job.number in now.lost]
    known = {job.number for job, _ in rows}
    rows += [(Job(number, "failed", "", ""), why) for number, why in now.lost.items() if number not in known]
    rows += [(job, job.said) for job in now.of(FAILED)]
    for job, said in rows[:SHOWN]:
        kind = "lost" if job.number in now.lost else job.state
        lines.append(f"  {kind:8} #{job.number} {printable(job.settings)}  {printable(said, 200)}".rstrip())
    if len(rows) > SHOWN:
        lines.append(f"  and {len(rows) - SHOWN} more")
    if (now.folder / RANKING_FILE).exists():
        lines.append(f"Ranking and verdict:  {python_command()} -m hiexp.compare --sweep {folder}")
    elif now.unattended:
        lines.append(f"Nobody waits for these jobs; the same command does, and ends the sweep: {printable(command)}")
    elif now.is_over:
        nobody = "Nobody is at work on this sweep any more; the" if now.abandoned else "The"
        lines.append(f"{nobody} same command runs what is missing: {printable(command)}")
    return "\n".join(lines)


def _time(now: Progress, n_ended: int) -> str:
    """Return how long a sweep has taken and will take."""
    if now.sweep.status:
        return f"ended ({': '.join(filter(None, [now.sweep.status, printable(now.sweep.said)]))})"
    so_far = time.time() - now.sweep.started
    fresh = n_ended - len(now.of(REUSED))
    said = f"{duration(so_far)} so far"
    if fresh and now.sweep.n_jobs is not None and n_ended < now.sweep.n_jobs and not now.abandoned:
        said += f", about {duration(so_far / fresh * (now.sweep.n_jobs - n_ended))} more"
    return said


def followed(folder: Path) -> Iterator[str]:
    """Yield a line as each job of a sweep ends from now on, until nothing more will come."""
    told = {job.number for job in read_progress(folder).of(*ENDED)}
    while True:
        now = read_progress(folder)
        ended = {job.number for job in now.of(*ENDED)}
        for number in sorted(ended - told):
            yield f"{now.sweep.counts(folder)}:  {printable(now.sweep.last_words(folder, number))}"
        told = ended  # one that its scheduler stops and starts again ends twice
        if now.is_over:
            return
        time.sleep(PAUSE)
