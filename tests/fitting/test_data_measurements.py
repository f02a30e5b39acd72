"""What is measured on the spectra themselves, beside the fit."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.lines import AXIS, busy, configured, make_spectra, smoothed_noise

from hiexp.errors import InputError
from hiexp.fitting import measure_data
from hiexp.fitting.measurements import DATA_MEASUREMENTS

VELOCITY = AXIS + 6000
LINE = busy(VELOCITY, 20, 0.06, 0.06, 2e-4, 6000, 6010, 130, 2)


@pytest.fixture(scope="module")
def spectra():
    flux = LINE + np.random.default_rng(3).normal(0, 1.0, (150, AXIS.size))
    return make_spectra(flux, velocity=VELOCITY)


@pytest.fixture(scope="module")
def fit(spectra):
    return configured("busy")(spectra)


@pytest.fixture(scope="module")
def truth():
    quiet = make_spectra(LINE, rms=1e-3, velocity=VELOCITY)
    return measure_data(quiet, configured("busy")(quiet), realisations=0).table.iloc[0]


@pytest.mark.parametrize("kind", ["white", "smoothed"])
def test_errors_are_those_of_the_scatter(spectra, fit, truth, kind):
    if kind == "smoothed":
        spectra = make_spectra(LINE + smoothed_noise(4, spectra.flux.shape), velocity=VELOCITY)
        fit = configured("busy")(spectra)
    table = measure_data(spectra, fit, realisations=20).table
    for name in ("cog_v", "cog_flux", "cog_v25", "cog_v85", "cog_C_V", "cog_K", "dv_sys", "v_equal"):
        pulls = (table[name] - truth[name]) / table[f"{name}_err"]
        assert abs(pulls.median()) < 0.4, name
        assert 0.75 < pulls.std() < 1.35, name


def test_data_and_curve_agree(spectra, fit):
    table = measure_data(spectra, fit, realisations=0).table
    assert (table["cog_flux"] / table["flux_int"]).median() == pytest.approx(1, abs=0.01)
    assert (table["cog_v"] - table["position"]).median() == pytest.approx(0, abs=1)
    assert np.corrcoef(table["A_fr"], table["A_flux"])[0, 1] > 0.9
    assert table.filter(regex="^cog.*_err$").isna().all(axis=None)


def test_noise_by_channel_gives_its_errors(spectra, fit):
    by_channel = replace(spectra, rms=np.full(spectra.flux.shape, 1.0)).take(slice(0, 20))
    some = replace(fit, table=fit.table[:20], profiles=fit.profiles[:20], windows=fit.windows[:20])
    alike = measure_data(spectra.take(slice(0, 20)), some, realisations=40).table["cog_v85_err"]
    own = measure_data(by_channel, some, realisations=40).table["cog_v85_err"]
    assert own.median() == pytest.approx(alike.median(), rel=0.2)


@pytest.mark.parametrize("unknown", [0.0, np.nan, np.inf])
def test_channels_without_a_noise_are_masked(spectra, fit, unknown):
    rms, valid = np.ones((2, AXIS.size)), np.ones((2, AXIS.size), dtype=bool)
    rms[:, 200:204], valid[:, 200:204] = unknown, False
    few = spectra.take(slice(0, 2))
    of_fit = replace(fit, table=fit.table[:2], profiles=fit.profiles[:2], windows=fit.windows[:2])
    table = measure_data(replace(few, rms=rms), of_fit, realisations=10).table
    masked = measure_data(replace(few, rms=np.ones(rms.shape), valid=valid), of_fit, realisations=10).table
    pd.testing.assert_frame_equal(table, masked)
    assert (table["cog_flux_err"] > 0).all()


@pytest.mark.parametrize("unknown", [0.0, np.nan])
def test_without_a_noise_there_are_no_errors(spectra, fit, unknown):
    few = replace(spectra.take(slice(0, 2)), rms=np.array([1.0, unknown]))
    of_fit = replace(fit, table=fit.table[:2], profiles=fit.profiles[:2], windows=fit.windows[:2])
    table = measure_data(few, of_fit, realisations=10).table
    assert table["cog_flux"].notna().all()
    assert table[["cog_flux_err", "cog_snr"]].notna().to_numpy().tolist() == [[True, True], [False, False]]


def test_beyond_the_last_channel_in_use_there_is_no_spectrum(spectra):
    """The last value would else go on, and be measured as a line."""
    few = spectra.take(slice(0, 2))
    for first in (VELOCITY > 6000, np.arange(AXIS.size) > AXIS.size - 3):
        half = replace(few, valid=np.tile(first, (2, 1)))
        table = measure_data(half, configured("none")(half), realisations=0).table
        assert table.filter(regex="^(cog_|A_fr|A_spec)").isna().all(axis=None)


def test_where_most_of_a_line_is_masked_nothing_is_measured(spectra, fit):
    few = spectra.take(slice(0, 2))
    of_fit = replace(fit, table=fit.table[:2], profiles=fit.profiles[:2], windows=fit.windows[:2])
    beside = np.abs(VELOCITY - 6000) > 90
    table = measure_data(replace(few, valid=np.stack([beside, beside | True])), of_fit, realisations=0).table
    assert table["cog_flux"].isna().tolist() == [True, False]
    assert table["A_fr"].isna().tolist() == [True, False]


def test_a_width_below_the_resolution_is_none(spectra, fit):
    table = measure_data(spectra, fit, realisations=0, smoothed_channels=200).table
    assert table[["w50_corr", "w50_corr_err"]].isna().all(axis=None)


@pytest.mark.parametrize(("recipe", "resolution"), [("courtois2009", 0.5 * 2 * 5), ("redshift", 0)])
def test_widths_are_corrected_by_the_recipe(spectra, fit, recipe, resolution):
    table = measure_data(spectra, fit, realisations=0, recipe=recipe, smoothed_channels=2).table
    stretched = 1 + table["position"] / 299_792.458
    for name in ("w50", "w50_horns", "wm50"):
        np.testing.assert_allclose(table[f"{name}_corr"], table[name] / stretched - resolution, rtol=1e-9)
        np.testing.assert_allclose(table[f"{name}_corr_err"], table[f"{name}_err"] / stretched, rtol=1e-9)


def test_masses_follow_from_distances(spectra, fit):
    """At 100 Mpc 1 Jy km/s are 2.356e9 solar masses."""
    known = pd.DataFrame({"Dist": [100.0, np.nan], "e_Dist": [5.0, np.nan]}, index=spectra.catalogue.index[:2])
    some = replace(spectra, catalogue=known.reindex(spectra.catalogue.index))
    table = measure_data(some, fit, realisations=0).table
    flux, error = table["flux_int"].iloc[0], table["flux_int_err"].iloc[0]
    assert table["logMHI"].iloc[0] == pytest.approx(np.log10(2.356e9 * flux))
    assert table["logMHI_err"].iloc[0] == pytest.approx(np.hypot(error / flux, 2 * 5 / 100) / np.log(10))
    assert table["logMHI"].iloc[1:].isna().all()
    flowing = measure_data(some, fit, realisations=0, hubble=70.0).table["logMHI"]
    distance = table["position"].iloc[1] / 70
    assert flowing.iloc[1] == pytest.approx(np.log10(2.356e5 * distance**2 * table["flux_int"].iloc[1]))
    assert flowing.iloc[0] == table["logMHI"].iloc[0]


@pytest.mark.parametrize("model", ["none", "gaussian", "whole"])
def test_every_fit_can_be_measured(spectra, model):
    some = spectra.take(slice(0, 3))
    table = measure_data(some, configured(model)(some), realisations=5).with_units()
    assert set(DATA_MEASUREMENTS) <= set(table.colnames)
    assert table["cog_v85"].unit == "km / s"
    assert table["cog_v85"].description
    assert np.isfinite(table["cog_v85"]).all() == (model != "whole")


def test_a_failed_fit_has_no_numbers(spectra):
    flux = spectra.flux[:2].copy()
    flux[1] = np.random.default_rng(0).normal(0, 1, AXIS.size)
    two = make_spectra(flux, velocity=VELOCITY)
    table = measure_data(two, configured("busy")(two), realisations=5).table
    assert table["status"].iloc[1] != "ok"
    assert table[list(DATA_MEASUREMENTS)].iloc[1].isna().all()
    assert np.isfinite(table["cog_v85"].iloc[0])


def test_order_and_neighbours_change_nothing(spectra, fit):
    table = measure_data(spectra, fit, realisations=5).table
    some = replace(fit, table=fit.table[:4], profiles=fit.profiles[:4], windows=fit.windows[:4])
    pd.testing.assert_frame_equal(measure_data(spectra.take(slice(0, 4)), some, realisations=5).table, table[:4])


def test_an_unknown_recipe_is_refused(spectra, fit):
    with pytest.raises(InputError, match=r"measurements\.recipe=tully1985: choose of courtois2009, redshift"):
        measure_data(spectra, fit, recipe="tully1985")
