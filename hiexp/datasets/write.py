"""Spectra written in the layout of the public Arecibo archives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from tqdm import tqdm

from hiexp.datasets.mock.channels import frequency_of
from hiexp.errors import InputError
from hiexp.spectra import Spectra

NANVALUE = -999.0
CATALOGUE = "catalogue.tsv"
LAYOUT = np.dtype([("VHELIO", ">f8"), ("FREQUENCY", ">f8"), ("FLUX", ">f4"), ("BASELINE", ">f8"), ("WEIGHT", ">i2")])
UNITS = {"VHELIO": "km/s", "FREQUENCY": "MHz", "FLUX": "mJy", "BASELINE": "mJy", "WEIGHT": ""}
# VizieR's columns of J/ApJ/861/49/table2 that a model sample knows, with unit and format; others follow them.
VIZIER = {
    "Vhel": ("km/s", "{:.0f}"),
    "W50": ("km/s", "{:.0f}"),
    "W20": ("km/s", "{:.0f}"),
    "HIflux": ("Jy.km/s", "{:.3f}"),
    "SNR": ("", "{:.1f}"),
    "rms": ("mJy", "{:.2f}"),
    "Dist": ("Mpc", "{:.1f}"),
    "logMHI": ("[Msun]", "{:.2f}"),
    "HI": ("", "{:.0f}"),
}


def write_arecibo_fits(spectra: Spectra, folder: str | Path) -> Path:
    """Write ``A######.fits``, as in VizieR J/ApJ/861/49/sp and the APPSS, and ``catalogue.tsv`` beside them.

    One row a channel, velocity descending: ``VHELIO`` (km/s), ``FREQUENCY`` (MHz), ``FLUX`` (mJy), ``BASELINE``
    (what was subtracted, here 0) and ``WEIGHT`` (0 where a channel is not valid; its flux is then -999). The header
    has ``OBJECT``, ``RA``, ``DEC``, ``V21SYS`` and ``NANVALUE``. The catalogue is tab-separated as VizieR serves it,
    with a line of units and one of dashes: ``AGC`` and the numbers of `Spectra.catalogue` under their names.

    Parameters
    ----------
    spectra : Spectra
        The digits of an id are the number of its file: ``M0012`` becomes ``A000012.fits``.
    folder : str or Path
        Made where it does not exist.

    Returns
    -------
    Path
        The catalogue.

    Raises
    ------
    InputError
        If two ids have the same number, or one has none.
    """
    numbers = _numbers(spectra.ids)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    positions = spectra.catalogue.reindex(columns=["RAJ2000", "DEJ2000"]).to_numpy(dtype=float)
    primary = fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)]).tostring().encode()
    header = _table_header(spectra.velocity.shape[1])
    table = np.zeros(spectra.velocity.shape[1], dtype=LAYOUT)
    for row, number in enumerate(tqdm(numbers, desc="writing spectra", unit="file", delay=1, leave=False)):
        # A header and a record array as bytes: astropy's table objects take ten times as long.
        velocity, valid = spectra.velocity[row, ::-1], spectra.valid[row, ::-1]
        table["VHELIO"], table["FREQUENCY"] = velocity, frequency_of(velocity)
        table["FLUX"] = np.where(valid, spectra.flux[row, ::-1], NANVALUE)
        table["WEIGHT"] = valid
        header["OBJECT"] = f"AGC {number}"
        known = {"RA": positions[row, 0], "DEC": positions[row, 1], "V21SYS": spectra.systemic[row]}
        for key, value in known.items():
            header[key] = float(value) if np.isfinite(value) else NANVALUE
        data = table.tobytes()
        padding = bytes(-len(data) % 2880)
        (folder / f"A{number}.fits").write_bytes(primary + header.tostring().encode() + data + padding)
    return _write_catalogue(spectra.catalogue, numbers, folder / CATALOGUE)


def _numbers(ids: np.ndarray) -> list[str]:
    numbers = ["".join(filter(str.isdigit, name)).zfill(6) if any(map(str.isdigit, name)) else "" for name in ids]
    if "" in numbers:
        raise InputError(f"the id {ids[numbers.index('')]} has no number to name a file by")
    if len(set(numbers)) < len(numbers):
        twice = pd.Series(numbers).duplicated(keep=False)
        raise InputError(f"ids that share a number cannot have a file each: {', '.join(ids[twice][:4])}")
    return numbers


def _table_header(n_channels: int) -> fits.Header:
    header = fits.BinTableHDU(np.zeros(n_channels, dtype=LAYOUT)).header
    for column, unit in enumerate(UNITS.values(), start=1):
        header[f"TUNIT{column}"] = unit
    header["EXTNAME"] = "Single Dish"
    header["TELESCOP"] = ("hiexp", "model spectrum")
    header["NANVALUE"] = (NANVALUE, "Value of missing/null data")
    header["OBJECT"] = ("", "Name of object")
    header["RA"] = (0.0, "Right Ascension in degrees")
    header["DEC"] = (0.0, "Declination in degrees")
    header["EQUINOX"] = 2000.0
    header["RESTFRQ"] = (frequency_of(np.zeros(()))[()] * 1e6, "Rest Frequency [Hz]")
    header["CHAN"] = (n_channels, "Number of spectral channels")
    header["V21SYS"] = (0.0, "Systemic heliocentric velocity [km/s]")
    return header


def _write_catalogue(catalogue: pd.DataFrame, numbers: list[str], file: Path) -> Path:
    known = {name: VIZIER[name] for name in VIZIER if name in catalogue}
    others = catalogue.select_dtypes("number").columns.difference(list(known), sort=False)
    columns = known | dict.fromkeys(others, ("", "{:.6g}"))
    cells = [numbers] + [
        ["" if np.isnan(value) else form.format(value) for value in catalogue[name].astype(float)]
        for name, (_, form) in columns.items()
    ]
    widths = [max(len(name), *map(len, column)) for name, column in zip(["AGC", *columns], cells, strict=True)]
    lines = [
        "# Model spectra of hiexp, with the column names of VizieR J/ApJ/861/49/table2",
        "\t".join(["AGC", *columns]),
        "\t".join(["", *(unit for unit, _ in columns.values())]),
        "\t".join("-" * width for width in widths),
    ]
    lines += [
        "\t".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in zip(*cells, strict=True)
    ]
    file.write_text("\n".join(lines) + "\n")
    return file
