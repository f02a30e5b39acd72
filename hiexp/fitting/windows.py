"""The channels around each line, gathered from spectra of unlike windows into one batch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor

from hiexp.fitting.line import SLACK, Channels, Lines

HORN = 0.25  # of the line's width: over so much of it data are averaged to look for its peak and its horns


@dataclass(frozen=True)
class Windows:
    """The channels that B fits look at, M of them at most.

    Attributes
    ----------
    velocity, flux : Tensor, shape (B, M)
        km/s and mJy.
    weight : Tensor, shape (B, M)
        Inverse of the noise, per mJy; 0 for channels outside the window or masked.
    low, high : Tensor, shape (B,)
        The windows, km/s.
    centre, width : Tensor, shape (B,)
        Centre and width of the line as it was found, km/s.
    channel : Tensor, shape (B,)
        Width of a channel, km/s.
    noise : Tensor, shape (B,)
        What there is of noise beside the line, in units of 1 / `weight`.
    """

    velocity: Tensor
    flux: Tensor
    weight: Tensor
    low: Tensor
    high: Tensor
    centre: Tensor
    width: Tensor
    channel: Tensor
    noise: Tensor

    @property
    def n_channels(self) -> Tensor:
        """Channels that count, shape (B,)."""
        return (self.weight > 0).sum(1)

    @cached_property
    def length(self) -> Tensor:
        """Channels up to the last one that counts, shape (B,)."""
        place = torch.arange(1, self.weight.shape[1] + 1, device=self.weight.device)
        return torch.where(self.weight > 0, place, 0).amax(1)

    # What is known of a line before it is fitted, besides the fields, each of shape (B,); only what is asked for.

    @property
    def rms(self) -> Tensor:
        """Noise of a channel, of the quietest where they differ, mJy."""
        return 1 / self.weight.amax(1)

    @cached_property
    def line_flux(self) -> Tensor:
        """Flux of the line as it was found, at least 0, mJy km/s."""
        inside = (self.weight > 0) & ((self.velocity - self.centre[:, None]).abs() <= self._reach)
        return ((self.flux * inside).sum(1) * self.channel).clamp_min(0)

    @cached_property
    def peak(self) -> Tensor:
        """Highest mean flux density over a quarter of the line, mJy."""
        return self._means[1].amax(1).nan_to_num(neginf=0.0)

    @cached_property
    def left_horn(self) -> Tensor:
        """Where that mean is highest in the left half of the line, km/s."""
        aside, mean = self._means
        return self._highest(torch.where(aside <= -self._slack, mean, -torch.inf))

    @cached_property
    def right_horn(self) -> Tensor:
        """Where that mean is highest in the right half of the line, km/s."""
        aside, mean = self._means
        return self._highest(torch.where(aside >= self._slack, mean, -torch.inf))

    # Rounding decides neither whether half a channel is one more nor where channels at the ends and the middle
    # belong: both horns at the middle would be one start for two.

    @property
    def _slack(self) -> Tensor:
        return SLACK * self.channel[:, None]

    @property
    def _reach(self) -> Tensor:
        return self.width[:, None] / 2 + self._slack

    @cached_property
    def _means(self) -> tuple[Tensor, Tensor]:
        """Return running means over a quarter of the line, at least three channels, and where they are taken.

        km/s from the line's centre, and mJy, each of shape (B, M): differences of a running sum. Outside the line
        they are -inf.
        """
        velocity, used = self.velocity, self.weight > 0
        span = (HORN * self.width / self.channel - SLACK).round().long().clamp_min(3)
        total = torch.nn.functional.pad((self.flux * used).cumsum(1), (1, 0))
        count = torch.nn.functional.pad(used.to(total.dtype).cumsum(1), (1, 0))
        first = torch.arange(velocity.shape[1], device=velocity.device).expand_as(velocity)
        last = (first + span[:, None]).clamp_max(velocity.shape[1])
        held = count.gather(1, last) - count.gather(1, first)
        aside = (velocity + velocity.gather(1, last - 1)) / 2 - self.centre[:, None]
        mean = (total.gather(1, last) - total.gather(1, first)) / held
        return aside, torch.where((held > 0) & (aside.abs() <= self._reach), mean, -torch.inf)

    def _highest(self, mean: Tensor) -> Tensor:
        return self.centre + self._means[0].gather(1, mean.argmax(1, keepdim=True))[:, 0]

    def take(self, rows: Tensor | slice) -> Windows:
        """Return some of the windows, no longer than the longest of them."""
        length = max(int(self.length[rows].max()), 1)
        cut = {field.name: getattr(self, field.name)[rows] for field in fields(self)}
        return Windows(**{name: value[:, :length] if value.ndim == 2 else value for name, value in cut.items()})


def gather(channels: Channels, lines: Lines, rows: Tensor, low: Tensor, high: Tensor) -> Windows:
    """Take the channels between `low` and `high`, shape (N,), of the spectra `rows`, shape (B,)."""
    first, last = (found[rows, 0] for found in channels.find(low, high))
    longest = max(int((last - first).max()), 1) if len(rows) else 1
    begin = first.clamp_max(channels.velocity.shape[1] - longest)
    place = begin[:, None] + torch.arange(longest, device=rows.device)
    in_window = (place >= first[:, None]) & (place < last[:, None])

    def cut(values: Tensor) -> Tensor:
        return values.unfold(1, longest, 1)[rows, begin]

    used = in_window & cut(channels.valid)
    precision = channels.precision[rows] if channels.precision.shape[1] == 1 else cut(channels.precision)
    return Windows(
        velocity=cut(channels.velocity),
        flux=cut(channels.flux),
        weight=used * (precision / channels.rms[rows, None]),
        low=low[rows],
        high=high[rows],
        centre=lines.centre[rows],
        width=lines.width[rows],
        channel=channels.width[rows],
        noise=lines.noise[rows],
    )
