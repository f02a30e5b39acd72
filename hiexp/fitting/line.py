"""Where in its spectrum a galaxy's line is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hiexp.spectra import Spectra

NARROWEST, WIDEST, N_BOXES = 15.0, 1000.0, 40  # km/s; the widths tried are evenly spaced in their logarithm
NEAR = 50.0  # km/s: how far from its expected velocity a line may be


@dataclass(frozen=True)
class Lines:
    """The box that holds most of each line: centre and width (km/s) and signal-to-noise ratio, shape (N,)."""

    centre: np.ndarray
    width: np.ndarray
    snr: np.ndarray


def find_lines(spectra: Spectra, batch: int = 1000) -> Lines:
    """Find each line as the box of channels with the highest signal-to-noise ratio.

    A matched filter over boxes of 15 to 1000 km/s (after Saintonge 2007, AJ 133, 2087). Where
    `Spectra.systemic` is known, boxes centred within 50 km/s of it are looked at, else all of them.

    Parameters
    ----------
    spectra : Spectra
        N spectra of L channels.
    batch : int
        Spectra worked on at a time, which bounds the memory.

    Returns
    -------
    Lines
        With a signal-to-noise ratio of 0 where no box has positive flux.
    """
    centre, width, snr = (np.empty(len(spectra)) for _ in range(3))
    for start in range(0, len(spectra), batch):
        rows = slice(start, start + batch)
        centre[rows], width[rows], snr[rows] = _best_box(
            spectra.velocity[rows],
            spectra.flux[rows],
            spectra.valid[rows],
            spectra.rms[rows],
            spectra.systemic[rows],
        )
    return Lines(centre, width, snr)


def _best_box(
    velocity: np.ndarray, flux: np.ndarray, valid: np.ndarray, rms: np.ndarray, systemic: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, length = flux.shape
    step = np.median(np.diff(velocity, axis=1), axis=1)
    total = np.pad(np.cumsum(np.where(valid, flux, 0.0), axis=1, dtype=float), ((0, 0), (1, 0)))
    used = np.pad(np.cumsum(valid, axis=1), ((0, 0), (1, 0)))
    rows = np.arange(n)
    centre, width, best = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n)
    narrowest, widest = max(NARROWEST / step.max(), 2), min(WIDEST / step.min(), length - 1)
    for box in np.unique(np.geomspace(narrowest, max(widest, narrowest), N_BOXES).round().astype(int)):
        first, last = velocity[:, : length - box + 1], velocity[:, box - 1 :]
        middle = (first + last) / 2
        channels = used[:, box:] - used[:, :-box]
        snr = (total[:, box:] - total[:, :-box]) / (rms[:, None] * np.sqrt(np.maximum(channels, 1)))
        # A box half masked says little of the line; one far from a known velocity is another source.
        snr[(channels < box / 2) | (np.abs(middle - systemic[:, None]) > NEAR)] = 0.0
        # Channels of different telescopes differ in width, and the boxes for one are out of range for another.
        snr[(box > 2) & (box * step < 0.8 * NARROWEST) | (box * step > 1.2 * WIDEST)] = 0.0
        where = snr.argmax(axis=1)
        better = snr[rows, where] > best
        best = np.where(better, snr[rows, where], best)
        centre = np.where(better, middle[rows, where], centre)
        width = np.where(better, (last - first)[rows, where] + step, width)
    return centre, width, best
