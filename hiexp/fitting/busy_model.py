"""The Busy Function: ``B(v) = a/4 [erf(b1 (w + v - xe)) + 1] [erf(b2 (w - v + xe)) + 1] [c |v - xp|^n + 1]``."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hiexp.fitting import numba_backend
from hiexp.fitting.backend import Expand
from hiexp.fitting.covariance import standard_deviations
from hiexp.fitting.model import Model
from hiexp.fitting.windows import Windows

PARAMETERS = {
    "a": "mJy",
    "b1": "s / km",
    "b2": "s / km",
    "c": "",  # (km/s)^-n, which differs from row to row
    "xe": "km / s",
    "xp": "km / s",
    "w": "km / s",
    "n": "",
}

# b1 = b2 per channel; w, xe, xp of the line found, in half widths of it; n.
Shape = tuple[float, float, float, float, float]


def _with_mirror_image(edge: float, w: float, xe: float, xp: float, n: float) -> tuple[Shape, ...]:
    return (edge, w, xe, xp, n), (edge, w, -xe, -xp, n)


STARTS: tuple[tuple[Shape, ...], ...] = (
    tuple((edge, 1.0, 0.0, xp, n) for edge in (0.1, 0.2, 0.4) for n in (1.0, 2.0, 4.0) for xp in (-0.4, 0.0, 0.4)),
    ((0.4, 0.45, 0.0, 0.0, 4.0),),
    _with_mirror_image(0.2, 1.6, 0.7, 1.5, 4.0),
    _with_mirror_image(0.4, 0.45, 0.4, 0.25, 4.0),
    _with_mirror_image(0.2, 0.45, 0.0, 0.6, 4.0),
    _with_mirror_image(0.2, 0.45, 0.0, 0.25, 1.5),
)
"""What the fit begins with: of each list the shape that is nearest to the data."""
LEAST_HORNS, MOST_HORNS = 0.05, 10.0  # of the box, a half width from the trough, where a fit begins
LEAST_BOX = 0.05  # of a box without horns

SHALLOWEST, STEEPEST = 0.02, 1.0  # b1 and b2, per half width and per channel
FARTHEST, WIDEST, NARROWEST = 3.0, 4.0, 0.02  # |xe| and |xp|, and w, in half widths
HIGHEST_EXPONENT = 16.0
CORE = (0.8, 12.0)  # widths of the line, and channels
NEAREST = 1e-9  # to xp, in half widths: there the logarithm and, for n < 1, the slope have no end


def busy(velocity: Tensor, parameters: Tensor) -> Tensor:
    """Return the Busy Function (Westmeier et al. 2014, MNRAS 438, 1176).

    Parameters
    ----------
    velocity : Tensor, shape (B, M)
        In the unit of xe, xp and w.
    parameters : Tensor, shape (B, 8)
        a, b1, b2, c, xe, xp, w, n.

    Returns
    -------
    Tensor, shape (B, M)
        In the unit of a.
    """
    a, b1, b2, c, xe, xp, w, n = parameters[:, :, None].unbind(1)
    left, right = torch.erf(b1 * (w + velocity - xe)) + 1, torch.erf(b2 * (w - velocity + xe)) + 1
    power = (n * (velocity - xp).abs().clamp_min(NEAREST).log()).exp()
    return a / 4 * left * right * (c * power + 1)


def by_height(velocity: Tensor, parameters: Tensor) -> Tensor:
    """Return the Busy Function of the parameters that are fitted: as `busy`, with h instead of c.

    h = c r^n, r^2 = (xp - xe)^2 + w^2, is the height of the horns over that of the box, about at the edges.
    The data know it much better than c, which changes by orders of magnitude when n or xp do.
    """
    return busy(velocity, with_c(parameters))


def with_c(fitted: Tensor) -> Tensor:
    """Return the parameters, shape (B, 8), with c instead of h."""
    a, b1, b2, h, xe, xp, w, n = fitted.unbind(1)
    return torch.stack([a, b1, b2, h * torch.exp(-n * _reach(xe, xp, w)), xe, xp, w, n], dim=1)


def reported(fitted: Tensor, covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Return the parameters with c instead of h, and their standard deviations, each of shape (B, 8)."""
    parameters, errors = with_c(fitted), standard_deviations(covariances)
    _, _, _, c, xe, xp, w, n = parameters.unbind(1)
    reach, aside = _reach(xe, xp, w), xp - xe
    slope = n * c * torch.exp(-2 * reach)
    by_fitted = torch.zeros_like(fitted)
    by_fitted[:, 3] = torch.exp(-n * reach)
    by_fitted[:, 4], by_fitted[:, 5], by_fitted[:, 6] = slope * aside, -slope * aside, -slope * w
    by_fitted[:, 7] = -c * reach
    errors[:, 3] = standard_deviations(covariances, by_fitted[:, None])[:, 0]
    return parameters, errors


def by_height_with_derivatives(velocity: Tensor, parameters: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
    """Return `by_height` and its derivatives by the eight parameters, each of shape (B, M)."""
    a, b1, b2, h, xe, xp, w, n = parameters[:, :, None].unbind(1)
    aside = xp - xe
    squared = aside**2 + w**2
    inside, outside = w + velocity - xe, w - velocity + xe
    p, q = b1 * inside, b2 * outside
    left, right = torch.erf(p) + 1, torch.erf(q) + 1
    from_trough = velocity - xp
    distance = from_trough.abs().clamp_min(NEAREST)
    logarithm = distance.log() - squared.log() / 2
    power = (n * logarithm).exp()
    horns = h * power + 1
    box = left * right / 4
    by_a = box * horns
    scale = a * horns / (2 * math.sqrt(math.pi))
    by_p, by_q = scale * torch.exp(-p * p) * right, scale * torch.exp(-q * q) * left
    by_left, by_right = by_p * b1, by_q * b2
    by_h = a * box * power
    by_power = h * by_h
    by_reach = n / squared * by_power
    by_distance = n * by_power / torch.where(from_trough < 0, -distance, distance)
    derivatives = (
        by_a,
        by_p * inside,
        by_q * outside,
        by_h,
        by_right - by_left + by_reach * aside,
        -by_distance - by_reach * aside,
        by_left + by_right - by_reach * w,
        by_power * logarithm,
    )
    return a * by_a, derivatives


def rescale(fitted: Tensor, zero: Tensor, unit: Tensor) -> Tensor:
    """Return the parameters, shape (B, 8), of the same curve over (velocity - zero) / unit, both of shape (B,)."""
    a, b1, b2, h, xe, xp, w, n = fitted.unbind(1)
    return torch.stack([a, b1 * unit, b2 * unit, h, (xe - zero) / unit, (xp - zero) / unit, w / unit, n], dim=1)


def simplest(fitted: Tensor) -> Tensor:
    """Return the parameters, shape (B, 8), with horns of exponent 0, which are a higher box, as that box."""
    flat, fitted = fitted[:, 7] <= 0, fitted.clone()
    fitted[:, 0] = torch.where(flat, fitted[:, 0] * (1 + fitted[:, 3]), fitted[:, 0])
    fitted[:, 3].masked_fill_(flat, 0.0)
    return fitted


def _reach(xe: Tensor, xp: Tensor, w: Tensor) -> Tensor:
    return torch.log((xp - xe) ** 2 + w**2) / 2


def starts(windows: Windows, expand: Expand) -> Tensor:
    """Return starting points in units of the half width, shape (6, B, 8).

    With edges and trough given, the height of the box and that of the horns follow from linear least squares. Of the
    shapes of each list the best is taken.
    """
    faintest, steepness = 1e-3 / windows.weight.amax(1), windows.width / 2 / windows.channel
    points = []
    for shapes in STARTS:
        found, least = zip(*(_with_heights(steepness, *shape, faintest, expand) for shape in shapes), strict=True)
        best = torch.stack(least).argmin(0)
        points.append(torch.stack(found)[best, torch.arange(len(best), device=best.device)])
    return torch.stack(points)


def _with_heights(
    steepness: Tensor, edge: float, w: float, xe: float, xp: float, n: float, faintest: Tensor, expand: Expand
) -> tuple[Tensor, Tensor]:
    """Return a start of this shape, (B, 8), and its chi2, (B,), but for a constant."""
    steep, one, none = edge * steepness, torch.ones_like(steepness), torch.zeros_like(steepness)
    box = torch.stack([one, steep, steep, none, xe * one, xp * one, w * one, n * one], dim=1)
    _, curvature, slope = expand(box)
    bb, bh, hh = curvature[:, 0, 0], curvature[:, 0, 3], curvature[:, 3, 3]
    by, hy = slope[:, 0] + bb, slope[:, 3] + bh  # the box was taken off the data
    # Neither may be negative: with horns below 0 the box alone, with the box too low next to nothing of it.
    determinant = torch.maximum(bb * hh - bh**2, 1e-12 * bb * hh)
    alone = torch.maximum(by / bb, faintest)
    height = torch.maximum((hh * by - bh * hy) / determinant, LEAST_BOX * alone)
    there = math.hypot(xp - xe, w) ** n
    ratio = ((bb * hy - bh * by) / determinant / height).clamp(LEAST_HORNS * there, MOST_HORNS * there)
    horns = ratio * height
    chi2 = height**2 * bb + 2 * height * horns * bh + horns**2 * hh - 2 * (height * by + horns * hy)
    box[:, 0], box[:, 3] = height, ratio
    return box, chi2


def bounds(windows: Windows) -> tuple[Tensor, Tensor]:
    """Return the lower and upper bounds of the parameters in units of the half width, each of shape (B, 8)."""
    lower = windows.width.new_tensor([0, SHALLOWEST, SHALLOWEST, 0, -FARTHEST, -FARTHEST, NARROWEST, 0])
    upper = windows.width.new_tensor([math.inf, 0, 0, math.inf, FARTHEST, FARTHEST, WIDEST, HIGHEST_EXPONENT])
    upper = upper.repeat(len(windows.width), 1)
    upper[:, 1:3] = (STEEPEST * windows.width / 2 / windows.channel)[:, None]
    return lower.expand_as(upper), upper


BUSY = Model(
    PARAMETERS,
    by_height,
    by_height_with_derivatives,
    starts,
    bounds,
    rescale,
    simplest,
    reported,
    CORE,
    every_start=True,
    compiled=numba_backend.busy,
)
