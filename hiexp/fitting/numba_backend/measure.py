"""What astronomers measure on a fitted curve, one curve after the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numba import boolean, float64, int64, njit, void
from torch import Tensor

from hiexp.fitting.backend import (
    COARSER,
    DEVIATES,
    FAINTEST_THRESHOLD,
    GRID,
    NEWTON_STEPS,
    SLOPE_REACH,
    Measurements,
)
from hiexp.fitting.measurements import OUTER, PASS_FORMULAS, line_measurements, width_levels
from hiexp.fitting.numba_backend.curves import CURVE, MATRIX, OPTIONS, VECTOR, kernel

# Columns of what the kernels write, in the order of PASS_FORMULAS; behind them stand the widths.
POSITION, PEAK, FLUX, ASYMMETRY, WIDTHS = range(len(PASS_FORMULAS) + 1)
TINY = np.finfo(float).tiny
_DEVIATES = np.array(DEVIATES)
_WEIGHTS = torch.softmax(-(torch.tensor(DEVIATES, dtype=torch.float64) ** 2) / 2, 0).numpy()


def measure(curve: Callable, parameters: Tensor, covariances: Tensor, low: Tensor, high: Tensor) -> Measurements:
    """Measure the line in each fitted curve as `hiexp.fitting.torch_backend.measure` does, for a compiled curve."""
    widths = width_levels()
    levels = np.array([*widths.values(), *reversed(widths.values())])
    columns = parameters.new_empty(len(parameters), WIDTHS + len(widths))
    errors, ends = torch.empty_like(columns), parameters.new_empty(len(parameters), 2)
    cut = torch.empty(len(parameters), dtype=torch.bool)
    given = (values.contiguous().numpy() for values in (parameters, covariances, low, high))
    written = (values.numpy() for values in (columns, errors, ends, cut))
    _measure_all(curve, *given, levels, list(widths).index(OUTER), *written)
    names = (*PASS_FORMULAS, *widths)
    by_name, errors_by_name = (dict(zip(names, part.unbind(1), strict=True)) for part in (columns, errors))
    values = {name: by_name[name] for name in line_measurements()}
    return Measurements(values, errors_by_name, ends[:, 0], ends[:, 1], cut)


@njit(**OPTIONS)
def _spread_out(grid, low, high):
    for i in range(grid.size):
        grid[i] = low + (high - low) * (i / (grid.size - 1))


@njit(**OPTIONS)
def _extent(velocity, profile):
    """Return where the line around the highest sample has faded away, or the window's ends."""
    top = profile.argmax()
    faint = FAINTEST_THRESHOLD * profile[top]
    before, after = top - 1, top + 1  # a line narrower than a step may fade between two samples
    while before > 0 and not profile[before] < faint:
        before -= 1
    while after < profile.size - 1 and not profile[after] < faint:
        after += 1
    return velocity[max(before, 0)], velocity[min(after, profile.size - 1)]


@njit(**OPTIONS)
def _vertex(profile, top):
    """Return how far the vertex of the parabola through three samples is from the middle one, in samples."""
    left, middle, right = profile[top - 1], profile[top], profile[top + 1]
    bend = left - 2 * middle + right
    return min(max((left - right) / (2 * bend), -1.0), 1.0) if bend < 0 else 0.0


@njit(**OPTIONS)
def _crossing(velocity, profile, threshold, from_left):
    """Return where a profile passes a threshold, taken as straight between samples, and if it is cut off there."""
    last = profile.size - 1
    outwards = -1 if from_left else 1
    inside = 0 if from_left else last
    while 0 <= inside - outwards <= last and not profile[inside] >= threshold:
        inside -= outwards
    outside = min(max(inside + outwards, 0), last)
    inner, outer = profile[inside], profile[outside]
    share = (threshold - outer) / (inner - outer) if inner > outer else 0.0
    return velocity[outside] + share * (velocity[inside] - velocity[outside]), inside == outside


@njit(**OPTIONS)
def _integral_up_to(profile, end):
    """Integrate a piecewise linear profile from its first sample to `end`, both counted in samples."""
    last = profile.size - 2
    sample = 0 if not end > 0 else last if end >= last else int(end)
    beyond = end - sample
    total = 0.0
    for i in range(sample + 1):
        total += profile[i]
    left, right = profile[sample], profile[sample + 1]
    return total - (profile[0] + left) / 2 + beyond * (left + (right - left) * beyond / 2)


@njit(**OPTIONS)
def _edge_error(certainty, from_left):
    """Return how far the first reach of a level scatters, in samples.

    `certainty` says by how many of its standard deviations each sample stands above the level. A curve that comes
    out k standard deviations lower reaches it where this first exceeds k.
    """
    n = certainty.size
    highest = certainty[certainty.argmax()]
    sample, before, here = 0, -np.inf, certainty[0] if from_left else certainty[n - 1]
    places = np.empty(_DEVIATES.size)
    for k in range(places.size):
        deviate = min(_DEVIATES[k], highest)
        while sample < n - 1 and (sample == 0 or here < deviate):
            sample += 1
            before, here = here, max(here, certainty[sample if from_left else n - 1 - sample])
        places[k] = sample + min(max((deviate - before) / max(here - before, TINY), 0.0), 1.0)
    mean, variance = 0.0, 0.0
    for k in range(places.size):
        mean += _WEIGHTS[k] * places[k]
    for k in range(places.size):
        variance += _WEIGHTS[k] * (places[k] - mean) ** 2
    return np.sqrt(variance)


@njit(**OPTIONS)
def _below(end, place, step):
    """Return how much of the step around a sample lies below an end."""
    return min(max((end - place) / step + 0.5, 0.0), 1.0)


@njit(**OPTIONS)
def _covariance_of(covariances, by_left, by_right):
    total = 0.0
    for p in range(by_left.size):
        for q in range(by_right.size):
            total += by_left[p] * covariances[p, q] * by_right[q]
    return total


@njit(**OPTIONS)
def _standard_deviation(covariances, by_parameters):
    variance = _covariance_of(covariances, by_parameters, by_parameters)
    return np.sqrt(variance) if variance > 0 else np.nan


@njit(**OPTIONS)
def _variances(covariances, by):
    """Return those of a curve with these derivatives, (P, M), and its covariances with the last place, (M,)."""
    p, m = by.shape
    variance, with_last, row = np.zeros(m), np.zeros(m), np.empty(m)
    for q in range(p):
        shared = 0.0
        for r in range(p):
            shared += covariances[q, r] * by[r, m - 1]
        for i in range(m):
            row[i] = covariances[q, q] * by[q, i]
        for r in range(q):
            for i in range(m):
                row[i] += 2 * covariances[q, r] * by[r, i]
        for i in range(m):
            variance[i] += row[i] * by[q, i]
            with_last[i] += shared * by[q, i]
    return variance, with_last


@njit(**OPTIONS)
def _line(curve, theta, low, high, levels, outer, found):
    """Measure the line between two velocities.

    Levels stand as the edges do, from left to right; `outer` is the number of the outer one. Returns samples (GRID,)
    of where the line is, the summit, the edges, how steep the curve is there, infinitely if it is cut off, whether it
    is at the outer edges, and the halves of the flux.
    """
    velocity, profile, derivatives = np.empty(GRID), np.empty(GRID), np.empty((theta.size, GRID))
    _spread_out(velocity, low, high)
    curve(velocity, theta, profile, derivatives)
    low, high = _extent(velocity, profile)
    _spread_out(velocity, low, high)
    curve(velocity, theta, profile, derivatives)
    step = velocity[1] - velocity[0]
    top = min(max(profile.argmax(), 1), GRID - 2)
    summit = velocity[top] + _vertex(profile, top) * step
    n = levels.size
    at, here, by_here = np.empty(3 * n), np.empty(3 * n), np.empty((theta.size, 3 * n))
    for i in range(at.size):
        at[i] = summit
    curve(at, theta, here, by_here)
    peak = here[0]
    edges, cut, steepness = np.empty(n), np.empty(n, np.bool_), np.empty(n)
    for e in range(n):
        edges[e], cut[e] = _crossing(velocity, profile, levels[e] * peak, e < n // 2)
    for _ in range(NEWTON_STEPS):
        for e in range(n):
            at[e], at[n + e], at[2 * n + e] = edges[e], edges[e] - SLOPE_REACH * step, edges[e] + SLOPE_REACH * step
        curve(at, theta, here, by_here)
        for e in range(n):
            steepness[e] = (here[2 * n + e] - here[n + e]) / (2 * SLOPE_REACH * step)
            if cut[e] or steepness[e] == 0:
                steepness[e] = np.inf
            edges[e] -= min(max((here[e] - levels[e] * peak) / steepness[e], -step), step)
    flux, moment = -(profile[0] + profile[-1]) / 2, -(profile[0] * velocity[0] + profile[-1] * velocity[-1]) / 2
    for i in range(GRID):
        flux += profile[i]
        moment += profile[i] * velocity[i]
    first, last = edges[outer], edges[n - 1 - outer]
    middle = _integral_up_to(profile, ((first + last) / 2 - velocity[0]) / step)
    lower = step * (middle - _integral_up_to(profile, (first - velocity[0]) / step))
    upper = step * (_integral_up_to(profile, (last - velocity[0]) / step) - middle)
    found[POSITION], found[PEAK], found[FLUX] = moment / flux, peak, flux * step / 1000
    found[ASYMMETRY] = max(lower / upper, upper / lower)
    for k in range(n // 2):
        found[WIDTHS + k] = edges[n - 1 - k] - edges[k]
    return velocity, summit, edges, steepness, cut[outer] or cut[n - 1 - outer], lower, upper


@njit(**OPTIONS)
def _errors(curve, theta, covariances, levels, outer, line, found, errors):
    """Propagate the covariance of the parameters to what `_line` has measured."""
    velocity, summit, edges, steepness, lower, upper = line
    p, n, step = theta.size, (GRID - 1) // COARSER + 1, COARSER * (velocity[1] - velocity[0])
    n_edges, far = edges.size, edges.size - 1 - outer
    ratio, ends = lower / upper, (edges[outer], (edges[outer] + edges[far]) / 2, edges[far])
    size = n + n_edges + 2
    places, samples, by = np.empty(size), np.empty(size), np.empty((p, size))
    for i in range(n):
        places[i] = velocity[COARSER * i]
    for e in range(n_edges):
        places[n + 1 + e] = edges[e]
    places[n], places[size - 1] = ends[1], summit
    curve(places, theta, samples, by)
    weights = np.empty((3, n))  # of the samples in the changes of position, flux and asymmetry
    for i in range(n):
        trapezoid = step / 2 if i == 0 or i == n - 1 else step
        weights[0, i] = (places[i] - found[POSITION]) / (1000 * found[FLUX]) * trapezoid
        weights[1, i] = trapezoid / 1000
        # The lower half less `ratio` times the upper one, as the curve changes and as the ends move.
        beyond = _below(ends[0], places[i], step) + ratio * _below(ends[2], places[i], step)
        weights[2, i] = step * ((1 + ratio) * _below(ends[1], places[i], step) - beyond)
    by_edges, linear = np.empty((n_edges, p)), np.empty((WIDTHS, p))
    for q in range(p):
        for e in range(n_edges):
            # An edge moves such that it stays where the curve passes the level (implicit differentiation).
            by_edges[e, q] = (levels[e] * by[q, size - 1] - by[q, n + 1 + e]) / steepness[e]
        moved = (1 + ratio) * samples[n] * (by_edges[outer, q] + by_edges[far, q]) / 2
        moved -= samples[n + 1 + outer] * by_edges[outer, q] + ratio * samples[n + 1 + far] * by_edges[far, q]
        by_position, by_flux, by_halves = 0.0, 0.0, moved
        for i in range(n):
            by_position += by[q, i] * weights[0, i]
            by_flux += by[q, i] * weights[1, i]
            by_halves += by[q, i] * weights[2, i]
        linear[POSITION, q], linear[PEAK, q], linear[FLUX, q] = by_position, by[q, size - 1], by_flux
        linear[ASYMMETRY, q] = by_halves / upper / min(ratio, 1.0) ** 2
    for k in range(WIDTHS):
        errors[k] = _standard_deviation(covariances, linear[k])
    variance, with_peak = _variances(covariances, by)
    certainty = np.empty(n)
    for k in range(n_edges // 2):
        level, left, right = levels[k], by_edges[k], by_edges[n_edges - 1 - k]
        for i in range(n):
            spread = variance[i] - 2 * level * with_peak[i] + level**2 * variance[size - 1]
            certainty[i] = (samples[i] - level * samples[size - 1]) / np.sqrt(max(spread, TINY))
        from_low, from_high = _edge_error(certainty, True) * step, _edge_error(certainty, False) * step
        alike = _covariance_of(covariances, left, right)
        alike /= _standard_deviation(covariances, left) * _standard_deviation(covariances, right)
        errors[WIDTHS + k] = np.sqrt(from_low**2 + from_high**2 - 2 * alike * from_low * from_high)


@kernel(void(CURVE, MATRIX, float64[:, :, ::1], VECTOR, VECTOR, VECTOR, int64, MATRIX, MATRIX, MATRIX, boolean[::1]))
def _measure_all(curve, parameters, covariances, low, high, levels, outer, columns, errors, ends, cut):
    for row in range(len(parameters)):
        theta, found = parameters[row], columns[row]
        velocity, summit, edges, steepness, cut[row], lower, upper = _line(
            curve, theta, low[row], high[row], levels, outer, found
        )
        line = velocity, summit, edges, steepness, lower, upper
        _errors(curve, theta, covariances[row], levels, outer, line, found, errors[row])
        ends[row, 0], ends[row, 1] = edges[outer], edges[edges.size - 1 - outer]
        measured = found[PEAK] > 0
        for k in range(found.size):
            measured &= np.isfinite(found[k])
        if not measured:
            for k in range(found.size):
                found[k] = np.nan
