"""The model galaxies that are made of clouds, for tests of learners."""

import numpy as np
import pandas as pd
import pytest
from helpers.cloud_discs import cloud_discs, cloud_lines, measure

from hiexp.spectral.widths import asymmetry_class, edges, flux_asymmetry

N = 400


@pytest.fixture(scope="module")
def discs():
    return cloud_discs(N, seed=1)


def test_measures_are_those_of_the_package():
    velocity, line, _ = cloud_lines(N, np.random.default_rng(0))
    a_flux, w50 = np.array([measure(*one) for one in zip(velocity, line, strict=True)]).T
    low, high = edges(velocity, line, 0.5)
    np.testing.assert_allclose(a_flux, flux_asymmetry(velocity, line))
    np.testing.assert_allclose(w50, high - low)


def test_all_classes_are_there_and_follow_a_flux(discs):
    assert discs.reference.tolist() == asymmetry_class(discs.catalogue["A_flux"].to_numpy()).tolist()
    np.testing.assert_allclose(np.bincount(discs.reference) / N, [0.6, 0.2, 0.2], atol=0.08)


def test_discs_that_are_not_lopsided_are_symmetric():
    a_flux = cloud_discs(100, seed=2, lopsidedness=0, tails=0).catalogue["A_flux"]
    assert a_flux.median() < 1.04
    assert a_flux.max() < 1.15
    assert cloud_discs(100, seed=2, lopsidedness=0, tails=1).catalogue["A_flux"].median() > 1.1


@pytest.mark.parametrize(("hanning", "shared", "resolutions"), [(True, 2 / 3, 1), (False, 0, 2)])
def test_noise_has_the_correlation_and_the_signal_to_noise_asked_for(hanning, shared, resolutions):
    discs = cloud_discs(N, seed=3, snr=(5, 8), hanning=hanning)
    noise = np.where(np.abs(discs.velocity - discs.systemic[:, None]) > 600, discs.flux / discs.rms[:, None], np.nan)
    assert np.nanstd(noise) == pytest.approx(1, abs=0.02)
    assert np.nanmean(noise[:, 1:] * noise[:, :-1]) == pytest.approx(shared, abs=0.02)
    flux_int, w50, snr = (discs.catalogue[name] for name in ("HIflux", "W50", "SNR"))
    of_ten = discs.rms / np.sqrt(resolutions)
    np.testing.assert_allclose(snr, 1000 * flux_int / w50 * np.sqrt(np.minimum(w50, 400) / 20) / of_ten)
    assert snr.between(5, 8).all()
    assert np.median(snr) == pytest.approx(np.sqrt(40), rel=0.05)


def test_the_same_galaxies_come_with_other_noise(discs):
    again = cloud_discs(N, seed=1, snr=(1000, 2000))
    pd.testing.assert_frame_equal(again.catalogue.drop(columns="SNR"), discs.catalogue.drop(columns="SNR"))
    inside = np.abs(again.velocity - again.systemic[:, None]) < 600
    found = np.sum(np.where(inside, again.flux, 0), axis=1) * 5 / 1000
    np.testing.assert_allclose(found, again.catalogue["HIflux"], rtol=0.02)
    assert not np.array_equal(cloud_discs(N, seed=4).flux, discs.flux)
