"""A search: trials that Optuna proposes, carried out as jobs of a sweep, in batches, until there are enough."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import platform
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf

from hiexp.commandline import words_typed
from hiexp.errors import InputError
from hiexp.evaluation.metrics import INNER
from hiexp.run.files import METRICS_FILE, SEARCH_FILE
from hiexp.run.membership import DONE, PRUNED, REUSED, noted_jobs
from hiexp.sweep.space import Space
from hiexp.sweep.storage import quiet_optuna
from hiexp.sweep.study import (
    HOST,
    INTERRUPTED,
    REPEATED,
    SWEEP,
    WORDS,
    check_optuna,
    check_sampler,
    counted,
    importances,
    opened_study,
    place_among_processes,
    reclaim,
    sampler_of,
)
from hiexp.sweep.trial import WatchedTrial
from hiexp.tracking.credentials import has_password, redacted
from hiexp.writing import write_whole

if TYPE_CHECKING:
    from optuna import Study, Trial

log = logging.getLogger(__name__)

SEARCH_TARGET = "hydra_plugins.hiexp_sweeper.SearchSweeper"
DEFAULT_OBJECTIVE = "balanced_accuracy"
PARALLEL = 1  # trials at a time where a launcher does not say how many it can do

Launch = Callable[[list[list[str]], int], Sequence[JobReturn]]


@dataclass(frozen=True)
class Plan:
    """What a search is to do.

    Attributes
    ----------
    space : Space
        What may be set.
    objective : str
        The score of the inner validation part.
    sampler, pruner : str
        By name.
    warmup_epochs : int
        Epochs before a trial may be stopped.
    n_trials : int
        Trials in all, those of other processes and of earlier ones counted in.
    batch : int
        Trials at a time.
    storage, study : str
        Where they are kept, and under which name.
    seed : int
        Seed of the sampler.
    reuse : bool
        Whether what other processes have done can be taken over.
    """

    space: Space
    objective: str
    sampler: str
    pruner: str
    warmup_epochs: int
    n_trials: int
    batch: int
    storage: str
    study: str
    seed: int
    reuse: bool

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that differ between trials, as they stand in a command."""
        return tuple(dict.fromkeys(axis.key for axis in self.space.axes))


def is_search(config: DictConfig) -> bool:
    """Return whether a sweep is a search."""
    return config.hydra.sweeper["_target_"] == SEARCH_TARGET


def plan_of(config: DictConfig, loader: Any) -> Plan:
    """Return what a command asks for.

    Raises
    ------
    InputError
        If it cannot be.
    """
    from hiexp.cache import fingerprint
    from hiexp.run.provenance import is_place
    from hiexp.run.settings import check_member
    from hiexp.run.validation import check_objective

    settings: Any = OmegaConf.to_container(config.hydra.sweeper, resolve=True)
    check_member("hydra.sweeper", settings)
    check_optuna(settings["sampler"])
    if has_password(settings["storage"]):  # of a file; words of the command have lost theirs
        raise InputError(
            f"hydra.sweeper.storage={redacted(settings['storage'])}: a password in a file of settings would be "
            "written into every run; give it by PGUSER and PGPASSWORD"
        )
    if config.hydra.job.name != "train":
        raise InputError(
            f"hydra/sweeper=optuna: hiexp.{config.hydra.job.name} learns nothing that could be searched; use "
            "python -m hiexp.train, or hydra/sweeper=grid"
        )
    if config.sweep.detach:
        raise InputError("sweep.detach=true: a search waits for its trials to choose the next; leave it out")
    typed = words_typed(config.hydra.overrides.task)
    space = Space.of(loader, settings["params"], settings["branches"], typed)
    check_sampler(settings["sampler"], space)
    objective = config.objective or DEFAULT_OBJECTIVE
    check_objective(objective, config.evaluation)
    n_trials = settings["n_trials"]
    if settings["sampler"] == "grid" and space.size is not None:
        n_trials = min(n_trials, space.size)
    reuse = bool(config.tracking.get("reuse", False))
    name = settings["study"]
    if name is None:
        places = [word for word in space.fixed if not is_place(word.lstrip("+~").partition("=")[0])]
        ranges = [(axis.within, axis.word) for axis in space.axes]
        asked = [objective, settings["sampler"], settings["pruner"], places, ranges, config.seed, fingerprint()]
        choices: Any = OmegaConf.to_container(config.hydra.runtime.choices, resolve=False)
        groups = {group: member for group, member in choices.items() if not group.startswith(("hydra/", "tracking"))}
        key = hashlib.sha256(json.dumps([asked, groups], sort_keys=True).encode()).hexdigest()[:12]
        # Without a store what has been done is not found again: all of it is done, in a study of its own.
        name = f"{objective}-{key}" if reuse else f"{objective}-{uuid.uuid4().hex[:12]}"
    return Plan(
        space=space,
        objective=objective,
        sampler=settings["sampler"],
        pruner=settings["pruner"],
        warmup_epochs=settings["warmup_epochs"],
        n_trials=n_trials,
        batch=settings["batch"] or _at_a_time(config.hydra.launcher),
        storage=settings["storage"],
        study=name,
        seed=config.seed,
        reuse=reuse,
    )


def _at_a_time(launcher: DictConfig) -> int:
    """Return how many jobs a launcher does at a time, as far as its settings tell."""
    if "n_jobs" in launcher:
        from joblib import effective_n_jobs

        return effective_n_jobs(launcher.n_jobs)
    workers = OmegaConf.select(launcher, "executor.cluster.n_workers", default=None)
    return workers if isinstance(workers, int) and workers > 0 else PARALLEL


@dataclass
class Search:
    """A search under way in this process.

    Attributes
    ----------
    plan : Plan
        What it is to do.
    folder : Path
        The sweep's.
    launch : callable
        Runs jobs, lists of words, numbered from a first one.
    jobs : dict of int to int
        Numbers of the jobs that have carried out trials, by the trials' numbers.
    """

    plan: Plan
    folder: Path
    launch: Launch
    jobs: dict[int, int] = field(default_factory=dict)
    n_jobs: int = 0

    def run(self) -> list[Sequence[JobReturn]]:
        """Try until there are enough trials, and write ``search.json``; return what came of the jobs, by batch."""
        plan = self.plan
        with quiet_optuna():
            study = opened_study(
                plan.storage, plan.study, plan.objective, plan.pruner, plan.warmup_epochs, plan.space
            )
            if not plan.reuse and study.get_trials(deepcopy=False):
                raise InputError(
                    f"hydra.sweeper.study={plan.study}: it has trials, which are taken over through the tracking "
                    "store, and this tracking has none (tracking.reuse=false); use tracking=local or server, or "
                    "another study"
                )
            place = place_among_processes(study, self.folder, uuid.uuid4().hex)
            results = list(self._batches(study, place))
            self._write(study)
        return results

    def _batches(self, study: Study, place: int) -> Iterator[Sequence[JobReturn]]:
        n_dead = reclaim(study, self.folder)
        if n_dead:
            log.info("%d trials whose process has died are tried again", n_dead)
        yield from self._taken_over(study)
        while True:
            reclaim(study, self.folder)
            n_begun = len(counted(study))
            n_now = min(self.plan.batch, self.plan.n_trials - n_begun)
            if n_now <= 0:
                break
            trials = self._asked(study, place, n_begun, n_now)
            if trials:
                yield self._carried_out(study, trials)
        yield from self._taken_over(study)

    def _asked(self, study: Study, place: int, n_begun: int, n_now: int) -> dict[int, tuple[Trial, list[str]]]:
        """Return trials to be carried out, by the numbers of their jobs; one that repeats another has its value."""
        from optuna.trial import TrialState

        plan = self.plan
        known = {
            tuple(trial.user_attrs[WORDS]): trial.value
            for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
            if WORDS in trial.user_attrs
        }
        trials: dict[int, tuple[Trial, list[str]]] = {}
        for number in range(n_begun, n_begun + n_now):
            resting, study.sampler = study.sampler, sampler_of(plan.sampler, plan.space, [plan.seed, place, number])
            trial = study.ask()
            trial.set_user_attr(HOST, platform.node())
            trial.set_user_attr(SWEEP, str(self.folder.absolute()))
            words = plan.space.suggested(trial, in_full=plan.sampler == "grid")
            trial.set_user_attr(WORDS, words)
            study.sampler = resting  # that of a grid would stop the study when it is told of the last trial
            if tuple(words) in known:
                trial.set_user_attr(REPEATED, True)
                study.tell(trial, known[tuple(words)])
                continue
            job = self.n_jobs + len(trials)
            trials[job] = trial, words
            if plan.pruner != "none":
                watched = WatchedTrial(plan.storage, plan.study, trial.number, plan.pruner, plan.warmup_epochs)
                watched.write(self.folder, job)
        return trials

    def _carried_out(self, study: Study, trials: Mapping[int, tuple[Trial, list[str]]]) -> Sequence[JobReturn]:
        """Run a batch of trials and tell Optuna what came of them."""
        from optuna.trial import TrialState

        results = self._launched([words for _, words in trials.values()])
        for job, (trial, _) in trials.items():
            self.jobs[trial.number] = job
            state, value = self._came_to(job)
            if state == PRUNED:
                study.tell(trial, state=TrialState.PRUNED)
            elif value is None:
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, value)
        return results

    def _taken_over(self, study: Study) -> Iterator[Sequence[JobReturn]]:
        """Have what other processes, or an earlier one, have finished copied into this sweep."""
        from optuna.trial import TrialState

        if not self.plan.reuse:
            return
        others = [
            trial
            for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
            if trial.number not in self.jobs and REPEATED not in trial.user_attrs and WORDS in trial.user_attrs
        ]
        if others:
            first = self.n_jobs
            results = self._launched([trial.user_attrs[WORDS] for trial in others])
            self.jobs |= {trial.number: first + place for place, trial in enumerate(others)}
            yield results

    def _launched(self, batch: Sequence[Sequence[str]]) -> Sequence[JobReturn]:
        objective = f"objective={self.plan.objective}"
        jobs = [[*(word for word in words if not word.startswith("objective=")), objective] for words in batch]
        results = self.launch(jobs, self.n_jobs)
        self.n_jobs += len(jobs)
        for job in results:
            _ = job.return_value  # raises what the job has raised
        return results

    def _came_to(self, job: int) -> tuple[str, float | None]:
        """Return the state of a job that has ended, and the objective if it has one."""
        for noted in noted_jobs(self.folder, number=job):
            value = None
            if noted.state in (DONE, REUSED):
                metrics = json.loads((self.folder / noted.folder / METRICS_FILE).read_text())
                value = metrics.get(f"{INNER}{self.plan.objective}")
            return noted.state, value if value is not None and math.isfinite(value) else None
        return "", None

    def _write(self, study: Study) -> None:
        """Write ``search.json``: every trial, and how much goes with each key."""
        plan = self.plan
        names = {noted.number: Path(noted.folder).name for noted in noted_jobs(self.folder)}
        trials = [
            {
                "number": trial.number,
                "state": "interrupted" if INTERRUPTED in trial.user_attrs else trial.state.name.lower(),
                "value": trial.value if trial.value is None else float(trial.value),
                "job": names.get(self.jobs.get(trial.number, -1), ""),
                "repeated": REPEATED in trial.user_attrs,
                "epochs": max(trial.intermediate_values, default=0),
            }
            for trial in study.get_trials(deepcopy=False)
        ]
        found = {
            "objective": plan.objective,
            "sampler": plan.sampler,
            "study": plan.study,
            "storage": redacted(plan.storage),
            "trials": trials,
            "importances": importances(study, plan.space),
        }
        write_whole(self.folder / SEARCH_FILE, json.dumps(found, indent=1, allow_nan=False))
