from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hiexp.datasets import mock_cig, read_alfalfa
from hiexp.fitting import fit_gaussian, fit_none
from hiexp.fitting.gaussian import gaussian
from hiexp.fitting.line import find_lines
from hiexp.fitting.widths import edges, flux_asymmetry, flux_between
from hiexp.spectra import Spectra

AXIS = np.linspace(-600, 600, 481)


def make_spectra(flux, rms=1.0, velocity=AXIS, valid=None, systemic=np.nan):
    flux = np.atleast_2d(flux)
    n = len(flux)
    return Spectra(
        ids=np.array([str(i) for i in range(n)]),
        velocity=np.tile(velocity, (n, 1)),
        flux=flux,
        rms=np.full(n, rms),
        valid=np.ones(flux.shape, bool) if valid is None else np.atleast_2d(valid),
        catalogue=pd.DataFrame(index=range(n)),
        systemic=np.full(n, systemic),
    )


def noise(seed=0, rms=1.0):
    return np.random.default_rng(seed).normal(0, rms, AXIS.size)


profile_parameters = st.tuples(st.floats(-200, 200), st.floats(20, 90), st.floats(0.2, 20), st.floats(-0.6, 0.6))


def lopsided(centre, sigma, peak, slope):
    return gaussian(AXIS, peak, centre, sigma) * (1 + slope * np.tanh((AXIS - centre) / sigma))


@given(profile_parameters, st.floats(-100, 100), st.floats(0.1, 50))
def test_widths_and_asymmetry_follow_shift_scale_and_reversal(parameters, shift, scale):
    profile = lopsided(*parameters)[None]
    velocity = AXIS[None]
    low, high = edges(velocity, profile, 0.5)
    a_flux = flux_asymmetry(velocity, profile)

    shifted_low, shifted_high = edges(velocity + shift, scale * profile, 0.5)
    np.testing.assert_allclose([shifted_low, shifted_high], [low + shift, high + shift], atol=1e-6)
    np.testing.assert_allclose(flux_asymmetry(velocity + shift, scale * profile), a_flux, rtol=1e-6)

    reversed_low, reversed_high = edges(-velocity[:, ::-1], profile[:, ::-1], 0.5)
    np.testing.assert_allclose([reversed_low, reversed_high], [-high, -low], atol=1e-6)
    np.testing.assert_allclose(flux_asymmetry(-velocity[:, ::-1], profile[:, ::-1]), a_flux, rtol=1e-6)
    assert a_flux >= 1


def test_a_gaussian_has_its_known_widths():
    profile = gaussian(AXIS, 5, 30, 50)[None]
    for level, width in ((0.5, 2 * np.sqrt(2 * np.log(2)) * 50), (0.2, 2 * np.sqrt(2 * np.log(5)) * 50)):
        low, high = edges(AXIS[None], profile, level)
        assert high - low == pytest.approx(width, rel=1e-3)
        assert (low + high) / 2 == pytest.approx(30, abs=0.01)


def test_flux_between_counts_channels_in_part():
    flat = np.full((1, AXIS.size), 2.0)
    assert flux_between(AXIS[None], flat, np.array([-10.3]), np.array([7.1])) == pytest.approx(2 * 17.4)


def test_asymmetry_of_two_unlike_halves_is_their_ratio():
    step = np.where(np.abs(AXIS) < 100, np.where(AXIS < 0, 3.0, 2.0), 0.0)[None]
    assert flux_asymmetry(AXIS[None], step) == pytest.approx(1.5, rel=0.02)


def test_edges_without_a_positive_peak_are_nan():
    assert np.isnan(edges(AXIS[None], np.zeros((1, AXIS.size)), 0.5)).all()


@given(st.floats(-300, 300), st.floats(30, 100), st.integers(0, 1000))
def test_lines_are_found_blind(centre, sigma, seed):
    lines = find_lines(make_spectra(gaussian(AXIS, 8, centre, sigma) + noise(seed)))
    assert lines.centre[0] == pytest.approx(centre, abs=0.6 * sigma)
    assert lines.snr[0] > 10


def test_channels_of_unlike_width_share_a_batch():
    """Two telescopes: the same line in channels of 2.5 and of 10 km/s."""
    fine = gaussian(AXIS, 8, 40, 50) + noise(1)
    coarse_axis = AXIS[0] + 10.0 * np.arange(AXIS.size)
    coarse = gaussian(coarse_axis, 8, 40, 50) + noise(2)
    both = make_spectra(np.array([fine, coarse]))
    both.velocity[1] = coarse_axis
    together = find_lines(both)
    np.testing.assert_allclose(together.centre, [40, 40], atol=15)
    np.testing.assert_allclose(together.width, [140, 140], rtol=0.25)


def test_a_known_velocity_keeps_to_its_galaxy():
    two = gaussian(AXIS, 5, -300, 30) + gaussian(AXIS, 12, 250, 40) + noise()
    assert find_lines(make_spectra(two)).centre[0] == pytest.approx(250, abs=20)
    assert find_lines(make_spectra(two, systemic=-290.0)).centre[0] == pytest.approx(-300, abs=20)


def test_the_real_lines_are_found_blind_within_50_km_s(appss):
    spectra = read_alfalfa(str(appss))
    blind = replace(spectra, systemic=np.full(len(spectra), np.nan))
    assert len(spectra) == 13
    assert np.abs(find_lines(blind).centre - spectra.systemic).max() < 50


def test_direct_measurements_agree_with_the_reference_on_real_spectra(appss):
    reference = pd.read_csv(appss.parent / "busyfit_reference" / "appss.csv", dtype={"id": str}).set_index("id")
    spectra = read_alfalfa(str(appss))
    table = fit_none(spectra).table
    channel = np.abs(np.diff(spectra.velocity, axis=1)).mean(axis=1)
    order = [f"A{name}" for name in table.index]
    w50 = reference.loc[order, "w50"].to_numpy() * channel
    flux = reference.loc[order, "flux_int"].to_numpy() * channel / 1000
    assert np.median(np.abs(table["w50"] / w50 - 1)) < 0.05
    assert np.median(np.abs(table["flux_int"] / flux - 1)) < 0.05


def test_the_profile_is_the_data_over_the_line():
    flux = gaussian(AXIS, 10, 0, 40)
    result = fit_none(make_spectra(flux, rms=0.01), n_samples=101)
    assert result.profiles.shape == (1, 101)
    assert result.profiles[0, 50] == pytest.approx(10, rel=0.02)
    assert result.profiles[0, [0, -1]] == pytest.approx([0, 0], abs=2.5)
    assert result.good.all()


def test_masked_channels_are_bridged_not_smeared():
    flux = gaussian(AXIS, 10, 0, 40)
    spoiled, valid = flux.copy(), np.ones(AXIS.size, bool)
    valid[240:243] = False
    spoiled[240:243] = 0
    clean = fit_none(make_spectra(flux, rms=0.1)).profiles
    bridged = fit_none(make_spectra(spoiled, rms=0.1, valid=valid)).profiles
    np.testing.assert_allclose(bridged, clean, atol=0.3)


@given(st.floats(-300, 300), st.floats(15, 80), st.floats(3, 100))
def test_a_noise_free_gaussian_is_recovered(centre, sigma, peak):
    table = fit_gaussian(make_spectra(gaussian(AXIS, peak, centre, sigma), rms=0.01)).table
    assume(table["status"].iloc[0] == "ok")
    row = table.iloc[0]
    assert [row["peak"], row["centre"], row["sigma"]] == pytest.approx([peak, centre, sigma], rel=1e-4, abs=1e-3)
    assert row["flux_int"] == pytest.approx(peak * sigma * np.sqrt(2 * np.pi) / 1000, rel=1e-3)
    assert row["r2"] == pytest.approx(1)


def test_gaussian_errors_are_the_scatter():
    rng = np.random.default_rng(1)
    flux = gaussian(AXIS, 10, 20, 40) + rng.normal(0, 1, (300, AXIS.size))
    table = fit_gaussian(make_spectra(flux)).table
    for name, truth in (("peak", 10), ("centre", 20), ("sigma", 40)):
        pull = (table[name] - truth) / table[f"{name}_err"]
        assert 0.85 < pull.std() < 1.15
    assert table["chi2_dof"].mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("fit", [fit_none, fit_gaussian])
def test_a_spectrum_without_a_line_says_so_and_spares_the_others(fit):
    absorption = -gaussian(AXIS, 50, 0, 200) - 1
    blank = np.zeros(AXIS.size)
    good = gaussian(AXIS, 10, 0, 40) + noise()
    valid = np.ones((4, AXIS.size), bool)
    valid[3] = False
    result = fit(make_spectra(np.array([absorption, good, blank, good]), valid=valid))
    assert result.good.tolist() == [False, True, False, False]
    assert np.isfinite(result.profiles[1]).all()
    assert result.failures()["name"].tolist() == ["0", "2", "3"]
    assert result.failures()["reason"].str.len().min() > 5


def test_mock_widths_are_measured_without_bias():
    sample = mock_cig(n_galaxies=150, seed=5)
    table = fit_none(sample).table
    assert np.median(table["w50"] / sample.catalogue["W50"]) == pytest.approx(1, abs=0.05)
    assert np.median(table["flux_int"] / sample.catalogue["HIflux"]) == pytest.approx(1, abs=0.05)
