"""Non-linear least squares, thousands of small problems at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hiexp.fitting.backend import (
    DAMPING,
    DAMPING_DECREASE,
    DAMPING_INCREASE,
    LEAST_DAMPING,
    MAX_DAMPING,
    RIDGE,
    Curve,
    Derivatives,
    Solution,
)

MEMORY = {"cpu": 200_000, "cuda": 50_000_000}  # numbers in a Jacobian: on a CPU so few that its cache holds them


def least_squares(
    curve: Curve,
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    start: Tensor,
    lower: Tensor,
    upper: Tensor,
    max_steps: int = 200,
    tolerance: float = 1e-4,
) -> Solution:
    """Minimise each chi2 = sum (weight (y - curve))^2 within bounds by Levenberg and Marquardt's method.

    Every problem has its own damping (Marquardt 1963, SIAM J. Appl. Math. 11, 431). A parameter at a bound that its
    gradient points beyond stands still for that step. A problem that is finished leaves, so that the few that take
    many steps hold nobody up.

    Parameters
    ----------
    curve : callable
        From `x` and parameters to values and derivatives.
    x, y, weight : Tensor, shape (B, M)
        Abscissa, data, and the inverse of each datum's noise: 0 leaves it out.
    start, lower, upper : Tensor, shape (B, P)
        Where to begin, and bounds; a parameter whose bounds are equal is fixed.
    max_steps : int
        Steps, refused ones included.
    tolerance : float
        Finished when a step gains no more than this fraction of chi2, and was expected to gain no more.

    Returns
    -------
    Solution
        The best parameters met; never worse than the start.
    """
    found = torch.minimum(torch.maximum(start, lower), upper)
    found_chi2, converged = torch.full_like(found[:, 0], torch.inf), torch.zeros_like(found[:, 0], dtype=torch.bool)
    place = torch.arange(1, x.shape[1] + 1, device=x.device)
    length = torch.where(weight > 0, place, 0).amax(1)
    rows = length.argsort(descending=True)  # so that those looked at together are about as long
    data = _Data(x[rows], y[rows], weight[rows], length[rows])
    work = _Work(
        rows=rows,
        theta=found[rows],
        lower=lower[rows],
        upper=upper[rows],
        **_expand(curve, data, found[rows])._asdict(),
        damping=torch.full_like(found_chi2, DAMPING),
    )
    for step in range(1, max_steps + 1):
        work, at_rest = _step(curve, data, work, tolerance)
        done = (at_rest if step < max_steps else torch.ones_like(at_rest)).nonzero()[:, 0]
        if not len(done):
            continue
        row = work.rows[done]
        found[row], found_chi2[row], converged[row] = work.theta[done], work.chi2[done], at_rest[done]
        going_on = (~at_rest).nonzero()[:, 0]
        if not len(going_on):
            break
        data = _Data._make(value.index_select(0, going_on) for value in data)
        work = _Work._make(value.index_select(0, going_on) for value in work)
    return Solution(found, found_chi2, converged & found_chi2.isfinite())


class _Data(NamedTuple):
    """What curves are fitted to, as of `least_squares`, and up to where, ``length`` (B,): the longest first."""

    x: Tensor
    y: Tensor
    weight: Tensor
    length: Tensor


class _Expansion(NamedTuple):
    """``chi2`` (B,) about some parameters, half its Gauss-Newton Hessian (B, P, P) and half its downward gradient."""

    chi2: Tensor
    curvature: Tensor
    slope: Tensor


class _Work(NamedTuple):
    """The problems at work: where they stand, what they know there, and how far they have come."""

    rows: Tensor
    theta: Tensor
    lower: Tensor
    upper: Tensor
    chi2: Tensor
    curvature: Tensor
    slope: Tensor
    damping: Tensor


def _step(curve: Curve, data: _Data, work: _Work, tolerance: float) -> tuple[_Work, Tensor]:
    """Try one step of each problem and take it where it is downhill; return also which came to rest, (B,)."""
    theta, slope, curvature = work.theta, work.slope, work.curvature
    stuck = torch.where(slope > 0, theta >= work.upper, theta <= work.lower)
    trial = torch.clamp(theta + _damped_step(curvature, slope, work.damping, stuck), work.lower, work.upper)
    step = trial - theta
    expected = _gain(curvature, slope, step)
    new = _expand(curve, data, trial)
    gain = work.chi2 - new.chi2
    taken = gain > 0  # False where the trial is not a number
    factor = torch.full_like(gain, DAMPING_DECREASE).masked_fill_(gain <= 0.5 * expected, 1.0)
    factor.masked_fill_(gain < 0.1 * expected, 2.0).masked_fill_(~taken, DAMPING_INCREASE)
    damping = (work.damping * factor).clamp_min_(LEAST_DAMPING)
    chi2 = torch.where(taken, new.chi2, work.chi2)
    settled = torch.maximum(gain.abs(), expected) <= tolerance * chi2
    work = work._replace(
        theta=torch.where(taken[:, None], trial, theta),
        chi2=chi2,
        slope=torch.where(taken[:, None], new.slope, slope),
        curvature=torch.where(taken[:, None, None], new.curvature, curvature),
        damping=damping,
    )
    return work, settled | (damping > MAX_DAMPING)


def linear_least_squares(curve: Curve, x: Tensor, y: Tensor, weight: Tensor, start: Tensor) -> Solution:
    """Minimise the same chi2 where the curve is linear in all parameters that it depends on, in a single step.

    Parameters and result as of `least_squares`; parameters without effect stay at their `start`.
    """
    length = torch.full_like(x[:, 0], x.shape[1], dtype=torch.long)
    chi2, curvature, slope = _expand(curve, _Data(x, y, weight, length), start)
    stuck = torch.zeros_like(slope, dtype=torch.bool)
    step = _damped_step(curvature, slope, torch.full_like(chi2, RIDGE), stuck)
    found, chi2 = start + step, chi2 - _gain(curvature, slope, step)
    return Solution(found, chi2, found.isfinite().all(1) & chi2.isfinite())


def expand(curve: Curve, x: Tensor, y: Tensor, weight: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return chi2 (B,) about some parameters, half its Gauss-Newton Hessian (B, P, P) and half its downward gradient.

    Arguments as of `least_squares`.
    """
    length = torch.full_like(x[:, 0], x.shape[1], dtype=torch.long)
    return _expand(curve, _Data(x, y, weight, length), parameters)


def products(
    curve: Curve, x: Tensor, weight: Tensor, parameters: Tensor, correlation: Tensor
) -> tuple[Tensor, Tensor]:
    """Return J J^T and J R J^T, each of shape (B, P, P), with J the curve's derivatives over the noise.

    Parameters
    ----------
    curve : callable
        From `x` and parameters to values and derivatives.
    x, weight : Tensor, shape (B, M)
        Abscissa, and the inverse of each datum's noise: 0 leaves it out.
    parameters : Tensor, shape (B, P)
        Where to differentiate.
    correlation : Tensor, shape (B, K)
        R: of the noise at lags of 1 to K channels.
    """
    jacobian = weighted_jacobian(curve(x, parameters)[1], weight)
    half = jacobian / 2  # J times one triangle of R, and half of the diagonal; the other is its mirror image
    for lag in range(1, min(correlation.shape[1], jacobian.shape[2] - 1) + 1):
        half[..., lag:].addcmul_(jacobian[..., :-lag], correlation[:, lag - 1, None, None])
    spread = jacobian @ half.mT
    return jacobian @ jacobian.mT, spread + spread.mT


def rows_at_once(n_parameters: int, n_channels: int, device: torch.device) -> int:
    """Return how many problems to work on at a time, such that their Jacobian fits the memory meant for it."""
    return max(MEMORY[device.type] // max(n_parameters * n_channels, 1), 16)


def weighted_jacobian(derivatives: Derivatives, weight: Tensor) -> Tensor:
    """Return P derivatives times the weights, each of shape (B, M), as one array (B, P, M)."""
    jacobian = weight.new_empty(len(weight), len(derivatives), weight.shape[1])
    for i, derivative in enumerate(derivatives):
        torch.mul(derivative, weight, out=jacobian[:, i])
    return jacobian


def _expand(curve: Curve, data: _Data, theta: Tensor) -> _Expansion:
    """Return chi2 and its derivatives at these parameters, (B, P)."""
    n, p = theta.shape
    products = theta.new_empty(n, p + 1, p + 1)
    start = 0
    while start < n:
        width = max(int(data.length[start]), 1)
        rows = slice(start, start + rows_at_once(p, width, theta.device))
        x, y, weight = data.x[rows, :width], data.y[rows, :width], data.weight[rows, :width]
        value, derivatives = curve(x, theta[rows])
        weighted = weighted_jacobian([*derivatives, y - value], weight)
        torch.bmm(weighted, weighted.mT, out=products[rows])
        start = rows.stop
    return _Expansion(products[:, p, p], products[:, :p, :p], products[:, :p, p])


def _gain(curvature: Tensor, slope: Tensor, step: Tensor) -> Tensor:
    """Return by how much chi2 falls in a step if it is a parabola, shape (B,)."""
    falling = torch.baddbmm(slope[:, :, None], curvature, step[:, :, None], beta=2, alpha=-1)[:, :, 0]
    return (step * falling).sum(1)


def _damped_step(curvature: Tensor, slope: Tensor, damping: Tensor, stuck: Tensor) -> Tensor:
    """Solve (H + damping diag H) step = slope in units of sqrt(diag H), without the parameters that are stuck."""
    diagonal = curvature.diagonal(dim1=1, dim2=2)
    stuck = stuck | (diagonal <= 0)  # a parameter without effect, such as the exponent of a term of height 0
    unit = diagonal.clamp_min(torch.finfo(slope.dtype).tiny).rsqrt_().masked_fill_(stuck, 0.0)
    scaled = (curvature * unit[:, :, None]).mul_(unit[:, None])
    scaled.diagonal(dim1=1, dim2=2).copy_((1 + damping)[:, None].expand_as(unit).masked_fill(stuck, 1.0))
    factor, _ = torch.linalg.cholesky_ex(scaled)  # where it fails the step is refused and the damping raised
    return torch.cholesky_solve((slope * unit)[:, :, None], factor)[:, :, 0] * unit
