"""Edges, widths and flux asymmetry of line profiles, many at a time."""

from __future__ import annotations

import numpy as np

CLASS_LIMITS = (1.26, 1.39)  # A_flux: 2 and 3 sigma of isolated galaxies, Espada et al. 2011, A&A 532, A117
LOWEST_HORN, SHALLOWEST = 0.2, 0.01  # of the peak: no horn is lower, no trough less deep


def edges(velocity: np.ndarray, profile: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Find where each profile first and last reaches a fraction of its peak, seen from outside.

    Parameters
    ----------
    velocity : ndarray, shape (N, L)
        km/s, ascending.
    profile : ndarray, shape (N, L)
        Flux density in any unit, 0 outside the line.
    level : float
        Fraction of the peak: 0.5 for W50, 0.2 for W20.

    Returns
    -------
    low, high : ndarray, shape (N,)
        Velocities of the crossings, linearly interpolated between channels, km/s; the end of the axis where
        the profile does not fall below the level before it, NaN where it has no positive peak.
    """
    threshold = level * profile.max(axis=1)
    return _outermost(velocity, profile, threshold, threshold)


def horn_edges(velocity: np.ndarray, profile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find where each side of a profile without noise first reaches half of its own horn, seen from outside.

    The width between them is ALFALFA's W50. The trough is where a profile lies farthest below the lower of the
    highest points on either side, and these are the horns. Both reach 20 % of the peak. Where there is no trough,
    the one peak is both horns.

    Parameters
    ----------
    velocity : ndarray, shape (N, L)
        km/s, ascending.
    profile : ndarray, shape (N, L)
        Flux density in any unit, 0 outside the line.

    Returns
    -------
    low, high : ndarray, shape (N,)
        km/s, as of `edges`.
    """
    rows = np.arange(len(profile))
    peak = profile.max(axis=1)
    before = np.maximum.accumulate(profile, axis=1)
    after = np.maximum.accumulate(profile[:, ::-1], axis=1)[:, ::-1]
    second = np.minimum(before, after)
    depth = np.where(second >= LOWEST_HORN * peak[:, None], second - profile, 0)
    trough = depth.argmax(axis=1)
    double = depth[rows, trough] > SHALLOWEST * peak
    left, right = (np.where(double, highest[rows, trough], peak) for highest in (before, after))
    return _outermost(velocity, profile, left / 2, right / 2)


def _outermost(
    velocity: np.ndarray, profile: np.ndarray, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where profiles first reach `left` and last `right`, shape (N,); NaN where these are not positive."""
    first = (profile >= left[:, None]).argmax(axis=1)
    last = profile.shape[1] - 1 - (profile >= right[:, None])[:, ::-1].argmax(axis=1)
    low = _crossing(velocity, profile, left, first, -1)
    high = _crossing(velocity, profile, right, last, 1)
    return np.where(left > 0, low, np.nan), np.where(right > 0, high, np.nan)


def _crossing(
    velocity: np.ndarray, profile: np.ndarray, threshold: np.ndarray, inside: np.ndarray, step: int
) -> np.ndarray:
    """Interpolate between the channel `inside` the line and its neighbour outside, shape (N,)."""
    rows = np.arange(len(profile))
    outside = np.clip(inside + step, 0, profile.shape[1] - 1)
    rise = profile[rows, inside] - profile[rows, outside]
    share = np.divide(threshold - profile[rows, outside], rise, out=np.ones_like(rise), where=rise > 0)
    return velocity[rows, outside] + share * (velocity[rows, inside] - velocity[rows, outside])


def flux_between(velocity: np.ndarray, profile: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Integrate each profile between two velocities, channels at the ends counted in part.

    Parameters
    ----------
    velocity, profile : ndarray, shape (N, L)
        km/s, ascending, and mJy.
    low, high : ndarray, shape (N,)
        Limits, km/s.

    Returns
    -------
    ndarray, shape (N,)
        mJy km/s.
    """
    middles = (velocity[:, 1:] + velocity[:, :-1]) / 2
    first = velocity[:, :1] - (middles[:, :1] - velocity[:, :1])
    last = velocity[:, -1:] + (velocity[:, -1:] - middles[:, -1:])
    bounds = np.concatenate([first, middles, last], axis=1)
    covered = np.clip(bounds[:, 1:], low[:, None], high[:, None]) - np.clip(
        bounds[:, :-1], low[:, None], high[:, None]
    )
    return (profile * covered).sum(axis=1)


def flux_asymmetry(velocity: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """Compute A_flux, the ratio of the line's two halves (Haynes et al. 1998, AJ 115, 62; Espada et al. 2011).

    The halves lie between the edges at 20 % of the peak and are divided at the velocity midway between them.

    Parameters
    ----------
    velocity, profile : ndarray, shape (N, L)
        km/s, ascending, and mJy.

    Returns
    -------
    ndarray, shape (N,)
        The larger half over the smaller: 1 for a symmetric profile; NaN where a half has no positive flux.
    """
    low, high = edges(velocity, profile, 0.2)
    middle = (low + high) / 2
    lower = flux_between(velocity, profile, low, middle)
    upper = flux_between(velocity, profile, middle, high)
    positive = (lower > 0) & (upper > 0)
    ratio = np.divide(lower, upper, out=np.full_like(lower, np.nan), where=positive)
    return np.where(ratio < 1, 1 / ratio, ratio)


def asymmetry_class(a_flux: np.ndarray) -> np.ndarray:
    """Return 0 symmetric, 1 slightly, 2 strongly asymmetric by A_flux (Espada et al. 2011), any shape, no NaN."""
    return np.searchsorted(CLASS_LIMITS, a_flux, side="left")
