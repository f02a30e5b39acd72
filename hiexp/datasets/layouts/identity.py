"""What a spectrum is called and where on the sky it is, by its header or row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import Angle

from hiexp.datasets.arecibo import HEADER_KEYS, HEADER_RANGES
from hiexp.datasets.tables import shown
from hiexp.errors import InputError

LONGEST_NAME, LONGEST_FILE_NAME = 80, 255  # characters


def name_of(file: Path, facts: Mapping[str, object], pattern: re.Pattern[str] | None) -> str:
    """Return the first group of a pattern in the file's name, else the object that the file names, else its stem.

    Letters that no screen and no table takes are replaced, as names of files may hold any byte.

    Raises
    ------
    InputError
        If the pattern is not found in the name.
    """
    if pattern is not None:
        found = pattern.search(file.name)
        if not found or not found[1]:
            raise InputError(f"dataset.id={pattern.pattern}: not found in the file's name")
        return shown(found[1], LONGEST_FILE_NAME)
    named = shown(facts.get("OBJECT", ""), LONGEST_NAME).strip()
    stem = file.name.removesuffix(".gz").rpartition(".")[0] or file.name
    return named if named and named != "--" else shown(stem, LONGEST_FILE_NAME)


def file_name(file: Path) -> str:
    """Return the name of a file as a screen and a table can show it."""
    return shown(file.name, LONGEST_FILE_NAME)


def known_of(facts: Mapping[str, object]) -> dict[str, float]:
    """Return right ascension and declination (degrees) and velocity (km/s) by VizieR's names, NaN where unknown."""
    known = {}
    for key, name in HEADER_KEYS.items():
        low, high = HEADER_RANGES[key]
        value = _number(facts.get(key), key)
        known[name] = value if low <= value <= high else np.nan
    return known


def _number(value: object, key: str) -> float:
    """Return the number of a card, that of sexagesimal text (hours of right ascension) in degrees; else NaN."""
    try:
        if isinstance(value, str) and ":" in value:
            return float(Angle(value, unit=u.hourangle if key == "RA" else u.deg).to_value(u.deg))
        return np.nan if isinstance(value, bool) or value is None else float(str(value))
    except ValueError:
        return np.nan
