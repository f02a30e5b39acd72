"""Uneven channels on an even grid."""

import logging

import numpy as np
import pytest
from helpers.lines import configured, gaussian
from hypothesis import given
from hypothesis import strategies as st

from hiexp.datasets import read_spectra
from hiexp.datasets.layouts.regular import is_even, on_even_grid
from hiexp.errors import InputError


def uneven(seed, n=300):
    steps = np.random.default_rng(seed).uniform(3, 9, n)
    return 4000 + steps.cumsum()


@given(st.integers(0, 10_000), st.floats(30, 120))
def test_flux_is_conserved(seed, sigma):
    velocity = uneven(seed)
    centre = velocity[150]
    even, flux, valid, words = on_even_grid(velocity, gaussian(velocity, 20, centre, sigma), np.ones(300, bool))
    assert is_even(even)
    assert valid.all()
    assert "km/s apart, brought to" in words
    assert (flux * np.diff(even)[0]).sum() == pytest.approx(20 * sigma * np.sqrt(2 * np.pi), rel=0.02)
    assert (flux * even).sum() / flux.sum() == pytest.approx(centre, abs=1)


def test_constant_flux_stays_and_gaps_are_not_filled():
    velocity = np.delete(uneven(1), np.arange(100, 120))
    even, flux, valid, _ = on_even_grid(velocity, np.full(280, 7.0), np.arange(280) != 50)
    inside = (even > velocity[99] + 10) & (even < velocity[100] - 10)
    assert not valid[inside].any()
    np.testing.assert_allclose(flux[valid], 7)
    assert valid[~inside].mean() > 0.97


def test_evenly_spaced_channels_stay_as_they_are():
    velocity = 4000 + 5.0 * np.arange(100)
    even, flux, valid, _ = on_even_grid(velocity, np.sin(velocity), np.ones(100, bool))
    np.testing.assert_allclose(even, velocity)
    np.testing.assert_allclose(flux, np.sin(velocity))
    assert valid.all()


def test_channels_of_all_widths_are_refused():
    velocity = 4000 + np.geomspace(0.3, 900, 80)
    with pytest.raises(InputError, match="too unlike for one grid; rebin them"):
        on_even_grid(velocity, np.zeros(80), np.ones(80, bool))


def test_a_file_with_uneven_channels_is_measured(tmp_path, caplog):
    velocity = uneven(5)
    flux = gaussian(velocity, 30, velocity[150], 60) + np.random.default_rng(2).normal(0, 1, 300)
    np.savetxt(tmp_path / "a.txt", np.stack([velocity, flux], axis=1), header="velocity (km/s) flux (mJy)")
    with caplog.at_level(logging.INFO):
        spectra = read_spectra(
            str(tmp_path / "a.txt"), convention="optical", units={"velocity": "km/s", "flux": "mJy"}
        )
    table = configured("gaussian")(spectra).table
    assert table["flux_int"].iloc[0] == pytest.approx(30 * 60 * np.sqrt(2 * np.pi) / 1000, rel=0.05)
    assert table["position"].iloc[0] == pytest.approx(velocity[150], abs=4)
    assert "km/s apart, brought to" in caplog.text
