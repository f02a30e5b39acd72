"""Learned shapelets: short curves whose distances to the profiles tell the classes apart.

Grabocka et al. (2014), "Learning time-series shapelets", KDD, doi:10.1145/2623330.2623613.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

from hiexp.devices import one_thread, torch_device
from hiexp.epochs import epoch_ended
from hiexp.errors import InputError
from hiexp.features.raw import unit_range
from hiexp.features.shapelet_network import ShapeletNetwork
from hiexp.kinds import Count, Device, NotNegative, Positive, Seed, Several

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
WINDOWS_TO_START_FROM = 10_000
# Numbers in one array while distances are computed: 1 MiB, which stays in a processor's cache.
BATCH_NUMBERS = 2**18


class LearnedShapelets(TransformerMixin, BaseEstimator):
    """Turn each profile into its distances to shapelets that are learned with the classes.

    Shapelets start at the centres of a k-means of windows drawn at random and are learned, with the linear layer
    over their distances, by cross-entropy.

    Parameters
    ----------
    lengths : sequence of int
        Lengths of the shapelets, in samples, 2 at least.
    counts : sequence of int
        Number of shapelets of each length.
    epochs : int
        Passes over the profiles.
    batch_size : int
        Profiles a step.
    scale : bool
        Whether each profile is first scaled to 0..1.
    optimizer : {"sgd", "adam"}
        What makes the steps.
    learning_rate : float
        Learning rate of the optimizer.
    weight_regularizer : float
        Times the sum of the linear layer's squared weights is added to the loss.
    device : {"cpu", "cuda", "auto"}
        Where to train and to compute distances.
    seed : int
        Seed of the start, the weights and the order of the batches.

    Attributes
    ----------
    classes_ : ndarray
        The class labels.
    network_ : ShapeletNetwork
        Trained, on the CPU.
    history_ : dict of list of float
        ``shapelet_loss`` (cross-entropy) and ``shapelet_accuracy`` of each epoch.
    """

    classes_: np.ndarray
    history_: dict[str, list[float]]

    def __init__(
        self,
        lengths: Sequence[Several] = (100, 50, 30, 10),
        counts: Sequence[Count] = (10, 8, 5, 3),
        epochs: Count = 350,
        batch_size: Count = 10,
        scale: bool = True,
        optimizer: Literal["sgd", "adam"] = "adam",
        learning_rate: Positive = 0.01,
        weight_regularizer: NotNegative = 0.0,
        device: Device = "cpu",
        seed: Seed = 0,
    ) -> None:
        self.lengths = lengths
        self.counts = counts
        self.epochs = epochs
        self.batch_size = batch_size
        self.scale = scale
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_regularizer = weight_regularizer
        self.device = device
        self.seed = seed

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Learn from profiles `X`, shape (M, n), of classes `y`, shape (M,).

        Raises
        ------
        InputError
            If a shapelet is longer than the profiles, or the settings cannot be met.
        """
        X, y = validate_data(self, X, y, ensure_min_features=2)
        check_classification_targets(y)
        self._check_settings(X.shape[1])
        self.classes_, targets = np.unique(y, return_inverse=True)
        self.history_ = {"shapelet_loss": [], "shapelet_accuracy": []}
        self._learn(self._series(X), targets)
        return self

    def build_network(self) -> ShapeletNetwork:
        """Return the network untrained, its shapelets 0, as stored weights are loaded into."""
        return ShapeletNetwork(self.lengths, self.counts, len(self.classes_))

    @property
    def shapelets_(self) -> list[np.ndarray]:
        """The learned shapelets, each of shape (length,), in the order of the distances."""
        check_is_fitted(self, "network_")
        length = np.repeat(self.lengths, self.counts)
        rows = self.network_.shapelets.detach().numpy()
        return [row[:end].copy() for row, end in zip(rows, length, strict=True)]

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the distances, float32, shape (N, K): mean squared differences over the nearest window."""
        return self._in_batches(X, lambda network, series: network.distances(series))

    def locate(self, X: np.ndarray) -> np.ndarray:
        """Return the sample of each profile where its nearest window to each shapelet starts, shape (N, K)."""
        return self._in_batches(X, lambda network, series: network.locate(series))

    def _check_settings(self, n_samples: int) -> None:
        """Refuse settings that profiles of `n_samples` cannot meet."""
        lengths, counts = list(self.lengths), list(self.counts)
        if not lengths or len(lengths) != len(counts):
            raise InputError(f"counts={counts}: give as many numbers as in lengths={lengths}, one or more")
        if min(lengths) < 2 or max(lengths) > n_samples:
            raise InputError(f"lengths={lengths}: choose lengths from 2 to the {n_samples} samples of a profile")
        if len(set(lengths)) < len(lengths):
            raise InputError(f"lengths={lengths}: name each length once and put its shapelets together in counts")
        if min(counts) < 1:
            raise InputError(f"counts={counts}: leave a length out rather than have none of it")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: choose 1 or more")
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f"optimizer={self.optimizer}: choose one of {', '.join(OPTIMIZERS)}")

    def _series(self, X: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(unit_range(X) if self.scale else X, np.float32)

    def _in_batches(
        self, X: np.ndarray, compute: Callable[[ShapeletNetwork, torch.Tensor], torch.Tensor]
    ) -> np.ndarray:
        """Return what `compute` makes of the network and the profiles, some of them at a time."""
        check_is_fitted(self, "network_")
        X = validate_data(self, X, reset=False)
        device = torch_device(self.device)
        network = self.network_.to(device)
        rows = max(1, BATCH_NUMBERS // (network.shapelets.shape[0] * X.shape[1]))
        with one_thread(), torch.inference_mode():
            batches = torch.from_numpy(self._series(X)).split(rows)
            results = [compute(network, batch.to(device)).cpu() for batch in batches]
        network.cpu()
        return torch.cat(results).numpy()

    def _learn(self, series: np.ndarray, targets: np.ndarray) -> None:
        """Set ``network_`` and ``history_`` by series, shape (M, n), and the numbers of their classes, shape (M,)."""
        device = torch_device(self.device)
        with one_thread(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network_ = self.build_network()
            self._start(series)
            self._train(torch.from_numpy(series).to(device), torch.from_numpy(targets).to(device))
        self.network_.cpu()

    def _start(self, series: np.ndarray) -> None:
        """Put the shapelets at the centres of a k-means of windows drawn from the profiles."""
        rng = np.random.default_rng(self.seed)
        first = 0
        for length, count in zip(self.lengths, self.counts, strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(series, length, axis=1)
            profile = rng.integers(windows.shape[0], size=WINDOWS_TO_START_FROM)
            sample = windows[profile, rng.integers(windows.shape[1], size=WINDOWS_TO_START_FROM)]
            centres = KMeans(count, max_iter=50, random_state=self.seed).fit(sample).cluster_centers_
            self.network_.shapelets.data[first : first + count, :length] = torch.from_numpy(centres)
            first += count

    def _train(self, series: torch.Tensor, targets: torch.Tensor) -> None:
        network = self.network_.to(series.device)
        layer = network.classification
        groups = [
            {"params": [network.shapelets, layer.bias]},
            {"params": [layer.weight], "weight_decay": 2 * self.weight_regularizer},
        ]
        optimizer = OPTIMIZERS[self.optimizer](groups, lr=self.learning_rate, fused=True)
        bar = tqdm(range(1, self.epochs + 1), desc="learning shapelets", unit="epoch", delay=2, leave=False)
        for epoch in bar:
            loss_sum, n_right = torch.zeros(()), torch.zeros((), dtype=torch.long)
            for rows in torch.randperm(len(series)).to(series.device).split(self.batch_size):
                loss, right = network.backward(series[rows], targets[rows])
                optimizer.step()
                loss_sum += loss * len(rows)
                n_right += right
            self.history_["shapelet_loss"].append(float(loss_sum) / len(series))
            self.history_["shapelet_accuracy"].append(float(n_right) / len(series))
            epoch_ended(epoch, {name: values[-1] for name, values in self.history_.items()})
            bar.set_postfix(loss=f"{self.history_['shapelet_loss'][-1]:.3f}", refresh=False)
