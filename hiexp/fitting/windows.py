"""The channels around each line, gathered from spectra of unlike windows into one batch."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from hiexp.fitting.line import Channels, Lines


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
        Of the line as it was found, km/s.
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

    @property
    def length(self) -> Tensor:
        """Channels up to the last one that counts, shape (B,)."""
        place = torch.arange(1, self.weight.shape[1] + 1, device=self.weight.device)
        return torch.where(self.weight > 0, place, 0).amax(1)

    def take(self, rows: Tensor) -> Windows:
        """Return some of the windows, no longer than the longest of them."""
        length = max(int(self.length[rows].max()), 1)
        cut = {field.name: getattr(self, field.name)[rows] for field in fields(self)}
        return Windows(**{name: value[:, :length] if value.ndim == 2 else value for name, value in cut.items()})


def gather(channels: Channels, lines: Lines, rows: Tensor, low: Tensor, high: Tensor) -> Windows:
    """Take the channels between `low` and `high`, shape (N,), of the spectra `rows`, shape (B,)."""
    first, last = (found[rows] for found in channels.find(low, high))
    longest = int((last - first).max()) if len(rows) else 0
    index = first + torch.arange(max(longest, 1), device=rows.device)
    in_window = index < last
    index = index.clamp_max(channels.velocity.shape[1] - 1)
    row = rows[:, None]
    used = in_window & channels.valid[row, index]
    return Windows(
        velocity=channels.velocity[row, index],
        flux=channels.flux[row, index],
        weight=torch.where(used, 1 / channels.rms[row], 0.0),
        low=low[rows],
        high=high[rows],
        centre=lines.centre[rows],
        width=lines.width[rows],
        channel=channels.width[rows],
        noise=lines.noise[rows],
    )
