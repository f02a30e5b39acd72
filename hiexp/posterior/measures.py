"""The measures of asymmetry that have a posterior, and on which scale they are near 0 for a symmetric line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hiexp.errors import InputError


@dataclass(frozen=True)
class Measure:
    """One of the measures of `ProfileAsymmetry`.

    Attributes
    ----------
    least : float
        Its value for a symmetric line; there is none below.
    scale : callable
        From values to numbers from 0 up, 0 for a symmetric line.
    """

    least: float
    scale: Callable[[np.ndarray], np.ndarray]


RATIO = Measure(1.0, lambda values: np.log(np.maximum(values, 1.0)))
DISTANCE = Measure(0.0, lambda values: np.maximum(values, 0.0))

MeasureName = Literal["A_flux", "peak_ratio", "A_F", "A_C", "residual", "centroid_offset"]

MEASURES: Mapping[str, Measure] = {
    "A_flux": RATIO,
    "peak_ratio": RATIO,
    "A_F": RATIO,
    "A_C": RATIO,
    "residual": DISTANCE,
    "centroid_offset": DISTANCE,  # whichever side it is on
}


def check_limits(name: str, limits: Sequence[float]) -> None:
    """Raise an `InputError` where a limit is not above what a symmetric line has, or is no number."""
    least = measure_named(name).least
    for limit in limits:
        if not least < limit < np.inf:
            raise InputError(f"limits: {limit:g} for {name}, which symmetric lines have {least:g} of; give more")


def measure_named(name: str) -> Measure:
    """Return a measure by its name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in MEASURES:
        raise InputError(f"measure {name}: no such measure of asymmetry; there are {', '.join(MEASURES)}")
    return MEASURES[name]
