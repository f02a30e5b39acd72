"""Non-linear least squares, one problem after the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numba import boolean, float64, int64, njit, void
from torch import Tensor

from hiexp.fitting.backend import (
    DAMPING,
    DAMPING_DECREASE,
    DAMPING_INCREASE,
    LEAST_DAMPING,
    MAX_DAMPING,
    RIDGE,
    Solution,
)
from hiexp.fitting.line import LAGS
from hiexp.fitting.numba_backend.curves import CURVE, MATRIX, OPTIONS, VECTOR, kernel


def least_squares(
    curve: Callable,
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    start: Tensor,
    lower: Tensor,
    upper: Tensor,
    max_steps: int,
    tolerance: float,
) -> Solution:
    """Minimise each chi2 as `hiexp.fitting.torch_backend.least_squares` does, for a compiled curve, on the CPU."""
    found = torch.minimum(torch.maximum(start, lower), upper).contiguous()
    chi2, converged = torch.empty_like(found[:, 0]), torch.empty(len(found), dtype=torch.bool)
    arrays = (values.contiguous().numpy() for values in (x, y, weight, lower, upper, found, chi2, converged))
    _minimise_all(curve, *arrays, max_steps, tolerance)
    return Solution(found, chi2, converged)


def linear_least_squares(curve: Callable, x: Tensor, y: Tensor, weight: Tensor, start: Tensor) -> Solution:
    """Minimise chi2 of curves that are linear in all parameters that they depend on, in a single step."""
    found, chi2 = start.clone(memory_format=torch.contiguous_format), torch.empty_like(start[:, 0])
    _minimise_linear(curve, *(values.contiguous().numpy() for values in (x, y, weight, found, chi2)))
    return Solution(found, chi2, found.isfinite().all(1) & chi2.isfinite())


def expand(
    curve: Callable, x: Tensor, y: Tensor, weight: Tensor, parameters: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return chi2 about some parameters, half its Gauss-Newton Hessian and half its downward gradient."""
    chi2, slope = torch.empty_like(parameters[:, 0]), parameters.new_empty(parameters.shape)
    curvature = parameters.new_empty(*parameters.shape, parameters.shape[1])
    arrays = (x, y, weight, parameters, chi2, curvature, slope)
    _expand_all(curve, *(values.contiguous().numpy() for values in arrays))
    return chi2, curvature, slope


def products(
    curve: Callable, x: Tensor, weight: Tensor, parameters: Tensor, correlation: Tensor
) -> tuple[Tensor, Tensor]:
    """Return J J^T and J R J^T, shape (B, P, P), of which `hiexp.fitting.covariance.covariance` is made."""
    curvature = parameters.new_empty(*parameters.shape, parameters.shape[1])
    spread = torch.empty_like(curvature)
    arrays = (x, weight, parameters, correlation, curvature, spread)
    _multiply_all(curve, *(values.contiguous().numpy() for values in arrays))
    return curvature, spread


@njit(**OPTIONS)
def _used(weight):
    """Return where the channels with a weight begin and end."""
    first, last = 0, weight.size
    while first < last and weight[first] == 0:
        first += 1
    while last > first and weight[last - 1] == 0:
        last -= 1
    return first, last


@njit(**OPTIONS)
def _outer(left, right, product):
    """Write the symmetric product left right^T."""
    for p in range(left.shape[0]):
        for q in range(p + 1):
            a, b, total = left[p], right[q], 0.0
            for i in range(a.size):
                total += a[i] * b[i]
            product[p, q] = total
            product[q, p] = total


@njit(**OPTIONS)
def _expand(curve, x, y, weight, theta, residual, jacobian, curvature, slope):
    """Return chi2 at these parameters; write half its Gauss-Newton Hessian and half its downward gradient."""
    curve(x, theta, residual, jacobian)
    chi2 = 0.0
    for i in range(x.size):
        residual[i] = weight[i] * (y[i] - residual[i])
        chi2 += residual[i] * residual[i]
    for p in range(theta.size):
        row, total = jacobian[p], 0.0
        for i in range(x.size):
            row[i] *= weight[i]
            total += row[i] * residual[i]
        slope[p] = total
    _outer(jacobian, jacobian, curvature)
    return chi2


@njit(**OPTIONS)
def _damped_step(curvature, slope, damping, stuck, unit, factor, step):
    """Solve (H + damping diag H) step = slope by Cholesky's method, in units of sqrt(diag H); return if it can be."""
    n = slope.size
    for p in range(n):
        stuck[p] |= not curvature[p, p] > 0
        unit[p] = 0.0 if stuck[p] else 1 / np.sqrt(curvature[p, p])
    for p in range(n):
        total = slope[p] * unit[p]
        for q in range(p):
            rest = curvature[p, q] * unit[p] * unit[q]
            for k in range(q):
                rest -= factor[p, k] * factor[q, k]
            factor[p, q] = rest / factor[q, q]
            total -= factor[p, q] * step[q]
        pivot = 1.0 if stuck[p] else 1 + damping
        for k in range(p):
            pivot -= factor[p, k] * factor[p, k]
        if not pivot > 0:
            return False
        factor[p, p] = np.sqrt(pivot)
        step[p] = total / factor[p, p]
    for p in range(n - 1, -1, -1):
        for q in range(p + 1, n):
            step[p] -= factor[q, p] * step[q]
        step[p] /= factor[p, p]
    for p in range(n):
        step[p] *= unit[p]
    return True


@njit(**OPTIONS)
def _gain(curvature, slope, step):
    """Return by how much chi2 falls in a step if it is a parabola."""
    total = 0.0
    for p in range(step.size):
        falling = 2 * slope[p]
        for q in range(step.size):
            falling -= curvature[p, q] * step[q]
        total += step[p] * falling
    return total


@njit(**OPTIONS)
def _minimise(curve, x, y, weight, lower, upper, theta, max_steps, tolerance):
    """Move `theta` to the minimum; return chi2 there and whether it came to rest."""
    n = theta.size
    residual, jacobian = np.empty(x.size), np.empty((n, x.size))
    curvature, slope, new_curvature, new_slope = np.empty((n, n)), np.empty(n), np.empty((n, n)), np.empty(n)
    step, trial, unit, factor, stuck = np.empty(n), np.empty(n), np.empty(n), np.empty((n, n)), np.empty(n, np.bool_)
    chi2, damping = _expand(curve, x, y, weight, theta, residual, jacobian, curvature, slope), DAMPING
    for _ in range(max_steps):
        for p in range(n):
            stuck[p] = theta[p] >= upper[p] if slope[p] > 0 else theta[p] <= lower[p]
        gain, expected, new_chi2 = -np.inf, 0.0, np.inf
        if _damped_step(curvature, slope, damping, stuck, unit, factor, step):
            for p in range(n):
                trial[p] = min(max(theta[p] + step[p], lower[p]), upper[p])
                step[p] = trial[p] - theta[p]
            expected = _gain(curvature, slope, step)
            new_chi2 = _expand(curve, x, y, weight, trial, residual, jacobian, new_curvature, new_slope)
            gain = chi2 - new_chi2
        if gain > 0:  # False where the trial is not a number
            for p in range(n):
                theta[p] = trial[p]
            chi2, slope, new_slope = new_chi2, new_slope, slope
            curvature, new_curvature = new_curvature, curvature
            damping *= 2.0 if gain < 0.1 * expected else 1.0 if gain <= 0.5 * expected else DAMPING_DECREASE
            damping = max(damping, LEAST_DAMPING)
        else:
            damping *= DAMPING_INCREASE
        if max(abs(gain), expected) <= tolerance * chi2 or damping > MAX_DAMPING:
            return chi2, np.isfinite(chi2)
    return chi2, False


@kernel(void(CURVE, MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, VECTOR, boolean[::1], int64, float64))
def _minimise_all(curve, x, y, weight, lower, upper, theta, chi2, converged, max_steps, tolerance):
    for row in range(len(x)):
        first, last = _used(weight[row])
        data = x[row][first:last], y[row][first:last], weight[row][first:last]
        chi2[row], converged[row] = _minimise(curve, *data, lower[row], upper[row], theta[row], max_steps, tolerance)


@kernel(void(CURVE, MATRIX, MATRIX, MATRIX, MATRIX, VECTOR, float64[:, :, ::1], MATRIX))
def _expand_all(curve, x, y, weight, theta, chi2, curvature, slope):
    for row in range(len(x)):
        first, last = _used(weight[row])
        data = x[row][first:last], y[row][first:last], weight[row][first:last]
        residual, jacobian = np.empty(last - first), np.empty((theta.shape[1], last - first))
        chi2[row] = _expand(curve, *data, theta[row], residual, jacobian, curvature[row], slope[row])


@kernel(void(CURVE, MATRIX, MATRIX, MATRIX, MATRIX, VECTOR))
def _minimise_linear(curve, x, y, weight, theta, chi2):
    n = theta.shape[1]
    curvature, slope, step = np.empty((n, n)), np.empty(n), np.empty(n)
    unit, factor = np.empty(n), np.empty((n, n))
    for row in range(len(x)):
        first, last = _used(weight[row])
        data = x[row][first:last], y[row][first:last], weight[row][first:last]
        residual, jacobian = np.empty(last - first), np.empty((n, last - first))
        chi2[row] = _expand(curve, *data, theta[row], residual, jacobian, curvature, slope)
        if _damped_step(curvature, slope, RIDGE, np.zeros(n, np.bool_), unit, factor, step):
            chi2[row] -= _gain(curvature, slope, step)
            for p in range(n):
                theta[row, p] += step[p]
        else:
            chi2[row] = np.nan


@kernel(void(CURVE, MATRIX, MATRIX, MATRIX, MATRIX, float64[:, :, ::1], float64[:, :, ::1]))
def _multiply_all(curve, x, weight, theta, correlation, curvature, spread):
    n = theta.shape[1]
    for row in range(len(x)):
        first, last = _used(weight[row])
        size = last - first
        value, jacobian, shared = np.empty(size), np.empty((n, size)), np.empty((n, size))
        curve(x[row][first:last], theta[row], value, jacobian)
        padded = np.zeros(size + 2 * LAGS)
        for p in range(n):
            for i in range(size):
                jacobian[p, i] *= weight[row, first + i]
                padded[LAGS + i] = jacobian[p, i]
            for i in range(size):  # J R: every channel with its neighbours' share of its noise
                total = padded[LAGS + i]
                for lag in range(1, LAGS + 1):
                    total += correlation[row, lag - 1] * (padded[LAGS + i - lag] + padded[LAGS + i + lag])
                shared[p, i] = total
        _outer(jacobian, jacobian, curvature[row])
        _outer(jacobian, shared, spread[row])
