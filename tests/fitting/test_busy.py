"""Busy Functions: against BusyFit, against known truths, pass by pass."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from astropy import units
from astropy.io import fits
from helpers.lines import AXIS, MEASURED, busy, busy_truth, draw_busy, gaussian, make_spectra, noise, smoothed_noise
from helpers.shared import SHARED

from hiexp.datasets import mock_alfalfa
from hiexp.errors import InputError
from hiexp.fitting import batches, engine, fit_busy
from hiexp.fitting.status import NEEDLE

BAND = np.linspace(-2700, 2700, 1024)


@pytest.fixture(scope="module")
def reference():
    folder = SHARED / "data" / "busyfit_reference"
    if not folder.is_dir():
        pytest.skip("BusyFit's results (../shared/data/busyfit_reference) are not on this machine")
    return folder


def in_channels(table, velocity):
    """Return what was measured in BusyFit's units: channels from the first, mJy, mJy x channel."""
    channel, number = (velocity[:, 100] - velocity[:, 0]) / 100, np.arange(velocity.shape[1])
    return pd.DataFrame(
        {
            "chi2": table["chi2"].to_numpy(),
            "position": [np.interp(at, row, number) for at, row in zip(table["position"], velocity, strict=True)],
            "w50": table["w50"].to_numpy() / channel,
            "flux_int": table["flux_int"].to_numpy() * 1000 / channel,
        }
    )


def median_deviation(ours, theirs):
    return np.median(np.abs(ours / theirs - 1))


def test_model_spectra_are_fitted_as_well_as_by_busyfit(reference):
    data = np.load(reference / "mock_spectra.npz")
    theirs = pd.read_csv(reference / "mock.csv")
    spectra = make_spectra(data["flux"], data["rms"], data["velocity"])
    fit = fit_busy(spectra, margins=[])
    ours = in_channels(fit.table, spectra.velocity)
    assert fit.good.sum() >= 99
    assert (ours["chi2"] <= 1.001 * theirs["chi2"]).sum() >= 98
    assert median_deviation(ours["w50"], theirs["w50"]) < 0.01
    assert median_deviation(ours["flux_int"], theirs["flux_int"]) < 0.01
    assert np.median(np.abs(ours["position"] - theirs["position"])) < 0.1


def test_lopsided_and_degenerate_lines_are_fitted_as_well_as_by_busyfit(reference):
    data = np.load(reference / "hard_spectra.npz")
    theirs = pd.read_csv(reference / "hard.csv")
    table = fit_busy(make_spectra(data["flux"], data["rms"], data["velocity"]), margins=[], min_snr=0).table
    assert not table["status"].str.startswith("not converged").any()
    assert (table["chi2"].to_numpy() <= 1.001 * theirs["chi2"]).sum() >= 57


def test_a_line_of_which_the_box_found_holds_one_horn_is_fitted_whole():
    """The box with the highest signal-to-noise ratio is the horn alone."""
    line = 5 * (np.abs(BAND) < 250) + gaussian(BAND, 40, -240, 12)
    table = fit_busy(make_spectra(line + smoothed_noise(3, (20, BAND.size)), 1.0, BAND), margins=[]).table
    assert (table["status"] == "ok").all()
    np.testing.assert_allclose(table["flux_int"], line.sum() * (BAND[1] - BAND[0]) / 1000, rtol=0.15)


def test_real_spectra_are_fitted_as_well_as_by_busyfit(reference, appss):
    theirs = pd.read_csv(reference / "appss.csv", dtype={"id": str})
    longest = theirs["n_chan"].max()
    shape = (len(theirs), longest)
    velocity, flux, valid = np.zeros(shape), np.zeros(shape), np.zeros(shape, bool)
    for row, given in enumerate(theirs.itertuples()):
        table = fits.getdata(appss / f"{given.id}.fits")
        ascending = np.array(table["VHELIO"], float)[::-1], np.array(table["FLUX"], float)[::-1]
        velocity[row], flux[row] = (values[given.first_channel :][:longest] for values in ascending)
        valid[row, : given.n_chan] = True
    spectra = make_spectra(flux * valid, theirs["rms"], velocity, valid)
    fit = fit_busy(spectra, margins=[])
    ours = in_channels(fit.table, velocity)
    assert fit.good.sum() >= 12
    assert (ours["chi2"] <= 1.01 * theirs["chi2"]).sum() >= 12
    assert median_deviation(ours["w50"], theirs["w50"]) < 0.01
    assert median_deviation(ours["flux_int"], theirs["flux_int"]) < 0.01
    assert np.median(np.abs(ours["position"] - theirs["position"])) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("correlated", [False, True])
def test_errors_are_the_scatter_around_the_truth(correlated):
    parameters = draw_busy(1000, seed=1)
    spoiled = smoothed_noise(2, (1000, 1024), 2.0) if correlated else noise(2, 2.0, (1000, 1024))
    table = fit_busy(make_spectra(busy(BAND, *parameters) + spoiled, 2.0, BAND)).table
    good = table["status"] == "ok"
    assert good.sum() >= 980
    known = busy_truth(parameters)
    for name in ("position", "w50", "flux_int"):
        pull = ((table[name] - known[name]) / table[f"{name}_err"])[good]
        assert 0.8 < pull.std() < 1.25, name
        assert abs(pull.mean()) < 0.15, name


def test_errors_from_realisations_agree_with_those_from_the_covariance():
    parameters = draw_busy(30, seed=3)
    spectra = make_spectra(busy(BAND, *parameters) + smoothed_noise(4, (30, 1024), 2.0), 2.0, BAND)
    fit = fit_busy(spectra, margins=[], realisations=30)
    for name in MEASURED:
        ratio = fit.table[f"{name}_err_mc"] / fit.table[f"{name}_err"]
        assert np.nanmedian(ratio) == pytest.approx(1, abs=0.2), name
    assert fit.with_units()["w50_err_mc"].unit == units.km / units.s
    again = fit_busy(spectra.take(slice(0, 5)), margins=[], realisations=2, seed=8).table["w50_err_mc"]
    other = fit_busy(spectra.take(slice(0, 5)), margins=[], realisations=2, seed=9).table["w50_err_mc"]
    assert (again != other).all()


def test_noise_free_busy_functions_are_recovered():
    """About one in twenty ends in another minimum, whose curve is off by less than 0.3 % of the peak."""
    parameters = draw_busy(100, seed=8)
    axis = np.linspace(-1300, 1300, 521)
    rms = 1e-4
    table = fit_busy(make_spectra(busy(axis, *parameters), rms, axis), margins=[]).table
    known = busy_truth(parameters)
    misfit = rms * np.sqrt(table["chi2"] / axis.size) / known["flux_peak"]
    exact = misfit < 1e-10
    assert exact.sum() >= 93
    assert (table.loc[exact, "status"] == "ok").mean() > 0.95
    for name in MEASURED:
        unit = known["w50"] if name == "position" else known[name]
        assert (np.abs(table[name] - known[name]) / unit)[exact].max() < 1e-4, name
        assert (np.abs(table[name] - known[name]) / unit).max() < 0.02, name
    assert misfit.max() < 0.003
    ours = table.loc[exact, ["a", "b1", "b2", "c", "xe", "xp", "w", "n"]].to_numpy().T[:, :, None]
    assert np.abs(busy(axis, *ours) - busy(axis, *parameters[:, exact])).max() < 1e-6


def test_three_passes_are_kept_each_in_windows_around_the_line_of_the_one_before():
    parameters = draw_busy(20, seed=5)
    spectra = make_spectra(busy(BAND, *parameters) + noise(6, 1.0, (20, 1024)), 1.0, BAND)
    fit = fit_busy(spectra, margins=(10.6, 26.5))
    assert fit.good.all()
    assert len(fit.passes) == 2
    first, second = fit.passes
    assert list(first.columns) == list(second.columns)
    assert set(fit.table) - set(first) >= {"w50_horns", "w50_horns_err", "horns", "flags"}  # measured once
    n_used = [(table["chi2"] / table["chi2_dof"] + 8).round() for table in (first, second, fit.table)]
    assert (n_used[0] == BAND.size).all()
    low, high = fit.windows.T
    reach = second["w50"] + 26.5
    assert (low <= second["position"] - reach + 1e-6).all()
    assert (high >= second["position"] + reach - 1e-6).all()
    # Farther only where the 20 % edges lie beyond W50 from the position.
    assert (high - low <= 2 * reach + second["w20"]).all()
    inside = (low[:, None] <= BAND) & (high[:, None] >= BAND)
    np.testing.assert_array_equal(n_used[2], inside.sum(1))
    assert (n_used[1] < n_used[0]).all()
    assert (n_used[1] < n_used[2]).all()
    wider = fit_busy(spectra, margins=(10.6, 126.5))
    reached = np.isclose(low, second["position"] - reach)
    assert reached.any()
    np.testing.assert_allclose(wider.windows[:, 0], low - 100)
    model = busy(np.linspace(low, high, fit.profiles.shape[1], axis=1), *_parameters(fit.table))
    np.testing.assert_allclose(fit.profiles, model, atol=1e-8)


def _parameters(table):
    return table[["a", "b1", "b2", "c", "xe", "xp", "w", "n"]].to_numpy().T[:, :, None]


def test_where_a_later_pass_cuts_off_the_line_the_pass_before_stands():
    spectra = mock_alfalfa(n_galaxies=300, seed=2)
    fit = fit_busy(spectra, max_steps=400)
    first = fit.passes[0]
    fitted = fit.good | (fit.table["status"] == NEEDLE)  # which is told after the last pass alone
    assert first["status"].eq("ok").sum() == fitted.sum() > 280
    held = fit.good & (fit.table["chi2"] == first["chi2"])
    assert 0 < held.sum() < 20
    pd.testing.assert_frame_equal(fit.table.loc[held, first.columns], first[held])
    assert np.isfinite(fit.profiles[held]).all()


def test_no_margins_mean_one_pass_over_the_whole_spectrum():
    spectra = make_spectra(gaussian(AXIS, 15, [[0.0], [50.0]], 60) + noise(1, 1.0, (2, AXIS.size)))
    one, three = fit_busy(spectra, margins=[]), fit_busy(spectra)
    assert one.passes == ()
    np.testing.assert_allclose(one.windows, [[-600, 600]] * 2)
    pd.testing.assert_frame_equal(one.table[three.passes[0].columns], three.passes[0])


def test_a_spectrum_that_fails_in_a_pass_says_so_in_those_that_follow():
    cut = gaussian(AXIS, 20, [[590.0], [0.0]], 60) + noise(2, 1.0, (2, AXIS.size))
    fit = fit_busy(make_spectra(cut))
    for table in (*fit.passes, fit.table):
        assert table["status"].tolist() == ["the line reaches the edge of the band", "ok"]
    assert np.isnan(fit.profiles[0]).all()
    assert np.isnan(fit.windows[0]).all()


def test_every_column_of_a_length_a_flux_or_a_speed_has_its_unit():
    table = fit_busy(make_spectra(gaussian(AXIS, 15, 0, 60) + noise())).with_units()
    speed = units.km / units.s
    expected = {
        **dict.fromkeys(("position", "w50", "w20", "xe", "xp", "w", "w_err", "w50_err"), speed),
        **dict.fromkeys(("flux_peak", "a", "a_err", "flux_peak_err"), units.mJy),
        **dict.fromkeys(("flux_int", "flux_int_err"), units.Jy * speed),
        **dict.fromkeys(("b1", "b2"), 1 / speed),
        "mse": units.mJy**2,
        **dict.fromkeys(("c", "n", "snr", "A_flux", "chi2", "chi2_dof", "r2"), None),
    }
    assert {name: table[name].unit for name in expected} == expected


@pytest.mark.slow
def test_several_processes_find_what_one_does(monkeypatch):
    parameters = draw_busy(20, seed=6)
    spectra = make_spectra(busy(BAND, *parameters) + noise(6, 1.0, (20, 1024)), 1.0, BAND)
    monkeypatch.setattr(engine, "BATCH", {"cpu": 8})
    threads = torch.get_num_threads()
    results = []
    try:
        for workers in (1, 2):
            torch.set_num_threads(workers)
            monkeypatch.setattr(batches, "SHARED", 2)
            results.append(fit_busy(spectra, realisations=2))
            assert torch.get_num_threads() == workers
    finally:
        torch.set_num_threads(threads)
    one, two = results
    assert list(one.table.index) == list(spectra.ids)
    pd.testing.assert_frame_equal(one.table, two.table, rtol=1e-9)
    for table, other in zip(one.passes, two.passes, strict=True):
        pd.testing.assert_frame_equal(table, other, rtol=1e-9)
    np.testing.assert_allclose(one.profiles, two.profiles, rtol=1e-9)
    np.testing.assert_allclose(one.windows, two.windows, rtol=1e-9)  # of the fitted curves, too


def test_batches_and_their_order_change_nothing(monkeypatch):
    parameters = draw_busy(24, seed=7)
    spectra = make_spectra(busy(BAND, *parameters) + noise(7, 1.0, (24, 1024)), 1.0, BAND)
    whole = fit_busy(spectra).table
    backwards = fit_busy(
        replace(spectra, **{k: getattr(spectra, k)[::-1] for k in ("ids", "velocity", "flux")})
    ).table
    monkeypatch.setattr(engine, "BATCH", {"cpu": 7})
    in_parts = fit_busy(spectra).table
    for other in (backwards.loc[whole.index], in_parts):
        assert (other["status"] == whole["status"]).all()
        pd.testing.assert_frame_equal(other[MEASURED], whole[MEASURED], rtol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU on this machine")
def test_a_gpu_finds_what_a_cpu_does():
    parameters = draw_busy(50, seed=9)
    spectra = make_spectra(busy(BAND, *parameters) + noise(9, 1.0, (50, 1024)), 1.0, BAND)
    cpu, gpu = (fit_busy(spectra, device=device) for device in ("cpu", "cuda"))
    assert (cpu.table["status"] == gpu.table["status"]).mean() > 0.95
    both = cpu.good & gpu.good
    for name in MEASURED:
        difference = np.abs(cpu.table[name] - gpu.table[name]) / cpu.table[f"{name}_err"]
        assert difference[both].max() < 0.05, name


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"margins": [10, 0]}, r"fit\.margins=\[10, 0\]: give a list of km/s above 0, or \[\] for a single pass"),
        ({"margins": None}, r"fit\.margins=None: give a list of km/s above 0, or \[\] for a single pass"),
        ({"n_samples": 1}, r"fit\.n_samples=1: must be at least 2"),
        ({"max_steps": 0}, r"fit\.max_steps=0: must be at least 1"),
        ({"realisations": -1}, r"fit\.realisations=-1: must be at least 0"),
        ({"tolerance": -0.1}, r"fit\.tolerance=-0\.1: must be at least 0"),
        ({"device": "tpu"}, "device=tpu: use cpu, cuda or auto"),
    ],
)
def test_settings_out_of_range_are_told_with_their_remedy(settings, said):
    with pytest.raises(InputError, match=f"^{said}$"):
        fit_busy(make_spectra(noise()), **settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU on this machine")
def test_a_gpu_that_is_not_there_is_told():
    with pytest.raises(InputError, match=r"device=cuda: .*use device=cpu, or device=auto"):
        fit_busy(make_spectra(noise()), device="cuda")
