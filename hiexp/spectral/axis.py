"""The spectral axis: its unit, its velocities, and whether they can be those of an HI spectrum."""

from __future__ import annotations

import numpy as np
from astropy import units as u

from hiexp.errors import InputError

UNITS = ("km/s", "m/s", "MHz", "GHz", "kHz", "Hz")
REST_FREQUENCY = 1420.40575177 * u.MHz
KM_S = u.km / u.s
DOPPLER = {"optical": u.doppler_optical, "radio": u.doppler_radio, "relativistic": u.doppler_relativistic}
LIGHT_SPEED = 299_792.458  # km/s
LOWEST_VELOCITY = -1e5  # km/s: twice the frequencies of an L-band receiver, or channel numbers times their width
# An HI line is 10 to 1000 km/s wide: a channel is not much narrower than thermal motion, and not wider than a
# dwarf's line; a band holds a line and something beside it.
NARROWEST_CHANNEL, WIDEST_CHANNEL = 0.1, 100.0  # km/s
NARROWEST_BAND = 50.0  # km/s
# Where numbers in fine steps could be velocities of a nearby galaxy as well as an L-band receiver's MHz.
L_BAND = (800.0, 1430.0)


def to_velocity(axis: u.Quantity) -> np.ndarray:
    """Convert a spectral axis to velocities in km/s.

    Parameters
    ----------
    axis : Quantity, any shape
        Velocities, which are taken as they are, or frequencies or wavelengths of the 21 cm line, which become
        velocities in the optical convention: cz = c (f0 / f - 1) with f0 = 1420.40575177 MHz. The frame stays that of
        the axis.

    Returns
    -------
    ndarray
        km/s.

    Raises
    ------
    astropy.units.UnitConversionError
        If the unit is that of another quantity.
    """
    with np.errstate(all="ignore"):  # at and near a frequency of 0
        return axis.to_value(KM_S, u.doppler_optical(REST_FREQUENCY))


def plausible(low: np.ndarray | float, high: np.ndarray | float, step: np.ndarray | float) -> np.ndarray:
    """Tell which axes can be those of HI spectra in km/s, by their ends and their channel width, any shape."""
    channel = (step >= NARROWEST_CHANNEL * (1 - 1e-6)) & (step <= WIDEST_CHANNEL * (1 + 1e-6))
    within_range = (low >= LOWEST_VELOCITY) & (high <= LIGHT_SPEED)
    return np.asarray(channel & within_range & (high - low >= NARROWEST_BAND))


def check_velocities(velocity: np.ndarray, remedy: str = "convert to km/s") -> None:
    """Refuse an axis that cannot be an HI spectrum's velocities in km/s.

    Parameters
    ----------
    velocity : ndarray, shape (L,)
        At least two numbers in any order.
    remedy : str
        What to do about another unit, which stands for ``{unit}``.

    Raises
    ------
    InputError
        If the channels are narrower than 0.1 km/s or wider than 100 km/s, the band is narrower than 50 km/s, or it
        goes beyond -100,000 km/s or the speed of light. The message says which unit the numbers look like and leaves
        the name to the caller.
    """
    if is_plausible(velocity):
        return
    low, high, step = _extent(velocity)
    likely = " or ".join(units_that_fit(velocity))
    looks = f"it looks like {likely}; {remedy.format(unit=likely)}" if likely else "give velocities in km/s"
    axis = f"its axis, {low:.7g} to {high:.7g} in steps of {step:.3g}"
    raise InputError(f"{axis}, cannot be an HI spectrum's in km/s: {looks}")


def is_plausible(velocity: np.ndarray) -> bool:
    """Tell whether numbers, shape (L,), can be an HI spectrum's velocities in km/s, as `check_velocities` does."""
    return bool(plausible(*_extent(velocity)))


def could_be_frequencies(velocity: np.ndarray) -> bool:
    """Tell whether velocities in km/s could as well be an L-band receiver's frequencies in MHz."""
    return bool(velocity.min() > L_BAND[0] and velocity.max() < L_BAND[1] and "MHz" in units_that_fit(velocity))


def units_that_fit(axis: np.ndarray) -> list[str]:
    """Return those of the `UNITS` in which numbers, shape (L,), are a plausible axis of an HI spectrum."""
    return [unit for unit in UNITS if plausible(*_extent(to_velocity(u.Quantity(axis, unit))))]


def _extent(axis: np.ndarray) -> tuple[float, float, float]:
    """Return the lowest and the highest value, and the step from channel to channel."""
    ascending = np.sort(axis)
    return ascending[0], ascending[-1], float(np.median(np.diff(ascending)))
