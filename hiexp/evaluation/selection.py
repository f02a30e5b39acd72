"""What the best of many configurations is worth.

The highest of 54 scores is high by selection alone. Everything here is computed from the predictions that the
configurations left on objects held out: none of them is trained again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from scipy.stats import binom, norm

from hiexp.errors import InputError
from hiexp.evaluation.confusion import accuracy, best_relabeling, success_rate
from hiexp.evaluation.metrics import table_scores
from hiexp.writing import write_whole

log = logging.getLogger(__name__)

NUMBERS_A_BLOCK = 10_000_000
LEVEL = 0.05  # configurations with an adjusted p above it are like the best
SWAPS_A_PAIR = 100  # with as many per configuration, p-values can be told from 0 after Holm's correction
MOST_SWAPS, ENOUGH = 10_000, 10  # draws; of them as far as observed, below which the tail of a normal says more
TIE = 1e-9
ADDITIVE = ("accuracy", "success_rate", "balanced_accuracy")  # scores to which each object that is right adds
MOST_SUMS = 10**6  # that are told apart of swapped predictions
NEGLIGIBLE = 1e-30  # probability


@dataclass(frozen=True)
class SweepVerdict:
    """How the best of a sweep compares with the best of the same sweep by chance, and with the others.

    Attributes
    ----------
    measure : str
        The score by which configurations are ranked.
    n_draws : int
        Draws of each distribution.
    configurations : DataFrame
        A row a configuration, best first (of equals the earlier), those that predict one class only last: ``job``;
        ``score``, ``low`` and ``high``, the bootstrap 95 % interval over its test objects; ``chance_mean`` and
        ``chance95`` under permuted classes; ``p``; ``p_family``, the share of draws in which the sweep's maximum does
        as well; ``n_test`` objects and, of them, ``n_common`` that the best was tested on, too; ``p_like_best`` and,
        after Holm (1979, Scandinavian Journal of Statistics 6, 65), ``p_like_best_holm`` of the two being equally
        good on those; ``indistinguishable_from_best``, whether they cannot be told apart at 5 %.
    best : dict
        The first row: ``job``, ``score``, ``p_family``, and the selection-corrected score ``corrected`` with its
        95 % interval ``corrected_low`` to ``corrected_high``.
    maximum : dict
        The sweep's maximum under permuted classes: ``mean`` and the percentiles ``p05``, ``p50`` and ``p95``.
    """

    measure: str
    n_draws: int
    configurations: pd.DataFrame
    best: dict[str, str | float]
    maximum: dict[str, float]

    def write(self, file: Path) -> None:
        """Write everything as JSON."""
        rows = self.configurations.to_dict("records")
        write_whole(file, json.dumps(asdict(self) | {"configurations": rows}, indent=2, allow_nan=False))

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what `write` wrote."""
        fields = json.loads(file.read_text())
        return cls(**fields | {"configurations": pd.DataFrame(fields["configurations"])})


def judge_sweep(
    predictions: Mapping[str, pd.DataFrame | Mapping[str, np.ndarray]],
    measure: str = "success_rate",
    n_draws: int = 1000,
    seed: int = 0,
) -> SweepVerdict | None:
    """Compare the best of a sweep with chance and with the other configurations.

    *Chance.* The classes of all objects that a configuration was tested on are permuted, once a draw for all
    configurations together, so that whatever makes configurations alike stays as it is. Each table of permuted
    classes by predictions is scaled to the class sizes of that configuration's own test set, which a stratified split
    has fixed. The share of draws whose maximum over the configurations reaches a score is its family-wise p-value
    (Westfall & Young 1993, Resampling-Based Multiple Testing). Configurations that predict one class only are not in
    the maximum.

    *Correction.* Objects are drawn with replacement, the best configuration (for the success rate with its
    relabeling) is chosen on those drawn and scored on those left out; ``corrected`` is the mean over the draws
    (Tsamardinos, Greasidou & Borboudakis 2018, Machine Learning 107, 1895).

    *Likeness.* A configuration is compared with the best on the test objects they share, by swapping the two
    predictions of objects at random (Yeh 2000, COLING, 947). Of all scores but macro f1 every object that is right
    is worth a fixed amount, and the probability of a difference as large as observed follows from those of coin
    tosses, without draws; where all objects are worth the same that is McNemar's exact test (1947). Of macro f1 it is
    drawn, and below what the draws of a large sweep resolve it is that of a normal distribution. Where two
    configurations share no object, nothing tells them apart and p is 1. The true best is among those alike at 95 %;
    others may be, too.

    Parameters
    ----------
    predictions : mapping of str to DataFrame, or to mapping of str to ndarray
        Columns of the ``predictions.csv`` of each job, by the job's name. Objects count where ``split`` is "test" and
        ``reference`` is known; with a column ``repeat``, a score is the mean over the repeats.
    measure : {"accuracy", "balanced_accuracy", "macro_f1", "success_rate"}
        The score to rank by.
    n_draws : int
        Permutations and bootstrap samples.
    seed : int
        Seed of all random draws.

    Returns
    -------
    SweepVerdict or None
        None, and the reason in the log, where the configurations have no truth in common to be ranked by.

    Raises
    ------
    InputError
        If there is no such measure.
    """
    if measure not in table_scores():
        raise InputError(f"measure={measure}: choose one of {', '.join(table_scores())}")
    tables = _tables(predictions)
    obstacle = _obstacle(tables)
    if obstacle:
        log.warning("No verdict on the best: %s", obstacle)
        return None
    tests = _Tests.of(tables)
    chance_rng, bootstrap_rng, swap_rng = np.random.default_rng(seed).spawn(3)
    scores = tests.by_configuration(table_scores()[measure](tests.observed))
    order = np.lexsort([-scores, ~tests.useful])
    chance = _chance(tests, measure, n_draws, chance_rng)
    maximum = chance[:, tests.useful].max(axis=1)
    low, high, corrected = _bootstrap(tests, measure, n_draws, bootstrap_rng)
    n_common, alike = _likeness(tests, measure, order[0], n_draws, swap_rng)
    others = order[1:]
    alike_holm = np.ones(len(scores))
    alike_holm[others] = _holm(alike[others])
    table = pd.DataFrame(
        {
            "job": tests.jobs,
            "score": scores,
            "low": low,
            "high": high,
            "chance_mean": chance.mean(axis=0),
            "chance95": np.percentile(chance, 95, axis=0),
            "p": p_values(chance, scores),
            "p_family": p_values(maximum[:, None], scores),
            "n_test": tests.tested.sum(axis=1),
            "n_common": n_common,
            "p_like_best": alike,
            "p_like_best_holm": alike_holm,
            "indistinguishable_from_best": alike_holm > LEVEL,
        }
    ).iloc[order]
    first = table.iloc[0]
    return SweepVerdict(
        measure=measure,
        n_draws=n_draws,
        configurations=table.reset_index(drop=True),
        best={
            "job": first["job"],
            "score": float(first["score"]),
            "p_family": float(first["p_family"]),
            "corrected": float(corrected.mean()),
            "corrected_low": float(np.percentile(corrected, 2.5)),
            "corrected_high": float(np.percentile(corrected, 97.5)),
        },
        maximum={"mean": float(maximum.mean())}
        | {f"p{percent:02d}": float(np.percentile(maximum, percent)) for percent in (5, 50, 95)},
    )


def best_so_far_by_chance(
    predictions: Mapping[str, pd.DataFrame | Mapping[str, np.ndarray]], measure: str, n_draws: int, seed: int
) -> np.ndarray | None:
    """Return what the best of the first, the first two, ... configurations reaches under permuted classes.

    The configurations stay what they are: a search that had seen the permuted classes would have tried others, so
    that this is the least that an adaptive search reaches by chance.

    Parameters
    ----------
    predictions : mapping of str to DataFrame, or to mapping of str to ndarray
        As of `judge_sweep`, in the order in which they were tried.
    measure : str
        A score of confusion tables.
    n_draws : int
        Permutations.
    seed : int
        Seed of the permutations.

    Returns
    -------
    ndarray, shape (n_draws, C), or None
        None where the configurations have no truth in common.
    """
    tables = _tables(predictions)
    if _obstacle(tables):
        return None
    tests = _Tests.of(tables)
    chance = _chance(tests, measure, n_draws, np.random.default_rng(seed))
    # Before the first that tells classes apart there is nothing to be the best but what puts all into one.
    useful = tests.useful | ~np.logical_or.accumulate(tests.useful)
    return np.maximum.accumulate(np.where(useful, chance, -np.inf), axis=1)


@dataclass(frozen=True)
class _Table:
    """The rows of a job's predictions whose reference class is known.

    Attributes
    ----------
    objects : ndarray of int
        Which object a row is of, in all jobs the same number for the same id, in the order of the ids.
    reference, predicted : ndarray of int
        Classes; of objects that are not held out the latter may be anything.
    held_out : ndarray of bool
        Whether the object was held out.
    repeat : ndarray of int
        Number of the repeat.
    useful : bool
        Whether more than one class is predicted for the objects held out.
    """

    objects: np.ndarray
    reference: np.ndarray
    predicted: np.ndarray
    held_out: np.ndarray
    repeat: np.ndarray
    useful: bool


def _tables(predictions: Mapping[str, pd.DataFrame | Mapping[str, np.ndarray]]) -> dict[str, _Table]:
    if not predictions:
        return {}
    names = np.array([str(name) for table in predictions.values() for name in table["id"].tolist()], dtype=object)
    objects, _ = pd.factorize(names, sort=True)
    ends = np.cumsum([len(table["id"]) for table in predictions.values()])
    found = {}
    for (job, table), own in zip(predictions.items(), np.split(objects, ends[:-1]), strict=True):
        held_out = np.asarray(table["split"], dtype=object) == "test"
        reference, predicted = (np.asarray(table[name], dtype=float) for name in ("reference", "predicted"))
        repeat = np.asarray(table["repeat"], dtype=float) if "repeat" in table else np.zeros(len(own))
        useful = np.unique(predicted[held_out]).size > 1
        known = ~np.isnan(reference)
        held_out = held_out[known]
        counted = np.where(held_out, predicted[known], -1).astype(int)
        found[job] = _Table(own[known], reference[known].astype(int), counted, held_out, repeat[known], useful)
    return found


def _obstacle(tables: Mapping[str, _Table]) -> str | None:
    """Return why the configurations cannot be ranked by one truth, if they cannot."""
    if not tables:
        return "no job has left predictions"
    truth = np.zeros(1 + max(table.objects.max(initial=0) for table in tables.values()), dtype=int)
    known = np.zeros(truth.size, dtype=bool)
    classes: set[int] = set()
    for job, table in tables.items():
        if not table.held_out.any():
            return f"job {job} has no objects held out whose reference class is known"
        objects, first = np.unique(table.objects, return_index=True)
        reference = table.reference[first]
        own, common = {*np.unique(reference).tolist()}, known[objects]
        if classes and own != classes:
            return f"job {job} has other reference classes than those before it"
        if classes and not (common.any() and (truth[objects] == reference)[common].all()):
            return f"job {job} is of another sample than those before it"
        classes = own
        truth[objects], known[objects] = reference, True
    if not any(table.useful for table in tables.values()):
        return "every job puts all objects held out into one class"
    return None


@dataclass(frozen=True)
class _Tests:
    """The predictions of C configurations on U objects; one with several repeats has a panel for each, P in all.

    Attributes
    ----------
    jobs : list of str
        Names of the configurations.
    truth : ndarray of int, shape (U,)
        Classes of the objects that any configuration was tested on, 0 ... K - 1.
    predicted : ndarray of int, shape (P, U)
        The class that a panel predicts for an object; -1 where it was not tested.
    n_classes : int
        K.
    first : ndarray of int, shape (C,)
        The first panel of each configuration.
    useful : ndarray of bool, shape (C,)
        Which predict more than one class.
    """

    jobs: list[str]
    truth: np.ndarray
    predicted: np.ndarray
    n_classes: int
    first: np.ndarray
    useful: np.ndarray

    @classmethod
    def of(cls, tables: Mapping[str, _Table]) -> Self:
        """Gather the predictions; the order of rows does not matter."""
        panels: list[list[np.ndarray]] = []
        first = []
        for table in tables.values():
            first.append(len(panels))
            for repeat in np.unique(table.repeat[table.held_out]):
                rows = table.held_out & (table.repeat == repeat)
                panels.append([table.objects[rows], table.reference[rows], table.predicted[rows]])
        objects, reference, chosen = (np.concatenate(column) for column in zip(*panels, strict=True))
        ids, places = np.unique(objects, return_inverse=True)
        classes = np.union1d(reference, chosen)
        truth = np.empty(len(ids), dtype=int)
        truth[places] = np.searchsorted(classes, reference)
        predicted = np.full((len(panels), len(ids)), -1)
        predicted[np.repeat(np.arange(len(panels)), [len(own) for own, *_ in panels]), places] = np.searchsorted(
            classes, chosen
        )
        useful = np.array([table.useful for table in tables.values()])
        return cls([*tables], truth, predicted, len(classes), np.array(first), useful)

    @property
    def n_panels(self) -> np.ndarray:
        """The number of panels of each configuration, shape (C,)."""
        return np.diff(np.append(self.first, len(self.predicted)))

    @property
    def observed(self) -> np.ndarray:
        """The table of each panel, shape (P, K, K)."""
        return self.tables(np.ones((1, len(self.truth))))[0]

    @property
    def tested(self) -> np.ndarray:
        """Which objects each configuration was tested on, bool, shape (C, U)."""
        return np.logical_or.reduceat(self.predicted >= 0, self.first, axis=0)

    def tables(
        self, weights: np.ndarray, truth: np.ndarray | None = None, panels: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """Return the tables of panels, shape (B, P, K, K), of weighted objects with classes, both of shape (B, U)."""
        chosen = [self.predicted[panels] == name for name in range(self.n_classes)]
        return _count(weights, self.truth if truth is None else truth, chosen)

    def by_configuration(self, scores: np.ndarray) -> np.ndarray:
        """Return the mean of each configuration's panels, shape (..., P) to (..., C)."""
        if len(self.first) == scores.shape[-1]:
            return scores
        return np.add.reduceat(scores, self.first, axis=-1) / self.n_panels

    def blocks(self, n_draws: int) -> Iterator[int]:
        """Yield how many draws to take at a time, that memory stays bounded."""
        n_panels, n_objects = self.predicted.shape
        block = max(NUMBERS_A_BLOCK // max(n_objects * self.n_classes, n_panels * self.n_classes**2), 1)
        for start in range(0, n_draws, block):
            yield min(block, n_draws - start)


def _count(weights: np.ndarray, truth: np.ndarray, chosen: Sequence[np.ndarray]) -> np.ndarray:
    """Return weighted sums by true class and predicted class, shape (B, P, K, K).

    Parameters
    ----------
    weights : ndarray, shape (B, U) or (B, 1)
        Weight of each object.
    truth : ndarray of int, shape (U,) or (B, U)
        Classes; the latter where they differ between draws.
    chosen : sequence of K ndarrays, shape (P, U)
        How much of each object is put into each class.
    """
    # Where the two classes are outermost in memory, scores are computed from whole arrays, not from rows of K.
    tables = np.zeros((len(chosen), len(chosen), len(weights), len(chosen[0])))
    shares = [share.astype(np.float32) for share in chosen]
    for name in np.unique(truth):
        if truth.ndim > 1:
            own, weighted = shares, np.multiply(truth == name, weights, dtype=np.float32)
        else:
            members = np.flatnonzero(truth == name)
            own = [share[:, members] for share in shares]
            weighted = weights[:, members % weights.shape[1]].astype(np.float32)
        for place, share in enumerate(own):
            tables[name, place] = weighted @ share.T
    return tables.transpose(2, 3, 0, 1)


def _chance(tests: _Tests, measure: str, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return the scores of every configuration under permuted classes, shape (B, C)."""
    sizes = tests.observed.sum(axis=-1, keepdims=True)
    chance = []
    for n in tests.blocks(n_draws):
        truth = rng.permuted(np.broadcast_to(tests.truth, (n, len(tests.truth))), axis=1)
        tables = tests.tables(np.ones((n, 1)), truth)
        drawn = tables.sum(axis=-1, keepdims=True)
        tables *= np.divide(sizes, drawn, out=np.zeros(drawn.shape), where=drawn > 0)
        chance.append(tests.by_configuration(table_scores()[measure](tables)))
    return np.concatenate(chance)


def _bootstrap(
    tests: _Tests, measure: str, n_draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ends of each configuration's interval, shape (C,), and the scores of those chosen, on the rest.

    A relabeling is part of what is chosen: the interval keeps the observed one, and the rest is scored with the
    one that was best on the objects drawn.
    """
    n_objects = len(tests.truth)
    usual, scores, corrected = best_relabeling(tests.observed), [], []
    for n in tests.blocks(n_draws):
        draws = rng.integers(n_objects, size=(n, n_objects)) + n_objects * np.arange(n)[:, None]
        weights = np.bincount(draws.ravel(), minlength=n * n_objects).reshape(n, n_objects)
        drawn = tests.tables(weights)
        names = best_relabeling(drawn) if measure == "success_rate" else np.empty(drawn.shape[:2])
        seen = _score(drawn, measure, names)
        kept = _score(drawn, measure, np.broadcast_to(usual, names.shape)) if measure == "success_rate" else seen
        scores.append(tests.by_configuration(kept))
        seen = tests.by_configuration(seen)
        chosen = np.where(tests.useful & ~np.isnan(seen), seen, -np.inf).argmax(axis=1)
        unseen = np.empty(n)
        for winner in np.unique(chosen):
            own = tests.first[winner] + np.arange(tests.n_panels[winner])
            rows = np.flatnonzero(chosen == winner)
            left = tests.tables(weights[rows] == 0, panels=own)
            unseen[rows] = _score(left, measure, names[np.ix_(rows, own)]).mean(axis=1)
        corrected.append(unseen)
    low, high = np.nanpercentile(np.concatenate(scores), [2.5, 97.5], axis=0)
    unbiased = np.concatenate(corrected)
    return low, high, unbiased[~np.isnan(unbiased)]


def _likeness(
    tests: _Tests, measure: str, best: int, n_draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many test objects each configuration shares with the best, and the p-value of being as good on them.

    Shapes (C,). The predictions of an object are swapped with all their repeats.
    """
    common = tests.tested & tests.tested[best]
    predicted = _relabeled(tests) if measure == "success_rate" else tests.predicted
    p = _exact(tests, predicted, measure, best, common) if measure in ADDITIVE else None
    return common.sum(axis=1), _drawn(tests, predicted, measure, best, common, n_draws, rng) if p is None else p


def _relabeled(tests: _Tests) -> np.ndarray:
    """Return the predictions, shape (P, U), each panel's classes renamed as its success rate has them."""
    names = best_relabeling(tests.observed)
    back = np.argsort(names, axis=1)
    return np.where(tests.predicted < 0, -1, np.take_along_axis(back, np.maximum(tests.predicted, 0), axis=1))


def _exact(tests: _Tests, predicted: np.ndarray, measure: str, best: int, common: np.ndarray) -> np.ndarray | None:
    """Return the p-values, shape (C,), of swapping all ways; None where these are too many to be told apart.

    With each swap the difference changes by what the object is worth, times the repeats in which one of both is right
    and the other is not. It is a sum of as many coins, tossed independently.
    """
    panels = predicted >= 0
    if not (panels == np.repeat(tests.tested, tests.n_panels, axis=0)).all():
        return None  # repeats of different objects: a swap changes how many predictions there are
    unit = int(np.lcm.reduce(tests.n_panels))
    right = np.add.reduceat(predicted == tests.truth, tests.first, axis=0) * (unit // tests.n_panels)[:, None]
    steps = (right[best] - right) * common
    balanced = measure == "balanced_accuracy"
    groups = tests.truth[:, None] == np.arange(tests.n_classes) if balanced else np.ones((len(tests.truth), 1), bool)
    sizes = common @ groups.astype(int)
    n_groups = np.sum(sizes > 0, axis=1, keepdims=True)
    worth = np.divide(1, unit * n_groups * sizes, out=np.zeros(sizes.shape), where=sizes > 0)
    observed = np.abs(np.sum(steps @ groups.astype(int) * worth, axis=1))
    coins = np.stack([(np.abs(steps) == step) @ groups.astype(int) for step in range(1, unit + 1)], axis=2)
    p = np.ones(len(observed))
    for place in np.flatnonzero(observed > TIE):
        found = _chance_of_sum(coins[place], worth[place], observed[place])
        if found is None:
            return None
        p[place] = found
    return p


def _chance_of_sum(coins: np.ndarray, worth: np.ndarray, observed: float) -> float | None:
    """Return the probability that a sum of tossed coins is at least as far from 0 as observed.

    Parameters
    ----------
    coins : ndarray of int, shape (G, S)
        Number of coins that are worth 1 ... S units; heads add that, tails take it away.
    worth : ndarray, shape (G,)
        What the unit of each group is worth.
    observed : float
        Above 0.

    Returns
    -------
    float or None
        None where more than a million sums would have to be told apart.
    """
    halves = [(np.zeros(1), np.ones(1)), (np.zeros(1), np.ones(1))]
    for unit in np.unique(worth):
        sums, p = _tosses(tuple(coins[worth == unit].sum(axis=0).tolist()))
        smaller = int(halves[0][0].size > halves[1][0].size)
        values, weights = halves[smaller]
        if values.size * sums.size > MOST_SUMS:
            return None
        halves[smaller] = np.add.outer(values, unit * sums).ravel(), np.multiply.outer(weights, p).ravel()
    (values, weights), (others, of_others) = sorted(halves, key=lambda half: -half[0].size)
    order = np.argsort(values)
    above = np.append(np.cumsum(weights[order][::-1])[::-1], 0)  # probability of a value and all that are greater
    far = above[np.searchsorted(values[order], observed - TIE - others)]
    return min(2 * float(far @ of_others), 1.0)


@cache
def _tosses(coins: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums that coins worth 1, 2, ... units can have, and the probability of each."""
    p: np.ndarray = np.ones(1)
    for step, n in enumerate(coins, 1):
        spread = np.zeros(2 * step * n + 1)
        spread[:: 2 * step] = binom.pmf(np.arange(n + 1), n, 0.5)
        p = np.convolve(p, spread)
    possible = p > NEGLIGIBLE
    return (np.arange(p.size) - p.size // 2)[possible], p[possible]


def _drawn(
    tests: _Tests,
    predicted: np.ndarray,
    measure: str,
    best: int,
    common: np.ndarray,
    n_draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the p-values, shape (C,), of swapping at random."""
    own = []
    for name in range(tests.n_classes):
        share = np.add.reduceat(predicted == name, tests.first, axis=0) / tests.n_panels[:, None]
        own.append(share * common)
    rival = [share[best] * common for share in own]
    gain = [theirs - ours for theirs, ours in zip(rival, own, strict=True)]
    every = np.ones((1, 1))
    own_table, rival_table = (_count(every, tests.truth, kind) for kind in (own, rival))
    compare = accuracy if measure == "success_rate" else table_scores()[measure]
    observed = np.abs(compare(rival_table) - compare(own_table))[0]
    n_swaps = max(n_draws, min(SWAPS_A_PAIR * len(tests.jobs), MOST_SWAPS))
    as_far, squares = np.zeros(observed.shape), np.zeros(observed.shape)
    for n in tests.blocks(n_swaps):
        swapped = _count(rng.integers(2, size=(n, len(tests.truth))), tests.truth, gain)
        difference = compare(rival_table - swapped) - compare(own_table + swapped)
        as_far += np.sum(np.abs(difference) >= observed - TIE, axis=0)
        squares += np.sum(difference**2, axis=0)
    p: np.ndarray = np.where(np.isnan(observed), 1, (1 + as_far) / (1 + n_swaps))
    if n_swaps < SWAPS_A_PAIR * len(tests.jobs):
        with np.errstate(divide="ignore", invalid="ignore"):
            tail = 2 * norm.sf(observed / np.sqrt(squares / n_swaps))
        p = np.where(as_far < ENOUGH, np.minimum(p, tail), p)
    return p


def _score(tables: np.ndarray, measure: str, names: np.ndarray) -> np.ndarray:
    """Return the measure; for the success rate with the relabelings given, shape (B, P, K)."""
    return success_rate(tables, names) if measure == "success_rate" else table_scores()[measure](tables)


def p_values(drawn: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the share of draws, shape (B, C), that score at least as high, the observed one counted in."""
    return (1 + np.sum(drawn >= observed - TIE, axis=0)) / (1 + len(drawn))


def _holm(p: np.ndarray) -> np.ndarray:
    """Return p-values, shape (M,), adjusted by Holm's step-down method."""
    order = np.argsort(p)
    adjusted = np.empty(p.shape)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1)
    return adjusted
