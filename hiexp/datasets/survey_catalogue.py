"""The catalogue of any survey, joined to spectra by name or by position on the sky."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.coordinates import Angle, SkyCoord

from hiexp.datasets.by_name import name_key
from hiexp.datasets.catalogue import CORNELL, NUMBERS, numbers_of_galaxies
from hiexp.datasets.tables import NO_NUMBER, column_named, listed, read_table, shown
from hiexp.errors import InputError
from hiexp.spectra import Spectra
from hiexp.spectral.axis import REST_FREQUENCY

log = logging.getLogger(__name__)

UNITS = {"Vhel": "km/s", "W50": "km/s", "e_W50": "km/s", "W20": "km/s", "HIflux": "Jy km/s", "e_HIflux": "Jy km/s"}
UNITS |= {"Dist": "Mpc", "e_Dist": "Mpc", "rms": "mJy", "RAJ2000": "deg", "DEJ2000": "deg"}
POSITIONS = {
    "RAJ2000": ("raj2000", "_raj2000", "ra2000", "ra", "ra_deg", "radeg"),
    "DEJ2000": ("dej2000", "_dej2000", "de2000", "dec", "dec_deg", "decdeg", "de"),
}
FASTEST_REDSHIFT = 2.0  # all velocities below it, in a file without units, are none in km/s
NAMES = ("id", "name", "object", "source", "galaxy")


def join_catalogue(
    spectra: Spectra,
    file: str | None,
    id: str | None,
    columns: Mapping[str, str | None] | None,
    match_radius: str | None,
) -> Spectra:
    """Add what a catalogue says of each object.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    file : str or None
        Text in any delimiter, ECSV, VOTable or FITS, gzipped or not; None for no catalogue.
    id : str or None
        Column with the names of the spectra, compared without regard to case, blanks and leading zeros; where None,
        one called id, name, object, source or galaxy.
    columns : mapping or None
        Column of the file for a name that other stages know: ``Vhel``, ``W50``, ``W20`` (km/s), ``HIflux`` (Jy
        km/s), ``Dist`` (Mpc), ``logMHI``, ``SNR``, ``rms`` (mJy), ``RAJ2000``, ``DEJ2000`` (degrees); or any other.
    match_radius : str or None
        An angle with its unit, such as ``10arcsec``: an object is joined to the nearest row within it, not by name.

    Returns
    -------
    Spectra
        Its catalogue has the columns of the file, in the units above where the file states any; where the file is
        silent what the spectra say of themselves stays. Vhel is where the line is expected. Objects without a row
        and rows without an object are in `Spectra.unmatched`.

    Raises
    ------
    InputError
        If the file cannot be read, a column is not there, nothing joins, or two objects have one row.
    """
    chosen = {name: column for name, column in (columns or {}).items() if column is not None}
    if file is None:
        if id is not None or match_radius is not None or chosen:
            raise InputError("dataset.catalogue is not given; catalogue_id, catalogue_columns, match_radius need it")
        return spectra
    # Names are words, of which a number would lose a digit: 1237648720693755918, 1234.10.
    written = read_table(Path(file), text_columns=NAMES if id is None else (id.lower(),))
    table = _standard(written, chosen, file)
    if match_radius is None:
        names = _names(written, id, file)
        rows = _rows_by_name(spectra.ids, names, file)
    else:
        names = pd.Series([f"row {row + 1}" for row in range(len(table))])
        rows = _rows_by_position(spectra.catalogue, table, match_radius, file)
    found = rows >= 0
    if not found.any():
        by_name = f"in its column {names.name}, which begins with '{shown(names.iloc[0])}'"
        how = f"within {match_radius} of a row" if match_radius is not None else by_name
        first = shown(spectra.ids[0])
        raise InputError(f"dataset.catalogue={file}: none of {len(rows)} objects is {how}; the first is '{first}'")
    used, counts = np.unique(rows[found], return_counts=True)
    if counts.max() > 1:
        both = spectra.ids[rows == used[counts.argmax()]]
        raise InputError(
            f"dataset.catalogue={file}: {names[used[counts.argmax()]]} is that of two spectra, {shown(both[0])} and "
            f"{shown(both[1])}; leave one of them, or join in another way"
        )
    log.info("%s: joined to %d of %d objects", file, found.sum(), len(rows))
    joined = table.reindex(rows).set_axis(spectra.catalogue.index, axis="index").combine_first(spectra.catalogue)
    systemic = joined["Vhel"].to_numpy(dtype=float) if "Vhel" in joined else spectra.systemic
    unmatched = [(name, "an object without a row in the catalogue") for name in spectra.ids[~found]]
    others = names.drop(index=used)
    unmatched += [(shown(name), "a row of the catalogue without a spectrum") for name in others]
    return replace(
        spectra,
        catalogue=joined[[*spectra.catalogue, *(name for name in table if name not in spectra.catalogue)]],
        systemic=np.where(np.isfinite(systemic), systemic, spectra.systemic),
        unmatched=pd.concat(
            [spectra.unmatched, pd.DataFrame(unmatched, columns=["name", "reason"])], ignore_index=True
        ),
    )


def _standard(table: pd.DataFrame, columns: Mapping[str, str], file: str) -> pd.DataFrame:
    """Return a table under the names that other stages know, in their units."""
    units = dict(table.attrs.get("units", {}))
    for name, column in columns.items():
        if column not in table:
            raise InputError(f"dataset.catalogue_columns.{name}={shown(column)}: {file} has {listed(table)}")
    given: dict[str, str] = {}
    for name, column in columns.items():
        if column in given:
            raise InputError(f"dataset.catalogue_columns: {shown(column)} is given for {given[column]} and {name}")
        given[column] = name
    of_positions = {found: name for name, names in POSITIONS.items() if (found := column_named(table, *names))}
    names = {**of_positions, **CORNELL, **given}
    taken = set(columns) | {names.get(column, column) for column in table if column in names}
    kept = [column for column in table if column in names or column not in taken]
    renamed = table[kept].rename(columns=names)
    if not renamed.columns.is_unique:
        twice = renamed.columns[renamed.columns.duplicated()][0]
        raise InputError(
            f"dataset.catalogue={file}: two columns are {twice}; say which: dataset.catalogue_columns.{twice}="
        )
    units = {names.get(column, column): unit for column, unit in units.items() if column in kept}
    renamed = renamed.reset_index(drop=True)
    for name in set(UNITS) & set(renamed):
        renamed[name] = _in_standard_unit(renamed[name], units.get(name, ""), file)
    return renamed.assign(**{name: numbers_of_galaxies(renamed[name], file) for name in NUMBERS if name in renamed})


def _in_standard_unit(column: pd.Series, unit: str, file: str) -> pd.Series:
    """Return a column in the unit of its name, sexagesimal positions in degrees."""
    name = str(column.name)
    if name in POSITIONS and column.dtype.kind == "O":
        hours, degrees = u.hourangle if name == "RAJ2000" else u.deg, np.full(len(column), np.nan)
        known = ~(column.isna() | column.isin(NO_NUMBER)).to_numpy()
        try:
            degrees[known] = Angle(column[known].astype(str).to_numpy(dtype=str), unit=hours).to_value(u.deg)
            return pd.Series(degrees, name=name)
        except Exception as error:  # astropy raises a dozen kinds on what is no angle
            raise InputError(f"dataset.catalogue={file}: {name} has what is no angle ({shown(error)})") from error
    if not unit:
        values = pd.to_numeric(column, errors="coerce").abs() if name == "Vhel" else column[:0]
        if values.any() and values.max() < FASTEST_REDSHIFT:
            raise InputError(
                f"dataset.catalogue={file}: Vhel is {values.max():g} at most, which looks like redshifts; give a "
                "column in km/s as dataset.catalogue_columns.Vhel=..."
            )
        return column
    try:
        stated = u.Unit(unit)
        if not stated.is_equivalent(UNITS[name]) and name != "Vhel":
            raise u.UnitConversionError(f"{unit} is no {UNITS[name]}")
        optical = u.doppler_optical(REST_FREQUENCY) if name == "Vhel" else []
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
        return pd.Series(u.Quantity(values, stated).to_value(UNITS[name], optical), name=name)
    except (ValueError, TypeError, u.UnitsError) as error:
        raise InputError(
            f"dataset.catalogue={file}: {name} is in '{shown(unit)}', which does not become {UNITS[name]}; give "
            f"another column as dataset.catalogue_columns.{name}=..."
        ) from error


def _names(table: pd.DataFrame, id: str | None, file: str) -> pd.Series:
    """Return the column with the names of objects."""
    column = column_named(table, *NAMES) if id is None else id
    if column is None or column not in table:
        asked = "no column id or name" if id is None else f"no column {shown(id)}"
        raise InputError(
            f"dataset.catalogue={file}: {asked}, it has {listed(table)}; give dataset.catalogue_id=COLUMN, or join "
            "by position with dataset.match_radius=10arcsec"
        )
    return table[column].astype(str).str.removesuffix(".0").reset_index(drop=True)


def _rows_by_name(ids: np.ndarray, names: pd.Series, file: str) -> np.ndarray:
    """Return the row of each object, -1 where there is none, shape (N,)."""
    keys = names.map(name_key)
    if repeated := keys[keys.duplicated() & (keys != "")].tolist():
        log.warning(
            "%s: %d names are there twice, %s first; the first row of each is taken",
            file,
            len(repeated),
            shown(repeated[0]),
        )
    places = {key: row for row, key in reversed(list(enumerate(keys)))}
    return np.array([places.get(name_key(name), -1) for name in ids])


def _rows_by_position(objects: pd.DataFrame, table: pd.DataFrame, match_radius: str, file: str) -> np.ndarray:
    """Return the nearest row of each object, -1 where none is within the radius, shape (N,)."""
    try:
        radius = Angle(match_radius)
    except (ValueError, TypeError, u.UnitsError) as error:
        raise InputError(
            f"dataset.match_radius={match_radius}: give an angle with its unit, such as 10arcsec"
        ) from error
    if not 0 < radius.to_value(u.deg) < 180:
        raise InputError(f"dataset.match_radius={match_radius}: give an angle above 0")
    ours, known = _sky(objects, "the spectra have")
    theirs, listed_there = _sky(table, f"dataset.catalogue={file}: it has")
    rows = np.full(len(objects), -1)
    nearest, distance, _ = ours.match_to_catalog_sky(theirs)
    rows[known] = np.where(distance <= radius, np.flatnonzero(listed_there)[nearest], -1)
    return rows


def _sky(table: pd.DataFrame, whose: str) -> tuple[SkyCoord, np.ndarray]:
    """Return the positions of the rows that have one, and which these are."""
    if not {"RAJ2000", "DEJ2000"} <= set(table):
        raise InputError(
            f"{whose} no position (RAJ2000, DEJ2000 in degrees), by which match_radius joins; give "
            "dataset.catalogue_id=COLUMN instead"
        )
    degrees = table[["RAJ2000", "DEJ2000"]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    known = np.isfinite(degrees).all(axis=1) & (np.abs(degrees[:, 1]) <= 90)
    if not known.any():
        raise InputError(f"{whose} no position in degrees; join by name, with dataset.catalogue_id=COLUMN")
    return SkyCoord(*degrees[known].T, unit="deg"), known
