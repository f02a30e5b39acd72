"""Spectra as other packages of astronomers hold them, specutils' `Spectrum` for one, as arrays with units."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty

from hiexp.errors import InputError
from hiexp.spectral.axis import DOPPLER, KM_S, REST_FREQUENCY


class SpectrumArrays(NamedTuple):
    """Axis and flux with their units, noise by channel where it is known, and the channels to use."""

    axis: u.Quantity
    flux: u.Quantity
    rms: u.Quantity | None
    valid: np.ndarray


def is_spectrum(given: object) -> bool:
    """Tell whether this is a `specutils.Spectrum` or the like, or a list of them."""
    one = given[0] if isinstance(given, list | tuple) and given else given
    return hasattr(one, "spectral_axis") and hasattr(one, "flux")


def arrays_of(spectrum: Any) -> SpectrumArrays:
    """Return what a spectrum holds, or a list of spectra of one length, shape (L,) or (N, L).

    Velocities in another convention than the optical become frequencies; standard deviation, variance or inverse
    variance becomes noise by channel, infinite ones unknown; what is masked is not valid.

    Raises
    ------
    InputError
        If spectra of a list are of unlike length, or some have an uncertainty and others none.
    """
    if isinstance(spectrum, list | tuple):
        parts = [arrays_of(one) for one in spectrum]
        if len({part.flux.shape for part in parts}) > 1:
            raise InputError("spectra: of unlike length; fit them one by one")
        if len({part.rms is None for part in parts}) > 1:
            raise InputError("spectra: some have an uncertainty and others none; give all of them one, or none")
        axis = u.Quantity([_comparable(part.axis) for part in parts])
        rms = None if parts[0].rms is None else u.Quantity([part.rms for part in parts])
        flux = u.Quantity([part.flux for part in parts])
        return SpectrumArrays(axis, flux, rms, np.stack([part.valid for part in parts]))
    flux, mask, uncertainty = spectrum.flux, getattr(spectrum, "mask", None), getattr(spectrum, "uncertainty", None)
    rms = None
    if uncertainty is not None:
        with np.errstate(divide="ignore"):  # an inverse variance of 0 says that nothing is known of a channel
            deviation = uncertainty.represent_as(StdDevUncertainty)
        known = np.where(np.isinf(deviation.array), np.nan, deviation.array)
        rms = u.Quantity(known, deviation.unit or flux.unit)
    valid = np.ones(flux.shape, dtype=bool) if mask is None else ~np.broadcast_to(mask, flux.shape)
    return SpectrumArrays(_axis(spectrum.spectral_axis), u.Quantity(flux), rms, valid)


def _axis(axis: Any) -> u.Quantity:
    convention, plain = getattr(axis, "doppler_convention", None), u.Quantity(axis.value, axis.unit)
    if convention in (None, "optical") or not axis.unit.is_equivalent(KM_S):
        return plain
    rest = getattr(axis, "doppler_rest", None)
    return plain.to(u.Hz, DOPPLER[convention](REST_FREQUENCY if rest is None else rest))


def _comparable(axis: u.Quantity) -> u.Quantity:
    """Return an axis as frequencies, so that those of a list may be in unlike units."""
    return axis.to(u.Hz, u.spectral() + u.doppler_optical(REST_FREQUENCY))
