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


def gaussian_with_derivatives(velocity: Tensor, parameters: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the same and its derivatives by the parameters, each of shape (B, M)."""
    peak, centre, width = parameters
    t = (velocity - centre) / width
    by_peak = torch.exp(-0.5 * t * t)
    value = peak * by_peak
    by_centre = value * t / width
    return value, [by_peak, by_centre, by_centre * t]


def lorentzian(velocity: Tensor, parameters: Tensor) -> Tensor:
    """Return (p / pi) w / ((v - c)^2 + w^2): area p (mJy km/s), centre c and half width w (km/s)."""
    area, centre, width = parameters
    return area / math.pi * width / ((velocity - centre) ** 2 + width**2)


def lorentzian_with_derivatives(velocity: Tensor, parameters: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the same and its derivatives by the parameters, each of shape (B, M)."""
    area, centre, width = parameters
    aside = velocity - centre
    inverse = torch.addcmul(width**2, aside, aside).reciprocal_()
    by_area = width / math.pi * inverse
    value = area * by_area
    slope = 2 * value * inverse
    return value, [by_area, slope * aside, value / width - slope * width]


def double_lorentzian(velocity: Tensor, parameters: Tensor) -> Tensor:
    """Return the sum of two Lorentzians: areas, centres and half widths of the first, then of the second."""
    return lorentzian(velocity, parameters[:3]) + lorentzian(velocity, parameters[3:])


def double_lorentzian_with_derivatives(velocity: Tensor, parameters: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the same and its derivatives by the parameters, each of shape (B, M)."""
    first, by_first = lorentzian_with_derivatives(velocity, parameters[:3])
    second, by_second = lorentzian_with_derivatives(velocity, parameters[3:])
    return first + second, by_first + by_second
