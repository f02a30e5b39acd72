"""Polynomials over a spectrum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hiexp.fitting.backend import Expand
from hiexp.fitting.line import Channels, Lines
from hiexp.fitting.model import Model
from hiexp.fitting.passes import Pass, Rule
from hiexp.fitting.windows import Windows

GRID = 512  # samples among which a polynomial's peak is looked for


def polynomial(velocity: Tensor, parameters: Tensor) -> Tensor:
    """Return a sum of Legendre polynomials.

    Parameters
    ----------
    velocity : Tensor, shape (B, M)
        km/s.
    parameters : Tensor, shape (B, 2 + D + 1)
        The velocities, km/s, at which the argument of the Legendre polynomials is -1 and 1, and their coefficients,
        mJy, from degree 0 on.

    Returns
    -------
    Tensor, shape (B, M)
        mJy.
    """
    x = _argument(velocity, parameters)
    before = here = torch.zeros_like(x)
    for n in range(parameters.shape[1] - 3, -1, -1):  # Clenshaw's summation of Bonnet's recursion
        coefficient = torch.add(parameters[:, 2 + n, None], before, alpha=-(n + 1) / (n + 2))
        before, here = here, coefficient.addcmul_(x, here, value=(2 * n + 1) / (n + 1))
    return here


def with_derivatives(velocity: Tensor, parameters: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the polynomial and its derivatives, each of shape (B, M), which are 0 by the two velocities."""
    x = _argument(velocity, parameters)
    terms = [torch.ones_like(x), x]
    for n in range(1, parameters.shape[1] - 3):  # Bonnet's recursion
        before = terms[n - 1] * (-n / (n + 1))
        terms.append(before.addcmul_(x, terms[n], value=(2 * n + 1) / (n + 1)))
    return polynomial(velocity, parameters), [torch.zeros_like(x)] * 2 + terms


def _argument(velocity: Tensor, parameters: Tensor) -> Tensor:
    """Return the argument of the Legendre polynomials, shape (B, M)."""
    low, high = parameters[:, :1], parameters[:, 1:2]
    return (2 * velocity - low - high) / (high - low)


def around_peak(half_window: float, margin: float) -> Rule:
    """Look around the highest point of the polynomial before, `margin` of its window left out at each end."""

    def rule(_channels: Channels, _lines: Lines, before: Pass | None) -> tuple[Tensor, Tensor]:
        assert before is not None, "not the rule of a first pass"
        share = torch.linspace(margin, 1 - margin, GRID, dtype=before.low.dtype, device=before.low.device)
        velocity = before.low[:, None] + (before.high - before.low)[:, None] * share
        peak = velocity.gather(1, polynomial(velocity, before.parameters).argmax(1, keepdim=True))[:, 0]
        return peak - half_window, peak + half_window

    return rule


def polynomial_model(degree: int) -> Model:
    """Return the model of a polynomial, whose coefficients are linear and whose ends are those of the window."""
    from hiexp.fitting.numba_backend import curves  # numba takes a second

    def bounds(windows: Windows) -> tuple[Tensor, Tensor]:
        ends = torch.stack([windows.low, windows.high], dim=1)
        free = ends.new_full((len(ends), degree + 1), torch.inf)
        return torch.cat([ends, -free], dim=1), torch.cat([ends, free], dim=1)

    def starts(windows: Windows, _expand: Expand) -> Tensor:
        ends = torch.stack([windows.low, windows.high], dim=1)
        return torch.cat([ends, ends.new_zeros(len(ends), degree + 1)], dim=1)[None]

    coefficients = {f"p{i}": "mJy" for i in range(degree + 1)}
    parameters = {"low": "km / s", "high": "km / s"} | coefficients
    return Model(parameters, polynomial, with_derivatives, starts, bounds, linear=True, compiled=curves.polynomial)
