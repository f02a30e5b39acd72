"""Noise of a channel of its own: `Spectra.rms` of shape (N, L)."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.lines import AXIS, busy, configured, gaussian, make_spectra
from hypothesis import given, settings
from hypothesis import strategies as st

from hiexp.errors import InputError
from hiexp.fitting import fit_spectra
from hiexp.spectra import Spectra

QUIET, LOUD = 1.0, 4.0  # mJy


def by_channel(flux, rms):
    return replace(make_spectra(flux), rms=np.array(np.broadcast_to(rms, np.shape(flux)), dtype=float))


def halves(n, truth, seed=1):
    """Return n spectra whose channels above the middle of the line are four times as noisy."""
    rms = np.where(AXIS < 0, QUIET, LOUD)
    flux = truth + np.random.default_rng(seed).normal(0, 1, (n, AXIS.size)) * rms
    return by_channel(flux, rms)


@pytest.mark.parametrize(
    ("model", "curve", "truth"),
    [
        (
            "gaussian",
            gaussian(AXIS, 40.0, 0.0, 60.0),
            {"position": 0.0, "flux_int": 40 * 60 * np.sqrt(2 * np.pi) / 1e3},
        ),
        ("busy", busy(AXIS, 30, 0.05, 0.05, 1e-4, 0, 0, 120, 2), {"position": 0.0}),
    ],
)
def test_pulls_are_one_where_two_halves_have_different_noise(model, curve, truth):
    spectra = halves(400, curve)
    table = configured(model, "margins=[]" if model == "busy" else "min_snr=3")(spectra).table
    assert (table["status"] == "ok").all()
    assert table["chi2_dof"].mean() == pytest.approx(1, abs=0.02)
    for name, value in truth.items():
        pulls = (table[name] - value) / table[f"{name}_err"]
        assert abs(pulls.mean()) < 0.25
        assert pulls.std() == pytest.approx(1, abs=0.15)


def test_errors_of_a_line_in_the_quiet_half_are_those_of_its_channels():
    spectra = halves(200, gaussian(AXIS, 20.0, -300.0, 40.0))
    alike = replace(spectra, rms=np.full(len(spectra), np.sqrt((QUIET**2 + LOUD**2) / 2)))
    fit = configured("gaussian")
    pulls, of_alike = (
        (fitted["position"] + 300) / fitted["position_err"] for fitted in (fit(spectra).table, fit(alike).table)
    )
    assert pulls.std() == pytest.approx(1, abs=0.15)
    assert of_alike.std() < 0.5


@pytest.mark.parametrize("model", ["busy", "gaussian", "polynomial", "none"])
def test_the_same_noise_in_every_channel_is_that_of_the_spectrum(model):
    flux = gaussian(AXIS, 15.0, 30.0, 50.0) + np.random.default_rng(2).normal(0, 1.5, (5, AXIS.size))
    of_spectrum, of_channels = make_spectra(flux, rms=1.5), by_channel(flux, 1.5)
    fit = configured(model)
    np.testing.assert_allclose(
        fit(of_channels).table.drop(columns=["status", "flags"]).astype(float),
        fit(of_spectrum).table.drop(columns=["status", "flags"]).astype(float),
        rtol=1e-6,
    )


@settings(max_examples=10, deadline=None)
@given(st.floats(1e-3, 1e3))
def test_the_unit_of_flux_and_noise_does_not_matter(factor):
    one = halves(3, gaussian(AXIS, 40.0, 0.0, 60.0))
    other = replace(one, flux=one.flux * factor, rms=one.rms * factor)
    fit = configured("gaussian")
    for name in ("snr", "w50", "w50_err", "chi2"):
        np.testing.assert_allclose(fit(other).table[name], fit(one).table[name], rtol=1e-4)


def test_a_line_in_quiet_channels_is_found_beside_a_burst_in_loud_ones():
    rms = np.where(AXIS < 0, QUIET, 20.0)
    flux = gaussian(AXIS, 5.0, -300.0, 40.0) + gaussian(AXIS, 12.0, 300.0, 40.0)
    table = configured("gaussian")(by_channel(flux[None], rms)).table
    assert table["position"].iloc[0] == pytest.approx(-300, abs=5)


def test_channels_without_noise_are_not_used():
    spectra = halves(2, gaussian(AXIS, 40.0, 0.0, 60.0))
    rms, flux = spectra.rms.copy(), spectra.flux.copy()
    rms[:, 100], flux[:, 100] = np.nan, 1e5
    table = configured("gaussian")(replace(spectra, rms=rms, flux=flux)).table
    masked = configured("gaussian")(replace(spectra, valid=np.arange(AXIS.size) != np.full((2, 1), 100))).table
    np.testing.assert_allclose(table["flux_int"], masked["flux_int"])
    unknown = replace(spectra, rms=np.full_like(rms, np.nan))
    assert configured("gaussian")(unknown).table["status"].str.startswith("no noise to weigh").all()


def test_errors_from_realisations_know_the_noise_of_each_channel():
    spectra = halves(20, gaussian(AXIS, 40.0, 0.0, 60.0))
    table = configured("gaussian", "realisations=50")(spectra).table
    assert np.median(table["position_err_mc"] / table["position_err"]) == pytest.approx(1, abs=0.25)


def test_plain_arrays_may_have_noise_by_channel_on_descending_axes():
    spectra = halves(2, gaussian(AXIS, 40.0, 0.0, 60.0))
    table = configured("gaussian")(spectra).table

    def fit(*given):
        return fit_spectra(*given, fit=configured("gaussian")).table

    down = fit(AXIS[::-1], spectra.flux[:, ::-1], spectra.rms[:, ::-1])
    np.testing.assert_allclose(down["w50_err"], table["w50_err"])
    single = fit(AXIS, spectra.flux[0], spectra.rms[0])
    np.testing.assert_allclose(single["w50_err"], table["w50_err"].iloc[:1])
    with pytest.raises(InputError, match="another array does not fit"):
        fit(AXIS, spectra.flux, spectra.rms[:, :-1])


def test_a_sample_keeps_the_noise_of_its_channels(tmp_path):
    spectra = halves(3, gaussian(AXIS, 40.0, 0.0, 60.0))
    assert spectra.take(slice(1, 3)).rms.shape == (2, AXIS.size)
    assert spectra.without_channels().rms.shape == (3, 0)
    spectra.save(tmp_path)
    np.testing.assert_array_equal(Spectra.load(tmp_path).rms, spectra.rms)
    np.testing.assert_allclose(spectra.typical_rms, np.median(spectra.rms, axis=1))
