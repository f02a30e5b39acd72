import numpy as np
import pytest
from scipy.stats import median_abs_deviation

from hiexp.datasets import mock_cig
from hiexp.datasets.mock import CLASS_LIMITS, MASS_PER_FLUX
from hiexp.fitting.widths import flux_asymmetry


@pytest.fixture(scope="module")
def sample():
    return mock_cig()


def test_the_default_sample(sample):
    assert len(sample) == 318
    assert np.bincount(sample.reference).min() > 30
    assert np.all(np.diff(sample.velocity, axis=1) > 0)
    assert np.isfinite(sample.flux).all()


def test_same_seed_same_sky():
    one, two, other = mock_cig(20), mock_cig(20), mock_cig(20, seed=2)
    np.testing.assert_array_equal(one.flux, two.flux)
    assert not np.array_equal(one.flux, other.flux)


def test_classes_follow_the_truth(sample):
    a_flux = sample.catalogue["A_flux"].to_numpy()
    assert a_flux.min() >= 1
    np.testing.assert_array_equal(sample.reference, (a_flux > CLASS_LIMITS[0]) + 1 * (a_flux > CLASS_LIMITS[1]))


def test_flux_and_mass_agree(sample):
    catalogue = sample.catalogue
    mass = np.log10(MASS_PER_FLUX * catalogue["Dist"] ** 2 * catalogue["HIflux"])
    np.testing.assert_allclose(mass, catalogue["logMHI"], atol=1e-9)


def test_spectra_hold_the_flux_of_their_catalogue():
    quiet = mock_cig(60, rms=0.001)
    flux = (quiet.flux * 5.3).sum(axis=1) / 1000
    np.testing.assert_allclose(flux, quiet.catalogue["HIflux"], rtol=0.02)
    assert flux_asymmetry(quiet.velocity, quiet.flux) == pytest.approx(quiet.catalogue["A_flux"], rel=0.03)


def test_lines_are_as_wide_as_their_discs_turn(sample):
    catalogue = sample.catalogue
    turning = 2 * catalogue["Vmax"] * np.sin(np.radians(catalogue["inclination"]))
    assert np.all(catalogue["W50"] < 1.3 * turning + 60)
    assert np.corrcoef(catalogue["W50"], turning)[0, 1] > 0.85
    assert np.all(catalogue["W20"] >= catalogue["W50"])


def test_noise_is_what_it_says_and_hanning_smoothed(sample):
    off = np.abs(sample.velocity - sample.systemic[:, None]) > 600
    assert median_abs_deviation(sample.flux[off], scale="normal") == pytest.approx(2.0, rel=0.02)
    pair = off[:, 1:] & off[:, :-1]
    correlation = np.mean((sample.flux[:, 1:] * sample.flux[:, :-1])[pair]) / 2.0**2
    assert correlation == pytest.approx(2 / 3, abs=0.02)


def test_the_faintest_is_detected(sample):
    assert sample.catalogue["SNR"].min() > 8
