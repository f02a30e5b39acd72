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
FAINTEST_THRESHOLD = 1e-3  # of the peak: there the line ends
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

    low50, low20, high20, high50 = edges.unbind(1)
    flux = _integral(profile, step)
    position = _integral(profile * velocity, step) / flux
    peak = value(summit, parameters)[:, 0]
    ends = torch.stack([low20, (low20 + high20) / 2, high20], dim=1)
    lower, upper = _integral_up_to(profile, (ends - velocity[:, :1]) / step, step).diff(dim=1).split(1, dim=1)
    a_flux = torch.maximum(lower / upper, upper / lower)
    columns = [position, (high50 - low50)[:, None], (high20 - low20)[:, None], peak[:, None], flux / 1000, a_flux]
    numbers = torch.cat(columns, dim=1)

    velocity = velocity[:, ::COARSER]
    step, n = step * COARSER, velocity.shape[1]
    samples, derivatives = curve(torch.cat([velocity, ends[:, 1:2], edges, summit], dim=1), parameters)
    by_parameters = torch.stack(tuple(derivatives), dim=1)
    by_peak = by_parameters[..., -1:]
    # An edge moves such that it stays where the curve passes the level (implicit differentiation).
    by_edges = (levels * by_peak - by_parameters[..., n + 1 : -1]) / steepness[:, None]
    by_ends = torch.stack([by_edges[..., 1], by_edges[..., 1:3].mean(2), by_edges[..., 2]], dim=2)
    # The lower half less `ratio` times the upper one, as the curve changes and as the ends move.
    ratio = lower / upper
    below = ((ends[..., None] - velocity[:, None]) / step[..., None] + 0.5).clamp_(0, 1)
    share = below[:, 1] - below[:, 0] - ratio * (below[:, 2] - below[:, 1])
    at_ends = samples[:, [n + 2, n, n + 3]] * torch.cat([-torch.ones_like(ratio), 1 + ratio, -ratio], dim=1)
    weights = torch.stack([(velocity - position) / flux, torch.ones_like(velocity) / 1000, share], dim=2)
    weights[:, [0, -1], :2] /= 2  # trapezoids
    by_position, by_flux, by_halves = (by_parameters[..., :n] @ (weights * step[..., None])).unbind(2)
    by_a_flux = (by_halves + (by_ends @ at_ends[..., None])[..., 0]) / upper / ratio.clamp_max(1) ** 2
    errors = torch.empty_like(numbers)  # of all but the widths, which are not linear
    linear = torch.stack([by_position, by_peak[..., 0], by_flux, by_a_flux], dim=1)
    errors[:, [0, 3, 4, 5]] = standard_deviations(covariances, linear)
    shared = covariances @ by_parameters
    variance = (shared * by_parameters).sum(1)[:, None]
    with_peak = shared[..., -1:].mT @ by_parameters[..., :n]
    level = levels[:2, None]
    above = samples[:, None, :n] - level * samples[:, None, -1:]
    spread = torch.addcmul(variance[..., :n] + level**2 * variance[..., -1:], level, with_peak, value=-2)
    certainty = above / spread.clamp_min_(torch.finfo(spread.dtype).tiny).sqrt_()
    from_low, from_high = _edge_error(torch.cat([certainty, certainty.flip(2)], dim=1), step).split(2, dim=1)
    moved = covariances @ by_edges
    moving = (moved * by_edges).sum(1)
    alike = (moved[..., :2] * by_edges[..., [3, 2]]).sum(1) / (moving[:, :2] * moving[:, [3, 2]]).sqrt()
    errors[:, 1:3] = (from_low**2 + from_high**2 - 2 * alike * from_low * from_high).sqrt()
    measured = (peak > 0) & numbers.isfinite().all(1)
    return Measurements(
        torch.where(measured[:, None], numbers, torch.nan), errors, edges[:, 1], edges[:, 2], cut[:, 1:3].any(1)
    )


def _edge_error(certainty: Tensor, step: Tensor) -> Tensor:
    """Return how far the first reach of a level scatters, shape (N, E), in the unit of `step`.

    Parameters
    ----------
    certainty : Tensor, shape (N, E, M)
        By how many of its standard deviations each sample stands above the level. A curve that comes out k standard
        deviations lower reaches it where this first exceeds k.
    step : Tensor, shape (N, 1)
        Between samples.
    """
    reached = certainty.cummax(2)[0]
    deviates = DEVIATES.to(reached)
    deviate = deviates.minimum(reached[..., -1:])
    sample = torch.searchsorted(reached, deviate).clamp_(1, reached.shape[2] - 1)
    below, here = reached.gather(2, sample - 1), reached.gather(2, sample)
    rise = (here - below).clamp_min_(torch.finfo(below.dtype).tiny)
    place = ((deviate - below) / rise).clamp_(0, 1).add_(sample)
    weight = torch.softmax(-(deviates**2) / 2, 0)
    mean = (place @ weight)[..., None]
    return ((place - mean) ** 2 @ weight).sqrt() * step


def _grid(low: Tensor, high: Tensor) -> Tensor:
    return low[:, None] + (high - low)[:, None] * torch.linspace(0, 1, GRID, dtype=low.dtype, device=low.device)


def _extent(velocity: Tensor, profile: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the line around the highest sample has faded away, or the window's ends, each of shape (N,)."""
    peak, top = profile.max(1, keepdim=True)
    faint, place = profile < FAINTEST_THRESHOLD * peak, _places(profile)
    before, after = place < top.to(place.dtype), place > top.to(place.dtype)
    # A line narrower than a step may fade between two samples: keep a step on either side of the top.
    before = _last(faint & before).minimum(top - 1).clamp_min(0)
    after = _first(faint & after).maximum(top + 1).clamp_max(GRID - 1)
    return velocity.gather(1, before)[:, 0], velocity.gather(1, after)[:, 0]


def _places(profile: Tensor) -> Tensor:
    """Return the numbers of the samples, shape (GRID,), so short that they are compared fast."""
    return torch.arange(GRID, dtype=torch.int16, device=profile.device)


def _last(mask: Tensor) -> Tensor:
    """Return the last sample where a mask (N, GRID) is true, the first of all where it never is, shape (N, 1)."""
    return (mask * _places(mask)).amax(1, keepdim=True).long()


def _first(mask: Tensor) -> Tensor:
    """Return the first sample where a mask (N, GRID) is true, the last of all where it never is, shape (N, 1)."""
    return GRID - 1 - (mask * _places(mask).flip(0)).amax(1, keepdim=True).long()


def _vertex(profile: Tensor, top: Tensor) -> Tensor:
    """Return how far the vertex of the parabola through three samples is from the middle one, in samples, (N, 1)."""
    left, middle, right = (profile.gather(1, top + offset) for offset in (-1, 0, 1))
    bend = left - 2 * middle + right
    return torch.where(bend < 0, (left - right) / (2 * bend), 0).clamp(-1, 1)


def _crossings(velocity: Tensor, profile: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the profile passes each of four thresholds and whether it is cut off there, each of shape (N, 4).

    The first two are met from the left, the others from the right; between samples the profile is taken as straight.
    """
    half, fifth = profile >= threshold[:, :1], profile >= threshold[:, 1:2]
    inside = torch.cat([_first(half), _first(fifth), _last(fifth), _last(half)], dim=1)
    outside = (inside + torch.tensor([-1, -1, 1, 1], device=inside.device)).clamp(0, GRID - 1)
    inner, outer = profile.gather(1, inside), profile.gather(1, outside)
    share = torch.where(inner > outer, (threshold - outer) / (inner - outer), 0)
    first, last = velocity.gather(1, outside), velocity.gather(1, inside)
    return first + share * (last - first), inside == outside


def _integral(profile: Tensor, step: Tensor) -> Tensor:
    """Integrate evenly spaced samples (N, M) by the trapezoidal rule, shape (N, 1)."""
    return step * (profile.sum(1, keepdim=True) - (profile[:, :1] + profile[:, -1:]) / 2)


def _integral_up_to(profile: Tensor, ends: Tensor, step: Tensor) -> Tensor:
    """Integrate each piecewise linear profile from its first sample to `ends`, counted in samples, shape (N, E)."""
    sample = ends.long().clamp(0, profile.shape[1] - 2)
    beyond = ends - sample
    left, right = profile.gather(1, sample), profile.gather(1, sample + 1)
    whole = profile.cumsum(1).gather(1, sample) - (profile[:, :1] + left) / 2
    return step * (whole + beyond * (left + (right - left) * beyond / 2))
