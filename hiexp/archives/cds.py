"""What a catalogue of CDS consists of, by its ReadMe and its tables."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from hiexp.errors import InputError
from hiexp.kinds import Count
from hiexp.printable import printable

README = "ReadMe"
LARGEST_README = 10_000_000  # bytes
LARGEST_TABLE = 100_000_000  # bytes, decompressed; astropy takes several times as many


def file_summary(readme: Path) -> list[str]:
    """Return the file names in the section "File Summary" of a ReadMe.

    Parameters
    ----------
    readme : Path
        A description in the standard of CDS.

    Returns
    -------
    list of str
        In the order of the ReadMe, with their folder (``sp/a.fits``) and with wildcards where it has them.

    Raises
    ------
    InputError
        If there is no such section.
    """
    if not readme.is_file() or readme.stat().st_size > LARGEST_README:
        raise InputError(
            f"{readme}: no file of at most {LARGEST_README:,} bytes, as a ReadMe of CDS is; delete it to have it "
            "fetched again"
        )
    _, found, section = readme.read_text(encoding="utf-8", errors="replace").partition("File Summary:")
    parts = re.split(r"^-{6,}[ \t]*$", section, flags=re.MULTILINE)  # title, header, entries, rest
    if not found or len(parts) < 4:
        raise InputError(f"{readme}: no section 'File Summary', so this is no ReadMe of CDS; check url")
    return [line.split()[0] for line in parts[2].splitlines() if line[:1].strip()]


def tables(readme: Path) -> list[str]:
    """Return the tables (``*.dat``, outside folders) that the ReadMe lists."""
    return [name for name in file_summary(readme) if fnmatchcase(name, "*.dat") and "/" not in name]


def listed(folder: Path, match: Sequence[str]) -> list[str]:
    """Return the spectra that the ReadMe lists.

    Parameters
    ----------
    folder : Path
        Holds the ReadMe.
    match : sequence of str
        Patterns, with ``*``; what matches one of them is a spectrum.
    """
    return [name for name in file_summary(folder / README) if any(fnmatchcase(name, word) for word in match)]


def numbered(folder: Path, table: str, column: str, name: str, largest: Count = LARGEST_TABLE) -> list[str]:
    """Return the spectra that are named by a number in the catalogue.

    Parameters
    ----------
    folder : Path
        Holds the ReadMe and the table, as it is or with ``.gz``.
    table : str
        A table that the ReadMe describes byte by byte.
    column : str
        The column of integers.
    name : str
        A format string that makes the file name from the number.
    largest : int
        Bytes of the table, decompressed.

    Raises
    ------
    InputError
        If the table is missing, damaged or too large, or has no such numbers.
    """
    from astropy.io import ascii

    file = next((file for file in (folder / table, folder / f"{table}.gz") if file.exists()), None)
    if file is None:
        raise InputError(f"{folder / table}: not there, and not on the server; it says which spectra there are")
    _check_table(file, largest)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # units of other columns, which nobody reads here
            rows = ascii.read(str(file), format="cds", readme=str(folder / README), include_names=[column])
        names = list(dict.fromkeys(name.format(int(number)) for number in rows[column] if number))
    except Exception as error:  # astropy raises a dozen kinds on tables that are not as their ReadMe says
        raise InputError(
            f"{file}: no numbers in column {column} as {README} describes them ({printable(str(error), 200)}); "
            f"delete both files to have them fetched again"
        ) from error
    if not names:
        raise InputError(f"{file}: no row has a number in column {column}; delete the file to have it fetched again")
    return names


def _check_table(file: Path, largest: int) -> None:
    """Refuse a table that is damaged or too large for astropy, which looks at neither."""
    if file.suffix == ".gz":
        from hiexp.datasets.files import read_content  # imports every reader of spectra

        read_content(file, largest)
    elif not file.is_file() or file.stat().st_size > largest:
        raise InputError(f"{file}: no file of at most {largest:,} bytes; spectra.largest={2 * largest} allows more")


def expand(names: Sequence[str], index: Callable[[str], list[str]]) -> tuple[list[str], list[str]]:
    """Replace names with wildcards by the files that the server lists in their folder.

    Parameters
    ----------
    names : sequence of str
        As `file_summary` returns them.
    index : callable
        Returns the files in a folder of the server, without the folder; none where it tells no one.

    Returns
    -------
    files, unknown : list of str
        The files, and the names with wildcards for which the server lists none.
    """
    files, unknown = [], []
    for name in names:
        if "*" not in name and "?" not in name:
            files.append(name)
            continue
        folder, slash, pattern = name.rpartition("/")
        found = [folder + slash + file for file in index(folder + slash) if fnmatchcase(file, pattern)]
        files += found
        if not found:
            unknown.append(name)
    return files, unknown
