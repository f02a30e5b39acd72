"""How a sample is divided, in folds and in groups."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.commands import only_run
from helpers.lines import AXIS, make_spectra
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from hiexp import load_run
from hiexp.errors import InputError
from hiexp.evaluation.split import RepeatedFolds, split, validation_divisions


def sample(reference, **catalogue):
    spectra = make_spectra(np.ones((len(reference), AXIS.size)), rms=0.1)
    table = pd.DataFrame(catalogue, index=pd.Index(spectra.ids, name="id"))
    return replace(spectra, reference=np.asarray(reference), catalogue=table)


@settings(max_examples=20)
@given(st.integers(2, 5), st.integers(1, 3), st.integers(0, 1000))
def test_every_repeat_holds_every_object_out_once(n_folds, n_repeats, seed):
    reference = np.repeat([0, 1], [20, 10])
    divisions = split(sample(reference), "random", RepeatedFolds(n_folds, n_repeats, seed))
    assert [(part.repeat, part.fold) for part in divisions] == [
        (repeat, fold) for repeat in range(1, n_repeats + 1) for fold in range(1, n_folds + 1)
    ]
    for repeat in range(1, n_repeats + 1):
        held_out = np.concatenate([part.test for part in divisions if part.repeat == repeat])
        assert np.sort(held_out).tolist() == list(range(30))
    for part in divisions:
        assert np.intersect1d(part.train, part.test).size == 0
        assert part.train.size + part.test.size == 30
        assert abs(np.sum(reference[part.test] == 1) - 10 / n_folds) < 1  # stratified
    if n_repeats > 1:
        assert any(
            a.test.tolist() != b.test.tolist()
            for a, b in zip(divisions[:n_folds], divisions[n_folds : 2 * n_folds], strict=True)
        )


def test_groups_are_not_divided_and_objects_without_one_stand_alone():
    reference = np.tile([0, 1, 1], 10)
    night = np.repeat(np.arange(10.0), 3)
    night[:6] = np.nan
    for part in split(sample(reference, night=night), "random", RepeatedFolds(3, 2, 0), "night"):
        assert np.intersect1d(night[part.train], night[part.test][~np.isnan(night[part.test])]).size == 0
    parts = split(sample(reference, night=night), "random", RepeatedFolds(6, 1, 0), "night")
    assert len({part.fold for part in parts for row in part.test if np.isnan(night[row])}) > 1


@pytest.mark.parametrize("how", ["random", "given"])
def test_a_split_that_knows_no_groups_does_not_divide_them(how):
    spectra = replace(
        sample(np.tile([0, 1], 10), night=np.repeat(np.arange(4), 5), object=np.arange(20)),
        held_out=np.arange(20) % 3 == 0,
    )
    halves = StratifiedShuffleSplit(1, test_size=0.5, random_state=0)
    with pytest.raises(InputError, match=r"evaluation\.groups=night: this split has objects of one value on both"):
        split(spectra, how, halves, "night")
    assert len(split(spectra, how, halves, "object")) == 1


@pytest.mark.parametrize(
    ("splitter", "groups", "said"),
    [
        (RepeatedFolds(3, 1, 0), "field", "evaluation.groups=field: the catalogue has night; choose"),
        (RepeatedFolds(25, 1, 0), None, r"cannot divide 30 objects \(20 of class 0, 10 of class 1\)"),
        (StratifiedShuffleSplit(3, test_size=0.3), None, "holds some objects out .* times and others"),
        (
            RepeatedFolds(3, 1, 0),
            "night",
            "greater than the number of groups: 1. Change test_size or evaluation.folds",
        ),
    ],
)
def test_divisions_that_cannot_be(splitter, groups, said):
    spectra = sample(np.repeat([0, 1], [20, 10]), night=np.ones(30))
    with pytest.raises(InputError, match=said):
        split(spectra, "random", splitter, groups)


@pytest.mark.slow
def test_the_command_with_folds(hiexp_train, tmp_path):
    words = ["dataset.n_galaxies=60", "fit=none", "feature=asymmetry", "classifier=knn", "tracking=none"]
    screen = hiexp_train(*words, "evaluation=kfold", "evaluation.folds=3", "evaluation.repeats=2")
    run = only_run(tmp_path)
    rows = pd.read_csv(run / "predictions.csv")
    assert (rows["split"] == "test").all()
    assert not rows["used_for_training"].any()
    assert rows.groupby("repeat")["id"].nunique().tolist() == [rows["id"].nunique()] * 2
    assert rows.groupby(["repeat", "id"]).size().max() == 1
    assert sorted(rows["fold"].unique()) == [1, 2, 3]
    metrics = pd.read_json(run / "metrics.json", typ="series")
    right = rows["predicted"] == rows["reference"]
    assert metrics["accuracy"] == pytest.approx(right.groupby(rows["repeat"]).mean().mean())
    assert metrics["n_test"] == rows["id"].nunique()
    assert sorted(folder.name for folder in (run / "model").glob("fold_*")) == ["fold_1", "fold_2", "fold_3"]
    assert f"{metrics['accuracy']:.3f}" in screen.stdout
    assert screen.stdout.count("objects to train on") == 1
    assert "held out in the first of 6 folds" in screen.stdout
    loaded = load_run(run)
    assert [model[-1].n_samples_fit_ for model in loaded.models] == [40, 40, 40]
    with pytest.raises(InputError, match="a model of each of 3 folds; take one of"):
        _ = loaded.model


def test_folds_need_a_reference():
    spectra = replace(sample(np.zeros(30)), reference=None)
    with pytest.raises(InputError, match="evaluation=kfold: without reference classes"):
        split(spectra, "random", RepeatedFolds(3, 1, 0))


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(0, 1000))
def test_a_validation_part_is_cut_from_the_objects_to_train_on_and_stratified(n_splits, seed):
    reference = np.repeat([0, 1], [60, 30])
    spectra = sample(reference)
    divisions = split(spectra, "random", StratifiedShuffleSplit(1, test_size=0.3, random_state=seed))
    inner = validation_divisions(
        spectra, divisions, StratifiedShuffleSplit(n_splits, test_size=1 / 3, random_state=seed)
    )
    assert len(inner) == n_splits
    for part in inner:
        assert np.sort([*part.train, *part.test]).tolist() == divisions[0].train.tolist()
        assert np.bincount(reference[part.test]).tolist() == [14, 7]


def test_a_validation_part_keeps_groups_together():
    reference, night = np.tile([0, 1], 30), np.repeat(np.arange(30.0), 2)
    spectra = sample(reference, night=night)
    divisions = split(spectra, "random", StratifiedShuffleSplit(1, test_size=0.3, random_state=0))
    with pytest.raises(InputError, match=r"evaluation\.groups=night"):
        validation_divisions(spectra, divisions, StratifiedShuffleSplit(1, test_size=0.3, random_state=0), "night")


def test_objects_held_out_in_another_fold_are_not_validated():
    spectra = sample(np.tile([0, 1], 15))
    folds = split(spectra, "random", RepeatedFolds(3, 1, 0))
    with pytest.raises(InputError, match="evaluation=holdout"):
        validation_divisions(spectra, folds, StratifiedShuffleSplit(1, test_size=0.3, random_state=0))
