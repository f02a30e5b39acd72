"""The fit without a model."""

import numpy as np
import pandas as pd
import pytest
from helpers.lines import AXIS, gaussian, make_spectra

from hiexp.datasets import mock_cig, read_alfalfa
from hiexp.fitting import fit_none


def test_direct_measurements_agree_with_the_reference_on_real_spectra(appss):
    reference = pd.read_csv(appss.parent / "busyfit_reference" / "appss.csv", dtype={"id": str}).set_index("id")
    spectra = read_alfalfa(str(appss))
    table = fit_none(spectra).table
    channel = np.abs(np.diff(spectra.velocity, axis=1)).mean(axis=1)
    order = [f"A{name}" for name in table.index]
    w50 = reference.loc[order, "w50"].to_numpy() * channel
    flux = reference.loc[order, "flux_int"].to_numpy() * channel / 1000
    assert np.median(np.abs(table["w50"] / w50 - 1)) < 0.05
    assert np.median(np.abs(table["flux_int"] / flux - 1)) < 0.05


def test_the_profile_is_the_data_over_the_line():
    flux = gaussian(AXIS, 10, 0, 40)
    result = fit_none(make_spectra(flux, rms=0.01), n_samples=101)
    assert result.profiles.shape == (1, 101)
    assert result.profiles[0, 50] == pytest.approx(10, rel=0.02)
    assert result.profiles[0, [0, -1]] == pytest.approx([0, 0], abs=2.5)
    assert result.good.all()


def test_masked_channels_are_bridged_not_smeared():
    flux = gaussian(AXIS, 10, 0, 40)
    spoiled, valid = flux.copy(), np.ones(AXIS.size, bool)
    valid[120:122] = False
    spoiled[120:122] = 0
    clean = fit_none(make_spectra(flux, rms=0.1)).profiles
    bridged = fit_none(make_spectra(spoiled, rms=0.1, valid=valid)).profiles
    np.testing.assert_allclose(bridged, clean, atol=0.3)


def test_mock_widths_are_measured_without_bias():
    sample = mock_cig(n_galaxies=150, seed=5)
    table = fit_none(sample).table
    assert np.median(table["w50"] / sample.catalogue["W50"]) == pytest.approx(1, abs=0.05)
    assert np.median(table["flux_int"] / sample.catalogue["HIflux"]) == pytest.approx(1, abs=0.05)
