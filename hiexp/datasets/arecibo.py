"""One spectrum in either layout of the public Arecibo archives."""

from __future__ import annotations

import functools
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy import units
from astropy.io import fits

from hiexp.datasets.cleaning import clean
from hiexp.datasets.files import read_content
from hiexp.datasets.fits_tables import table_hdus
from hiexp.datasets.stacking import Channels
from hiexp.errors import InputError

FLUX_COLUMNS = ("FLUX", "FLUXDENS")
LIGHT_SPEED = 299_792.458  # km/s
HEADER_KEYS = {"RA": "RAJ2000", "DEC": "DEJ2000", "V21SYS": "Vhel"}
# Values of a galaxy; -999 or 1e9 stand for a missing one, and a line would be looked for there.
HEADER_RANGES = {"RA": (0.0, 360.0), "DEC": (-90.0, 90.0), "V21SYS": (-900.0, LIGHT_SPEED)}
MISSING_VALUE = -999.0  # where the header has no NANVALUE
MOST_BYTES = 64 * 2**20  # a spectrum of the archives has 0.07 MiB
FILL_FLUX = 1e30  # mJy: what is beyond, 1e38 or so, stands for a missing value in some programmes


class ArchiveSpectrum(NamedTuple):
    """What a file holds.

    ``header`` has a number for each of the `HEADER_KEYS`, NaN where the header is silent or has none;
    ``unread`` the keywords whose value is no number, or none of a galaxy.
    """

    channels: Channels
    header: list[float]
    unread: list[str]


def read_spectrum(file: Path) -> ArchiveSpectrum:
    """Read ``A######.fits``: a table with a row a channel, or a row of arrays.

    The first table with the columns ``VHELIO`` and ``FLUX`` or ``FLUXDENS``, in any case, is read, in the units that
    its header gives or km/s and mJy; ``WEIGHT`` (0: do not use) is optional. ``NANVALUE`` in the header marks missing
    values, -999 if it is not there. Channels without a velocity are left out, and `clean` puts masked ones in their
    place.

    Returns
    -------
    ArchiveSpectrum
        Cleaned; flux in single precision, as the files have it.

    Raises
    ------
    InputError
        If the file is damaged or no such table, or nothing in it can be used; the message leaves the name to the
        caller.
    """
    try:
        content = read_content(file, MOST_BYTES)
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{file} ")) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cards and units that astropy finds odd
            hdu, names = _spectrum_table(content)
            values, columns = hdu.data, hdu.columns
            arrays = {key: _one_array(name, values[name]) for key, name in names.items()}
            given = {key: columns[name].unit or "" for key, name in names.items()}
            unread: list[str] = []
            fill = _header_number(hdu.header, "NANVALUE", MISSING_VALUE, unread)
            numbers = [_of_a_galaxy(hdu.header, key, unread) for key in HEADER_KEYS]
    except InputError:
        raise
    except Exception as error:  # astropy raises OSError, TypeError, IndexError, ... on damaged files
        raise InputError(f"not a readable FITS table ({str(error) or type(error).__name__})") from error

    sizes = {names[key]: array.size for key, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise InputError("columns of unlike length: " + ", ".join(f"{name} has {n}" for name, n in sizes.items()))
    flux_name = next(name for name in FLUX_COLUMNS if name in names)
    velocity = arrays["VHELIO"] * _factor("VHELIO", given["VHELIO"], "km/s")
    flux = arrays[flux_name] * _factor(flux_name, given[flux_name], "mJy")
    valid = (np.abs(flux) < FILL_FLUX) & (arrays[flux_name] != fill)
    if "WEIGHT" in arrays:
        valid &= arrays["WEIGHT"] > 0
    known = np.isfinite(velocity)
    if np.count_nonzero(arrays["VHELIO"] == fill) > 1:  # one may be a velocity like any other
        known &= arrays["VHELIO"] != fill
    velocity = velocity[known]
    if velocity.size and np.abs(velocity).max() > LIGHT_SPEED:
        raise InputError(
            f"VHELIO goes from {velocity.min():g} to {velocity.max():g} km/s, beyond the speed of light; "
            "give its unit in the header (TUNIT)"
        )
    with np.errstate(all="ignore"):  # what is wild is refused in words
        channels = clean(velocity, flux[known], valid[known], unit_known=bool(given[flux_name].strip()))
    return ArchiveSpectrum(channels._replace(flux=channels.flux.astype(np.float32)), numbers, unread)


def _spectrum_table(content: bytes) -> tuple[fits.BinTableHDU | fits.TableHDU, dict[str, str]]:
    """Return the first table that holds a spectrum, and its names of the columns."""
    reason = "no table in this file"
    for number, hdu in enumerate(table_hdus(content)):
        try:
            return hdu, _wanted(hdu.columns.names)
        except InputError as error:
            reason = reason if number else str(error)
    raise InputError(reason)


def _wanted(names: list[str]) -> dict[str, str]:
    """Return the columns to read by their names in capitals."""
    found = {key: [name for name in names if name.upper() == key] for key in ("VHELIO", *FLUX_COLUMNS, "WEIGHT")}
    flux = next((key for key in FLUX_COLUMNS if found[key]), None)
    if not found["VHELIO"] or flux is None:
        wanted = " or ".join(FLUX_COLUMNS) if flux is None else "VHELIO"
        raise InputError(f"no column {wanted}; it has {', '.join(names)[:200]}")
    taken = [key for key in ("VHELIO", flux, "WEIGHT") if found[key]]
    twice = next((key for key in taken if len(found[key]) > 1), None)
    if twice:
        raise InputError(f"two columns for one thing: {' and '.join(found[twice])}")
    return {key: found[key][0] for key in taken}


def _one_array(name: str, values: np.ndarray) -> np.ndarray:
    array = np.array(values, dtype=float)
    if array.ndim > 1 and array.shape[0] > 1 and array[0].size > 1:
        raise InputError(f"{name} has {array.shape[0]} arrays of {array[0].size}; one spectrum a file is read")
    return array.ravel()


def _header_number(header: fits.Header, key: str, default: float, unread: list[str]) -> float:
    """Return the number of a card; what is no number, or no card by the standard, is noted in `unread`."""
    if key not in header:
        return default
    try:
        value = header[key]
        number = float("nan" if isinstance(value, str | bool) else value)
    except Exception:  # astropy's VerifyError, or no value at all
        number = np.nan
    if np.isfinite(number):
        return number
    unread.append(key)
    return default


def _of_a_galaxy(header: fits.Header, key: str, unread: list[str]) -> float:
    """Return the number of one of the `HEADER_KEYS`; NaN, and noted in `unread`, where it is outside its range."""
    number = _header_number(header, key, np.nan, unread)
    low, high = HEADER_RANGES[key]
    if low <= number <= high or np.isnan(number):
        return number
    unread.append(key)
    return np.nan


def _factor(name: str, unit: str, wanted: str) -> float:
    """Return the factor to the unit wanted; a column that gives no unit is in it already."""
    if not unit.strip():
        return 1.0
    factor = _conversion(unit.strip(), wanted)
    if factor is None:
        raise InputError(f"{name} is in '{unit}', which cannot be converted to {wanted}")
    return factor


@functools.cache
def _conversion(unit: str, wanted: str) -> float | None:
    """Return the factor from one unit to another; None where there is none.

    Units are written as FITS or people write them, ``km / s``, ``km.s-1``; one that says nothing so, such as
    ``KM/S``, is taken in lower case.
    """
    for text in (unit, re.sub("jy", "Jy", unit.lower())):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                factor = units.Unit(text).to(units.Unit(wanted))
        except Exception:  # astropy's parsers raise ValueError, TypeError and others on odd text
            continue
        if np.isfinite(factor) and factor > 0:
            return float(factor)
    return None
