"""The convolutional networks of the study (Jaimes-Illanes et al. 2025, arXiv:2501.11657), as they are configured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hiexp.errors import InputError
from hiexp.kinds import Count, Probability

if TYPE_CHECKING:  # torch takes seconds to import, and settings are checked without it
    from torch import nn


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
        that no pooling would take (2 of 32 pixels, at the disc's edge), which then count in no batch norm either.
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
        from torch import nn

        from hiexp.classifiers.cnn.block import Block

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
