"""Print the comparison of docs/fitting.md and draw its picture: ``python docs/make_fitting_page.py``.

It needs ``../shared/data/busyfit_reference``: 100 model spectra with their noise-free
lines and what BusyFit 0.3.2 measured on them. The other picture of that page is drawn by ``benchmarks/fitting.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hiexp.fitting import fit_spectra
from hiexp.spectral.widths import edges

DOCS = Path(__file__).resolve().parent
REFERENCE = DOCS.parents[1] / "shared" / "data" / "busyfit_reference"
LABELS = {"position": "position", "w50": "W50", "w20": "W20", "flux_int": "flux"}
REALISATIONS = 100
DRAWN = ("w50", "flux_int")


def truths(velocity: np.ndarray, line: np.ndarray) -> pd.DataFrame:
    """Measure noise-free lines, shape (N, L), without a model: km/s and Jy km/s."""
    channel, axes = velocity[1] - velocity[0], np.broadcast_to(velocity, line.shape)
    widths = {name: np.subtract(*edges(axes, line, level)[::-1]) for name, level in (("w50", 0.5), ("w20", 0.2))}
    total = line.sum(axis=1)
    return pd.DataFrame({"position": line @ velocity / total, **widths, "flux_int": total * channel / 1000})


def in_km_s(table: pd.DataFrame, velocity: np.ndarray) -> pd.DataFrame:
    """Return BusyFit's measurements, which are in channels, in km/s and Jy km/s."""
    channel = velocity[1] - velocity[0]
    unit = {"position": channel, "w50": channel, "w20": channel, "flux_int": channel / 1000}
    columns = {f"{name}{end}": table[f"{name}{end}"] * unit[name] for name in unit for end in ("", "_err")}
    return pd.DataFrame(columns).assign(position=columns["position"] + velocity[0], chi2=table["chi2"])


def spread(values: np.ndarray) -> float:
    """Return half the distance between the 16 and 84 % quantiles: the standard deviation of most."""
    low, high = np.nanpercentile(values, [15.87, 84.13])
    return (high - low) / 2


def main() -> None:
    """Print the numbers and draw the picture."""
    data = np.load(REFERENCE / "mock_spectra.npz")
    velocity, line = data["velocity"].astype(float), data["flux_true"].astype(float)
    result = fit_spectra(velocity, data["flux"], rms=data["rms"], margins=[], min_snr=0, realisations=REALISATIONS)
    ours, good = result.table.reset_index(drop=True), result.good
    theirs, truth = in_km_s(pd.read_csv(REFERENCE / "mock.csv"), velocity), truths(velocity, line)
    noise = data["flux"] - line
    lags = [np.mean(noise[:, lag:] * noise[:, :-lag]) / np.mean(noise**2) for lag in (1, 2, 3)]
    print(f"{good.sum()} of {len(ours)} fits are good; correlation of the noise at lags 1, 2, 3: {np.round(lags, 2)}")
    ratio = (ours["chi2"] / theirs["chi2"]).to_numpy()
    print(f"chi2 over BusyFit's: {(ratio <= 1.001).sum()} at most 1.001, {(ratio < 0.999).sum()} below 0.999")
    print(
        "quantity   ours / BusyFit - 1 (position: km/s): median, spread; error over BusyFit's and over realisations';"
    )
    print("           pulls, ours and BusyFit's: median, spread")
    figure = Figure(figsize=(11, 3.4), dpi=120, layout="constrained")
    panels = iter(figure.subplots(1, 3))
    panel = next(panels)
    panel.semilogx(truth["flux_int"], 100 * (ratio - 1), "o", ms=4)
    panel.axhline(0.1, color="0.5", lw=0.8, ls="--", label="0.1 %")
    panel.set_yscale("symlog", linthresh=0.1)
    panel.set_xlabel("true flux [Jy km/s]")
    panel.set_ylabel("chi2 above BusyFit's [%]")
    panel.legend(fontsize=8)
    axis = np.linspace(-6, 6, 200)
    for name, label in LABELS.items():
        scale = 1 if name == "position" else theirs[name]
        difference = ((ours[name] - theirs[name]) / scale)[good]
        errors = np.nanmedian((ours[f"{name}_err"] / theirs[f"{name}_err"])[good])
        realised = np.nanmedian((ours[f"{name}_err"] / ours[f"{name}_err_mc"])[good])
        pulls = {
            who: ((table[name] - truth[name]) / table[f"{name}_err"])[good].to_numpy()
            for who, table in (("hiexp", ours), ("BusyFit", theirs))
        }
        told = "".join(f"{np.nanmedian(pull):7.2f} {spread(pull):5.2f}" for pull in pulls.values())
        print(
            f"{label:10}{difference.median():12.5f} {spread(difference):10.5f}{errors:10.2f}{realised:8.2f}  {told}"
        )
        if name in DRAWN:
            panel = next(panels)
            for who, pull in pulls.items():
                panel.hist(
                    np.clip(pull, -6, 6), np.linspace(-6, 6, 31), alpha=0.5, label=f"{who}: {spread(pull):.2f}"
                )
            panel.plot(axis, good.sum() * 0.4 * np.exp(-(axis**2) / 2) / np.sqrt(2 * np.pi), "k", lw=1)
            panel.set_xlabel(f"(measured {label} - true) / its error")
            panel.legend(fontsize=8, title="spread", title_fontsize=8)
    figure.savefig(DOCS / "fitting_busyfit.png")


if __name__ == "__main__":
    main()
