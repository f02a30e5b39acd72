"""Fits as one looks at them: examples from best to worst, and how their numbers are distributed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter
from scipy.ndimage import uniform_filter1d

from hiexp.plots.canvas import caption, new_figure, write
from hiexp.plots.panel import Panel, panels

if TYPE_CHECKING:  # hiexp.fitting imports torch, which takes seconds and which the pictures of a sweep do without
    import pandas as pd

    from hiexp.fitting import FitResult
    from hiexp.spectra import Spectra

COLUMNS = 3  # examples side by side: as many of the best, of the middle and of the worst
BEYOND = 0.25  # what is shown on each side of the window, in widths of the window
DATA, CURVE, WIDTHS = "0.35", "C3", "C0"
WIDE = 30  # ratio of the ends of an axis from which on it may be logarithmic
LEFT_OUT = ("chi2", "mse")  # of the histograms: chi2_dof says the same of spectra of any length
HISTOGRAMS_A_LINE = 4
FIT, RESIDUAL, HISTOGRAM = (3.35, 2.1), (3.35, 0.7), (2.42, 1.6)  # panels, inches
WIDTH, LEFT, TOP, BOTTOM = 12, 0.8, 0.3, 0.55  # of the page of fits, and its margins, inches
TITLE, BETWEEN, BELOW, BESIDE = 0.27, 0.1, 0.3, 0.5  # room above, within, below and beside a fit, inches


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
        Of these spectra. Without a model the curve is the data smoothed over three channels, as `fit_none` does.
    file : Path
        The PNG to write.
    """
    by, order = _ranked(fit)
    if not order.size:
        return
    groups = _examples(order)
    residual = RESIDUAL[1] + BETWEEN if fit.parameters else 0
    line = TITLE + FIT[1] + residual + BELOW
    figure = new_figure(WIDTH, TOP + line * len(groups) + BOTTOM, layout=None)
    for below, (name, rows) in zip(reversed(range(len(groups))), groups, strict=True):
        foot = BOTTOM + below * line + BELOW
        for column, row in enumerate(rows):
            left = LEFT + column * (FIT[0] + BESIDE)
            panel = lowest = Panel(figure, left, foot + residual, *FIT).as_axes()
            _draw_fit(panel, spectra, fit, row)
            if fit.parameters:
                lowest = Panel(figure, left, foot, *RESIDUAL).as_axes()
                _draw_residual(lowest, spectra, fit, row)
                panel.tick_params(labelbottom=False)
            if column == 0:
                _name_heights(lowest, "residual\n/ rms")
                _name_heights(panel, f"$\\bf{{{name}}}$\nflux density (mJy)")
            if below == 0:
                lowest.set_xlabel("velocity (km/s)")
    caption(figure, f"{len(order)} {'fits' if fit.parameters else 'lines'}, ranked by {by}")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), fontsize=9, frameon=False)
    write(figure, file)


def plot_parameters(fit: FitResult, file: Path) -> None:
    """Draw a histogram of each parameter of the model and of each measurement, with its median and 16-84 % range.

    An axis runs from the 0.5th to the 99.5th percentile, and the title says how many objects lie outside; it is
    logarithmic where that range is wide and most objects are near its lower end. Columns without a value are left
    out.

    Parameters
    ----------
    fit : FitResult
        Of N objects; the good ones are counted.
    file : Path
        The PNG to write; nothing is written where there is no value at all.
    """
    from hiexp.fitting.measurements import MEASUREMENTS

    units = dict(fit.parameters) | {name: row.unit for name, row in MEASUREMENTS.items() if name not in LEFT_OUT}
    good = fit.table.loc[fit.good, [name for name in units if name in fit.table]].astype(float)
    good = good.where(np.isfinite(good)).dropna(axis="columns", how="all")
    if good.empty:
        return
    figure, places = panels(
        good.shape[1],
        HISTOGRAMS_A_LINE,
        HISTOGRAM,
        left=0.8,
        right=0.17,
        bottom=0.5,
        top=0.57 if good.shape[1] > 1 else 0.8,  # for a title of two lines
        gap=(0.45, 0.77),
    )
    for place, name in zip(places, good, strict=True):
        panel = place.as_axes()
        _draw_histogram(panel, good[name].dropna().to_numpy(), "C1" if name in fit.parameters else "C0")
        unit = units[name].replace(" / ", "/")
        panel.set_xlabel(f"{name} ({unit})" if unit else name)
    of_model = "; orange: parameters of the model, blue: measurements" if fit.parameters else ""
    title = f"{len(good)} objects: median (line) and 16-84 % (shaded){of_model}"
    caption(figure, title, y="objects")
    write(figure, file)


def _name_heights(panel: Axes, words: str) -> None:
    panel.set_ylabel(words)
    panel.yaxis.set_label_coords(-0.45 / FIT[0], 0.5)  # one below the other, however long the numbers are


def _ranked(fit: FitResult) -> tuple[str, np.ndarray]:
    """Return by what the good fits are ranked and their rows, best first."""
    for name, values in (("χ²/dof", fit.table["chi2_dof"]), ("S/N", -fit.table["snr"])):
        values = values.to_numpy(float)
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


def _draw_fit(panel: Axes, spectra: Spectra, fit: FitResult, row: int) -> None:
    from hiexp.spectral.widths import edges

    panel.step(*_channels(spectra, fit, row, BEYOND), where="mid", color=DATA, lw=0.8, label="data")
    velocity, curve = _curve(spectra, fit, row)
    label = "model" if fit.parameters else "smoothed over 3 channels"
    panel.plot(velocity, curve, color=CURVE, lw=1.5, label=label)
    for name, level, strength in (("W50", 0.5, 1.0), ("W20", 0.2, 0.45)):
        ends = np.concatenate(edges(velocity[None], curve[None], level))
        height = np.full(2, level * curve.max())
        panel.plot(ends, height, color=WIDTHS, alpha=strength, lw=1.3, marker="|", ms=9, mew=1.3, label=name)
    _shade_outside(panel, fit.windows[row])
    panel.set_title(_title(fit.table.iloc[row]), y=1, fontsize=9)
    panel.tick_params(labelsize=8)


def _draw_residual(panel: Axes, spectra: Spectra, fit: FitResult, row: int) -> None:
    velocity, flux = _channels(spectra, fit, row, 0)
    residual = (flux - np.interp(velocity, *_curve(spectra, fit, row))) / spectra.rms[row]
    panel.axhspan(-1, 1, color="0.85", lw=0)
    panel.step(velocity, residual, where="mid", color=DATA, lw=0.8)
    _shade_outside(panel, fit.windows[row])
    reach = 1.1 * max(3, np.nanmax(np.abs(residual), initial=0))
    panel.set_ylim(-reach, reach)
    panel.tick_params(labelsize=8)


def _shade_outside(panel: Axes, window: np.ndarray) -> None:
    reach = BEYOND * (window[1] - window[0])
    panel.axvspan(window[0] - reach, window[0], color="0.93", lw=0, zorder=0)
    panel.axvspan(window[1], window[1] + reach, color="0.93", lw=0, zorder=0)
    panel.set_xlim(window[0] - reach, window[1] + reach)


def _title(measured: pd.Series) -> str:
    words = {"χ²/dof": ("chi2_dof", ""), "S/N": ("snr", ""), "W50": ("w50", " km/s")}
    known = [
        f"{name} {measured[column]:.{1 if measured[column] >= 10 else 2}f}{unit}"
        for name, (column, unit) in words.items()
        if np.isfinite(measured[column])
    ]
    return ",  ".join([str(measured.name), *known])


def _draw_histogram(panel: Axes, values: np.ndarray, color: str) -> None:
    low = np.percentile(values, 0.5, method="lower")
    high = np.percentile(values, 99.5, method="higher")
    p16, median, p84 = np.percentile(values, [16, 50, 84])
    # A wide range of which most objects crowd the low end.
    logarithmic = low > 0 and high > WIDE * low and median < (low + high) / 4
    spaced = np.geomspace if logarithmic else np.linspace
    one_value = np.isclose(low, high, rtol=1e-9, atol=0)
    margin = 0.5 * (abs(low) or 1) if one_value else 0
    bins = spaced(low - margin, high + margin, int(np.clip(2 * np.sqrt(values.size), 10, 50)) + 1)
    panel.axvspan(p16, p84, color="0.9", lw=0)
    panel.stairs(np.histogram(values, bins)[0], bins, fill=True, color=color)
    panel.yaxis.get_major_locator().set_params(integer=True)
    panel.axvline(median, color="0.2", lw=1.2)
    if logarithmic:
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3) if high < 1e4 * low else (1,), numticks=4))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
    outside = np.sum((values < low) | (values > high))
    panel.set_title(f"N = {values.size}" + (f", {outside} outside" if outside else ""), y=1, fontsize=9)
    panel.tick_params(labelsize=8)
