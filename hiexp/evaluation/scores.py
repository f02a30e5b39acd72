"""Scores of a classification, how sure they are, and the same scores by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import binomtest, random_table

from hiexp.evaluation.calibration import Probabilities, joined
from hiexp.evaluation.confusion import accuracy, best_relabeling, precision, recall, success_rate
from hiexp.evaluation.metrics import metric, table_scores
from hiexp.evaluation.own import own_scores
from hiexp.evaluation.pairs import PairedDifference

NUMBERS_A_BLOCK = 5_000_000
MANY = 12  # classes: of more, precision and recall are not listed one by one
TIE = 1e-12
SHARES = ("accuracy", "success_rate")  # of the objects


@dataclass(frozen=True)
class Scores:
    """How a classification did on objects held out.

    Attributes
    ----------
    observed : dict of str to float
        ``accuracy``, ``balanced_accuracy``, ``macro_f1``, ``success_rate``; ``precision_C`` and ``recall_C`` of each
        class C of at most 12, where it is predicted or true of any object; ``log_loss``, ``brier`` and
        ``expected_calibration_error`` where there are probabilities.
    drawn : dict of str to ndarray, shape (n_draws,)
        The same of objects drawn with replacement; NaN where a draw has none to score. The success rate of these
        keeps the relabeling of `observed`, which is part of the classification.
    chance : dict of str to ndarray, shape (n_draws,)
        The same under permuted truth; the success rate is the best of all relabelings again.
    classes : ndarray
        Labels of the rows and columns of `confusion`.
    confusion : ndarray, shape (K, K)
        Objects by true (row) and predicted (column) class; of several repeats the first.
    """

    observed: dict[str, float]
    drawn: dict[str, np.ndarray]
    chance: dict[str, np.ndarray]
    classes: np.ndarray
    confusion: np.ndarray

    def p_value(self, name: str) -> float:
        """Return the share of permutations that do at least as well, the observed truth counted in."""
        sign = 1 if metric(name).greater_is_better else -1
        as_well = sign * self.chance[name] >= sign * self.observed[name] - TIE
        return float((1 + as_well.sum()) / (1 + np.isfinite(self.chance[name]).sum()))

    def metrics(self) -> dict[str, float]:
        """Return every score S with ``low_S``, ``high_S``, ``chance_S``, ``chance95_S`` and ``p_S``, if any.

        The bootstrap 95 % interval (percentiles), the mean by chance, the value that 5 % of the permutations surpass
        (fall below, where less is better), and the p-value. Where all samples of objects score alike, since all are
        right or all wrong, a share has the exact interval of the binomial distribution (Clopper & Pearson 1934,
        Biometrika 26, 404), and other scores have none.
        """
        numbers = dict(self.observed)
        for name in self.observed:
            tail = 95 if metric(name).greater_is_better else 5
            numbers |= self._interval(name)
            if not np.isfinite(self.chance[name]).any():
                continue
            numbers |= {
                f"chance_{name}": float(np.nanmean(self.chance[name])),
                f"chance95_{name}": float(np.nanpercentile(self.chance[name], tail)),
                f"p_{name}": self.p_value(name),
            }
        return numbers

    def _interval(self, name: str) -> dict[str, float]:
        if not np.isfinite(self.drawn[name]).any():
            return {}
        low, high = np.nanpercentile(self.drawn[name], [2.5, 97.5])
        if low == high:
            if name not in SHARES:
                return {}
            total = int(self.confusion.sum())
            low, high = binomtest(round(self.observed[name] * total), total).proportion_ci()
        return {f"low_{name}": float(low), f"high_{name}": float(high)}


def score(
    truth: np.ndarray,
    predicted: np.ndarray,
    n_draws: int,
    seed: int,
    probability: np.ndarray | None = None,
    columns: np.ndarray | None = None,
    own: Mapping[str, Callable] | None = None,
) -> Scores:
    """Score predictions, the same of resampled objects, and permuted truth against the same predictions.

    Most scores are functions of the confusion table. Drawing objects with replacement draws the table's cells from a
    multinomial distribution, and permuting the truth draws a table with the same row and column sums (Patefield 1981,
    Applied Statistics 30, 91), so that a draw costs the same for ten objects as for a million. Only what depends on
    probabilities takes the objects one by one.

    Parameters
    ----------
    truth : ndarray of int, shape (N,)
        Classes; N at least 1.
    predicted : ndarray of int, shape (N,) or (R, N)
        Classes by the classifier; of R repeats, over which every score is averaged. An object is drawn, or its truth
        permuted, with all its repeats.
    n_draws : int
        Permutations, and samples of objects.
    seed : int
        Seed of the random draws.
    probability : ndarray, shape (N, C) or (R, N, C), optional
        Class probabilities.
    columns : ndarray of int, shape (C,), optional
        The classes they are of.
    own : mapping of str to callable, optional
        Further scores, as `hiexp.evaluation.own.own_scores` takes them.
    """
    predicted = np.atleast_2d(predicted)
    classes = np.union1d(truth, predicted)
    joint, members = _joint(truth, predicted, classes)
    tables = joint @ members
    names = best_relabeling(tables)
    sampling, permuting, objects, apart = np.random.SeedSequence(seed).spawn(4)
    blocks = list(_blocks(n_draws, max(joint.size, tables.size)))
    drawn = joined(
        [_of_tables(draw[:, None] @ members, classes, names) for draw in _resampled(joint, blocks, sampling)]
    )
    chance = joined([_of_tables(draw @ members, classes) for draw in _permuted(joint, blocks, permuting)])
    observed = {name: float(values[0]) for name, values in _of_tables(tables[None], classes).items()}
    if probability is not None and columns is not None:
        given = Probabilities.of(truth, probability, columns)
        observed |= given.observed()
        again, shuffled = given.draws(n_draws, np.random.default_rng(objects))
        drawn, chance = drawn | again, chance | shuffled
    if own:
        each = None if probability is None else np.reshape(probability, (*predicted.shape, -1))
        value, again, shuffled = own_scores(own, truth, predicted, each, n_draws, apart)
        observed, drawn, chance = observed | value, drawn | again, chance | shuffled
    known = [name for name, value in observed.items() if not np.isnan(value)]
    return Scores(
        observed={name: observed[name] for name in known},
        drawn={name: drawn[name] for name in known},
        chance={name: chance[name] for name in known},
        classes=classes,
        confusion=tables[0].astype(int),
    )


def score_differences(
    truth: np.ndarray, predicted: np.ndarray, other: np.ndarray, n_draws: int, seed: int
) -> dict[str, PairedDifference]:
    """Return by how much predictions score higher than others of the same objects.

    The interval holds 95 % of the differences on objects drawn with replacement, with both predictions of each. For
    p both are swapped, object by object, at random (for the accuracy that is the exact test of McNemar 1947,
    Psychometrika 12, 153; Yeh 2000, COLING, 947). The success rate keeps the relabelings of the observed predictions.

    Parameters
    ----------
    truth : ndarray of int, shape (N,)
        Classes; N at least 1.
    predicted, other : ndarray of int, shape (N,) or (R, N)
        Classes by either; of R repeats, over which scores are averaged. An object is drawn, or its predictions
        swapped, with all its repeats.
    n_draws : int
        Samples of objects, and random swaps.
    seed : int
        Seed of the random draws.

    Returns
    -------
    dict of str to PairedDifference
        A score of confusion tables each.
    """
    both = np.concatenate(np.broadcast_arrays(np.atleast_2d(predicted), np.atleast_2d(other)))
    classes = np.union1d(truth, both)
    joint, members = _joint(truth, both, classes)
    relabeled = np.take_along_axis(members, best_relabeling(joint @ members)[:, None], axis=2)
    # Of hundreds of classes few cells have an object. The last one has what a multinomial draw leaves over.
    cells = np.union1d(np.flatnonzero(joint), joint.size - 1)
    counts, true, alike = joint.ravel()[cells], *np.unravel_index(cells, joint.shape)
    plain, renamed = (
        [_adder(true, one, classes.size) for one in predictions[:, alike].argmax(axis=2)]
        for predictions in (members, relabeled)
    )

    def tables(kept: np.ndarray, swapped: np.ndarray, adders: list[csr_array]) -> np.ndarray:
        """Return the confusion tables, shape (B, 2 R, K, K), of either where some objects have the other's."""
        half = len(adders) // 2
        others = adders[half:] + adders[:half]
        both = [kept @ own + swapped @ other for own, other in zip(adders, others, strict=True)]
        return np.stack(both, axis=1).reshape(len(kept), len(adders), classes.size, classes.size)

    def differences(kept: np.ndarray, swapped: np.ndarray) -> dict[str, np.ndarray]:
        """Return the differences, shape (B,), of objects, counted by cell, of which some have the other's."""
        values, counted = {}, tables(kept, swapped, plain)
        for name, measure in table_scores().items():
            of_success = name == "success_rate"
            scores = accuracy(tables(kept, swapped, renamed)) if of_success else measure(counted)
            first, second = np.split(scores, 2, axis=-1)
            values[name] = first.mean(axis=-1) - second.mean(axis=-1)
        return values

    sampling, swapping = np.random.SeedSequence(seed).spawn(2)
    blocks = list(_blocks(n_draws, max(cells.size, len(members) * classes.size**2)))
    none = np.zeros((1, cells.size))
    observed = differences(counts[None], none)
    drawn = joined([differences(draw, none) for draw in _resampled(counts, blocks, sampling)])
    equal = joined([differences(counts - swapped, swapped) for swapped in _swapped(counts, blocks, swapping)])
    return {
        name: PairedDifference(
            mean=float(value),
            low=float(np.percentile(drawn[name], 2.5)),
            high=float(np.percentile(drawn[name], 97.5)),
            p=float((1 + np.sum(np.abs(equal[name]) >= abs(value) - TIE)) / (1 + n_draws)),
            n=len(truth),
        )
        for name, (value,) in observed.items()
    }


def _joint(truth: np.ndarray, predicted: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many objects are of a class and are predicted alike, and what each of these predictions is.

    Objects whose repeats agree are alike: of one repeat, all that are predicted to be of one class. The counts have
    the shape (K, P), and the predictions (R, P, K), so that their product has the confusion table of each repeat.
    """
    patterns, alike = np.unique(np.searchsorted(classes, predicted), axis=1, return_inverse=True)
    joint = np.zeros((classes.size, patterns.shape[1]), dtype=int)
    np.add.at(joint, (np.searchsorted(classes, truth), alike.ravel()), 1)
    return joint, (patterns[:, :, None] == np.arange(classes.size)).astype(float)


def _of_tables(tables: np.ndarray, classes: np.ndarray, names: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return the scores, shape (B,), of tables of R repeats, shape (B, R, K, K), with a relabeling or the best."""
    scores = {name: measure(tables) for name, measure in table_scores().items()}
    if names is not None:
        scores["success_rate"] = success_rate(tables, np.broadcast_to(names, tables.shape[:-1]))
    if classes.size <= MANY:
        for title, values in (("precision", precision(tables)), ("recall", recall(tables))):
            scores |= {f"{title}_{name}": values[..., place] for place, name in enumerate(classes)}
    return {name: values.mean(axis=-1) for name, values in scores.items()}


def _adder(true: np.ndarray, predicted: np.ndarray, n_classes: int) -> csr_array:
    """Return what counts of C cells, shape (B, C), are multiplied by to give tables, shape (B, K * K)."""
    places = np.arange(true.size), true * n_classes + predicted
    return csr_array((np.ones(true.size), places), shape=(true.size, n_classes**2))


def _resampled(counts: np.ndarray, blocks: list[int], seed: np.random.SeedSequence) -> Iterator[np.ndarray]:
    rng, total = np.random.default_rng(seed), counts.sum()
    for n in blocks:
        yield rng.multinomial(total, counts.ravel() / total, size=n).reshape(n, *counts.shape)


def _swapped(counts: np.ndarray, blocks: list[int], seed: np.random.SeedSequence) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for n in blocks:
        yield rng.binomial(counts, 0.5, size=(n, *counts.shape))


def _permuted(joint: np.ndarray, blocks: list[int], seed: np.random.SeedSequence) -> Iterator[np.ndarray]:
    true, alike = joint.sum(axis=1), joint.sum(axis=0)
    if min(np.count_nonzero(true), np.count_nonzero(alike)) == 1:
        # One table only has these sums, and scipy's sampler is wrong about such tables.
        yield from (np.repeat(joint[None, None], n, axis=0) for n in blocks)
        return
    sums, stream = random_table(true, alike), np.random.RandomState(seed.generate_state(1))
    yield from (sums.rvs(n, random_state=stream)[:, None] for n in blocks)


def _blocks(n_draws: int, numbers: int) -> Iterator[int]:
    """Yield how many tables to draw at a time: hundreds of classes make tables of which few fit into memory."""
    block = max(NUMBERS_A_BLOCK // numbers, 1)
    for start in range(0, n_draws, block):
        yield min(block, n_draws - start)
