"""The convolutional networks of the study (Jaimes-Illanes et al. 2025, arXiv:2501.11657)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from hiexp.errors import InputError

FEW_TAPS = 32  # up to so many weights a filter, a matrix product of gathered pixels is faster than a convolution


@dataclass(frozen=True)
class ConvNet:
    """Blocks of convolution, ReLU, batch norm, max-pool and dropout, then a dense layer.

    Images are convolved with 3 x 3 pixels and pooled by 2 x 2, profiles with 3 samples and pooled by 2.

    Parameters
    ----------
    filters : sequence of int
        Convolution filters, one a block.
    padding : {"auto", "same", "valid"}
        Whether a convolution keeps the size of its image ("same") or trims one pixel all around ("valid"); "auto"
        trims wherever that leaves enough for the blocks behind it to pool.
    dense : int
        Units of the dense layer.
    conv_dropout, dense_dropout : float
        Dropout probability after each block (rounded to a multiple of 1/256) and after the dense layer.
    """

    filters: Sequence[int]
    padding: str = "auto"
    dense: int = 512
    conv_dropout: float = 0.25
    dense_dropout: float = 0.5

    def build(self, image_shape: tuple[int, ...], n_classes: int) -> nn.Module:
        """Return a new network, its weights drawn from torch's global random state.

        Parameters
        ----------
        image_shape : tuple of int
            (channels, height, width) of one image, or (channels, samples) of one profile.
        n_classes : int
            Outputs, as logits.

        Raises
        ------
        InputError
            If `padding` is another word, or the image too small for that many blocks.
        """
        if self.padding not in ("auto", "same", "valid"):
            raise InputError(f"model.padding={self.padding}: choose auto, same or valid")
        channels, *size = image_shape
        layers: list[nn.Module] = []
        for place, width in enumerate(self.filters, start=1):
            left = (min(size) - 2) // 2  # of the map, if this block trims it
            trims = self.padding == "valid" or (self.padding == "auto" and left >= 2 ** (len(self.filters) - place))
            layers.append(Block(channels, width, len(size), "valid" if trims else "same", self.conv_dropout))
            channels = width
            size = [(side - 2 * trims) // 2 for side in size]
            if min(size) < 1:
                raise InputError(self._too_small(image_shape[1:]))
        pixels = channels * size[0] * (size[1] if len(size) > 1 else 1)
        return nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(pixels, self.dense),
            nn.ReLU(),
            nn.BatchNorm1d(self.dense),
            nn.Dropout(self.dense_dropout),
            nn.Linear(self.dense, n_classes),
        )

    def _too_small(self, size: tuple[int, ...]) -> str:
        what, key = ("images", "feature.size") if len(size) > 1 else ("profiles", "feature.n_samples")
        unit = "pixels" if len(size) > 1 else "samples"
        return (
            f"{what} of {' x '.join(map(str, size))} {unit} are too small for the {len(self.filters)} blocks of "
            f"model.filters={list(self.filters)} with model.padding={self.padding}; "
            f"enlarge {key}, set model.padding=auto or choose model=simple"
        )


class Block(nn.Module):
    """Convolution, ReLU, batch norm, max-pool and dropout."""

    def __init__(self, channels: int, filters: int, dimensions: int, padding: str, dropout: float) -> None:
        super().__init__()
        one = dimensions == 1
        self.conv = (nn.Conv1d if one else nn.Conv2d)(channels, filters, 3, padding=padding)
        self.norm = (nn.BatchNorm1d if one else nn.BatchNorm2d)(filters)
        self.pool = (nn.MaxPool1d if one else nn.MaxPool2d)(2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return maps of half the size."""
        if self.training and images.device.type == "cpu":
            from hiexp.classifiers.fused import dropped, rectified_normalised_pooled  # numba loads in half a second

            if images.ndim == 4:
                return rectified_normalised_pooled(self._convolved(images), self.norm, self.dropout.p)
            return dropped(self.pool(self.norm(functional.relu(self.conv(images)))), self.dropout.p)
        maps = self._convolved(images)
        if not self.training and (self.norm.weight > 0).all():  # what never falls may follow the maximum, bit for bit
            return self.norm(functional.relu(self.pool(maps)))
        return self.dropout(self.pool(self.norm(functional.relu(maps))))

    def _convolved(self, images: torch.Tensor) -> torch.Tensor:
        weight = self.conv.weight
        if images.ndim == 3 or images.device.type != "cpu" or weight[0].numel() > FEW_TAPS:
            return self.conv(images)
        edge = int(self.conv.padding == "same")
        pixels = functional.pad(images, [edge] * 4).permute(0, 2, 3, 1)
        height, width = pixels.shape[1] - 2, pixels.shape[2] - 2
        taps = torch.cat([pixels[:, y : y + height, x : x + width] for y in range(3) for x in range(3)], dim=-1)
        kernel = weight.permute(2, 3, 1, 0).reshape(-1, len(weight))
        maps = torch.addmm(self.conv.bias, taps.flatten(0, 2), kernel)
        return maps.view(-1, height, width, len(weight)).permute(0, 3, 1, 2)
