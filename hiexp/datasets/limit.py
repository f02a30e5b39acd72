"""A few objects of a sample, to try something on."""

from __future__ import annotations

import numpy as np

from hiexp.spectra import Spectra

SEED = 0  # whatever the seeds of a run: all of them are tried on the same objects


def limited(spectra: Spectra, n: int) -> Spectra:
    """Return `n` objects of a sample, in its order, drawn at random and always the same ones.

    Each class, and each side of a split that the sample has, keeps its share. The objects of a smaller `n` are among
    those of a larger one. All of them where there are no more.

    Parameters
    ----------
    spectra : Spectra
        The sample.
    n : int
        Number of objects.
    """
    if n >= len(spectra):
        return spectra
    kinds = np.zeros((len(spectra), 2), dtype=int)
    if spectra.reference is not None:
        kinds[:, 0] = spectra.reference
    if spectra.held_out is not None:
        kinds[:, 1] = spectra.held_out
    _, strata = np.unique(kinds, axis=0, return_inverse=True)
    drawn = np.random.default_rng(SEED).permutation(len(spectra))
    # The place of an object among those of its kind, from 0 to 1: its share of any beginning is that of the whole.
    place = np.empty(len(spectra))
    for stratum in range(strata.max() + 1):
        members = drawn[strata[drawn] == stratum]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    rows = np.zeros(len(spectra), dtype=bool)
    rows[np.lexsort((np.argsort(drawn), place))[:n]] = True
    return spectra.take(rows)
