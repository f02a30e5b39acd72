"""How hiexp hands the jobs of a sweep to others. Hydra takes launchers from the namespace ``hydra_plugins`` alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig

if TYPE_CHECKING:
    from hiexp.sweep.jobs import SweepJob

log = logging.getLogger(__name__)

TRIES = 3  # of a job that has not begun when the worker that it was given to died of another


class ExecutorLauncher(Launcher):
    """Run jobs by an executor: any of `concurrent.futures`, Dask's, or submitit's.

    A job whose process dies is one failed job. Progress is told here, wherever the jobs run.

    Parameters
    ----------
    executor : mapping
        ``_target_`` and arguments of what is, or yields, the executor.
    """

    hydra_context: Any  # these three are Hydra's, from `setup` on
    config: Any
    task_function: Any

    def __init__(self, executor: Mapping[str, Any]) -> None:
        self.executor = executor

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra knows of the command."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run jobs, or submit them where the sweep is to be left to a scheduler; return what came of each."""
        from hiexp.executors import SubmititExecutor
        from hiexp.run.membership import Sweep
        from hiexp.sweep.jobs import SweepJob, nothing_returned

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        folder = Path(self.config.hydra.sweep.dir)
        with _refusal_noted(folder), instantiate(self.executor) as executor:
            shared = (self.hydra_context, self.config, self.task_function, Singleton.get_state())
            once = not isinstance(executor, SubmititExecutor)
            jobs = {
                number: SweepJob(number, words, *shared, once)
                for number, words in enumerate(job_overrides, start=initial_job_idx)
            }
            if self.config.sweep.detach:
                submitted = executor.submit_all(list(jobs.values()))
                Sweep.note_submitted(
                    folder, {number: job.job_id for number, job in zip(jobs, submitted, strict=True)}
                )
                return [nothing_returned(job.overrides) for job in jobs.values()]
            return _waited_for(executor, jobs, folder)


def _waited_for(executor: Any, jobs: Mapping[int, SweepJob], folder: Path) -> list[JobReturn]:
    """Run jobs, tell how each ends, and return what came of them, in their order."""
    from hiexp.executors import completed
    from hiexp.run.membership import Sweep

    sweep = Sweep.read(folder)
    results: dict[int, JobReturn] = {}
    for tried in range(1, TRIES + 1):
        left = {number: job for number, job in jobs.items() if number not in results}
        for number, returned, reason in completed(executor, left, partial(Sweep.note_submitted, folder)):
            job = jobs[number]
            if reason and job.once and tried < TRIES and not job.has_begun():
                continue  # another job has taken down the worker that it was waiting at
            results[number] = job.lost(reason) if reason else returned
            log.info("%s:  %s", sweep.counts(folder), sweep.last_words(folder, number))
    return [results[number] for number in jobs]


@contextmanager
def _refusal_noted(folder: Path) -> Iterator[None]:
    """Let the sweep's folder say why no job could be handed over."""
    from hiexp.errors import InputError
    from hiexp.run.membership import Sweep
    from hiexp.tracking.credentials import redacted

    try:
        yield
    except InputError as error:
        replace(Sweep.read(folder), said=redacted(str(error))).write(folder)
        raise
