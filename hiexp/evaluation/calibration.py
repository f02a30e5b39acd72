"""Scores of class probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

BINS = 10  # of confidence, equally wide
NUMBERS_A_BLOCK = 2_000_000


@dataclass(frozen=True)
class Probabilities:
    """What R repeats say of N objects, and what it costs them if an object is of each of K classes.

    Attributes
    ----------
    truth : ndarray of int, shape (N,)
        Classes, 0 ... K - 1.
    losses : dict of str to ndarray, shape (N, K)
        ``log_loss``, -log p (natural), and ``brier``, the squared distance of the probabilities from certainty (Brier
        1950, Monthly Weather Review 78, 1; 0 to 2), if the object is of each class; means of the repeats.
    likeliest : ndarray of int, shape (R, N)
        The class of highest probability.
    confidence : ndarray, shape (R, N)
        That probability.
    """

    truth: np.ndarray
    losses: dict[str, np.ndarray]
    likeliest: np.ndarray
    confidence: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, probability: np.ndarray, columns: np.ndarray) -> Self:
        """Take probabilities, shape (N, C) or (R, N, C), of the classes `columns`; those of other classes are 0."""
        given = np.asarray(probability, dtype=float).reshape(-1, len(truth), len(columns))
        classes = np.union1d(truth, columns)
        full = np.zeros((*given.shape[:2], classes.size))
        full[..., np.searchsorted(classes, columns)] = given
        squares = np.sum(full**2, axis=2, keepdims=True)
        return cls(
            truth=np.searchsorted(classes, truth),
            losses={
                "log_loss": -np.log(np.maximum(full, np.finfo(float).eps)).mean(axis=0),
                "brier": (squares - 2 * full + 1).mean(axis=0),
            },
            likeliest=full.argmax(axis=2),
            confidence=full.max(axis=2),
        )

    def observed(self) -> dict[str, float]:
        """Return the scores, the third being ``expected_calibration_error``.

        The mean distance of confidence and accuracy over 10 bins of confidence, weighted by their objects (Guo et al.
        2017, ICML, 1321; 0 to 1).
        """
        return {name: float(values[0]) for name, values in self._scores(self.truth[None], None).items()}

    def draws(self, n_draws: int, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return the scores, shape (n_draws,), of objects drawn with replacement, and those under permuted truth."""
        n_objects, blocks = len(self.truth), []
        at_a_time = max(NUMBERS_A_BLOCK // n_objects, 1)
        for start in range(0, n_draws, at_a_time):
            n = min(at_a_time, n_draws - start)
            rows = rng.integers(n_objects, size=(n, n_objects)) + n_objects * np.arange(n)[:, None]
            weights = np.bincount(rows.ravel(), minlength=n * n_objects).reshape(n, n_objects)
            shuffled = rng.permuted(np.broadcast_to(self.truth, (n, n_objects)), axis=1)
            blocks.append((self._scores(self.truth[None], weights), self._scores(shuffled, None)))
        drawn, chance = zip(*blocks, strict=True)
        return joined(drawn), joined(chance)

    def _scores(self, truth: np.ndarray, weights: np.ndarray | None) -> dict[str, np.ndarray]:
        """Return the scores, shape (B,), under classes of shape (B or 1, N), of objects weighted so, shape (B, N)."""
        n_objects = len(self.truth)
        scores = {}
        for name, losses in self.losses.items():
            values = losses[np.arange(n_objects), truth]
            scores[name] = values.mean(axis=1) if weights is None else weights @ values[0] / n_objects
        errors = []
        for likeliest, confidence in zip(self.likeliest, self.confidence, strict=True):
            bins = np.minimum((confidence * BINS).astype(int), BINS - 1)[:, None] == np.arange(BINS)
            excess = (truth == likeliest) - confidence
            sums = excess @ bins if weights is None else weights @ (excess[0][:, None] * bins)
            errors.append(np.abs(sums).sum(axis=1) / n_objects)
        return scores | {"expected_calibration_error": np.mean(errors, axis=0)}


def joined(blocks: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the scores of all blocks of draws, one after the other."""
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
