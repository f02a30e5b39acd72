"""Fits as one looks at them: examples from best to worst, and how their numbers are distributed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from scipy.ndimage import uniform_filter1d

from hiexp.plots.figure import PAGE, SMALL, caption, panels, picture, set_logarithmic
from hiexp.plots.labels import COLUMNS as LABELS
from hiexp.plots.labels import FLUX_DENSITY, RESIDUAL, name_axis, velocity_of
from hiexp.printable import printable

if TYPE_CHECKING:  # hiexp.fitting imports torch, which takes seconds and which the pictures of a sweep do without
    import pandas as pd

    from hiexp.fitting import FitResult
    from hiexp.spectra import Spectra

COLUMNS = 3  # examples side by side: as many of the best, of the middle and of the worst
BEYOND = 0.25  # what is shown on each side of the window, in widths of the window
DATA, CURVE, WIDTHS = "0.35", "C2", "C0"
STYLES = {"w50": (0.5, "-"), "w20": (0.2, "--")}  # level of a width and how it is drawn
OF_MODEL: dict[str, Any] = {"facecolor": "C1", "edgecolor": "0.2", "hatch": "/////", "lw": 0.4}
WIDE = 30  # ratio of the ends of an axis from which on it may be logarithmic
HEIGHTS = (FLUX_DENSITY, RESIDUAL.replace(" /", "\n/"))  # of a fit and of what it leaves
LETTERS = 36  # of the name of an object
HISTOGRAMS_A_LINE = 4
HISTOGRAM = (1.42, 0.95)  # inches
WIDTH, FIT, LEFT = PAGE, 1.3, 0.45  # width of the page of fits, heights of a fit and of what it leaves, inches
SIDES, TOP, BOTTOM, GAP = (0.65, 0.08), 0.5, 0.55, 0.52  # margins of the page and room between its lines, inches


def plot_fits(spectra: Spectra, fit: FitResult, file: Path) -> None:
    """Draw the three best fits, the three in the middle and the three worst, by chi2_dof or else by S/N.

    Each panel has the valid channels, the curve that W50 and W20 are measured on, and these widths at half and a
    fifth of its peak; what lies outside the window is shaded. Below a model is what it leaves, in rms. Nothing is
    written where no good fit has a chi2_dof or a S/N.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    fit : FitResult
        Fits of these spectra. Without a model the curve is the data smoothed over three channels, as `fit_none` does.
    file : Path
        The PNG to write.
    """
    by, order = _ranked(fit)
    if not order.size:
        return
    groups = _examples(order)
    heights = [FIT, LEFT] if fit.parameters else [FIT]
    line = sum(heights)
    height = TOP + len(groups) * (line + GAP) - GAP + BOTTOM
    with picture(file, WIDTH, height) as figure:
        grid = figure.add_gridspec(
            len(groups),
            COLUMNS,
            left=SIDES[0] / WIDTH,
            right=1 - SIDES[1] / WIDTH,
            bottom=BOTTOM / height,
            top=1 - TOP / height,
            wspace=0.17,
            hspace=GAP / line,
        )
        for below, (name, rows) in enumerate(groups):
            for column, row in enumerate(rows):
                cell = grid[below, column].subgridspec(len(heights), 1, height_ratios=heights, hspace=0.07)
                panel, *residual = cell.subplots(sharex=True, squeeze=False).flat
                draw_fit(panel, spectra, fit, row)
                for lower in residual:
                    draw_residual(lower, spectra, fit, row)
                if column == 0:
                    panel.text(-0.29, 0.5, name, transform=panel.transAxes, va="center", rotation=90, weight="bold")
                    for axes, words in zip([panel, *residual], HEIGHTS, strict=False):
                        axes.set_ylabel(words)
                        axes.yaxis.set_label_coords(-0.16, 0.5)  # one below the other, however long the numbers are
        what = ("fit" if fit.parameters else "line") + ("s" if len(order) > 1 else "")
        caption(figure, f"{len(order)} {what}, ranked by {by}")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        legend = figure.legend(handles, labels, loc="lower center", ncols=len(labels), borderpad=0.1)
        for text in legend.get_texts():
            text.set_parse_math(True)
        figure.supxlabel(velocity_of(spectra.frame), y=0.22 / height)


def plot_parameters(fit: FitResult, file: Path) -> None:
    """Draw a histogram of each parameter of the model and of each measurement, with its median and 16-84 % range.

    An axis runs from the 0.5th to the 99.5th percentile, and the title says how many objects lie outside; it is
    logarithmic where that range is wide and most objects are near its lower end. Columns without a value are left
    out.

    Parameters
    ----------
    fit : FitResult
        Fits of N objects; the good ones are counted.
    file : Path
        The PNG to write; nothing is written where there is no value at all.
    """
    from hiexp.fitting.measurements import MEASUREMENTS

    units = dict(fit.parameters) | {name: row.unit for name, row in MEASUREMENTS.items() if row.drawn}
    good = fit.good

    def known(name: str) -> np.ndarray:
        values = fit.table[name].to_numpy(float)
        return values[good & np.isfinite(values)]

    # Column by column: of all of them no copy is made.
    names = [name for name in units if name in fit.table and known(name).size]
    number = len(names)
    if not number:
        return
    top = 0.48 if number > 1 else 0.6  # for a title of two lines
    with panels(file, number, HISTOGRAMS_A_LINE, HISTOGRAM, left=0.5, bottom=0.38, top=top, gap=(0.27, 0.52)) as (
        figure,
        drawn,
    ):
        for panel, name in zip(drawn, names, strict=True):
            _draw_histogram(panel, known(name), of_model=name in fit.parameters)
            name_axis(panel.xaxis, name, units[name])
        of_model = "; hatched: parameters of the model" if fit.parameters else ""
        objects = f"{good.sum()} object{'s' if good.sum() > 1 else ''}"
        caption(figure, f"{objects}: median (line) and 16-84 % (shaded){of_model}", y="objects")


def _ranked(fit: FitResult) -> tuple[str, np.ndarray]:
    """Return by what the good fits are ranked and their rows, best first."""
    for name, column, sign in (("reduced χ²", "chi2_dof", 1), ("S/N", "snr", -1)):
        values = sign * fit.table[column].to_numpy(float)
        known = np.flatnonzero(fit.good & np.isfinite(values))
        if known.size:
            return name, known[np.argsort(values[known], kind="stable")]
    return "", np.array([], dtype=int)


def _examples(order: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return the rows of the best, the middle and the worst; of all where there are no more than these."""
    if len(order) <= 3 * COLUMNS:
        return [("all", order[start : start + COLUMNS]) for start in range(0, len(order), COLUMNS)]
    middle = (len(order) - COLUMNS) // 2
    return [
        ("best", order[:COLUMNS]),
        ("middle", order[middle : middle + COLUMNS]),
        ("worst", order[-COLUMNS:]),
    ]


def _curve(spectra: Spectra, fit: FitResult, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Return velocities (km/s) and flux densities (mJy) of the curve that widths are measured on."""
    low, high = fit.windows[row]
    if fit.parameters:
        return np.linspace(low, high, fit.profiles.shape[1]), fit.profiles[row]
    inside = (spectra.velocity[row] >= low) & (spectra.velocity[row] <= high)
    smooth = np.where(spectra.valid[row], uniform_filter1d(spectra.flux[row], 3), 0.0)
    return spectra.velocity[row, inside], smooth[inside]


def _channels(spectra: Spectra, fit: FitResult, row: int, beyond: float) -> tuple[np.ndarray, np.ndarray]:
    """Return velocity and flux of the channels in the window and somewhat `beyond`, NaN where they are masked."""
    low, high = fit.windows[row]
    reach = beyond * (high - low)
    shown = (spectra.velocity[row] >= low - reach) & (spectra.velocity[row] <= high + reach)
    flux = np.where(spectra.valid[row], spectra.flux[row], np.nan)
    return spectra.velocity[row, shown], flux[shown]


def draw_fit(panel: Axes, spectra: Spectra, fit: FitResult, row: int) -> None:
    """Draw the valid channels around the window of a fit, the curve, W50 and W20 into a panel."""
    from hiexp.spectral.widths import edges

    panel.step(*_channels(spectra, fit, row, BEYOND), where="mid", color=DATA, lw=0.6, label="data")
    velocity, curve = _curve(spectra, fit, row)
    label = "model" if fit.parameters else "smoothed over 3 channels"
    panel.plot(velocity, curve, color=CURVE, lw=1.2, label=label)
    for name, (level, dashes) in STYLES.items():
        ends = np.concatenate(edges(velocity[None], curve[None], level))
        height = np.full(2, level * curve.max())
        panel.plot(ends, height, ls=dashes, color=WIDTHS, lw=1, marker="|", ms=6, label=LABELS[name][0])
    _shade_outside(panel, fit.windows[row])
    panel.yaxis.get_offset_text().set(x=-0.01, ha="right", size=SMALL)
    panel.set_title(_title(fit.table.iloc[row]), fontsize=SMALL)


def draw_residual(panel: Axes, spectra: Spectra, fit: FitResult, row: int) -> None:
    """Draw what a fit leaves of the channels in its window, in rms, into a panel."""
    velocity, flux = _channels(spectra, fit, row, 0)
    rms = spectra.rms[row]
    noise = np.interp(velocity, spectra.velocity[row], rms) if np.ndim(rms) else rms
    residual = (flux - np.interp(velocity, *_curve(spectra, fit, row))) / noise
    panel.axhspan(-1, 1, color="0.85", lw=0)
    panel.step(velocity, residual, where="mid", color=DATA, lw=0.6)
    _shade_outside(panel, fit.windows[row])
    reach = 1.1 * max(3, np.nanmax(np.abs(residual), initial=0))
    panel.set_ylim(-reach, reach)


def _shade_outside(panel: Axes, window: np.ndarray) -> None:
    reach = BEYOND * (window[1] - window[0])
    panel.axvspan(window[0] - reach, window[0], color="0.93", lw=0, zorder=0)
    panel.axvspan(window[1], window[1] + reach, color="0.93", lw=0, zorder=0)
    panel.set_xlim(window[0] - reach, window[1] + reach)


def _title(measured: pd.Series) -> str:
    words = {"reduced χ²": ("chi2_dof", ""), "S/N": ("snr", ""), "W50": ("w50", " km/s")}
    known = [
        f"{name} {measured[column]:.3g}{unit}"
        for name, (column, unit) in words.items()
        if np.isfinite(measured[column])
    ]
    return "\n".join([printable(str(measured.name), LETTERS), ",  ".join(known)])


def _draw_histogram(panel: Axes, values: np.ndarray, of_model: bool) -> None:
    low = np.percentile(values, 0.5, method="lower")
    high = np.percentile(values, 99.5, method="higher")
    p16, median, p84 = np.percentile(values, [16, 50, 84])
    # A wide range of which most objects crowd the low end.
    logarithmic = low > 0 and high > WIDE * low and median < (low + high) / 4
    spaced = np.geomspace if logarithmic else np.linspace
    one_value = np.isclose(low, high, rtol=1e-9, atol=0)
    margin = 0.5 * (abs(low) or 1) if one_value else 0
    n_bins = 11 if one_value else int(np.clip(2 * np.sqrt(values.size), 10, 50))  # 11 have one in the middle
    bins = spaced(low - margin, high + margin, n_bins + 1)
    panel.axvspan(p16, p84, color="0.9", lw=0)
    panel.stairs(np.histogram(values, bins)[0], bins, fill=True, **(OF_MODEL if of_model else {"color": "C0"}))
    panel.locator_params(axis="y", integer=True)
    panel.xaxis.get_offset_text().set_fontsize(6)
    panel.axvline(median, color="0.2", lw=1.2)
    if logarithmic:
        set_logarithmic(panel, low, high)
    outside = np.sum((values < low) | (values > high))
    panel.set_title(f"N = {values.size}" + (f", {outside} outside" if outside else ""), fontsize=SMALL)
