"""From spectra of unlike length to arrays."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from hiexp.mapped import LARGE, alike_rows, empty_rows


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
    flux, valid = empty_rows(shape, dtype), empty_rows(shape, bool)
    axes, noise = _Axes(shape), []
    for row, one in enumerate(spectra):
        n = one.velocity.size
        step = one.velocity[-1] - one.velocity[-2]
        beyond = one.velocity[-1] + step * np.arange(1, shape[1] - n + 1)
        axes.put(row, np.concatenate([one.velocity, beyond]))
        flux[row, :n], valid[row, :n] = one.flux, one.valid
        flux[row, n:], valid[row, n:] = 0, False
        noise.append(one.rms)
    if not any(map(np.ndim, noise)):
        return Channels(axes.stacked(), flux, valid, np.array(noise, dtype=float))
    rms = empty_rows(shape, float)
    for row, values in enumerate(noise):
        rms[row] = np.nan
        rms[row, : np.size(values) if np.ndim(values) else None] = values
    return Channels(axes.stacked(), flux, valid, rms)


class _Axes:
    """Velocities of N spectra: one row as long as all have the same to the bit."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._first = np.empty(shape[1])
        self._all: np.ndarray | None = None

    def put(self, row: int, velocity: np.ndarray) -> None:
        if row == 0:
            self._first[:] = velocity
        elif self._all is None and velocity.astype(float).tobytes() != self._first.tobytes():
            self._all = empty_rows(self._shape, float)
            self._all[:row] = self._first
        if self._all is not None:
            self._all[row] = velocity

    def stacked(self) -> np.ndarray:
        return alike_rows(self._first, self._shape[0]) if self._all is None else self._all


class Spool:
    """Spectra of any length on the disk, until all are read and it is known how many there are and how long.

    Few of them stay in memory.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(LARGE)  # noqa: SIM115  closed when nobody has the spool
        weakref.finalize(self, self._file.close)
        self._number = 0
        self.longest = 0

    def __len__(self) -> int:
        return self._number

    def add(self, channels: Channels) -> None:
        """Add a spectrum."""
        for values in channels:
            np.save(self._file, np.asarray(values))
        self._number += 1
        self.longest = max(self.longest, channels.velocity.size)

    def __iter__(self) -> Iterator[Channels]:
        self._file.seek(0)
        for _ in range(self._number):
            yield Channels(*(np.load(self._file) for _ in Channels._fields))
