"""The convolutional networks of the study (Jaimes-Illanes et al. 2025, arXiv:2501.11657)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from hiexp.errors import InputError


@dataclass(frozen=True)
class ConvNet:
    """Blocks of 3 x 3 convolution, ReLU, batch norm, 2 x 2 max-pool and dropout, then a dense layer.

    Parameters
    ----------
    filters : sequence of int
        Convolution filters, one a block.
    padding : {"same", "valid"}
        Whether a convolution keeps the size of its image or trims one pixel all around.
    dense : int
        Units of the dense layer.
    conv_dropout, dense_dropout : float
        Dropout probability after each block and after the dense layer.
    """

    filters: Sequence[int]
    padding: str = "same"
    dense: int = 512
    conv_dropout: float = 0.25
    dense_dropout: float = 0.5

    def build(self, image_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
        """Return a new network, its weights drawn from torch's global random state.

        Parameters
        ----------
        image_shape : tuple of int
            (channels, height, width) of one image.
        n_classes : int
            Outputs, as logits.

        Raises
        ------
        InputError
            If `padding` is another word, or the image too small for that many blocks.
        """
        if self.padding not in ("same", "valid"):
            raise InputError(f"model.padding={self.padding}: choose same or valid")
        channels, *size = image_shape
        trim = 2 if self.padding == "valid" else 0
        layers: list[nn.Module] = []
        for width in self.filters:
            layers += [
                nn.Conv2d(channels, width, 3, padding=self.padding),
                nn.ReLU(),
                nn.BatchNorm2d(width),
                nn.MaxPool2d(2),
                nn.Dropout(self.conv_dropout),
            ]
            channels = width
            size = [(side - trim) // 2 for side in size]
            if min(size) < 1:
                raise InputError(
                    f"images of {image_shape[1]} x {image_shape[2]} pixels are too small for the {len(self.filters)} "
                    f"blocks of model.filters={list(self.filters)} with model.padding={self.padding}; "
                    "enlarge feature.size, set model.padding=same or choose model=simple"
                )
        layers += [
            nn.Flatten(),
            nn.Linear(channels * size[0] * size[1], self.dense),
            nn.ReLU(),
            nn.BatchNorm1d(self.dense),
            nn.Dropout(self.dense_dropout),
            nn.Linear(self.dense, n_classes),
        ]
        return nn.Sequential(*layers)
