"""What follows a convolution in a block, on a CPU: ReLU, batch norm, 2 x 2 max-pool and dropout in two passes.

Done one by one, these four read and write the largest map of the network some fifteen times in a training step, and
torch's dropout takes longer than the convolutions. Here the map is read once on the way forward and once on the way
back. Batch norm takes its statistics from all pixels after ReLU; its affine map commutes with the maximum where its
slope is positive and turns it into a minimum where it is negative, so that only a quarter of the pixels goes on. In
the first block of a network on images of one channel the convolution itself is part of both passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from hiexp.classifiers.kernels import (
    begin_backward,
    finish,
    first_gradients,
    pool_extremes,
    pool_first_extremes,
    spread,
)


@dataclass(frozen=True)
class SavedForBackward:
    """What the gradient of a block needs of its way forward; arrays of shape (channels,) but for the first three."""

    extremes: np.ndarray
    corners: np.ndarray
    noise: np.ndarray
    threshold: np.uint8
    gain: np.float32
    count: int
    gamma: np.ndarray
    mean: np.ndarray
    steepness: np.ndarray


def _normalised(
    take: Callable,
    pooled_shape: tuple[int, ...],
    count: int,
    norm: nn.BatchNorm2d,
    dropout: float,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, SavedForBackward]:
    """Return what a block hands on, given a function that fills in extremes, corners and sums over `count` pixels."""
    channels = pooled_shape[-1]
    extremes, corners = np.empty(pooled_shape, np.float32), np.empty(pooled_shape, np.uint8)
    total, squares = np.zeros(channels), np.zeros(channels)
    gamma, beta = norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy()
    take(np.where(gamma < 0, -1, 1).astype(np.float32), extremes, corners, total, squares)

    if norm.training:
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0)
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(torch.from_numpy(mean).float(), norm.momentum)
        norm.running_var.lerp_(torch.from_numpy(variance * count / max(count - 1, 1)).float(), norm.momentum)
    else:
        mean, variance = (known.double().numpy() for known in (norm.running_mean, norm.running_var))
    steepness = 1 / np.sqrt(variance + norm.eps)
    threshold = np.uint8(round(256 * dropout))
    gain = 256 / (256 - int(threshold))
    noise = (_noise(extremes.size) if threshold else np.zeros(extremes.size, np.uint8)).reshape(-1, channels)
    out = torch.empty(pooled_shape, dtype=dtype)
    scale, shift = gamma * steepness * gain, (beta - mean * gamma * steepness) * gain
    finish(
        extremes.reshape(-1, channels),
        scale.astype(np.float32),
        shift.astype(np.float32),
        noise,
        threshold,
        _array(out).reshape(-1, channels),
    )
    back = SavedForBackward(extremes, corners, noise, threshold, np.float32(gain), count, gamma, mean, steepness)
    return out.permute(0, 3, 1, 2), back


def _before_norm(
    gradient: torch.Tensor, back: SavedForBackward
) -> tuple[np.ndarray, list[np.ndarray], list[torch.Tensor]]:
    """Return a gradient before dropout, `g`, and those of norm's weight and bias.

    In between (scale, base, slope), which make it the one before batch norm: scale g + base - slope x.
    """
    channels = back.extremes.shape[-1]
    pooled = np.empty_like(back.extremes)
    of_bias, product = np.zeros(channels), np.zeros(channels)
    begin_backward(
        _array(gradient.permute(0, 2, 3, 1).contiguous()).reshape(-1, channels),
        back.extremes.reshape(-1, channels),
        back.noise,
        back.threshold,
        back.gain,
        pooled.reshape(-1, channels),
        of_bias,
        product,
    )
    of_weight = (product - back.mean * of_bias) * back.steepness
    scale = back.gamma * back.steepness
    slope = scale * back.steepness * of_weight / back.count
    base = slope * back.mean - scale * of_bias / back.count
    single = [part.astype(np.float32) for part in (scale, base, slope)]
    return pooled, single, [torch.from_numpy(part).float() for part in (of_weight, of_bias)]


class _RectifiedNormalisedPooled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps, weight, bias, norm, dropout):
        n, channels, height, width = maps.shape
        maps = maps.permute(0, 2, 3, 1).contiguous()
        ctx.save_for_backward(maps)
        out, ctx.back = _normalised(
            partial(pool_extremes, _array(maps)),
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
        pooled, single, of_norm = _before_norm(gradient, ctx.back)
        out = torch.empty_like(maps)
        spread(_array(maps), pooled, ctx.back.corners, *single, _array(out))
        return out.permute(0, 3, 1, 2), *of_norm, None, None


class _FirstBlock(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images, kernel, kernel_bias, weight, bias, norm, dropout):
        n, _, height, width = images.shape
        taps = kernel.detach().reshape(len(kernel), 9).t().contiguous().numpy()
        ctx.given = images[:, 0].float().contiguous().numpy(), taps, kernel_bias.detach().numpy()
        out, ctx.back = _normalised(
            partial(pool_first_extremes, *ctx.given),
            (n, height // 2 - 1, width // 2 - 1, len(kernel)),
            n * (height - 2) * (width - 2),
            norm,
            dropout,
            images.dtype,
        )
        return out

    @staticmethod
    def backward(ctx, gradient):
        pooled, single, of_norm = _before_norm(gradient, ctx.back)
        channels = pooled.shape[-1]
        grad_weight, of_bias = np.zeros((9, channels)), np.zeros(channels)
        first_gradients(*ctx.given, pooled, ctx.back.corners, *single, grad_weight, of_bias)
        of_kernel = torch.from_numpy(grad_weight).float().t().reshape(channels, 1, 3, 3)
        return None, of_kernel, torch.from_numpy(of_bias).float(), *of_norm, None, None


def rectified_normalised_pooled(maps: torch.Tensor, norm: nn.BatchNorm2d, dropout: float) -> torch.Tensor:
    """Return ``dropout(max_pool(norm(relu(maps))))`` as in training.

    Parameters
    ----------
    maps : Tensor, shape (N, channels, height, width)
        float32 or bfloat16, on the CPU.
    norm : BatchNorm2d
        Its running statistics are updated.
    dropout : float
        Probability, rounded to a multiple of 1/256.
    """
    return _RectifiedNormalisedPooled.apply(maps, norm.weight, norm.bias, norm, dropout)


def first_block(images: torch.Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, dropout: float) -> torch.Tensor:
    """Return ``dropout(max_pool(norm(relu(conv(images)))))``, convolved in float32.

    The maps of a first convolution are the largest of a network and made of nine products a pixel: to make them
    again on the way back takes less time than to write and read them.

    Parameters
    ----------
    images : Tensor, shape (N, 1, height, width)
        float32 or bfloat16, on the CPU, of even height and width; no gradient goes back to them.
    conv : Conv2d
        Of 3 x 3 pixels; its padding is not added.
    norm : BatchNorm2d
        In training its running statistics are updated, otherwise they are taken.
    dropout : float
        As in `rectified_normalised_pooled`; 0 where nothing is trained.
    """
    return _FirstBlock.apply(images, conv.weight, conv.bias, norm.weight, norm.bias, norm, dropout)


def dropped(values: torch.Tensor, dropout: float) -> torch.Tensor:
    """Return ``dropout(values)`` as in training; torch's own takes 20 ns a value on a CPU.

    Parameters
    ----------
    values : Tensor
        On the CPU.
    dropout : float
        Probability, rounded to a multiple of 1/256.
    """
    threshold = round(256 * dropout)
    kept = torch.from_numpy(_noise(values.numel()) >= threshold).view(values.shape)
    return values * kept * (256 / (256 - threshold))


def _noise(n: int) -> np.ndarray:
    """Return `n` random bytes from torch's global random state."""
    return torch.empty(-(-n // 8), dtype=torch.int64).random_(-(2**63), None).numpy().view(np.uint8)[:n]


def _array(tensor: torch.Tensor) -> np.ndarray:
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
