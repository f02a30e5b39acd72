"""Who says what the classes are.

Each kind of labels has two methods. ``eligible(reference, n_objects)`` tells which objects take part;
``assign(profiles, reference, train)`` returns the `Assignment` of a class to each of those. Only training objects may
shape the classes.
"""

from __future__ import annotations

import itertools
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from annotated_types import Gt, Le
from scipy.optimize import linear_sum_assignment
from sklearn.base import ClusterMixin, TransformerMixin
from sklearn.metrics.cluster import contingency_matrix

from hiexp.clustering import place
from hiexp.errors import InputError, NoGroupsError
from hiexp.evaluation.groups import group_scores, stability
from hiexp.kinds import Count, Seed, Several, Whole
from hiexp.mapped import in_parts, rows_taken
from hiexp.spectra import UNKNOWN

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assignment:
    """The classes of N objects, and who learns from whom.

    Attributes
    ----------
    classes : ndarray of int, shape (N,)
        The class of each object; `UNKNOWN` where it has none.
    training : ndarray of int
        Training objects that the classifier learns from, ascending.
    clustered : ndarray of int
        Training objects that a clusterer has been fitted on; empty without one.
    scores : dict of str to float
        What the groups are worth.
    """

    classes: np.ndarray
    training: np.ndarray
    clustered: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    scores: dict[str, float] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write everything into an empty folder, for `load`."""
        np.savez(folder / "rows.npz", classes=self.classes, training=self.training, clustered=self.clustered)
        (folder / "scores.json").write_text(json.dumps(self.scores))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "rows.npz") as rows:
            return cls(**rows, scores=json.loads((folder / "scores.json").read_text()))


@dataclass(frozen=True)
class ReferenceLabels:
    """The classes the dataset comes with.

    Parameters
    ----------
    n_classes : int
        Classes used. With fewer than there are, evenly spaced ones with both ends kept: 2 of (0, 1, 2) are 0
        and 2, as in the study.
    """

    n_classes: Several

    def eligible(self, reference: np.ndarray | None, n_objects: int) -> np.ndarray:
        """Return which objects have one of the classes used, bool, shape (N,).

        Raises
        ------
        InputError
            If the dataset has no reference classes, or not as many as asked for.
        """
        reference = _required(reference)
        used = self._classes(reference)
        left_out, without = np.setdiff1d(reference, [UNKNOWN, *used]), np.count_nonzero(reference == UNKNOWN)
        if left_out.size:
            log.info("n_classes=%d: class %s left out", self.n_classes, ", ".join(map(str, left_out)))
        if without:
            log.info("%d of %d objects have no reference class and take no part", without, n_objects)
        return np.isin(reference, used)

    def assign(self, profiles: np.ndarray, reference: np.ndarray | None, train: np.ndarray) -> Assignment:
        """Return the reference itself."""
        return Assignment(_required(reference), train)

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
        Seed of the random draw.
    """

    seed: Seed

    def assign(self, profiles: np.ndarray, reference: np.ndarray | None, train: np.ndarray) -> Assignment:
        """Return one of the classes, drawn uniformly, for training objects only."""
        reference = _required(reference)
        classes = np.full(len(reference), UNKNOWN)
        classes[train] = np.random.default_rng(self.seed).choice(self._classes(reference), len(train))
        return Assignment(classes, train)


@dataclass(frozen=True)
class ClusterLabels:
    """Groups that a clusterer finds among some of the training objects, as in the study.

    Jaimes-Illanes et al. 2025 (arXiv:2501.11657): a quarter of the sample forms the groups, an equal number of each
    group teaches the classifier, everything else is classified.

    Parameters
    ----------
    clusterer : scikit-learn clusterer
        Objects it calls noise (-1) have no class.
    feature : scikit-learn transformer
        What the clusterer sees of a profile; fitted on the objects clustered.
    fraction : float
        Fraction of the training objects, drawn at random, that are clustered.
    at_least : int
        Objects that are clustered where the fraction is fewer; all training objects where there are not so many.
    smallest : int
        Groups of fewer objects are left out: their objects have no class.
    members : int, optional
        Objects of a group that teach the classifier, at most; every group has as many as the smallest one.
    resamples : int
        Subsamples that are clustered again to see whether the groups are the same.
    seed : int
        Seed of every random draw.
    """

    clusterer: ClusterMixin
    feature: TransformerMixin
    fraction: Annotated[float, Gt(0), Le(1)] = 0.25
    at_least: Whole = 200
    smallest: Count = 2
    members: Count | None = 100
    resamples: Whole = 10
    seed: Seed = 0

    def eligible(self, reference: np.ndarray | None, n_objects: int) -> np.ndarray:
        """Return True for every object, shape (N,)."""
        return np.ones(n_objects, dtype=bool)

    def assign(self, profiles: np.ndarray, reference: np.ndarray | None, train: np.ndarray) -> Assignment:
        """Group some of the training objects and place every other object in one of their groups.

        The others are placed by the clusterer's own ``predict``, or with the nearest object clustered where it has
        none. Where there is a reference, groups are named after the class they share most training objects with
        (one to one), so that scores against it mean something.

        Raises
        ------
        InputError
            If the settings are out of range, or the clusterer refuses the objects.
        NoGroupsError
            If the clusterer finds fewer than two groups.
        """
        if not 0 < self.fraction <= 1:
            raise InputError(f"labels.fraction={self.fraction}: give a fraction of the training objects, 0 to 1")
        rng = np.random.default_rng(self.seed)
        number = max(round(self.fraction * len(train)), self.at_least)
        clustered = np.sort(rng.permutation(train)[:number])
        name = type(getattr(self.clusterer, "clusterer", self.clusterer)).__name__
        try:
            of_clustered = rows_taken(profiles, clustered)
            self.feature.fit(of_clustered)
            points = in_parts(self.feature.transform, of_clustered)
            groups, scores = self._group(name, points, None if reference is None else reference[clustered])
        except NoGroupsError:
            raise
        except ValueError as error:
            raise InputError(
                f"{name} cannot group {len(clustered)} of the {len(train)} training profiles: {error} "
                "Lower n_classes or test_size, change the clusterer's settings or bring more."
            ) from error
        found, sizes = np.unique(groups[groups != UNKNOWN], return_counts=True)
        kept = found[sizes >= self.smallest]
        classes = in_parts(lambda rows: place(self.clusterer, points, groups, self.feature.transform(rows)), profiles)
        classes[clustered] = groups
        classes[~np.isin(classes, kept)] = UNKNOWN
        training = _equal_numbers(groups, kept, self.members, rng)
        if reference is not None:
            classes = _name_after(classes, reference, train)
        return Assignment(classes, np.sort(clustered[training]), clustered, scores)

    def _group(
        self, name: str, points: np.ndarray, reference: np.ndarray | None
    ) -> tuple[np.ndarray, dict[str, float]]:
        """Return the groups of objects, shape (M, n), and what these groups are worth."""
        groups = self.clusterer.fit_predict(points)
        _, sizes = np.unique(groups[groups != UNKNOWN], return_counts=True)
        n_kept = int((sizes >= self.smallest).sum())
        scores = group_scores(points, groups, reference, self.seed) | {"n_groups_left_out": sizes.size - n_kept}
        words = _groups_in_words(sizes, int(scores["n_noise"]), self.smallest)
        log.info("%s, %d objects: %s", name, len(points), words)
        if n_kept < 2:
            raise NoGroupsError(
                f"{name} found no two groups of at least labels.smallest={self.smallest} objects among "
                f"{len(points)} training profiles ({words}); lower labels.smallest, change its settings or choose "
                "another clusterer",
                _named(scores),
            )
        if self.resamples:
            mean, deviation = stability(self.clusterer, points, groups, self.resamples, seed=self.seed)
            scores |= {"stability": mean, "stability_sd": deviation}
        return groups, _named(scores)


def _named(scores: dict[str, float]) -> dict[str, float]:
    """Return the scores of the groups under names that tell them from those of the classifier."""
    return {f"cluster_{key}": value for key, value in scores.items()}


def _groups_in_words(sizes: np.ndarray, n_noise: int, smallest: int) -> str:
    """Return the sizes of the groups, largest first."""
    largest = ", ".join(map(str, np.sort(sizes)[::-1][:8])) + (", ..." if sizes.size > 8 else "")
    words = f"{sizes.size} groups" + (f" ({largest} members)" if sizes.size else "")
    small = int((sizes < smallest).sum())
    return words + (f"; {small} too small, dropped" if small else "") + (f"; {n_noise} noise" if n_noise else "")


def _equal_numbers(groups: np.ndarray, kept: np.ndarray, members: int | None, rng: np.random.Generator) -> np.ndarray:
    """Return rows of as many objects of each group kept as the smallest one has, at most `members`."""
    rows = [np.flatnonzero(groups == name) for name in kept]
    number = min(*map(len, rows), *([] if members is None else [members]))
    return np.concatenate([rng.permutation(row)[:number] for row in rows])


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
        raise InputError("labels=reference needs classes; this dataset has none: use labels=cluster to find groups")
    return reference
