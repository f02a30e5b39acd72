"""What classifiers see of data and fit, with their noise."""

import numpy as np
import pytest
from helpers.lines import AXIS, make_spectra
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hiexp.cache import NoCache
from hiexp.datasets import mock_cig
from hiexp.features import RawProfile
from hiexp.fitting import fit_none
from hiexp.posterior import LINE_INPUTS, AsymmetryPosterior, LineInputs, asymmetry_posterior, line_inputs
from hiexp.run.pipeline import learned_from, seen_by, takes_lines


@pytest.fixture(scope="module")
def sample():
    spectra = mock_cig(n_galaxies=60, seed=4)
    return spectra, fit_none(spectra)


def test_a_posterior_is_features_with_names(density, sample):
    inputs = line_inputs(*sample)
    feature = AsymmetryPosterior(density, "A_flux", [1.26, 1.39])
    values = feature.fit_transform(inputs)
    names = feature.get_feature_names_out().tolist()
    assert values.shape == (60, len(names))
    assert np.isfinite(values).all()
    columns = dict(zip(names, values.T, strict=True))
    assert (columns["log_odds_above_1.26"] >= columns["log_odds_above_1.39"]).all()
    assert (columns["scaled_quantile_0.84"] > columns["scaled_quantile_0.16"]).all()
    np.testing.assert_array_equal(columns["log_snr"], inputs[:, LINE_INPUTS.index("log_snr")])
    np.testing.assert_allclose(values[:7], feature.transform(inputs[:7]), rtol=1e-5)


def test_lopsided_lines_have_higher_odds(density):
    step = np.select([np.abs(AXIS + 51) < 50, np.abs(AXIS - 49) < 50], [60.0, 30.0], 0.0)
    level = np.where(np.abs(AXIS + 1) < 100, 45.0, 0.0)
    spectra = make_spectra(np.stack([level, step]) + np.random.default_rng(0).normal(0, 1, (2, AXIS.size)))
    feature = AsymmetryPosterior(density, "A_flux", [1.26, 1.39])
    symmetric, lopsided = feature.fit_transform(line_inputs(spectra, fit_none(spectra)))[:, 0]
    assert lopsided > symmetric + 2


def test_the_inputs_themselves_are_a_feature(sample):
    inputs = line_inputs(*sample)
    feature = LineInputs()
    np.testing.assert_array_equal(feature.fit_transform(inputs), inputs)
    assert tuple(feature.get_feature_names_out()) == LINE_INPUTS


@pytest.mark.parametrize("within", [False, True])
def test_a_feature_says_what_it_is_made_of(sample, within):
    spectra, fit = sample

    def of(feature):
        return make_pipeline(feature, StandardScaler()) if within else feature

    assert takes_lines(of(LineInputs()))
    np.testing.assert_array_equal(seen_by(of(LineInputs()), spectra, fit), line_inputs(spectra, fit))
    assert not takes_lines(of(RawProfile()))
    assert seen_by(of(RawProfile()), spectra, fit) is fit.profiles


def test_nothing_is_learned_from_the_sample(density):
    """So that a cache, and the folds of a run, share one result."""
    feature = AsymmetryPosterior(density, "A_flux", [1.26])
    assert learned_from(feature, np.arange(3), np.arange(3)) == ()


def test_the_feature_of_a_fit_is_learned_from_simulated_lines_of_that_fit(sample):
    feature = asymmetry_posterior(fit_none, NoCache(), "residual", [0.1], 500, 0)
    assert np.isfinite(feature.fit_transform(line_inputs(*sample))).all()
    assert feature.get_feature_names_out()[0] == "log_odds_above_0.1"
    assert feature.density.bounds[0] == 0
