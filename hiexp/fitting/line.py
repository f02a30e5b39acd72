"""Where in its spectrum a galaxy's line is, and what the noise beside it is like."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hiexp.spectra import Spectra, without_nan

NARROWEST, WIDEST = 12.0, 1200.0  # km/s: the widths tried
BOXES = np.unique((2 * 1.115 ** np.arange(100)).round().astype(int))  # channels
OVERLAP = 16  # neighbouring boxes of one width lie a sixteenth of it apart
NEAR = 50.0  # km/s: how far from its expected velocity a line may be
LAGS = 5  # channels; beyond it lie the ripples of the baseline
AT_ONCE = {"cpu": 128, "cuda": 8192}  # spectra looked at together: on a CPU few enough for its cache
MORE_AT_ONCE = 4  # times as many where the velocity is known, and few boxes are looked at
SLACK = 1e-3  # of a channel: what is nearer to the edge of a window or a line than that lies inside
TINY = torch.finfo(torch.float64).tiny
FEWEST_FREE = 64  # channels without a line that say anything of the noise


class Running(NamedTuple):
    """Sums over valid channels: their number, and their weights, weighted flux and weighted square of it.

    Weights are squares of `Channels.precision`, so that without noise of their own these are sums of flux.
    """

    number: Tensor
    weight: Tensor
    flux: Tensor
    squares: Tensor


@dataclass(frozen=True)
class Channels:
    """N spectra of L channels on the device that fits them.

    Attributes
    ----------
    velocity, flux : Tensor, shape (N, L)
        km/s, ascending, and mJy; flux is 0 where not `valid`.
    valid : Tensor of bool, shape (N, L)
        Channels that may be used.
    rms, systemic : Tensor, shape (N,)
        Typical noise of one channel, mJy; where the line is expected, km/s, NaN where nobody knows.
    precision : Tensor, shape (N, 1) or (N, L)
        `rms` over the noise of each channel: 1 where all have the same.
    running : Running
        Sums up to each channel: those over any window are two look-ups away.
    """

    velocity: Tensor
    flux: Tensor
    valid: Tensor
    rms: Tensor
    systemic: Tensor
    precision: Tensor
    running: Running

    @property
    def width(self) -> Tensor:
        """Width of a channel, km/s, shape (N,)."""
        return (self.velocity[:, -1] - self.velocity[:, 0]) / max(self.velocity.shape[1] - 1, 1)

    def find(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first channel from `low` on and the first one beyond `high`, each of shape (N, 1).

        A channel at the very edge is inside, whatever rounding has done to either.
        """
        slack = SLACK * self.width
        first = torch.searchsorted(self.velocity, (low - slack)[:, None])
        return first, torch.searchsorted(self.velocity, (high + slack)[:, None], right=True)

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return the first and the last valid channel, each of shape (N, 1); any where there is none."""
        used = self.running.number

        def channel(number: Tensor) -> Tensor:
            return (torch.searchsorted(used, number) - 1).clamp(0, used.shape[1] - 2)

        return channel(torch.ones_like(used[:, :1])), channel(used[:, -1:].contiguous())

    def sums(self, low: Tensor, high: Tensor) -> Running:
        """Return the sums over the valid channels in each window, each of shape (N,)."""
        first, last = self.find(low, high)
        last = torch.maximum(first, last)
        return Running(*((total.gather(1, last) - total.gather(1, first))[:, 0] for total in self.running))

    def take(self, rows: Tensor | slice) -> Channels:
        """Return some of the spectra."""
        return Channels(
            velocity=self.velocity[rows],
            flux=self.flux[rows],
            valid=self.valid[rows],
            rms=self.rms[rows],
            systemic=self.systemic[rows],
            precision=self.precision[rows],
            running=Running(*(total[rows] for total in self.running)),
        )


def tensors(spectra: Spectra, device: torch.device) -> Channels:
    """Return the spectra as tensors, an rms that is not known as 1.

    Of channels with noise of their own those where it is not known are not valid, unless it is known of none.
    """
    spectra = without_nan(spectra)
    typical = spectra.typical_rms
    typical = np.where(np.isfinite(typical) & (typical > 0), typical, 1.0)
    precision, valid = np.ones((len(typical), 1)), spectra.valid
    if spectra.rms.ndim == 2:
        known = np.isfinite(spectra.rms) & (spectra.rms > 0)
        valid = valid & (known | ~(valid & known).any(axis=1, keepdims=True))
        precision = np.divide(typical[:, None], spectra.rms, out=np.ones(valid.shape), where=known)

    def double(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.require(values, np.float64, ["C", "W"])).to(device)

    flux, usable, precise = (
        double(np.where(valid, spectra.flux, 0.0)),
        torch.from_numpy(valid).to(device),
        double(precision),
    )
    n, length = flux.shape
    alike = precise.shape[1] == 1
    running = flux.new_zeros(3 if alike else 4, n, length + 1)
    number, total, squares = running[:3, :, 1:]
    number.copy_(usable)
    weight = precise**2
    torch.mul(flux, weight, out=total)
    torch.mul(flux, total, out=squares)
    if not alike:
        torch.mul(number, weight, out=running[3, :, 1:])
    running[:, :, 1:].cumsum_(2)  # in place: memory asked for anew costs more than the sums
    return Channels(
        velocity=double(spectra.velocity),
        flux=flux,
        valid=usable,
        rms=double(typical),
        systemic=double(spectra.systemic),
        precision=precise,
        running=Running(running[0], running[0 if alike else 3], running[1], running[2]),
    )


@dataclass(frozen=True)
class Lines:
    """The box that holds most of each line.

    Attributes
    ----------
    centre, width : Tensor, shape (N,)
        km/s; NaN where no box has positive flux.
    snr : Tensor, shape (N,)
        Flux in the box over its noise, the noise's correlation counted in; 0 where no box has positive flux.
    noise : Tensor, shape (N,)
        Root mean square of the channels beside the line over their rms; 1 where there are too few.
    correlation : Tensor, shape (N, 5)
        Autocorrelation of the noise at lags of 1 to 5 channels, measured beside the line; 0 where there are too few.
    """

    centre: Tensor
    width: Tensor
    snr: Tensor
    noise: Tensor
    correlation: Tensor

    def beside(self, spectra: Spectra, channels: Channels) -> dict[str, np.ndarray]:
        """Return what the table of fits says of the channels and their noise, shape (N,) by column."""
        return {
            "rms": spectra.typical_rms,
            "channel_width": channels.width.cpu().numpy(),
            "noise_correlation": self.correlation[:, 0].cpu().numpy(),
        }

    def take(self, rows: slice | Tensor) -> Lines:
        """Return the lines of some of the spectra."""
        return Lines(*(value[rows] for value in vars(self).values()))


_FOUND: dict[tuple[int, str], Lines] = {}  # of the Spectra that exist, by their id, and by device


def cached_lines(spectra: Spectra, device: torch.device) -> Lines | None:
    """Return the lines of spectra in which another fit has looked for them, None if none has."""
    return _FOUND.get((id(spectra), device.type))


def cache_lines(spectra: Spectra, device: torch.device, lines: Sequence[Lines]) -> None:
    """Keep the lines found in the batches of a sample for as long as the sample exists, for the next curve."""
    key = (id(spectra), device.type)
    if key not in _FOUND:
        columns = zip(*(vars(part).values() for part in lines), strict=True)
        _FOUND[key] = Lines(*(torch.cat(parts) for parts in columns))
        weakref.finalize(spectra, _FOUND.pop, key)


def find_lines(channels: Channels) -> Lines:
    """Find each line as the box of channels with the highest signal-to-noise ratio.

    A matched filter over boxes of 12 to 1200 km/s (after Saintonge 2007, AJ 133, 2087), whose channels count by the
    inverse of their variance. Where `systemic` is known, boxes centred within 50 km/s of it are looked at, else all
    of them.
    """
    n = len(channels.flux)
    centre, width = torch.full_like(channels.rms, torch.nan), torch.full_like(channels.rms, torch.nan)
    snr, noise = torch.zeros_like(channels.rms), torch.ones_like(channels.rms)
    correlation = torch.zeros(n, LAGS).to(channels.rms)
    blind = channels.systemic.isnan()
    at_once = AT_ONCE[blind.device.type]
    for alike, size in ((blind, at_once), (~blind, MORE_AT_ONCE * at_once)):
        for rows in _pieces(alike, size):
            part = channels.take(rows)
            boxes = _best_boxes(part)
            centre[rows], width[rows], snr[rows] = boxes
            reach = boxes[1] + SLACK * part.width
            beside = ~((part.velocity - boxes[0][:, None]).abs() <= reach[:, None])
            rms, correlation[rows] = noise_beside(part.flux * part.precision, part.valid & beside)
            noise[rows] = torch.where(rms > 0, rms / part.rms, 1.0)
    # Neighbours that share their noise average out less of it.
    return Lines(centre, width, snr / (1 + 2 * correlation.sum(1)).clamp_min(0.5).sqrt(), noise, correlation)


def _pieces(mask: Tensor, size: int) -> Sequence[Tensor | slice]:
    """Return where a mask is true, `size` places at a time: slices, which copy nothing, where it always is."""
    if mask.all():
        return [slice(start, start + size) for start in range(0, len(mask), size)]
    return mask.nonzero()[:, 0].split(size) if mask.any() else []


def _best_boxes(channels: Channels) -> tuple[Tensor, Tensor, Tensor]:
    """Return centre, width and signal-to-noise ratio of the best box, for white noise, each of shape (N,).

    `Channels.systemic` is known of all spectra or of none.
    """
    velocity, rms, systemic, channel = channels.velocity, channels.rms, channels.systemic, channels.width
    used, weight, total, _ = channels.running
    alike = weight is used
    length = velocity.shape[1]
    centre, width, best = torch.full_like(rms, torch.nan), torch.full_like(rms, torch.nan), torch.zeros_like(rms)
    if length < 2:
        return centre, width, best
    # Each spectrum has boxes of its own choice, whatever spectra it shares the batch with.
    narrowest, widest = float(channel.min()), float(channel.max())
    boxes = BOXES[(widest * BOXES >= NARROWEST) & (narrowest * BOXES <= WIDEST) & (max(length, 3) > BOXES)]
    known = bool(len(boxes)) and not systemic.isnan().any()
    if known:
        # Only what lies within reach is looked at, so that a box begins in the same column for all spectra.
        reach = int(NEAR / narrowest) + 1
        middle_column = 2 * reach + int(boxes[-1])
        column = torch.arange(-middle_column, middle_column + 1, device=rms.device)
        place = torch.searchsorted(velocity, systemic[:, None]) + column
        before = place.clamp(0, length)
        used, weight, total = (sums.gather(1, before) for sums in (used, weight, total))
        velocity = velocity.gather(1, place.clamp(0, length - 1))
    for box in boxes.tolist():
        stride = max(box // OVERLAP, 1)
        if known:
            steps = reach // stride + 1
            begin = middle_column - box // 2 - stride * steps
            end = begin + 2 * stride * steps + 1
        else:
            begin, end = 0, max(length - box, 0) + 1
        first, last = slice(begin, end, stride), slice(begin + box, end + box, stride)
        held = used[:, last] - used[:, first]
        counted = held.clamp_min(1) if alike else (weight[:, last] - weight[:, first]).clamp_min(TINY)
        snr = (total[:, last] - total[:, first]) / counted.sqrt()
        left, right = velocity[:, first], velocity[:, begin + box - 1 : end + box - 1 : stride]
        middle = (left + right) / 2
        # A box half masked says little of the line; one far from a known velocity is another source.
        snr.masked_fill_((held < box / 2) | ((middle - systemic[:, None]).abs() > NEAR), 0.0)
        highest, where = snr.max(1, keepdim=True)
        # Channels of different telescopes differ in width, and the boxes for one are out of range for another.
        in_range = (box * channel >= NARROWEST) & (box * channel <= WIDEST)
        highest = torch.where(in_range, highest[:, 0] / rms, 0.0)
        better = highest > best
        best = torch.where(better, highest, best)
        centre = torch.where(better, middle.gather(1, where)[:, 0], centre)
        width = torch.where(better, (right - left).gather(1, where)[:, 0] + channel, width)
    return centre, width, best


def noise_beside(flux: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rms of the noise, shape (N,), and its autocorrelation at lags of 1 to 5 channels, shape (N, 5).

    Parameters
    ----------
    flux : Tensor, shape (N, L)
        Any unit.
    free : Tensor of bool, shape (N, L)
        Channels without a line; where there are fewer than 64, rms and correlations are 0.
    """
    free = free.to(flux.dtype)
    noise, n_free = flux * free, free.sum(1)
    variance = torch.where(n_free >= FEWEST_FREE, torch.linalg.vecdot(noise, noise) / n_free, 0)
    lags = torch.zeros(len(flux), LAGS).to(flux)
    for lag in range(1, min(LAGS, flux.shape[1] - 1) + 1):
        pairs = torch.linalg.vecdot(free[:, lag:], free[:, :-lag])
        covariance = torch.linalg.vecdot(noise[:, lag:], noise[:, :-lag]) / pairs
        lags[:, lag - 1] = torch.where((pairs >= FEWEST_FREE) & (variance > 0), covariance / variance, 0)
    return variance.sqrt(), lags
