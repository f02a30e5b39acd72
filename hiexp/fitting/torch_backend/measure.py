"""What astronomers measure on a fitted curve, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hiexp.fitting.backend import (
    COARSER,
    DEVIATES,
    FAINTEST_THRESHOLD,
    GRID,
    NEWTON_STEPS,
    SLOPE_REACH,
    Curve,
    Measurements,
)
from hiexp.fitting.covariance import standard_deviations
from hiexp.fitting.measurements import OUTER, line_measurements, width_levels


def measure(
    value: Callable[[Tensor, Tensor], Tensor],
    curve: Curve,
    parameters: Tensor,
    covariances: Tensor,
    low: Tensor,
    high: Tensor,
) -> Measurements:
    """Measure the line in each fitted curve.

    The line is the stretch around the highest point where the curve stays above a thousandth of it. Widths are taken
    at their levels of the peak, seen from outside; the position is the flux-weighted mean velocity, as BusyFit's;
    A_flux compares the halves of the line on either side of the middle between the outer edges, at 20 % (Haynes et
    al. 1998, AJ 115, 62). Errors follow from the covariance of the parameters to first order, those of the widths
    from how far the edges move: beside a horn about as high as the level an edge may jump.

    Parameters
    ----------
    value, curve : callable
        From velocity (B, M), km/s, and parameters to the curve (B, M), mJy, without and with its derivatives.
    parameters, covariances : Tensor, shapes (B, P) and (B, P, P)
        Parameters of the curves and their covariances.
    low, high : Tensor, shape (B,)
        Ends of the window in which to look for the line, km/s.
    """
    widths = width_levels()
    n_widths, outer = len(widths), list(widths).index(OUTER)
    far = 2 * n_widths - 1 - outer  # edges stand from left to right: those met from the left, then the others
    window = grid(low, high)
    velocity = grid(*extent(window, value(window, parameters)))
    step = velocity[:, 1:2] - velocity[:, :1]
    profile = value(velocity, parameters)
    top = profile.argmax(1, keepdim=True).clamp(1, GRID - 2)
    summit = velocity.gather(1, top) + vertex(profile, top) * step
    levels = profile.new_tensor([*widths.values(), *reversed(widths.values())])
    threshold = levels * value(summit, parameters)
    edges, steepness, cut = edges_at(value, parameters, velocity, profile, threshold)
    flux = integral(profile, step)
    position = integral(profile * velocity, step) / flux
    peak = value(summit, parameters)
    first, last = edges[:, outer], edges[:, far]
    ends = torch.stack([first, (first + last) / 2, last], dim=1)
    lower, upper = _integral_up_to(profile, (ends - velocity[:, :1]) / step, step).diff(dim=1).split(1, dim=1)
    values = {
        "position": position[:, 0],
        "flux_peak": peak[:, 0],
        "flux_int": flux[:, 0] / 1000,
        "A_flux": torch.maximum(lower / upper, upper / lower)[:, 0],
        **{name: edges[:, -1 - k] - edges[:, k] for k, name in enumerate(widths)},
    }

    velocity = velocity[:, ::COARSER]
    step, n = step * COARSER, velocity.shape[1]
    samples, derivatives = curve(torch.cat([velocity, ends[:, 1:2], edges, summit], dim=1), parameters)
    by_parameters = torch.stack(tuple(derivatives), dim=1)
    by_peak = by_parameters[..., -1:]
    # An edge moves such that it stays where the curve passes the level (implicit differentiation).
    by_edges = (levels * by_peak - by_parameters[..., n + 1 : -1]) / steepness[:, None]
    by_first, by_last = by_edges[..., outer], by_edges[..., far]
    by_ends = torch.stack([by_first, (by_first + by_last) / 2, by_last], dim=2)
    # The lower half less `ratio` times the upper one, as the curve changes and as the ends move.
    ratio = lower / upper
    below = ((ends[..., None] - velocity[:, None]) / step[..., None] + 0.5).clamp_(0, 1)
    share = below[:, 1] - below[:, 0] - ratio * (below[:, 2] - below[:, 1])
    at_ends = samples[:, [n + 1 + outer, n, n + 1 + far]]
    at_ends = at_ends * torch.cat([-torch.ones_like(ratio), 1 + ratio, -ratio], dim=1)
    weights = torch.stack([(velocity - position) / flux, torch.ones_like(velocity) / 1000, share], dim=2)
    weights[:, [0, -1], :2] /= 2  # trapezoids
    by_position, by_flux, by_halves = (by_parameters[..., :n] @ (weights * step[..., None])).unbind(2)
    by_a_flux = (by_halves + (by_ends @ at_ends[..., None])[..., 0]) / upper / ratio.clamp_max(1) ** 2
    linear = {"position": by_position, "flux_peak": by_peak[..., 0], "flux_int": by_flux, "A_flux": by_a_flux}
    deviations = standard_deviations(covariances, torch.stack([*linear.values()], dim=1))
    errors = dict(zip(linear, deviations.unbind(1), strict=True))

    shared = covariances @ by_parameters
    variance = (shared * by_parameters).sum(1)[:, None]
    with_peak = shared[..., -1:].mT @ by_parameters[..., :n]
    level = levels[:n_widths, None]
    above = samples[:, None, :n] - level * samples[:, None, -1:]
    spread = torch.addcmul(variance[..., :n] + level**2 * variance[..., -1:], level, with_peak, value=-2)
    certainty = above / spread.clamp_min_(torch.finfo(spread.dtype).tiny).sqrt_()
    from_low, from_high = edge_error(torch.cat([certainty, certainty.flip(2)], dim=1), step).split(n_widths, dim=1)
    moved = covariances @ by_edges
    moving, mirrored = (moved * by_edges).sum(1), by_edges.flip(2)
    alike = (moved * mirrored).sum(1)[:, :n_widths] / (moving * moving.flip(1))[:, :n_widths].sqrt()
    reach = (from_low**2 + from_high**2 - 2 * alike * from_low * from_high).sqrt()
    errors |= dict(zip(widths, reach.unbind(1), strict=True))
    measured = (values["flux_peak"] > 0) & torch.stack([*values.values()]).isfinite().all(0)
    values = {name: torch.where(measured, values[name], torch.nan) for name in line_measurements()}
    return Measurements(values, errors, first, last, cut[:, outer] | cut[:, far])


def edges_at(
    value: Callable[[Tensor, Tensor], Tensor],
    parameters: Tensor,
    velocity: Tensor,
    profile: Tensor,
    threshold: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Find where each curve, seen from outside, first reaches each of E thresholds.

    Parameters
    ----------
    value : callable
        The curve.
    parameters : Tensor, shape (B, P)
        Parameters of the curves.
    velocity, profile : Tensor, shape (B, GRID)
        Even samples of the curves over their lines, km/s and mJy.
    threshold : Tensor, shape (B, E)
        mJy; the first half is met from the left, the others from the right.

    Returns
    -------
    edges, steepness, cut : Tensor, shape (B, E)
        km/s; slope of the curve there, mJy / (km/s), infinite where the curve does not fall below the threshold
        before its samples end, which `cut` says.
    """
    step = velocity[:, 1:2] - velocity[:, :1]
    edges, cut = _crossings(velocity, profile, threshold)
    for _ in range(NEWTON_STEPS):
        around = torch.cat([edges, edges - SLOPE_REACH * step, edges + SLOPE_REACH * step], dim=1)
        here, before, after = value(around, parameters).chunk(3, dim=1)
        steepness = (after - before) / (2 * SLOPE_REACH * step)
        steepness = torch.where(cut | (steepness == 0), torch.inf, steepness)
        edges = edges - ((here - threshold) / steepness).clamp(-step, step)
    return edges, steepness, cut


def edge_error(certainty: Tensor, step: Tensor) -> Tensor:
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
    deviates = reached.new_tensor(DEVIATES)
    deviate = deviates.minimum(reached[..., -1:])
    sample = torch.searchsorted(reached, deviate).clamp_(1, reached.shape[2] - 1)
    below, here = reached.gather(2, sample - 1), reached.gather(2, sample)
    rise = (here - below).clamp_min_(torch.finfo(below.dtype).tiny)
    place = ((deviate - below) / rise).clamp_(0, 1).add_(sample)
    weight = torch.softmax(-(deviates**2) / 2, 0)
    mean = (place @ weight)[..., None]
    return ((place - mean) ** 2 @ weight).sqrt() * step


def grid(low: Tensor, high: Tensor) -> Tensor:
    """Return even samples from `low` to `high`, shape (N,): shape (N, GRID)."""
    return low[:, None] + (high - low)[:, None] * torch.linspace(0, 1, GRID, dtype=low.dtype, device=low.device)


def extent(velocity: Tensor, profile: Tensor) -> tuple[Tensor, Tensor]:
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


def vertex(profile: Tensor, top: Tensor) -> Tensor:
    """Return how far the vertex of the parabola through three samples is from the middle one, in samples, (N, 1)."""
    left, middle, right = (profile.gather(1, top + offset) for offset in (-1, 0, 1))
    bend = left - 2 * middle + right
    return torch.where(bend < 0, (left - right) / (2 * bend), 0).clamp(-1, 1)


def _crossings(velocity: Tensor, profile: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the profile passes each of E thresholds and whether it is cut off there, each of shape (N, E).

    The first half is met from the left, the others from the right; between samples the profile is taken as straight.
    """
    half = threshold.shape[1] // 2
    reaches = [profile >= level for level in threshold.split(1, dim=1)]
    inside = torch.cat([*map(_first, reaches[:half]), *map(_last, reaches[half:])], dim=1)
    outside = (inside + torch.tensor([-1] * half + [1] * half, device=inside.device)).clamp(0, GRID - 1)
    inner, outer = profile.gather(1, inside), profile.gather(1, outside)
    share = torch.where(inner > outer, (threshold - outer) / (inner - outer), 0)
    first, last = velocity.gather(1, outside), velocity.gather(1, inside)
    return first + share * (last - first), inside == outside


def integral(profile: Tensor, step: Tensor) -> Tensor:
    """Integrate evenly spaced samples (N, M) by the trapezoidal rule, shape (N, 1)."""
    return step * (profile.sum(1, keepdim=True) - (profile[:, :1] + profile[:, -1:]) / 2)


def _integral_up_to(profile: Tensor, ends: Tensor, step: Tensor) -> Tensor:
    """Integrate each piecewise linear profile from its first sample to `ends`, counted in samples, shape (N, E)."""
    sample = ends.long().clamp(0, profile.shape[1] - 2)
    beyond = ends - sample
    left, right = profile.gather(1, sample), profile.gather(1, sample + 1)
    whole = profile.cumsum(1).gather(1, sample) - (profile[:, :1] + left) / 2
    return step * (whole + beyond * (left + (right - left) * beyond / 2))
