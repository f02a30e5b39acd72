"""The block that the networks of the study (Jaimes-Illanes et al. 2025) consist of, in torch's own layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from hiexp.classifiers.cnn import fast


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
