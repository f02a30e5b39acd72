"""The verdict on a sweep: its invariances, its p-values under the null, its power, and a plain implementation."""

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neighbors import KNeighborsClassifier

from hiexp.errors import InputError
from hiexp.evaluation.confusion import best_relabeling
from hiexp.evaluation.selection import SweepVerdict, judge_sweep
from hiexp.labels import RandomLabels

CLASSES = np.repeat([0, 1, 2], [40, 25, 15])


def table(reference, predicted, test=None, **columns):
    """A job's predictions, every object held out unless `test` says which."""
    split = "test" if test is None else np.where(test, "test", "train")
    ids = [f"A{number:03d}" for number in range(len(reference))]
    return pd.DataFrame({"id": ids, "split": split, "reference": reference, "predicted": predicted} | columns)


def stratified(rng, truth, share):
    """A test set with the same share of each class."""
    test = np.zeros(truth.size, dtype=bool)
    for name in np.unique(truth):
        members = rng.permutation(np.flatnonzero(truth == name))
        test[members[: round(share * members.size)]] = True
    return test


def guesses(rng, truth, n_jobs=9, skill=0.0):
    """A sweep of classifiers that know the truth of some objects, in test sets of three sizes, alike among them."""
    sweep, common = {}, rng.choice(3, truth.size, p=[0.6, 0.3, 0.1])
    for job in range(n_jobs):
        own = rng.choice(3, truth.size)
        predicted = np.where(rng.random(truth.size) < 0.5, common, own)
        predicted = np.where(rng.random(truth.size) < skill, truth, predicted)
        sweep[str(job)] = table(truth, predicted, stratified(rng, truth, (0.3, 0.5, 0.7)[job % 3]))
    return sweep


def plain_success(truth, predicted, names=(0, 1, 2)):
    return max(np.mean(np.array(order)[predicted] == truth) for order in permutations(names))


def test_scores_and_order_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    sweep = guesses(rng, CLASSES)
    sweep["constant"] = table(CLASSES, np.zeros(80, int))
    rows = judge_sweep(sweep, n_draws=50).configurations
    tests = {job: rows[rows["split"] == "test"] for job, rows in sweep.items()}
    expected = {job: plain_success(rows["reference"], rows["predicted"].to_numpy()) for job, rows in tests.items()}
    assert rows.set_index("job")["score"].to_dict() == pytest.approx(expected)
    assert rows["score"][:-1].is_monotonic_decreasing
    assert rows["job"].iloc[-1] == "constant"
    assert rows.set_index("job")["n_test"].to_dict() == {job: len(rows) for job, rows in tests.items()}


def test_the_maximum_under_permuted_classes_is_that_of_a_plain_loop():
    rng = np.random.default_rng(1)
    sweep = {str(job): table(CLASSES, rng.choice(3, 80, p=[0.5, 0.3, 0.2])) for job in range(4)}
    verdict = judge_sweep(sweep, n_draws=3000)
    drawn = []
    for _ in range(800):
        shuffled = rng.permutation(CLASSES)
        drawn.append([plain_success(shuffled, rows["predicted"].to_numpy()) for rows in sweep.values()])
    drawn = np.array(drawn)
    assert verdict.maximum["mean"] == pytest.approx(drawn.max(axis=1).mean(), abs=0.004)
    assert verdict.maximum["p95"] == pytest.approx(np.percentile(drawn.max(axis=1), 95), abs=0.016)
    rows = verdict.configurations.set_index("job").loc[list(sweep)]
    np.testing.assert_allclose(rows["chance_mean"], drawn.mean(axis=0), atol=0.005)


def test_the_correction_is_that_of_a_plain_loop():
    rng = np.random.default_rng(2)
    sweep = {str(job): table(CLASSES, rng.choice(3, 80)) for job in range(5)}
    predicted = np.array([rows["predicted"] for rows in sweep.values()])
    unseen = []
    for _ in range(600):
        drawn = rng.integers(80, size=80)
        left = np.setdiff1d(np.arange(80), drawn)
        options = [
            (np.mean(np.array(names)[row[drawn]] == CLASSES[drawn]), names, row)
            for row in predicted
            for names in permutations(range(3))
        ]
        _, names, row = max(options, key=lambda option: option[0])
        unseen.append(np.mean(np.array(names)[row[left]] == CLASSES[left]))
    best = judge_sweep(sweep, n_draws=2000).best
    assert best["corrected"] == pytest.approx(np.mean(unseen), abs=0.015)
    assert best["corrected"] < best["score"]


def test_likeness_is_the_exact_test_of_mcnemar():
    rng = np.random.default_rng(3)
    right = np.where(rng.random(80) < 0.8, CLASSES, (CLASSES + 1) % 3)
    worse = np.where(rng.random(80) < 0.25, (CLASSES + 1) % 3, right)
    rows = judge_sweep({"best": table(CLASSES, right), "worse": table(CLASSES, worse)}, "accuracy")
    b, c = np.sum((right == CLASSES) & (worse != CLASSES)), np.sum((right != CLASSES) & (worse == CLASSES))
    found = rows.configurations.set_index("job").loc["worse", "p_like_best"]
    assert found == pytest.approx(binomtest(int(b), int(b + c)).pvalue)


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(0, 10_000), st.permutations(range(3)), st.sampled_from(["success_rate", "macro_f1"]))
def test_what_must_not_matter(seed, names, measure):
    rng = np.random.default_rng(seed)
    sweep = guesses(rng, CLASSES, n_jobs=4, skill=0.2)
    plain = judge_sweep(sweep, measure, n_draws=40).configurations.set_index("job")
    shuffled = {job: sweep[job].sample(frac=1, random_state=seed) for job in reversed(sweep)}
    again = judge_sweep(shuffled, measure, n_draws=40).configurations.set_index("job").loc[plain.index]
    columns = ["score", "low", "high", "chance_mean", "chance95", "p", "p_family", "n_test"]
    pd.testing.assert_frame_equal(plain[columns], again[columns], check_exact=False)
    assert ((plain["p_family"] >= plain["p"]) & (plain["p_like_best_holm"] >= plain["p_like_best"])).all()
    assert plain["score"].between(plain["low"] - 1e-9, plain["high"] + 1e-9).all() or measure == "macro_f1"
    if measure == "success_rate":  # the names of predicted classes have no meaning
        renamed = {job: rows.assign(predicted=np.array(names)[rows["predicted"]]) for job, rows in sweep.items()}
        other = judge_sweep(renamed, measure, n_draws=40).configurations.set_index("job").loc[plain.index]
        np.testing.assert_allclose(other[["score", "chance_mean", "p"]], plain[["score", "chance_mean", "p"]])


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["success_rate", "balanced_accuracy"])
def test_p_values_of_the_best_are_uniform_where_nothing_is_known(measure):
    rng = np.random.default_rng(4)
    p = [
        judge_sweep(guesses(rng, rng.permutation(CLASSES)), measure, n_draws=99, seed=draw).best["p_family"]
        for draw in range(60)
    ]
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.08)


def control(points, reference, seed):
    """The published protocol in small: labels at random, three sizes of test set, two splits, a cheap classifier."""
    sweep = {}
    for size in (0.3, 0.5, 0.7):
        for state in (42, 99):
            splitter = StratifiedShuffleSplit(1, test_size=size, random_state=state)
            train, test = next(splitter.split(points, reference))
            labels = RandomLabels(3, seed).assign(points, reference, train).classes[train]
            for neighbours in (1, 3, 7):
                classifier = KNeighborsClassifier(neighbours).fit(points[train], labels)
                held_out = np.isin(np.arange(reference.size), test)
                sweep[str(len(sweep))] = table(reference, classifier.predict(points), held_out)
    return judge_sweep(sweep, n_draws=99, seed=seed).best["p_family"]


@pytest.mark.slow
def test_p_values_of_repeated_controls():
    rng = np.random.default_rng(8)
    points = np.eye(3)[CLASSES] + rng.normal(0, 0.15, (80, 3))
    p = [control(points, rng.permutation(CLASSES), draw) for draw in range(50)]
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.1)
    # Where the points show the classes, so do predictions of labels that mean nothing: docs/control.md.
    assert np.mean([control(points, CLASSES, draw) <= 0.05 for draw in range(5)]) > 0.7


def test_skill_is_found_and_the_best_of_many_equals_is_not_taken_at_its_word():
    rng = np.random.default_rng(5)
    found = [judge_sweep(guesses(rng, CLASSES, skill=0.4), n_draws=99, seed=draw) for draw in range(20)]
    assert np.mean([verdict.best["p_family"] <= 0.05 for verdict in found]) > 0.9
    true = 0.4 + 0.6 * np.mean([0.5 * share + 0.5 / 3 for share in np.array([0.6, 0.3, 0.1])[CLASSES]])
    scores = np.mean([verdict.best["score"] for verdict in found])
    corrected = np.mean([verdict.best["corrected"] for verdict in found])
    assert scores > true + 0.03
    assert abs(corrected - true) < abs(scores - true)
    # Equals are alike, and what is much worse is not.
    assert np.mean([verdict.configurations["indistinguishable_from_best"].mean() for verdict in found]) > 0.9
    sweep = {"good": table(CLASSES, CLASSES), "bad": table(CLASSES, rng.choice(3, 80))}
    assert judge_sweep(sweep, n_draws=99).configurations["indistinguishable_from_best"].tolist() == [True, False]


def test_test_sets_that_share_nothing_cannot_be_told_apart():
    half = np.arange(80) % 2 == 0
    sweep = {
        "a": table(CLASSES, CLASSES, half),
        "b": table(CLASSES, np.random.default_rng(0).choice(3, 80), ~half),
    }
    rows = judge_sweep(sweep, n_draws=99).configurations
    assert rows["n_common"].tolist() == [40, 0]
    assert (rows["p_like_best"].tolist(), rows["indistinguishable_from_best"].tolist()) == ([1, 1], [True, True])


def test_repeats_are_averaged_and_stay_together():
    rng = np.random.default_rng(6)
    repeats = [np.where(rng.random(80) < 0.5, CLASSES, rng.choice(3, 80)) for _ in range(3)]
    folds = pd.concat([table(CLASSES, predicted, repeat=i) for i, predicted in enumerate(repeats, 1)])
    once = table(CLASSES, repeats[0])
    rows = judge_sweep({"folds": folds, "once": once}, "accuracy", n_draws=200).configurations.set_index("job")
    assert rows.loc["folds", "score"] == pytest.approx(np.mean([np.mean(p == CLASSES) for p in repeats]))
    same = pd.concat([table(CLASSES, repeats[0], repeat=i) for i in (1, 2)])
    twice = judge_sweep({"folds": same, "once": once}, n_draws=200).configurations.set_index("job")
    pd.testing.assert_series_equal(twice.loc["folds"], twice.loc["once"], check_names=False)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (table(CLASSES, CLASSES).assign(reference=np.nan), "job b has no objects held out whose reference"),
        (table((CLASSES + 1) % 3, CLASSES), "job b is of another sample"),
        (table(CLASSES, CLASSES).assign(id=range(80)), "job b is of another sample"),
        (table(CLASSES, CLASSES).query("reference != 1"), "job b has other reference classes"),
    ],
)
def test_no_verdict_without_one_truth(other, said, caplog):
    caplog.set_level("INFO")
    assert judge_sweep({"a": table(CLASSES, CLASSES), "b": other}) is None
    assert said in caplog.text


def test_no_verdict_where_no_job_tells_classes_apart(caplog):
    caplog.set_level("INFO")
    assert judge_sweep({"a": table(CLASSES, np.zeros(80, int))}) is None
    assert "one class" in caplog.text
    assert judge_sweep({}) is None


def test_an_unknown_measure_is_an_error():
    with pytest.raises(InputError, match=r"measure=skill: choose one of balanced_accuracy, accuracy"):
        judge_sweep({}, "skill")


def test_a_verdict_is_read_as_it_was_written(tmp_path):
    sweep = guesses(np.random.default_rng(7), CLASSES, n_jobs=3)
    verdict = judge_sweep(sweep, n_draws=50, seed=1)
    verdict.write(tmp_path / "sweep.json")
    read = SweepVerdict.read(tmp_path / "sweep.json")
    pd.testing.assert_frame_equal(read.configurations, verdict.configurations)
    assert (read.measure, read.n_draws, read.best, read.maximum) == (
        *("success_rate", 50),
        *(verdict.best, verdict.maximum),
    )
    assert judge_sweep(sweep, n_draws=50, seed=1).best == verdict.best


def swapped_every_way(score, own, rival):
    """The p-value of two lists of predictions (a row a repeat) being as good: all swaps of objects, one by one."""
    observed = abs(score(rival) - score(own))
    as_far = []
    for swap in product([False, True], repeat=own.shape[1]):
        first, second = np.where(swap, rival, own), np.where(swap, own, rival)
        as_far.append(abs(score(second) - score(first)) >= observed - 1e-9)
    return np.mean(as_far)


def holm(p):
    order = np.argsort(p)
    adjusted, highest = np.ones(len(p)), 0.0
    for place, at in enumerate(order):
        highest = max(highest, (len(p) - place) * p[at])
        adjusted[at] = min(highest, 1)
    return adjusted


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["accuracy", "balanced_accuracy", "success_rate"]),
    st.lists(st.integers(0, 2), min_size=4, max_size=9),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(0, 10_000),
)
def test_likeness_is_that_of_all_swaps(measure, truth, n_repeats, n_jobs, seed):
    rng, truth = np.random.default_rng(seed), np.array(truth)
    skill = rng.random(n_jobs + 1)
    jobs = {
        str(job): np.where(
            rng.random((n_repeats, truth.size)) < skill[job], truth, rng.integers(3, size=(n_repeats, 1))
        )
        for job in range(n_jobs + 1)
    }
    jobs["0"][:, 0] = (jobs["0"][:, 0] + np.arange(1, n_repeats + 1)) % 3  # somebody tells classes apart
    jobs["0"][:, 1] = (jobs["0"][:, 0] + 1) % 3
    sweep = {
        job: pd.concat([table(truth, row, repeat=place) for place, row in enumerate(rows)])
        for job, rows in jobs.items()
    }
    rows = judge_sweep(sweep, measure, n_draws=9).configurations.set_index("job")
    if measure == "success_rate":  # with the names that are best for each
        for job, predicted in jobs.items():
            counts = np.zeros((n_repeats, 3, 3))
            for place, row in enumerate(predicted):
                np.add.at(counts[place], (truth, row), 1)
            jobs[job] = np.argsort(best_relabeling(counts), axis=1)[np.arange(n_repeats)[:, None], predicted]

    def score(predicted):
        right = predicted == truth
        shares = [right[:, truth == name].mean() for name in np.unique(truth)]
        return np.mean(shares) if measure == "balanced_accuracy" else right.mean()

    best, *others = rows.index
    expected = np.array([swapped_every_way(score, jobs[job], jobs[best]) for job in others])
    np.testing.assert_allclose(rows.loc[others, "p_like_best"], expected, rtol=1e-9)
    assert (rows.loc[others, "indistinguishable_from_best"] == (holm(expected) > 0.05)).all()


def test_likeness_by_a_score_without_a_formula_is_found_in_a_large_sweep():
    rng = np.random.default_rng(9)
    good = np.where(rng.random(80) < 0.9, CLASSES, (CLASSES + 1) % 3)
    sweep = {f"good {job}": table(CLASSES, np.where(rng.random(80) < 0.03, 0, good)) for job in range(75)}
    sweep |= {f"bad {job}": table(CLASSES, rng.choice(3, 80)) for job in range(75)}
    rows = judge_sweep(sweep, "macro_f1", n_draws=50).configurations
    alike = rows["indistinguishable_from_best"]
    assert alike[rows["job"].str.startswith("good")].all()
    assert not alike[rows["job"].str.startswith("bad")].any()
    assert rows["p_like_best"].between(0, 1).all()
