"""Lines to learn from: the same by the same seed, of any asymmetry in any width, and of every measure."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from hiexp.fitting import fit_none
from hiexp.fitting.measurements import MEASUREMENTS
from hiexp.posterior import LINE_INPUTS
from hiexp.posterior.density import _independent
from hiexp.posterior.measures import MEASURES
from hiexp.posterior.sky import WIDTHS, simulate, within_simulated


@pytest.fixture(scope="module")
def simulated():
    return simulate(fit_none, "A_flux", 800, 0)


def test_the_seed_says_what_is_drawn(simulated):
    for one, other in zip(simulated, simulate(fit_none, "A_flux", 800, 0), strict=True):
        np.testing.assert_array_equal(one, other)
    inputs, truth, width = simulate(fit_none, "A_flux", 800, 1)
    assert inputs.shape == (len(truth), len(LINE_INPUTS))
    assert len(truth) == len(width)
    assert not np.isin(truth, simulated[1]).any()


def test_what_is_drawn_is_finite_and_in_the_range_that_is_said_to_be_simulated(simulated):
    inputs, truth, width = simulated
    assert len(truth) > 700
    assert np.isfinite(inputs).all()
    assert (truth >= 1).all()
    assert (width > WIDTHS[0] / 1.5).all()
    assert (width < WIDTHS[1] * 1.5).all()


def test_asymmetry_has_little_to_do_with_width(simulated):
    """By choice among the lines that are drawn, and what is left by the weights that lines count with."""
    _, truth, width = simulated
    counted = _independent(truth, width)
    assert (counted > 0).all()
    weighted = np.random.default_rng(0).choice(len(truth), 20_000, p=counted / counted.sum())
    assert abs(spearmanr(truth, width).statistic) < 0.3
    assert abs(spearmanr(truth[weighted], width[weighted]).statistic) < 0.1


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_can_be_simulated(measure):
    _, truth, _ = simulate(fit_none, measure, 200, 0)
    assert (truth >= MEASURES[measure].least).all()
    scaled = MEASURES[measure].scale(truth)
    assert (scaled >= 0).all()
    assert np.ptp(scaled) > 0.05


def test_a_measure_is_that_of_the_line_without_noise():
    """Of bright lines it is what is measured; faint ones are farther from it."""
    inputs, truth, _ = simulate(fit_none, "A_flux", 800, 0)
    excess = inputs[:, LINE_INPUTS.index("A_flux")] - np.log(truth)
    bright = inputs[:, LINE_INPUTS.index("log_snr")] > np.log(60)
    assert abs(np.median(excess[bright])) < 0.03
    assert np.median(np.abs(excess[~bright])) > 2 * np.median(np.abs(excess[bright]))


def test_measurements_that_are_lines_of_no_simulation_are_told_apart():
    table = pd.DataFrame(dict.fromkeys(MEASUREMENTS, np.nan), index=range(6)).assign(
        w50=[100, 1, 5000, 100, np.nan, 100], channel_width=[5, 5, 5, 500, 5, 5], snr=[20, 20, 20, 20, 20, 1e4]
    )
    assert within_simulated(table).tolist() == [True, False, False, False, False, False]
