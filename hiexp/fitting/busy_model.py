"""The Busy Function: B(v) = a/4 [erf(b1 (w + v - xe)) + 1] [erf(b2 (w - v + xe)) + 1] [c |v - xp|^n + 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

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

EXPONENTS, TROUGHS, EDGES = (1.0, 2.0, 4.0), (-0.4, 0.0, 0.4), (0.1, 0.2, 0.4)
"""What starts are looked at: n, xp in half widths from the centre, and b1 = b2 per channel."""
STARTS = 4  # that many of them are used: the first always, the others where it ends in a poor fit

SHALLOWEST, STEEPEST = 0.02, 3.0  # b1 and b2, per half width and per channel
FARTHEST, WIDEST, NARROWEST = 3.0, 4.0, 0.02  # |xe| and |xp|, and w, in half widths
HIGHEST_EXPONENT = 8.0
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


def busy_with_derivatives(velocity: Tensor, parameters: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the Busy Function and its derivatives by the eight parameters, each of shape (B, M)."""
    a, b1, b2, c, xe, xp, w, n = parameters[:, :, None].unbind(1)
    inside, outside = w + velocity - xe, w - velocity + xe
    p, q = b1 * inside, b2 * outside
    left, right = torch.erf(p) + 1, torch.erf(q) + 1
    from_trough = velocity - xp
    distance = from_trough.abs().clamp_min(NEAREST)
    logarithm = distance.log()
    power = (n * logarithm).exp()
    horns = c * power + 1
    box = left * right / 4
    by_a = box * horns
    scale = a * horns / (2 * math.sqrt(math.pi))
    by_p, by_q = scale * torch.exp(-p * p) * right, scale * torch.exp(-q * q) * left
    by_left, by_right = by_p * b1, by_q * b2
    by_c = a * box * power
    by_power = c * by_c
    by_xp = by_power * (-n / torch.where(from_trough < 0, -distance, distance))
    derivatives = (
        by_a,
        by_p * inside,
        by_q * outside,
        by_c,
        by_right - by_left,
        by_xp,
        by_left + by_right,
        by_power * logarithm,
    )
    return a * by_a, derivatives


def rescale(parameters: Tensor, zero: Tensor, unit: Tensor) -> Tensor:
    """Return the parameters, shape (B, 8), of the same curve over (velocity - zero) / unit, both of shape (B,)."""
    a, b1, b2, c, xe, xp, w, n = parameters.unbind(1)
    return torch.stack(
        [a, b1 * unit, b2 * unit, c * unit**n, (xe - zero) / unit, (xp - zero) / unit, w / unit, n], dim=1
    )


def starts(windows: Windows) -> Tensor:
    """Return four starting points in units of the half width, shape (4, B, 8), the best first.

    With edges and trough given, the height of the box and that of the horns follow from linear least squares. Of each
    pair of steepness and exponent the best trough is taken, and of these the best four.
    """
    half_width, faintest = windows.width / 2, 1e-3 / windows.weight.amax(1, keepdim=True)
    x = (windows.velocity - windows.centre[:, None]) / half_width[:, None]
    weighted = windows.flux * windows.weight
    distances = [(x - xp).abs() for xp in TROUGHS]
    power = torch.stack([distance**n for n in EXPONENTS for distance in distances], dim=2)  # (B, M, T)
    row, zero, one = torch.arange(len(x), device=x.device), torch.zeros_like(half_width), torch.ones_like(half_width)
    found = []
    for edge in EDGES:
        steepness = edge * half_width / windows.channel
        left, right = torch.erf(steepness[:, None] * (1 + x)) + 1, torch.erf(steepness[:, None] * (1 - x)) + 1
        box = left * right / 4 * windows.weight
        squared, product = (box**2)[:, None], (box * weighted)[:, None]
        bb, bh, hh = squared.sum(2), (squared @ power)[:, 0], (squared @ power**2)[:, 0]
        by, hy = product.sum(2), (product @ power)[:, 0]
        # Neither may be negative: with horns below 0 the box alone, with the box too low next to nothing of it.
        determinant = torch.maximum(bb * hh - bh**2, 1e-12 * bb * hh)
        alone = torch.maximum(by / bb, faintest)
        height = torch.maximum((hh * by - bh * hy) / determinant, 0.05 * alone)
        ratio = ((bb * hy - bh * by) / determinant / height).clamp(0.05, 10.0)
        horns = ratio * height
        chi2 = height**2 * bb + 2 * height * horns * bh + horns**2 * hh - 2 * (height * by + horns * hy)
        for i, exponent in enumerate(EXPONENTS):
            first = i * len(TROUGHS)
            least, which = chi2[:, first : first + len(TROUGHS)].min(1)
            trough, which = x.new_tensor(TROUGHS)[which], first + which
            point = [height[row, which], steepness, steepness, ratio[row, which], zero, trough, one, exponent * one]
            found.append((least, torch.stack(point, dim=1)))
    order = torch.stack([least for least, _ in found]).argsort(0)[:STARTS]
    points = torch.stack([point for _, point in found])
    return points.gather(0, order[:, :, None].expand(-1, -1, len(PARAMETERS)))


def bounds(windows: Windows) -> tuple[Tensor, Tensor]:
    """Return the lower and upper bounds of the parameters in units of the half width, each of shape (B, 8)."""
    lower = windows.width.new_tensor([0, SHALLOWEST, SHALLOWEST, 0, -FARTHEST, -FARTHEST, NARROWEST, 0])
    upper = windows.width.new_tensor([math.inf, 0, 0, math.inf, FARTHEST, FARTHEST, WIDEST, HIGHEST_EXPONENT])
    upper = upper.repeat(len(windows.width), 1)
    upper[:, 1:3] = (STEEPEST * windows.width / 2 / windows.channel)[:, None]
    return lower.expand_as(upper), upper


BUSY = Model(PARAMETERS, busy, busy_with_derivatives, starts, bounds, rescale, CORE)
