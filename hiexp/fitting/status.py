"""What is wrong with a spectrum, or with its fit."""

from __future__ import annotations

import numpy as np
import torch

from hiexp.fitting.line import Channels, Lines
from hiexp.fitting.passes import Pass
from hiexp.fitting.result import GOOD
from hiexp.spectra import Spectra


def before_fitting(spectra: Spectra, channels: Channels, lines: Lines, min_snr: float) -> np.ndarray:
    """Return why a spectrum cannot be fitted, or `GOOD`, shape (N,)."""
    n_valid = channels.valid.sum(1).cpu().numpy()
    highest = channels.flux.where(channels.valid, -torch.inf).amax(1)
    lowest = channels.flux.where(channels.valid, torch.inf).amin(1)
    snr = lines.snr.cpu().numpy()
    reasons = (
        (n_valid == 0, "no valid channels"),
        (n_valid == 1, "a single valid channel"),
        ((highest == lowest).cpu().numpy(), "constant flux"),
        (~(np.isfinite(spectra.rms) & (spectra.rms > 0)), "no noise to weigh the channels by: rms is 0 or unknown"),
        (snr == 0, "no emission found"),
        (snr < min_snr, f"no line found: no candidate has a S/N of {min_snr:g}"),
    )
    return np.select([wrong for wrong, _ in reasons], [reason for _, reason in reasons], GOOD).astype(object)


def after_fitting(channels: Channels, fitted: Pass, status: np.ndarray, max_steps: int) -> None:
    """Note in `status` what is wrong with fits that were made."""
    low, high = fitted.edges.unbind(1)
    used = channels.running[0]
    first = channels.velocity.gather(1, torch.searchsorted(used, torch.ones_like(used[:, :1])) - 1)[:, 0]
    last = channels.velocity.gather(1, torch.searchsorted(used, used[:, -1:].contiguous()) - 1)[:, 0]
    before, beyond = channels.find(low, high)
    masked = channels.sums(low, high)[0] < 0.5 * (beyond - before)[:, 0]
    reasons = (
        (~fitted.converged, f"not converged in {max_steps} steps"),
        (fitted.numbers.isnan().any(1), "the fitted curve has no peak"),
        ((low <= first + channels.width) | (high >= last - channels.width), "the line reaches the edge of the band"),
        (fitted.cut, "the line is wider than the fit's window"),
        (masked, "more than half of the line's channels are masked"),
    )
    for wrong, reason in reasons:
        status[(status == GOOD) & wrong.cpu().numpy()] = reason
