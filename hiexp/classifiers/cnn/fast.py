"""The faster ways through a block of a network than its layers one by one, and when each is taken.

On a CPU the layers behind a convolution are fused into two passes (`fused`), the convolution of images of one channel
with them; small convolutions are matrix products (`convolution`). On a GPU the layers are fast enough, and a step of
the training is one launch (`cuda_graph`).
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional

from hiexp.classifiers.cnn.convolution import convolve


class Layers(Protocol):
    """The layers of a block, as `hiexp.classifiers.cnn.block.Block` has them."""

    conv: nn.Conv1d | nn.Conv2d
    norm: nn.BatchNorm1d | nn.BatchNorm2d
    pool: nn.MaxPool1d | nn.MaxPool2d
    dropout: nn.Dropout
    training: bool


def forward(block: Layers, images: torch.Tensor) -> torch.Tensor | None:
    """Return what the layers make of the images but for rounding, or None where they are the fastest way.

    Dropout on a CPU rounds its probability to a multiple of 1/256 and draws other numbers than torch's own.
    """
    if images.dtype == torch.float64:
        return None
    if images.device.type == "cpu":
        if block.training or _can_fuse_convolution(block, images):
            return _fused(block, images)
        return _pooled_first(block, convolve(block.conv, images))
    return None if block.training else _pooled_first(block, block.conv(images))


def _fused(block: Layers, images: torch.Tensor) -> torch.Tensor:
    from hiexp.classifiers.cnn import fused  # numba is not imported before a network is at work

    conv: Any = block.conv
    norm: Any = block.norm
    dropout = block.dropout.p if block.training else 0.0
    if _can_fuse_convolution(block, images):
        padded = functional.pad(images, [int(conv.padding == "same")] * 4)
        return fused.conv_relu_norm_pool_dropout(padded, conv, norm, dropout)
    if images.ndim == 4:
        return fused.relu_norm_pool_dropout(convolve(conv, images), norm, dropout)
    return fused.dropout(block.pool(norm(functional.relu(conv(images)))), dropout)


def _can_fuse_convolution(block: Layers, images: torch.Tensor) -> bool:
    """Return whether the convolution is of one channel, and no gradient goes where the fused passes have none."""
    if images.ndim != 4 or images.shape[1] != 1 or any(side % 2 for side in images.shape[2:]):
        return False
    return not images.requires_grad and (block.training or not torch.is_grad_enabled())


def _pooled_first(block: Layers, maps: torch.Tensor) -> torch.Tensor:
    """Return what the layers behind a convolution make of its maps when nothing is trained."""
    if (block.norm.weight > 0).all():  # what never falls may follow the maximum, bit for bit
        return block.norm(functional.relu(block.pool(maps)))
    return block.pool(block.norm(functional.relu(maps)))
