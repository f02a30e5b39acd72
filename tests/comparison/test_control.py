"""A sweep beside its controls: p under the null, p of labels that were learned, and what is no control."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.commands import command
from scipy.stats import kstest
from sklearn.model_selection import StratifiedShuffleSplit

from hiexp.comparison.controls import against_controls
from hiexp.comparison.runs import Comparison, Run
from hiexp.comparison.text import control_text
from hiexp.errors import InputError
from hiexp.evaluation.confusion import balanced_accuracy, success_rate
from hiexp.labels import RandomLabels, ReferenceLabels

CLASSES = np.repeat([0, 1, 2], [70, 50, 40])
# Three coordinates tell the classes apart, ten do not.
POINTS = np.eye(13)[CLASSES] + np.random.default_rng(0).normal(0, 0.4, (CLASSES.size, 13))
SPLITS = [
    next(StratifiedShuffleSplit(1, test_size=size, random_state=state).split(POINTS, CLASSES))
    for size in (0.3, 0.5, 0.7)
    for state in (42, 99)
]


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    file = tmp_path_factory.mktemp("sample") / "predictions.csv"
    pd.DataFrame({"id": ["a", "b"], "split": "test", "reference": [0, 1]}).to_csv(file, index=False)
    return file


def job(name, metrics, file, labels="random", seed=0, **settings):
    """A run that has ended; its labels are drawn with the seed that draws the rest."""
    settings |= {"labels": labels, "seed": str(seed), "classifier.random_state": str(seed), "experiment_name": labels}
    settings |= {"labels.seed": str(seed)} if labels == "random" else {}
    return Run(name, settings, {"n_test": 2, **metrics}, "", "done", "", "", lambda wanted: file)


def sweep(scores, file, labels="random", seed=0, title="control"):
    """A sweep over `epochs` with these scores."""
    jobs = [
        job(str(number), {"success_rate": score}, file, labels, seed, epochs=str(number))
        for number, score in enumerate(scores)
    ]
    return Comparison(title, "", tuple(jobs)).ranked()


def learned(labels, seed, file):
    """A sweep of classifiers that put an object into the class whose mean is nearest, on all coordinates or some."""
    jobs = []
    for split, (train, test) in enumerate(SPLITS):
        classes = labels.assign(POINTS, CLASSES, train).classes[train]
        for n_columns in (13, 6):
            train_points, test_points = POINTS[train, :n_columns], POINTS[test, :n_columns]
            means = np.array([train_points[classes == label].mean(axis=0) for label in range(3)])
            predicted = ((means**2).sum(axis=1) - 2 * test_points @ means.T).argmin(axis=1)
            counts = np.bincount(3 * CLASSES[test] + predicted, minlength=9).reshape(3, 3)
            scores = {
                "success_rate": float(success_rate(counts)),
                "balanced_accuracy": float(balanced_accuracy(counts)),
            }
            settings = {"random_state": str(split), "columns": str(n_columns)}
            kind = "random" if isinstance(labels, RandomLabels) else "reference"
            jobs.append(job(str(len(jobs)), scores, file, kind, seed, **settings))
    return Comparison("learned", "", tuple(jobs))


@pytest.fixture(scope="module")
def repeated(held_out):
    """Controls, each with labels of its own."""
    return [learned(RandomLabels(3, seed), seed, held_out) for seed in range(1000)]


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["success_rate", "balanced_accuracy"])
def test_p_is_uniform_over_repeated_controls(repeated, measure):
    n_controls, n_repeats = 9, 100
    groups = [repeated[first::n_repeats] for first in range(n_repeats)]
    p = np.array([against_controls(one.ranked(measure), others).controls.p for one, *others in groups])
    steps = np.arange(1, n_controls + 2) / (n_controls + 1)
    assert np.isin(p.round(9), steps.round(9)).all()
    for level in steps[:-1]:  # no more small p-values than there should be
        assert np.mean(p <= level + 1e-9) <= level + 3 * np.sqrt(level * (1 - level) / n_repeats)
    spread = p - np.random.default_rng(1).random(n_repeats) / (n_controls + 1)  # over the step that each p ends
    assert kstest(spread, "uniform").pvalue > 0.01


@pytest.mark.parametrize("measure", ["success_rate", "balanced_accuracy"])
def test_p_is_small_where_labels_are_learned(repeated, held_out, measure):
    honest = learned(ReferenceLabels(3), 0, held_out).ranked(measure)
    assert against_controls(honest, repeated[:39]).controls.p <= 0.05


def test_p_is_the_share_that_does_as_well_and_the_text_says_it(held_out):
    honest = sweep([0.7, 0.5], held_out, "reference", title="honest")
    controls = [sweep([0.1, score], held_out, seed=seed) for seed, score in enumerate([0.6, 0.7, 0.8])]
    found = against_controls(honest, controls)
    assert found.controls.scores == {"0": 0.6, "1": 0.7, "2": 0.8}
    assert found.controls.p == 3 / 4  # as good is as good
    text = control_text(found)
    assert "Best success rate of 2 configurations 0.700; 3 controls" in text
    assert "0.600 to 0.800 (mean 0.700); p = 0.75 against the controls." in text
    assert "With 3 it is at least 0.25; 19 allow 0.05." in text
    enough = [sweep([0.1, 0.6], held_out, seed=seed) for seed in range(19)]
    assert control_text(against_controls(honest, enough)).endswith("p = 0.05 against the controls.")
    assert control_text(honest) == ""


def test_of_a_loss_the_lowest_is_the_best(held_out):
    losses = {"random": (0.9, 0.8), "reference": (0.2, 0.95)}
    honest, control = (
        Comparison(
            labels,
            "",
            tuple(job(str(n), {"log_loss": loss}, held_out, labels, epochs=str(n)) for n, loss in enumerate(both)),
        )
        for labels, both in reversed(losses.items())
    )
    assert against_controls(honest.ranked("log_loss"), [control]).controls.p == 1 / 2


def test_only_the_configurations_of_the_sweep_count(held_out):
    control = sweep([0.5, 0.6, 0.9], held_out)
    honest = sweep([0.8, 0.7, 0.9], held_out, "reference").where(["epochs=0,1"])
    assert against_controls(honest, [control]).controls.scores == {"0": 0.6}
    failed = replace(control, runs=(*control.runs[:2], replace(control.runs[2], state="failed")))
    with pytest.raises(InputError, match="1 of the sweep's 2 configurations are not in it"):
        against_controls(honest, [failed])


def with_settings(comparison, **changed):
    """The same runs with other settings."""
    return replace(comparison, runs=tuple(replace(run, settings=run.settings | changed) for run in comparison.runs))


def with_metrics(comparison, **changed):
    return replace(comparison, runs=tuple(replace(run, metrics=run.metrics | changed) for run in comparison.runs))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda one: with_settings(one, labels="reference"),
            "--control control: run 1 has labels=reference; a control",
        ),
        (
            lambda one: with_settings(one, model="huge"),
            "labels.seed=0: 2 of the sweep's 2 .* with model=huge instead of",
        ),
        (lambda one: with_metrics(one, n_test=3), "n_test=3 instead of 2; run the control with the settings"),
        (lambda one: with_metrics(one, success_rate=np.nan), "no run has success_rate; rank by another measure"),
        (lambda one: replace(one, runs=one.runs[:1]), "1 of the sweep's 2 configurations are not in it"),
        (lambda one: replace(one, runs=()), "--control control: no run of it has ended well"),
        (lambda one: replace(one, runs=one.runs * 2), "runs 1 and 1 have the same settings and labels.seed=0"),
    ],
)
def test_what_is_no_control_of_the_sweep_is_refused(held_out, change, said):
    honest = sweep([0.7, 0.5], held_out, "reference", title="honest")
    assert against_controls(honest, [sweep([0.4, 0.6], held_out)]).controls.p == 1 / 2
    with pytest.raises(InputError, match=said):
        against_controls(honest, [change(sweep([0.4, 0.6], held_out))])


@pytest.mark.parametrize("table", [{"id": ["a", "c"], "reference": [0, 1]}, {"id": ["a", "b"], "reference": [1, 1]}])
def test_another_sample_is_refused(held_out, tmp_path, table):
    pd.DataFrame({**table, "split": "test"}).to_csv(tmp_path / "predictions.csv", index=False)
    honest = sweep([0.7, 0.5], held_out, "reference", title="honest")
    with pytest.raises(InputError, match=r"labels.seed=0: run 0 holds out other objects than run 0 of honest"):
        against_controls(honest, [sweep([0.4, 0.6], tmp_path / "predictions.csv")])
    with pytest.raises(InputError, match=r"run 0 has lost its predictions.csv"):
        against_controls(honest, [sweep([0.4, 0.6], None)])


def test_the_same_labels_are_no_repetition(held_out):
    control = sweep([0.4, 0.6], held_out, seed=5)
    with pytest.raises(InputError, match=r"labels.seed=5: the sweep itself has the same labels"):
        against_controls(control, [control])
    honest = sweep([0.4, 0.6], held_out, "reference")
    with pytest.raises(InputError, match=r"labels.seed=5: another control has the same labels"):
        against_controls(honest, [control, control])
    twice = replace(honest, runs=(*honest.runs, *sweep([0.4, 0.6], held_out, "reference", seed=1).runs))
    with pytest.raises(InputError, match=r"its 4 runs are 2 configurations with several seeds.*seed=0"):
        against_controls(twice, [control])


@pytest.mark.slow
def test_one_command_makes_the_controls_and_one_compares_with_them(hiexp_train, tmp_path):
    words = ["dataset.n_galaxies=60", "fit=none", "feature=raw", "classifier=knn", "test_size=0.3,0.5"]
    words += ["random_state=1", "evaluation.permutations=20"]
    hiexp_train("+experiment=quick54", *words, "hydra.sweep.dir=honest")
    hiexp_train("+experiment=quick54_control", *words, "seed=1,2", "hydra.sweep.dir=drawn")

    tables = [pd.read_csv(file) for file in tmp_path.glob("drawn/?/predictions.csv")]
    for n_test in (18, 30):  # other labels on the same split
        one, other = (table for table in tables if (table["split"] == "test").sum() == n_test)
        assert one["split"].equals(other["split"])
        train = one["split"] == "train"
        assert not one["label"][train].equals(other["label"][train])

    said = []
    for control in ("drawn", "quick54_control"):  # the folder, and the experiment in the store
        words = ["--sweep", "honest", "--control", control, "--html", "page.html"]
        result = command("hiexp.compare", *words, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        text = " ".join(result.stdout.split())
        said += re.findall(
            r"Best success rate of 2 configurations 0\.\d+; 2 controls .* against the controls\.", text
        )
        assert said[-1] in (tmp_path / "page.html").read_text()
    assert said[0] == said[1]
    assert re.search(r"p = (0\.333|0\.667|1) against", said[0])

    result = command("hiexp.compare", "success_rate>0.1", "--control", "drawn", "--sweep", "honest", cwd=tmp_path)
    assert result.returncode == 1
    assert re.search(r"^hiexp.compare: success_rate>0\.1: .* filter by settings", result.stderr)
    assert result.stderr.count("\n") == 1
