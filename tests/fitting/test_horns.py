"""Widths by the conventions of the field, and horns: on curves whose truth is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.lines import AXIS, busy, configured, gaussian, make_spectra, noise, smoothed_noise
from hypothesis import given, settings
from hypothesis import strategies as st

from hiexp.fitting import fit_busy, fit_function
from hiexp.fitting.status import NEEDLE
from hiexp.fitting.torch_backend import curves
from hiexp.spectral.widths import edges

TWO = {
    name: {"unit": unit, "start": start}
    for name, unit, start in (
        ("p1", "mJy", {"peak": 1}),
        ("c1", "km / s", -90.0),
        ("s1", "km / s", 35.0),
        ("p2", "mJy", {"peak": 1}),
        ("c2", "km / s", 90.0),
        ("s2", "km / s", 35.0),
    )
}


def two_gaussians(velocity, parameters):
    return curves.gaussian(velocity, parameters[:3]) + curves.gaussian(velocity, parameters[3:])


def horned(velocity, p1, c1, s1, p2, c2, s2):
    return gaussian(velocity, p1, c1, s1) + gaussian(velocity, p2, c2, s2)


def measured(curve):
    """Measure on a fine grid of a noise-free curve what the table of fits has, by the definitions of the papers."""
    v = np.linspace(-600, 600, 24_001)
    f = curve(v)
    middle = len(v) // 2
    left, right = f[:middle].max(), f[middle:].max()
    low = v[np.argmax(f >= left / 2)]
    high = v[len(v) - 1 - np.argmax(f[::-1] >= right / 2)]
    share = np.cumsum(f) / f.sum()
    range90 = v[np.searchsorted(share, 0.95)] - v[np.searchsorted(share, 0.05)]
    level = 0.9 * f.sum() * (v[1] - v[0]) / range90 / 2
    by_mean = v[f >= level]
    w80 = np.subtract(*edges(v[None], f[None], 0.8)[::-1])[0]
    return {
        "w80": w80,
        "w50_horns": high - low,
        "v_horns": (high + low) / 2,
        "wm50": by_mean[-1] - by_mean[0],
    }


def draw(n, seed, faintest=0.6):
    """Draw double horns, shape (6, n), whose fainter horn has at least this share of the brighter one's peak."""
    rng = np.random.default_rng(seed)
    heights = rng.uniform(12, 30, n) * np.stack([np.ones(n), rng.uniform(faintest, 1, n)])
    heights = rng.permuted(heights, axis=0)
    left, right = rng.uniform(-120, -90, n), rng.uniform(90, 120, n)
    return np.stack([heights[0], left, rng.uniform(32, 45, n), heights[1], right, rng.uniform(32, 45, n)])


def truths(drawn):
    rows = [measured(lambda v, curve=curve: horned(v, *curve)) for curve in drawn.T]
    return pd.DataFrame(rows, index=[str(i) for i in range(len(rows))])


LOPSIDED = (20.0, -90.0, 28.0, 8.0, 95.0, 30.0)  # the faint horn at 40 % of the bright one


def test_of_a_lopsided_double_horn_w50_is_one_horn_and_w50_horns_both():
    flux = horned(AXIS, *LOPSIDED) + noise(1, 0.4)
    table = fit_function(make_spectra(flux, 0.4), two_gaussians, TWO).table
    truth = measured(lambda v: horned(v, *LOPSIDED))
    assert table["status"].tolist() == ["ok"]
    assert truth["w50_horns"] > 240
    assert abs(table["w50_horns"] - truth["w50_horns"]).iloc[0] < 3 * table["w50_horns_err"].iloc[0]
    assert table["w50_horns_err"].iloc[0] < 10
    assert table["w50"].iloc[0] < 0.4 * truth["w50_horns"]
    assert table["horns"].tolist() == [2]
    assert table["trough_snr"].iloc[0] > 10
    assert table["flags"].tolist() == ["width_conventions"]


def test_the_busy_function_of_a_lopsided_double_horn_has_both_horns():
    curve = (14.0, 0.06, 0.06, 2e-5, 0.0, 45.0, 120.0, 2.2)  # its trough aside of the middle
    truth = measured(lambda v: busy(v, *np.array(curve)[:, None]))
    table = fit_busy(make_spectra(busy(AXIS, *np.array(curve)[:, None, None]) + noise(2, 0.4), 0.4)).table
    assert table["horns"].tolist() == [2]
    assert abs(table["w50_horns"] - truth["w50_horns"]).iloc[0] < 3 * table["w50_horns_err"].iloc[0]


@settings(max_examples=3)
@given(seed=st.integers(0, 10**6))
def test_without_noise_widths_are_those_of_their_definitions(seed):
    drawn = draw(20, seed, faintest=0.3)
    table = fit_function(make_spectra(horned(AXIS, *drawn[:, :, None]), 1e-2), two_gaussians, TWO).table
    assert (table["status"] == "ok").all()
    assert (table["horns"] == 2).all()
    truth = truths(drawn)
    ratio = drawn[[0, 3]].min(0) / drawn[[0, 3]].max(0)
    truth.loc[abs(ratio - 0.8) < 0.02, "w80"] = table["w80"]  # where an edge is about to jump across the trough
    for name in truth:
        np.testing.assert_allclose(table[name], truth[name], atol=0.3, err_msg=name)


@pytest.mark.parametrize("shape", ["one peak", "shoulder", "ripple beside the line"])
def test_one_peak_is_both_horns(shape):
    curve = {
        "one peak": (20.0, -20.0, 40.0, 15.0, 20.0, 40.0),
        "shoulder": (20.0, -40.0, 35.0, 8.0, 50.0, 40.0),
        "ripple beside the line": (20.0, -40.0, 40.0, 2.0, 200.0, 20.0),
    }[shape]
    table = fit_function(make_spectra(horned(AXIS, *curve), 0.01), two_gaussians, TWO, max_steps=1000).table
    assert table["status"].tolist() == ["ok"]
    assert table["horns"].tolist() == [1]
    assert np.isnan(table["trough_snr"]).all()
    assert table["w50_horns"].iloc[0] == table["w50"].iloc[0]
    assert table["w50_horns_err"].equals(table["w50_err"])
    assert "width_conventions" not in table["flags"].iloc[0]


@pytest.mark.parametrize("correlated", [False, True])
def test_errors_are_the_scatter_around_the_truth(correlated):
    n, axis = 400, np.linspace(-1300, 1300, 521)
    drawn = draw(n, 8)
    spoiled = smoothed_noise(9, (n, axis.size)) if correlated else noise(9, 1.0, (n, axis.size))
    table = fit_function(
        make_spectra(horned(axis, *drawn[:, :, None]) + spoiled, 1.0, axis), two_gaussians, TWO
    ).table
    good = (table["status"] == "ok").to_numpy()
    assert good.mean() > 0.98
    truth = truths(drawn)
    for name in ("w50_horns", "v_horns", "wm50"):
        pull = (table[name] - truth[name]) / table[f"{name}_err"]
        assert 0.85 < pull[good].std() < 1.15, name
        assert abs(pull[good].mean()) < 0.2, name
    # Where no horn is about as high as the level.
    apart = good & (np.abs(drawn[[0, 3]].min(0) / drawn[[0, 3]].max(0) - 0.8) > 0.15)
    pull = ((table["w80"] - truth["w80"]) / table["w80_err"])[apart]
    assert 0.8 < pull.std() < 1.2


def test_the_significance_of_a_trough_is_that_of_its_depth_among_realisations_of_the_noise():
    curve = np.array([8.0, -60.0, 42.0, 8.0, 60.0, 42.0])
    flux = horned(AXIS, *curve) + noise(3, 1.0, (300, AXIS.size))
    fit = fit_function(make_spectra(flux), two_gaussians, TWO)
    v = torch.linspace(-200, 200, 2001, dtype=torch.float64)[None]
    values = two_gaussians(v, torch.tensor(fit.table[list(TWO)].to_numpy()).T[:, :, None]).numpy()
    depth = np.minimum(values[:, :1000].max(1), values[:, 1000:].max(1)) - values[:, 900:1100].min(1)
    significance = fit.table["trough_snr"].median()
    assert 1.5 < significance < 6
    assert significance == pytest.approx(np.median(depth) / depth.std(), rel=0.25)


def test_realisations_agree_with_the_covariance():
    rng = np.random.default_rng(5)
    drawn = [20, rng.uniform(-120, -90, (30, 1)), 35, 17, rng.uniform(90, 120, (30, 1)), 35]
    axis = np.linspace(-2700, 2700, 1024)
    spectra = make_spectra(horned(axis, *drawn) + noise(6, 1.0, (30, 1024)), 1.0, axis)
    table = fit_function(spectra, two_gaussians, TWO, realisations=40).table
    for name in ("w50_horns", "v_horns", "wm50"):
        assert (table[f"{name}_err_mc"] / table[f"{name}_err"]).median() == pytest.approx(1, abs=0.2), name


def test_a_spike_narrower_than_a_channel_is_no_good_fit():
    """Beside a line it is high enough to be the peak, and no channel sees it."""
    spike = {
        "height": {"start": 60.0, "lower": 60.0, "upper": 60.0},
        "place": {"start": 2.5, "lower": 2.5, "upper": 2.5},
    }

    def spiked(velocity, parameters):
        height, place = parameters[3:]
        return curves.gaussian(velocity, parameters[:3]) + height * torch.exp(-(((velocity - place) / 0.8) ** 2))

    line = {
        name: {"start": start} for name, start in (("peak", {"peak": 1}), ("c", {"centre": 1}), ("s", {"width": 0.4}))
    }
    spectra = make_spectra(gaussian(AXIS, 20, 0, 50) + noise())
    fit = fit_function(spectra, spiked, line | spike)
    assert fit.table["status"].tolist() == [NEEDLE]
    assert fit.table["flags"].tolist() == [""]
    assert np.isnan(fit.profiles).all()
    assert configured("gaussian")(spectra).good.all()


@pytest.mark.parametrize(("exponent", "status"), [(0.08, NEEDLE), (2.0, "ok")])
def test_a_cusp_that_no_channel_sees_is_no_good_fit(exponent, status):
    """The Busy Function's trough with an exponent near 0."""
    fixed = dict(zip(("a", "b1", "b2", "c", "xe", "xp", "w"), (0.5, 0.1, 0.1, 30.0, 0.0, 2.5, 100.0), strict=True))
    curve = (*fixed.values(), exponent)
    if exponent > 1:
        curve = (8.0, 0.1, 0.1, 1e-4, 0.0, 2.5, 100.0, exponent)
    names = (*fixed, "n")
    rows = {name: {"start": value, "lower": value, "upper": value} for name, value in zip(names, curve, strict=True)}
    rows["a"] = {"start": curve[0], "lower": 0}

    def function(velocity, parameters):
        a, b1, b2, c, xe, xp, w, n = parameters
        box = (torch.erf(b1 * (w + velocity - xe)) + 1) * (torch.erf(b2 * (w - velocity + xe)) + 1)
        return a / 4 * box * (c * (velocity - xp).abs().clamp_min(1e-7) ** n + 1)

    flux = busy(AXIS, *np.array(curve)[:, None, None]) + noise(4, 0.5)
    assert fit_function(make_spectra(flux, 0.5), function, rows).table["status"].tolist() == [status]
