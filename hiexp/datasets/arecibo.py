"""One spectrum in either layout of the public Arecibo archives."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits

from hiexp.datasets.cleaning import clean
from hiexp.datasets.stacking import Channels
from hiexp.errors import InputError

FLUX_COLUMNS = ("FLUX", "FLUXDENS")
VELOCITY_UNITS = {"km/s": 1.0, "km s-1": 1.0, "m/s": 1e-3, "m s-1": 1e-3}  # in km/s
FLUX_UNITS = {"mjy": 1.0, "jy": 1e3}  # in mJy
HEADER_KEYS = {"RA": "RAJ2000", "DEC": "DEJ2000", "V21SYS": "Vhel"}


def read_spectrum(file: Path) -> tuple[Channels, list[float]]:
    """Read ``A######.fits``: a table with a row a channel, or a row of arrays.

    Columns are ``VHELIO`` and ``FLUX`` or ``FLUXDENS``, in the units that the header gives or km/s and mJy;
    ``WEIGHT`` (0: do not use) is optional. ``NANVALUE`` in the header marks missing values, -999 if it is not
    there.

    Returns
    -------
    channels : Channels
        The spectrum, cleaned; flux in single precision, as the files have it.
    header : list of float
        What the header says of the `HEADER_KEYS`, NaN where it is silent.

    Raises
    ------
    InputError
        If the file is no such table, or nothing in it can be used; the message leaves the name to the caller.
    """
    try:
        with warnings.catch_warnings(), fits.open(file, memmap=False) as hdus:
            warnings.filterwarnings("error", message="File may have been truncated")
            if len(hdus) < 2:
                raise InputError("no table in this file")
            header, table = hdus[1].header, hdus[1].data
            columns = {name: np.array(table[name], dtype=float).ravel() for name in _wanted(table.names)}
            units = {name: (table.columns[name].unit or "").strip().lower() for name in columns}
    except InputError:
        raise
    except Exception as error:  # astropy raises OSError, TypeError, IndexError, ... on damaged files
        raise InputError(f"not a readable FITS table ({error})") from error

    flux_name = next(name for name in FLUX_COLUMNS if name in columns)
    velocity = columns["VHELIO"] * _in_unit("VHELIO", units["VHELIO"], VELOCITY_UNITS)
    missing = ~np.isfinite(columns[flux_name]) | (columns[flux_name] == header.get("NANVALUE", -999.0))
    flux = columns[flux_name] * _in_unit(flux_name, units[flux_name], FLUX_UNITS)
    valid = ~missing & (columns["WEIGHT"] > 0 if "WEIGHT" in columns else True)
    channels = clean(velocity, flux, valid)
    numbers = [float(header.get(key, np.nan)) for key in HEADER_KEYS]
    return channels._replace(flux=channels.flux.astype(np.float32)), numbers


def _wanted(names: list[str]) -> list[str]:
    flux = [name for name in FLUX_COLUMNS if name in names][:1]
    if "VHELIO" not in names or not flux:
        wanted = "VHELIO" if flux else " or ".join(FLUX_COLUMNS)
        raise InputError(f"no column {wanted}; it has {', '.join(names)}")
    return ["VHELIO", *flux, *(name for name in names if name == "WEIGHT")]


def _in_unit(name: str, unit: str, known: dict[str, float]) -> float:
    """Return the factor to this package's unit; a column that gives no unit is in it already."""
    if unit and unit not in known:
        raise InputError(f"{name} is in '{unit}'; {' or '.join(known)} can be read")
    return known.get(unit, 1.0)
