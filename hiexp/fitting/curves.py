"""Line profiles of the study (Jaimes-Illanes et al. 2025), as functions of velocity and parameters.

Velocities in km/s, shape (B, M); parameters of shape (P, B, 1); values in mJy, shape (B, M).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def gaussian(velocity: Tensor, parameters: Tensor) -> Tensor:
    """Return p exp(-(v - c)^2 / 2 w^2): peak p (mJy), centre c and width w (km/s)."""
    peak, centre, width = parameters
    return peak * torch.exp(-0.5 * ((velocity - centre) / width) ** 2)


def lorentzian(velocity: Tensor, parameters: Tensor) -> Tensor:
    """Return (p / pi) w / ((v - c)^2 + w^2): area p (mJy km/s), centre c and half width w (km/s)."""
    area, centre, width = parameters
    return area / math.pi * width / ((velocity - centre) ** 2 + width**2)


def double_lorentzian(velocity: Tensor, parameters: Tensor) -> Tensor:
    """Return the sum of two Lorentzians: areas, centres and half widths of the first, then of the second."""
    return lorentzian(velocity, parameters[:3]) + lorentzian(velocity, parameters[3:])
