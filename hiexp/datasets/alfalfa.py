"""Spectra in the layout of the public Arecibo archives (ALFALFA, APPSS)."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from tqdm import tqdm

from hiexp.datasets.cleaning import find_spikes, noise_rms
from hiexp.errors import InputError
from hiexp.spectra import Spectra

COLUMNS = ("VHELIO", "FLUX", "WEIGHT")
HEADER_KEYS = {"RA": "RAJ2000", "DEC": "DEJ2000", "V21SYS": "Vhel"}


@dataclass(frozen=True)
class _Spectrum:
    velocity: np.ndarray
    flux: np.ndarray
    valid: np.ndarray
    rms: float
    header: dict[str, float]


def read_alfalfa(path: str) -> Spectra:
    """Read a folder of ``A######.fits`` (Haynes et al. 2018, ApJ 861, 49; VizieR J/ApJ/861/49/sp).

    Each file holds one table with a row a channel: ``VHELIO`` (km/s), ``FLUX`` (mJy) and ``WEIGHT`` (0: do not
    use); the header gives ``V21SYS`` (km/s) and ``NANVALUE``, the mark of a missing value. A file that cannot
    be used is skipped and listed in `Spectra.skipped`.

    Parameters
    ----------
    path : str
        The folder.

    Returns
    -------
    Spectra
        In the order of the AGC numbers, without reference classes. Shorter spectra are padded at their end with
        channels that are not valid.

    Raises
    ------
    InputError
        If the folder is missing, holds no such file, or none that can be used.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"dataset.path={path}: no such folder; give the folder that holds the A######.fits files")
    files = sorted(f for f in folder.iterdir() if re.fullmatch(r"A\d+\.fits(\.gz)?", f.name))
    if not files:
        raise InputError(f"dataset.path={path}: no A######.fits in this folder; give the folder that holds them")

    read: dict[str, _Spectrum] = {}
    skipped = []
    for file in tqdm(files, desc="reading spectra", unit="file", delay=1, leave=False):
        try:
            read[re.match(r"A(\d+)", file.name)[1]] = _read_spectrum(file)
        except InputError as error:
            skipped.append({"name": file.name, "reason": str(error)})
    if not read:
        raise InputError(
            f"dataset.path={path}: none of its {len(files)} files can be used; "
            f"the first, {skipped[0]['name']}: {skipped[0]['reason']}"
        )
    return _stack(read, pd.DataFrame(skipped, columns=["name", "reason"]))


def _read_spectrum(file: Path) -> _Spectrum:
    try:
        with warnings.catch_warnings(), fits.open(file, memmap=False) as hdus:
            warnings.filterwarnings("error", message="File may have been truncated")
            if len(hdus) < 2:
                raise InputError("no table in this file")
            header, table = hdus[1].header, hdus[1].data
            missing = [name for name in COLUMNS if name not in table.names]
            if missing:
                raise InputError(f"no column {', '.join(missing)}; it has {', '.join(table.names)}")
            velocity, flux, weight = (np.array(table[name], dtype=float) for name in COLUMNS)
    except InputError:
        raise
    except Exception as error:  # astropy raises OSError, TypeError, IndexError, ... on damaged files
        raise InputError(f"not a readable FITS table ({error})") from error

    order = np.argsort(velocity)
    velocity, flux, weight = velocity[order], flux[order], weight[order]
    known = np.isfinite(velocity) & np.isfinite(flux) & (flux != header.get("NANVALUE", -999.0))
    valid = known & (weight > 0)
    if not np.isfinite(velocity).all():
        raise InputError("VHELIO has values that are not finite")
    if valid.sum() < 16:
        raise InputError(f"{valid.sum()} of {valid.size} channels can be used (NaN, NANVALUE or zero WEIGHT)")
    rms = noise_rms(flux, valid)
    if rms == 0:
        raise InputError("constant flux: no noise to measure against")
    valid &= ~find_spikes(np.where(valid, flux, 0.0), valid, rms)
    numbers = {name: float(header[key]) for key, name in HEADER_KEYS.items() if key in header}
    return _Spectrum(velocity, np.where(valid, flux, 0.0), valid, rms, numbers)


def _stack(read: dict[str, _Spectrum], skipped: pd.DataFrame) -> Spectra:
    length = max(spectrum.velocity.size for spectrum in read.values())
    shape = (len(read), length)
    velocity, flux, valid = np.empty(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
    for row, spectrum in enumerate(read.values()):
        n = spectrum.velocity.size
        step = spectrum.velocity[-1] - spectrum.velocity[-2]
        velocity[row, :n] = spectrum.velocity
        velocity[row, n:] = spectrum.velocity[-1] + step * np.arange(1, length - n + 1)
        flux[row, :n], valid[row, :n] = spectrum.flux, spectrum.valid
    ids = np.array(list(read))
    catalogue = pd.DataFrame([spectrum.header for spectrum in read.values()], index=pd.Index(ids, name="id"))
    catalogue = catalogue.reindex(columns=list(HEADER_KEYS.values()))
    return Spectra(
        ids=ids,
        velocity=velocity,
        flux=flux,
        rms=np.array([spectrum.rms for spectrum in read.values()]),
        valid=valid,
        catalogue=catalogue,
        systemic=catalogue["Vhel"].to_numpy(dtype=float),
        skipped=skipped,
    )
