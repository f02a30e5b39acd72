"""Who says what the classes are.

Each kind of labels has two methods. ``eligible(reference)`` tells which objects take part; ``assign(profiles,
reference, train)`` gives each of those a class, `UNKNOWN` where it has none to give. Only training objects may
shape the classes.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import ClusterMixin, TransformerMixin
from sklearn.metrics.cluster import contingency_matrix
from sklearn.neighbors import KNeighborsClassifier

from hiexp.errors import InputError
from hiexp.spectra import UNKNOWN

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReferenceLabels:
    """The classes the dataset comes with.

    Parameters
    ----------
    n_classes : int
        Classes used. With fewer than there are, evenly spaced ones with both ends kept: 2 of (0, 1, 2) are 0
        and 2, as in the study.
    """

    n_classes: int

    def eligible(self, reference: np.ndarray | None, n_objects: int) -> np.ndarray:
        """Return which objects have one of the classes used, bool, shape (N,).

        Raises
        ------
        InputError
            If the dataset has no reference classes, or not as many as asked for.
        """
        used = self._classes(_required(reference))
        left_out = np.setdiff1d(reference, [UNKNOWN, *used])
        if left_out.size:
            log.info("n_classes=%d: class %s left out", self.n_classes, ", ".join(map(str, left_out)))
        return np.isin(reference, used)

    def assign(self, profiles: np.ndarray, reference: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Return the reference itself, shape (N,)."""
        return reference

    def _classes(self, reference: np.ndarray) -> np.ndarray:
        present = np.unique(reference[reference != UNKNOWN])
        if not 2 <= self.n_classes <= present.size:
            words = f"add n_classes={present.size} to the command, or use " if present.size >= 2 else "use "
            raise InputError(
                f"n_classes={self.n_classes}: this dataset has the {present.size} reference classes "
                f"{', '.join(map(str, present))}; {words}labels=cluster to find other groups"
            )
        return present[np.linspace(0, present.size - 1, self.n_classes).round().astype(int)]


@dataclass(frozen=True)
class RandomLabels(ReferenceLabels):
    """Training labels drawn at random: the control that reproduces the published protocol.

    Parameters
    ----------
    n_classes : int
        As for `ReferenceLabels`.
    seed : int
        Of the draw.
    """

    seed: int

    def assign(self, profiles: np.ndarray, reference: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Return one of the classes, drawn uniformly, for training objects only; shape (N,)."""
        labels = np.full(len(reference), UNKNOWN)
        labels[train] = np.random.default_rng(self.seed).choice(self._classes(reference), len(train))
        return labels


@dataclass(frozen=True)
class ClusterLabels:
    """Groups that a clusterer finds among the training objects.

    Parameters
    ----------
    clusterer : scikit-learn clusterer
        Fitted on the training objects. Objects it calls noise (-1) have no class.
    feature : scikit-learn transformer
        What the clusterer sees of a profile; fitted on the training objects.
    """

    clusterer: ClusterMixin
    feature: TransformerMixin

    def eligible(self, reference: np.ndarray | None, n_objects: int) -> np.ndarray:
        """Return True for every object, shape (N,)."""
        return np.ones(n_objects, dtype=bool)

    def assign(self, profiles: np.ndarray, reference: np.ndarray | None, train: np.ndarray) -> np.ndarray:
        """Group the training objects and place every other object in one of their groups.

        The others are placed by the clusterer's own ``predict``, or with their nearest training object where it
        has none. Where there is a reference, groups are named after the class they share most training
        objects with (one to one), so that scores against it mean something.

        Returns
        -------
        ndarray of int, shape (N,)
            The group; `UNKNOWN` for noise.

        Raises
        ------
        InputError
            If the clusterer refuses the training objects or finds fewer than two groups among them.
        """
        seen = self.feature.fit(profiles[train]).transform(profiles)
        name = type(self.clusterer).__name__
        try:
            groups = self.clusterer.fit_predict(seen[train])
        except ValueError as error:
            raise InputError(
                f"{name} cannot group the {len(train)} training profiles: {error} "
                "Lower n_classes or test_size, change the clusterer's settings, or bring more spectra."
            ) from error
        found = np.unique(groups[groups != UNKNOWN])
        if found.size < 2:
            raise InputError(
                f"{name} found {found.size} group(s) among the {len(train)} training profiles, "
                f"{(groups == UNKNOWN).sum()} of them noise; change its settings or choose another clusterer"
            )
        inductive = hasattr(self.clusterer, "predict")
        placing = self.clusterer if inductive else KNeighborsClassifier(1).fit(seen[train], groups)
        labels = placing.predict(seen)
        labels[train] = groups
        if reference is not None:
            labels = _name_after(labels, reference, train)
        return labels


def _name_after(labels: np.ndarray, reference: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Rename groups to the reference classes they overlap most on `train`, one to one."""
    known = train[(labels[train] != UNKNOWN) & (reference[train] != UNKNOWN)]
    if known.size == 0:
        return labels
    groups, classes = np.unique(labels[known]), np.unique(reference[known])
    group, of_class = linear_sum_assignment(contingency_matrix(labels[known], reference[known]), maximize=True)
    names = {UNKNOWN: UNKNOWN} | dict(zip(groups[group], classes[of_class], strict=True))
    unused = itertools.count(reference.max() + 1)
    for label in np.unique(labels):
        if label not in names:
            names[label] = next(unused)
    return np.array([names[label] for label in labels])


def _required(reference: np.ndarray | None) -> np.ndarray:
    if reference is None:
        raise InputError(
            "the labels need reference classes and this dataset has none; use labels=cluster to find groups"
        )
    return reference
