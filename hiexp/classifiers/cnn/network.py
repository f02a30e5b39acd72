"""The convolutional networks of the study (Jaimes-Illanes et al. 2025, arXiv:2501.11657), in torch's own layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from hiexp.classifiers.cnn import fast
from hiexp.errors import InputError
from hiexp.kinds import Count, Probability


class Block(nn.Module):
    """Convolution with 3 x 3 pixels, ReLU, batch norm, max-pool of 2 x 2 and dropout; 3 and 2 samples of profiles.

    Parameters
    ----------
    channels, filters : int
        Channels of the images, and of the maps that are made of them.
    dimensions : int
        Axes of an image: 2, or 1 of a profile.
    padding : {"same", "valid"}
        Whether the convolution keeps the size of its image or trims one pixel all around.
    dropout : float
        Dropout probability.
    """

    def __init__(self, channels: int, filters: int, dimensions: int, padding: str, dropout: float) -> None:
        super().__init__()
        on_profiles = dimensions == 1
        self.conv = (nn.Conv1d if on_profiles else nn.Conv2d)(channels, filters, 3, padding=padding)
        self.norm = (nn.BatchNorm1d if on_profiles else nn.BatchNorm2d)(filters)
        self.pool = (nn.MaxPool1d if on_profiles else nn.MaxPool2d)(2)
        self.dropout = nn.Dropout(dropout)
        self.crop: Sequence[int] | None = None  # pixels along each axis to take of an image, if not all

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return maps of half the size, (N, filters, ...), of images (N, channels, ...)."""
        for axis, pixels in enumerate(self.crop or (), start=2):
            images = images.narrow(axis, 0, pixels)
        maps = fast.forward(self, images)  # None where the layers are the fastest way
        return self.layers(images) if maps is None else maps

    def layers(self, images: torch.Tensor) -> torch.Tensor:
        """Return the maps, layer by layer: what every faster way is held to."""
        return self.dropout(self.pool(self.norm(functional.relu(self.conv(images)))))


@dataclass(frozen=True)
class ConvNet:
    """Blocks, one for each entry of `filters`, then a dense layer and the logits.

    Parameters
    ----------
    filters : sequence of int
        Convolution filters, one a block.
    padding : {"auto", "same", "valid"}
        Whether a convolution keeps the size of its image ("same") or trims one pixel all around ("valid"); "auto"
        trims wherever that leaves enough for the blocks behind it to pool, and crops the last lines and columns
        that no pooling would take (2 of 64 pixels, at the disc's edge), which then count in no batch norm either.
    dense : int
        Units of the dense layer.
    conv_dropout, dense_dropout : float
        Dropout probability after each block (on a CPU rounded to a multiple of 1/256) and after the dense layer.
    """

    filters: Sequence[Count]
    padding: Literal["auto", "same", "valid"] = "auto"
    dense: Count = 512
    conv_dropout: Probability = 0.25
    dense_dropout: Probability = 0.5

    def build(self, image_shape: tuple[int, ...], n_classes: int) -> nn.Sequential:
        """Return a new network, its weights drawn from torch's global random state.

        Parameters
        ----------
        image_shape : tuple of int
            (channels, height, width) of one image, or (channels, samples) of one profile.
        n_classes : int
            Number of outputs, as logits.

        Raises
        ------
        InputError
            If `padding` is another word, or the image too small for that many blocks.
        """
        channels, *size = image_shape
        paddings, sizes = self._paddings(size)
        widths = [channels, *self.filters]
        blocks = [
            Block(before, after, len(size), padding, self.conv_dropout)
            for before, after, padding in zip(widths, self.filters, paddings, strict=False)
        ]
        if self.padding == "auto" and blocks:
            blocks[0].crop = _pooled_pixels(paddings, sizes)
        return nn.Sequential(
            *blocks,
            nn.Flatten(),
            nn.Linear(widths[-1] * math.prod(sizes[-1]), self.dense),
            nn.ReLU(),
            nn.BatchNorm1d(self.dense),
            nn.Dropout(self.dense_dropout),
            nn.Linear(self.dense, n_classes),
        )

    def _paddings(self, size: Sequence[int]) -> tuple[list[str], list[Sequence[int]]]:
        """Return the padding of each block, and the size of the image before each and after the last one."""
        if self.padding not in ("auto", "same", "valid"):
            raise InputError(f"model.padding={self.padding}: choose auto, same or valid")
        paddings: list[str] = []
        sizes: list[Sequence[int]] = [size]
        for blocks_behind in reversed(range(len(self.filters))):
            if self.padding == "auto":
                trimmed = (min(sizes[-1]) - 2) // 2
                paddings.append("valid" if trimmed >= 2**blocks_behind else "same")
            else:
                paddings.append(self.padding)
            margin = 2 if paddings[-1] == "valid" else 0
            sizes.append([(side - margin) // 2 for side in sizes[-1]])
            if min(sizes[-1]) < 1:
                raise InputError(self._too_small(size))
        return paddings, sizes

    def _too_small(self, size: Sequence[int]) -> str:
        what, key = ("images", "feature.size") if len(size) > 1 else ("profiles", "feature.n_samples")
        unit = "pixels" if len(size) > 1 else "samples"
        return (
            f"{what} of {' x '.join(map(str, size))} {unit} are too small for the {len(self.filters)} blocks of "
            f"model.filters={list(self.filters)} with model.padding={self.padding}; "
            f"enlarge {key}, set model.padding=auto or choose model=simple"
        )


def _pooled_pixels(paddings: Sequence[str], sizes: Sequence[Sequence[int]]) -> Sequence[int]:
    """Return how many pixels of an image along each axis, from the first one on, pooling lets through to the end.

    Parameters
    ----------
    paddings : sequence of {"same", "valid"}
        Padding of the convolution of each block.
    sizes : sequence of sequence of int
        Size of the image before each block, and of the map after the last one.
    """
    pixels = sizes[-1]
    for padding, before in zip(reversed(paddings), reversed(sizes[:-1]), strict=True):
        pixels = [2 * side + 2 for side in pixels] if padding == "valid" else before
    return pixels
