"""Fits of plain arrays."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hiexp.errors import InputError
from hiexp.fitting.busy import fit_busy
from hiexp.fitting.quantities import KM_S, MJY, plain
from hiexp.fitting.result import FitResult
from hiexp.fitting.spectrum_objects import arrays_of, is_spectrum
from hiexp.spectra import Spectra
from hiexp.spectral.axis import check_velocities, plausible
from hiexp.spectral.channels import LARGEST, noise_rms, unusual_noise

if TYPE_CHECKING:
    from astropy.nddata import NDData

log = logging.getLogger(__name__)


def fit_spectra(
    velocity: ArrayLike | NDData | Sequence[NDData],
    flux: ArrayLike | None = None,
    rms: ArrayLike | None = None,
    valid: ArrayLike | None = None,
    systemic: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    fit: Callable[..., FitResult] = fit_busy,
    **settings: object,
) -> FitResult:
    """Fit one spectrum or many.

    Plain numbers are in the units below. Arrays with astropy units are converted to them, frequencies and wavelengths
    to velocities in the optical convention, cz = c (f0 / f - 1) with f0 = 1420.40575177 MHz, in the frame they have.
    Masked channels are not used.

    Parameters
    ----------
    velocity : array_like, shape (L,) or (N, L), or specutils.Spectrum
        km/s, ascending or descending; one axis for all spectra or one each. Or a whole spectrum, or a list of them
        of one length, with axis, flux, mask and uncertainty; nothing else is then given but `systemic`, `ids` and
        how to fit.
    flux : array_like, shape (L,) or (N, L), optional
        mJy; channels that are NaN are not used.
    rms : array_like, shape (N,), (L,) of one spectrum, (N, L) or a number, optional
        Noise of one channel, or of each, mJy, positive; NaN where unknown. By default measured on the channels
        without a line. A warning tells where it is not that of an HI spectrum in mJy.
    valid : array_like of bool, shape (L,) or (N, L), optional
        Channels to use; by default all.
    systemic : array_like, shape (N,) or a number, optional
        Where the lines are expected, km/s; by default the strongest line anywhere is fitted.
    ids : array_like of str, shape (N,), optional
        Names of the spectra; by default their numbers from 0.
    fit : callable
        `fit_busy`, `fit_polynomial`, `fit_function` or any other from `Spectra` to a `FitResult`.
    **settings
        Settings of the fit.

    Returns
    -------
    FitResult
        ``.table`` has a row a spectrum, ``.with_units()`` the same as an astropy Table.

    Raises
    ------
    InputError
        If shapes do not agree, a unit cannot be converted, or velocities are neither ascending nor descending or
        cannot be those of HI spectra in km/s.

    Examples
    --------
    >>> import numpy as np
    >>> from hiexp.fitting import fit_spectra
    >>> velocity = np.arange(4000.0, 6000.0, 5.0)
    >>> noise = np.random.default_rng(1).normal(0, 1, velocity.size)
    >>> flux = 20 * np.exp(-((velocity - 5000) ** 2) / (2 * 60**2)) + noise
    >>> table = fit_spectra(velocity, flux).with_units()
    >>> print(f"{table['w50'][0]:.0f} +- {table['w50_err'][0]:.0f} {table['w50'].unit}")
    137 +- 3 km / s
    """
    if is_spectrum(velocity):
        if flux is not None or rms is not None or valid is not None:
            raise InputError("a spectrum has its own flux, uncertainty and mask; leave out flux, rms and valid")
        velocity, flux, rms, valid = arrays_of(velocity)
    elif flux is None:
        raise InputError("flux is missing; give velocity and flux, or a specutils.Spectrum")
    flux = np.atleast_2d(plain(flux, MJY, "flux")[0])
    velocity, has_velocity = plain(velocity, KM_S, "velocity")
    if not (has_velocity.all() and np.isfinite(velocity).all()):
        missing = "values that are not finite" if has_velocity.all() else "masked values"
        raise InputError(f"velocity: has {missing}; leave these channels out")
    if flux.ndim != 2 or 0 in flux.shape:
        raise InputError(f"flux has shape {flux.shape}: give one spectrum, (L,), or many, (N, L)")
    n, length = flux.shape
    largest = np.abs(flux[np.isfinite(flux)]).max(initial=0)
    if largest > LARGEST:
        raise InputError(
            f"flux: a value of {largest:.3g} is beyond single precision; give mJy, NaN where it is missing"
        )
    try:
        velocity = np.broadcast_to(velocity, flux.shape)
        usable = np.isfinite(flux) & np.broadcast_to(_usable(valid), flux.shape)
        expected = np.broadcast_to(np.nan if systemic is None else plain(systemic, KM_S, "systemic")[0], n)
        noise = None if rms is None else _noise(plain(rms, MJY, "rms")[0], n, length)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"flux has shape {flux.shape}, and another array does not fit to it: {error}") from error
    steps = np.diff(velocity, axis=1)
    falling = (steps < 0).all(axis=1)
    if not (falling | (steps > 0).all(axis=1)).all():
        raise InputError("velocity: every spectrum's has to ascend, or to descend, from channel to channel")
    _check_axes(velocity, steps)
    if noise is None:
        noise = np.array(
            [noise_rms(row, use) if use.any() else np.nan for row, use in zip(flux, usable, strict=True)]
        )
    elif not (np.isnan(noise) | ((noise > 0) & np.isfinite(noise))).all():
        raise InputError("rms: has to be positive and finite, NaN where it is unknown")
    order = np.where(np.expand_dims(falling, 1), np.arange(length)[::-1], np.arange(length))
    velocity, flux, usable = (np.take_along_axis(values, order, axis=1) for values in (velocity, flux, usable))
    if noise.ndim == 2:
        noise = np.take_along_axis(noise, order, axis=1)
    names = np.arange(n).astype(str) if ids is None else np.atleast_1d(np.asarray(ids)).astype(str)
    if names.size != n or np.unique(names).size != n:
        raise InputError(f"ids: give a name of its own to each of the {n} spectra")
    spectra = Spectra(
        ids=names,
        velocity=velocity,
        flux=np.where(usable, flux, 0.0),
        rms=noise,
        valid=usable,
        catalogue=pd.DataFrame(index=pd.Index(names, name="id")),
        systemic=expected,
    )
    doubts = [doubt for value in spectra.typical_rms if value > 0 and (doubt := unusual_noise(value))]
    if doubts:
        log.warning(
            "%d of %d spectra: the first has %s; give flux in mJy, or with its unit", len(doubts), n, doubts[0]
        )
    return fit(spectra, **settings)


def _noise(rms: np.ndarray, n: int, length: int) -> np.ndarray:
    """Return the noise of N spectra, shape (N,), or of all of their channels, (N, L)."""
    by_channel = rms.ndim == 2 or (n == 1 and rms.shape == (length,))
    return np.broadcast_to(rms, (n, length) if by_channel else n)


def _check_axes(velocity: np.ndarray, steps: np.ndarray) -> None:
    """Refuse axes, shape (N, L), that cannot be in km/s, by the first of them."""
    if velocity.shape[1] < 2:
        return
    fits = plausible(velocity.min(axis=1), velocity.max(axis=1), np.median(np.abs(steps), axis=1))
    for axis in velocity[~fits][:1]:
        try:
            check_velocities(axis, "give it with its unit: velocity * astropy.units.Unit('{unit}')")
        except InputError as error:
            raise InputError(f"velocity: {error}") from error


def _usable(valid: ArrayLike | None) -> np.ndarray:
    """Return the channels to use as bool, those that are masked not among them."""
    if valid is None:
        return np.array(True)
    return np.ma.getdata(valid).astype(bool) & ~np.ma.getmaskarray(np.ma.asanyarray(valid))
