"""What a receiver makes of the lines: a band of channels with noise, ripple and interference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hiexp.datasets.mock.channels import channel_velocities
from hiexp.datasets.mock.galaxies import BATCH, Galaxies
from hiexp.datasets.mock.noise import (
    add_spikes,
    draw_interference,
    draw_standing_waves,
    hanning_noise,
    standing_waves,
)
from hiexp.errors import InputError
from hiexp.spectra import Spectra


@dataclass(frozen=True)
class Receiver:
    """A receiver, by the keys of a dataset's configuration.

    Attributes
    ----------
    n_channels : int
        L.
    channel_khz : float
        Width of a channel, kHz.
    ripple : float
        Typical amplitude of each standing wave, in rms.
    rfi : float
        Mean number of interference spikes a spectrum.

    Raises
    ------
    InputError
        If a number is out of its range.
    """

    n_channels: int
    channel_khz: float
    ripple: float
    rfi: float

    def __post_init__(self) -> None:
        for name, least in (("n_channels", 3), ("channel_khz", 1.0), ("ripple", 0.0), ("rfi", 0.0)):
            if getattr(self, name) < least:
                raise InputError(f"dataset.{name}={getattr(self, name)}: must be at least {least:g}")

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
        velocity, flux = np.empty((n, length)), np.empty((n, length), dtype=dtype)
        offset = np.arange(length) - (length - 1) / 2
        for start in range(0, n, BATCH):
            rows = slice(start, start + BATCH)
            velocity[rows] = channel_velocities(sky.centre[rows], offset, self.channel_khz)
            flux[rows] = hanning_noise(rng, rms[rows], length)
            if self.ripple:
                flux[rows] += standing_waves(waves[rows], length, self.channel_khz)
            column = sky.first[rows, None] + np.arange(sky.line.shape[1])
            inside = (column >= 0) & (column < length)
            line, _ = np.nonzero(inside)
            flux[start + line, column[inside]] += sky.line[rows][inside]
        add_spikes(flux, row, channel, height)
        catalogue = sky.truth.assign(n_rfi=np.bincount(row, minlength=n))
        return Spectra(
            ids=ids,
            velocity=velocity,
            flux=flux,
            rms=rms,
            valid=np.ones((n, length), dtype=bool),
            catalogue=catalogue.set_index(pd.Index(ids, name="id")),
            systemic=sky.truth["Vhel"].to_numpy(),
            reference=sky.classes,
        )
