"""Which column of a table is what: as the user says, by name, by unit, or by what a spectrum looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from hiexp.datasets.columns import MISSING, number
from hiexp.datasets.layouts.spectrum import Axis, Convention, Given, Kind, RawSpectrum
from hiexp.datasets.layouts.units import unit_named
from hiexp.datasets.tables import listed, shown
from hiexp.errors import InputError

# Names in small letters without anything but letters and digits.
FRAMES = {
    "hel": "heliocentric",
    "helio": "heliocentric",
    "heliocentric": "heliocentric",
    "lsr": "LSR",
    "lsrk": "LSRK",
}
FRAMES |= {"bary": "barycentric", "barycentric": "barycentric", "topo": "topocentric", "obs": "topocentric"}
CONVENTIONS: dict[str, Convention] = {"opt": "optical", "optical": "optical", "rad": "radio", "radio": "radio"}
MARKS = "|".join(sorted({*FRAMES, *CONVENTIONS}, key=len, reverse=True))
AXIS_NAME = re.compile(
    rf"(?P<before>{MARKS})?(?:(?P<velocity>v|vel|velo|velocity|velocities)|(?P<cz>cz)|(?P<frequency>freq|frequency|"
    rf"frequencies|nu)|(?P<wavelength>wave|wavelength|lambda))(?P<after>(?:{MARKS})*)"
)
FLUX_NAMES = (  # the first that is there
    {"flux", "fluxdens", "fluxdensity", "fluxhi", "hiflux", "fluxes", "fluxvalue"},
    {"fsum", "sumflux", "fluxsum", "sint", "intensity", "amplitude", "signal"},
    {"spectrum", "spec", "data", "s", "snu"},
    {"ta", "tb", "tmb", "tr", "temperature", "tantenna", "antennatemperature", "brightnesstemperature"},
)
WEIGHT_NAMES = {"weight", "weights", "wt", "wgt", "good", "valid", "use", "npix", "pixels"}  # SoFiA's last two
FLAG_NAMES = {"flag", "flags", "flagged", "mask", "masked", "bad"}
ID_NAMES = ("OBJECT", "ID", "NAME", "SOURCE", "GALAXY", "TARGET")
BESIDE = re.compile(
    r"(e|err|error|sigma|sig|rms|noise|unc|uncertainty|std|baseline|base|chan|channel|channels|index|row|n|npix|"
    r"pix|pixels|number|model|fit)([a-z]*|\d*)"
)
UNIT_IN_NAME = re.compile(r"(.*?)\s*[(\[]\s*([^)\]]+?)\s*[)\]]\s*")
UNIT_AFTER_NAME = re.compile(r"(.+?)[_ ]((?:k?m_?/?s)|[GMk]?Hz|m?Jy|K)", re.IGNORECASE)
TRUTH = {"t": 1.0, "true": 1.0, "yes": 1.0, "f": 0.0, "false": 0.0, "no": 0.0}
Role = Literal["velocity", "flux", "weight", "flag", "id"]
GROUPED = 16  # channels an object, where a column names the objects of many spectra


@dataclass(frozen=True)
class Column:
    """One column: numbers (NaN where missing) or, with the line of each, cells of text."""

    name: str
    unit: str
    cells: np.ndarray | Sequence[str]
    lines: Sequence[int] = ()

    def take(self, rows: np.ndarray) -> Column:
        """Return some of its rows."""
        lines = [self.lines[row] for row in rows] if self.lines else ()
        cells = self.cells[rows] if isinstance(self.cells, np.ndarray) else [self.cells[row] for row in rows]
        return Column(self.name, self.unit, cells, lines)


class Named(NamedTuple):
    """What the head of a column says."""

    plain: str
    unit: str


def spectra_in_columns(
    columns: Sequence[Column], given: Given, facts: Mapping[str, object], form: str
) -> Iterator[RawSpectrum]:
    """Yield the spectrum of a table with a row a channel, or those of the objects that one of its columns names.

    Raises
    ------
    InputError
        If the columns are not those of a spectrum, or nobody says which are; the message leaves the name to the
        caller.
    """
    name = _id_column(columns, given)
    if name is None:
        yield spectrum_in_columns(columns, given, facts, form)
        return
    cells = np.array([str(cell).strip() for cell in columns[name].cells])
    for one in dict.fromkeys(cells.tolist()):
        rows = np.flatnonzero(cells == one)
        yield spectrum_in_columns([column.take(rows) for column in columns], given, {**facts, "OBJECT": one}, form)


def spectrum_in_columns(
    columns: Sequence[Column], given: Given, facts: Mapping[str, object], form: str
) -> RawSpectrum:
    """Return the spectrum of a table with a row a channel, as `spectra_in_columns` does."""
    named = [parse_name(column.name, column.unit) for column in columns]
    axis = _axis_column(columns, named, given)
    flux = _flux_column(columns, named, axis, given)
    if flux == axis:
        raise InputError(f"column {_shown(columns, axis)} is given for both velocity and flux")
    weight = _given_column(columns, "weight", given, _by_name(named, WEIGHT_NAMES))
    flag = _given_column(columns, "flag", given, _by_name(named, FLAG_NAMES))
    axis_numbers, flux_numbers = numbers(columns[axis]), numbers(columns[flux])
    if axis_numbers.size != flux_numbers.size:
        raise InputError(
            f"{axis_numbers.size} values in {_shown(columns, axis)}, {flux_numbers.size} in {_shown(columns, flux)}"
        )
    valid = np.ones(flux_numbers.size, dtype=bool)
    for place, keeps in ((weight, np.greater), (flag, np.equal)):
        if place is not None:
            marks = numbers(columns[place], truth=True)
            if marks.size != valid.size:
                raise InputError(f"{marks.size} values in {_shown(columns, place)} for {valid.size} channels")
            valid &= keeps(marks, 0)
    taken = {"axis": axis, "flux": flux, "weight": weight, "flag": flag}
    words = [f"{role} {_shown(columns, place)}" for role, place in taken.items() if place is not None]
    rest = [
        columns[place].name or f"number {place + 1}" for place in range(len(columns)) if place not in taken.values()
    ]
    layout = f"{form}, {', '.join(words)}" + (f" (not used: {listed(rest)})" if rest else "")
    return RawSpectrum(
        axis=_axis(named[axis], axis_numbers, facts),
        flux=flux_numbers,
        valid=valid,
        flux_unit=named[flux].unit,
        facts=facts,
        layout=layout,
    )


def numbers(column: Column, truth: bool = False) -> np.ndarray:
    """Return the numbers of a column, NaN where missing; of flags also those of words such as "true"."""
    if isinstance(column.cells, np.ndarray) and column.cells.dtype.kind in "fiub":
        return np.asarray(column.cells, dtype=float)
    cells = [str(cell).strip() for cell in column.cells]
    lines = column.lines or range(1, len(cells) + 1)
    if truth:
        cells = [str(TRUTH.get(cell.lower(), cell)) for cell in cells]
    return np.array([number(cell, line) for cell, line in zip(cells, lines, strict=True)])


def _axis(named: Named, values: np.ndarray, facts: Mapping[str, object]) -> Axis:
    """Return an axis with what its column's name and unit, or else the header, say."""
    match = AXIS_NAME.fullmatch(named.plain)
    frame_of_unit = re.search(r"-([a-z]+)$", named.unit, re.IGNORECASE)
    marks = re.findall(MARKS, f"{match['before'] or ''} {match['after']}") if match else []
    if match and match["cz"]:
        marks.append("optical")
    convention = next((CONVENTIONS[mark] for mark in marks if mark in CONVENTIONS), None)
    if frame_of_unit:
        marks.append(frame_of_unit[1].lower())
    kinds: tuple[Kind, ...] = ("velocity", "frequency", "wavelength")
    kind = next((kind for kind in kinds if match and match[kind]), "velocity" if convention else None)
    frame = next((FRAMES[mark] for mark in marks if mark in FRAMES), str(facts.get("SPECSYS", "")))
    said = CONVENTIONS.get(str(facts.get("CONVENTION", "")).lower())
    return Axis(values, named.unit, kind, convention or said, frame)


def parse_name(name: str, unit: str = "") -> Named:
    """Return a column's bare name, and its unit: that of the file, or one written in the name."""
    name, unit = name.strip(), unit.strip()
    for pattern in (UNIT_IN_NAME, UNIT_AFTER_NAME):
        found = pattern.fullmatch(name)
        if found and (unit_named(found[2], "axis") or unit_named(found[2], "flux")):
            name, unit = found[1], unit or found[2]
            break
    return Named(re.sub("[^a-z0-9]", "", name.lower()), unit if unit not in ("-", "--") else "")


def _id_column(columns: Sequence[Column], given: Given) -> int | None:
    """Return the column that names the objects of a table of many spectra; None in a table of one."""
    place = _given_column(columns, "id", given, None)
    if place is not None:
        return place
    for place, column in enumerate(columns):
        if column.name.strip().upper() in ID_NAMES and len(column.cells):
            cells = [str(cell).strip() for cell in column.cells]
            if len(cells) >= GROUPED * len(set(cells)):
                return place
    return None


def _axis_column(columns: Sequence[Column], named: Sequence[Named], given: Given) -> int:
    found = _given_column(columns, "velocity", given, None)
    if found is not None:
        return found
    matches = {place: AXIS_NAME.fullmatch(one.plain) for place, one in enumerate(named)}
    for kind in (("velocity", "cz"), ("frequency",), ("wavelength",)):
        places = [place for place, match in matches.items() if match and any(match[name] for name in kind)]
        if places:
            return _one(columns, places, "velocity")
    places = [place for place, one in enumerate(named) if one.unit and unit_named(one.unit, "axis")]
    if places:
        return _one(columns, places, "velocity")
    free = _unclaimed(columns, named)
    steady = [place for place in free if _is_axis(columns[place])]
    if len(free) == 2 and len(steady) != 1 and not any(column.name for column in columns):
        return free[0]
    if len(steady) == 1:
        return steady[0]
    counts = " (one counts channels)" if any(map(_counts_rows, columns)) else ""
    raise InputError(
        f"{_of(columns)}{counts}: which of them has the velocities or frequencies? give "
        "dataset.columns.velocity=NAME, or its number from 1"
    )


def _flux_column(columns: Sequence[Column], named: Sequence[Named], axis: int, given: Given) -> int:
    found = _given_column(columns, "flux", given, None)
    if found is not None:
        return found
    for names in FLUX_NAMES:
        places = _by_name(named, names, but=axis)
        if places:
            return _one(columns, places, "flux")
    free = [place for place in _unclaimed(columns, named) if place != axis]
    places = [place for place in free if named[place].unit and unit_named(named[place].unit, "flux")]
    if places:
        return _one(columns, places, "flux")
    if len(free) == 1:
        return free[0]
    raise InputError(
        f"{_of(columns)}: which of them has the flux? give dataset.columns.flux=NAME, or its number from 1"
    )


def _unclaimed(columns: Sequence[Column], named: Sequence[Named]) -> list[int]:
    """Return the columns of numbers that neither count the rows nor are said to be something beside a spectrum."""
    return [
        place
        for place, (column, one) in enumerate(zip(columns, named, strict=True))
        if one.plain not in WEIGHT_NAMES | FLAG_NAMES
        and not (one.plain and BESIDE.fullmatch(one.plain))
        and one.plain.upper() not in ID_NAMES
        and _is_numeric(column)
        and not _counts_rows(column)
    ]


def _is_numeric(column: Column) -> bool:
    if isinstance(column.cells, np.ndarray) and column.cells.dtype.kind in "fiu":
        return True
    cells = [str(cell).strip() for cell in column.cells[:50]]
    try:
        values = [number(cell, 0) for cell in cells if cell.lower() not in MISSING]
    except InputError:
        return False
    return bool(values)


def _steps(column: Column) -> np.ndarray:
    try:
        return np.diff(numbers(column))
    except InputError:
        return np.array([])


def _counts_rows(column: Column) -> bool:
    steps = _steps(column)
    return steps.size > 0 and bool((steps == 1).all())


def _is_axis(column: Column) -> bool:
    """Whether numbers rise or fall from each to the next, as no flux with noise does."""
    steps = _steps(column)
    return steps.size > 0 and bool((steps > 0).all() or (steps < 0).all())


def _by_name(named: Sequence[Named], names: set[str], but: int | None = None) -> list[int]:
    return [place for place, one in enumerate(named) if one.plain in names and place != but]


def _given_column(columns: Sequence[Column], role: Role, given: Given, found: list[int] | None) -> int | None:
    """Return the column that the user names, or the one that was found."""
    asked = given.columns.get(role)
    if asked is None:
        return _one(columns, found, role) if found else None
    if isinstance(asked, int):
        if not 1 <= asked <= len(columns):
            raise InputError(f"dataset.columns.{role}={asked}: there are {len(columns)} columns, from 1")
        return asked - 1
    exact = [place for place, column in enumerate(columns) if column.name.strip() == asked.strip()]
    places = exact or [
        place for place, column in enumerate(columns) if column.name.strip().lower() == asked.strip().lower()
    ]
    if not places:
        raise InputError(f"dataset.columns.{role}={shown(asked)}: no such column; {_of(columns)}")
    return _one(columns, places, role)


def _one(columns: Sequence[Column], places: Sequence[int], role: Role) -> int:
    if len(places) > 1:
        named = " and ".join(_shown(columns, place) for place in places[:4])
        raise InputError(f"{named} could each be the {role}; give dataset.columns.{role}=NAME, or its number from 1")
    return places[0]


def _shown(columns: Sequence[Column], place: int) -> str:
    return f"column {place + 1} {shown(columns[place].name)}".strip()


def _of(columns: Sequence[Column]) -> str:
    if not any(column.name for column in columns):
        return f"{len(columns)} columns without names"
    return f"{len(columns)} columns, {listed(column.name or '(no name)' for column in columns)}"
