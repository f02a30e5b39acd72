"""The .ts format of aeon, sktime and the UCR archive: univariate series of equal length."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hiexp.datasets.tables import read_lines
from hiexp.errors import InputError


def read_ts(file: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a file of the format described at https://www.aeon-toolkit.org/en/stable/api_reference/data_format.html.

    Parameters
    ----------
    file : Path
        ``#`` comments, a header of ``@key value`` lines that ends with ``@data``, then a line a series: values
        separated by commas (``?`` or NaN where missing) and, after a colon, its class label.

    Returns
    -------
    series : ndarray, shape (N, L)
        NaN where missing.
    labels : ndarray of str, shape (N,), or None
        As they are written; "" where a series has none.

    Raises
    ------
    InputError
        If the file cannot be read so, or holds time stamps, several dimensions or unequal lengths.
    """
    lines = enumerate(read_lines(file), 1)
    labelled = _read_header(lines, file)
    series, labels = [], []
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        values, *label = line.strip().split(":")
        if len(label) != labelled:
            raise InputError(
                f"{file}, line {number}: {len(label)} colons; {'one' if labelled else 'none'} expected in a file of "
                f"univariate series {'with' if labelled else 'without'} class labels"
            )
        series.append(_values(values, file, number))
        labels.append("" if not label or label[0].strip() == "?" else label[0].strip())
        if series[-1].size != series[0].size:
            raise InputError(
                f"{file}, line {number}: {series[-1].size} values where the first series has {series[0].size}; "
                "bring the series to one length, the missing values as ?"
            )
    if not series:
        raise InputError(f"{file} has no series below @data")
    return np.array(series), np.array(labels) if labelled else None


def _read_header(lines: enumerate[str], file: Path) -> bool:
    """Take the lines down to ``@data`` and return whether the series have labels."""
    labelled = False
    for number, line in lines:
        words = line.split()
        if not words or line.startswith("#"):
            continue
        key, value = words[0].lower(), " ".join(words[1:2]).lower()
        if key == "@data":
            return labelled
        if not key.startswith("@"):
            raise InputError(f"{file}, line {number}: '{words[0][:40]}' where a line '@key value' or @data should be")
        if key == "@classlabel":
            labelled = value == "true"
        elif (key, value) in REFUSED:
            raise InputError(f"{file}: {' '.join(words[:2])}: {REFUSED[key, value]}")
    raise InputError(f"{file} has no line @data; is it a .ts file of aeon, sktime or the UCR archive?")


REFUSED = {
    ("@timestamps", "true"): "series with time stamps are not read; resample them to even spacing",
    ("@univariate", "false"): "several dimensions are not read; write a file for each",
    ("@equallength", "false"): "bring the series to one length, the missing values as ?",
    ("@targetlabel", "true"): "numbers to predict are no classes; write @classLabel and classes, or neither",
}


def _values(text: str, file: Path, line: int) -> np.ndarray:
    values = []
    for cell in text.split(","):
        try:
            values.append(np.nan if cell.strip() == "?" else float(cell))
        except ValueError as error:
            raise InputError(f"{file}, line {line}: '{cell.strip()[:40]}' is no number") from error
    return np.array(values)
