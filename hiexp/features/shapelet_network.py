"""The network of learned shapelets: distances to short curves, and a linear layer over them.

Grabocka et al. (2014), "Learning time-series shapelets", KDD, doi:10.1145/2623330.2623613.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional


class ShapeletNetwork(nn.Module):
    """Map series to class logits through the distances to K shapelets.

    The distance of a series to a shapelet is the mean squared difference over the window where it is least. Which
    window that is is searched for without gradient; the gradient flows through the window found alone, as it does
    through any minimum.

    Parameters
    ----------
    lengths, counts : sequence of int
        So many shapelets of each length, in samples.
    n_classes : int
        Outputs, as logits.

    Attributes
    ----------
    shapelets : Parameter, shape (K, longest)
        In the order of `lengths`; beyond a shapelet's own length its samples count for nothing.
    """

    def __init__(self, lengths: Sequence[int], counts: Sequence[int], n_classes: int) -> None:
        super().__init__()
        self.lengths, self.counts = tuple(lengths), tuple(counts)
        length = torch.tensor([length for length, count in zip(lengths, counts, strict=True) for _ in range(count)])
        length = length[:, None]
        inside = torch.arange(max(self.lengths)) < length
        self.sample_weight: Tensor
        self.register_buffer("sample_weight", inside / length, persistent=False)
        self.shapelets = nn.Parameter(torch.zeros(inside.shape))
        self.classification = nn.Linear(len(length), n_classes)
        nn.init.xavier_uniform_(self.classification.weight)
        nn.init.zeros_(self.classification.bias)

    def forward(self, series: Tensor) -> Tensor:
        """Return logits, shape (N, n_classes), of series of shape (N, n)."""
        return self.classification(self.distances(series))

    def distances(self, series: Tensor) -> Tensor:
        """Return the distance of each series to each shapelet, shape (N, K)."""
        return self._mean_square(self._differences(series))

    @torch.no_grad()
    def backward(self, series: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Set the gradient of the mean cross-entropy in every parameter.

        It is written out because automatic differentiation takes longer than all the rest of a step on few series.

        Parameters
        ----------
        series : Tensor, shape (N, n)
            A batch.
        targets : Tensor of int, shape (N,)
            The number of the class of each.

        Returns
        -------
        loss, n_right : Tensor
            The cross-entropy, and how many series the logits put in their class.
        """
        differences, layer = self._differences(series), self.classification
        distances = self._mean_square(differences)
        log_probability = functional.log_softmax(layer(distances), dim=1)
        error = (log_probability.exp() - functional.one_hot(targets, layer.out_features)) / len(series)
        layer.weight.grad = error.T @ distances
        layer.bias.grad = error.sum(0)
        slope = error @ layer.weight
        self.shapelets.grad = -2 * self.sample_weight * (slope[:, :, None] * differences).sum(0)
        n_right = (log_probability.argmax(dim=1) == targets).sum()
        return functional.nll_loss(log_probability, targets), n_right

    @torch.no_grad()
    def locate(self, series: Tensor) -> Tensor:
        """Return the sample where the nearest window to each shapelet starts, shape (N, K).

        ``|x - s|^2 = |x|^2 - 2 x.s + |s|^2``: the first is a difference of running sums, the second a correlation, by
        Fourier transform, the third the same for all windows. Rounding may choose one of two windows as near.
        """
        n = series.shape[1]
        padded = next_fast_len(n, real=True)
        means = torch.fft.rfft(self.shapelets * self.sample_weight, n=padded)  # x.s over the length
        correlations = torch.fft.irfft(torch.fft.rfft(series, n=padded)[:, None] * means.conj(), n=padded)
        running = functional.pad(series.double().square().cumsum(1), (1, 0))
        starts = []
        for length, correlation in zip(self.lengths, correlations.split(self.counts, dim=1), strict=True):
            squares = (running[:, length:] - running[:, :-length]).float()[:, None]
            starts.append(torch.sub(squares, correlation[..., : n - length + 1], alpha=2 * length).argmin(-1))
        return torch.cat(starts, dim=1)

    def _differences(self, series: Tensor) -> Tensor:
        """Return the nearest windows minus the shapelets, shape (N, K, longest); beyond a length, anything."""
        longest = self.shapelets.shape[1]
        windows = functional.pad(series, (0, longest - 1)).unfold(1, longest, 1)
        row = torch.arange(len(series), device=series.device)[:, None]
        return windows[row, self.locate(series)] - self.shapelets

    def _mean_square(self, differences: Tensor) -> Tensor:
        return (differences.square() * self.sample_weight).sum(-1)
