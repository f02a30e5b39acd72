"""Model galaxies like a sample: as wide, as bright, in the same channels and the same noise, with truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from annotated_types import Ge

from hiexp.datasets.files import is_folder
from hiexp.datasets.mock.alike import LINE, draw_alike
from hiexp.datasets.mock.populations import Discs
from hiexp.datasets.mock.receiver import Receiver
from hiexp.datasets.own_spectra import read_spectra
from hiexp.datasets.tables import listed, read_table
from hiexp.errors import InputError
from hiexp.kinds import Count, Fraction, Name, NotNegative, Seed
from hiexp.spectra import Spectra

FITS_TABLE = "fits.parquet"
POSITIVE = ("w50", "snr", "rms", "channel_width")


def mock_like(
    like: Name,
    line_fit: Callable[[Spectra], Any],
    n_galaxies: Count = 10_000,
    seed: Seed = 1,
    n_channels: Annotated[int, Ge(3)] = 1024,
    rotation: Literal["polyex", "arctan"] = "polyex",
    lopsidedness: Fraction = 0.25,
    rotation_lopsidedness: Fraction = 0.05,
    companion_fraction: Fraction = 0.1,
    ripple: NotNegative = 0.0,
    rfi: NotNegative = 0.0,
) -> Spectra:
    """Draw model discs with the joint distribution of W50, S/N, rms, channels and smoothing that a sample has.

    Each galaxy has the position, W50, S/N, rms, width of a channel and correlation of the noise of a line of the
    sample, drawn at random; everything else (rotation curve, gas, lopsidedness) is that of model discs.
    ``docs/mock.md`` has the equations.

    Parameters
    ----------
    like : str
        The sample: the folder of a run of ``hiexp.fit`` or ``hiexp.train``; its table of fits (``fits.parquet``,
        ``fits.ecsv``, or another with these columns); or spectra as `read_spectra` takes them, which are fitted
        first.
    line_fit : callable
        The fit of such spectra.
    n_galaxies : int
        Galaxies drawn.
    seed : int
        Seed of the sample.
    n_channels : int
        Channels a spectrum.
    rotation, lopsidedness, rotation_lopsidedness, companion_fraction, ripple, rfi
        As in `mock_cig`.

    Returns
    -------
    Spectra
        As of `mock_cig`, without positions on the sky, distances and masses; `like` in the catalogue is the object
        of the sample that a galaxy is like.

    Raises
    ------
    InputError
        If there is no such sample, its table does not have what is needed, or none of its lines can be used.
    """
    lines = _lines(like, line_fit)
    for_discs, for_bands, for_noise = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)
    )
    rows = for_discs.integers(0, len(lines), n_galaxies)
    chosen = lines.iloc[rows]
    discs = Discs(
        speed=0,  # and the next three are not used: W50 says how fast they turn
        speed_slope=0,
        speed_scatter=0,
        least_inclination=0,
        lopsidedness=lopsidedness,
        rotation_lopsidedness=rotation_lopsidedness,
        companion_fraction=companion_fraction,
    )
    galaxies, khz, smoothing = draw_alike(for_discs, for_bands, chosen, discs, n_channels, rotation)
    ids = np.array([f"L{number:05d}" for number in range(1, n_galaxies + 1)])
    receiver = Receiver(n_channels, khz, ripple, rfi, smoothing)
    spectra = receiver.observe(galaxies, ids, for_noise, np.float32)
    spectra.catalogue["like"] = chosen.index.to_numpy()
    return spectra


def _lines(like: str, line_fit: Callable[[Spectra], Any]) -> pd.DataFrame:
    """Return the lines of a sample that can be drawn, `LINE`, indexed by object."""
    place = Path(like)
    folder = is_folder(place, "dataset.like")
    table = _table(place / FITS_TABLE if folder and (place / FITS_TABLE).is_file() else place)
    if table is None:
        table = line_fit(read_spectra(like)).table
    missing = [name for name in LINE if name not in table]
    if missing:
        raise InputError(
            f"dataset.like={like}: its table has no column {missing[0]}, but {listed(table.columns)}; fit the "
            "spectra with  python -m hiexp.fit  and give that run's folder"
        )
    numbers = table[list(LINE)].apply(pd.to_numeric, errors="coerce").astype(float)
    usable = np.isfinite(numbers).all(axis=1) & (numbers[list(POSITIVE)] > 0).all(axis=1)
    if "status" in table:
        usable &= table["status"] == "ok"
    if not usable.any():
        raise InputError(f"dataset.like={like}: none of its {len(table)} lines has a fit with W50, S/N and rms")
    return numbers[usable]


def _table(file: Path) -> pd.DataFrame | None:
    """Return a table of fits; None where the file, or folder, is none."""
    if not file.is_file():
        return None
    if file.suffix == ".parquet":
        try:
            table = pd.read_parquet(file)
        except Exception as error:  # any reader error
            raise InputError(f"{file} is damaged ({str(error).partition(chr(10))[0][:200]}); fit again") from error
    else:
        try:
            table = read_table(file, ("id", "status"))
        except InputError:
            return None
        if not {"w50", "snr"} <= set(table.columns):
            return None  # a spectrum
    return table.set_index("id") if "id" in table else table
