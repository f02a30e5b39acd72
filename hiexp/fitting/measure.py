"""What astronomers measure on a fitted curve, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from hiexp.fitting.covariance import standard_deviations
from hiexp.fitting.least_squares import Curve

MEASURED = ("position", "w50", "w20", "flux_peak", "flux_int", "A_flux")
GRID = 257  # samples over the window to find the line in the curve, and again over the line
FAINTEST = 1e-3  # of the peak: there the line ends
COARSER = 2  # times as far apart are the samples from which errors follow
NEWTON_STEPS = 2
DEVIATES = torch.linspace(-3, 3, 13)  # standard normal deviates at which the edges of a line are looked for


class Measurements(NamedTuple):
    """Numbers of B curves.

    ``numbers`` (B, 6) in the order of `MEASURED`: km/s, mJy, Jy km/s; NaN where a curve has no positive peak.
    ``errors`` (B, 6): their standard deviations. ``low`` and ``high`` (B,): where the curve passes 20 % of its peak,
    km/s, or where the window ends if it does not. ``cut`` (B,): whether it does not.
    """

    numbers: Tensor
    errors: Tensor
    low: Tensor
    high: Tensor
    cut: Tensor


def measure(
    value: Callable[[Tensor, Tensor], Tensor],
    curve: Curve,
    parameters: Tensor,
    covariances: Tensor,
    low: Tensor,
    high: Tensor,
) -> Measurements:
    """Measure the line in each fitted curve.

    The line is the stretch around the highest point where the curve stays above a thousandth of it. W50 and W20 are
    taken at 50 and 20 % of the peak, seen from outside; the position is the flux-weighted mean velocity, as
    BusyFit's; A_flux compares the halves of the line on either side of the middle between the 20 % edges (Haynes et
    al. 1998, AJ 115, 62). Errors follow from the covariance of the parameters to first order, those of the widths
    from how far the edges move: beside a horn about as high as the level an edge may jump.

    Parameters
    ----------
    value, curve : callable
        From velocity (B, M), km/s, and parameters to the curve (B, M), mJy, without and with its derivatives.
    parameters, covariances : Tensor, shapes (B, P) and (B, P, P)
        Of the curves.
    low, high : Tensor, shape (B,)
        Where to look for the line, km/s.
    """
    window = _grid(low, high)
    velocity = _grid(*_extent(window, value(window, parameters)))
    step = velocity[:, 1:2] - velocity[:, :1]
    profile = value(velocity, parameters)
    top = profile.argmax(1, keepdim=True).clamp(1, GRID - 2)
    summit = velocity.gather(1, top) + _vertex(profile, top) * step
    levels = profile.new_tensor([0.5, 0.2, 0.2, 0.5])
    threshold = levels * value(summit, parameters)
    edges, cut = _crossings(velocity, profile, threshold)
    for _ in range(NEWTON_STEPS):
        around = torch.cat([edges, edges - 1e-3 * step, edges + 1e-3 * step], dim=1)
        here, before, after = value(around, parameters).chunk(3, dim=1)
        steepness = (after - before) / (2e-3 * step)
        steepness = torch.where(cut | (steepness == 0), torch.inf, steepness)
        edges = edges - ((here - threshold) / steepness).clamp(-step, step)

    weight = _trapezoids(velocity)
    flux = (weight * profile).sum(1, keepdim=True)
    position = (weight * profile * velocity).sum(1, keepdim=True) / flux
    low50, low20, high20, high50 = edges.unbind(1)
    peak = value(summit, parameters)[:, 0]
    a_flux = _a_flux(velocity, profile, low20, high20)
    columns = [position[:, 0], high50 - low50, high20 - low20, peak, flux[:, 0] / 1000, a_flux]
    numbers = torch.stack(columns, dim=1)

    velocity = velocity[:, ::COARSER]
    step, weight, n = step * COARSER, _trapezoids(velocity), velocity.shape[1]
    samples, derivatives = curve(torch.cat([velocity, edges, summit], dim=1), parameters)
    by_parameters = torch.stack(tuple(derivatives), dim=1)
    with torch.enable_grad():
        followed = samples.detach().requires_grad_()
        profile, at_edges, at_summit = followed.split([n, 4, 1], dim=1)
        # One more step of Newton's changes nothing but makes the edges follow the curve (implicit differentiation).
        _, low20, high20, _ = (edges - (at_edges - levels * at_summit) / steepness).unbind(1)
        (by_followed,) = torch.autograd.grad(_a_flux(velocity, profile, low20, high20).sum(), followed)
    by_samples = samples.new_zeros(len(samples), len(MEASURED), samples.shape[1])  # the widths' errors are not linear
    by_samples[:, 0, :n] = weight * (velocity - position) / flux
    by_samples[:, 3, -1] = 1
    by_samples[:, 4, :n] = weight / 1000
    by_samples[:, 5] = by_followed
    errors = standard_deviations(covariances, by_samples @ by_parameters.mT)
    shared = covariances @ by_parameters
    variance = (shared * by_parameters).sum(1)
    with_peak = (shared[..., -1:].mT @ by_parameters[..., :n])[:, 0]
    by_edges = (by_parameters[..., n:-1] - levels * by_parameters[..., -1:]) / steepness[:, None]
    for column, level, left, right in ((1, 0.5, 0, 3), (2, 0.2, 1, 2)):
        above = samples[:, :n] - level * samples[:, -1:]
        spread = variance[:, :n] - 2 * level * with_peak + level**2 * variance[:, -1:]
        spread = spread.clamp_min(0).sqrt()
        certainty = above / spread.clamp_min(torch.finfo(spread.dtype).tiny)
        low_error, high_error = _edge_error(certainty, step), _edge_error(certainty.flip(1), step)
        linear = covariances @ by_edges[..., [left, right]]
        linear = by_edges[..., [left, right]].mT @ linear
        alike = linear[:, 0, 1] / (linear[:, 0, 0] * linear[:, 1, 1]).sqrt()
        errors[:, column] = (low_error**2 + high_error**2 - 2 * alike * low_error * high_error).sqrt()
    measured = (peak > 0) & numbers.isfinite().all(1)
    return Measurements(
        torch.where(measured[:, None], numbers, torch.nan), errors, edges[:, 1], edges[:, 2], cut[:, 1:3].any(1)
    )


def _edge_error(certainty: Tensor, step: Tensor) -> Tensor:
    """Return how far the first reach of a level scatters, shape (N,), in the unit of `step`.

    Parameters
    ----------
    certainty : Tensor, shape (N, M)
        By how many of its standard deviations each sample stands above the level. A curve that comes out k standard
        deviations lower reaches it where this first exceeds k.
    step : Tensor, shape (N, 1)
        Between samples.
    """
    reached = certainty.cummax(1)[0]
    deviate = DEVIATES.to(reached).expand(len(reached), -1).minimum(reached[:, -1:]).contiguous()
    sample = torch.searchsorted(reached, deviate).clamp(1, reached.shape[1] - 1)
    below, here = reached.gather(1, sample - 1), reached.gather(1, sample)
    share = torch.where(here > below, (deviate - below) / (here - below), 0).clamp(0, 1)
    place = sample - 1 + share
    weight = torch.softmax(-(DEVIATES.to(reached) ** 2) / 2, 0)
    mean = (weight * place).sum(1, keepdim=True)
    return (weight * (place - mean) ** 2).sum(1).sqrt() * step[:, 0]


def _grid(low: Tensor, high: Tensor) -> Tensor:
    return low[:, None] + (high - low)[:, None] * torch.linspace(0, 1, GRID, dtype=low.dtype, device=low.device)


def _extent(velocity: Tensor, profile: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the line around the highest sample has faded away, or the window's ends, each of shape (N,)."""
    peak, top = profile.max(1, keepdim=True)
    sample = torch.arange(GRID, device=profile.device)
    faint = profile < FAINTEST * peak
    before = torch.where(faint & (sample < top), sample, 0).amax(1, keepdim=True)
    after = torch.where(faint & (sample > top), sample, GRID - 1).amin(1, keepdim=True)
    # A line narrower than a step may fade between two samples: keep a step on either side of the top.
    before, after = before.minimum(top - 1).clamp_min(0), after.maximum(top + 1).clamp_max(GRID - 1)
    return velocity.gather(1, before)[:, 0], velocity.gather(1, after)[:, 0]


def _vertex(profile: Tensor, top: Tensor) -> Tensor:
    """Return how far the vertex of the parabola through three samples is from the middle one, in samples, (N, 1)."""
    left, middle, right = (profile.gather(1, top + offset) for offset in (-1, 0, 1))
    bend = left - 2 * middle + right
    return torch.where(bend < 0, (left - right) / (2 * bend), 0).clamp(-1, 1)


def _crossings(velocity: Tensor, profile: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the profile passes each of four thresholds and whether it is cut off there, each of shape (N, 4).

    The first two are met from the left, the others from the right; between samples the profile is taken as straight.
    """
    edges, cut = [], []
    for i in range(4):
        step = 1 if i < 2 else -1
        reaches = profile >= threshold[:, i : i + 1]
        inside = reaches.int().argmax(1) if step > 0 else GRID - 1 - reaches.flip(1).int().argmax(1)
        outside = (inside - step).clamp(0, GRID - 1)
        inner, outer = (profile.gather(1, where[:, None])[:, 0] for where in (inside, outside))
        first, last = (velocity.gather(1, where[:, None])[:, 0] for where in (outside, inside))
        share = torch.where(inner > outer, (threshold[:, i] - outer) / (inner - outer), 0)
        edges.append(first + share * (last - first))
        cut.append(inside == outside)
    return torch.stack(edges, dim=1), torch.stack(cut, dim=1)


def _trapezoids(velocity: Tensor) -> Tensor:
    """Return the weight of each evenly spaced sample in an integral, by the trapezoidal rule, shape (N, M)."""
    weight = (velocity[:, 1:2] - velocity[:, :1]).expand_as(velocity).clone()
    weight[:, [0, -1]] /= 2
    return weight


def _a_flux(velocity: Tensor, profile: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return the larger over the smaller half of the flux between two velocities, shape (N,)."""
    below = _integral_up_to(velocity, profile, torch.stack([low, (low + high) / 2, high], dim=1))
    ratio = (below[:, 1] - below[:, 0]) / (below[:, 2] - below[:, 1])
    return torch.where(ratio < 1, 1 / ratio, ratio)


def _integral_up_to(velocity: Tensor, profile: Tensor, ends: Tensor) -> Tensor:
    """Integrate each piecewise linear profile from its first sample to each of `ends`, shape (N, E)."""
    step = velocity[:, 1:2] - velocity[:, :1]
    total = torch.nn.functional.pad(torch.cumulative_trapezoid(profile, velocity), (1, 0))
    sample = ((ends.detach() - velocity[:, :1]) / step).floor().long().clamp(0, velocity.shape[1] - 2)
    beyond = ends - velocity.gather(1, sample)
    left, right = profile.gather(1, sample), profile.gather(1, sample + 1)
    return total.gather(1, sample) + beyond * (left + (right - left) * beyond / (2 * step))
