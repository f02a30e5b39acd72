"""What is said of the best of a search is true: of whole searches over data whose truth is known."""

import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from hiexp.evaluation.selection import best_so_far_by_chance, judge_sweep

pytest.importorskip("optuna")

REPETITIONS = 200
MANY = 4  # standard errors


@cache
def worths(signal):
    """Return what 200 small searches say of the one that each has chosen, and what is true."""
    benchmark = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "search.py"))
    return pd.DataFrame([benchmark["searched"](seed, 15, 150, signal) for seed in range(REPETITIONS)])


@pytest.mark.slow
def test_p_of_the_chosen_is_uniform_where_there_is_nothing_to_find():
    p = worths(0.0)["p"]
    assert kstest(p, "uniform").pvalue > 1e-3
    for level in (0.05, 0.1, 0.25, 0.5):
        assert np.mean(p <= level) < level + MANY * np.sqrt(level * (1 - level) / REPETITIONS)


@pytest.mark.slow
@pytest.mark.parametrize("signal", [0.0, 0.7])
def test_the_score_held_out_is_unbiased_and_the_one_that_steered_is_not(signal):
    found = worths(signal)
    held_out, inner = found["outer"] - found["true"], found["inner"] - found["true_inner"]
    standard_error = held_out.std() / np.sqrt(REPETITIONS)
    assert abs(held_out.mean()) < MANY * standard_error
    assert inner.mean() > 2 * MANY * standard_error
    assert np.mean((found["low"] <= found["true"]) & (found["true"] <= found["high"])) > 0.85


def guesses(n_configurations, n_objects=60):
    rng = np.random.default_rng(4)
    ids, reference = np.arange(n_objects).astype(str), np.arange(n_objects) % 3
    return {
        str(job): pd.DataFrame(
            {"id": ids, "split": "test", "reference": reference, "predicted": rng.integers(3, size=n_objects)}
        )
        for job in range(n_configurations)
    }


def test_the_best_so_far_by_chance_grows_to_what_the_best_of_all_is_by_chance():
    predictions = guesses(12)
    best = best_so_far_by_chance(predictions, "balanced_accuracy", 400, seed=1)
    assert best.shape == (400, 12)
    assert (np.diff(best, axis=1) >= 0).all()
    every = judge_sweep(predictions, "balanced_accuracy", 400, seed=2).maximum
    assert best[:, -1].mean() == pytest.approx(every["mean"], abs=0.01)
    assert best[:, 0].mean() == pytest.approx(1 / 3, abs=0.02)


def test_there_is_no_chance_of_trials_without_a_truth_in_common():
    predictions = guesses(2)
    predictions["1"]["id"] = "other " + predictions["1"]["id"]
    assert best_so_far_by_chance(predictions, "accuracy", 10, seed=0) is None
