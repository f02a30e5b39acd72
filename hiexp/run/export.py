"""What a paper needs of the fits: tables rounded to their errors, and a page an object."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from astropy.table import MaskedColumn, Table
from tqdm import tqdm

from hiexp.csv_tables import write_csv
from hiexp.fitting.measurements import DATA_MEASUREMENTS, MEASUREMENTS
from hiexp.plots import page_name, plot_fits, plot_object, plot_parameters
from hiexp.printable import printable
from hiexp.run.files import PAGES_FOLDER, PLOTS_FOLDER
from hiexp.writing import staged

if TYPE_CHECKING:
    from hiexp.fitting import FitResult
    from hiexp.spectra import Spectra

FILES = {"latex": "table.tex", "csv": "table.csv", "mrt": "table.mrt", "votable": "table.vot"}
"""Tables, and the file of each."""

POSITIONS = {"RAJ2000": "right ascension (J2000 or ICRS)", "DEJ2000": "declination (J2000 or ICRS)"}
POSITION_DECIMALS = 5  # of a degree
ERROR_DIGITS, DIGITS = 2, 4  # that are kept: of an error, and of a number without one
OF_INTEREST = (
    *("v_horns", "position", "w50_horns", "w50", "w20", "w80", "wm50", "w50_corr", "w50_horns_corr", "wm50_corr"),
    *("flux_int", "flux_peak", "logMHI", "snr", "A_flux"),
)
HEADS = {
    "RAJ2000": "RA",
    "DEJ2000": "Dec",
    "v_horns": r"$V_\mathrm{sys}$",
    "w50_horns": "$W_{50}$",
    "w20": "$W_{20}$",
    "flux_int": r"$S_\mathrm{int}$",
    "logMHI": r"$\log M_\mathrm{HI}/M_\odot$",
    "snr": "S/N",
    "A_flux": r"$A_\mathrm{flux}$",
    "flags": "Flags",
}
"""Columns of the table in LaTeX."""
UCDS = {
    "id": "meta.id;meta.main",
    "RAJ2000": "pos.eq.ra;meta.main",
    "DEJ2000": "pos.eq.dec;meta.main",
    **dict.fromkeys(("position", "v_horns", "cog_v", "v_equal", "v_confusion"), "spect.dopplerVeloc.opt"),
    **dict.fromkeys(("flux_int", "cog_flux"), "phot.flux;spect.line"),
    "flux_peak": "phot.flux.density;stat.max",
    "logMHI": "phys.mass",
    **dict.fromkeys(("snr", "cog_snr"), "stat.snr"),
    **dict.fromkeys(("chi2", "chi2_dof"), "stat.fit.chi2"),
    "r2": "stat.fit.goodness",
    "flags": "meta.code.qual",
    "horns": "meta.number",
}


def write_exports(spectra: Spectra, fit: FitResult, forms: Sequence[str], folder: Path) -> None:
    """Write the good fits of a sample as a paper needs them.

    Rows are the objects with a good fit. Columns come in the order of interest: name, position on the sky where the
    catalogue has one, velocity, widths, flux, mass, S/N, asymmetry, flags, the other measurements, posteriors, the
    parameters of the model. LaTeX has the first of these.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    fit : FitResult
        Their fits.
    forms : sequence of str
        Tables: ``latex``, ``csv`` and ``mrt`` (the AAS's machine-readable table), rounded to two digits of their
        errors, and ``votable`` with all digits and UCDs. ``pdf``: the pictures of the fits as PDF, too.
    folder : Path
        A run's folder, which receives the files.
    """
    if not fit.good.any():
        return
    with staged(folder) as stage:
        _write_tables(spectra, fit, forms, stage)
        if "pdf" in forms:
            plots = stage / PLOTS_FOLDER
            plots.mkdir()
            plot_fits(spectra, fit, plots / "fits.pdf")
            plot_parameters(fit, plots / "parameters.pdf")


def write_pages(spectra: Spectra, fit: FitResult, folder: Path) -> None:
    """Write a page an object, ``plots/objects/ID.pdf``, into a run's folder."""
    names = _unlike([page_name(str(name)) for name in spectra.ids])
    with staged(folder) as stage:
        pages = stage / PLOTS_FOLDER / PAGES_FOLDER
        pages.mkdir(parents=True)
        for row, name in enumerate(tqdm(names, desc="drawing pages", unit=" pages", delay=1, leave=False)):
            plot_object(spectra, fit, row, pages / f"{name}.pdf")


def _unlike(names: Sequence[str]) -> list[str]:
    """Return names of files of which no two are one, on disks too that take large and small letters for the same."""
    taken: dict[str, str] = {}
    for name in names:
        tries = (name, *(f"{name}_{number}" for number in range(2, len(names) + 2)))
        free = next(one for one in tries if one.casefold() not in taken)
        taken[free.casefold()] = free
    return list(taken.values())


def _write_tables(spectra: Spectra, fit: FitResult, forms: Sequence[str], folder: Path) -> None:
    frame = _of_interest(spectra, fit)
    described = _described(frame, fit)
    if "votable" in forms:
        _write_votable(described, fit, folder / FILES["votable"])
    decimals = _decimals(frame)
    rounded = frame.assign(**{name: list(map(_rounded, frame[name], places)) for name, places in decimals.items()})
    if "csv" in forms:
        write_csv(rounded, folder / FILES["csv"], index=True)
    if "mrt" in forms:
        _write_mrt(_described(rounded, fit), folder / FILES["mrt"])
    if "latex" in forms:
        _write_latex(frame, decimals, described, folder / FILES["latex"])


def ucd(name: str, parameters: Mapping[str, str]) -> str:
    """Return the unified content descriptor of a column (IVOA, UCD1+ 1.5); empty where there is none.

    Parameters
    ----------
    name : str
        Name of the column.
    parameters : mapping
        Names of the model's parameters.
    """
    of = _measured(name)
    if of in parameters:
        word = "stat.fit.param"
    elif re.search(r"_above_\d", of):
        word = "stat.probability"
    elif of.startswith("A_") or of in ("cog_A_F", "cog_A_C"):
        word = "spect.line.asymmetry"
    elif re.match(r"(w|cog_v)m?\d", of):
        word = "spect.line.width"
    else:
        word = UCDS.get(of, "")
    return f"stat.error;{word}" if word and of != name else word


def _of_interest(spectra: Spectra, fit: FitResult) -> pd.DataFrame:
    """Return the good fits with the columns in the order of interest, those without a value left out."""
    good = fit.table[fit.good]
    sky = [name for name in POSITIONS if name in spectra.catalogue]
    degrees = spectra.catalogue.loc[fit.good, sky].apply(pd.to_numeric, errors="coerce").astype(float)
    table = good.drop(columns=["status", *sky], errors="ignore").join(degrees.set_axis(good.index))
    table["flags"] = table["flags"].fillna("").astype(str)
    known = [name for name in table if name == "flags" or table[name].notna().any()]
    first = [*POSITIONS, *OF_INTEREST, "flags", *MEASUREMENTS, *DATA_MEASUREMENTS, *fit.meanings, *fit.parameters]
    columns = [f"{name}{error}" for name in dict.fromkeys(first) for error in ("", "_err", "_err_mc")]
    return table[[name for name in columns if name in known]]


def _measured(name: str) -> str:
    """Return whose column of errors this is; the name itself where it is none."""
    return name.removesuffix("_err_mc").removesuffix("_err")


def _described(frame: pd.DataFrame, fit: FitResult) -> Table:
    """Return a table with units and the meaning of every column."""
    table = fit.with_units(frame)
    table["id"] = [printable(str(name)) for name in frame.index]  # XML has no characters of control, rows one line
    meanings = {
        "id": "name of the object",
        **POSITIONS,
        "flags": "what to know of the fit, words separated by commas",
    }
    for name in table.colnames:
        of = _measured(name)
        if of != name:
            table[name].info.description = f"one standard deviation of {of}"
        elif not table[name].info.description:
            table[name].info.description = meanings.get(name, f"parameter {name} of the fitted curve")
        if name in POSITIONS:
            table[name].unit = "deg"
    return table


def _decimals(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return how many decimals each number keeps: to two digits of its error, or four of its own without one."""
    decimals = {}
    for name in frame.columns[[column.dtype.kind == "f" for _, column in frame.items()]]:
        error = f"{_measured(str(name))}_err"
        errors = frame[error].to_numpy() if error in frame else np.full(len(frame), np.nan)
        sure = errors > 0
        leading = np.where(sure, errors, np.abs(frame[name].to_numpy()))
        with np.errstate(all="ignore"):
            places = np.where(sure, ERROR_DIGITS, DIGITS) - 1 - np.floor(np.log10(leading))
        places = np.where(np.isfinite(places), places, 0).astype(int)
        decimals[str(name)] = np.full(len(frame), POSITION_DECIMALS) if name in POSITIONS else places
    return decimals


def _rounded(value: float, decimals: int) -> float:
    return round(float(value), int(decimals)) if np.isfinite(value) else np.nan


def _write_votable(table: Table, fit: FitResult, file: Path) -> None:
    from astropy.io.votable import from_table

    votable = from_table(table)
    for field in votable.get_first_table().fields:
        field.ucd = ucd(field.name, fit.parameters) or None
    votable.to_xml(str(file))


def _write_mrt(table: Table, file: Path) -> None:
    formats = {}
    for name in table.colnames:
        if table[name].dtype.kind == "f":
            table[name] = MaskedColumn(table[name], mask=~np.isfinite(table[name]))
            numbers = list(map(repr, table[name].compressed().tolist()))
            # Of a column with some numbers in exponents, astropy would cut the others to the digits of those.
            if any("e" in number for number in numbers):
                digits = max(len(Decimal(number).normalize().as_tuple().digits) for number in numbers)
                formats[name] = f"%.{digits - 1}e"
    table.write(file, format="ascii.mrt", formats=formats, overwrite=True)


def _write_latex(frame: pd.DataFrame, decimals: dict[str, np.ndarray], described: Table, file: Path) -> None:
    columns, units = {"Name": [_tex(str(name)) for name in frame.index]}, {}
    for name, head in HEADS.items():
        if name not in frame:
            continue
        if name not in decimals:
            columns[head] = [_tex(text.replace(",", ", ")) for text in frame[name]]
            continue
        errors = frame[f"{name}_err"] if f"{name}_err" in frame else np.full(len(frame), np.nan)
        columns[head] = [_number(*cell) for cell in zip(frame[name], errors, decimals[name], strict=True)]
        if described[name].unit is not None:
            units[head] = described[name].unit.to_string("latex_inline")
    Table(columns).write(file, format="latex", latexdict={"units": units, "tabletype": "table"}, overwrite=True)


def _number(value: float, error: float, decimals: int) -> str:
    """Return a number, and its error where there is one, as LaTeX has it."""
    if not np.isfinite(value):
        return r"\ldots"
    places = max(decimals, 0)
    shown = f"{_rounded(value, decimals):.{places}f}"
    return rf"${shown} \pm {_rounded(error, decimals):.{places}f}$" if np.isfinite(error) else f"${shown}$"


def _tex(text: str) -> str:
    """Return a text in which nothing means anything to LaTeX."""
    names = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    names |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    return "".join(names.get(letter, f"\\{letter}" if letter in "&%$#_{}" else letter) for letter in printable(text))
