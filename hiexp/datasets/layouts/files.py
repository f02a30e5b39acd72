"""The spectra of a file, by what it holds and not by what it is called."""

from __future__ import annotations

import io
import itertools
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from astropy.io import fits
from astropy.table import Table

from hiexp.datasets.columns import numbered_rows
from hiexp.datasets.files import read_content
from hiexp.datasets.fits_tables import IMAGES, TABLES, data_hdus
from hiexp.datasets.layouts.images import spectrum_in_image
from hiexp.datasets.layouts.roles import Column, spectra_in_columns
from hiexp.datasets.layouts.spectrum import Given, RawSpectrum
from hiexp.datasets.layouts.tables import spectra_in_table
from hiexp.datasets.layouts.text import spectra_in_text
from hiexp.datasets.tables import check_votable, lines_of, listed, read_table, shown
from hiexp.errors import InputError

VOTABLE = re.compile(rb"(\xef\xbb\xbf)?\s*<(\?xml|VOTABLE)")
ECSV = re.compile(rb"(\xef\xbb\xbf)?# %ECSV")
ARCHIVES = {b"PK\x03\x04": "a .zip or .npz archive; unpack it (dataset=arrays reads .npz)"}
ARCHIVES |= {b"\x89HDF": "HDF5; write FITS or text", b"%PDF": "PDF, no spectrum"}


def spectra_in_file(file: Path, given: Given) -> Iterator[RawSpectrum]:
    """Yield the spectra of a file: FITS, VOTable, ECSV or other text, gzipped or not.

    Raises
    ------
    InputError
        If it is damaged, or holds nothing that is a spectrum; the message leaves the name to the caller.
    """
    try:
        content = read_content(file)
        if not content.strip():
            raise InputError("is empty")
        for magic, what in ARCHIVES.items():
            if content.startswith(magic):
                raise InputError(f"is {what}")
        if content.startswith(b"SIMPLE  ="):
            yield from _in_fits(content, given)
        elif VOTABLE.match(content):
            table = _table(content, "votable")
            yield from spectra_in_table(table, given, _meta(table), "VOTable")
        elif ECSV.match(content):
            table = _table(content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n"), "ascii.ecsv")
            yield from spectra_in_table(table, given, _meta(table), "ECSV")
        else:
            yield from _in_text(content, file, given)
    except InputError as error:
        raise InputError(re.sub(rf"^{re.escape(str(file))}:? ", "", str(error))) from error


def _in_text(content: bytes, file: Path, given: Given) -> Iterator[RawSpectrum]:
    lines = [line.replace("|", " ") for line in lines_of(content, file)]
    if rows := numbered_rows(lines):
        yield from spectra_in_text(lines, rows, given)
        return
    try:
        table = read_table(file)  # names of objects before the numbers
        if not any(column.dtype.kind in "fiu" for _, column in table.items()):
            raise InputError("no column of numbers")
    except InputError as error:
        raise InputError(
            "no line with numbers; a column of velocities or frequencies and one of fluxes are needed"
        ) from error
    columns = [Column(str(name), "", _cells(table[name])) for name in table.columns]
    yield from spectra_in_columns(columns, given, {}, f"text of {len(columns)} columns")


def _cells(column: pd.Series) -> Any:
    return column.to_numpy() if column.dtype.kind in "fiub" else column.fillna("").astype(str).tolist()


def _table(content: bytes, form: str) -> Table:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # units and attributes that astropy finds odd
            if form == "votable":
                check_votable(content)
                return Table.read(io.BytesIO(content), format=form)
            return Table.read(content.decode("utf-8"), format=form)
    except Exception as error:  # astropy raises a dozen kinds on damaged files
        raise InputError(f"is not a readable {form.removeprefix('ascii.').upper()} ({shown(error, 200)})") from error


def _meta(table: Table) -> dict[str, object]:
    return {str(key).upper(): value for key, value in table.meta.items()}


def _in_fits(content: bytes, given: Given) -> Iterator[RawSpectrum]:
    """Yield the spectra of the first table or image that has any; their layout names what is not read."""
    reasons: list[tuple[bool, InputError]] = []
    hdus = data_hdus(content, TABLES | IMAGES)
    while (found := _next_hdu(hdus)) is not None:
        hdu, table = found
        facts = _cards(hdu.header)
        try:
            if table is not None:
                spectra = spectra_in_table(table, given, facts, "FITS table")
            elif given.columns:
                raise InputError(f"an image has no columns; leave out {listed(_settings(given))}")
            else:
                spectra = iter([spectrum_in_image(hdu, facts)])
            first = next(spectra)
            rest = f" (not read: {listed(names)})" if (names := _names(hdus)) else ""
            for raw in itertools.chain([first], spectra):
                yield replace(raw, layout=f"{raw.layout}{rest}")
            return
        except InputError as error:
            reasons.append((table is None, error))
        except fits.VerifyError as error:
            reasons.append((table is None, InputError(f"is not readable FITS ({shown(error, 200)})")))
    if not reasons:
        raise InputError("holds no table and no image")
    raise min(reasons, key=lambda reason: reason[0])[1]  # what is wrong with a table says more


def _settings(given: Given) -> list[str]:
    return [f"dataset.columns.{key}" for key in given.columns]


def _names(hdus: Iterator[Any]) -> list[str]:
    """Return what the tables and images are called that are left."""
    names: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as below
            names.extend(hdu.name or "an extension without a name" for hdu in hdus)
    except Exception:  # of what is not read nothing need be whole
        names.append("a damaged extension")
    return names


def _next_hdu(hdus: Iterator[Any]) -> tuple[Any, Table | None] | None:
    """Return the next table or image, and a table as astropy reads it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cards and units that astropy finds odd
            hdu = next(hdus, None)
            if hdu is None:
                return None
            if isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
                return hdu, Table.read(hdu, format="fits")
            hdu.data  # noqa: B018  read here, where what is damaged is refused
            return hdu, None
    except Exception as error:  # astropy raises OSError, TypeError, IndexError, ... on damaged files
        raise InputError(f"is not readable FITS ({shown(str(error) or type(error).__name__, 200)})") from error


def _cards(header: fits.Header) -> dict[str, object]:
    """Return the values of a header; cards that are none by the standard are left out."""
    cards: dict[str, object] = {}
    for key in header:
        if key in ("", "COMMENT", "HISTORY"):
            continue
        try:
            cards[key] = header[key]
        except Exception:  # astropy's VerifyError and others
            continue
    return cards
