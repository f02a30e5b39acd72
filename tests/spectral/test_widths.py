"""Edges, widths and asymmetry of profiles whose answer is known."""

import numpy as np
import pytest
from helpers.lines import AXIS, gaussian
from hypothesis import given
from hypothesis import strategies as st

from hiexp.spectral.widths import edges, flux_asymmetry, flux_between, horn_edges

profile_parameters = st.tuples(st.floats(0.2, 20), st.floats(-200, 200), st.floats(20, 90), st.floats(-0.6, 0.6))


def lopsided(peak, centre, sigma, slope):
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


def test_each_side_of_a_double_horn_is_measured_at_half_of_its_own_horn():
    left, right = gaussian(AXIS, 5, -120, 20), gaussian(AXIS, 2, 120, 20)
    half = np.sqrt(2 * np.log(2)) * 20
    low, high = horn_edges(AXIS[None], (left + right)[None])
    assert (low[0], high[0]) == pytest.approx((-120 - half, 120 + half), abs=0.1)
    # At half of the peak the lower horn is missed.
    assert edges(AXIS[None], (left + right)[None], 0.5)[1] == pytest.approx(-120 + half, abs=0.1)
    # Less than 20 % of the peak is no horn, and neither is a shoulder.
    for other in (right * 0.45, gaussian(AXIS, 3, -80, 20), np.zeros_like(right)):
        profile = (left + other)[None]
        np.testing.assert_allclose(horn_edges(AXIS[None], profile), edges(AXIS[None], profile, 0.5))


def test_a_profile_without_a_peak_has_no_edges():
    nothing = np.array([np.zeros_like(AXIS), -gaussian(AXIS, 1, 0, 50) - 1e-9])
    assert np.isnan(horn_edges(np.tile(AXIS, (2, 1)), nothing)).all()


def test_a_gaussian_has_its_known_widths():
    profile = gaussian(AXIS, 5, 30, 50)[None]
    for level, width in ((0.5, 2 * np.sqrt(2 * np.log(2)) * 50), (0.2, 2 * np.sqrt(2 * np.log(5)) * 50)):
        low, high = edges(AXIS[None], profile, level)
        assert high - low == pytest.approx(width, rel=2e-3)
        assert (low + high) / 2 == pytest.approx(30, abs=0.01)


def test_flux_between_counts_channels_in_part():
    flat = np.full((1, AXIS.size), 2.0)
    assert flux_between(AXIS[None], flat, np.array([-10.3]), np.array([7.1])) == pytest.approx(2 * 17.4)


def test_asymmetry_of_two_unlike_halves_is_their_ratio():
    step = np.where(np.abs(AXIS) < 100, np.where(AXIS < 0, 3.0, 2.0), 0.0)[None]
    assert flux_asymmetry(AXIS[None], step) == pytest.approx(1.5, rel=0.04)


def test_edges_without_a_positive_peak_are_nan():
    assert np.isnan(edges(AXIS[None], np.zeros((1, AXIS.size)), 0.5)).all()
