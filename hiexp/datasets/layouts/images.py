"""Spectra in FITS images with one spectral axis, by their world coordinates."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
from astropy.wcs import WCS

from hiexp.datasets.layouts.spectrum import Axis, Convention, Kind, RawSpectrum
from hiexp.datasets.tables import listed, shown
from hiexp.errors import InputError

SPECTRAL = re.compile(r"(FREQ|VRAD|VOPT|VELO|FELO|WAVE|VELOCITY|WAVELENGTH|FREQUENCY)\b.*")
# Of the axes as astropy.wcs understands them: AIPS's VELO-HEL is VOPT there, and with VELREF above 256 VRAD.
CONVENTIONS: dict[str, Convention] = {"VOPT": "optical", "VRAD": "radio"}


def spectrum_in_image(hdu: Any, facts: dict[str, object]) -> RawSpectrum:
    """Return the spectrum of an image whose axes have one pixel, but for the spectral one.

    Raises
    ------
    InputError
        If it has no spectral axis or is a cube, or its coordinates cannot be computed; the message leaves the name to
        the caller.
    """
    header = hdu.header
    n_axes = header["NAXIS"]
    types = {number: str(header.get(f"CTYPE{number}", "")).strip().upper() for number in range(1, n_axes + 1)}
    spectral = [number for number, name in types.items() if SPECTRAL.fullmatch(name)]
    if len(spectral) != 1:
        raise InputError(
            f"an image with {len(spectral)} spectral axes (CTYPE: {listed(types.values())}); one is needed, such as "
            "FREQ, VRAD, VOPT or VELO-HEL"
        )
    number = spectral[0]
    sizes = [header[f"NAXIS{axis}"] for axis in types]
    if np.prod(sizes) != sizes[number - 1]:
        raise InputError(
            f"an image of {' x '.join(map(str, sizes))} pixels; give the spectrum of an object: SoFiA extracts them "
            "from cubes"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cards that astropy puts right
            wcs = WCS(header).sub([number])
            values = wcs.wcs_pix2world(np.arange(sizes[number - 1])[:, None], 0)[:, 0]
    except Exception as error:  # wcslib's errors are many
        raise InputError(f"its spectral axis cannot be computed ({shown(error, 200)})") from error
    understood = wcs.wcs.ctype[0].strip()
    name, _, algorithm = understood.partition("-")
    stated = str(header.get(f"CUNIT{number}", "")).strip()
    unit = str(wcs.wcs.cunit[0]) if stated or algorithm else ""
    kind: Kind = "frequency" if name.startswith("FREQ") else "wavelength" if name.startswith("WAVE") else "velocity"
    rest = {"rest": wcs.wcs.restfrq} if wcs.wcs.restfrq > 0 else {}
    return RawSpectrum(
        axis=Axis(values, unit or stated, kind, CONVENTIONS.get(name), _frame(wcs, header), **rest),
        flux=np.asarray(hdu.data, dtype=float).reshape(-1),
        valid=np.ones(values.size, dtype=bool),
        flux_unit=str(header.get("BUNIT", "")).strip(),
        facts={**_position(header), **facts},
        layout=f"FITS image, axis {types[number]}",
    )


def _frame(wcs: WCS, header: Any) -> str:
    """Return the frame; AIPS's HEL, which astropy.wcs makes BARYCENT, differs from it by 0.02 km/s at most."""
    return str(wcs.wcs.specsys or header.get("SPECSYS", "")).strip()


def _position(header: Any) -> dict[str, object]:
    """Return right ascension and declination of the first pixel, in degrees, where there are celestial axes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            place = WCS(header).celestial.pixel_to_world(0, 0).icrs
    except Exception:  # no such axes, or unlikely ones; the spectrum is none the worse
        return {}
    return {"RA": place.ra.deg, "DEC": place.dec.deg}
