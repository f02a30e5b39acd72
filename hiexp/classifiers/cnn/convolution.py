"""Convolutions with 3 x 3 pixels as matrix products, where that is faster on a CPU than torch's own."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

FEW_TAPS = 32  # up to so many weights a filter, a matrix product of gathered pixels is faster than a convolution,
FEW_PIXELS = 16  # and in maps of up to so many pixels it is so for the gradient of the weights


def convolve(conv: nn.Conv1d | nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
    """Return ``conv(images)`` of images or profiles on the CPU."""
    if images.ndim == 3:
        return conv(images)
    assert conv.bias is not None, "the networks' convolutions have one"
    weight, bias, edge = conv.weight, conv.bias, int(conv.padding == "same")
    height, width = (side - 2 + 2 * edge for side in images.shape[2:])
    if weight[0].numel() <= FEW_TAPS:
        matrix = weight.permute(2, 3, 1, 0).reshape(-1, len(weight))
        maps = torch.addmm(bias, _gather(images, edge), matrix)
        return maps.view(-1, height, width, len(weight)).permute(0, 3, 1, 2)
    if conv.training and height * width <= FEW_PIXELS:
        # Laid out once for both passes; oneDNN would do it in each.
        weight = weight.to(images.dtype).contiguous(memory_format=torch.channels_last)
        return _FewPixels.apply(images, weight, bias.to(images.dtype), edge)
    return conv(images)


class _FewPixels(torch.autograd.Function):
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
        grad_images, _, _ = torch.ops.aten.convolution_backward(
            gradient, images, weight, None, [1, 1], edge, [1, 1], False, [0, 0], 1, [True, False, False]
        )
        rows = gradient.permute(0, 2, 3, 1).flatten(0, 2)
        grad_weight = (rows.t() @ _gather(images, ctx.edge)).view(len(weight), 3, 3, -1).permute(0, 3, 1, 2)
        return grad_images, grad_weight.contiguous(), rows.sum(dim=0), None


def _gather(images: torch.Tensor, edge: int) -> torch.Tensor:
    """Return the pixels under a 3 x 3 filter, a row for each place it can have: (places, 9 x channels)."""
    pixels = functional.pad(images, [edge] * 4).permute(0, 2, 3, 1)
    height, width = pixels.shape[1] - 2, pixels.shape[2] - 2
    shifted = [pixels[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return torch.cat(shifted, dim=-1).flatten(0, 2)
