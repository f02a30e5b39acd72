"""The physics of a disc: how fast it turns and where its gas is, in units of its HI radius."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hiexp.errors import InputError

SCALE_LENGTH = 0.3
"""Of the gas, in HI radii."""
OUTERMOST = 1.5
"""Radius at which the gas ends, in HI radii: 99 % of an exponential disc lie within."""


def polyex(radius: np.ndarray, turnover: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Evaluate the Polyex rotation curve (Giovanelli & Haynes 2002, ApJ 571, L107; Catinella et al. 2006).

    V(r) is proportional to (1 - exp(-r / t)) (1 + a r / t).

    Parameters
    ----------
    radius : ndarray, shape (R,)
        In HI radii.
    turnover : ndarray, shape (N,)
        Scale t of the inner rise, HI radii.
    slope : ndarray, shape (N,)
        Slope a of the outer part, dimensionless.

    Returns
    -------
    ndarray, shape (N, R)
        Not normalised.
    """
    scaled = radius / turnover[:, None]
    return -np.expm1(-scaled) * (1 + slope[:, None] * scaled)


def arctan(radius: np.ndarray, turnover: np.ndarray, _slope: np.ndarray) -> np.ndarray:
    """Evaluate the arctan rotation curve (Courteau 1997, AJ 114, 2402), which has no outer slope.

    Parameters and result are those of `polyex`. An arctan of half the scale rises like the Polyex of that scale.
    """
    return np.arctan(2 * radius / turnover[:, None])


ROTATION_CURVES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "polyex": polyex,
    "arctan": arctan,
}


def rotation_curve(name: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Return the rotation curve of that name, scaled to 1 at the HI radius.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in ROTATION_CURVES:
        raise InputError(f"dataset.rotation={name}: no such rotation curve; there are {', '.join(ROTATION_CURVES)}")
    curve = ROTATION_CURVES[name]

    def scaled(radius: np.ndarray, turnover: np.ndarray, slope: np.ndarray) -> np.ndarray:
        return curve(radius, turnover, slope) / curve(np.ones(1), turnover, slope)

    return scaled


def surface_density(radius: np.ndarray, depression: np.ndarray) -> np.ndarray:
    """Evaluate the gas surface density, axisymmetric part: exp(-s) (1 - d exp(-4 s^2)), s = r / (0.3 HI radii).

    Parameters
    ----------
    radius : ndarray, shape (R,)
        In HI radii.
    depression : ndarray, shape (N,)
        Depth d of the central hole: 0 none, 1 no gas at the centre.

    Returns
    -------
    ndarray, shape (N, R)
        Not normalised.
    """
    scaled = radius / SCALE_LENGTH
    return np.exp(-scaled) * (1 - depression[:, None] * np.exp(-4 * scaled**2))
