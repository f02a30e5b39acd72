"""The likelihood of an intrinsic asymmetry, learned from simulated lines: networks say how probable its bins are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from scipy.special import expit, softmax
from tqdm import tqdm

N_BINS = 80  # as many lines in each
NETWORKS = 3  # whose probabilities are averaged
WIDTH, LAYERS, DROPOUT = 128, 3, 0.15
EPOCHS, BATCH, RATE, WEIGHT_DECAY = 20, 256, 3e-3, 0.05
FARTHEST = 6.0  # standard deviations of an input; what is farther is taken to be as far
SHARED = 10_000  # lines from which on it pays to start further processes, which takes seconds
CELLS, MOST_COUNTED = (8, 16), 5.0  # of W50 and of the measure, and how often a line counts at most
BLOCK = 8192  # lines whose probabilities are computed at a time


@dataclass(frozen=True)
class AsymmetryDensity:
    """How probable each bin of a measure is, given the inputs of a line (Cranmer et al. 2020, PNAS 117, 30055).

    Attributes
    ----------
    bounds : ndarray, shape (K + 1,)
        Bounds of the bins, ascending.
    simulated : ndarray, shape (K,)
        Share of the simulated lines in each: the prior, which the likelihood is freed from.
    mean, deviation : ndarray, shape (F,)
        Mean and standard deviation of the inputs of simulated lines.
    first, hidden, last : ndarray, shape (M, F, W), (H, M, W, W), (M, W, K)
        Weights of M networks: of the first layer, of H layers in the middle, of the last one.
    first_offsets, hidden_offsets, last_offsets : ndarray, shape (M, 1, W), (H, M, 1, W), (M, 1, K)
        Offsets of the same.
    """

    bounds: np.ndarray
    simulated: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    first: np.ndarray
    hidden: np.ndarray
    last: np.ndarray
    first_offsets: np.ndarray
    hidden_offsets: np.ndarray
    last_offsets: np.ndarray

    @classmethod
    def train(cls, inputs: np.ndarray, truth: np.ndarray, width: np.ndarray, least: float, seed: int) -> Self:
        """Learn from simulated lines.

        Lines count by weights that make the measure independent of the width: what the networks say of a line, over
        the share of the bins, is then a likelihood, whatever the width.

        Parameters
        ----------
        inputs : ndarray, shape (N, F)
            What is known of each line.
        truth, width : ndarray, shape (N,)
            Its measure, and its W50, without noise.
        least : float
            The least value that the measure can have.
        seed : int
            Seed of weights and batches.
        """
        inner = np.unique(np.quantile(truth, np.linspace(0, 1, N_BINS + 1)[1:-1]))
        inner = inner[(inner > least) & (inner < truth.max())]
        bounds = np.concatenate([[least], inner, [truth.max()]])
        bins = np.searchsorted(inner, truth, side="right")
        deviation = inputs.std(axis=0, dtype=float)
        mean, deviation = inputs.mean(axis=0, dtype=float), np.where(deviation > 0, deviation, 1.0)
        scaled = _scaled(inputs, mean, deviation)
        counted = _independent(truth, width)
        # One thread each: the products are small.
        n_jobs = min(NETWORKS, effective_n_jobs(-1)) if len(inputs) > SHARED else 1
        each = Parallel(n_jobs, return_as="generator", max_nbytes=None)(  # torch warns of what joblib maps
            delayed(_trained)(scaled, bins, len(bounds) - 1, counted, seed + number) for number in range(NETWORKS)
        )
        trained = list(tqdm(each, desc="training networks", total=NETWORKS, delay=1, leave=False))
        weights, offsets = (
            [np.stack([layers[place][kind] for layers in trained]) for place in range(LAYERS + 1)] for kind in (0, 1)
        )
        return cls(
            bounds=bounds,
            simulated=np.bincount(bins, counted, minlength=len(bounds) - 1) / counted.sum(),
            mean=mean,
            deviation=deviation,
            first=weights[0],
            hidden=np.stack(weights[1:-1]),
            last=weights[-1],
            first_offsets=offsets[0],
            hidden_offsets=np.stack(offsets[1:-1]),
            last_offsets=offsets[-1],
        )

    def likelihood(self, inputs: np.ndarray) -> np.ndarray:
        """Return how likely the inputs, shape (N, F), are with the measure in each bin, shape (N, K).

        Each row is known but for a factor.
        """
        blocks = [self._probabilities(inputs[start : start + BLOCK]) for start in range(0, len(inputs), BLOCK)]
        return np.concatenate([np.empty((0, len(self.simulated))), *blocks]) / self.simulated

    def _probabilities(self, inputs: np.ndarray) -> np.ndarray:
        values = _silu(_scaled(inputs, self.mean, self.deviation) @ self.first + self.first_offsets)
        for weights, offsets in zip(self.hidden, self.hidden_offsets, strict=True):
            values = _silu(values @ weights + offsets)
        return softmax((values @ self.last + self.last_offsets).astype(float), axis=2).mean(axis=0)

    def save(self, folder: Path) -> None:
        """Write everything into an empty folder, for `load`."""
        np.savez(folder / "density.npz", **vars(self))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / "density.npz") as stored:
            return cls(**stored)


def _silu(values: np.ndarray) -> np.ndarray:
    return values * expit(values)


def _scaled(inputs: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    return np.clip((inputs - mean) / deviation, -FARTHEST, FARTHEST).astype(np.float32)


def _independent(truth: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return how often each line counts, shape (N,), if its measure is to be independent of its width."""

    def cells(values: np.ndarray, number: int) -> np.ndarray:
        return np.searchsorted(np.quantile(values, np.linspace(0, 1, number + 1)[1:-1]), values)

    row, column = cells(width, CELLS[0]), cells(truth, CELLS[1])
    counts = np.zeros(CELLS)
    np.add.at(counts, (row, column), 1)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / len(truth)
    return np.clip(expected[row, column] / counts[row, column], 1 / MOST_COUNTED, MOST_COUNTED)


def _trained(
    inputs: np.ndarray, bins: np.ndarray, n_bins: int, counted: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weights (in, out) and offsets (1, out) of a perceptron that has learned bins by their cross entropy."""
    import torch  # predictions do without it
    from torch import nn

    from hiexp.devices import one_thread

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        x, y, weights = torch.from_numpy(inputs), torch.from_numpy(bins), torch.from_numpy(counted).float()
        sizes = [x.shape[1], *[WIDTH] * LAYERS]
        hidden = [
            part
            for size, following in pairwise(sizes)
            for part in (nn.Linear(size, following), nn.SiLU(), nn.Dropout(DROPOUT))
        ]
        network = nn.Sequential(*hidden, nn.Linear(WIDTH, n_bins))
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
        batch = min(BATCH, len(x))
        steps = len(x) // batch
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * steps)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(x))[: steps * batch].view(steps, batch):
                losses = nn.functional.cross_entropy(network(x[rows]), y[rows], reduction="none")
                loss = (losses * weights[rows]).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        linear = [part for part in network if isinstance(part, nn.Linear)]
        return [(part.weight.detach().numpy().T.copy(), part.bias.detach().numpy()[None].copy()) for part in linear]
