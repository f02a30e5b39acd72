"""Line profiles of the study (Jaimes-Illanes et al. 2025), compiled.

Each is called with the velocities of one spectrum, shape (M,), and P parameters, and writes the curve, shape (M,),
and its derivatives by the parameters, shape (P, M).
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable

from numba import float64, njit, types, void
from numba.core.errors import NumbaExperimentalFeatureWarning

log = logging.getLogger(__name__)

VECTOR, MATRIX = float64[::1], float64[:, ::1]
SIGNATURE = void(VECTOR, VECTOR, VECTOR, MATRIX)
CURVE = types.FunctionType(SIGNATURE)
OPTIONS = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",  # a division by 0 is no exception
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},  # sums in any order, but NaN stays NaN
}

compiled_curve = njit([SIGNATURE], **OPTIONS)
"""Decorate a function ``(velocity, parameters, value, derivatives)`` so that fits can call it."""


def kernel(signature: types.Type) -> Callable[[Callable], Callable]:
    """Decorate a function that takes any compiled curve, so that it is compiled once and kept on the disk."""

    def decorate(function: Callable) -> Callable:
        with warnings.catch_warnings():  # numba calls functions as arguments experimental
            warnings.simplefilter("ignore", NumbaExperimentalFeatureWarning)
            return njit([signature], **OPTIONS)(function)

    return decorate


@compiled_curve
def gaussian(velocity, parameters, value, derivatives):
    """Write `hiexp.fitting.torch_backend.curves.gaussian`."""
    peak, centre, width = parameters[0], parameters[1], parameters[2]
    for i in range(velocity.size):
        t = (velocity[i] - centre) / width
        by_peak = math.exp(-0.5 * t * t)
        by_centre = peak * by_peak * t / width
        value[i] = peak * by_peak
        derivatives[0, i] = by_peak
        derivatives[1, i] = by_centre
        derivatives[2, i] = by_centre * t


@njit(**OPTIONS)
def _add_lorentzian(velocity, parameters, value, derivatives):
    area, centre, width = parameters[0], parameters[1], parameters[2]
    for i in range(velocity.size):
        aside = velocity[i] - centre
        inverse = 1 / (width * width + aside * aside)
        by_area = width / math.pi * inverse
        here = area * by_area
        slope = 2 * here * inverse
        value[i] += here
        derivatives[0, i] = by_area
        derivatives[1, i] = slope * aside
        derivatives[2, i] = here / width - slope * width


@compiled_curve
def lorentzian(velocity, parameters, value, derivatives):
    """Write `hiexp.fitting.torch_backend.curves.lorentzian`."""
    value[:] = 0.0
    _add_lorentzian(velocity, parameters, value, derivatives)


@compiled_curve
def double_lorentzian(velocity, parameters, value, derivatives):
    """Write `hiexp.fitting.torch_backend.curves.double_lorentzian`."""
    value[:] = 0.0
    _add_lorentzian(velocity, parameters[:3], value, derivatives[:3])
    _add_lorentzian(velocity, parameters[3:], value, derivatives[3:])


@compiled_curve
def polynomial(velocity, parameters, value, derivatives):
    """Write `hiexp.fitting.polynomial.polynomial`, by Bonnet's recursion."""
    low, high, coefficients, terms = parameters[0], parameters[1], parameters[2:], derivatives[2:]
    derivatives[:2] = 0.0  # the two velocities are fixed
    for i in range(velocity.size):
        terms[0, i] = 1.0
        terms[1, i] = (2 * velocity[i] - low - high) / (high - low)
        value[i] = coefficients[0] + coefficients[1] * terms[1, i]
    for n in range(1, coefficients.size - 1):
        for i in range(velocity.size):
            term = ((2 * n + 1) * terms[1, i] * terms[n, i] - n * terms[n - 1, i]) / (n + 1)
            terms[n + 1, i] = term
            value[i] += coefficients[n + 1] * term


if not gaussian.stats.cache_hits:
    log.info("Compiling the fits for this processor, once")
