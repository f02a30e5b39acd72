"""Where jobs run beyond this process: the executors of Dask and of submitit, opened, fed and closed."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import chdir, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from hiexp.errors import InputError
from hiexp.kinds import Count, Name, Positive, Whole

if TYPE_CHECKING:
    import submitit

LOOK, ASK = 1.0, 10.0  # seconds between two looks for results, and between two questions to the scheduler
SUBMISSION = 20.0  # seconds that a submission may take
GONE = "CANCELLED before it began, or lost: SLURM has no word of it"
ARRAY = re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE)

# How few and how many; Dask takes any other name without a word.
ADAPT = tuple(f"{bound}{what}" for what in ("", "_jobs", "_cores", "_memory") for bound in ("minimum", "maximum"))
CLUSTER = "hydra.launcher.executor.cluster"

Task = Callable[[], Any]
Ended = tuple[int, Any, str]  # which task, what it returned, and why it is lost if it is


def completed(
    executor: Executor | SubmititExecutor,
    tasks: Mapping[int, Task],
    submitted: Callable[[Mapping[int, str]], None] = lambda _: None,
) -> Iterator[Ended]:
    """Run tasks and yield each as it ends: its number, what it returned, and, of one that is lost, the reason.

    Parameters
    ----------
    executor : Executor
        Any of `concurrent.futures`, or submitit's.
    tasks : mapping of int to callable
        By their numbers. When the caller stops, what has not ended is cancelled.
    submitted : callable
        Is told SLURM's names of jobs, by the numbers of their tasks, as soon as it has them.
    """
    if isinstance(executor, SubmititExecutor):
        yield from executor.completed(tasks, submitted)
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
    if type(error).__name__ == "KilledWorker":  # which would quote the task
        return None, "KilledWorker: the worker that ran it died"
    return None, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


@contextmanager
def dask_executor(
    cluster: Callable[[], Any] | None = None,
    address: str | None = None,
    adapt: Mapping[str, int | str] | None = None,
    patience: Positive = 30.0,
) -> Iterator[Executor]:
    """Yield the executor of a Dask cluster, made for the block or running already.

    Parameters
    ----------
    cluster : callable, optional
        Makes a cluster: `distributed.LocalCluster`, or one of dask-jobqueue for SLURM, PBS or LSF.
    address : str, optional
        The address of a scheduler that runs, ``tcp://HOST:8786``, in the place of `cluster`.
    adapt : mapping of str to int or str, optional
        ``minimum`` and ``maximum`` of workers, between which the cluster follows the jobs.
    patience : float
        Seconds to wait for a scheduler.

    Raises
    ------
    InputError
        If Dask is not installed, no scheduler answers, or there would be no worker.
    """
    if cluster is None and address is None:
        raise InputError(f"{CLUSTER}=null: choose hydra/launcher=dask, or give hydra.launcher.executor.address")
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise InputError(f"hydra/launcher: Dask is not installed ({error}); pip install 'hiexp[dask]'") from error
    logging.getLogger("distributed").setLevel(logging.WARNING)  # its workers come and go without a word
    # A job that takes its worker down would do so again, and jobs may start processes of their own.
    settings = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.worker.daemon": False,
        "distributed.worker.preload": [__name__],
    }
    with dask.config.set(settings), _cluster(cluster, adapt) as place:
        try:
            client = Client(place or address, timeout=patience, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"hydra.launcher.executor.address={address}: no Dask scheduler answers ({error}); start one "
                "(dask scheduler) and workers (dask worker tcp://HOST:8786), or use hydra/launcher=dask"
            ) from error
        with client:
            try:
                yield client.get_executor(pure=False, retries=0)
            except KeyboardInterrupt:
                logging.getLogger("distributed").setLevel(logging.CRITICAL)  # workers with a job have to be killed
                raise


def dask_setup(_worker: object) -> None:
    """Let Ctrl-C be for the process that waits for the jobs: Dask calls this in each worker, which it then ends."""
    logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)  # would tell of its job's end
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _cluster(make: Callable[[], Any] | None, adapt: Mapping[str, int | str] | None) -> Iterator[Any]:
    if make is None:
        yield None
        return
    given = " ".join(f"{key}={value}" for key, value in getattr(make, "keywords", {}).items())
    with _refused(CLUSTER, f"Dask cannot start it with {given}"):
        cluster = make()
    # dask-jobqueue logs what a scheduler has refused, and would wait for its workers for ever.
    until = time.monotonic() + SUBMISSION
    while cluster.worker_spec and not any(one.status.name == "running" for one in [*cluster.workers.values()]):
        if time.monotonic() > until:
            cluster.shutdown_on_close = False  # there is nothing to close
            raise InputError(
                f"{CLUSTER}: the scheduler has not taken the first worker, see above; "
                "correct the settings (--cfg hydra shows them)"
            )
        time.sleep(LOOK / 5)
    with cluster:
        if adapt:
            _check_adapt(adapt)
            with _refused("hydra.launcher.executor.adapt", "the cluster does not take it"):
                cluster.adapt(**adapt)
        yield cluster


def _check_adapt(adapt: Mapping[str, int | str]) -> None:
    unknown = sorted({*adapt} - {*ADAPT})
    if unknown:
        raise InputError(f"hydra.launcher.executor.adapt.{unknown[0]}: there are {', '.join(ADAPT)}")
    for least, most in zip(ADAPT[::2], ADAPT[1::2], strict=True):
        low, high = adapt.get(least), adapt.get(most)
        if isinstance(low, int) and isinstance(high, int) and (low > high or high < 1):
            raise InputError(
                f"hydra.launcher.executor.adapt.{most}={high}: give a number from 1 up, {least}={low} or more"
            )


@contextmanager
def _refused(key: str, said: str) -> Iterator[None]:
    """Raise an `InputError` for what a library has against settings."""
    try:
        yield
    except Exception as error:  # of any cluster's constructor
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise InputError(f"{key}: {said} ({lines[-1].strip()})") from error


class SubmititSettings(TypedDict, total=False):
    """What a job is given by submitit; of what is None, the scheduler decides."""

    name: Name
    timeout_min: Count | None
    cpus_per_task: Count | None
    gpus_per_node: Whole | None
    mem_gb: Positive | None
    slurm_partition: Name | None
    slurm_account: Name | None
    slurm_qos: Name | None
    slurm_constraint: Name | None
    slurm_gres: Name | None
    slurm_nodelist: Name | None
    slurm_exclude: Name | None
    slurm_mem_per_cpu: Name | None
    slurm_comment: Name | None
    slurm_mail_type: Name | None
    slurm_mail_user: Name | None
    slurm_array_parallelism: Count | None
    slurm_signal_delay_s: Count | None
    slurm_setup: Sequence[str] | None
    slurm_teardown: Sequence[str] | None
    slurm_srun_args: Sequence[str] | None
    slurm_use_srun: bool | None
    slurm_additional_parameters: Mapping[str, Any] | None


@contextmanager
def submitit_executor(
    folder: str,
    cluster: Literal["slurm", "local"],
    at_once: Count | None = None,
    **settings: Unpack[SubmititSettings],
) -> Iterator[SubmititExecutor]:
    """Yield what starts processes under SLURM or on this machine; what has been submitted stays there.

    Parameters
    ----------
    folder : str
        Receives scripts, logs and results.
    cluster : str
        "slurm" or "local".
    at_once : int or None
        The most processes on this machine that run at the same time; SLURM has ``slurm_array_parallelism``.
    **settings : SubmititSettings
        As `submitit.AutoExecutor.update_parameters` takes them.

    Raises
    ------
    InputError
        If submitit or SLURM is not there, or does not take a setting.
    """
    try:
        from submitit import AutoExecutor
    except ImportError as error:
        raise InputError(
            f"hydra/launcher: submitit is not installed ({error}); pip install 'hiexp[slurm]'"
        ) from error
    with _refused(f"hydra/launcher=submitit_{cluster}", "refused"):
        executor = AutoExecutor(folder=folder, cluster=cluster)
        executor.update_parameters(**{key: value for key, value in settings.items() if value is not None})
    yield SubmititExecutor(executor, cluster, at_once)


@dataclass(frozen=True)
class SubmititExecutor:
    """Processes that submitit hands to SLURM, or starts on this machine.

    Attributes
    ----------
    executor : submitit.AutoExecutor
        Its own.
    cluster : str
        "slurm" or "local".
    at_once : int or None
        The most processes on this machine that run at the same time.
    """

    executor: submitit.AutoExecutor
    cluster: Literal["slurm", "local"]
    at_once: int | None = None

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
        # Of processes here Ctrl-C would show the tracebacks.
        screen = (
            _errors_into(Path(self.executor.folder, "controllers.log")) if self.cluster == "local" else nullcontext()
        )
        try:
            for first in range(0, len(tasks), most):
                with screen, self.executor.batch():
                    jobs += [self.executor.submit(task) for task in tasks[first : first + most]]
        except (FailedJobError, OSError) as error:
            cancel(jobs)
            refused = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(f"hydra/launcher=submitit_{self.cluster}: refused: {refused[-1]}") from error
        return jobs

    def completed(self, tasks: Mapping[int, Task], submitted: Callable[[Mapping[int, str]], None]) -> Iterator[Ended]:
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
                    if self.cluster == "slurm":
                        submitted({number: job.job_id for number, job in pending.items()})
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


@contextmanager
def _errors_into(file: Path) -> Iterator[None]:
    """Let processes that are started in the block write their errors into a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(2)
    try:
        with file.open("ab") as log:
            os.dup2(log.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


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
