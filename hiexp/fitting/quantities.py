"""Arrays with units or masks, as plain numbers in the package's units."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u

from hiexp.errors import InputError
from hiexp.spectral.axis import REST_FREQUENCY

MJY, KM_S = u.mJy, u.km / u.s


def plain(values: Any, unit: u.Unit, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers in `unit`, and where there are any.

    Parameters
    ----------
    values : array_like
        Plain numbers (also of pandas), which are in `unit` already; or with a unit: an astropy Quantity, a column of
        an astropy Table, a list of them. NumPy's and astropy's masks are kept. Frequencies and wavelengths become
        velocities in the optical convention, cz = c (f0 / f - 1) with f0 = 1420.40575177 MHz.
    unit : astropy unit
        mJy or km/s.
    name : str
        What they are, for messages.

    Returns
    -------
    numbers : ndarray of float
        NaN where masked.
    given : ndarray of bool
        False where masked.

    Raises
    ------
    InputError
        If they are no real numbers, or in a unit that cannot be converted.
    """
    if isinstance(values, list | tuple) and any(hasattr(value, "unit") or np.ma.isMA(value) for value in values):
        if not all(hasattr(value, "unit") or np.ma.isMA(value) for value in values):
            raise InputError(f"{name}: a list of numbers with and without units; give one array with a unit")
        parts = [plain(value, unit, name) for value in values]
        if len({numbers.shape for numbers, _ in parts}) > 1:
            raise InputError(f"{name}: a list of arrays of unlike shape; give spectra of one length")
        return np.array([numbers for numbers, _ in parts]), np.array([given for _, given in parts])
    mask = getattr(values, "mask", None)
    # pandas has a method of that name.
    mask = False if mask is None or mask is np.ma.nomask or callable(mask) else np.asarray(mask, dtype=bool)
    values = getattr(values, "unmasked", values)  # astropy's Masked
    own = getattr(values, "unit", getattr(values, "units", None))
    if own is not None and not isinstance(own, u.UnitBase):
        raise InputError(f"{name}: has units that astropy does not know ({own}); give an astropy Quantity, or {unit}")
    try:
        bare = values if own is None else values.value
        numbers = np.asarray(bare.data if np.ma.isMA(bare) else bare)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: is no array of numbers ({error})") from error
    if numbers.dtype.kind not in "fiub":
        raise InputError(f"{name}: is of type {numbers.dtype}; real numbers are needed")
    numbers = numbers.astype(float)
    if own is not None:
        numbers = _converted(numbers, own, unit, name)
    given = ~np.broadcast_to(mask, numbers.shape)
    return np.where(given, numbers, np.nan), given


def _converted(numbers: np.ndarray, own: u.UnitBase, unit: u.UnitBase, name: str) -> np.ndarray:
    optical = u.doppler_optical(REST_FREQUENCY) if unit == KM_S else []
    try:
        with np.errstate(all="ignore"):  # at and near a frequency of 0
            return u.Quantity(numbers, own).to_value(unit, optical)
    except u.UnitConversionError as error:
        raise InputError(f"{name}: is in '{own}', which cannot be converted to {unit}") from error
