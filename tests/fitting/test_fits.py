"""What holds of every fit of a model, and the fits of functions and polynomials."""

import math
import re
from functools import partial

import numpy as np
import pytest
import torch
from astropy import units
from astropy.table import Table
from helpers.commands import command, only_run
from helpers.lines import (
    AXIS,
    MEASURED,
    MODELS,
    busy,
    configured,
    draw_busy,
    gaussian,
    lorentzian,
    make_spectra,
    noise,
    smoothed_noise,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from hiexp.errors import InputError
from hiexp.fitting import fit_function, fit_polynomial
from hiexp.fitting.torch_backend import curves, measure

BAND = np.linspace(-1300, 1300, 521)
LINE = {
    "peak": {"unit": "mJy", "start": {"peak": 1}, "lower": 0},
    "centre": {"unit": "km / s", "start": {"centre": 1}},
    "sigma": {"unit": "km / s", "start": {"width": 0.42}, "lower": 1},
}
CURVES = "hiexp.fitting.torch_backend.curves"


def in_errors(one, other, name):
    """Return by how many of its errors a measured number differs, of the fits that are good in both."""
    both = (one["status"] == "ok") & (other["status"] == "ok")
    return (np.abs(one[name] - other[name]) / one[f"{name}_err"].clip(lower=1e-6))[both]


def test_errors_of_what_is_measured_follow_from_those_of_the_parameters():
    """To first order, here by differences; the widths' errors know more than that."""
    curve = curves.double_lorentzian
    truth = torch.tensor([[900.0, -40, 25, 500, 60, 35], [500, -20, 30, 700, 45, 20]], dtype=torch.float64)
    root = torch.randn(2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    covariances, ends = root @ root.mT * 0.01, torch.full((2,), 400.0, dtype=torch.float64)

    def measured(parameters):
        return measure(
            lambda v, p: curve(v, p.T[:, :, None]),
            lambda v, p: curves.double_lorentzian_with_derivatives(v, p.T[:, :, None]),
            parameters,
            covariances,
            -ends,
            ends,
        )

    steps = 1e-3 * torch.eye(6, dtype=torch.float64)
    above, below = ([measured(truth + sign * step).numbers for step in steps] for sign in (1, -1))
    for name in ("position", "flux_peak", "flux_int", "A_flux"):
        pairs = zip(above, below, strict=True)
        by_parameters = torch.stack([(more[name] - less[name]) / 2e-3 for more, less in pairs], dim=1)
        expected = torch.einsum("np,npq,nq->n", by_parameters, covariances, by_parameters).sqrt()
        torch.testing.assert_close(measured(truth).errors[name], expected, rtol=0.02, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=3)
@given(shift=st.floats(-3000, 3000), scale=st.sampled_from([1e-5, 0.3, 7.0, 1e5]), seed=st.integers(0, 10**6))
@example(shift=0.09, scale=1e-5, seed=1)  # windows that end on a channel
@example(shift=-1874.9799938642007, scale=1e5, seed=567055)  # lines of which a quarter ends amid a channel
def test_a_fit_follows_shift_and_scale(name, shift, scale, seed):
    flux = busy(BAND, *draw_busy(12, seed)) + noise(seed, 1.0, (12, BAND.size))
    fit = configured(name)
    here = fit(make_spectra(flux, 1.0, BAND)).table
    there = fit(make_spectra(scale * flux, scale, BAND + shift)).table
    assert (here["status"] == there["status"]).sum() >= 11
    there["position"] -= shift
    there[["flux_peak", "flux_int"]] /= scale
    for number in MEASURED:
        # A fit that ends along a flat valley ends elsewhere in it for the sake of the last digit.
        assert np.sort(in_errors(here, there, number))[:-1].max() < 0.02, number


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_fit_follows_the_reversal_of_velocity(name):
    """Boxes and windows are laid from one end, so that those of the reversed spectrum are a few channels off."""
    flux = busy(BAND, *draw_busy(60, 7)) + noise(3, 1.0, (60, BAND.size))
    fit = configured(name)
    forward = fit(make_spectra(flux, 1.0, BAND)).table
    backward = fit(make_spectra(flux[:, ::-1], 1.0, -BAND[::-1])).table
    assert (forward["status"] == backward["status"]).mean() > 0.95
    backward["position"] *= -1
    for number in ("w50", "w20", "flux_peak", "flux_int"):
        assert in_errors(forward, backward, number).median() < 0.25, number
    assert (backward["position"] - forward["position"]).abs().median() < 5
    assert (backward["A_flux"] - forward["A_flux"]).abs().median() < 0.02


@pytest.mark.slow
def test_the_fit_without_a_model_follows_shift_scale_and_reversal():
    flux = busy(BAND, *draw_busy(30, 7)) + noise(3, 1.0, (30, BAND.size))
    fit = configured("none")
    here = fit(make_spectra(flux, 1.0, BAND)).table
    there = fit(make_spectra(3 * flux, 3.0, BAND + 137)).table
    reverse = fit(make_spectra(flux[:, ::-1], 1.0, -BAND[::-1])).table
    there["position"] -= 137
    there[["flux_peak", "flux_int"]] /= 3
    reverse["position"] *= -1
    np.testing.assert_allclose(there[MEASURED], here[MEASURED], rtol=1e-9)
    np.testing.assert_allclose(reverse[["w50", "w20", "A_flux"]], here[["w50", "w20", "A_flux"]], rtol=0.1)
    np.testing.assert_allclose(reverse["position"], here["position"], atol=25)


PROFILES = {"gaussian": gaussian, "lorentzian": lorentzian}


@pytest.mark.parametrize("name", PROFILES)
@settings(max_examples=3)
@given(seed=st.integers(0, 10**6))
def test_noise_free_profiles_are_recovered(name, seed):
    rng = np.random.default_rng(seed)
    size, centre, width = rng.uniform(5, 50, 40), rng.uniform(-200, 200, 40), rng.uniform(15, 80, 40)
    size = size * width if name == "lorentzian" else size
    given_parameters = np.stack([size, centre, width])[:, :, None]
    table = configured(name)(make_spectra(PROFILES[name](BAND, *given_parameters), 1e-3, BAND)).table
    assert (table["status"] == "ok").all()
    columns = ["area", "centre", "gamma"] if name == "lorentzian" else ["peak", "centre", "sigma"]
    np.testing.assert_allclose(table[columns], given_parameters[:, :, 0].T, rtol=1e-4, atol=1e-3)
    assert table["r2"].min() == pytest.approx(1)
    assert table["chi2"].max() < 1e-3
    half = width if name == "lorentzian" else width * math.sqrt(2 * math.log(2))
    np.testing.assert_allclose(table["w50"], 2 * half, rtol=1e-4)
    np.testing.assert_allclose(table["A_flux"], 1, atol=2e-2 if name == "lorentzian" else 1e-4)
    if name == "gaussian":
        np.testing.assert_allclose(table["position"], centre, atol=0.01)
        np.testing.assert_allclose(table["flux_int"], size * width * math.sqrt(2 * math.pi) / 1000, rtol=1e-3)


def test_noise_free_double_lorentzians_are_recovered():
    rng = np.random.default_rng(4)
    middle, half, gamma = rng.uniform(-100, 100, 30), rng.uniform(60, 120, 30), rng.uniform(15, 40, (2, 30))
    area = rng.uniform(500, 1500, (2, 30))
    first = lorentzian(BAND, *(v[:, None] for v in (area[0], middle - half, gamma[0])))
    second = lorentzian(BAND, *(v[:, None] for v in (area[1], middle + half, gamma[1])))
    table = configured("double_lorentzian")(make_spectra(first + second, 1e-3, BAND)).table
    assert (table["status"] == "ok").all()
    columns = ["area_1", "centre_1", "gamma_1", "area_2", "centre_2", "gamma_2"]
    expected = np.stack([area[0], middle - half, gamma[0], area[1], middle + half, gamma[1]], axis=1)
    np.testing.assert_allclose(table[columns], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("correlated", [False, True])
def test_errors_of_a_gaussian_are_the_scatter_around_the_truth(correlated):
    rng = np.random.default_rng(3)
    given_parameters = np.stack([rng.uniform(5, 30, 1000), rng.uniform(-250, 250, 1000), rng.uniform(20, 80, 1000)])
    spoiled = smoothed_noise(4, (1000, BAND.size)) if correlated else noise(4, 1.0, (1000, BAND.size))
    table = configured("gaussian")(
        make_spectra(gaussian(BAND, *given_parameters[:, :, None]) + spoiled, 1.0, BAND)
    ).table
    assert (table["status"] == "ok").all()
    known = dict(zip(("peak", "centre", "sigma"), given_parameters, strict=True))
    known["w50"] = 2 * known["sigma"] * math.sqrt(2 * math.log(2))
    known["position"] = known["centre"]
    known["flux_int"] = known["peak"] * known["sigma"] * math.sqrt(2 * math.pi) / 1000
    for name, value in known.items():
        pull = (table[name] - value) / table[f"{name}_err"]
        assert 0.85 < pull.std() < 1.15, name
    assert table["chi2_dof"].mean() == pytest.approx(1, abs=0.04)


def test_errors_of_a_gaussian_from_realisations_agree_with_those_from_the_covariance():
    """In a band long enough: in a short one the noise that is moved along lacks what the fit has taken."""
    axis = np.linspace(-2700, 2700, 1024)
    rng = np.random.default_rng(5)
    centre, sigma = rng.uniform(-250, 250, (40, 1)), rng.uniform(20, 60, (40, 1))
    spectra = make_spectra(gaussian(axis, 15, centre, sigma) + smoothed_noise(6, (40, 1024)), 1.0, axis)
    table = configured("gaussian", "realisations=40")(spectra).table
    for name in ("position", "w50", "w20", "flux_peak", "flux_int"):
        assert (table[f"{name}_err_mc"] / table[f"{name}_err"]).median() == pytest.approx(1, abs=0.2), name


def test_realisations_where_nothing_is_fitted_are_missing():
    table = configured("gaussian", "realisations=2")(make_spectra([-gaussian(AXIS, 9, 0, 50)] * 2)).table
    assert table.filter(like="_err_mc").isna().all(axis=None)
    assert table.filter(like="_err_mc").shape == (2, 10)


def test_fixed_parameters_stay_fixed_exactly_and_have_no_error():
    flux = gaussian(AXIS, 15, [[10.0], [-40.0]], 50) + noise(1, 1.0, (2, AXIS.size))
    fixed = LINE | {"sigma": {"start": 30, "lower": 47.3, "upper": 47.3}}
    table = fit_function(make_spectra(flux), f"{CURVES}.gaussian", fixed).table
    assert (table["status"] == "ok").all()
    assert (table["sigma"] == 47.3).all()
    assert table["sigma_err"].isna().all()
    free = fit_function(make_spectra(flux), f"{CURVES}.gaussian", LINE).table
    assert (free["chi2"] < table["chi2"]).all()
    assert (table["peak_err"] < free["peak_err"]).all()


def test_a_configuration_that_was_not_converted_is_understood_as_well():
    spectra = make_spectra(gaussian(AXIS, 15, [[10.0], [-40.0]], 50) + noise(1, 1.0, (2, AXIS.size)))
    kept = OmegaConf.create(LINE | {"centre": {"start": [{"low": 1}, {"centre": 1}]}})
    ours = fit_function(spectra, f"{CURVES}.gaussian", kept).table
    np.testing.assert_allclose(ours["centre"], [10, -40], atol=5)


def test_bounds_and_several_starts_are_sums_of_what_is_known():
    flux = gaussian(AXIS, 15, [[10.0], [-40.0]], 50) + noise(1, 1.0, (2, AXIS.size))
    kept = {"centre": {"start": [{"low": 1}, {"centre": 1}], "lower": {"low": 1}, "upper": {"high": 1}}}
    poor = fit_function(make_spectra(flux), f"{CURVES}.gaussian", LINE | kept, half_window=400.0).table
    good = fit_function(make_spectra(flux), f"{CURVES}.gaussian", LINE, half_window=400.0).table
    np.testing.assert_allclose(poor[MEASURED], good[MEASURED], rtol=1e-3, atol=0.01)
    bounded = LINE | {"peak": {"start": {"rms": 1}, "upper": {"peak": 0.5, "rms": -0.5}}}
    low = fit_function(make_spectra(flux), f"{CURVES}.gaussian", bounded).table
    assert (low["peak"] < 0.55 * good["peak"]).all()
    assert low["peak_err"].isna().all()


def normalised(velocity, parameters):
    """Every value depends on all velocities."""
    flux, centre, width = parameters
    shape = torch.exp(-0.5 * ((velocity - centre) / width) ** 2)
    return flux * shape / shape.sum(1, keepdim=True)


def test_a_function_normalised_over_its_channels_is_fitted_with_its_errors():
    flux = gaussian(BAND, 15, [[10.0], [-40.0]], 50) + noise(1, 1.0, (2, BAND.size))
    parameters = {
        "flux": {"start": {"peak": 30}},
        "centre": {"start": {"centre": 1}},
        "width": {"start": {"width": 0.3}, "lower": 5},
    }
    spectra = make_spectra(flux, 1.0, BAND)
    ours = fit_function(spectra, normalised, parameters).table
    theirs = fit_function(spectra, f"{CURVES}.gaussian", LINE).table
    np.testing.assert_allclose(ours[["centre", "width"]], theirs[["centre", "sigma"]], rtol=1e-3)
    np.testing.assert_allclose(ours[["centre_err", "width_err"]], theirs[["centre_err", "sigma_err"]], rtol=1e-2)
    np.testing.assert_allclose(ours["chi2"], theirs["chi2"], rtol=1e-6)


MINE = """
import torch

def mexican(velocity, parameters):
    height, centre, width = parameters
    t = ((velocity - centre) / width) ** 2
    return height * (1 - t) * torch.exp(-t / 2)
"""
MINE_YAML = """
_target_: hiexp.fitting.fit_function
_partial_: true
function: mine_of_the_test.mexican
parameters:
  height: {unit: mJy, start: {peak: 1}, lower: 0}
  centre: {unit: km / s, start: {centre: 1}}
  width:  {unit: km / s, start: [100, {width: 0.5}], lower: {channel: 1}}
min_snr: 5
seed: ${seed}
device: ${device}
"""


@pytest.mark.slow
def test_a_function_of_ones_own_is_a_yaml_file(tmp_path):
    (tmp_path / "mine_of_the_test.py").write_text(MINE)
    (tmp_path / "conf" / "fit").mkdir(parents=True)
    (tmp_path / "conf" / "fit" / "mine.yaml").write_text(MINE_YAML)
    words = [f"hydra.searchpath=[file://{tmp_path}/conf]", "fit=mine", "dataset.n_galaxies=20", "tracking=none"]
    result = command("hiexp.fit", *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    table = Table.read(only_run(tmp_path) / "fits.ecsv")
    assert len(table) == 20
    assert (table["status"] == "ok").sum() > 15
    assert table["width"].unit == table["width_err"].unit == units.km / units.s
    good = table["status"] == "ok"
    assert (table["height"][good] > 0).all()
    assert np.isfinite(table["w50"][good]).all()


@pytest.mark.parametrize("name", ["gaussian", "lorentzian", "double_lorentzian"])
def test_derivatives_written_out_lead_where_automatic_differentiation_does(name):
    spectra = make_spectra(busy(BAND, *draw_busy(20, 7)) + noise(3, 1.0, (20, BAND.size)), 1.0, BAND)
    given = configured(name, "compiled=null")(spectra).table
    automatic = configured(name, "compiled=null", "with_derivatives=null")(spectra).table
    for number in ("chi2", "position", "w50", "flux_int", "w50_err"):
        np.testing.assert_allclose(given[number], automatic[number], rtol=1e-6)


@pytest.mark.parametrize("degree", [1, 8, 15])
def test_a_polynomial_is_numpys(degree):
    flux = gaussian(BAND, 15, [[100.0], [-40.0]], 50) + noise(1, 1.0, (2, BAND.size))
    valid = noise(2, 1.0, (2, BAND.size)) > -1.5
    fit = fit_polynomial(make_spectra(flux * valid, 0.5, BAND, valid), degree=degree)
    for row in range(2):
        low, high = fit.table[["low", "high"]].iloc[row]
        assert high - low == pytest.approx(1060)
        used = valid[row] & (low <= BAND) & (high >= BAND)
        theirs = np.polynomial.Legendre.fit(BAND[used], flux[row, used], degree, domain=[low, high])
        ours = fit.table.filter(regex=r"^p\d+$").iloc[row]
        np.testing.assert_allclose(ours, theirs.coef, rtol=1e-6, atol=1e-6)
        left = flux[row, used] - theirs(BAND[used])
        assert fit.table["chi2"].iloc[row] == pytest.approx((left**2).sum() / 0.25)
        assert fit.table["chi2_dof"].iloc[row] == pytest.approx((left**2).sum() / 0.25 / (used.sum() - degree - 3))
        assert fit.table["mse"].iloc[row] == pytest.approx((left**2).mean())
        assert fit.table["r2"].iloc[row] == pytest.approx(1 - (left**2).mean() / flux[row, used].var())
        if fit.good[row]:
            np.testing.assert_allclose(fit.profiles[row], theirs(np.linspace(low, high, 256)), rtol=1e-6, atol=1e-6)
    assert fit.with_units()["p0"].unit == units.mJy


def test_a_polynomial_around_its_own_peak_has_the_windows_of_the_study():
    flux = gaussian(BAND, 15, [[100.0], [-40.0]], 120) + noise(1, 1.0, (2, BAND.size))
    fit = fit_polynomial(make_spectra(flux, 1.0, BAND), centre="peak", half_window=500.0)
    assert len(fit.passes) == 1
    assert fit.good.all()
    np.testing.assert_allclose(fit.windows.mean(1), [100, -40], atol=40)
    np.testing.assert_allclose(np.diff(fit.windows)[:, 0], 1000)


@pytest.mark.parametrize("device", ["cuda"])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "busy"])
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU on this machine")
def test_a_gpu_finds_what_a_cpu_does(name, device):
    spectra = make_spectra(busy(BAND, *draw_busy(50, 7)) + noise(3, 1.0, (50, BAND.size)), 1.0, BAND)
    cpu, gpu = configured(name)(spectra).table, configured(name, f"device={device}")(spectra).table
    assert (cpu["status"] == gpu["status"]).mean() > 0.95
    for number in MEASURED:
        assert in_errors(cpu, gpu, number).max() < 0.05, number


def fails(velocity, parameters):
    raise RuntimeError("no such luck")


def one_number(velocity, parameters):
    return parameters[0].sum()


gaussian_fit = partial(fit_function, function=f"{CURVES}.gaussian")
FAULTS = {
    "no such derivatives": (
        gaussian_fit,
        {"parameters": LINE, "with_derivatives": f"{CURVES}.magic"},
        r"fit\.with_derivatives=.*magic: cannot be imported",
    ),
    "derivatives of another function": (
        gaussian_fit,
        {"parameters": LINE, "with_derivatives": f"{CURVES}.lorentzian_with_derivatives"},
        r"fit\.with_derivatives: not the values and derivatives of fit\.function",
    ),
    "derivatives that fail": (
        gaussian_fit,
        {"parameters": LINE, "with_derivatives": fails},
        r"fit\.with_derivatives: fails with 3 parameters .no such luck",
    ),
    "no such module": (fit_function, {"function": "nowhere.at_all"}, r"fit\.function=nowhere\.at_all: cannot be"),
    "no such function": (fit_function, {"function": f"{CURVES}.magic"}, r"fit\.function=.*magic: cannot be imported"),
    "a function that fails": (fit_function, {"function": fails}, "fails with 3 parameters .no such luck"),
    "a function of a number": (fit_function, {"function": one_number}, "a value for each velocity"),
    "parameters too few": (gaussian_fit, {"parameters": {"peak": {"start": 1}}}, "fails with 1 parameters"),
    "no window": (gaussian_fit, {"half_window": 0}, r"fit\.half_window=0: give km/s above 0"),
    "no start": (
        gaussian_fit,
        {"parameters": LINE | {"peak": {"unit": "mJy"}}},
        r"parameters\.peak: start is missing",
    ),
    "an unknown key": (
        gaussian_fit,
        {"parameters": LINE | {"peak": {"start": 1, "begin": 2}}},
        r"parameters\.peak: unknown key begin; give start and, if wanted, lower, upper, unit",
    ),
    "an unknown amount": (
        gaussian_fit,
        {"parameters": LINE | {"peak": {"start": {"height": 1}}}},
        r"parameters\.peak: height is not known before the fit; use numbers and peak, rms, flux",
    ),
    "a start that is text": (
        gaussian_fit,
        {"parameters": LINE | {"peak": {"start": "peak"}}},
        r"parameters\.peak: 'peak' is neither a number nor a sum; .*\{peak: 1\}",
    ),
    "a parameter that is no mapping": (
        gaussian_fit,
        {"parameters": LINE | {"peak": 3}},
        r"parameters\.peak=3: give a mapping with start",
    ),
    "a column twice": (
        gaussian_fit,
        {"parameters": {"w50": {"start": 1}}},
        r"parameters\.w50: the table of fits has a column of that name; choose another",
    ),
    "a setting": (gaussian_fit, {"n_samples": 1}, r"fit\.n_samples=1: must be at least 2"),
    "no degree": (fit_polynomial, {"degree": 0}, r"fit\.degree=0: must be at least 1"),
    "a margin": (fit_polynomial, {"margin": 0.5}, r"fit\.margin=0\.5: give a fraction from 0 to below 0\.5"),
    "a centre": (fit_polynomial, {"centre": "middle"}, r"fit\.centre=middle: use line or peak"),
    "no half window": (fit_polynomial, {"half_window": -1}, r"fit\.half_window=-1: give km/s above 0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_with_key_value_and_remedy(fault):
    fit, given_settings, said = FAULTS[fault]
    if fit is not fit_polynomial:
        given_settings = {"parameters": LINE} | given_settings
    with pytest.raises(InputError) as told:
        fit(make_spectra(noise()), **given_settings)
    assert re.search(said, str(told.value)), told.value


def test_all_fits_share_their_measured_columns():
    spectra = make_spectra(gaussian(AXIS, 15, 0, 50) + noise())
    tables = {name: configured(name)(spectra).table for name in (*MODELS, "none", "whole")}
    for name, table in tables.items():
        assert {*MEASURED, "snr", "chi2", "chi2_dof", "mse", "r2", "status"} <= set(table), name
        if name in MODELS:
            assert {f"{number}_err" for number in MEASURED} <= set(table), name
