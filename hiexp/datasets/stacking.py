"""From spectra of unlike length and spacing to arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hiexp.errors import InputError

MOST_GAPS = 4  # channels that gaps may add, in multiples of those there are


class Channels(NamedTuple):
    """One spectrum, shape (L,) and a number, or a stack of them, shapes (N, L) and (N,).

    ``velocity`` in km/s, ascending; ``flux`` in mJy, 0 where not ``valid``; ``rms``, the noise of one channel,
    in mJy.
    """

    velocity: np.ndarray
    flux: np.ndarray
    valid: np.ndarray
    rms: np.ndarray | float


def stack(spectra: Sequence[Channels]) -> Channels:
    """Stack spectra of at least two channels each.

    Returns
    -------
    Channels
        Of the longest's length L: shorter spectra are padded at their end with channels that are not valid, at
        the spacing of their last two. ``Spectra(**stack(spectra)._asdict(), ...)`` takes it as it is.
    """
    length = max(one.velocity.size for one in spectra)
    shape = (len(spectra), length)
    velocity, flux, valid = np.empty(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
    for row, one in enumerate(spectra):
        n = one.velocity.size
        step = one.velocity[-1] - one.velocity[-2]
        velocity[row, :n] = one.velocity
        velocity[row, n:] = one.velocity[-1] + step * np.arange(1, length - n + 1)
        flux[row, :n], valid[row, :n] = one.flux, one.valid
    return Channels(velocity, flux, valid, np.array([one.rms for one in spectra], dtype=float))


def fill_gaps(velocity: np.ndarray, flux: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put channels without flux where a spectrum leaves some out, so that counting channels counts velocity.

    Parameters
    ----------
    velocity : ndarray, shape (M,)
        km/s, strictly ascending; M at least 2.
    flux : ndarray, shape (M,)
        In any unit.

    Returns
    -------
    velocity, flux : ndarray, shape (L,)
        L at least M; the channels put in are NaN in `flux` and evenly spaced over their gap.

    Raises
    ------
    InputError
        If channels stand closer than half the median spacing, or gaps outweigh the spectrum: then there is no
        one channel width.
    """
    spacing = np.diff(velocity)
    step = np.median(spacing)
    missing = np.round(spacing / step).astype(int) - 1
    if spacing.min() < 0.5 * step or missing.sum() > MOST_GAPS * velocity.size:
        raise InputError(
            f"channels {spacing.min():g} to {spacing.max():g} km/s apart, {step:g} as a rule; "
            "resample it to channels of one width"
        )
    inserted = [
        np.linspace(low, high, count + 2)[1:-1]
        for low, high, count in zip(velocity[:-1], velocity[1:], missing, strict=True)
        if count > 0
    ]
    if not inserted:
        return velocity, flux
    put_in = np.concatenate(inserted)
    where = np.searchsorted(velocity, put_in)
    return np.insert(velocity, where, put_in), np.insert(flux, where, np.nan)
