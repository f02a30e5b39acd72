"""Which objects train and which are held out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit, StratifiedGroupKFold, StratifiedKFold

from hiexp.errors import InputError
from hiexp.kinds import Count, Seed, Several
from hiexp.spectra import Spectra


@dataclass(frozen=True)
class Division:
    """One way to divide a sample.

    Attributes
    ----------
    train, test : ndarray of int
        Indices, ascending.
    repeat, fold : int
        Which it is of several, from 1; a repeat holds every object out once.
    """

    train: np.ndarray
    test: np.ndarray
    repeat: int = 1
    fold: int = 1


class RepeatedFolds(BaseCrossValidator):
    """Folds that each are held out once, stratified by class, and again with others.

    Parameters
    ----------
    n_splits : int
        Folds of a repeat.
    n_repeats : int
        Repeats.
    random_state : int
        Seed of the first repeat; the next has the next number.
    """

    def __init__(self, n_splits: Several, n_repeats: Count, random_state: Seed) -> None:
        self.n_splits, self.n_repeats, self.random_state = n_splits, n_repeats, random_state

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return how many divisions there are."""
        return self.n_splits * self.n_repeats

    def split(
        self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield training and test indices; objects of one group, shape (N,), are in one fold."""
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        for repeat in range(self.n_repeats):
            folds = kind(self.n_splits, shuffle=True, random_state=self.random_state + repeat)
            yield from folds.split(X, y, groups)


def split(
    spectra: Spectra, how: str, splitter: BaseShuffleSplit | BaseCrossValidator, groups: str | None = None
) -> list[Division]:
    """Divide the sample once, or into folds.

    Parameters
    ----------
    spectra : Spectra
        The N objects that take part.
    how : {"random", "given"}
        By the splitter, or as the dataset itself has it.
    splitter : scikit-learn splitter
        For "random": stratified by the reference classes where there are any. One with several splits has to hold
        every object out equally often.
    groups : str, optional
        Column of the catalogue. Objects of one value are never divided; one without a value stands for itself.

    Raises
    ------
    InputError
        If the sample cannot be divided so, or the dataset has no split of its own, or there are several divisions of
        a sample without classes in common.
    """
    together = None if groups is None else _group_numbers(spectra, groups)
    if how == "given":
        return _undivided([_given_split(spectra.held_out)], together, groups)
    if how != "random":
        raise InputError(f"evaluation.split={how}: choose random or given")
    parts = _parts(spectra, splitter, together, "test_size or evaluation.folds")
    return _undivided(_numbered(parts, spectra), together, groups)


def _parts(
    spectra: Spectra, splitter: BaseShuffleSplit | BaseCrossValidator, together: np.ndarray | None, keys: str
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return training and test indices of each split; `keys` name the settings to change where there can be none."""
    n_objects, reference = len(spectra), spectra.reference
    strata = np.zeros(n_objects, dtype=int) if reference is None else reference
    try:
        with warnings.catch_warnings():  # that a splitter passes over groups is looked at below
            warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
            parts = list(splitter.split(np.zeros((n_objects, 1)), strata, together))
    except (ValueError, TypeError) as error:
        classes, counts = np.unique(strata, return_counts=True)
        held = ", ".join(f"{count} of class {name}" for name, count in zip(classes, counts, strict=True))
        raise InputError(
            f"cannot divide {n_objects} objects ({held}): {error} Change {keys}, or bring more spectra."
        ) from error
    return parts


def validation_divisions(
    spectra: Spectra,
    divisions: Sequence[Division],
    splitter: BaseShuffleSplit | BaseCrossValidator,
    groups: str | None = None,
) -> list[Division]:
    """Divide the objects that the only division trains on once more; no object held out is in any of the parts.

    Parameters
    ----------
    spectra : Spectra
        All N objects that take part.
    divisions : sequence of Division
        How they are divided for the final score.
    splitter : scikit-learn splitter
        For the objects to train on, stratified as the others.
    groups : str, optional
        Column of the catalogue, as of `split`.

    Returns
    -------
    list of Division
        Indices of all N objects; ``test`` is the part for validation.

    Raises
    ------
    InputError
        If there are several divisions, in another of which an object held out would be validated, or there is no
        such part.
    """
    if len(divisions) != 1:
        raise InputError(
            f"evaluation has {len(divisions)} divisions: an object held out in one would be validated in another; "
            "use evaluation=holdout with one split"
        )
    outer = divisions[0].train
    own = spectra.take(np.isin(np.arange(len(spectra)), outer))
    together = None if groups is None else _group_numbers(own, groups)
    parts = _parts(own, splitter, together, "evaluation.validation.test_size or test_size")
    inner = [
        Division(np.sort(outer[train]), np.sort(outer[test]), repeat) for repeat, (train, test) in enumerate(parts, 1)
    ]
    if together is not None:
        numbers = np.zeros(len(spectra), dtype=together.dtype)
        numbers[outer] = together
        _undivided(inner, numbers, groups)
    return inner


def _undivided(divisions: list[Division], together: np.ndarray | None, groups: str | None) -> list[Division]:
    """Return the divisions if each leaves groups whole; most splitters of scikit-learn pass over what they are."""
    if together is not None:
        for division in divisions:
            if np.isin(together[division.train], together[division.test]).any():
                raise InputError(
                    f"evaluation.groups={groups}: this split has objects of one value on both sides; use "
                    "evaluation=kfold, which keeps them together"
                )
    return divisions


def _numbered(parts: list[tuple[np.ndarray, np.ndarray]], spectra: Spectra) -> list[Division]:
    """Return the divisions with their numbers: where an object is held out again, the next repeat begins."""
    if len(parts) > 1 and spectra.reference is None:
        raise InputError(
            "evaluation=kfold: without reference classes the groups of one fold have nothing to do with those of "
            "another; use evaluation=holdout"
        )
    n_objects = len(spectra)
    divisions, repeat, fold, held_out = [], 1, 0, np.zeros(n_objects, dtype=bool)
    for train, test in parts:
        if held_out[test].any():
            repeat, fold, held_out = repeat + 1, 0, np.zeros(n_objects, dtype=bool)
        fold += 1
        held_out[test] = True
        divisions.append(Division(np.sort(train), np.sort(test), repeat, fold))
    times = np.bincount(np.concatenate([division.test for division in divisions]), minlength=n_objects)
    if len(divisions) > 1 and np.ptp(times):
        raise InputError(
            f"evaluation.splitter holds some objects out {times.max()} times and others {times.min()} times; use one "
            "split (n_splits: 1) or evaluation=kfold"
        )
    return divisions


def _group_numbers(spectra: Spectra, name: str) -> np.ndarray:
    if name not in spectra.catalogue:
        known = ", ".join(map(str, spectra.catalogue.columns)) or "no columns"
        raise InputError(f"evaluation.groups={name}: the catalogue has {known}; choose one of them, or null")
    numbers, values = spectra.catalogue[name].factorize()
    alone = numbers < 0
    numbers[alone] = len(values) + np.arange(alone.sum())
    return numbers


def _given_split(held_out: np.ndarray | None) -> Division:
    if held_out is None:
        raise InputError(
            "evaluation.split=given: this dataset comes without a split; use evaluation.split=random, or "
            "dataset=arrays with NAME_TRAIN.ts and NAME_TEST.ts or a column or key 'split'"
        )
    train, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    if train.size == 0 or test.size == 0:
        raise InputError(
            f"evaluation.split=given: of the objects that can be used, the dataset's split has {train.size} to train "
            f"on and {test.size} to hold out; use evaluation.split=random, or fix the split"
        )
    return Division(train, test)
