"""What a receiver makes of the lines: a band of channels with noise, ripple and interference."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hiexp.datasets.mock.channels import channel_velocities
from hiexp.datasets.mock.galaxies import BATCH, Galaxies
from hiexp.datasets.mock.noise import (
    add_spikes,
    draw_interference,
    draw_standing_waves,
    smoothed_noise,
    standing_waves,
)
from hiexp.datasets.mock.smoothing import HANNING
from hiexp.errors import InputError
from hiexp.mapped import alike_rows, empty_rows
from hiexp.spectra import Spectra


@dataclass(frozen=True)
class Receiver:
    """A receiver, by the keys of a dataset's configuration.

    Attributes
    ----------
    n_channels : int
        L.
    channel_khz : float or ndarray, shape (N,)
        Width of a channel, kHz.
    ripple : float
        Typical amplitude of each standing wave, in rms.
    rfi : float
        Mean number of interference spikes a spectrum.
    smoothing : ndarray, shape (K,) or (N, K)
        Weights of the channels that a channel is the mean of.

    Raises
    ------
    InputError
        If a number is out of its range.
    """

    n_channels: int
    channel_khz: float | np.ndarray
    ripple: float
    rfi: float
    smoothing: np.ndarray = field(default_factory=lambda: HANNING)

    def __post_init__(self) -> None:
        for name, least in (("n_channels", 3), ("channel_khz", 1.0), ("ripple", 0.0), ("rfi", 0.0)):
            if np.min(getattr(self, name)) < least:
                raise InputError(f"dataset.{name}={np.min(getattr(self, name))}: must be at least {least:g}")

    def observe(self, sky: Galaxies, ids: np.ndarray, rng: np.random.Generator, dtype: type[np.floating]) -> Spectra:
        """Put the lines in their bands and add what the telescope adds.

        Parameters
        ----------
        sky : Galaxies
            N of them.
        ids : ndarray of str, shape (N,)
            Their names.
        rng : Generator
            Source of the noise.
        dtype : type
            Data type of the flux.
        """
        n, length = len(ids), self.n_channels
        rms = sky.truth["rms"].to_numpy()
        waves = draw_standing_waves(rng, self.ripple * rms)
        row, channel, height = draw_interference(rng, rms, self.rfi, length)
        velocity, flux = empty_rows((n, length), np.float64), empty_rows((n, length), dtype)
        offset = np.arange(length) - (length - 1) / 2
        khz = np.broadcast_to(self.channel_khz, n)
        kernel = np.broadcast_to(self.smoothing, (n, np.shape(self.smoothing)[-1]))
        for start in range(0, n, BATCH):
            rows = slice(start, start + BATCH)
            velocity[rows] = channel_velocities(sky.centre[rows], offset, khz[rows])
            flux[rows] = smoothed_noise(rng, rms[rows], length, kernel[rows])
            if self.ripple:
                flux[rows] += standing_waves(waves[rows], length, khz[rows])
            column = sky.first[rows, None] + np.arange(sky.line.shape[1])
            inside = (column >= 0) & (column < length)
            line, _ = np.nonzero(inside)
            flux[start + line, column[inside]] += sky.line[rows][inside]
        if row.size:
            add_spikes(flux, row, channel, height)
        catalogue = sky.truth.assign(n_rfi=np.bincount(row, minlength=n))
        return Spectra(
            ids=ids,
            velocity=velocity,
            flux=flux,
            rms=rms,
            valid=alike_rows(np.ones(length, dtype=bool), n),
            catalogue=catalogue.set_index(pd.Index(ids, name="id")),
            systemic=sky.truth["Vhel"].to_numpy(),
            reference=sky.classes,
        )
