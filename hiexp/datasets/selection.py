"""Which classes of a sample take part, and how many of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from hiexp.errors import InputError
from hiexp.spectra import UNKNOWN, Spectra


def select_classes(
    spectra: Spectra, classes: Sequence[int] | int | None = None, balance: bool = False, seed: int = 0
) -> Spectra:
    """Keep the objects of some reference classes, or an equal number of each class.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    classes : int or sequence of int, optional
        Classes kept; all of them where None.
    balance : bool
        Keep as many objects of each class kept as the smallest of them has, drawn at random.
    seed : int
        Seed of the random draw.

    Returns
    -------
    Spectra
        In the same order. Objects without a class are left out by either choice, and are in `Spectra.skipped` then;
        they stay where neither is made.

    Raises
    ------
    InputError
        If the dataset has no reference classes, or none of one asked for.
    """
    if classes is None and not balance:
        return spectra
    asked = f"dataset.classes={classes}" if classes is not None else "dataset.balance=true"
    if spectra.reference is None:
        raise InputError(f"{asked}: this dataset has no reference classes to choose by; leave it out")
    present = np.unique(spectra.reference[spectra.reference != UNKNOWN])
    chosen = present if classes is None else np.unique([classes] if isinstance(classes, int) else list(classes))
    if chosen.size == 0 or not np.isin(chosen, present).all():
        raise InputError(f"{asked}: this dataset has the classes {', '.join(map(str, present)) or 'of no object'}")
    members = [np.flatnonzero(spectra.reference == name) for name in chosen]
    if balance:
        rng, smallest = np.random.default_rng(seed), min(map(len, members))
        members = [rng.permutation(rows)[:smallest] for rows in members]
    kept = np.zeros(len(spectra), dtype=bool)
    kept[np.concatenate(members)] = True
    without = spectra.ids[spectra.reference == UNKNOWN]
    unchosen = pd.DataFrame({"name": without, "reason": f"no reference class, and {asked} chooses by it"}, dtype=str)
    return replace(spectra.take(kept), skipped=pd.concat([spectra.skipped, unchosen], ignore_index=True))
