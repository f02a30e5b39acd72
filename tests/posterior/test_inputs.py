"""Numbers that tell of a line: the same for its mirror image and in any unit of flux, whatever is masked."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.lines import AXIS, busy, draw_busy, make_spectra

from hiexp.features.asymmetry import NAMES, ProfileAsymmetry
from hiexp.fitting import FitResult, fit_none
from hiexp.posterior import LINE_INPUTS, inputs, line_inputs


def column(values, name):
    return values[:, LINE_INPUTS.index(name)]


def lines(n=12, seed=3, rms=1.0):
    """Spectra of lines that are far brighter than their noise."""
    profiles = busy(AXIS, *draw_busy(n, seed)) * 3
    return make_spectra(profiles + np.random.default_rng(seed).normal(0, rms, profiles.shape), rms=rms)


def of(spectra):
    return line_inputs(spectra, fit_none(spectra))


def test_every_number_has_a_name_and_a_value():
    spectra = lines()
    fit = fit_none(spectra)
    values = line_inputs(spectra, fit)
    assert values.shape == (12, len(LINE_INPUTS))
    assert len(set(LINE_INPUTS)) == len(LINE_INPUTS)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    for name in ("snr", "w50"):
        np.testing.assert_allclose(column(values, f"log_{name}"), np.log(fit.table[name]), rtol=1e-6)
    measures = dict(zip(NAMES, ProfileAsymmetry().transform(fit.profiles).T, strict=True))
    np.testing.assert_allclose(np.exp(column(values, "A_flux")), measures["A_flux"], rtol=1e-5)
    np.testing.assert_allclose(np.abs(column(values, "centroid_offset")), np.abs(measures["centroid_offset"]), 1e-5)


def test_a_line_and_its_mirror_image_are_told_the_same():
    """The fit is mirrored, too: a search for lines may end a channel further on one side than on the other."""
    spectra = lines()
    fit = fit_none(spectra)
    mirrored = replace(spectra, velocity=-spectra.velocity[:, ::-1], flux=spectra.flux[:, ::-1])
    mirrored_fit = FitResult(
        fit.table.assign(position=-fit.table["position"]), fit.profiles[:, ::-1], -fit.windows[:, ::-1]
    )
    np.testing.assert_allclose(line_inputs(mirrored, mirrored_fit), line_inputs(spectra, fit), atol=1e-5)
    # The test would be idle if all lines had the brighter side on the same side.
    offset = ProfileAsymmetry().transform(fit.profiles)[:, NAMES.index("centroid_offset")]
    assert (offset > 0).any()
    assert (offset < 0).any()


def test_the_unit_of_flux_changes_nothing():
    spectra = lines()
    scaled = replace(spectra, flux=spectra.flux * 250, rms=spectra.rms * 250)
    np.testing.assert_allclose(of(scaled), of(spectra), atol=2e-4)


def test_the_fainter_side_comes_first():
    line = np.select([np.abs(AXIS + 41) < 40, np.abs(AXIS - 39) < 40], [100.0, 50.0], 0.0)
    (values,) = of(make_spectra(line))
    for kind in ("data", "curve"):
        bins = values[[LINE_INPUTS.index(f"{kind}_{number}") for number in range(inputs.BINS)]]
        assert bins[: inputs.BINS // 2].sum() < bins[inputs.BINS // 2 :].sum()
    assert values[LINE_INPUTS.index("log_data_asymmetry")] == pytest.approx(np.log(2), abs=0.05)


def test_masked_channels_say_nothing_and_are_bridged():
    """Neither a few channels, nor a gap as wide as some of the bins, in which the curve stands for the data."""
    spectra = lines()
    valid = np.ones(spectra.flux.shape, dtype=bool)
    valid[:6, 50::17] = False
    middle = np.abs(AXIS - fit_none(spectra).table["position"].to_numpy()[6:, None]) < 12
    valid[6:][middle] = False
    masked = replace(spectra, valid=valid, flux=np.where(valid, spectra.flux, 0.0))
    fit, values = fit_none(masked), of(masked)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(line_inputs(replace(masked, flux=spectra.flux), fit), values)
    no_number = replace(spectra, flux=np.where(valid, spectra.flux, np.nan))
    np.testing.assert_array_equal(line_inputs(no_number, fit), values)
    data = [LINE_INPUTS.index(f"data_{number}") for number in range(inputs.BINS)]
    assert np.abs(values - of(spectra))[:, data].max() < 0.4  # of the mean flux; a gap taken for 0 is off by 1


def test_where_there_is_no_fit_there_are_no_numbers():
    spectra = lines(5)
    flux = spectra.flux.copy()
    flux[[0, 3]] = -1.0
    spectra = replace(spectra, flux=flux)
    fit = fit_none(spectra)
    np.testing.assert_array_equal(fit.good, [False, True, True, False, True])
    values = line_inputs(spectra, fit)
    assert np.isnan(values[~fit.good]).all()
    assert np.isfinite(values[fit.good]).all()


def test_nothing_depends_on_the_other_lines_worked_on_at_the_same_time(monkeypatch):
    spectra = lines(11)
    whole = of(spectra)
    monkeypatch.setattr(inputs, "BLOCK", 4)
    np.testing.assert_array_equal(of(spectra), whole)


def test_noise_by_channel_is_noise():
    spectra = lines(6)
    by_channel = replace(spectra, rms=np.repeat(spectra.rms[:, None], AXIS.size, axis=1))
    np.testing.assert_allclose(of(by_channel), of(spectra), atol=1e-5)
    louder = replace(by_channel, rms=by_channel.rms * 2)
    for name in ("log_bin_noise", "log_half_noise"):
        np.testing.assert_allclose(column(of(louder), name) - column(of(by_channel), name), np.log(2), atol=1e-4)
