"""From spectra of unlike length to arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Channels(NamedTuple):
    """One spectrum, shape (L,), or a stack of them, (N, L).

    ``velocity`` in km/s, ascending; ``flux`` in mJy, 0 where not ``valid``; ``rms``, the noise of one channel, in
    mJy: a number a spectrum, or one a channel.
    """

    velocity: np.ndarray
    flux: np.ndarray
    valid: np.ndarray
    rms: np.ndarray | float


def stack(spectra: Iterable[Channels], shape: tuple[int, int], dtype: type = float) -> Channels:
    """Stack spectra of at least two channels each.

    Parameters
    ----------
    spectra : iterable of Channels
        N spectra; taken one by one, so that a generator need not hold them all.
    shape : (N, L)
        Their number and the channels of the longest.
    dtype : type
        Data type of the flux.

    Returns
    -------
    Channels
        Shorter spectra are padded at their end with channels that are not valid, at the spacing of their last
        two. ``Spectra(**stack(...)._asdict(), ...)`` takes it as it is.
    """
    flux: np.ndarray = np.zeros(shape, dtype)
    velocity, valid, noise = np.empty(shape), np.zeros(shape, bool), []
    for row, one in enumerate(spectra):
        n = one.velocity.size
        step = one.velocity[-1] - one.velocity[-2]
        velocity[row, :n] = one.velocity
        velocity[row, n:] = one.velocity[-1] + step * np.arange(1, shape[1] - n + 1)
        flux[row, :n], valid[row, :n] = one.flux, one.valid
        noise.append(one.rms)
    if not any(map(np.ndim, noise)):
        return Channels(velocity, flux, valid, np.array(noise, dtype=float))
    rms = np.full(shape, np.nan)
    for row, values in enumerate(noise):
        rms[row, : np.size(values) if np.ndim(values) else None] = values
    return Channels(velocity, flux, valid, rms)
