"""Spectra that cannot be fitted say so, never in NaN alone, and do not disturb the others."""

import re

import numpy as np
import pytest
from helpers.lines import AXIS, MEASURED, MODELS, configured, gaussian, make_spectra, noise, smoothed_noise

from hiexp.fitting import fit_busy, fit_function

ALL = (*MODELS, "none", "whole")
N = AXIS.size
LINE = gaussian(AXIS, 12, 10, 50)
EVERY = np.ones(N, bool)
ONLY_ONE = np.arange(N) == 120
LOWER_HALF, BESIDE = AXIS <= 10, np.abs(AXIS - 10) > 45
NOTHING, NO_NOISE, EDGE = (
    "no line found: no candidate has a S/N of 4",
    "no noise to weigh",
    "reaches the edge|wider than",
)

# Flux, rms, valid channels, and what the status of the fit of a model says.
SPECTRA = {
    "a line": (LINE + noise(1), 1, EVERY, "^ok$"),
    "noise": (noise(24), 1, EVERY, NOTHING),
    "all masked": (LINE + noise(3), 1, ~EVERY, "^no valid channels$"),
    "one valid channel": (LINE + noise(4), 1, ONLY_ONE, "^a single valid channel$"),
    "zero": (0 * AXIS, 1, EVERY, "^constant flux"),
    "a constant": (0 * AXIS + 5, 1, EVERY, "^constant flux"),
    "a constant below zero": (0 * AXIS - 5, 1, EVERY, "^constant flux"),
    "absorption": (noise(5) - LINE, 1, EVERY, NOTHING),
    "nothing but absorption": (-1 - LINE, 1, EVERY, "^no emission found$"),
    "a line at the low end": (gaussian(AXIS, 12, -600, 50) + noise(6), 1, EVERY, EDGE),
    "a line at the high end": (gaussian(AXIS, 12, 590, 50) + noise(7), 1, EVERY, EDGE),
    "rms unknown": (LINE + noise(8), np.nan, EVERY, NO_NOISE),
    "rms zero": (LINE + noise(9), 0, EVERY, NO_NOISE),
    "rms below zero": (LINE + noise(10), -1, EVERY, NO_NOISE),
    "rms without end": (LINE + noise(11), np.inf, EVERY, NO_NOISE),
    "flux not a number": (
        np.where(np.isin(np.arange(N), [50, 118, 122]), np.nan, LINE + noise(12)),
        1,
        EVERY,
        "^ok$",
    ),
    "flux without end": (np.where(np.arange(N) == 40, -np.inf, LINE + noise(13)), 1, EVERY, "^ok$"),
    "half the line masked": (LINE + noise(14), 1, LOWER_HALF, EDGE),
    "the middle masked": (LINE + noise(15), 1, BESIDE, "^ok$|^more than half of the line's channels are masked$"),
    "wider than the band": (gaussian(AXIS, 12, 0, 600) + noise(16), 1, EVERY, EDGE),
    "two valid channels": (LINE + noise(17), 1, np.isin(np.arange(N), [119, 125]), "S/N|valid channels|no emission"),
    "without noise": (LINE, 1, EVERY, "^ok$"),
    "another line": (gaussian(AXIS, 9, -100, 80) + noise(18), 1, EVERY, "^ok$"),
}


def sample(names=SPECTRA):
    flux, rms, valid, _ = zip(*(SPECTRA[name] for name in names), strict=True)
    return make_spectra(np.array(flux), np.array(rms, float), valid=np.array(valid))


def assert_told(fit):
    """Where the status is good there is a profile, and where it is not there is a reason and no profile."""
    for row, status in enumerate(fit.table["status"]):
        assert isinstance(status, str)
        assert status
        expected = np.isfinite if status == "ok" else np.isnan
        assert expected(fit.profiles[row]).all(), (row, status)
        assert expected(fit.windows[row]).all(), (row, status)


@pytest.fixture(scope="module")
def fits():
    """The whole sample, fitted together."""
    return {name: configured(name)(sample()) for name in ALL}


@pytest.mark.parametrize("name", ALL)
def test_no_number_of_a_good_fit_is_missing(fits, name):
    fit = fits[name]
    assert_told(fit)
    columns = ["flux_peak", "flux_int"] if name == "whole" else [*MEASURED, "snr"]
    if name in MODELS:
        columns += ["chi2", "chi2_dof", "mse", "r2", *fit.parameters]
    assert np.isfinite(fit.table.loc[fit.good, columns]).all(axis=None)
    assert fit.failures()["reason"].str.len().min() > 5
    if name in MODELS:
        # But for a model without noise, whose every chi2 is 0 ...
        noisy = fit.good & (fit.table["chi2"] > 1).to_numpy()
        assert np.isfinite(fit.table.loc[noisy, [f"{column}_err" for column in MEASURED]]).all(axis=None)


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_status_says_what_is_wrong(fits, spectrum):
    row, said = list(SPECTRA).index(spectrum), SPECTRA[spectrum][-1]
    for name in MODELS:
        status = fits[name].table["status"].iloc[row]
        if name == "polynomial" and said == "^ok$":  # whose ends may rise as high as its line
            assert status == "ok" or "line" in status
        else:
            assert re.search(said, status), (name, status)


@pytest.mark.parametrize("name", ALL)
def test_neighbours_are_what_they_are_alone(fits, name):
    fit, together = configured(name), fits[name]
    errors = [f"{column}_err" for column in MEASURED if f"{column}_err" in together.table] + ["trough_snr"]
    columns = [
        column for column in together.table.drop(columns=["status", "flags", "trough_snr"]) if column[-4:] != "_err"
    ]
    for row, spectrum in enumerate(SPECTRA):
        alone = fit(sample([spectrum]))
        for column in ("status", "flags"):
            assert alone.table[column].iloc[0] == together.table[column].iloc[row]
        if alone.good[0]:
            here = together.table.iloc[[row]]
            np.testing.assert_allclose(
                alone.table[columns].astype(float), here[columns].astype(float), rtol=1e-6, atol=1e-6
            )
            # Directions that the data do not determine come out of rounding.
            np.testing.assert_allclose(
                alone.table[errors].astype(float), here[errors].astype(float), rtol=0.1, atol=1e-6
            )
            np.testing.assert_allclose(alone.profiles[0], together.profiles[row], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("length", [1, 2, 3, 5, 20])
def test_spectra_of_a_few_channels(name, length):
    flux = np.stack([np.arange(length) % 2 * 9.0 + 1, noise(1, 1.0, length), np.zeros(length)])
    fit = configured(name)(make_spectra(flux, 1.0, np.arange(length) * 5.0))
    assert_told(fit)
    if name in MODELS and length <= 3:
        assert not fit.good.any()


def test_nothing_is_fitted_where_there_is_no_emission_even_if_no_signal_to_noise_is_asked_for():
    fit = fit_busy(make_spectra([-1 - LINE, LINE + noise()]), min_snr=0)
    assert fit.table["status"].tolist() == ["no emission found", "ok"]


def test_a_fit_that_takes_too_many_steps_says_so():
    fit = fit_busy(sample(["a line", "another line"]), max_steps=1)
    assert (fit.table["status"] == "not converged in 1 steps").all()
    assert_told(fit)


def test_a_curve_without_a_peak_says_so():
    parameters = {"depth": {"start": {"peak": -1}, "upper": 0}, "centre": {"start": {"centre": 1}}}

    def dip(velocity, parameters):
        depth, centre = parameters
        return depth / (1 + ((velocity - centre) / 50) ** 2)

    fit = fit_function(sample(["a line", "another line"]), dip, parameters)
    assert not fit.good.any()
    assert_told(fit)


@pytest.mark.parametrize("name", MODELS)
def test_of_noise_alone_little_is_fitted(name):
    """Measured on 2,000 such spectra: 5.4 % have a candidate above the default of 4."""
    spectra = make_spectra(smoothed_noise(5, (300, 1024)), velocity=5.3 * np.arange(1024))
    fit = configured(name)(spectra)
    assert fit.good.mean() < 0.1
    assert_told(fit)
    assert configured(name, "min_snr=6")(spectra).good.mean() < 0.01
