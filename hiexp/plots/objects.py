"""One object on one page: its spectrum, the fit, what the fit leaves, and the numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from hiexp.plots.figure import picture
from hiexp.plots.fits import CURVE, DATA, draw_fit, draw_residual
from hiexp.plots.labels import FLUX_DENSITY, RESIDUAL, label_of, velocity_of
from hiexp.printable import printable

if TYPE_CHECKING:
    import pandas as pd

    from hiexp.fitting import FitResult
    from hiexp.spectra import Spectra

WIDTH, HEIGHT = 8.27, 11.69  # inches: A4
COLUMNS = 3  # of numbers
LETTERS = 60  # of the name
SIZE, SPACING = 8.5, 1.6  # of the numbers, points, and their lines
VALUE = 0.165  # from the name of a number to its value, in widths of the page
NUMBERS = (
    *("position", "v_horns", "w50", "w50_horns", "w20", "w80", "wm50", "w50_horns_corr", "wm50_corr"),
    *("flux_peak", "flux_int", "logMHI", "snr", "chi2_dof", "A_flux", "A_fr", "A_spec", "horns", "trough_snr"),
    *("cog_flux", "cog_v25", "cog_v85", "cog_A_F", "cog_A_C", "cog_C_V", "cog_K"),
)


def plot_object(spectra: Spectra, fit: FitResult, row: int, file: Path) -> None:
    """Draw one object.

    From top to bottom: the whole spectrum, with the window of the fit shaded; the window with the fitted curve, the
    widths at 50 and 20 % of the peak and between the horns, and the systemic velocity; what the fit leaves, in rms;
    position on the sky, measurements with their errors, parameters of the model, flags and what they mean. Of an
    object without a good fit the spectrum and the reason.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    fit : FitResult
        Their fits.
    row : int
        Which of them.
    file : Path
        The picture to write, PDF or PNG by its name.
    """
    good, measured = bool(fit.good[row]), fit.table.iloc[row]
    with picture(file, WIDTH, HEIGHT) as figure:
        figure.text(0.08, 0.965, printable(str(spectra.ids[row]), LETTERS), size=15, weight="bold", va="top")
        figure.text(0.08, 0.938, _where(spectra.catalogue.iloc[row]), size=9, color="0.3", va="top")
        whole = figure.add_axes((0.1, 0.805, 0.86, 0.11))
        _draw_whole(whole, spectra, fit, row, good)
        if not good:
            figure.text(0.1, 0.7, f"not fitted: {measured['status']}", size=11)
            return
        panel = figure.add_axes((0.1, 0.5, 0.86, 0.255))
        draw_fit(panel, spectra, fit, row)
        panel.set_title("")
        panel.set_ylabel(FLUX_DENSITY)
        panel.tick_params(labelbottom=False)
        _mark_horns(panel, measured)
        legend = panel.legend(loc="upper right")
        for text in legend.get_texts():
            text.set_parse_math(True)
        if fit.parameters:
            lower = figure.add_axes((0.1, 0.41, 0.86, 0.08), sharex=panel)
            draw_residual(lower, spectra, fit, row)
            lower.set_ylabel(RESIDUAL)
        else:
            lower = panel
            panel.tick_params(labelbottom=True)
        lower.set_xlabel(velocity_of(spectra.frame))
        _write_numbers(figure.add_axes((0.08, 0.03, 0.88, 0.33)), fit, measured)


def page_name(id: str) -> str:
    """Return the stem of an object's file: letters, digits and ``._+-``, whatever its name holds."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", id).strip("._")[:LETTERS] or "object"


def _where(known: pd.Series) -> str:
    """Return the position on the sky in words; nothing where it is not known."""
    try:
        ra, dec = float(known["RAJ2000"]), float(known["DEJ2000"])
    except (KeyError, TypeError, ValueError):
        return ""
    if not (0 <= ra <= 360 and -90 <= dec <= 90):
        return ""
    from astropy.coordinates import SkyCoord

    place = SkyCoord(ra, dec, unit="deg").to_string("hmsdms", precision=1)
    return f"{place} (J2000)   {ra:.5f} {dec:+.5f} deg"


def _draw_whole(panel: Axes, spectra: Spectra, fit: FitResult, row: int, good: bool) -> None:
    flux = np.where(spectra.valid[row], spectra.flux[row], np.nan)
    panel.step(spectra.velocity[row], flux, where="mid", color=DATA, lw=0.5)
    panel.axhline(0, color="0.7", lw=0.6, zorder=0)
    used = spectra.velocity[row, spectra.valid[row]]
    if used.size:
        panel.set_xlim(used.min(), used.max())
    if good:
        panel.axvspan(*fit.windows[row], color=CURVE, alpha=0.12, lw=0)
    panel.set_ylabel(FLUX_DENSITY)
    panel.set_xlabel(velocity_of(spectra.frame))


def _mark_horns(panel: Axes, measured: pd.Series) -> None:
    middle, width = measured.get("v_horns", np.nan), measured.get("w50_horns", np.nan)
    if not np.isfinite([middle, width]).all():
        return
    panel.axvline(middle, color="0.4", lw=1, ls="--", label="systemic velocity")
    low, high = middle - width / 2, middle + width / 2
    panel.plot([low, high], [0, 0], color="C4", lw=0, marker="^", ms=7, label=r"$W_{50}$ of the horns")


def _write_numbers(panel: Axes, fit: FitResult, measured: pd.Series) -> None:
    """Write measurements, parameters and flags in columns."""
    from hiexp.fitting.flags import FLAGS
    from hiexp.fitting.measurements import DATA_MEASUREMENTS, MEASUREMENTS

    units = {name: row.unit for name, row in (MEASUREMENTS | DATA_MEASUREMENTS).items()} | dict(fit.parameters)
    known = [name for name in (*NUMBERS, *fit.parameters) if np.isfinite(measured.get(name, np.nan))]
    panel.set_axis_off()
    length = -(-len(known) // COLUMNS)
    step = SIZE * SPACING / 72 / (panel.get_position().height * HEIGHT)  # from line to line
    for place, name in enumerate(known):
        left, y = place // length / COLUMNS, 1 - step * (place % length + 1)
        words, math = label_of(name, "")
        value = f"{_with_error(measured, name)} {units[name].replace(' / ', '/')}".rstrip()
        panel.text(left, y, words, size=SIZE, parse_math=math)
        panel.text(left + VALUE, y, value, size=SIZE)
    flags = [flag for flag in str(measured.get("flags", "")).split(",") if flag in FLAGS]
    said = "\n".join(f"{flag}: {FLAGS[flag]}" for flag in flags) or "no flags"
    panel.text(0, 1 - step * (length + 1), said, va="top", size=8, color=CURVE if flags else "0.3", wrap=True)


def _with_error(measured: pd.Series, name: str) -> str:
    value, error = float(measured[name]), float(measured.get(f"{name}_err", np.nan))
    if not (np.isfinite(error) and error > 0):
        return f"{value:.4g}"
    places = max(1 - int(np.floor(np.log10(error))), 0)
    return f"{value:.{places}f} ± {error:.{places}f}"
