"""The convolutional networks of the study (Jaimes-Illanes et al. 2025, arXiv:2501.11657)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from hiexp.errors import InputError
from hiexp.kinds import Count, Probability

FEW_TAPS = 32  # up to so many weights a filter, a matrix product of gathered pixels is faster than a convolution,
FEW_PIXELS = 16  # and in maps of up to so many pixels it is so for the gradient of the weights


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
        trims wherever that leaves enough for the blocks behind it to pool, and spares the last lines and columns
        that no pooling would take (2 of 64 pixels, at the disc's edge), which then count in no batch norm either.
    dense : int
        Units of the dense layer.
    conv_dropout, dense_dropout : float
        Dropout probability after each block (rounded to a multiple of 1/256) and after the dense layer.
    """

    filters: Sequence[Count]
    padding: Literal["auto", "same", "valid"] = "auto"
    dense: Count = 512
    conv_dropout: Probability = 0.25
    dense_dropout: Probability = 0.5

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
        trims, sizes = [], [size]
        for blocks_behind in reversed(range(len(self.filters))):
            left = (min(size) - 2) // 2  # of the map, if this block trims it
            trims.append(self.padding == "valid" or (self.padding == "auto" and left >= 2**blocks_behind))
            size = [(side - 2 * trims[-1]) // 2 for side in size]
            sizes.append(size)
            if min(size) < 1:
                raise InputError(self._too_small(image_shape[1:]))
        widths = [channels, *self.filters]
        layers = [
            Block(before, after, len(size), "valid" if trimmed else "same", self.conv_dropout)
            for before, after, trimmed in zip(widths, self.filters, trims, strict=False)
        ]
        if self.padding == "auto" and layers:
            layers[0].seen = _seen(trims, sizes)
        pixels = widths[-1] * math.prod(size)
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


def _seen(trims: Sequence[bool], sizes: Sequence[Sequence[int]]) -> Sequence[int]:
    """Return how many pixels of an image along each axis, from the first one on, pooling lets through to the end.

    Parameters
    ----------
    trims : sequence of bool
        Whether the convolution of each block trims its image.
    sizes : sequence of sequence of int
        Of the image before each block, and of what the last one makes of it.
    """
    seen = sizes[-1]
    for trimmed, before in zip(reversed(trims), reversed(sizes[:-1]), strict=True):
        seen = [2 * side + 2 for side in seen] if trimmed else before
    return seen


class Block(nn.Module):
    """Convolution, ReLU, batch norm, max-pool and dropout."""

    def __init__(self, channels: int, filters: int, dimensions: int, padding: str, dropout: float) -> None:
        super().__init__()
        one = dimensions == 1
        self.conv = (nn.Conv1d if one else nn.Conv2d)(channels, filters, 3, padding=padding)
        self.norm = (nn.BatchNorm1d if one else nn.BatchNorm2d)(filters)
        self.pool = (nn.MaxPool1d if one else nn.MaxPool2d)(2)
        self.dropout = nn.Dropout(dropout)
        self.edge = int(padding == "same")  # pixels of nothing around an image
        self.seen: Sequence[int] | None = None  # pixels along each axis to take of an image, if not all

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return maps of half the size."""
        if self.seen:
            images = images[(..., *map(slice, self.seen))]
        on_cpu = images.device.type == "cpu"
        if on_cpu and self._is_first(images):
            from hiexp.classifiers.fused import first_block  # numba takes half a second to import

            dropout = self.dropout.p if self.training else 0.0
            return first_block(functional.pad(images, [self.edge] * 4), self.conv, self.norm, dropout)
        if on_cpu and self.training:
            from hiexp.classifiers.fused import dropped, rectified_normalised_pooled

            if images.ndim == 4:
                return rectified_normalised_pooled(self._convolved(images), self.norm, self.dropout.p)
            return dropped(self.pool(self.norm(functional.relu(self.conv(images)))), self.dropout.p)
        maps = self._convolved(images)
        if not self.training and (self.norm.weight > 0).all():  # what never falls may follow the maximum, bit for bit
            return self.norm(functional.relu(self.pool(maps)))
        return self.dropout(self.pool(self.norm(functional.relu(maps))))

    def _is_first(self, images: torch.Tensor) -> bool:
        """Return whether `first_block` can do it: images of one channel, and no gradient that it does not know."""
        if images.ndim != 4 or images.shape[1] != 1 or any(side % 2 for side in images.shape[2:]):
            return False
        return not images.requires_grad and (self.training or not torch.is_grad_enabled())

    def _convolved(self, images: torch.Tensor) -> torch.Tensor:
        weight, bias = self.conv.weight, self.conv.bias
        if images.ndim == 3 or images.device.type != "cpu":
            return self.conv(images)
        height, width = (side - 2 + 2 * self.edge for side in images.shape[2:])
        if weight[0].numel() > FEW_TAPS:
            if self.training and height * width <= FEW_PIXELS:
                # Laid out once for both ways; oneDNN would do it on each.
                weight = weight.to(images.dtype).contiguous(memory_format=torch.channels_last)
                return _OfFewPixels.apply(images, weight, bias.to(images.dtype), self.edge)
            return self.conv(images)
        kernel = weight.permute(2, 3, 1, 0).reshape(-1, len(weight))
        maps = torch.addmm(bias, _gathered(images, self.edge), kernel)
        return maps.view(-1, height, width, len(weight)).permute(0, 3, 1, 2)


class _OfFewPixels(torch.autograd.Function):
    """A convolution whose weights get their gradient by a matrix product of gathered pixels."""

    @staticmethod
    def forward(ctx, images, weight, bias, edge):
        ctx.save_for_backward(images, weight)
        ctx.edge = edge
        return functional.conv2d(images, weight, bias, padding=edge)

    @staticmethod
    def backward(ctx, gradient):
        images, weight = ctx.saved_tensors
        edge = [ctx.edge] * 2
        of_images, _, _ = torch.ops.aten.convolution_backward(
            gradient, images, weight, None, [1, 1], edge, [1, 1], False, [0, 0], 1, [True, False, False]
        )
        rows = gradient.permute(0, 2, 3, 1).flatten(0, 2)
        of_weight = (rows.t() @ _gathered(images, ctx.edge)).view(len(weight), 3, 3, -1).permute(0, 3, 1, 2)
        return of_images, of_weight.contiguous(), rows.sum(dim=0), None


def _gathered(images: torch.Tensor, edge: int) -> torch.Tensor:
    """Return the pixels under a 3 x 3 filter, a row for each place it can have: (places, 9 x channels)."""
    pixels = functional.pad(images, [edge] * 4).permute(0, 2, 3, 1)
    height, width = pixels.shape[1] - 2, pixels.shape[2] - 2
    shifted = [pixels[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return torch.cat(shifted, dim=-1).flatten(0, 2)
