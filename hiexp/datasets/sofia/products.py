"""What the other products of a source tell of its spectrum: the beam, the frame, the frequencies of its channels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from hiexp.datasets.layouts.spectrum import Axis, Convention
from hiexp.datasets.tables import shown
from hiexp.errors import InputError
from hiexp.spectral.axis import REST_FREQUENCY

FEWEST_PIXELS, MOST_PIXELS = 0.5, 1e5  # a beam
KINDS = ("mom0", "cube", "mask")  # those whose headers tell
CONVENTIONS: dict[str, Convention] = {"VRAD": "radio", "VOPT": "optical", "VELO": "relativistic"}

Header = Mapping[str, object]


class Cubelet(NamedTuple):
    """Pixels a beam, frequency at rest (Hz) and frame of the part of a cube that a source is in."""

    beam_pixels: float
    rest: float
    frame: str


def cubelet_of(spectrum: Path, beam_pixels: float | None) -> Cubelet:
    """Return what the headers beside a spectrum tell, or `beam_pixels` where it is given.

    Raises
    ------
    InputError
        If nothing tells the pixels a beam.
    """
    headers = [header for kind in KINDS if (header := _header(spectrum, kind))]
    pixels = beam_pixels or next(filter(None, map(_beam_pixels, headers)), None)
    if pixels is None:
        raise InputError(
            "no _mom0.fits or _cube.fits beside it that has a beam (BMAJ, BMIN, CDELT1); give the pixels a beam as "
            "dataset.beam_pixels=..."
        )
    rest = next((header[key] for header in headers for key in ("RESTFRQ", "RESTFREQ") if key in header), None)
    frame = next((str(header["SPECSYS"]) for header in headers if "SPECSYS" in header), "")
    return Cubelet(pixels, rest if _is_number(rest) else REST_FREQUENCY.to_value("Hz"), frame)  # type: ignore[arg-type]


def axis_of_cubelet(spectrum: Path, n_channels: int) -> Axis:
    """Return the spectral axis of a source's cubelet, for a spectrum that counts channels alone.

    Raises
    ------
    InputError
        If there is no ``_cube.fits`` beside it, or one with another axis.
    """
    header = _header(spectrum, "cube")
    if not header:
        raise InputError(
            "it has channel numbers alone, and no _cube.fits beside it tells their frequencies; have SoFiA write "
            "these, with parameter.wcs = true"
        )
    kind = str(header.get("CTYPE3", "")).partition("-")[0].strip()
    start, place, step = (header.get(key) for key in ("CRVAL3", "CRPIX3", "CDELT3"))
    if header.get("NAXIS3") != n_channels or not all(map(_is_number, (start, place, step))):
        raise InputError(
            f"its {n_channels} channels are not those of the third axis of its _cube.fits, {shown(kind)}"
        )
    values = start + (np.arange(1, n_channels + 1) - place) * step  # type: ignore[operator]
    unit = str(header.get("CUNIT3", "Hz" if kind == "FREQ" else "m/s"))
    return Axis(values, unit, convention=CONVENTIONS.get(kind))


def _header(spectrum: Path, kind: str) -> Header:
    """Return the header of another product of the source that a spectrum is of; empty where there is none."""
    stem = spectrum.name.removesuffix(".gz").removesuffix("_spec.txt")
    for ending in ("", ".gz"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # cards that astropy finds odd
                header = fits.getheader(spectrum.with_name(f"{stem}_{kind}.fits{ending}"))
                return {card: header[card] for card in header if card not in ("", "COMMENT", "HISTORY")}
        except Exception:  # none there, or one of a dozen kinds of damage: another product may tell
            continue
    return {}


def _beam_pixels(header: Header) -> float | None:
    """Return the pixels in a Gaussian beam, pi a b / (4 ln 2) by its axes in pixels; None where there is none.

    Or where it is no telescope's, as axes in arc seconds would be.
    """
    values = [header.get(key) for key in ("BMAJ", "BMIN", "CDELT1", "CDELT2")]
    if not all(map(_is_number, values)) or 0 in values:
        return None
    major, minor, width, height = map(float, values)  # type: ignore[arg-type]
    pixels = math.pi * abs(major * minor / (width * height)) / (4 * math.log(2))
    return pixels if min(major, minor) > 0 and FEWEST_PIXELS < pixels < MOST_PIXELS else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
