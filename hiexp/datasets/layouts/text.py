"""Spectra in text, in whatever writing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hiexp.datasets.layouts.roles import AXIS_NAME, FLUX_NAMES, Column, parse_name, spectra_in_columns
from hiexp.datasets.layouts.spectrum import Convention, Given, RawSpectrum
from hiexp.datasets.layouts.units import unit_named
from hiexp.errors import InputError

COMMENT_MARKS = " \t#!;%/*\\\"'"
NO_UNIT = {"", "-", "--", "[]", "()", "none", "1"}
FACT = re.compile(r"\W*(object|source|target|ra|dec|v21sys|specsys|convention)\s*[:=]\s*(.+?)\s*", re.IGNORECASE)
UNIT_BESIDE = r"\s+(?![(\[])"  # blanks between names, not those before a name's unit
RULE = re.compile(r"[-=+_.]{3,}")
HEADER_LINES = 12  # above the numbers, in which names and units of the columns are looked for
GBTIDL_CONVENTIONS: dict[str, Convention] = {"OPTICAL": "optical", "RADIO": "radio", "TRUE": "relativistic"}


def spectra_in_text(
    lines: Sequence[str], rows: Sequence[tuple[int, list[str]]], given: Given
) -> Iterator[RawSpectrum]:
    """Yield the spectra of a text with a row a channel.

    Names and units of the columns stand in a line of their own above the numbers, as a comment or not, and
    ``OBJECT``, ``RA``, ``DEC``, ``SPECSYS`` and ``CONVENTION`` as ``NAME = value`` or ``NAME: value``. The three
    lines that GBTIDL writes are understood, too.

    Parameters
    ----------
    lines : sequence of str
        All lines of the file.
    rows : sequence of (int, list of str)
        Numbers and cells of those with numbers, as `hiexp.datasets.columns.numbered_rows` divides them.
    given : Given
        What the user says.

    Raises
    ------
    InputError
        If the columns are not those of a spectrum; the message leaves the name to the caller.
    """
    if len(rows) > 1 and len(rows[0][1]) == 1 < len(rows[1][1]):  # the number of rows, or of the object
        rows = rows[1:]
    width = max(len(cells) for _, cells in rows)
    if width < 2:
        raise InputError("1 column; a column of velocities or frequencies and one of fluxes are needed")
    for line, cells in rows:
        if len(cells) < width and (width > 2 or not cells) and not _is_delimited(lines[line - 1]):
            raise InputError(f"line {line} has {len(cells)} cells where others have {width}")
    above = list(lines[: rows[0][0] - 1])
    names, units = _header(above, width)
    columns = [
        Column(
            names[place],
            units[place],
            [cells[place] if place < len(cells) else "" for _, cells in rows],
            [line for line, _ in rows],
        )
        for place in range(width)
    ]
    facts = {found[1].upper(): found[2] for line in above if (found := FACT.fullmatch(line))}
    gbtidl = _gbtidl(above)
    if gbtidl is None:
        yield from spectra_in_columns(columns, given, facts, f"text of {width} columns")
        return
    convention, axis_unit, flux_unit, facts = gbtidl
    columns[:2] = [replace(columns[0], unit=axis_unit), replace(columns[1], unit=flux_unit)]
    for raw in spectra_in_columns(columns[:2], given, facts, "text of GBTIDL"):
        is_velocity = raw.axis.kind == "velocity" or "/s" in axis_unit
        yield replace(raw, axis=replace(raw.axis, convention=convention if is_velocity else None))


def _is_delimited(line: str) -> bool:
    return any(mark in line for mark in ";,\t")


def _gbtidl(above: Sequence[str]) -> tuple[Convention | None, str, str, dict[str, object]] | None:
    """Return convention, units of axis and flux, and the object, of the three lines that GBTIDL writes."""
    if len(above) != 3 or not above[0].startswith("Scan:"):
        return None
    kinds, units = above[1].split(), above[2].split()
    if len(kinds) < 2 or not units:
        return None
    source = re.match(r"Scan:\s*\d+\s+(.*?)\s+\d{4}-\d\d-\d\d", above[0])
    return (
        GBTIDL_CONVENTIONS.get(kinds[0].upper()),
        units[0],
        kinds[1],
        {"OBJECT": source[1] if source else ""},
    )


def _header(above: Sequence[str], width: int) -> tuple[list[str], list[str]]:
    """Return names and units of the columns, "" where no line above the numbers has them."""
    names, units = [""] * width, [""] * width
    for line in reversed(above[-HEADER_LINES:]):
        for cells in _tokens(line, width):
            said = [cell.strip(" []()") for cell in cells]
            unit_like = [
                one.lower() in NO_UNIT or bool(unit_named(one, "axis") or unit_named(one, "flux")) for one in said
            ]
            if all(unit_like) and any(one.lower() not in NO_UNIT for one in said):
                units = ["" if one.lower() in NO_UNIT else one for one in said]
                break
            if line.lstrip()[:1] not in "#!;%/*\\" or any(map(_is_role, cells)):
                if not any(names):
                    names = cells
                break
    return names, units


def _is_role(cell: str) -> bool:
    plain = parse_name(cell).plain
    return bool(AXIS_NAME.fullmatch(plain)) or any(plain in names for names in FLUX_NAMES)


def _tokens(line: str, width: int) -> Iterator[list[str]]:
    """Yield the ways to divide a line into as many cells as there are columns."""
    bare = line.strip()
    bare = bare.lstrip(COMMENT_MARKS) if bare[:1] in COMMENT_MARKS else re.sub(r"\s[#!].*", "", bare)
    for pattern in (";", ",", "\t", r"\s{2,}", UNIT_BESIDE, r"\s+"):
        cells = [cell.strip(" \t\"'") for cell in re.split(pattern, bare)]
        while len(cells) > width and not cells[-1]:
            cells.pop()
        if len(cells) == width and any(cells) and not any(RULE.fullmatch(cell) for cell in cells):
            yield cells
