"""Where jobs run beyond this process: the executors of Dask and of submitit, opened, fed and closed."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hiexp.errors import InputError

if TYPE_CHECKING:
    import submitit

LOOK, ASK = 1.0, 10.0  # seconds between two looks for results, and between two questions to the scheduler
SUBMISSION = 20.0  # seconds that a submission may take
GONE = "CANCELLED before it began, or lost: SLURM has no word of it"
ARRAY = re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE)

Task = Callable[[], Any]
Ended = tuple[int, Any, str]  # which task, what it returned, and why it is lost if it is


def completed(executor: Executor | SubmititExecutor, tasks: Mapping[int, Task]) -> Iterator[Ended]:
    """Run tasks and yield each as it ends: its number, what it returned, and, of one that is lost, the reason.

    Parameters
    ----------
    executor : Executor
        Any of `concurrent.futures`, or submitit's.
    tasks : mapping of int to callable
        By their numbers. When the caller stops, what has not ended is cancelled.
    """
    if isinstance(executor, SubmititExecutor):
        yield from executor.completed(tasks)
        return
    pending: dict[Future, int] = {}
    try:
        for number, task in tasks.items():
            try:
                pending[executor.submit(AsTypedHere(task, Path.cwd()))] = number
            except BrokenExecutor as error:
                yield number, None, f"{type(error).__name__}: {error}"
        while pending:
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                # Dask computes again what somebody still refers to when its worker is gone.
                number = pending.pop(future)
                yield (number, *_outcome(future))
                del future
    finally:
        for future in pending:
            future.cancel()


@dataclass(frozen=True)
class AsTypedHere:
    """A task that sees the files and modules of the folder where the command was typed, wherever its worker started.

    Attributes
    ----------
    task : callable
        Takes nothing.
    folder : Path
        The working folder.
    """

    task: Task
    folder: Path

    def __call__(self) -> Any:
        """Run it."""
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))
        with chdir(self.folder):
            return self.task()


def _outcome(future: Future) -> tuple[Any, str]:
    if future.cancelled():
        return None, "it was cancelled"
    error = future.exception()
    if error is None:
        return future.result(), ""
    return None, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


@contextmanager
def dask_executor(
    cluster: Callable[[], Any] | None = None,
    address: str | None = None,
    adapt: Mapping[str, int] | None = None,
    patience: float = 30.0,
) -> Iterator[Executor]:
    """Yield the executor of a Dask cluster, made for the block or running already.

    Parameters
    ----------
    cluster : callable, optional
        Makes a cluster: `distributed.LocalCluster`, or one of dask-jobqueue for SLURM, PBS or LSF.
    address : str, optional
        The address of a scheduler that runs, ``tcp://HOST:8786``, in the place of `cluster`.
    adapt : mapping of str to int, optional
        ``minimum`` and ``maximum`` of workers, between which the cluster follows the jobs.
    patience : float
        Seconds to wait for a scheduler.

    Raises
    ------
    InputError
        If Dask is not installed, or no scheduler answers.
    """
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise InputError(f"hydra/launcher: Dask is not installed ({error}); pip install 'hiexp[dask]'") from error
    logging.getLogger("distributed").setLevel(logging.WARNING)  # its workers come and go without a word
    # A job that takes its worker down would do so again, and jobs may start processes of their own.
    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.worker.daemon": False}
    with dask.config.set(settings), _cluster(cluster, adapt) as place:
        try:
            client = Client(place or address, timeout=patience, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"hydra.launcher.executor.address={address}: no Dask scheduler answers ({error}); start one "
                "(dask scheduler) and workers (dask worker tcp://HOST:8786), or use hydra/launcher=dask"
            ) from error
        with client:
            yield client.get_executor(pure=False, retries=0)


@contextmanager
def _cluster(make: Callable[[], Any] | None, adapt: Mapping[str, int] | None) -> Iterator[Any]:
    if make is None:
        yield None
        return
    try:
        cluster = make()
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        said = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise InputError(f"hydra.launcher.executor.cluster: Dask cannot start it ({said[-1]})") from error
    # dask-jobqueue logs what a scheduler has refused, and would wait for its workers for ever.
    until = time.monotonic() + SUBMISSION
    while cluster.worker_spec and not any(one.status.name == "running" for one in [*cluster.workers.values()]):
        if time.monotonic() > until:
            cluster.shutdown_on_close = False  # there is nothing to close
            raise InputError(
                "hydra.launcher.executor.cluster: the scheduler has not taken the first worker, see above; "
                "correct the settings (--cfg hydra shows them)"
            )
        time.sleep(LOOK / 5)
    with cluster:
        if adapt:
            cluster.adapt(**adapt)
        yield cluster


class SubmititExecutor:
    """Processes that submitit hands to SLURM, or starts on this machine.

    Parameters
    ----------
    folder : str
        Receives scripts, logs and results.
    cluster : str
        "slurm" or "local".
    at_once : int or None
        The most processes on this machine that run at the same time; SLURM has ``slurm_array_parallelism``.
    **settings
        As `submitit.AutoExecutor.update_parameters` takes them; those that are None are left to the scheduler.

    Raises
    ------
    InputError
        If submitit or SLURM is not there, or does not take a setting.
    """

    def __init__(self, folder: str, cluster: str, at_once: int | None = None, **settings: object) -> None:
        try:
            from submitit import AutoExecutor
        except ImportError as error:
            raise InputError(
                f"hydra/launcher: submitit is not installed ({error}); pip install 'hiexp[slurm]'"
            ) from error
        self.cluster, self.at_once = cluster, at_once
        try:
            self.executor = AutoExecutor(folder=folder, cluster=cluster)
            self.executor.update_parameters(**{key: value for key, value in settings.items() if value is not None})
        except (AssertionError, NameError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"hydra/launcher=submitit_{cluster}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave what has been submitted to the scheduler."""

    def submit_all(self, tasks: Sequence[Task]) -> list[submitit.Job]:
        """Submit tasks, in arrays no larger than the scheduler takes them, and return their jobs.

        Raises
        ------
        InputError
            If the scheduler refuses them.
        """
        from submitit.core.utils import FailedJobError

        jobs: list[submitit.Job] = []
        most = largest_array() if self.cluster == "slurm" else max(len(tasks), 1)
        try:
            for first in range(0, len(tasks), most):
                with self.executor.batch():
                    jobs += [self.executor.submit(task) for task in tasks[first : first + most]]
        except (FailedJobError, OSError) as error:
            cancel(jobs)
            refused = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(f"hydra/launcher=submitit_{self.cluster}: refused: {refused[-1]}") from error
        return jobs

    def completed(self, tasks: Mapping[int, Task]) -> Iterator[Ended]:
        """Do what `completed` does."""
        waiting = list(tasks)
        pending: dict[int, submitit.Job] = {}
        asked = time.monotonic()
        try:
            while waiting or pending:
                free = len(waiting) if self.at_once is None else max(self.at_once - len(pending), 0)
                if waiting and free:
                    next_ones, waiting = waiting[:free], waiting[free:]
                    jobs = self.submit_all([tasks[number] for number in next_ones])
                    pending |= dict(zip(next_ones, jobs, strict=True))
                gone: set[str] = set()
                if pending and time.monotonic() - asked > ASK:
                    asked = time.monotonic()
                    next(iter(pending.values())).done(force_check=True)  # updates what is known of all of them
                    gone = {name for name, state in states([*pending.values()]).items() if state == GONE}
                for number, job in list(pending.items()):
                    if job.done() or job.job_id in gone:
                        del pending[number]
                        yield (number, *outcome(job))
                if pending:
                    time.sleep(LOOK)
        finally:
            cancel(list(pending.values()))


def outcome(job: submitit.Job) -> tuple[Any, str]:
    """Return what a job that has ended returned, and why it is lost if it is."""
    if not job.paths.result_pickle.exists():
        return None, f"{states([job])[job.job_id]}, job {job.job_id}; its log is {job.paths.stderr}"
    error = job.exception()
    if error is None:
        return job.result(), ""
    trace = str(error).split("-" * 22)[1]  # of what submitit says around it
    return None, f"{trace.strip().splitlines()[-1]} (job {job.job_id})"


def states(jobs: Sequence[submitit.Job]) -> dict[str, str]:
    """Return what the scheduler says of jobs, by their names: PENDING, RUNNING, CANCELLED by ..., UNKNOWN."""
    found = {job.job_id: job.state for job in jobs}
    if "UNKNOWN" in found.values() and shutil.which("squeue"):
        # Of an array's job that is cancelled before it starts, SLURM's accounting never hears.
        asked = subprocess.run(["squeue", "-h", "-r", "-o", "%i"], capture_output=True, text=True, check=False)
        queue = set(asked.stdout.split())
        for name in [name for name, state in found.items() if state == "UNKNOWN"]:
            if asked.returncode == 0 and name not in queue:
                found[name] = GONE
    return found


def cancel(jobs: Sequence[submitit.Job]) -> None:
    """End jobs that nobody waits for any more."""
    for job in jobs:
        with suppress(Exception):  # one that has just ended
            job.cancel(check=False)


def largest_array() -> int:
    """Return how many jobs SLURM takes in one array."""
    said = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=False).stdout
    found = ARRAY.search(said)
    return int(found[1]) if found else 1000
