"""The curve of growth: the flux within a velocity of the line's centre, as a function of that velocity."""

from __future__ import annotations

import numpy as np

REACH = 1.1  # half widths of the line from its middle, over which its flux-weighted mean is taken
FLAT = 1.4  # times that reach: so far the curve is followed, and between the two it is flat
SAMPLES = 160  # of the curve
FRACTIONS = (0.25, 0.75, 0.85, 0.95)  # of the flux, whose widths are measured
RISE = 0.85  # of the flux, up to which the curve rises


def growth_curve(velocity: np.ndarray, flux: np.ndarray, low: float, high: float) -> dict[str, np.ndarray]:
    """Measure spectra of one line by their curves of growth (Yu, Ho & Wang 2020, ApJ 898, 102; Yu et al. 2022).

    Parameters
    ----------
    velocity : ndarray, shape (L,)
        km/s, ascending.
    flux : ndarray, shape (R, L)
        mJy; R spectra of the line, under different noise for example.
    low, high : float
        Ends of the line, km/s.

    Returns
    -------
    dict of ndarray, shape (R,)
        ``v``, the flux-weighted mean velocity over the line and a tenth beyond; ``flux``, the median of the curve
        where it is flat (Jy km/s); ``v25``, ``v75``, ``v85``, ``v95``, the widths that hold these percentages of it
        (km/s); ``A_F``, the ratio of the fluxes of the two sides, the larger over the smaller; ``A_C``, that of the
        slopes of straight lines through the curve of either side up to 85 % of its flux; ``C_V`` = v85 / v25; ``K``,
        the area between the curve up to v85, both axes scaled to end at 1, and the diagonal: positive for a single
        peak, negative for two horns. NaN where the spectrum ends before the line does, or has no positive flux.
    """
    reach = REACH * (high - low) / 2
    middle = (low + high) / 2
    edges, area = running_integral(velocity, flux)
    first, last = np.searchsorted(velocity, [middle - reach, middle + reach])
    weight = flux[:, first:last] * np.diff(edges)[first:last]
    with np.errstate(all="ignore"):  # without flux, or without channels
        centre = (weight @ velocity[first:last]) / weight.sum(axis=1)
        farthest = np.minimum(FLAT * reach, np.minimum(centre - edges[0], edges[-1] - centre))
        farthest = np.where(farthest > reach, farthest, np.nan)[:, None]
        aside = np.linspace(0, 1, SAMPLES) * farthest
        at_centre = integral_to(edges, area, centre[:, None])
        above = integral_to(edges, area, centre[:, None] + aside) - at_centre
        below = at_centre - integral_to(edges, area, centre[:, None] - aside)
        flat = slice(int(SAMPLES / FLAT), None)  # before it no curve is
        totals = [_median(curve[:, flat], aside[:, flat] >= reach) for curve in (above + below, above, below)]
        total = np.where(totals[0] > 0, totals[0], np.nan)
        widths = {f"v{100 * part:.0f}": 2 * _first_reach(aside, above + below, part * total) for part in FRACTIONS}
        slopes = [
            _slope(aside, side, aside <= _first_reach(aside, side, RISE * whole)[:, None])
            for side, whole in zip((above, below), totals[1:], strict=True)
        ]
        half = widths["v85"][:, None] / 2
        scaled = np.where(aside <= half, (above + below) / (RISE * total[:, None]) - aside / half, 0.0)
        return {
            "v": np.where(np.isfinite(total), centre, np.nan),
            "flux": total / 1000,
            **widths,
            "A_F": larger_over_smaller(totals[1], totals[2]),
            "A_C": larger_over_smaller(*slopes),
            "C_V": widths["v85"] / widths["v25"],
            "K": np.where(np.isfinite(half[:, 0]), scaled.sum(axis=1) * (aside[:, 1] / half[:, 0]), np.nan),
        }


def larger_over_smaller(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the ratio of two fluxes, 1 or more; NaN where one of them is not positive."""
    ratio = np.where((one > 0) & (other > 0), one / other, np.nan)
    return np.where(ratio < 1, 1 / ratio, ratio)


def running_integral(velocity: np.ndarray, flux: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the channels, shape (L + 1,), and the flux up to each, mJy km/s, shape (R, L + 1)."""
    middles = (velocity[1:] + velocity[:-1]) / 2
    edges = np.concatenate([[2 * velocity[0] - middles[0]], middles, [2 * velocity[-1] - middles[-1]]])
    return edges, np.pad((flux * np.diff(edges)).cumsum(axis=1), ((0, 0), (1, 0)))


def integral_to(edges: np.ndarray, area: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Return the flux up to velocities, shape (R, M), each of its own spectrum."""
    known = np.nan_to_num(velocity, nan=edges[0])
    place = np.interp(known, edges, np.arange(edges.size))
    before = np.minimum(place.astype(int), edges.size - 2)
    share = place - before
    left, right = (np.take_along_axis(area, before + k, axis=1) for k in (0, 1))
    return np.where(np.isfinite(velocity), left + share * (right - left), np.nan)


def _median(curve: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the median of the samples where a mask is true, shape (R,); NaN where it never is."""
    chosen = np.sort(np.where(where, curve, np.inf), axis=1)
    count = where.sum(axis=1)
    rows = np.arange(len(curve))
    middle = [chosen[rows, np.maximum((count - k) // 2, 0)] for k in (0, 1)]
    return np.where(count > 0, np.mean(middle, axis=0), np.nan)


def _first_reach(aside: np.ndarray, curve: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return where a curve first reaches a level, shape (R,), linearly interpolated; NaN where it never does."""
    reached = curve >= level[:, None]
    place = reached.argmax(axis=1)
    rows, before = np.arange(len(curve)), np.maximum(place - 1, 0)
    low, high = curve[rows, before], curve[rows, place]
    share = np.where(high > low, (level - low) / (high - low), 0.0)
    found = aside[rows, before] + share * (aside[rows, place] - aside[rows, before])
    return np.where(reached.any(axis=1) & np.isfinite(level), found, np.nan)


def _slope(aside: np.ndarray, curve: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the slope of the straight line that fits the samples where a mask is true best, shape (R,)."""
    count = where.sum(axis=1, keepdims=True)
    x = np.where(where, aside - (aside * where).sum(axis=1, keepdims=True) / count, 0.0)
    return np.where(count[:, 0] > 1, (x * np.where(where, curve, 0.0)).sum(axis=1) / (x**2).sum(axis=1), np.nan)
