"""The spectrum of one source, with noise by channel, and its catalogue's numbers in km/s and Jy km/s."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hiexp.datasets.columns import numbered_rows
from hiexp.datasets.layouts.physical import frame_of, to_optical_velocities
from hiexp.datasets.layouts.spectrum import Axis, Convention, Given
from hiexp.datasets.sofia.products import axis_of_cubelet, cubelet_of
from hiexp.datasets.stacking import Channels
from hiexp.datasets.tables import read_lines, shown
from hiexp.errors import InputError

VELOCITIES: dict[str, Convention] = {"v_rad": "radio", "v_opt": "optical", "v_app": "relativistic"}
MARGIN = 16  # channels without a source on each side of it, which a fit needs to see where a line ends
ALIKE = 0.02  # of each other are two sums over one spectrum


class Source(NamedTuple):
    """A source's spectrum, converted numbers of its catalogue, how its file was understood, remarks, and frame."""

    channels: Channels
    known: dict[str, float]
    description: str
    remarks: list[str]
    frame: str


class _Columns(NamedTuple):
    """The columns of a spectrum, each of shape (M,), and the units of axis and flux; no axis where it has none."""

    channel: np.ndarray
    axis: np.ndarray | None
    flux: np.ndarray
    pixels: np.ndarray
    axis_unit: str
    flux_unit: str


def read_source(row: pd.Series, file: Path, given: Given) -> Source:
    """Read the spectrum of a source.

    Parameters
    ----------
    row : Series
        The source in SoFiA's catalogue.
    file : Path
        ``..._spec.txt``, among the other products of the source.
    given : Given
        ``beam_pixels`` and ``convention``.

    Raises
    ------
    InputError
        If it is no spectrum of SoFiA's, or its noise or its axis cannot be known; the message leaves the name to the
        caller.
    """
    columns = _read_columns(file)
    missing = np.ptp(columns.channel) + 1 - columns.channel.size
    if missing > 0:
        raise InputError(f"it lacks {missing:.0f} of its channels; have SoFiA write it again")
    cubelet = cubelet_of(file, given.beam_pixels)
    if columns.axis is None:
        axis = axis_of_cubelet(file, len(columns.channel))
    else:
        convention = next((kind for name, kind in VELOCITIES.items() if name in row), None)
        axis = Axis(columns.axis, columns.axis_unit, convention=convention)
    axis = replace(axis, frame=cubelet.frame, rest=cubelet.rest)
    velocity, words, remarks = to_optical_velocities(axis, given)
    order = np.argsort(velocity)
    if not (np.diff(velocity[order]) > 0).all() or not (columns.pixels > 0).any():
        raise InputError("it has a channel twice, or no channel with pixels")
    rms = float(row["rms"])
    if not 0 < rms < np.inf:
        raise InputError(f"the catalogue has rms={rms:g} for it, from which the noise of its channels follows")
    per_beam = columns.flux_unit == "Jy/beam"
    valid = np.isfinite(columns.flux) & (columns.pixels >= 0)
    flux = np.where(valid, columns.flux, 0.0) / (cubelet.beam_pixels if per_beam else 1)
    noise = rms * np.sqrt(np.where(columns.pixels > 0, columns.pixels / cubelet.beam_pixels, 1.0))
    channels = Channels(velocity[order], 1e3 * flux[order], valid[order], 1e3 * noise[order])
    description = (
        f"axis: {words}; flux: {columns.flux_unit}{' divided by the pixels of a beam' * per_beam}; noise: rms x "
        f"sqrt(pixels / {cubelet.beam_pixels:.4g} pixels a beam), that of one beam where the source has none"
    )
    known, more = _in_physical_units(row, columns, axis.values, velocity, flux)
    return Source(_with_margins(channels, 1e3 * rms), known, description, [*remarks, *more], frame_of(axis))


def _read_columns(file: Path) -> _Columns:
    lines = read_lines(file)
    rows = [cells for _, cells in numbered_rows(lines)]
    sizes = {len(cells) for cells in rows}
    comments = [line.strip().lstrip("#").split() for line in lines if line.lstrip().startswith("#")]
    units = next((words for words in reversed(comments) if words and words[0] == "-"), [])
    if sizes not in ({3}, {4}) or len(units) not in sizes or len(rows) < 2:
        raise InputError(
            "no spectrum of SoFiA, which has columns of channels, frequencies or velocities (or not), flux and "
            "pixels, and a comment with their units"
        )
    if units[-2] not in ("Jy", "Jy/beam"):
        raise InputError(f"its flux is in '{shown(units[-2])}', where SoFiA has Jy or Jy/beam")
    try:
        numbers = np.array(rows, dtype=float)
    except ValueError as error:
        raise InputError(f"a cell is no number ({shown(error)})") from error
    axis = numbers[:, 1] if len(units) == 4 else None
    return _Columns(numbers[:, 0], axis, numbers[:, -2], numbers[:, -1], units[1], units[-2])


def _with_margins(source: Channels, rms: float) -> Channels:
    """Add channels with nothing but noise at both ends."""
    velocity, flux, valid, noise = source
    beside = np.arange(1, MARGIN + 1)
    below = velocity[0] - (velocity[1] - velocity[0]) * beside[::-1]
    beyond = velocity[-1] + (velocity[-1] - velocity[-2]) * beside
    return Channels(
        np.concatenate([below, velocity, beyond]),
        np.pad(flux, MARGIN),
        np.pad(valid, MARGIN, constant_values=True),
        np.pad(noise, MARGIN, constant_values=rms),
    )


def _in_physical_units(
    row: pd.Series, columns: _Columns, axis: np.ndarray, velocity: np.ndarray, flux: np.ndarray
) -> tuple[dict[str, float], list[str]]:
    """Return what the catalogue has in degrees, km/s and Jy km/s, and what is to be said about it.

    SoFiA gives sums and widths by channels or in the unit of the axis (``parameter.physical``); which of them, and
    whether beams are divided by, is told by the sum over the spectrum itself.
    """
    # The files have eight digits: a smooth curve knows widths of channels better than their differences do.
    curve = np.polynomial.Polynomial.fit(columns.channel, velocity, 2)
    centre = float(curve(row.get("z", np.nan)))
    width = abs(float(curve.deriv()(row.get("z", np.nan))))  # of a channel there, km/s
    known = {"RAJ2000": row.get("ra", np.nan), "DEJ2000": row.get("dec", np.nan), "Vhel": centre}
    known |= dict.fromkeys(("W50", "W20", "HIflux"), np.nan)
    total, step = np.nansum(columns.flux), abs(np.ptp(axis) / np.ptp(columns.channel))
    unit = next((one for one in (step, 1.0) if abs(row["f_sum"] / (total * one) - 1) < ALIKE), None)
    if unit is None:
        said = "the sum over a spectrum is not f_sum of the catalogue, whose flux and widths are left out"
        return {name: float(value) for name, value in known.items()}, [said]
    known |= {"W50": row.get("w50", np.nan) / unit * width, "W20": row.get("w20", np.nan) / unit * width}
    known["HIflux"] = row["f_sum"] / unit * flux.sum() / total * width
    return {name: float(value) for name, value in known.items()}, []
