"""Errors by fitting the same line again under other noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from hiexp.fitting.line import Channels

NEAREST_SHIFT = 0.1  # of the spectrum: noise is moved by at least so much


def scatter(
    channels: Channels,
    curve: Tensor,
    measured_again: Callable[[Channels], Tensor],
    realisations: int,
    generator: torch.Generator,
) -> Tensor:
    """Return the standard deviations of what is measured over realisations of the noise, shape (B, Q).

    A realisation is the fitted curve plus what the fit left of the spectrum itself, moved along it by a random number
    of channels: so the noise keeps its correlation, its outliers and its ripples. Where channels have noise of their
    own it is moved in units of it.

    Parameters
    ----------
    channels : Channels
        N spectra of L channels.
    curve : Tensor, shape (N, L)
        Fitted to them, 0 beyond the fit's window, mJy.
    measured_again : callable
        Fits and measures such spectra: B of them, Q numbers each, shape (B, Q), NaN where it cannot.
    realisations : int
        Number of them.
    generator : Generator
        Source of the random moves, on the CPU.
    """
    n, length = curve.shape
    left = (channels.flux - curve) * channels.precision
    place = torch.arange(length, device=curve.device)
    measured = []
    for _ in range(realisations):
        share = NEAREST_SHIFT + (1 - 2 * NEAREST_SHIFT) * torch.rand(n, 1, generator=generator)
        source = (place + (share * length).long().to(curve.device)) % length
        fresh = torch.randn(n, length, generator=generator, dtype=curve.dtype).to(curve.device)
        noise = torch.where(channels.valid.gather(1, source), left.gather(1, source), fresh * channels.rms[:, None])
        flux = torch.where(channels.valid, curve + noise / channels.precision, 0)
        measured.append(measured_again(replace(channels, flux=flux)))
    values = torch.stack(measured)
    return (values - values.nanmean(0)).square().nanmean(0).sqrt()
