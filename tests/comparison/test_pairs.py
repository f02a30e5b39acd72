import itertools

import numpy as np
import pandas as pd
import pytest
from helpers.sweeps import write_sweep
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hiexp.comparison.pairs import paired_scores, with_pairs
from hiexp.comparison.runs import read_sweep
from hiexp.comparison.text import pairs_text
from hiexp.evaluation.metrics import shown_in
from hiexp.evaluation.pairs import paired_difference

scores = st.lists(st.floats(0, 1), min_size=3, max_size=12)


@given(scores, st.integers(0, 100))
def test_samples_of_their_own_are_compared_by_the_t_test(first, seed):
    second = np.random.default_rng(seed).normal(first, 0.1)
    found = paired_difference(first, second)
    known = stats.ttest_rel(second, first)
    interval = known.confidence_interval(0.95)
    assert (found.p, found.low, found.high) == pytest.approx((known.pvalue, interval.low, interval.high), abs=1e-9)
    assert found.low <= found.mean <= found.high


def test_splits_of_one_sample_are_known_to_overlap():
    """Nadeau & Bengio's promise: on random splits of one sample, a null difference is seldom found significant."""
    rng = np.random.default_rng(0)
    naive, corrected = 0, 0
    for _ in range(300):
        quality = rng.normal(size=100)  # of two methods on each object, their difference: none on the average
        pairs = np.array([quality[rng.permutation(100)[:30]].mean() for _ in range(10)])
        naive += paired_difference(np.zeros(10), pairs).p < 0.05
        corrected += paired_difference(np.zeros(10), pairs, test_share=0.3).p < 0.05
    assert naive > 60  # of 300, where 15 are promised
    assert corrected < 30


def test_equal_scores_do_not_differ():
    found = paired_difference([0.5, 0.7, 0.6], [0.5, 0.7, 0.6], 0.3)
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)
    with pytest.raises(ValueError, match="two pairs"):
        paired_difference([0.5], [0.6])


def test_pairs_of_a_sweep_are_found(tmp_path, caplog):
    grid = {"feature": ["image2d", "raw"], "seed": [0, 1, 10]}
    numbers = {}
    for job, (value, seed) in enumerate(itertools.product(*grid.values())):
        score = 0.5 + 0.01 * seed + (0.2 if value == "raw" else 0) + 0.001 * job
        numbers[job] = dict.fromkeys(shown_in("pairs"), score) | {"n_train": 70, "n_test": 30}
    folder = write_sweep(tmp_path, grid, numbers)
    (folder / "5" / "metrics.json").unlink()  # raw with seed 10: its partner is left out
    comparison = read_sweep(folder).ranked()
    found = paired_scores(comparison, "feature")
    assert found.index.tolist() == ["seed=0", "seed=1"]
    assert found["accuracy"].columns.tolist() == ["image2d", "raw"]  # the sweep's order, not the ranking's
    assert found["accuracy", "raw"].tolist() == [numbers[3]["accuracy"], numbers[4]["accuracy"]]
    assert (found["test_share"] == 0.3).all(axis=None)
    said = pairs_text(with_pairs(comparison, "feature", folder))
    assert said[0] == "feature=raw less feature=image2d, 2 pairs on the same splits with the same seeds:"
    assert said[1].split()[:2] == ["balanced", "accuracy"]
    assert "0.506 -> 0.708   +0.203" in said[1]
    assert len(pd.read_csv(tmp_path / "pairs.csv", header=[0, 1], index_col=0)) == 2
    assert read_sweep(folder).pairs[0]["mean"] == pytest.approx(0.203)
    assert with_pairs(comparison, "model", folder) is comparison
    assert "No differences by model" in caplog.text


@pytest.mark.slow
def test_1d_against_2d_is_a_command(hiexp_train, tmp_path):
    words = [
        "+experiment=cnn_1d_vs_2d",
        "dataset.n_galaxies=60",
        "epochs=1",
        "random_state=42",
        "fit=none",
        "model.filters=[4,8]",
    ]
    screen = hiexp_train(*words, "tracking=none", "hydra/launcher=basic")
    assert "feature=raw_64 less feature=image2d, 2 pairs" in screen.stdout
    (page,) = tmp_path.glob("runs/*/*_sweep/sweep.html")
    assert "feature=raw_64 less feature=image2d" in page.read_text()
    assert len(list(tmp_path.glob("cache/training-*"))) == 4
    assert len(list(page.parent.glob("*/plots/saliency.png"))) == 4
