"""What is measured once, on the curves of the last pass: horns, and the widths that need them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from hiexp.fitting.backend import COARSER, GRID
from hiexp.fitting.covariance import standard_deviations
from hiexp.fitting.measurements import MEASUREMENTS, OUTER, line_measurements, width_levels
from hiexp.fitting.model import AT_ONCE, Model
from hiexp.fitting.torch_backend.measure import edge_error, edges_at, extent, grid

HALF = 0.5  # of a peak or of the mean flux density: where the widths of the conventions are taken
MIDDLE = (0.05, 0.95)  # of the flux: the range over which Courtois et al. (2009) take their mean
SHALLOWEST = 1e-3  # of the peak: a trough less deep is none
CLOSER = 9  # samples around an extreme
ZOOMS, TROUGH_ZOOMS = 4, 10  # how often they are drawn together around the best of them: a trough may be a cusp
ROUNDING = 1e-12  # of the highest sample: one that is lower by less may be the highest itself
ACROSS = 16  # samples across a channel
PEAK_LOSS = 0.2  # of the peak, that it loses when averaged over a channel: a peak narrower than a channel loses more
TROUGH_GAIN = 0.45  # of the peak, that a trough gains so: its flanks are steeper than channels can tell
NARROW_GAIN = 0.1  # of the peak, from which on a trough is called narrow if it is half as deep over a channel


class Horns(NamedTuple):
    """What `measure_horns` finds on N curves, NaN and False where there is none.

    ``numbers`` and ``errors``, their standard deviations where they have any: shape (N,) by name, in the units of
    `hiexp.fitting.measurements`. ``needle`` (N,): whether the curve has a feature narrower than a channel that spoils
    its measurements. ``narrow`` (N,): whether its trough is narrower than a channel.
    """

    numbers: dict[str, Tensor]
    errors: dict[str, Tensor]
    needle: Tensor
    narrow: Tensor


def measure_horns(
    model: Model,
    parameters: Tensor,
    covariances: Tensor,
    low: Tensor,
    high: Tensor,
    channel: Tensor,
    w50: Tensor,
    w50_err: Tensor,
) -> Horns:
    """Find the horns of each fitted curve, and measure the widths between them.

    Of a double horn the trough is where the curve lies farthest below the lower of the highest points on either side,
    and these are the horns. Both reach 20 % of the peak, between whose edges the line lies: ripples beside it are no
    horns. The trough is as deep as a channel would see it. Where there is none, a shoulder for example, the one peak
    is both horns.

    An edge lies where the curve, seen from outside, first reaches its threshold: of ``w50_horns`` half of the horn of
    that side (Springob et al. 2005, ApJS 160, 149; Haynes et al. 2018, ApJ 861, 49), of ``wm50`` half of the mean
    flux density between the velocities that leave 5 % of the flux to each side (Courtois et al. 2009, AJ 138,
    1938), of the others a fraction of the peak. Thresholds move with the parameters as the curve does, and errors are
    taken as those of `hiexp.fitting.torch_backend.measure`.

    Parameters
    ----------
    model : Model
        What has been fitted.
    parameters, covariances : Tensor, shapes (N, P) and (N, P, P)
        Parameters of the curves and their covariances.
    low, high : Tensor, shape (N,)
        Ends of the window in which to look for the line, km/s.
    channel : Tensor, shape (N,)
        Width of a channel, km/s.
    w50, w50_err : Tensor, shape (N,)
        W50 and its error, km/s, which a curve with one peak has for ``w50_horns``.
    """
    values = (parameters, covariances, low, high, channel, w50, w50_err)
    parts = zip(*(value.split(AT_ONCE[low.device.type]) for value in values), strict=True)
    found = [_measure(model, *part) for part in parts if len(part[0])]
    if not found:
        nothing = {name: low.new_empty(0) for name in line_measurements(once=True)}
        none = low.new_empty(0, dtype=torch.bool)
        return Horns(nothing | {"horns": low, "trough_snr": low}, nothing, none, none)
    return Horns(
        {name: torch.cat([one.numbers[name] for one in found]) for name in found[0].numbers},
        {name: torch.cat([one.errors[name] for one in found]) for name in found[0].errors},
        torch.cat([one.needle for one in found]),
        torch.cat([one.narrow for one in found]),
    )


def _measure(
    model: Model,
    parameters: Tensor,
    covariances: Tensor,
    low: Tensor,
    high: Tensor,
    channel: Tensor,
    w50: Tensor,
    w50_err: Tensor,
) -> Horns:
    window = grid(low, high)
    velocity = grid(*extent(window, model.value(window, parameters)))
    profile, step = model.value(velocity, parameters), velocity[:, 1:2] - velocity[:, :1]
    places, double = _extremes(model, parameters, velocity, profile, step)
    across = (torch.arange(ACROSS, dtype=low.dtype, device=low.device) + 0.5) / ACROSS - 0.5
    near = (places[:, :, None] + channel[:, None, None] * across).flatten(1)
    at_extremes = model.value(torch.cat([places, near], dim=1), parameters)
    heights, means = at_extremes[:, :3], at_extremes[:, 3:].unflatten(1, (3, ACROSS)).mean(2)
    left, trough, right = heights.unbind(1)
    peak, fainter, seen = torch.maximum(left, right), torch.minimum(left, right), means[:, 1]
    deep = double & (trough < fainter)
    double = double & (fainter - seen > SHALLOWEST * peak)
    # Of one peak both horns are the peak.
    places = torch.where(double[:, None], places, places.gather(1, torch.where(left >= right, 0, 2)[:, None]))
    left, right = torch.where(double, left, peak), torch.where(double, right, peak)

    levels = width_levels(once=True)
    mean_at, mean, share = _mean_of_middle(velocity, profile, step)
    fractions = low.new_tensor([*levels.values()])
    rising = torch.cat([HALF * torch.stack([left, mean], dim=1), fractions * peak[:, None]], dim=1)
    falling = torch.cat([HALF * torch.stack([right, mean], dim=1), fractions * peak[:, None]], dim=1)
    edges, steepness, _ = edges_at(
        model.value, parameters, velocity, profile, torch.cat([rising, falling.flip(1)], dim=1)
    )

    # Derivatives by the parameters: of samples, of the edges, of the extremes and across the trough.
    coarse = velocity[:, ::COARSER]
    n, n_widths = coarse.shape[1], rising.shape[1]
    counts = [n, 2 * n_widths, 3, ACROSS]
    samples, derivatives = model.curve(
        torch.cat([coarse, edges, places, near[:, ACROSS : 2 * ACROSS]], 1), parameters
    )
    by_samples, by_places, by_extremes, by_seen = torch.stack(tuple(derivatives), dim=1).split(counts, dim=2)
    by_left, by_right = by_extremes[..., 0], by_extremes[..., 2]
    by_peak = torch.where((left >= right)[:, None], by_left, by_right)
    by_mean = _by_mean(by_samples, coarse, step * COARSER, mean_at, mean, share)
    by_levels = by_peak[..., None] * fractions
    by_rising = torch.cat([HALF * torch.stack([by_left, by_mean], dim=2), by_levels], dim=2)
    by_falling = torch.cat([HALF * torch.stack([by_right, by_mean], dim=2), by_levels], dim=2).flip(2)
    by_thresholds = torch.cat([by_rising, by_falling], dim=2)
    by_edges = (by_thresholds - by_places) / steepness[:, None]

    # By how many of its errors each sample stands above each threshold tells how far the edges scatter.
    above = samples[:, None, :n] - torch.cat([rising, falling.flip(1)], dim=1)[..., None]
    shared, of_thresholds = covariances @ by_samples, covariances @ by_thresholds
    spread = (shared * by_samples).sum(1)[:, None] + (of_thresholds * by_thresholds).sum(1)[..., None]
    spread = spread - 2 * of_thresholds.mT @ by_samples
    certainty = above / spread.clamp_min(torch.finfo(spread.dtype).tiny).sqrt()
    certainty = torch.cat([certainty[:, :n_widths], certainty[:, n_widths:].flip(2)], dim=1)
    scatter = edge_error(certainty, step * COARSER)
    first, last = scatter[:, :n_widths], scatter[:, n_widths:].flip(1)
    moved, mirrored = covariances @ by_edges, by_edges.flip(2)
    moving = (moved * by_edges).sum(1)
    alike = ((moved * mirrored).sum(1) / (moving * moving.flip(1)).sqrt())[:, :n_widths]
    alike = alike.nan_to_num(nan=0.0) * first * last
    width_errors = (first**2 + last**2 - 2 * alike).clamp_min(0).sqrt()
    middle_error = (first**2 + last**2 + 2 * alike).clamp_min(0).sqrt()[:, 0] / 2

    widths = edges[:, n_widths:].flip(1) - edges[:, :n_widths]
    by_depth = torch.where((left <= right)[:, None], by_left, by_right) - by_seen.mean(2)
    depth_error = standard_deviations(covariances, by_depth[:, None])[:, 0]
    numbers = {
        "w50_horns": torch.where(double, widths[:, 0], w50),
        "v_horns": (edges[:, 0] + edges[:, -1]) / 2,
        "wm50": widths[:, 1],
        **dict(zip(levels, widths[:, 2:].unbind(1), strict=True)),
        "horns": double.to(low.dtype) + 1,
        "trough_snr": torch.where(double, (fainter - seen) / depth_error, torch.nan),
    }
    errors = {
        "w50_horns": torch.where(double, width_errors[:, 0], w50_err),
        "v_horns": middle_error,
        "wm50": width_errors[:, 1],
        **dict(zip(levels, width_errors[:, 2:].unbind(1), strict=True)),
    }
    errors = {name: torch.where(error > 0, error, torch.nan) for name, error in errors.items()}
    loss, gain = ((heights - means)[:, ::2] / peak[:, None]).amax(1), (seen - trough) / peak
    narrow = deep & (gain > NARROW_GAIN) & (seen - trough > HALF * (fainter - trough))
    return Horns(numbers, errors, (loss > PEAK_LOSS) | (narrow & (gain > TROUGH_GAIN)), narrow)


def _extremes(
    model: Model, parameters: Tensor, velocity: Tensor, profile: Tensor, step: Tensor
) -> tuple[Tensor, Tensor]:
    """Return where the left horn, the trough and the right horn of each curve are, and whether there are two horns.

    km/s, shape (B, 3), and bool, shape (B,). Of a curve with one peak one of the horns is its peak.
    """
    from_left, from_right = profile.cummax(1), profile.flip(1).cummax(1)
    fainter = torch.minimum(from_left.values, from_right.values.flip(1))
    level = MEASUREMENTS[OUTER].level
    assert level is not None, "a width"
    peak = profile.amax(1, keepdim=True)
    depth, trough = torch.where(fainter >= level * peak, fainter - profile, 0).max(1, keepdim=True)
    left = from_left.indices.gather(1, trough)
    right = GRID - 1 - from_right.indices.flip(1).gather(1, trough)
    tops = velocity.gather(1, torch.cat([left, right], dim=1))
    tops = _highest(lambda at: model.value(at, parameters), tops, step, ZOOMS)
    trough = _highest(lambda at: -model.value(at, parameters), velocity.gather(1, trough), step, TROUGH_ZOOMS)
    return torch.cat([tops[:, :1], trough, tops[:, 1:]], dim=1), (depth > SHALLOWEST * peak)[:, 0]


def _highest(value: Callable, places: Tensor, step: Tensor, zooms: int) -> Tensor:
    """Return where a curve is highest within a `step` (B, 1) of each of the `places` (B, K), km/s.

    Of samples that are alike but for rounding the one in the middle is taken: an even top draws nothing aside.
    """
    reach = step[:, :, None] * torch.linspace(-1, 1, CLOSER, dtype=step.dtype, device=step.device)
    centrality = 1 - torch.linspace(-1, 1, CLOSER, dtype=step.dtype, device=step.device).abs() / 2
    for zoom in range(zooms):
        closer = places[:, :, None] + reach * (2 / (CLOSER - 1)) ** zoom
        heights = value(closer.flatten(1)).unflatten(1, closer.shape[1:])
        highest = heights.amax(2, keepdim=True)
        alike = heights >= highest - ROUNDING * highest.abs()
        places = closer.gather(2, (alike * centrality).argmax(2, keepdim=True))[..., 0]
    return places


def _mean_of_middle(velocity: Tensor, profile: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the ends (B, 2) of the middle 90 % of the flux, the mean flux density (B,) there, and at the ends."""
    strips = step * (profile[:, 1:] + profile[:, :-1]) / 2
    summed = torch.nn.functional.pad(strips.cumsum(1), (1, 0))
    wanted = summed[:, -1:] * profile.new_tensor(MIDDLE)
    after = torch.searchsorted(summed, wanted).clamp(1, GRID - 1)
    before = after - 1
    begin, end = profile.gather(1, before), profile.gather(1, after)
    share = (wanted - summed.gather(1, before)) / strips.gather(1, before)
    # Within a strip the curve is straight and its flux a parabola: one Newton step from the secant.
    rest = share * (begin + share * (end - begin) / 2) - share * (begin + end) / 2
    at_ends = begin + share * (end - begin)
    share = (share - rest / at_ends).clamp(0, 1)
    ends = velocity.gather(1, before) + share * step
    mean = (MIDDLE[1] - MIDDLE[0]) * summed[:, -1] / (ends[:, 1] - ends[:, 0])
    return ends, mean, at_ends


def _by_mean(
    by_samples: Tensor, velocity: Tensor, step: Tensor, ends: Tensor, mean: Tensor, at_ends: Tensor
) -> Tensor:
    """Return the derivatives of the mean of the middle 90 % of the flux, shape (B, P), from those of samples."""
    below = ((ends[:, None] - velocity[..., None]) / step[..., None] + 0.5).clamp(0, 1)
    weights = torch.cat([torch.ones_like(velocity)[..., None], below], dim=2) * step[..., None]
    weights[:, [0, -1]] /= 2  # trapezoids
    by_flux, by_first, by_last = (by_samples @ weights).unbind(2)
    # The ends move such that the flux beside them stays the same share of the whole.
    first = (MIDDLE[0] * by_flux - by_first) / at_ends[:, :1]
    last = (MIDDLE[1] * by_flux - by_last) / at_ends[:, 1:]
    length = (ends[:, 1] - ends[:, 0])[:, None]
    return (MIDDLE[1] - MIDDLE[0]) * by_flux / length - mean[:, None] * (last - first) / length
