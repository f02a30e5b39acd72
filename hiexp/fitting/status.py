"""What is wrong with a spectrum, or with its fit."""

from __future__ import annotations

import numpy as np
import torch

from hiexp.fitting.line import Channels, Lines
from hiexp.fitting.passes import Pass
from hiexp.fitting.result import GOOD

NEEDLE = "the fitted curve has a feature narrower than a channel"


def without_content(channels: Channels) -> np.ndarray:
    """Return why there is nothing to be found in a spectrum, or `GOOD`, shape (N,)."""
    n_valid = channels.running.number[:, -1]
    differs = (channels.flux != channels.flux.gather(1, channels.ends()[0])) & channels.valid
    return _first_reason(
        (n_valid == 0, "no valid channels"),
        (n_valid == 1, "a single valid channel"),
        (~differs.any(1), "constant flux"),
    )


def before_fitting(channels: Channels, rms: np.ndarray, lines: Lines, min_snr: float) -> np.ndarray:
    """Return why a spectrum cannot be fitted, or `GOOD`, shape (N,); `rms` as the spectra have it, known or not."""
    noise = torch.tensor(rms, device=lines.snr.device)
    hindered = _first_reason(
        (~(noise.isfinite() & (noise > 0)), "no noise to weigh the channels by: rms is 0 or unknown"),
        (lines.snr == 0, "no emission found"),
        (lines.snr < min_snr, f"no line found: no candidate has a S/N of {min_snr:g}"),
    )
    empty = without_content(channels)
    return np.where(empty == GOOD, hindered, empty)


def _first_reason(*reasons: tuple[torch.Tensor, str]) -> np.ndarray:
    """Return the first reason that applies to each spectrum, or `GOOD`, as Python strings, shape (N,)."""
    applies = [wrong.cpu().numpy() for wrong, _ in reasons]
    return np.select(applies, [reason for _, reason in reasons], GOOD).astype(object)


def after_fitting(channels: Channels, fitted: Pass, status: np.ndarray, max_steps: int) -> None:
    """Note in `status` what is wrong with fits that were made."""
    low, high = fitted.edges.unbind(1)
    first, last = (channels.velocity.gather(1, end)[:, 0] for end in channels.ends())
    before, beyond = channels.find(low, high)
    masked = channels.sums(low, high).number < 0.5 * (beyond - before)[:, 0]
    reasons = (
        (~fitted.converged, f"not converged in {max_steps} steps"),
        (torch.stack([*fitted.measured.values()]).isnan().any(0), "the fitted curve has no peak"),
        ((low <= first + channels.width) | (high >= last - channels.width), "the line reaches the edge of the band"),
        (fitted.cut, "the line is wider than the fit's window"),
        (masked, "more than half of the line's channels are masked"),
    )
    for wrong, reason in reasons:
        status[(status == GOOD) & wrong.cpu().numpy()] = reason
