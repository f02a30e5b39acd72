"""What the best of many configurations is worth.

The highest of 54 scores is high by selection alone. Everything here is computed from the predictions that the
configurations left on objects held out: none of them is trained again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.stats import binom

from hiexp.errors import InputError
from hiexp.evaluation.confusion import accuracy, best_relabeling, success_rate
from hiexp.evaluation.metrics import table_scores
from hiexp.writing import write_whole

log = logging.getLogger(__name__)

NUMBERS_A_BLOCK = 10_000_000
LEVEL = 0.05  # configurations with an adjusted p above it are like the best
SWAPS_A_PAIR = 100  # with as many per configuration, p-values can be told from 0 after Holm's correction
TIE = 1e-9
COUNTS = ("accuracy", "success_rate")  # scores that count the objects that are right


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
    predictions: Mapping[str, pd.DataFrame], measure: str = "success_rate", n_draws: int = 1000, seed: int = 0
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
    predictions of objects at random (Yeh 2000, COLING, 947); of scores that count objects, with one prediction each,
    this is McNemar's exact test (1947), which needs no draws. Where they share no object, nothing tells them apart
    and p is 1. The true best is among those alike at 95 %; others may be, too.

    Parameters
    ----------
    predictions : mapping of str to DataFrame
        The ``predictions.csv`` of each job, by the job's name. Objects count where ``split`` is "test" and
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
    obstacle = _obstacle(predictions)
    if obstacle:
        log.info("No verdict on the best of the sweep: %s", obstacle)
        return None
    tests = _Tests.of(predictions)
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


def _obstacle(predictions: Mapping[str, pd.DataFrame]) -> str | None:
    """Return why the configurations cannot be ranked by one truth, if they cannot."""
    known: pd.Series | None = None
    useful = False
    for job, table in predictions.items():
        test = table[table["split"] == "test"]
        useful |= np.unique(test["predicted"]).size > 1
        if test["reference"].isna().all():
            return f"job {job} has no objects held out whose reference class is known"
        reference = table.dropna(subset="reference").drop_duplicates("id")
        reference = pd.Series(reference["reference"].to_numpy(int), reference["id"].astype(str))
        if known is None:
            known = reference
        if set(reference) != set(known):
            return f"job {job} has other reference classes than those before it"
        common = reference.index.intersection(known.index)
        if common.empty or not reference[common].equals(known[common]):
            return f"job {job} is of another sample than those before it"
        known = pd.concat([known, reference.drop(common)])
    if known is None:
        return "no job has left predictions"
    return None if useful else "every job puts all objects held out into one class"


@dataclass(frozen=True)
class _Tests:
    """The predictions of C configurations on U objects; one with several repeats has a panel for each, P in all.

    Attributes
    ----------
    jobs : list of str
        Names of the configurations.
    truth : ndarray of int, shape (U,)
        Classes of the objects that any configuration was tested on, 0 ... K - 1.
    cells : ndarray of float32, shape (U, P, K)
        1 for the class that a panel predicts for an object; 0 everywhere where it was not tested.
    first : ndarray of int, shape (C,)
        The first panel of each configuration.
    useful : ndarray of bool, shape (C,)
        Which predict more than one class.
    """

    jobs: list[str]
    truth: np.ndarray
    cells: np.ndarray
    first: np.ndarray
    useful: np.ndarray

    @classmethod
    def of(cls, predictions: Mapping[str, pd.DataFrame]) -> Self:
        """Gather the predictions; the order of rows does not matter."""
        panels: list[pd.DataFrame] = []
        first, useful = [], []
        for table in predictions.values():
            test = table[table["split"] == "test"]
            useful.append(np.unique(test["predicted"]).size > 1)
            test = test.assign(id=test["id"].astype(str)).dropna(subset="reference")
            first.append(len(panels))
            panels += [rows for _, rows in test.groupby("repeat")] if "repeat" in test else [test]
        rows = pd.concat(panels, keys=range(len(panels)), names=["panel"]).reset_index("panel")
        ids, places = np.unique(rows["id"].to_numpy(str), return_inverse=True)
        classes = np.union1d(rows["reference"].to_numpy(int), rows["predicted"].to_numpy(int))
        truth = np.empty(len(ids), dtype=int)
        truth[places] = np.searchsorted(classes, rows["reference"].to_numpy(int))
        cells = np.zeros((len(ids), len(panels), len(classes)), dtype=np.float32)
        cells[places, rows["panel"], np.searchsorted(classes, rows["predicted"].to_numpy(int))] = 1
        return cls(list(predictions), truth, cells, np.array(first), np.array(useful))

    @cached_property
    def _flat(self) -> csr_array:
        return _flat(self.cells)

    @property
    def observed(self) -> np.ndarray:
        """The table of each panel, shape (P, K, K)."""
        return self.tables(np.ones((1, len(self.truth))))[0]

    @property
    def tested(self) -> np.ndarray:
        """Which objects each configuration was tested on, bool, shape (C, U)."""
        panels = self.cells.any(axis=2).T
        return np.logical_or.reduceat(panels, self.first, axis=0)

    def tables(self, weights: np.ndarray, truth: np.ndarray | None = None) -> np.ndarray:
        """Return the tables, shape (B, P, K, K), of weighted objects, shape (B, U), with classes of that shape."""
        return _count(weights, self.truth if truth is None else truth, self._flat, self.cells.shape[2])

    def by_configuration(self, scores: np.ndarray) -> np.ndarray:
        """Return the mean of each configuration's panels, shape (..., P) to (..., C)."""
        n_panels = np.diff(np.append(self.first, scores.shape[-1]))
        return np.add.reduceat(scores, self.first, axis=-1) / n_panels

    def blocks(self, n_draws: int) -> Iterator[int]:
        """Yield how many draws to take at a time, that memory stays bounded."""
        n_objects, n_panels, n_classes = self.cells.shape
        block = max(NUMBERS_A_BLOCK // max(n_objects * n_classes, n_panels * n_classes**2), 1)
        for start in range(0, n_draws, block):
            yield min(block, n_draws - start)


def _flat(cells: np.ndarray) -> csr_array:
    """Return `cells`, shape (U, P, K), as `_count` takes them: (P * K, U), sparse, since a panel fills one of K."""
    return csr_array(cells.reshape(len(cells), -1).T)


def _count(weights: np.ndarray, truth: np.ndarray, flat: csr_array, n_classes: int) -> np.ndarray:
    """Return sums of cells by true class, shape (B, P, K, K).

    Weights have the shape (B, U) or (B, 1); classes (U,), or (B, U) where they differ between draws.
    """
    tables = np.zeros((len(weights), flat.shape[0] // n_classes, n_classes, n_classes))
    for name in np.unique(truth):
        sums = flat @ np.where(truth == name, weights, 0).astype(np.float32).T
        tables[:, :, name] = sums.T.reshape(len(weights), -1, n_classes)
    return tables


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
        drawn, left = tests.tables(weights), tests.tables(weights == 0)
        scores.append(tests.by_configuration(_score(drawn, measure, np.broadcast_to(usual, drawn.shape[:-1]))))
        names = best_relabeling(drawn)
        seen = tests.by_configuration(_score(drawn, measure, names))
        unseen = tests.by_configuration(_score(left, measure, names))
        chosen = np.where(tests.useful & ~np.isnan(seen), seen, -np.inf).argmax(axis=1)
        corrected.append(unseen[np.arange(n), chosen])
    low, high = np.nanpercentile(np.concatenate(scores), [2.5, 97.5], axis=0)
    corrected = np.concatenate(corrected)
    return low, high, corrected[~np.isnan(corrected)]


def _likeness(
    tests: _Tests, measure: str, best: int, n_draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many test objects each configuration shares with the best, and the p-value of being as good on them.

    Shapes (C,). The predictions of an object are swapped with all their repeats.
    """
    names = best_relabeling(tests.observed) if measure == "success_rate" else np.arange(tests.cells.shape[2])[None]
    renamed = np.take_along_axis(tests.cells, names[None], axis=2)
    n_panels = np.diff(np.append(tests.first, renamed.shape[1]))
    cells = np.add.reduceat(renamed, tests.first, axis=1) / n_panels[:, None].astype(np.float32)
    common = (tests.tested & tests.tested[best]).T[:, :, None]
    own, rival = cells * common, cells[:, [best]] * common
    every = np.ones((1, len(tests.truth)))
    n_common, n_classes, gain = common[:, :, 0].sum(axis=0), own.shape[2], _flat(rival - own)
    if measure in COUNTS and (n_panels == 1).all():
        return n_common, _mcnemar(own, rival, tests.truth)
    own_table, rival_table = (_count(every, tests.truth, _flat(kind), n_classes) for kind in (own, rival))
    compare = accuracy if measure == "success_rate" else table_scores()[measure]
    observed = np.abs(compare(rival_table) - compare(own_table))[0]
    n_swaps = max(n_draws, SWAPS_A_PAIR * len(tests.jobs))
    as_far = np.zeros(observed.shape)
    for n in tests.blocks(n_swaps):
        swapped = _count(rng.integers(2, size=(n, len(tests.truth))), tests.truth, gain, n_classes)
        difference = compare(rival_table - swapped) - compare(own_table + swapped)
        as_far += np.sum(np.abs(difference) >= observed - TIE, axis=0)
    p = np.where(np.isnan(observed), 1, (1 + as_far) / (1 + n_swaps))
    return n_common, p


def _mcnemar(own: np.ndarray, rival: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the p-values of two classifiers being right as often, shape (C,), by McNemar's exact test.

    Parameters
    ----------
    own, rival : ndarray, shape (U, C, K)
        1 for the class that each configuration, and the one it is compared with, predicts for an object; 0
        everywhere for objects that do not count.
    truth : ndarray of int, shape (U,)
        Classes.
    """
    right, rival_right = (kind[np.arange(len(truth)), :, truth] > 0 for kind in (own, rival))
    better, worse = np.sum(right & ~rival_right, axis=0), np.sum(~right & rival_right, axis=0)
    return np.minimum(2 * binom.cdf(np.minimum(better, worse), better + worse, 0.5), 1)


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
