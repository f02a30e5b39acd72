"""Which objects train and which are held out."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import BaseShuffleSplit

from hiexp.errors import InputError
from hiexp.spectra import Spectra


def split(spectra: Spectra, how: str, splitter: BaseShuffleSplit) -> tuple[np.ndarray, np.ndarray]:
    """Divide the sample once.

    Parameters
    ----------
    spectra : Spectra
        The N objects that take part.
    how : {"random", "given"}
        By the splitter, or as the dataset itself has it.
    splitter : scikit-learn splitter
        For "random": its first split, stratified by the reference classes where there are any.

    Returns
    -------
    train, test : ndarray of int
        Indices, ascending.

    Raises
    ------
    InputError
        If the sample is too small to be divided so, or the dataset has no split of its own.
    """
    if how == "given":
        return _given_split(spectra.held_out)
    if how != "random":
        raise InputError(f"evaluation.split={how}: choose random or given")
    n_objects, reference = len(spectra), spectra.reference
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


def _given_split(held_out: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    if held_out is None:
        raise InputError(
            "evaluation.split=given: this dataset comes without a split; use evaluation.split=random, or "
            "dataset=arrays with NAME_TRAIN.ts and NAME_TEST.ts or a column or key 'split'"
        )
    train, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    if train.size == 0 or test.size == 0:
        raise InputError(
            f"evaluation.split=given: of the objects that can be used, the dataset's split has {train.size} to train "
            f"on and {test.size} to hold out; use evaluation.split=random, or mend the split"
        )
    return train, test
