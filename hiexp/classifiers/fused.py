"""What follows a convolution in a block, on a CPU: ReLU, batch norm, 2 x 2 max-pool and dropout in two passes.

Done one by one, these four read and write the largest map of the network some fifteen times in a training step, and
torch's dropout takes longer than the convolutions. Here the map is read once on the way forward and once on the way
back. Batch norm takes its statistics from all pixels after ReLU; its affine map commutes with the maximum where its
slope is positive and turns it into a minimum where it is negative, so that only a quarter of the pixels goes on.
"""

from __future__ import annotations

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

ZERO = np.float32(0)


@intrinsic
def _float_of(context, bits):
    """Read 32 bits as a float."""
    return types.float32(types.uint32), lambda _, builder, __, args: builder.bitcast(args[0], ir.FloatType())


@intrinsic
def _bits_of(context, value):
    """Return the 32 bits of a float."""
    return types.uint32(types.float32), lambda _, builder, __, args: builder.bitcast(args[0], ir.IntType(32))


def _widened(value):
    """Return a float32 of what a map holds: float32, or bfloat16, which numpy knows as uint16 alone."""


def _narrowed(value, like):
    """Return a float32 as a map like `like` holds it, rounded to the nearest even."""


@overload(_widened, inline="always")
def _(value):
    if isinstance(value, types.Integer):
        return lambda value: _float_of(np.uint32(value) << np.uint32(16))
    return lambda value: value


@overload(_narrowed, inline="always")
def _(value, like):
    if not isinstance(like.dtype, types.Integer):
        return lambda value, like: value

    def rounded(value, like):
        bits = _bits_of(value)
        return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))

    return rounded


@njit(fastmath=True, error_model="numpy", cache=True)
def _extremes(maps, upward, extremes, corners, total, squares):
    """Take the highest (where `upward` is -1, the lowest) of every 2 x 2 pixels after ReLU, and the sums of all."""
    n, height, width, channels = maps.shape
    row_total, row_squares = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
    for image in range(n):
        for y in range(height // 2):
            row_total[:] = ZERO
            row_squares[:] = ZERO
            for x in range(width // 2):
                for k in range(channels):
                    a = max(_widened(maps[image, 2 * y, 2 * x, k]), ZERO)
                    b = max(_widened(maps[image, 2 * y, 2 * x + 1, k]), ZERO)
                    c = max(_widened(maps[image, 2 * y + 1, 2 * x, k]), ZERO)
                    d = max(_widened(maps[image, 2 * y + 1, 2 * x + 1, k]), ZERO)
                    row_total[k] += (a + b) + (c + d)
                    row_squares[k] += (a * a + b * b) + (c * c + d * d)
                    up = upward[k]
                    top, bottom = max(up * a, up * b), max(up * c, up * d)
                    extremes[image, y, x, k] = up * max(top, bottom)
                    corners[image, y, x, k] = (
                        np.uint8(2) + np.uint8(up * d > up * c) if bottom > top else np.uint8(up * b > up * a)
                    )
            for k in range(channels):
                total[k] += row_total[k]
                squares[k] += row_squares[k]
        for y in range(height):  # a last row or column that pooling leaves out
            for x in range(width // 2 * 2 if y < height // 2 * 2 else 0, width):
                for k in range(channels):
                    a = max(_widened(maps[image, y, x, k]), ZERO)
                    total[k] += a
                    squares[k] += a * a


@njit(fastmath=True, error_model="numpy", cache=True)
def _finish(extremes, scale, shift, noise, threshold, out):
    """Apply batch norm's affine map and dropout: what has a `noise` below `threshold` is dropped."""
    pixels, channels = extremes.shape
    for pixel in range(pixels):
        for k in range(channels):
            kept = noise[pixel, k] >= threshold
            out[pixel, k] = _narrowed(extremes[pixel, k] * scale[k] + shift[k] if kept else ZERO, out)


@njit(fastmath=True, error_model="numpy", cache=True)
def _begin_backward(gradient, extremes, noise, threshold, gain, pooled, total, product):
    """Undo dropout in a gradient, and sum it and its product with the extremes over all pixels."""
    pixels, channels = extremes.shape
    for pixel in range(pixels):
        for k in range(channels):
            g = _widened(gradient[pixel, k]) * gain if noise[pixel, k] >= threshold else ZERO
            pooled[pixel, k] = g
            total[k] += g
            product[k] += g * extremes[pixel, k]


@njit(fastmath=True, error_model="numpy", cache=True)
def _spread(maps, pooled, corners, scale, base, slope, out):
    """Take a gradient back through max-pool, batch norm and ReLU to the map that came out of the convolution."""
    n, height, width, channels = maps.shape
    for image in range(n):
        for y in range(height // 2):
            for x in range(width // 2):
                for corner in range(4):
                    v, u = 2 * y + corner // 2, 2 * x + corner % 2
                    for k in range(channels):
                        value = _widened(maps[image, v, u, k])
                        g = scale[k] * pooled[image, y, x, k] if corners[image, y, x, k] == np.uint8(corner) else ZERO
                        g += base[k] - slope[k] * value
                        out[image, v, u, k] = _narrowed(g if value > ZERO else ZERO, out)
        for y in range(height):
            for x in range(width // 2 * 2 if y < height // 2 * 2 else 0, width):
                for k in range(channels):
                    value = _widened(maps[image, y, x, k])
                    out[image, y, x, k] = _narrowed(base[k] - slope[k] * value if value > ZERO else ZERO, out)


class _RectifiedNormalisedPooled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps, weight, bias, running_mean, running_var, momentum, eps, dropout):
        n, channels, height, width = maps.shape
        maps = maps.permute(0, 2, 3, 1).contiguous()
        pooled_shape = (n, height // 2, width // 2, channels)
        extremes, corners = np.empty(pooled_shape, np.float32), np.empty(pooled_shape, np.uint8)
        total, squares = np.zeros(channels), np.zeros(channels)
        gamma, beta = weight.detach().double().numpy(), bias.detach().double().numpy()
        _extremes(_array(maps), np.where(gamma < 0, -1, 1).astype(np.float32), extremes, corners, total, squares)

        count = n * height * width
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0)
        running_mean.lerp_(torch.from_numpy(mean).float(), momentum)
        running_var.lerp_(torch.from_numpy(variance * count / max(count - 1, 1)).float(), momentum)

        steepness = 1 / np.sqrt(variance + eps)
        threshold = np.uint8(round(256 * dropout))
        gain = 256 / (256 - int(threshold))
        noise = (_noise(extremes.size) if threshold else np.zeros(extremes.size, np.uint8)).reshape(-1, channels)
        out = torch.empty(pooled_shape, dtype=maps.dtype)
        scale, shift = gamma * steepness * gain, (beta - mean * gamma * steepness) * gain
        _finish(
            extremes.reshape(-1, channels),
            scale.astype(np.float32),
            shift.astype(np.float32),
            noise,
            threshold,
            _array(out).reshape(-1, channels),
        )
        ctx.save_for_backward(maps)
        ctx.kept = extremes, corners, noise, threshold, np.float32(gain), count, gamma, mean, steepness
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx, gradient):
        (maps,) = ctx.saved_tensors
        extremes, corners, noise, threshold, gain, count, gamma, mean, steepness = ctx.kept
        channels = extremes.shape[-1]
        gradient = gradient.permute(0, 2, 3, 1).contiguous()
        pooled = np.empty_like(extremes)
        of_bias, product = np.zeros(channels), np.zeros(channels)
        _begin_backward(
            _array(gradient).reshape(-1, channels),
            extremes.reshape(-1, channels),
            noise,
            threshold,
            gain,
            pooled.reshape(-1, channels),
            of_bias,
            product,
        )
        of_weight = (product - mean * of_bias) * steepness
        scale = gamma * steepness
        slope = scale * steepness * of_weight / count
        base = slope * mean - scale * of_bias / count
        out = torch.empty_like(maps)
        single = [part.astype(np.float32) for part in (scale, base, slope)]
        _spread(_array(maps), pooled, corners, *single, _array(out))
        of_weight, of_bias = (torch.from_numpy(part).float() for part in (of_weight, of_bias))
        return out.permute(0, 3, 1, 2), of_weight, of_bias, None, None, None, None, None


def rectified_normalised_pooled(maps: torch.Tensor, norm: torch.nn.BatchNorm2d, dropout: float) -> torch.Tensor:
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
    norm.num_batches_tracked += 1
    return _RectifiedNormalisedPooled.apply(
        maps, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.momentum, norm.eps, dropout
    )


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
