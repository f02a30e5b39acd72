"""Channels of fixed frequency, as an Arecibo spectrometer has them, and their velocities."""

from __future__ import annotations

import numpy as np

LIGHT = 299792.458  # km/s
REST = 1420.40575  # MHz, of the 21 cm line
CHANNEL_KHZ = 100e3 / 4096
"""ALFALFA's: 100 MHz in 4,096 channels. 5.15 km/s at rest, 5.5 at 9,500 km/s."""


def frequency_of(velocity: np.ndarray) -> np.ndarray:
    """Convert heliocentric velocities (optical convention, cz, km/s) to MHz."""
    return REST / (1 + velocity / LIGHT)


def velocity_of(frequency: np.ndarray) -> np.ndarray:
    """Convert MHz to heliocentric velocities (optical convention, cz, km/s)."""
    return LIGHT * (REST / frequency - 1)


def channel_velocities(centre: np.ndarray, offset: np.ndarray, channel_khz: float | np.ndarray) -> np.ndarray:
    """Return the velocities of the channels of each band.

    Parameters
    ----------
    centre : ndarray, shape (N,)
        Velocity in the middle of each band, km/s.
    offset : ndarray, shape (L,) or (N, L)
        Channels from there, counted towards higher velocity.
    channel_khz : float or ndarray, shape (N,)
        Width of a channel, kHz.

    Returns
    -------
    ndarray, shape (N, L)
        km/s, ascending, their steps growing with (1 + z)^2.
    """
    return velocity_of(frequency_of(centre)[:, None] - offset * column(channel_khz) / 1000)


def column(channel_khz: float | np.ndarray) -> np.ndarray:
    """Return what is one for all galaxies, or one each, to stand before their channels, shape (1, 1) or (N, 1)."""
    return np.reshape(channel_khz, (-1, 1))


def channel_widths(velocity: np.ndarray, channel_khz: float | np.ndarray) -> np.ndarray:
    """Return the width (km/s) of the channels centred on `velocity` (km/s); both of any shapes that go together."""
    frequency = frequency_of(velocity)
    half = channel_khz / 2000
    return velocity_of(frequency - half) - velocity_of(frequency + half)
