"""Spectra of single-dish FITS (SDFITS): arrays in rows, their axes described beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from astropy.table import Table

from hiexp.datasets.layouts.roles import FRAMES
from hiexp.datasets.layouts.spectrum import Axis, Convention, RawSpectrum
from hiexp.datasets.tables import shown
from hiexp.errors import InputError
from hiexp.spectral.axis import LIGHT_SPEED

AXIS_CARDS = ("CRVAL1", "CDELT1", "CRPIX1")
DATA_NAMES = ("DATA", "SPECTRUM", "FLUX")
RAW = "raw scans; calibrate and average them with dysh (or GBTIDL), and give what it writes"
CONVENTIONS: dict[str, Convention] = {"OPTI": "optical", "RADI": "radio", "RELA": "relativistic"}
DEFAULT_UNITS = {"FREQ": "Hz", "VELO": "m/s", "VRAD": "m/s", "VOPT": "m/s"}  # those of the convention


def is_sdfits(table: Table, header: Mapping[str, object]) -> bool:
    """Tell whether a table has arrays of data and, in its columns or its header, their axis."""
    names = {name.upper() for name in table.colnames}
    return any(name in names for name in DATA_NAMES) and all(
        card in names or card in header for card in (*AXIS_CARDS, "CTYPE1")
    )


def spectra_in_sdfits(table: Table, header: Mapping[str, object]) -> Iterator[RawSpectrum]:
    """Yield the calibrated spectrum of each row.

    Observed frequencies (``FREQ-OBS``) are brought to the frame of ``VELDEF`` by its velocity, ``VFRAME``.

    Raises
    ------
    InputError
        If they are raw scans, or their axis is none of a spectrum; the message leaves the name to the caller.
    """
    columns = {name.upper(): name for name in table.colnames}
    data = next(columns[name] for name in DATA_NAMES if name in columns)
    number = table.colnames.index(data) + 1
    rows = [
        {**header, **{key: _value(table[name][row]) for key, name in columns.items() if name != data}}
        for row in range(len(table))
    ]
    if any(row.get("CAL") == "T" or row.get("SIG") == "F" for row in rows):
        raise InputError(RAW)
    objects = [str(row.get("OBJECT", "")).strip() for row in rows]
    repeated = next((name for name in objects if objects.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"{objects.count(repeated)} rows of '{shown(repeated)}': {RAW}")
    for place, row in enumerate(rows):
        flux = np.ma.MaskedArray(table[data][place], dtype=float).filled(np.nan)
        if flux.size != max(flux.shape, default=0):
            raise InputError(f"{data} has the shape {flux.shape}; one spectrum a row is read")
        unit = str(row.get(f"TUNIT{number}", "") or table[data].unit or "").strip()
        if unit.lower() in ("counts", "count", "ct"):
            raise InputError(f"{data} in {unit}: {RAW}")
        flux = flux.reshape(-1)
        yield RawSpectrum(
            axis=_axis(row, flux.size),
            flux=flux,
            valid=np.ones(flux.size, dtype=bool),
            flux_unit=unit,
            facts=row | _position(row),
            layout=f"SDFITS, {data} in rows",
        )


def _position(row: Mapping[str, object]) -> dict[str, object]:
    """Return position and velocity of the object, as the cards of other files have them."""
    known: dict[str, object] = {}
    if str(row.get("CTYPE2", "")).startswith("RA"):
        known |= {"RA": row.get("CRVAL2"), "DEC": row.get("CRVAL3")}
    if str(row.get("VELDEF", "")).startswith("OPTI"):
        known["V21SYS"] = _number(row.get("VELOCITY")) / 1e3
    return known


def _axis(row: Mapping[str, object], size: int) -> Axis:
    kind, _, suffix = str(row["CTYPE1"]).strip().upper().partition("-")
    if kind not in DEFAULT_UNITS:
        raise InputError(f"CTYPE1 is '{shown(row['CTYPE1'])}'; an axis of FREQ, VELO, VRAD or VOPT is read")
    try:
        value, step, reference = (float(str(row[card])) for card in AXIS_CARDS)
    except ValueError as error:
        raise InputError(f"its {', '.join(AXIS_CARDS)} are no numbers ({error})") from error
    values = value + step * (np.arange(size) + 1 - reference)
    unit = str(row.get("CUNIT1") or DEFAULT_UNITS[kind]).strip()
    defined, _, frame = str(row.get("VELDEF", "")).strip().upper().partition("-")
    if kind == "FREQ":
        if suffix == "OBS":
            towards = _number(row.get("VFRAME")) / 1e3 / LIGHT_SPEED
            if not abs(towards) < 1 or not frame:
                frame = "OBS"
            else:
                values = values * np.sqrt((1 + towards) / (1 - towards))
        else:
            frame = suffix or str(row.get("SPECSYS", ""))
        return Axis(values, unit, "frequency", None, FRAMES.get(frame.lower(), frame))
    convention = CONVENTIONS.get({"VRAD": "RADI", "VOPT": "OPTI"}.get(kind, defined))
    return Axis(values, unit, "velocity", convention, FRAMES.get((suffix or frame).lower(), suffix or frame))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float | np.number) else np.nan


def _value(cell: object) -> object:
    if np.ma.is_masked(cell):
        return ""
    if isinstance(cell, bytes | np.bytes_):
        return cell.decode("latin-1").strip()
    return cell.strip() if isinstance(cell, str) else cell
