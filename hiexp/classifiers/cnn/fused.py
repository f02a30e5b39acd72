"""The layers behind a convolution on a CPU, ReLU, batch norm, 2 x 2 max-pool and dropout, fused into two passes.

Done one by one, these four read and write the largest map of the network some fifteen times in a training step, and
torch's dropout takes longer than the convolutions. Here the map is read once in the forward and once in the backward
pass. Batch norm takes its statistics from all pixels after ReLU; its affine map commutes with the maximum where its
slope is positive and turns it into a minimum where it is negative, so that only a quarter of the pixels goes on. In
the first block of a network on images of one channel the convolution itself is part of both passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from hiexp.classifiers.cnn.kernels import (
    affine_dropout,
    conv_relu_norm_pool_backward,
    conv_relu_pool,
    dropout_backward,
    relu_norm_pool_backward,
    relu_pool,
)


@dataclass(frozen=True)
class SavedForBackward:
    """What the backward pass of a block needs of the forward pass.

    Attributes
    ----------
    extremes, corners : ndarray, shape (N, height, width, channels)
        Pooled values before batch norm, and which of the four pixels each comes from.
    noise : ndarray of uint8
        Random number of each pooled value: below `threshold` it was dropped.
    gain : float
        Factor of what is not dropped.
    n_pixels : int
        Number of pixels that batch norm takes its statistics from.
    gamma, mean, inverse_std : ndarray, shape (channels,)
        Weight of batch norm, and what it has normalised by.
    """

    extremes: np.ndarray
    corners: np.ndarray
    noise: np.ndarray
    threshold: np.uint8
    gain: np.float32
    n_pixels: int
    gamma: np.ndarray
    mean: np.ndarray
    inverse_std: np.ndarray


class _ReluNormPoolDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps, weight, bias, norm, dropout):
        n, channels, height, width = maps.shape
        maps = maps.permute(0, 2, 3, 1).contiguous()
        ctx.save_for_backward(maps)
        out, ctx.saved = _forward(
            partial(relu_pool, _array(maps)),
            (n, height // 2, width // 2, channels),
            n * height * width,
            norm,
            dropout,
            maps.dtype,
        )
        return out

    @staticmethod
    def backward(ctx, gradient):
        (maps,) = ctx.saved_tensors
        pooled, before_norm, grad_norm = _backward_to_norm(gradient, ctx.saved)
        out = torch.empty_like(maps)
        relu_norm_pool_backward(_array(maps), pooled, ctx.saved.corners, *before_norm, _array(out))
        return out.permute(0, 3, 1, 2), *grad_norm, None, None


class _ConvReluNormPoolDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images, conv_weight, conv_bias, weight, bias, norm, dropout):
        n, _, height, width = images.shape
        taps = conv_weight.detach().reshape(len(conv_weight), 9).t().contiguous().numpy()
        ctx.inputs = images[:, 0].float().contiguous().numpy(), taps, conv_bias.detach().numpy()
        out, ctx.saved = _forward(
            partial(conv_relu_pool, *ctx.inputs),
            (n, height // 2 - 1, width // 2 - 1, len(conv_weight)),
            n * (height - 2) * (width - 2),
            norm,
            dropout,
            images.dtype,
        )
        return out

    @staticmethod
    def backward(ctx, gradient):
        pooled, before_norm, grad_norm = _backward_to_norm(gradient, ctx.saved)
        channels = pooled.shape[-1]
        grad_taps, grad_bias = np.zeros((9, channels)), np.zeros(channels)
        conv_relu_norm_pool_backward(*ctx.inputs, pooled, ctx.saved.corners, *before_norm, grad_taps, grad_bias)
        grad_weight = torch.from_numpy(grad_taps).float().t().reshape(channels, 1, 3, 3)
        return None, grad_weight, torch.from_numpy(grad_bias).float(), *grad_norm, None, None


def relu_norm_pool_dropout(maps: torch.Tensor, norm: nn.BatchNorm2d, dropout: float) -> torch.Tensor:
    """Return ``dropout(max_pool(norm(relu(maps))))`` as in training.

    Parameters
    ----------
    maps : Tensor, shape (N, channels, height, width)
        float32 or bfloat16, on the CPU.
    norm : BatchNorm2d
        Batch norm, whose running statistics are updated.
    dropout : float
        Dropout probability, rounded to a multiple of 1/256.
    """
    return _ReluNormPoolDropout.apply(maps, norm.weight, norm.bias, norm, dropout)


def conv_relu_norm_pool_dropout(
    images: torch.Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, dropout: float
) -> torch.Tensor:
    """Return ``dropout(max_pool(norm(relu(conv(images)))))``, convolved in float32.

    The maps of a first convolution are the largest of a network and made of nine products a pixel: to make them
    again in the backward pass takes less time than to write and read them.

    Parameters
    ----------
    images : Tensor, shape (N, 1, height, width)
        float32 or bfloat16, on the CPU, of even height and width; no gradient goes back to them.
    conv : Conv2d
        A convolution with 3 x 3 pixels; its padding is not added.
    norm : BatchNorm2d
        Batch norm, whose running statistics are updated in training and used otherwise.
    dropout : float
        Dropout probability, rounded to a multiple of 1/256; 0 where nothing is trained.
    """
    return _ConvReluNormPoolDropout.apply(images, conv.weight, conv.bias, norm.weight, norm.bias, norm, dropout)


def dropout(values: torch.Tensor, probability: float) -> torch.Tensor:
    """Return ``dropout(values)`` as in training, in less time than torch's own takes on a CPU.

    Parameters
    ----------
    values : Tensor
        Any values on the CPU.
    probability : float
        Dropout probability, rounded to a multiple of 1/256.
    """
    threshold = round(256 * probability)
    kept = torch.from_numpy(_noise(values.numel()) >= threshold).view(values.shape)
    return values * kept * (256 / (256 - threshold))


def _forward(
    pool: Callable,
    pooled_shape: tuple[int, ...],
    n_pixels: int,
    norm: Any,  # a BatchNorm2d, with statistics
    dropout: float,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, SavedForBackward]:
    """Return what a block hands on.

    Parameters
    ----------
    pool : callable
        Fills in, given where each channel has the highest value (1) or the lowest (-1), extremes, their corners, and
        the sums of all values and of their squares.
    pooled_shape : tuple of int
        (N, height, width, channels) after max-pool.
    n_pixels : int
        Number of pixels before max-pool.
    norm, dropout
        Batch norm and dropout probability.
    dtype : torch.dtype
        Type of the result.
    """
    channels = pooled_shape[-1]
    extremes, corners = np.empty(pooled_shape, np.float32), np.empty(pooled_shape, np.uint8)
    total, squares = np.zeros(channels), np.zeros(channels)
    gamma, beta = norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy()
    pool(np.where(gamma < 0, -1, 1).astype(np.float32), extremes, corners, total, squares)

    if norm.training:
        mean = total / n_pixels
        variance = np.maximum(squares / n_pixels - mean**2, 0)
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(torch.from_numpy(mean).float(), norm.momentum)
        norm.running_var.lerp_(torch.from_numpy(variance * n_pixels / max(n_pixels - 1, 1)).float(), norm.momentum)
    else:
        mean, variance = (known.double().numpy() for known in (norm.running_mean, norm.running_var))
    inverse_std = 1 / np.sqrt(variance + norm.eps)
    threshold = np.uint8(round(256 * dropout))
    gain = 256 / (256 - int(threshold))
    noise = (_noise(extremes.size) if threshold else np.zeros(extremes.size, np.uint8)).reshape(-1, channels)
    out = torch.empty(pooled_shape, dtype=dtype)
    scale, shift = gamma * inverse_std * gain, (beta - mean * gamma * inverse_std) * gain
    affine_dropout(
        extremes.reshape(-1, channels),
        scale.astype(np.float32),
        shift.astype(np.float32),
        noise,
        threshold,
        _array(out).reshape(-1, channels),
    )
    saved = SavedForBackward(
        extremes, corners, noise, threshold, np.float32(gain), n_pixels, gamma, mean, inverse_std
    )
    return out.permute(0, 3, 1, 2), saved


def _backward_to_norm(
    gradient: torch.Tensor, saved: SavedForBackward
) -> tuple[np.ndarray, list[np.ndarray], list[torch.Tensor]]:
    """Return a gradient before dropout, `g`, and those of the weight and bias of batch norm.

    In between (scale, base, slope), which make it the one before batch norm: scale g + base - slope x.
    """
    channels = saved.extremes.shape[-1]
    pooled = np.empty_like(saved.extremes)
    grad_bias, product = np.zeros(channels), np.zeros(channels)
    dropout_backward(
        _array(gradient.permute(0, 2, 3, 1).contiguous()).reshape(-1, channels),
        saved.extremes.reshape(-1, channels),
        saved.noise,
        saved.threshold,
        saved.gain,
        pooled.reshape(-1, channels),
        grad_bias,
        product,
    )
    grad_weight = (product - saved.mean * grad_bias) * saved.inverse_std
    scale = saved.gamma * saved.inverse_std
    slope = scale * saved.inverse_std * grad_weight / saved.n_pixels
    base = slope * saved.mean - scale * grad_bias / saved.n_pixels
    before_norm = [part.astype(np.float32) for part in (scale, base, slope)]
    return pooled, before_norm, [torch.from_numpy(part).float() for part in (grad_weight, grad_bias)]


def _noise(n: int) -> np.ndarray:
    """Return `n` random bytes from torch's global random state."""
    return torch.empty(-(-n // 8), dtype=torch.int64).random_(-(2**63), None).numpy().view(np.uint8)[:n]


def _array(tensor: torch.Tensor) -> np.ndarray:
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
