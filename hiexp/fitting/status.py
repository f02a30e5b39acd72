"""What is wrong with a spectrum, or with its fit."""

from __future__ import annotations

import numpy as np
import torch

from hiexp.fitting.line import Channels, Lines
from hiexp.fitting.passes import Pass
from hiexp.fitting.result import GOOD
from hiexp.spectra import Spectra


def without_content(channels: Channels) -> np.ndarray:
    """Return why there is nothing to be found in a spectrum, or `GOOD`, shape (N,)."""
    n_valid = channels.valid.sum(1).cpu().numpy()
    constant = ((channels.flux == channels.flux.amax(1, keepdim=True)) | ~channels.valid).all(1).cpu().numpy()
    status = np.where(constant, "constant flux", GOOD).astype(object)
    for row in np.flatnonzero(n_valid < 2):
        status[row] = f"{n_valid[row]} valid channels"
    return status


def before_fitting(spectra: Spectra, channels: Channels, lines: Lines, min_snr: float) -> np.ndarray:
    """Return why a spectrum cannot be fitted, or `GOOD`, shape (N,)."""
    status = without_content(channels)
    snr = lines.snr.cpu().numpy()
    silent = ~(spectra.rms > 0) | ~np.isfinite(spectra.rms)
    lost = ~((snr > 0) & (snr >= min_snr))
    for row in np.flatnonzero((status == GOOD) & (silent | lost)):
        if silent[row]:
            status[row] = f"no noise to weigh the channels by (rms {spectra.rms[row]:g} mJy)"
        elif snr[row] == 0:
            status[row] = "no emission found"
        else:
            status[row] = f"no line found: the best candidate has S/N {snr[row]:.1f}, below {min_snr:g}"
    return status


def after_fitting(channels: Channels, fitted: Pass, status: np.ndarray, max_steps: int) -> None:
    """Note in `status` what is wrong with fits that were made."""
    low, high = fitted.edges.unbind(1)
    first = torch.where(channels.valid, channels.velocity, torch.inf).amin(1)
    last = torch.where(channels.valid, channels.velocity, -torch.inf).amax(1)
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
