"""Model galaxies like a sample: as wide, as bright, in the same channels and the same noise, with truth."""

from __future__ import annotations

import glob
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
from hiexp.datasets.mock.skies import streams
from hiexp.datasets.mock.smoothing import correlation_error, gaussian_smoothing
from hiexp.datasets.own_spectra import read_spectra
from hiexp.datasets.tables import listed, read_table
from hiexp.errors import InputError
from hiexp.kinds import Count, Fraction, Name, NotNegative, Seed
from hiexp.spectra import Spectra

FITS_TABLES = ("fits.parquet", "fits.ecsv")
LARGEST_ERROR = 0.3  # of W50 over W50: beyond that an error is one of another line, or of none
CHOSEN = 4.5  # of the square of a S/N: centre and width of the box
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
    sample, drawn at random; everything else (rotation curve, gas, lopsidedness) is that of model discs. What errors
    of measurement have added to these is taken off, since the sky will be measured as the sample was.
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
    lines = _without_errors(_lines(like, line_fit), n_channels)
    for_discs, for_bands, for_noise = streams(seed)
    rounds = -(-n_galaxies // len(lines))  # every line once before any is drawn again
    rows = np.concatenate([for_discs.permutation(len(lines)) for _ in range(rounds)])[:n_galaxies]
    chosen = lines.iloc[rows]
    discs = Discs(lopsidedness, rotation_lopsidedness, companion_fraction)
    galaxies, khz, smoothing = draw_alike(for_discs, for_bands, chosen, discs, n_channels, rotation)
    ids = np.array([f"L{number:05d}" for number in range(1, n_galaxies + 1)])
    receiver = Receiver(n_channels, khz, ripple, rfi, smoothing)
    spectra = receiver.observe(galaxies, ids, for_noise, np.float32)
    spectra.catalogue["like"] = chosen.index.to_numpy()
    return spectra


def _lines(like: str, line_fit: Callable[[Spectra], Any]) -> pd.DataFrame:
    """Return the lines of a sample that can be drawn, `LINE`, indexed by object."""
    table = fits_of(like)
    if table is None:
        table = line_fit(spectra_of(like)).table
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
    errors = table.get("w50_err", np.nan)
    return numbers.assign(w50_err=pd.to_numeric(errors, errors="coerce"))[usable]


def _without_errors(lines: pd.DataFrame, n_channels: int) -> pd.DataFrame:
    """Take off what errors of measurement have added to lines, for the lines drawn will be measured again.

    The brightest of all boxes has some noise in its favour, so the square of a fitted S/N is too large by about the
    number of what was chosen. W50 and the noise's correlation scatter more than what they measure: they are drawn
    together about their mean until, with their errors, they would scatter as they do.
    """
    snr = lines["snr"].to_numpy()
    error = np.minimum(np.nan_to_num((lines["w50_err"] / lines["w50"]).to_numpy(), posinf=0), LARGEST_ERROR)
    correlation = lines["noise_correlation"].to_numpy()
    uncertain = correlation_error(gaussian_smoothing(correlation), n_channels)
    return lines.assign(
        snr=np.sqrt(np.maximum(snr**2 - CHOSEN, snr**2 / 4)),
        w50=np.exp(_drawn_together(np.log(lines["w50"].to_numpy()), error)),
        noise_correlation=_drawn_together(correlation, uncertain),
    )


def _drawn_together(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return values, shape (N,), which scatter as they do now once such errors have been added to them."""
    mean, variance = values.mean(), errors**2
    true = max(values.var() - variance.mean(), 0.0)
    share = np.divide(true, true + variance, out=np.ones(len(values)), where=true + variance > 0)
    return mean + (values - mean) * np.sqrt(share)


def fits_of(like: str) -> pd.DataFrame | None:
    """Return the table of fits of a sample, by object; None where it is given as spectra.

    Raises
    ------
    InputError
        If the table is damaged.
    """
    place = Path(like)
    inside = [place / name for name in FITS_TABLES] if is_folder(place, "dataset.like") else []
    return _table(next((file for file in inside if file.is_file()), place))


def spectra_of(like: str) -> Spectra:
    """Read the spectra of a sample that is a file, a folder or a pattern of them.

    Raises
    ------
    InputError
        If they are not there, or do not tell all that `read_spectra` asks for.
    """
    refuse_missing(like)
    try:
        return read_spectra(like)
    except InputError as error:
        raise InputError(
            f"{str(error).replace('dataset.path=', 'dataset.like=')}; or fit them with  python -m hiexp.fit  and all "
            "that the dataset needs, and give that run's folder"
        ) from error


def refuse_missing(like: str) -> None:
    """Raise an `InputError` where there is no such file, folder or pattern."""
    if not Path(like).exists() and not glob.has_magic(like):
        raise InputError(f"dataset.like={like}: no such file or folder; give a run's folder, its fits, or spectra")


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
