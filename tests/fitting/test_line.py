"""Lines are found, the noise beside them is measured, and noise alone is seldom taken for a line."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.lines import AXIS, configured, gaussian, make_spectra, noise, smoothed_noise
from hypothesis import given, settings
from hypothesis import strategies as st

from hiexp.datasets import read_alfalfa
from hiexp.fitting import engine
from hiexp.fitting.line import Channels, find_lines, tensors


def found(spectra):
    """Return the lines found, as arrays."""
    lines = find_lines(tensors(spectra, torch.device("cpu")))
    return replace(lines, **{name: value.numpy() for name, value in vars(lines).items()})


@settings(max_examples=20)
@given(st.floats(-300, 300), st.floats(30, 100), st.integers(0, 1000))
def test_lines_are_found_blind(centre, sigma, seed):
    lines = found(make_spectra(gaussian(AXIS, 8, centre, sigma) + noise(seed)))
    assert lines.centre[0] == pytest.approx(centre, abs=0.6 * sigma)
    assert lines.snr[0] > 10


def test_channels_of_unlike_width_share_a_batch():
    """Two telescopes: the same line in channels of 5 and of 20 km/s."""
    fine = gaussian(AXIS, 8, 40, 50) + noise(1)
    coarse_axis = AXIS[0] + 20.0 * np.arange(AXIS.size)
    coarse = gaussian(coarse_axis, 8, 40, 50) + noise(2)
    together = found(make_spectra([fine, coarse], velocity=np.array([AXIS, coarse_axis])))
    np.testing.assert_allclose(together.centre, [40, 40], atol=20)
    np.testing.assert_allclose(together.width, [140, 140], rtol=0.25)


@pytest.mark.parametrize("systemic", [np.nan, 50.0])
def test_a_line_is_found_alone_as_it_is_among_channels_of_other_widths(systemic):
    widths = np.array([1.7, 5.0, 5.4, 9.0, 21.0])
    axes = 40 + widths[:, None] * (np.arange(AXIS.size) - AXIS.size // 2)
    flux = gaussian(axes, 8, 40, 50) + noise(1, shape=axes.shape)
    together = found(make_spectra(flux, velocity=axes, systemic=systemic))
    for row in range(5):
        alone = found(make_spectra(flux[row], velocity=axes[row], systemic=systemic))
        for name, value in vars(alone).items():
            np.testing.assert_allclose(value[0], vars(together)[name][row], rtol=1e-9, err_msg=name)


def test_a_known_velocity_keeps_to_its_galaxy():
    two = gaussian(AXIS, 5, -300, 30) + gaussian(AXIS, 12, 250, 40) + noise()
    blind, known = found(make_spectra([two, two], systemic=[np.nan, -290.0])).centre
    assert blind == pytest.approx(250, abs=20)
    assert known == pytest.approx(-300, abs=20)


def test_the_real_lines_are_found_blind_within_50_km_s(appss):
    spectra = read_alfalfa(str(appss))
    blind = replace(spectra, systemic=np.full(len(spectra), np.nan))
    assert len(spectra) == 13
    assert np.abs(found(blind).centre - spectra.systemic).max() < 50


def test_noise_and_its_correlation_are_measured_beside_the_line():
    flux = gaussian(AXIS, 30, 0, 40) + smoothed_noise(1, (200, AXIS.size), rms=2.0)
    lines = found(make_spectra(flux, rms=1.0))
    assert np.median(lines.noise) == pytest.approx(2, rel=0.02)
    np.testing.assert_allclose(np.median(lines.correlation, axis=0), [2 / 3, 1 / 6, 0, 0, 0], atol=0.04)


def test_the_signal_to_noise_ratio_of_a_box_is_that_of_its_channels():
    flux = np.where(np.abs(AXIS) < 100, 10.0, 0.0)
    lines = found(make_spectra(flux + noise(3)))
    assert lines.snr[0] == pytest.approx(10 * np.sqrt(39), rel=0.1)


def test_noise_alone_is_seldom_taken_for_a_line():
    """Measured on 2,000 such spectra: 5.4 % have a candidate above 4."""
    spectra = make_spectra(smoothed_noise(6, (300, 1024)), velocity=5.3 * np.arange(1024))
    assert (found(spectra).snr > 4).mean() < 0.1


@settings(max_examples=20)
@given(st.floats(-3000, 3000))
def test_rounding_takes_no_channel_out_of_a_window_nor_into_it(shift):
    velocity = AXIS + shift
    channels = tensors(make_spectra(noise(), velocity=velocity), torch.device("cpu"))
    step = AXIS[1] - AXIS[0]
    for off in (-1e-9, 0, 1e-9):
        first, beyond = channels.find(*(torch.tensor([velocity[i] + off]) for i in (20, 60)))
        assert (first.item(), beyond.item()) == (20, 61)
    first, beyond = channels.find(*(torch.tensor([velocity[i] + 0.01 * step]) for i in (20, 60)))
    assert (first.item(), beyond.item()) == (21, 61)


def test_sums_over_windows_are_those_of_the_channels():
    flux, valid = noise(4, shape=(3, AXIS.size)), noise(5, shape=(3, AXIS.size)) > -1
    channels = tensors(make_spectra(flux, valid=valid), torch.device("cpu"))
    assert isinstance(channels, Channels)
    low, high = torch.tensor([-100.0, 55.0, 700.0]).double(), torch.tensor([100.0, 50.0, 800.0]).double()
    n, _, total, squares = channels.sums(low, high)
    inside = valid & (low.numpy()[:, None] <= AXIS) & (high.numpy()[:, None] >= AXIS)
    np.testing.assert_array_equal(n, inside.sum(1))
    np.testing.assert_allclose(total, (flux * inside).sum(1), atol=1e-9)
    np.testing.assert_allclose(squares, (flux**2 * inside).sum(1), atol=1e-9)


@pytest.mark.slow
def test_fits_of_one_sample_look_for_its_lines_once(monkeypatch):
    monkeypatch.setitem(engine.BATCH, "cpu", 2)
    searched = []
    monkeypatch.setattr(engine, "find_lines", lambda channels: searched.append(channels) or find_lines(channels))
    lines = [gaussian(AXIS, 12, centre, 40) + noise(seed) for seed, centre in enumerate((-200, 0, 150))]
    spectra = make_spectra(lines)
    configured("gaussian")(spectra)
    assert len(searched) == 2  # batches
    again = configured("lorentzian")(spectra)
    assert len(searched) == 2
    alone = configured("lorentzian")(make_spectra(lines))
    assert len(searched) == 4
    pd.testing.assert_frame_equal(again.table, alone.table, check_exact=True)
    other = configured("gaussian")(replace(spectra, flux=spectra.flux[::-1].copy()))
    assert len(searched) == 6
    np.testing.assert_allclose(other.table["position"], [150, 0, -200], atol=15)
