"""specutils' own class in place of arrays."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty
from helpers.lines import gaussian, noise
from pandas.testing import assert_frame_equal

from hiexp.errors import InputError
from hiexp.fitting import fit_spectra
from hiexp.spectral.axis import REST_FREQUENCY

specutils = pytest.importorskip("specutils", reason="specutils is an extra")

VELOCITY = np.linspace(5000.0, 6200.0, 241)
FLUX = gaussian(VELOCITY, 15, 5600.0, 50) + noise(1)
KM_S = u.km / u.s


def spectrum(flux=FLUX, unit="Jy", axis=VELOCITY * KM_S, **more):
    return specutils.Spectrum(flux=u.Quantity(flux, "mJy").to(unit), spectral_axis=axis, **more)


def test_a_spectrum_is_its_arrays():
    assert_frame_equal(fit_spectra(spectrum()).table, fit_spectra(VELOCITY, FLUX).table, rtol=1e-5)


def test_radio_velocities_and_frequencies_become_optical():
    frequency = (VELOCITY * KM_S).to(u.Hz, u.doppler_optical(REST_FREQUENCY))
    radio = frequency.to(KM_S, u.doppler_radio(REST_FREQUENCY))
    expected = fit_spectra(VELOCITY, FLUX).table
    said = {"velocity_convention": "radio", "rest_value": REST_FREQUENCY}
    for axis, more in ((frequency, {}), (radio, said)):
        found = fit_spectra(spectrum(axis=axis, **more)).table
        np.testing.assert_allclose(found[["position", "w50"]], expected[["position", "w50"]], atol=0.1)


@pytest.mark.parametrize(
    ("kind", "power"), [(StdDevUncertainty, 1), (VarianceUncertainty, 2), (InverseVariance, -2)], ids=str
)
def test_uncertainty_is_noise_by_channel(kind, power):
    rms = np.linspace(1, 3, FLUX.size)
    table = fit_spectra(spectrum(unit="mJy", uncertainty=kind(rms**power))).table
    assert_frame_equal(table, fit_spectra(VELOCITY, FLUX, rms).table, rtol=1e-3)


def test_masked_channels_are_not_used():
    mask = np.arange(FLUX.size) == 5
    table = fit_spectra(spectrum(np.where(mask, 1e5, FLUX), mask=mask)).table
    assert_frame_equal(table, fit_spectra(VELOCITY, FLUX, valid=~mask).table, rtol=1e-5)


def test_a_list_of_them_is_many():
    frequency = (VELOCITY * KM_S).to(u.GHz, u.doppler_optical(REST_FREQUENCY))
    table = fit_spectra([spectrum(), spectrum(2 * FLUX, axis=frequency)], ids=["a", "b"]).table
    assert table.index.tolist() == ["a", "b"]
    assert table["flux_int"].iloc[1] == pytest.approx(2 * table["flux_int"].iloc[0], rel=1e-3)


def test_faults_are_one_line():
    with pytest.raises(InputError, match="of unlike length"):
        fit_spectra([spectrum(), spectrum(FLUX[1:], axis=VELOCITY[1:] * KM_S)])
    with pytest.raises(InputError, match="some have an uncertainty and others none"):
        fit_spectra([spectrum(), spectrum(uncertainty=StdDevUncertainty(np.ones(FLUX.size)))])
    with pytest.raises(InputError, match="leave out flux"):
        fit_spectra(spectrum(), FLUX)
    with pytest.raises(InputError, match="flux is missing"):
        fit_spectra(VELOCITY)
    with pytest.raises(InputError, match="is in 'K', which cannot be converted to mJy"):
        fit_spectra(specutils.Spectrum(flux=FLUX * u.K, spectral_axis=VELOCITY * KM_S))


def test_an_inverse_variance_of_zero_masks_a_channel():
    weight, rms = np.ones(FLUX.size), np.ones(FLUX.size)
    weight[5:9], rms[5:9] = 0, np.nan
    table = fit_spectra(spectrum(unit="mJy", uncertainty=InverseVariance(weight))).table
    assert_frame_equal(table, fit_spectra(VELOCITY, FLUX, rms).table)
