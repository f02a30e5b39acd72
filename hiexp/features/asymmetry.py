"""Numbers that say how asymmetric a profile is, and of what shape."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from annotated_types import Gt
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.utils.validation import validate_data

from hiexp.errors import InputError
from hiexp.features.stateless import StatelessTransformer
from hiexp.mapped import parts_of

NAMES = ("A_flux", "peak_ratio", "centroid_offset", "residual", "W20_W50", "A_F", "A_C", "C_V", "K")
BLOCK = 32  # profiles worked on at a time: their samples stay in the processor's cache
HAIR = 1e-6  # samples; more than rounding moves the middle of a line
# Gauss-Legendre nodes and weights on 0..1, for integrals over the curve of growth.
NODES, WEIGHTS = (np.polynomial.legendre.leggauss(24) + np.array([[1], [0]])) / 2


class ProfileAsymmetry(StatelessTransformer):
    """Measure the asymmetry and the shape of each line.

    The line lies between its edges at 20 % of the peak, seen from outside; its *middle* is midway between them, its
    *centroid* the mean velocity between them, weighted by flux. No measure depends on the scale of flux or velocity,
    and the mirror image of a profile has the same values, its ``centroid_offset`` the opposite sign.

    ``A_flux``
        Flux on one side of the middle over that on the other, between the edges, the larger over the smaller
        (Haynes et al. 1998, AJ 115, 62; Espada et al. 2011, A&A 532, A117).
    ``peak_ratio``
        Highest sample on one side of the middle over that on the other, the larger over the smaller.
    ``centroid_offset``
        Centroid minus middle, over W20: positive where the high-velocity side has more flux.
    ``residual``
        Sum of ``|S(v) - S(-v)|`` over sum of ``|S(v)|``, v from the middle and between the edges: 0 for a symmetric
        line, 2 for one that has no flux on one side (Reynolds et al. 2020, MNRAS 493, 5089: A_spec, there about the
        systemic velocity, which a profile alone does not tell; Deg et al. 2020, MNRAS 495, 1984).
    ``W20_W50``
        Width at 20 % of the peak over that at 50 %: 1 for steep edges, sqrt(ln 5 / ln 2) for a Gaussian.
    ``A_F``, ``A_C``, ``C_V``, ``K``
        From the curve of growth, the flux within a distance of the central velocity as a function of that distance
        (Yu, Ho & Wang 2020, ApJ 898, 102; Yu et al. 2022, ApJS 261, 21). V85 is the distance that holds 85 % of the
        flux. A_F: ratio of the fluxes of both sides. A_C: ratio of the slopes of the straight lines that fit the
        curves of both sides best within V85. C_V: V85 over V25 (3.4 for a box, 4.5 for a Gaussian). K: area between
        the curve, both axes scaled to end at 1 at V85, and the diagonal (0 for a box, positive for a single peak,
        negative for two horns).
        The papers find the line and its flux by a noise threshold; here the central velocity is the centroid
        and the flux that of the whole window, since the window has been chosen around the line.

    A profile without emission (no positive peak, or flux that is not positive) has the values of a box.

    Parameters
    ----------
    limit : float
        Ratios end here: where the smaller side is too faint, or has no positive flux.
    """

    def __init__(self, limit: Annotated[float, Gt(1)] = 10.0) -> None:
        self.limit = limit

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Check the setting and the profiles, shape (N, n); there is nothing to learn.

        Raises
        ------
        InputError
            If `limit` is not greater than 1.
        """
        self._check()
        validate_data(self, X, ensure_min_features=2)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the measures, shape (N, 9), in the order of `get_feature_names_out`."""
        self._check()
        profiles = validate_data(self, X, reset=False)
        blocks = [_measure(part.astype(float), self.limit) for part in parts_of(profiles, BLOCK)]
        return np.concatenate(blocks)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the measures; `input_features` is there for scikit-learn and has no effect."""
        return np.array(NAMES, dtype=object)

    def _check(self) -> None:
        if not self.limit > 1:
            raise InputError(f"feature.limit={self.limit}: ratios end there; choose more than 1")


def _measure(profiles: np.ndarray, limit: float) -> np.ndarray:
    """Return the measures, shape (N, 9), of profiles, shape (N, n); positions are counted in samples."""
    from hiexp.spectral.widths import edges  # the package imports torch, which the other features can do without

    largest = np.abs(profiles).max(axis=1, keepdims=True)
    lines = np.divide(profiles, largest, out=np.zeros_like(profiles), where=largest > 0)
    sample = np.arange(lines.shape[1], dtype=float)
    everywhere = np.broadcast_to(sample, lines.shape)
    low, high = np.nan_to_num(edges(everywhere, lines, 0.2))
    area = _running_sum(lines)
    dark = (_at(area, high + 0.5) - _at(area, low + 0.5) <= 0) | (area[:, -1] <= 0)
    lines[dark], low[dark], high[dark], area[dark] = 1, sample[0], sample[-1], np.append(sample, len(sample))
    low50, high50 = edges(everywhere, lines, 0.5)

    middle, width = (low + high) / 2, high - low
    below_low, below_middle, below_high = (_at(area, bound + 0.5) for bound in (low, middle, high))
    moment = _running_sum(lines * (sample - sample.mean()))
    mean = (_at(moment, high + 0.5) - _at(moment, low + 0.5)) / (below_high - below_low)
    centroid = np.clip(sample.mean() + mean, low, high)

    away = (np.arange(len(sample) // 2) + 0.5) / (len(sample) // 2) * width[:, None] / 2
    left, right = _at(lines, middle[:, None] - away), _at(lines, middle[:, None] + away)
    difference, total = np.abs(right - left).sum(axis=1), (np.abs(left) + np.abs(right)).sum(axis=1)
    # A sample in the middle is on both sides, whatever the rounding of the middle.
    lower_peak = np.where(sample <= middle[:, None] + HAIR, lines, 0).max(axis=1)
    upper_peak = np.where(sample >= middle[:, None] - HAIR, lines, 0).max(axis=1)
    return np.stack(
        [
            _ratio(below_middle - below_low, below_high - below_middle, limit),
            _ratio(lower_peak, upper_peak, limit),
            np.clip((centroid - middle) / width, -0.5, 0.5),
            2 * np.divide(difference, total, out=np.zeros_like(total), where=total > 0),
            _ratio(width, high50 - low50, limit),
            *_growth(area, centroid + 0.5, limit),
        ],
        axis=1,
    )


def _growth(area: np.ndarray, centre: np.ndarray, limit: float) -> tuple[np.ndarray, ...]:
    """Return A_F, A_C, C_V and K, shape (N,) each, from running sums and the indices of the centres in them."""
    around = _around(area, centre)
    reach = around.shape[1] // 2
    curve = around[:, reach:] - around[:, reach::-1]
    flux, at_centre = curve[:, -1], around[:, [reach]]
    v25, v85 = _first_reach(curve, 0.25 * flux), _first_reach(curve, 0.85 * flux)
    distance = v85[:, None] * NODES
    lower = at_centre - _at(area, centre[:, None] - distance)
    upper = _at(area, centre[:, None] + distance) - at_centre
    # The slope of the straight line that fits F(t) best on 0..1 is 12 times the integral of (t - 1/2) F(t).
    slope = 12 * WEIGHTS * (NODES - 0.5)
    inner_flux = np.maximum(0.85 * flux, np.finfo(float).tiny)
    return (
        _ratio(around[:, reach] - around[:, 0], around[:, -1] - around[:, reach], limit),
        _ratio(lower @ slope, upper @ slope, limit),
        _ratio(v85, v25, limit),
        np.clip((lower + upper) @ WEIGHTS / inner_flux - 0.5, -0.5, 0.5),
    )


def _around(curves: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Interpolate curves, shape (N, m), at -m, ..., m from fractional indices, shape (N,); beyond, take the ends."""
    n, m = curves.shape
    longer = np.pad(curves, ((0, 0), (m + 1, m + 1)), mode="edge")
    below = centre.astype(np.intp)
    near = sliding_window_view(longer, 2 * m + 2, axis=1)[np.arange(n), below + 1]
    share = (centre - below)[:, None]
    return (1 - share) * near[:, :-1] + share * near[:, 1:]


def _running_sum(values: np.ndarray) -> np.ndarray:
    """Return the sums of the first 0, 1, ... n values of each row, shape (N, n + 1)."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def _at(curves: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Interpolate curves, shape (N, m), at fractional indices, shape (N,) or (N, k); beyond, take the ends."""
    index = np.clip(index, 0, curves.shape[1] - 1)
    below = np.minimum(index.astype(np.intp), curves.shape[1] - 2)
    first = below + (np.arange(len(curves)) * curves.shape[1]).reshape(-1, *[1] * (index.ndim - 1))
    share = index - below
    return (1 - share) * curves.take(first) + share * curves.take(first + 1)


def _first_reach(curves: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the fractional index where each curve, 0 at first, reaches its level, shape (N,)."""
    index = (curves >= level[:, None]).argmax(axis=1)
    rows = np.arange(len(curves))
    before, after = curves[rows, index - 1], curves[rows, index]
    return index - 1 + (level - before) / (after - before)


def _ratio(one: np.ndarray, other: np.ndarray, limit: float) -> np.ndarray:
    """Return the larger over the smaller, at most `limit`; 1 where neither is positive."""
    smaller, larger = np.minimum(one, other), np.maximum(one, other)
    far = smaller * limit <= larger
    ratio = np.divide(larger, smaller, out=np.full_like(larger, limit), where=~far)
    return np.where(larger > 0, ratio, 1.0)
