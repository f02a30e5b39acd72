"""Optuna, as far as a search uses it: studies, samplers, pruners and what a study has found."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hiexp.errors import InputError
from hiexp.evaluation.metrics import metric
from hiexp.heartbeat import is_at_work
from hiexp.sweep.space import Space
from hiexp.sweep.storage import opened_storage, pruner_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

JUST_BEGUN = timedelta(seconds=60)  # in which a trial may not say yet whose it is
INTERRUPTED, REPEATED, SWEEP, HOST, WORDS = "interrupted", "repeated", "sweep", "host", "words"
PROCESS = "process "  # begins the name of what each process notes in a study


def check_optuna(sampler: str = "") -> None:
    """Raise an `InputError` where the libraries of a search are not installed."""
    if find_spec("optuna") is None:
        raise InputError(
            'hydra/sweeper=optuna: Optuna is not installed; pip install "hiexp[optuna]", or hydra/sweeper=grid'
        )
    if sampler == "cmaes" and find_spec("cmaes") is None:
        raise InputError(
            'hydra.sweeper.sampler=cmaes: cmaes is not installed; pip install "hiexp[optuna]", or '
            "hydra.sweeper.sampler=tpe"
        )


def check_sampler(sampler: str, space: Space) -> None:
    """Raise an `InputError` where a sampler cannot search a space."""
    for axis in space.axes:
        if sampler == "cmaes" and axis.choices:
            raise InputError(
                f"{axis.word}: hydra.sweeper.sampler=cmaes takes intervals and ranges of numbers, no choices; give "
                "one value, or hydra.sweeper.sampler=tpe"
            )
        if sampler == "grid" and (axis.within or not axis.values()):
            why = f"belongs to {axis.within} alone" if axis.within else "has no end of values"
            raise InputError(
                f"{axis.word}: {why}, and hydra.sweeper.sampler=grid tries all combinations; give a,b,c or "
                "range(low,high,step), or hydra.sweeper.sampler=tpe"
            )
    if sampler == "cmaes" and len(space.axes) < 2:
        raise InputError(
            f"{space.axes[0].word}: hydra.sweeper.sampler=cmaes needs two keys or more; use hydra.sweeper.sampler=tpe"
        )


def opened_study(uri: str, name: str, objective: str, pruner: str, warmup_epochs: int, space: Space) -> Study:
    """Return the study of a search, begun or gone on with.

    Raises
    ------
    InputError
        If there is one of that name that is about something else.
    """
    import optuna

    what = {"objective": objective, "space": [axis.name for axis in space.axes]}
    study = optuna.create_study(
        storage=opened_storage(uri),
        study_name=name,
        load_if_exists=True,
        direction="maximize" if metric(objective).greater_is_better else "minimize",
        pruner=pruner_of(pruner, warmup_epochs),
    )
    before = study.user_attrs.get("what")
    if before not in (None, what):
        raise InputError(
            f"hydra.sweeper.study={name}: this study is about {before['objective']} over "
            f"{', '.join(before['space'])}; choose another name, or leave it out"
        )
    study.set_user_attr("what", what)
    return study


def sampler_of(name: str, space: Space, seed: list[int]) -> BaseSampler:
    """Return what proposes one trial; the same numbers give the same proposal after the same trials."""
    from optuna import samplers

    number = int(np.random.SeedSequence(seed).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what may change in a later version of Optuna
        match name:
            case "random":
                return samplers.RandomSampler(number)
            case "grid":
                # It numbers the combinations in an order of its seed, which all trials have to share.
                return samplers.GridSampler({axis.name: axis.values() for axis in space.axes}, seed[0])
            case "cmaes":
                return samplers.CmaEsSampler(seed=number, warn_independent_sampling=False)
        # Keys of a branch are modelled together with what they belong to; trials under way count as bad ones.
        return samplers.TPESampler(
            seed=number, multivariate=True, group=any(axis.within for axis in space.axes), constant_liar=True
        )


def counted(study: Study) -> list[FrozenTrial]:
    """Return the trials that a budget counts: all that have begun, but those that went with their process."""
    from optuna.trial import TrialState

    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state != TrialState.WAITING and INTERRUPTED not in trial.user_attrs
    ]


def reclaim(study: Study, own: Path) -> int:
    """Have trials whose process is dead tried again, by whoever asks next; return how many there were.

    `own` is the folder of the sweep that asks, which is between two trials.
    """
    from optuna.trial import TrialState

    n_dead = 0
    alone = not any(
        name.startswith(PROCESS) and noted[SWEEP] != str(own.absolute()) and not _is_dead(noted, None)
        for name, noted in study.user_attrs.items()
    )
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        nobodys = alone and SWEEP not in trial.user_attrs  # killed before it could say whose it is
        if not nobodys and not _is_dead(trial.user_attrs, trial.datetime_start):
            continue
        storage = study._storage  # a trial that another process has begun has no public way
        storage.set_trial_user_attr(trial._trial_id, INTERRUPTED, True)
        study.tell(trial.number, state=TrialState.FAIL)
        if WORDS in trial.user_attrs:  # or it was killed before it knew what to set
            study.enqueue_trial(trial.params)
        n_dead += 1
    return n_dead


def _is_dead(attributes: Mapping[str, Any], began: datetime | None) -> bool:
    folder = attributes.get(SWEEP)
    if folder is None:  # its process may be about to say so
        return began is not None and datetime.now() - began > JUST_BEGUN
    return (attributes[HOST] == platform.node() or Path(folder).exists()) and not is_at_work(Path(folder))


def place_among_processes(study: Study, folder: Path, uid: str) -> int:
    """Note that a process takes part, and return how many did so before that are still at work."""
    study.set_user_attr(
        PROCESS + uid, {SWEEP: str(folder.absolute()), HOST: platform.node(), "when": datetime.now().isoformat()}
    )
    at_work = [
        (noted["when"], name)
        for name, noted in study.user_attrs.items()
        if name.startswith(PROCESS) and (name == PROCESS + uid or not _is_dead(noted, None))
    ]
    return sorted(at_work).index((study.user_attrs[PROCESS + uid]["when"], PROCESS + uid))


def importances(study: Study, space: Space) -> list[dict[str, Any]]:
    """Return how much of the objective's variance goes with each key (fANOVA): of all trials, and of each branch.

    Hutter, Hoos & Leyton-Brown (2014, ICML, 754). Nothing where too few trials have ended to tell.
    """
    import optuna

    found = []
    for within in dict.fromkeys(axis.within for axis in space.axes):
        names = [axis.name for axis in space.axes if axis.within == within]
        try:
            shares = optuna.importance.get_param_importances(
                study, params=names, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
            )
        except (RuntimeError, ValueError):  # fewer than two trials, or all alike
            continue
        plain = {name.removeprefix(f"{within}: "): float(share) for name, share in shares.items()}
        if all(np.isfinite(list(plain.values()))):
            found.append({"within": within, "shares": plain})
    return found
