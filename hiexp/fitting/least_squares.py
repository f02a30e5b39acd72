"""Non-linear least squares, thousands of small problems at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Curve(Protocol):
    """A curve with its derivatives."""

    def __call__(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """Return the curve (B, M) and its P derivatives, each (B, M), from x (B, M) and parameters (B, P)."""


DAMPING = 0.1  # Marquardt's lambda at the start, in units of the problem's own curvature
EASED, RAISED = 0.2, 3.0  # its factors after a step that went as foreseen and after one that was refused
MEMORY = {"cpu": 200_000, "cuda": 50_000_000}  # numbers in a Jacobian: on a CPU so few that its cache holds them
LEAVE = 1 / 16  # of the problems at work have to be finished before they are replaced
TRIM = 0.9  # working copies are cut when no problem needs more of their width
LEAST_DAMPING, HOPELESS_DAMPING = 1e-9, 1e9


class Solution(NamedTuple):
    """``parameters`` (B, P), ``chi2`` (B,) and whether each problem came to rest, ``converged`` (B,)."""

    parameters: Tensor
    chi2: Tensor
    converged: Tensor


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
    gradient points beyond stands still for that step. A problem that is finished makes room for the next one, so
    that the few that take many steps hold nobody up.

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
    # Longest first: the working copies shrink as the queue goes on to shorter ones.
    place = torch.arange(1, x.shape[1] + 1, device=x.device)
    length = torch.where(weight > 0, place, 0).amax(1)
    waiting = length.argsort(descending=True)

    def enter(rows: Tensor, width: int) -> _Work:
        """Return problems that have not been looked at yet: their first step leads to their start."""
        unseen, (_, p) = torch.full_like(found_chi2[rows], torch.inf), found.shape
        return _Work(
            rows=rows,
            x=x[rows, :width],
            y=y[rows, :width],
            weight=weight[rows, :width],
            theta=found[rows],
            lower=lower[rows],
            upper=upper[rows],
            chi2=unseen,
            slope=unseen.new_zeros(len(rows), p),
            curvature=torch.eye(p).to(unseen).repeat(len(rows), 1, 1),
            damping=torch.full_like(unseen, DAMPING / EASED),
            steps=torch.zeros_like(rows),
            at_rest=torch.zeros_like(rows, dtype=torch.bool),
        )

    width = int(length.max()) if len(length) else 0
    at_once = rows_at_once(found.shape[1], width, x.device)
    work, waiting = enter(waiting[:at_once], width), waiting[at_once:]
    while len(work.rows):
        work = _step(curve, work, tolerance)
        leaving = work.at_rest | (work.steps > max_steps)
        # To rearrange the batch for each problem that ends would take longer than to go on with some a little.
        if leaving.sum() < LEAVE * len(work.rows):
            continue
        done = work.rows[leaving]
        found[done], found_chi2[done], converged[done] = (
            value[leaving] for value in (work.theta, work.chi2, work.at_rest)
        )
        n_free = len(done)
        staying, coming = _Work._make(value[~leaving] for value in work), enter(waiting[:n_free], work.x.shape[1])
        work, waiting = _Work._make(torch.cat(pair) for pair in zip(staying, coming, strict=True)), waiting[n_free:]
        width = int(length[work.rows].max()) if len(work.rows) else 0
        if width < TRIM * work.x.shape[1]:
            shorter = {name: getattr(work, name)[:, :width].contiguous() for name in ("x", "y", "weight")}
            work = work._replace(**shorter)
    return Solution(found, found_chi2, converged & found_chi2.isfinite())


class _Work(NamedTuple):
    """The problems at work: where they stand, what they know there, and how far they have come."""

    rows: Tensor
    x: Tensor
    y: Tensor
    weight: Tensor
    theta: Tensor
    lower: Tensor
    upper: Tensor
    chi2: Tensor
    slope: Tensor
    curvature: Tensor
    damping: Tensor
    steps: Tensor
    at_rest: Tensor


def _step(curve: Curve, work: _Work, tolerance: float) -> _Work:
    """Try one step of each problem and take it where it is downhill; what is at rest stays."""
    theta, slope, curvature = work.theta, work.slope, work.curvature
    stuck = ((theta <= work.lower) & (slope <= 0)) | ((theta >= work.upper) & (slope >= 0))
    trial = torch.clamp(theta + _damped_step(curvature, slope, work.damping, stuck), work.lower, work.upper)
    step = trial - theta
    expected = (step * (2 * slope - (curvature @ step[:, :, None])[:, :, 0])).sum(1)
    new_chi2, new_curvature, new_slope = _expand(curve, work.x, work.y, work.weight, trial)
    gain = work.chi2 - new_chi2
    taken = (gain > 0) & ~work.at_rest  # False where the trial is not a number
    eased = torch.where(gain > 0.5 * expected, EASED, torch.where(gain < 0.1 * expected, 2.0, 1.0))
    damping = (work.damping * torch.where(taken, eased, RAISED)).clamp_min(LEAST_DAMPING)
    chi2 = torch.where(taken, new_chi2, work.chi2)
    settled = (gain.abs() <= tolerance * chi2) & (expected <= tolerance * chi2)
    return work._replace(
        theta=torch.where(taken[:, None], trial, theta),
        chi2=chi2,
        slope=torch.where(taken[:, None], new_slope, slope),
        curvature=torch.where(taken[:, None, None], new_curvature, curvature),
        damping=damping,
        steps=work.steps + 1,
        at_rest=work.at_rest | settled | (damping > HOPELESS_DAMPING),
    )


def linear_least_squares(curve: Curve, x: Tensor, y: Tensor, weight: Tensor, start: Tensor) -> Solution:
    """Minimise the same chi2 where the curve is linear in all parameters that it depends on, in a single step.

    Parameters and result as of `least_squares`; parameters without effect stay at their `start`.
    """
    found, chi2 = start.clone(), torch.empty_like(start[:, 0])
    for rows in torch.arange(len(x), device=x.device).split(rows_at_once(start.shape[1], x.shape[1], x.device)):
        chi2[rows], curvature, slope = _expand(curve, x[rows], y[rows], weight[rows], start[rows])
        undamped = torch.zeros_like(chi2[rows])
        step = _damped_step(curvature, slope, undamped, torch.zeros_like(slope, dtype=torch.bool))
        found[rows] += step
        chi2[rows] -= (slope * step).sum(1)
    return Solution(found, chi2, found.isfinite().all(1) & chi2.isfinite())


def rows_at_once(n_parameters: int, n_channels: int, device: torch.device) -> int:
    """Return how many problems to work on at a time, such that their Jacobian fits the memory meant for it."""
    return max(MEMORY[device.type] // max(n_parameters * n_channels, 1), 16)


def weighted_jacobian(derivatives: Sequence[Tensor], weight: Tensor) -> Tensor:
    """Return P derivatives times the weights, each of shape (B, M), as one array (B, P, M)."""
    jacobian = weight.new_empty(len(weight), len(derivatives), weight.shape[1])
    for i, derivative in enumerate(derivatives):
        torch.mul(derivative, weight, out=jacobian[:, i])
    return jacobian


def _expand(curve: Curve, x: Tensor, y: Tensor, weight: Tensor, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return chi2 (B,), half its Gauss-Newton Hessian (B, P, P), and half its downward gradient (B, P)."""
    value, derivatives = curve(x, theta)
    residual = (y - value) * weight
    jacobian = weighted_jacobian(derivatives, weight)
    return residual.square().sum(1), jacobian @ jacobian.mT, (jacobian * residual[:, None]).sum(2)


def _damped_step(curvature: Tensor, slope: Tensor, damping: Tensor, stuck: Tensor) -> Tensor:
    """Solve (H + damping diag H) step = slope in units of sqrt(diag H), without the parameters that are stuck."""
    diagonal = curvature.diagonal(dim1=1, dim2=2)
    stuck = stuck | (diagonal <= 0)  # a parameter without effect, such as the exponent of a term of height 0
    unit = torch.where(stuck, 0.0, diagonal.clamp_min(torch.finfo(slope.dtype).tiny).rsqrt())
    scaled = curvature * unit[:, :, None] * unit[:, None]
    scaled.diagonal(dim1=1, dim2=2).copy_(torch.where(stuck, 1.0, 1 + damping[:, None]))
    factor, _ = torch.linalg.cholesky_ex(scaled)  # where it fails the step is refused and the damping raised
    return torch.cholesky_solve((slope * unit)[:, :, None], factor)[:, :, 0] * unit
