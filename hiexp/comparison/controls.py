"""A sweep beside its controls: the same configurations, taught with labels that were drawn at random."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd

from hiexp.comparison.runs import Comparison, Controls, Run
from hiexp.errors import InputError
from hiexp.evaluation.metrics import metric
from hiexp.evaluation.selection import p_values
from hiexp.run.files import CONFIG_FILE, PREDICTIONS_FILE
from hiexp.run.provenance import is_place
from hiexp.run.reading import read_flat_config, read_predictions

# What a control may have otherwise: labels, whatever is drawn with the seed, and what changes no score.
OTHERWISE = ("labels", "clusterer", "experiment", "hydra", "seed", "evaluation.permutations", "evaluation.yardstick")
SEEDS = ("seed", "random_state")
LEARNERS = ("feature", "classifier")

Configuration = frozenset[tuple[str, object]]


def against_controls(sweep: Comparison, controls: Sequence[Comparison]) -> Comparison:
    """Return a ranked sweep with the p-value of its best against controls.

    A control is all configurations of the sweep with training labels drawn at random (``labels=random``) from one
    seed; a sweep over ``seed`` holds several, and what it has beside the configurations of `sweep` does not count.
    Controls differ in what is drawn alone, so another one has any rank among them with the same probability. The
    share that does as well, the sweep counted in, is therefore a p-value (Barnard 1963, Journal of the Royal
    Statistical Society B 25, 294) of the hypothesis that the sweep's labels teach no more than random ones.

    Parameters
    ----------
    sweep : Comparison
        Ranked.
    controls : sequence of Comparison
        Sweeps, or the runs of experiments.

    Raises
    ------
    InputError
        If something among them is no control, or none of this sweep, or the same labels come twice.
    """
    measure, wanted = sweep.measure, {_configuration(run): run for run in sweep.done}
    if len(wanted) < len(sweep.done):
        raise InputError(
            f"sweep {sweep.title}: its {len(sweep.done)} runs are {len(wanted)} configurations with several seeds or "
            "labels, and a control has one of each; choose by a filter, seed=0 for example"
        )
    score = _best(sweep, f"sweep {sweep.title}")
    held_out = _held_out(sweep.done[0], f"sweep {sweep.title}")
    own = {run.settings.get("labels.seed") for run in sweep.done if run.settings.get("labels") == "random"}
    scores: dict[str, float] = {}
    for control in controls:
        for seed, runs in _by_labels(control).items():
            name = f"--control {control.title}, labels.seed={seed}"
            if seed in own or seed in scores:
                where = "the sweep itself" if seed in own else "another control"
                raise InputError(f"{name}: {where} has the same labels, which are no repetition; leave it out")
            matching = _matching(runs, wanted, name)
            if not _held_out(matching[0], name).equals(held_out):
                raise InputError(
                    f"{name}: run {matching[0].name} holds out other objects than run {sweep.done[0].name} of "
                    f"{sweep.title}, or has other reference classes; run the control on the sample of the sweep"
                )
            scores[seed] = _best(replace(sweep, runs=tuple(matching)), name)
    sign = 1 if metric(measure).greater_is_better else -1
    (p,) = p_values(sign * np.array([*scores.values()])[:, None], np.array([sign * score]))
    return replace(sweep, controls=Controls(score, scores, len(wanted), float(p)))


def _configuration(run: Run) -> Configuration:
    """Return the settings that a run shares with its controls, and the sizes of training and test set."""
    sizes = {(name, run.metrics.get(name)) for name in ("n_train", "n_test")}
    settings, file = run.settings, run.file(CONFIG_FILE)
    if file is not None:  # MLflow's parameters are not all of them
        with suppress(InputError):
            settings = {**settings, **read_flat_config(file)}
    return frozenset({(key, value) for key, value in settings.items() if not _may_differ(key)} | sizes)


def _may_differ(key: str) -> bool:
    drawn = key.startswith(tuple(f"{group}." for group in LEARNERS)) and key.rpartition(".")[2] in SEEDS
    other = any(key == name or key.startswith((f"{name}.", f"{name}/")) for name in OTHERWISE)
    return drawn or other or is_place(key)


def _by_labels(control: Comparison) -> dict[str, dict[Configuration, Run]]:
    """Return the runs of each control, by the seed of its labels."""
    found: dict[str, dict[Configuration, Run]] = {}
    for run in control.done:
        labels = run.settings.get("labels")
        if labels != "random":
            raise InputError(
                f"--control {control.title}: run {run.name} has labels={labels}; a control is the sweep with "
                "labels=random"
            )
        seed, key = run.settings.get("labels.seed"), _configuration(run)
        if seed is None:
            raise InputError(
                f"--control {control.title}: run {run.name} does not say its labels.seed; its "
                "config.yaml is missing: run it again"
            )
        runs = found.setdefault(seed, {})
        if key in runs:
            raise InputError(
                f"--control {control.title}: runs {runs[key].name} and {run.name} have the same settings and "
                f"labels.seed={seed}, which is no repetition; name a sweep with one of them"
            )
        runs[key] = run
    if not found:
        raise InputError(f"--control {control.title}: no run of it has ended well; run it again")
    return found


def _matching(runs: Mapping[Configuration, Run], wanted: Mapping[Configuration, Run], name: str) -> list[Run]:
    """Return the control's run of each of the sweep's configurations."""
    missing = [key for key in wanted if key not in runs]
    if missing:
        nearest = min(runs, key=lambda key: len(key ^ missing[0]))
        theirs, ours = dict(nearest - missing[0]), dict(missing[0] - nearest)
        differ = [f"{key}={theirs.get(key)} instead of {ours.get(key)}" for key in sorted({*theirs, *ours})]
        raise InputError(
            f"{name}: {len(missing)} of the sweep's {len(wanted)} configurations are not in it; nearest to run "
            f"{wanted[missing[0]].name} is its run {runs[nearest].name} with {', '.join(differ[:4])}; run the "
            "control with the settings of the sweep, and to its end"
        )
    return [runs[key] for key in wanted]


def _best(runs: Comparison, name: str) -> float:
    """Return the score of the best, chosen as in every ranking."""
    measure = runs.measure
    if all(math.isnan(run.number(measure)) for run in runs.done):
        raise InputError(f"{name}: no run has {measure}; rank by another measure with --sort")
    return runs.ranked(measure).runs[0].number(measure)


def _held_out(run: Run, name: str) -> pd.DataFrame:
    """Return id and reference class of the objects that a run held out."""
    file = run.file(PREDICTIONS_FILE)
    if file is None:
        raise InputError(f"{name}: run {run.name} has lost its predictions.csv, which tells the sample; run it again")
    columns = ["id", "split", "reference"]
    table = pd.DataFrame(read_predictions(file, columns, run.metrics.get("n_test")))[columns]
    return table[table["split"] == "test"].sort_values("id", ignore_index=True)
