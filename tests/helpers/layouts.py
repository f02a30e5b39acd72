"""Three known lines, and the layouts in which people keep spectra, each written from them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from hiexp.spectra import Spectra
from hiexp.spectral.channels import noise_rms

LIGHT, REST = 299_792.458, 1420.40575177  # km/s, MHz
N = 400
NAMES = ["NGC 11", "NGC 22", "UGC 3"]
CENTRES, WIDTHS, PEAKS = [4000.0, 4200.0, 3900.0], [90.0, 60.0, 40.0], [40.0, 80.0, 60.0]
FREQUENCY = REST / (1 + 4000 / LIGHT) + 0.0244 * (np.arange(N) - N / 2)  # MHz, ascending: velocities descend
OPTICAL = LIGHT * (REST / FREQUENCY - 1)
RADIO = LIGHT * (1 - FREQUENCY / REST)
NOISE = np.random.default_rng(4).normal(0, 1.0, (len(NAMES), N))


def lines(velocity: np.ndarray = OPTICAL) -> np.ndarray:
    """Return the three spectra, mJy, shape (3, L), on optical velocities: Gaussian lines and noise of 1 mJy."""
    shape = [
        peak * np.exp(-0.5 * ((velocity - centre) / width) ** 2)
        for centre, width, peak in zip(CENTRES, WIDTHS, PEAKS, strict=True)
    ]
    return np.array(shape) + NOISE[:, : velocity.size]


def known_spectra(velocity: np.ndarray = OPTICAL, masked: np.ndarray | None = None) -> Spectra:
    """Return what every layout should give."""
    order = np.argsort(velocity)
    flux = lines(velocity)[:, order]
    valid = np.ones(flux.shape, dtype=bool)
    if masked is not None:
        valid[:, np.isin(order, masked)] = False
    flux = np.where(valid, flux, 0.0)
    return Spectra(
        ids=np.array(NAMES),
        velocity=np.tile(velocity[order], (len(NAMES), 1)),
        flux=flux,
        rms=np.array([noise_rms(*pair) for pair in zip(flux, valid, strict=True)]),
        valid=valid,
        catalogue=pd.DataFrame(index=NAMES),
        systemic=np.full(len(NAMES), np.nan),
    )


Written = tuple[Path, dict[str, Any], dict[str, Any]]  # the path, what the user gives, arguments of `known_spectra`


def text(
    folder: Path,
    axis: np.ndarray,
    flux: np.ndarray,
    row: str = "{:.10g} {:.8g}",
    head: str = "",
    end: str = "\n",
    pack: Callable[[bytes], bytes] = bytes,
    ending: str = ".txt",
    encoding: str = "utf-8",
) -> Path:
    """Write a file an object, its name in the file's."""
    for name, one in zip(NAMES, flux, strict=True):
        rows = [row.format(*cells, i=i) for i, cells in enumerate(zip(axis, one, strict=True))]
        words = head.format(name=name).splitlines() + rows
        (folder / f"{name}{ending}").write_bytes(pack((end.join(words) + end).encode(encoding)))
    return folder


def channel_mhz_jy(folder: Path) -> Written:
    path = text(folder, FREQUENCY, lines() / 1000, "{i} {:.10g} {:.8g}")
    return path, {"units": {"velocity": "MHz", "flux": "Jy"}}, {}


def metres_a_second(folder: Path) -> Written:
    return text(folder, 1000 * OPTICAL, lines(), head="# velocity (m/s)   flux (mJy)"), {}, {}


def decimal_commas(folder: Path) -> Written:
    for name, one in zip(NAMES, lines(), strict=True):
        rows = [f"{v:.6f};{s:.6f}".replace(".", ",") for v, s in zip(OPTICAL, one, strict=True)]
        (folder / f"{name}.csv").write_text("Velocity [km/s];Flux density [mJy]\n" + "\n".join(rows))
    return folder, {}, {}


def radio_text(folder: Path) -> Written:
    return text(folder, RADIO, lines(), head="# v_rad flux\n# km/s mJy"), {}, {}


def radio_by_word(folder: Path) -> Written:
    return text(folder, RADIO, lines(), head="! vel[km/s] S[mJy]"), {"convention": "radio"}, {}


def sofia(folder: Path) -> Written:
    head = (
        "# Integrated source spectrum\n#\n#   1   2   3   4\n#  chan  freq  f_sum  n_pix\n#  -  Hz  Jy/beam  -\n#\n"
    )
    path = text(folder, 1e6 * FREQUENCY, lines() / 1000 * 25, "{i} {:.12g} {:.8g} 30", head, ending="_spec.txt")
    return path, {"beam_pixels": 25.0, "id": "(.*)_spec"}, {}


def gbtidl(folder: Path) -> Written:
    head = "Scan:    152    {name} 2021-02-10 +07 38 37.5\n    OPTICAL    Ta\n    km/s-HEL    YY\n"
    return text(folder, OPTICAL, lines() / 1000 * 1.5, head=head, ending="x.ascii"), {"gain": 1.5}, {}


def gzipped(folder: Path) -> Written:
    path = text(
        folder, FREQUENCY / 1000, lines(), head="freq_GHz\tflux_mJy", row="{:.12g}\t{:.8g}", pack=gzip.compress
    )
    return path, {}, {}


def windows(folder: Path) -> Written:
    path = text(
        folder,
        OPTICAL,
        lines(),
        '"{:.6f}","{:.6f}"',
        '"velocity","flux"',
        "\r\n",
        ending=".csv",
        encoding="utf-8-sig",
    )
    return path, {"units": {"flux": "mJy"}}, {}


MASKED = np.array([20, 21, 22, 300])


def flagged(folder: Path) -> Written:
    flux = lines()
    flux[:, MASKED] = 500.0
    for name, one in zip(NAMES, flux, strict=True):
        flags = np.isin(np.arange(N), MASKED).astype(int)
        rows = [f"{v:.7f},{s:.7f},{f}" for v, s, f in zip(OPTICAL, one, flags, strict=True)]
        (folder / f"{name}.csv").write_text("velocity (km/s),flux (mJy),flag\n" + "\n".join(rows))
    return folder, {}, {"masked": MASKED}


def weighted(folder: Path) -> Written:
    flux = lines()
    flux[:, MASKED] = 500.0
    weight = np.where(np.isin(np.arange(N), MASKED), 0, 7)
    for name, one in zip(NAMES, flux, strict=True):
        columns = {"WEIGHT": weight, "FLUX": one * u.mJy, "VHELIO": OPTICAL * u.km / u.s}
        Table(columns, meta={"OBJECT": name}).write(folder / f"{name[-2:].strip()}.fits")
    return folder, {}, {"masked": MASKED}


def long_table(folder: Path) -> Written:
    rows = [
        f"{name},{velocity:.7f},{flux:.7f}"
        for name, one in zip(NAMES, lines(), strict=True)
        for velocity, flux in zip(OPTICAL, one, strict=True)
    ]
    (folder / "all.csv").write_text("object,velocity (km/s),flux (mJy)\n" + "\n".join(rows))
    return folder / "all.csv", {}, {}


def tables(folder: Path, form: str, ending: str, **options: Any) -> Path:
    """Write an astropy table an object, with units and the object's name."""
    for name, one in zip(NAMES, lines(), strict=True):
        table = Table({"frequency": FREQUENCY * u.MHz, "flux": one / 1000 * u.Jy}, meta={"OBJECT": name})
        table.write(folder / f"{name}.{ending}", format=form, **options)
    return folder


def ecsv(folder: Path) -> Written:
    return tables(folder, "ascii.ecsv", "ecsv"), {}, {}


def votable(folder: Path) -> Written:
    return tables(folder, "votable", "vot"), {}, {}


def fits_rows(folder: Path) -> Written:
    return tables(folder, "fits", "fits"), {}, {}


def arrays_in_rows(folder: Path) -> Written:
    table = Table({"source": NAMES, "RA": [1.0, 2.0, 3.0], "DEC": [-1.0, 0.0, 1.0]})
    table["vopt"] = np.tile(1000 * OPTICAL, (3, 1)) * u.m / u.s
    table["spectrum"] = lines() * u.mJy
    table.write(folder / "sample.fits")
    return folder / "sample.fits", {}, {}


def sdfits(folder: Path) -> Written:
    towards = 6175.0 / 1000 / LIGHT  # observed frequencies, brought to the frame by its velocity
    table = Table({"OBJECT": NAMES, "DATA": (lines() / 1000 * 1.5).astype("f8"), "CAL": ["F"] * 3, "SIG": ["T"] * 3})
    observed = 1e6 * FREQUENCY / np.sqrt((1 + towards) / (1 - towards))
    for key, value in {
        "TUNIT2": "Ta",
        "CTYPE1": "FREQ-OBS",
        "CRVAL1": observed[100],
        "CDELT1": observed[1] - observed[0],
        "CRPIX1": 101.0,
        "VELDEF": "OPTI-HEL",
        "VFRAME": 6175.0,
    }.items():
        table[key] = [value] * 3
    table.write(folder / "averaged.fits")
    return folder / "averaged.fits", {"gain": 1.5}, {}


def image(folder: Path, flux: np.ndarray, cards: dict[str, Any]) -> Path:
    """Write a FITS image an object."""
    for name, one in zip(NAMES, flux, strict=True):
        hdu = fits.PrimaryHDU(one)
        hdu.header.update({"OBJECT": name, "RESTFRQ": 1e6 * REST} | cards)
        hdu.writeto(folder / f"{name}.fits")
    return folder


def image_freq(folder: Path) -> Written:
    cards = {"CTYPE1": "FREQ", "CUNIT1": "Hz", "CRPIX1": 1, "CRVAL1": 1e6 * FREQUENCY[0], "CDELT1": 24400.0}
    return image(folder, lines() / 1000, {**cards, "BUNIT": "Jy", "SPECSYS": "BARYCENT"}), {}, {}


def image_vrad(folder: Path) -> Written:
    step = RADIO[1] - RADIO[0]
    cards = {"CTYPE1": "VRAD", "CUNIT1": "km/s", "CRPIX1": 1, "CRVAL1": RADIO[0], "CDELT1": step, "BUNIT": "mJy"}
    return image(folder, lines(), cards), {}, {}


def image_velo_hel(folder: Path) -> Written:
    velocity = 3000 + 5.0 * np.arange(N)
    cards = {"CTYPE1": "VELO-HEL", "CRPIX1": 1, "CRVAL1": 3e6, "CDELT1": 5000.0, "CUNIT1": "m/s", "BUNIT": "MJY"}
    return image(folder, lines(velocity), cards), {"units": {"flux": "mJy"}}, {"velocity": velocity}


def image_felo(folder: Path) -> Written:
    step = -((LIGHT + OPTICAL[200]) ** 2) / LIGHT * 0.0244 / REST
    cards = {"CTYPE1": "FELO-HEL", "CRPIX1": 201, "CRVAL1": 1000 * OPTICAL[200], "CDELT1": 1000 * step}
    return image(folder, lines(), {**cards, "CUNIT1": "m/s", "BUNIT": "mJy"}), {}, {}


def image_four_axes(folder: Path) -> Written:
    cards: dict[str, Any] = {
        "CTYPE3": "FREQ",
        "CUNIT3": "MHz",
        "CRPIX3": 1.0,
        "CRVAL3": FREQUENCY[0],
        "CDELT3": 0.0244,
    }
    for axis, kind, value in ((1, "RA---SIN", 30.0), (2, "DEC--SIN", 10.0), (4, "STOKES", 1.0)):
        cards |= {f"CTYPE{axis}": kind, f"CRVAL{axis}": value, f"CRPIX{axis}": 1.0, f"CDELT{axis}": 1.0}
    return image(folder, lines()[:, None, :, None, None], {**cards, "BUNIT": "mJy/beam"}), {"beam_pixels": 1.0}, {}


def wavelengths(folder: Path) -> Written:
    return (
        text(folder, 1e-4 * LIGHT / FREQUENCY * 1e5 / 100, lines(), "{:.13g}|{:.9g}", "lambda (cm) | S (mJy)"),
        {},
        {},
    )


LAYOUTS = [
    *(channel_mhz_jy, metres_a_second, decimal_commas, radio_text, radio_by_word, sofia, gbtidl, gzipped, windows),
    *(flagged, weighted, long_table, ecsv, votable, fits_rows, arrays_in_rows, sdfits, wavelengths),
    *(image_freq, image_vrad, image_velo_hel, image_felo, image_four_axes),
]
