"""The loops of `hiexp.classifiers.cnn.fused`, compiled: over images, lines, columns and, innermost, channels.

`maps` are (images, height, width, channels), float32 or the bits of bfloat16; `images`, of one channel, (images,
height, width), float32.
"""

from __future__ import annotations

import numpy as np
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


def _to_float32(value):
    """Return a float32 of what a map holds: float32, or bfloat16, which numpy knows as uint16 alone."""


def _to_type_of(value, like):
    """Return a float32 as a map like `like` holds it, rounded to the nearest even."""


@overload(_to_float32, inline="always")
def _(value):
    if isinstance(value, types.Integer):
        return lambda value: _float_of(np.uint32(value) << np.uint32(16))
    return lambda value: value


@overload(_to_type_of, inline="always")
def _(value, like):
    if not isinstance(like.dtype, types.Integer):
        return lambda value, like: value

    def rounded(value, like):
        bits = _bits_of(value)
        return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))

    return rounded


@njit(inline="always")
def _extreme(up, a, b, c, d):
    """Return the highest of four values (where `up` is -1, the lowest) and which it is."""
    top, bottom = max(up * a, up * b), max(up * c, up * d)
    corner = np.uint8(2) + np.uint8(up * d > up * c) if bottom > top else np.uint8(up * b > up * a)
    return up * max(top, bottom), corner


@njit(fastmath=True, error_model="numpy", cache=True)
def relu_pool(maps, upward, extremes, corners, total, squares):
    """Take the highest (where `upward` is -1, the lowest) of every 2 x 2 pixels after ReLU, and the sums of all."""
    n, height, width, channels = maps.shape
    row_total, row_squares = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
    for image in range(n):
        for y in range(height // 2):
            row_total[:] = ZERO
            row_squares[:] = ZERO
            for x in range(width // 2):
                for k in range(channels):
                    a = max(_to_float32(maps[image, 2 * y, 2 * x, k]), ZERO)
                    b = max(_to_float32(maps[image, 2 * y, 2 * x + 1, k]), ZERO)
                    c = max(_to_float32(maps[image, 2 * y + 1, 2 * x, k]), ZERO)
                    d = max(_to_float32(maps[image, 2 * y + 1, 2 * x + 1, k]), ZERO)
                    row_total[k] += (a + b) + (c + d)
                    row_squares[k] += (a * a + b * b) + (c * c + d * d)
                    extremes[image, y, x, k], corners[image, y, x, k] = _extreme(upward[k], a, b, c, d)
            for k in range(channels):
                total[k] += row_total[k]
                squares[k] += row_squares[k]
        for y in range(height):  # a last row or column that pooling leaves out
            for x in range(width // 2 * 2 if y < height // 2 * 2 else 0, width):
                for k in range(channels):
                    a = max(_to_float32(maps[image, y, x, k]), ZERO)
                    total[k] += a
                    squares[k] += a * a


@njit(fastmath=True, error_model="numpy", cache=True)
def affine_dropout(extremes, scale, shift, noise, threshold, out):
    """Apply batch norm's affine map and dropout: what has a `noise` below `threshold` is dropped."""
    pixels, channels = extremes.shape
    for pixel in range(pixels):
        for k in range(channels):
            kept = noise[pixel, k] >= threshold
            out[pixel, k] = _to_type_of(extremes[pixel, k] * scale[k] + shift[k] if kept else ZERO, out)


@njit(fastmath=True, error_model="numpy", cache=True)
def dropout_backward(gradient, extremes, noise, threshold, gain, pooled, total, product):
    """Undo dropout in a gradient, and sum it and its product with the extremes over all pixels."""
    pixels, channels = extremes.shape
    for pixel in range(pixels):
        for k in range(channels):
            g = _to_float32(gradient[pixel, k]) * gain if noise[pixel, k] >= threshold else ZERO
            pooled[pixel, k] = g
            total[k] += g
            product[k] += g * extremes[pixel, k]


@njit(fastmath=True, error_model="numpy", cache=True)
def relu_norm_pool_backward(maps, pooled, corners, scale, base, slope, out):
    """Take a gradient back through max-pool, batch norm and ReLU to the map that came out of the convolution."""
    n, height, width, channels = maps.shape
    for image in range(n):
        for y in range(height // 2):
            for x in range(width // 2):
                for corner in range(4):
                    v, u = 2 * y + corner // 2, 2 * x + corner % 2
                    for k in range(channels):
                        value = _to_float32(maps[image, v, u, k])
                        g = scale[k] * pooled[image, y, x, k] if corners[image, y, x, k] == np.uint8(corner) else ZERO
                        g += base[k] - slope[k] * value
                        out[image, v, u, k] = _to_type_of(g if value > ZERO else ZERO, out)
        for y in range(height):
            for x in range(width // 2 * 2 if y < height // 2 * 2 else 0, width):
                for k in range(channels):
                    value = _to_float32(maps[image, y, x, k])
                    out[image, y, x, k] = _to_type_of(base[k] - slope[k] * value if value > ZERO else ZERO, out)


@njit(inline="always")
def _four(row, x):
    """Return four pixels of a row of an image."""
    return row[x], row[x + 1], row[x + 2], row[x + 3]


@njit(inline="always")
def _four_by_four(image, y, x):
    """Return the pixels that a filter sees at the four places of one max-pool, row by row."""
    return _four(image[y], x), _four(image[y + 1], x), _four(image[y + 2], x), _four(image[y + 3], x)


@njit(inline="always")
def _gradient(pooled, chosen, base, slope, value):
    """Return the gradient of a pixel before ReLU, max-pool and batch norm."""
    g = (pooled if chosen else ZERO) + (base - slope * value)
    return g if value > ZERO else ZERO


@njit(inline="always")
def _convolve(taps, k, bias, a, b, c, d, e, f, g, h, i):
    """Return filter `k` at one place: the nine pixels there times its taps, plus its bias."""
    upper = taps[0, k] * a + taps[1, k] * b + taps[2, k] * c
    middle = taps[3, k] * d + taps[4, k] * e + taps[5, k] * f
    return bias[k] + upper + middle + (taps[6, k] * g + taps[7, k] * h + taps[8, k] * i)


@njit(inline="always")
def _convolve_corners(taps, k, bias, seen):
    """Return filter `k` at the four places that see the rows of pixels `seen`."""
    (a0, a1, a2, a3), (b0, b1, b2, b3), (c0, c1, c2, c3), (d0, d1, d2, d3) = seen
    return (
        _convolve(taps, k, bias, a0, a1, a2, b0, b1, b2, c0, c1, c2),
        _convolve(taps, k, bias, a1, a2, a3, b1, b2, b3, c1, c2, c3),
        _convolve(taps, k, bias, b0, b1, b2, c0, c1, c2, d0, d1, d2),
        _convolve(taps, k, bias, b1, b2, b3, c1, c2, c3, d1, d2, d3),
    )


@njit(fastmath=True, error_model="numpy", cache=True)
def conv_relu_pool(images, taps, bias, upward, extremes, corners, total, squares):
    """Do what `relu_pool` does with the maps that `taps` make of images of one channel; they are not written."""
    n, height, width, channels = extremes.shape
    row_total, row_squares = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
    for image in range(n):
        for y in range(height):
            row_total[:] = ZERO
            row_squares[:] = ZERO
            for x in range(width):
                seen = _four_by_four(images[image], 2 * y, 2 * x)
                for k in range(channels):
                    a, b, c, d = _convolve_corners(taps, k, bias, seen)
                    a, b, c, d = max(a, ZERO), max(b, ZERO), max(c, ZERO), max(d, ZERO)
                    row_total[k] += (a + b) + (c + d)
                    row_squares[k] += (a * a + b * b) + (c * c + d * d)
                    extremes[image, y, x, k], corners[image, y, x, k] = _extreme(upward[k], a, b, c, d)
            for k in range(channels):
                total[k] += row_total[k]
                squares[k] += row_squares[k]


@njit(fastmath=True, error_model="numpy", cache=True)
def conv_relu_norm_pool_backward(images, taps, bias, pooled, corners, scale, base, slope, grad_taps, grad_bias):
    """Take a gradient back to the taps and biases of a convolution of one channel, whose maps are made once more."""
    n, height, width, channels = pooled.shape
    # An array for each column of the taps and each corner: the compiler vectorises no loop that writes to places it
    # cannot tell apart, nor one that writes to many.
    left, middle = np.zeros((3, channels), np.float32), np.zeros((3, channels), np.float32)
    right, row_bias = np.zeros((3, channels), np.float32), np.zeros(channels, np.float32)
    at_a, at_b = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
    at_c, at_d = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
    for image in range(n):
        for y in range(height):
            left[:] = ZERO
            middle[:] = ZERO
            right[:] = ZERO
            row_bias[:] = ZERO
            for x in range(width):
                seen = _four_by_four(images[image], 2 * y, 2 * x)
                for k in range(channels):
                    a, b, c, d = _convolve_corners(taps, k, bias, seen)
                    g, corner = scale[k] * pooled[image, y, x, k], corners[image, y, x, k]
                    at_a[k] = _gradient(g, corner == np.uint8(0), base[k], slope[k], a)
                    at_b[k] = _gradient(g, corner == np.uint8(1), base[k], slope[k], b)
                    at_c[k] = _gradient(g, corner == np.uint8(2), base[k], slope[k], c)
                    at_d[k] = _gradient(g, corner == np.uint8(3), base[k], slope[k], d)
                for k in range(channels):
                    row_bias[k] += (at_a[k] + at_b[k]) + (at_c[k] + at_d[k])
                for v in range(3):
                    p0, p1, p2, p3 = _four(images[image, 2 * y + v], 2 * x)
                    q0, q1, q2, q3 = _four(images[image, 2 * y + v + 1], 2 * x)
                    for k in range(channels):
                        a, b, c, d = at_a[k], at_b[k], at_c[k], at_d[k]
                        left[v, k] += (p0 * a + p1 * b) + (q0 * c + q1 * d)
                        middle[v, k] += (p1 * a + p2 * b) + (q1 * c + q2 * d)
                        right[v, k] += (p2 * a + p3 * b) + (q2 * c + q3 * d)
            for k in range(channels):
                grad_bias[k] += row_bias[k]
                for v in range(3):
                    grad_taps[3 * v, k] += left[v, k]
                    grad_taps[3 * v + 1, k] += middle[v, k]
                    grad_taps[3 * v + 2, k] += right[v, k]
