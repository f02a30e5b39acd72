"""What a careful reader should know of a good fit: the words in the column ``flags`` of the table of fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.special import chdtrc
from torch import Tensor

from hiexp.fitting.line import Channels, Lines

FLAGS = {
    "at_bound": "a parameter of the model ended at a bound; it has no error, and the others are as if it were known",
    "needle": "at least half of the trough is narrower than a channel; trough_snr is of the rest",
    "width_conventions": "w50 and w50_horns differ by more than 3 times their errors, added in quadrature",
    "edge": "on a side of the line there are fewer valid channels than half of its width, or than 10",
    "poor_baseline": "sums over channels beside the line scatter more than the noise allows, by a chi-squared test",
    "confusion": "a second source beside the line, with a S/N of 6 or more: v_confusion has its velocity",
    "rfi": "in the window the fit leaves more than 6 times the noise in one or two channels",
}
"""Words and their meanings, in the order in which they stand in the column."""

CERTAIN = 3.0  # standard deviations by which the conventions for W50 have to differ
ONE_SIDED, FEWEST_BESIDE = 0.5, 10  # of the line's width, and channels
MARGIN = 0.25  # of the line's width to each side: beyond it the spectrum is taken to be without the line
BOXES = (3, 5, 8, 13, 21, 34, 55, 89, 144)  # channels: widths of a second source
SHIFTS = 4  # neighbouring boxes of one width lie a quarter of it apart
SECOND_SNR = 6.0
BLOCKS = (16, 128)  # channels: the least and the most that are summed up to look at the baseline
SHORT = 8  # channels: what sums over so few differ from the next by is noise and no baseline
RARE = 2e-4  # probability by the chi-squared test, which takes the noise for known: it is called poor oftener
SPIKE, NARROW = 6.0, 0.5  # standard deviations of a spike, and what of it may be left two channels beside
AT_ONCE = {"cpu": 128, "cuda": 8192}  # spectra looked at together: on a CPU few enough for its cache


class Beside(NamedTuple):
    """What is found beside N lines: words and where they apply (N,), and the second source's velocity, km/s."""

    applies: dict[str, Tensor]
    v_confusion: Tensor


def look_beside(
    channels: Channels, lines: Lines, left: Tensor, low: Tensor, high: Tensor, window: Tensor | None = None
) -> Beside:
    """Look for what is wrong with spectra beside their lines.

    Parameters
    ----------
    channels : Channels
        N spectra of L channels.
    lines : Lines
        Their lines, and what the noise beside them is like.
    left : Tensor, shape (N, L)
        What the fit leaves of the flux, mJy.
    low, high : Tensor, shape (N,)
        Ends of the lines, km/s.
    window : Tensor, shape (N, 2), optional
        Windows of the fit, km/s, in which spikes are looked for; none where there is no model.

    Returns
    -------
    Beside
        Of ``edge``, ``poor_baseline``, ``confusion`` and ``rfi``.

        A second source is the box of 3 to 144 channels with the highest signal-to-noise ratio, positive and higher
        than that of any negative box: ripples have both. Its noise is what has been measured beside the line,
        correlation at lags up to 5 channels counted in.

        A baseline is poor if the sums over blocks of channels as wide as the line scatter around 0 more than their
        noise, by a chi-squared test; a second source is left out. That noise follows from the differences of sums
        over 8 channels and the next 8, which share no baseline but have the correlation of neighbours in them. So an
        offset of half the noise is found, and a ripple longer than the line; one that is shorter averages out.
    """
    size = AT_ONCE[low.device.type]
    rows = [slice(start, start + size) for start in range(0, len(low), size)]
    parts = [
        _look(
            channels.take(one),
            lines.take(one),
            left[one],
            low[one],
            high[one],
            None if window is None else window[one],
        )
        for one in rows
    ]
    if not parts:
        return Beside({}, low)
    applies = {name: torch.cat([part.applies[name] for part in parts]) for name in parts[0].applies}
    return Beside(applies, torch.cat([part.v_confusion for part in parts]))


def _look(channels: Channels, lines: Lines, left: Tensor, low: Tensor, high: Tensor, window: Tensor | None) -> Beside:
    velocity, valid, width = channels.velocity, channels.valid, high - low
    left = left * channels.precision
    noise = channels.rms * lines.noise
    # Neighbours that share their noise average out less of it.
    summed = noise * (1 + 2 * lines.correlation.sum(1)).clamp_min(0.5).sqrt()
    before = channels.sums(velocity[:, 0], low - channels.width).number
    after = channels.sums(high + channels.width, velocity[:, -1]).number
    needed = (ONE_SIDED * width / channels.width).clamp_min(FEWEST_BESIDE)
    beside = valid & ((velocity - ((low + high) / 2)[:, None]).abs() > (0.5 + MARGIN) * width[:, None])
    second, begin, end = _second_source(left, beside, summed)
    place = torch.arange(velocity.shape[1], device=velocity.device)
    beside = beside & ~(second[:, None] & (place >= begin[:, None]) & (place < end[:, None]))
    middle = velocity.gather(1, torch.stack([begin, end - 1], dim=1)).mean(1)
    applies = {
        "edge": torch.minimum(before, after) < needed,
        "poor_baseline": _poor(left, beside, width / channels.width),
        "confusion": second,
        "rfi": torch.zeros_like(second),
    }
    if window is not None:
        inside = valid & (velocity >= window[:, :1]) & (velocity <= window[:, 1:])
        applies["rfi"] = _spikes(left, inside, noise)
    return Beside(applies, torch.where(second, middle, torch.nan))


def _second_source(left: Tensor, beside: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return whether there is another source, and the first channel of its box and the one after it, shape (N,)."""
    length = left.shape[1]
    used, total = _running(beside), _running(torch.where(beside, left, 0))
    best, lowest = torch.zeros_like(noise), torch.zeros_like(noise)
    begin, end = torch.zeros_like(noise, dtype=torch.long), torch.ones_like(noise, dtype=torch.long)
    for box in BOXES:
        if box > length // 2:
            break
        stride = max(box // SHIFTS, 1)
        stop = length - box + 1
        held = used[:, box::stride] - used[:, :stop:stride]
        snr = (total[:, box::stride] - total[:, :stop:stride]) / held.clamp_min(1).sqrt()
        snr.masked_fill_(held < 0.75 * box, 0.0)
        highest, where = snr.max(1)
        lowest = torch.minimum(lowest, snr.amin(1))
        better = highest > best
        best = torch.where(better, highest, best)
        begin = torch.where(better, where * stride, begin)
        end = torch.where(better, where * stride + box, end)
    return (best > SECOND_SNR * noise) & (best > -lowest), begin, end


def _poor(left: Tensor, beside: Tensor, width: Tensor) -> Tensor:
    """Return whether sums over `width` channels beside the line scatter more than noise does, shape (N,)."""
    length = left.shape[1]
    used, total = _running(beside), _running(torch.where(beside, left, 0))
    if length < 2 * SHORT:
        return torch.zeros_like(width, dtype=torch.bool)
    whole = used[:, 2 * SHORT :] - used[:, : -2 * SHORT] == 2 * SHORT
    difference = total[:, 2 * SHORT :] - 2 * total[:, SHORT:-SHORT] + total[:, : -2 * SHORT]
    variance = (difference**2 * whole).sum(1) / whole.sum(1) / (2 * SHORT)  # of a sum, a channel
    block = width.clamp(*BLOCKS).round().long()[:, None]
    ends = (torch.arange(length // BLOCKS[0] + 1, device=left.device) * block).clamp_max(length)
    held, sums = used.gather(1, ends).diff(dim=1), total.gather(1, ends).diff(dim=1)
    counts = held >= block / 2
    chi2 = torch.where(counts, sums**2 / held.clamp_min(1), 0).sum(1) / variance
    chance = chdtrc(counts.sum(1).cpu().numpy(), chi2.cpu().numpy())  # nan where nothing is known of the noise
    return torch.from_numpy(np.asarray(chance) < RARE).to(left.device)


def _spikes(left: Tensor, inside: Tensor, noise: Tensor) -> Tensor:
    """Return whether one or two channels stick out of what the fit leaves, shape (N,)."""
    size = torch.where(inside, left, 0).abs()
    around = torch.nn.functional.pad(left.abs(), (2, 2))
    narrow = torch.maximum(around[:, :-4], around[:, 4:]) < NARROW * size
    return ((size > SPIKE * noise[:, None]) & narrow).any(1)


def _running(values: Tensor) -> Tensor:
    """Return the sums of values (N, L) up to each channel, shape (N, L + 1)."""
    return torch.nn.functional.pad(values.to(torch.float64).cumsum(1), (1, 0))


def conventions_differ(table: pd.DataFrame) -> np.ndarray:
    """Return where W50 of the one convention is not that of the other, shape (N,).

    The errors are taken as independent. Mostly one edge is the same, and the difference surer than that.
    """
    error = np.hypot(table["w50_err"], table["w50_horns_err"])
    return ((table["w50"] - table["w50_horns"]).abs() > CERTAIN * error).to_numpy()


def words(applies: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """Return the flags of N spectra, separated by commas, as Python strings; `applies` has N bool by word."""
    flags = np.full(n, "", dtype=object)
    for name in FLAGS:
        if name in applies:
            flags = np.where(applies[name], np.where(flags == "", name, flags + f",{name}"), flags)
    return flags
