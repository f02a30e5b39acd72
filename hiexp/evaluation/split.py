"""Which objects train and which are held out."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import BaseShuffleSplit

from hiexp.errors import InputError


def split(splitter: BaseShuffleSplit, reference: np.ndarray | None, n_objects: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide the sample once.

    Parameters
    ----------
    splitter : scikit-learn splitter
        Its first split is used.
    reference : ndarray of int, shape (N,), or None
        Classes to stratify by.
    n_objects : int
        N.

    Returns
    -------
    train, test : ndarray of int
        Indices, ascending.

    Raises
    ------
    InputError
        If the sample is too small to be divided so.
    """
    strata = np.zeros(n_objects, dtype=int) if reference is None else reference
    try:
        train, test = next(splitter.split(np.zeros((n_objects, 1)), strata))
    except ValueError as error:
        classes, counts = np.unique(strata, return_counts=True)
        held = ", ".join(f"{count} of class {name}" for name, count in zip(classes, counts, strict=True))
        raise InputError(
            f"cannot divide {n_objects} objects ({held}): {error} Change test_size, or bring more spectra."
        ) from error
    return np.sort(train), np.sort(test)
