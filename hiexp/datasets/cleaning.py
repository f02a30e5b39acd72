"""From the channels of a file to flux that can be trusted."""

from __future__ import annotations

import numpy as np

from hiexp.datasets.stacking import Channels
from hiexp.errors import InputError
from hiexp.spectral.axis import LIGHT_SPEED, check_velocities
from hiexp.spectral.channels import (
    FEWEST_CHANNELS,
    find_blanks,
    find_fill_values,
    find_spikes,
    noise_rms,
    unusual_noise,
)

LONGEST_GAP = 0.5  # of the channels there are


def clean(velocity: np.ndarray, flux: np.ndarray, valid: np.ndarray, unit_known: bool = False) -> Channels:
    """Bring one spectrum into order: ascending, evenly spaced, interference and missing channels masked.

    Parameters
    ----------
    velocity : ndarray, shape (M,)
        km/s, ascending or descending.
    flux : ndarray, shape (M,)
        mJy; anything where not `valid`. Fill values (`find_fill_values`) and channels blanked with zeros
        (`find_blanks`) are masked.
    valid : ndarray of bool, shape (M,)
        Channels that the file says may be used.
    unit_known : bool
        Whether somebody has said that the flux is in mJy. If not, a noise that no HI spectrum in mJy has is an error.

    Returns
    -------
    Channels
        L exceeds M where a gap in velocity was filled with masked channels.

    Raises
    ------
    InputError
        If too little of the spectrum is left, its axis or its noise is not that of an HI spectrum in km/s and mJy, or
        its channels cannot be put on an even grid.
    """
    if not np.isfinite(velocity).all():
        raise InputError("a velocity is not a number")
    order = np.argsort(velocity, kind="stable")
    velocity, flux = velocity[order], flux[order]
    valid = valid[order] & np.isfinite(flux)
    valid = valid & ~find_fill_values(flux, valid)
    valid = valid & ~find_blanks(flux, valid)
    if valid.sum() < FEWEST_CHANNELS:
        raise InputError(
            f"{valid.sum()} of {valid.size} channels can be used (NaN, missing value, zero or zero weight)"
        )
    check_velocities(velocity)
    velocity, flux, valid = _fill_gaps(velocity, np.where(valid, flux, 0.0), valid)
    rms = noise_rms(flux, valid)
    if rms == 0:
        raise InputError("constant flux: no noise to measure against")
    if not unit_known and (doubt := unusual_noise(rms)):
        raise InputError(f"{doubt}; give its unit (dataset.flux_unit=... for text, TUNIT in FITS)")
    valid = valid & ~find_spikes(flux, valid, rms)
    return Channels(velocity, np.where(valid, flux, 0.0), valid, rms)


def masked_values(flux: np.ndarray, given: np.ndarray) -> list[str]:
    """Say which channels `clean` masks for what they hold: fill values, and zeros in place of no value.

    Parameters
    ----------
    flux : ndarray, shape (M,)
        In any unit; anything where not `given`.
    given : ndarray of bool, shape (M,)
        Channels with a value.
    """
    filled = find_fill_values(flux, given)
    return masking_text(flux[filled], find_blanks(flux, given & ~filled))


def masking_text(fill_values: np.ndarray, blank: np.ndarray) -> list[str]:
    """Say how many channels hold each fill value, and how many are blanked with zeros."""
    said = [
        f"{count} channels hold the fill value {value:g} and are masked"
        for value, count in zip(*np.unique(fill_values, return_counts=True), strict=True)
    ]
    return said + [f"{np.count_nonzero(blank)} channels are blanked with zeros and masked"] * bool(blank.any())


def _fill_gaps(
    velocity: np.ndarray, flux: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Insert masked channels where whole ones are missing; refuse steps that are no multiple of a channel."""
    missing = missing_channels(velocity)
    if missing is None:
        steps = np.diff(velocity)
        raise InputError(
            f"the channels are not evenly spaced in velocity (steps of {steps.min():.3g} to {steps.max():.3g} km/s)"
        )
    if missing.sum() > LONGEST_GAP * velocity.size:
        raise InputError(f"{missing.sum():.0f} channels are missing between the {velocity.size} there are")
    if not missing.any():
        return velocity, flux, valid
    where = np.arange(velocity.size) + np.concatenate([[0], np.cumsum(missing)]).astype(int)
    every = np.arange(where[-1] + 1)
    filled = np.zeros(every.size), np.zeros(every.size, dtype=bool)
    filled[0][where], filled[1][where] = flux, valid
    return np.interp(every, where, velocity), *filled


def missing_channels(velocity: np.ndarray) -> np.ndarray | None:
    """Count the channels left out at each step of ascending velocities, km/s; None where channels are unlike.

    Channels of fixed frequency widen with velocity: a few per cent across most bands.
    """
    missing = _missing(velocity)
    return _missing(-1 / (1 + velocity / LIGHT_SPEED)) if missing is None else missing


def _missing(axis: np.ndarray) -> np.ndarray | None:
    steps = np.diff(axis)
    channel = np.median(steps)
    missing = np.rint(steps / channel) - 1 if channel > 0 else np.full(steps.size, np.nan)
    even = np.abs(steps / np.where(missing >= 0, (missing + 1) * channel, np.nan) - 1) < 0.2
    return missing if np.all(even) else None
