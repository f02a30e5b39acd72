"""Draw the pictures of docs/mock.md and print its tables: ``python docs/make_mock_page.py``, from the root.

The gallery shows real spectra where ``../shared/data/appss`` is there, and model profiles alone elsewhere. The model
survey is compared with the catalogue where ``../shared/data/a100.code12.table2.190808.csv`` is there (Haynes et al.
2018, 31,502 rows, Cornell's form).
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from hiexp.datasets import mock_alfalfa, mock_cig, read_alfalfa
from hiexp.datasets.mock.populations import signal_to_noise
from hiexp.fitting import fit_none
from hiexp.spectra import Spectra

DOCS = Path(__file__).resolve().parent
DATA = DOCS.parents[1] / "shared" / "data"
REAL = DATA / "appss"
CATALOGUE = DATA / "a100.code12.table2.190808.csv"
# The catalogue prints so many decimals.
DECIMALS = {"W50": 0, "HIflux": 2, "SNR": 1, "Vhel": 0, "Dist": 1, "logMHI": 2}
LABELS = {
    "W50": "W50 [km/s]",
    "HIflux": "HIflux [Jy km/s]",
    "SNR": "SNR",
    "Vhel": "Vhel [km/s]",
    "Dist": "Dist [Mpc]",
    "logMHI": "logMHI [log solar masses]",
}
LOGARITHMIC = ("HIflux", "SNR")
SHOWN = (
    ("W50", "HIflux"),
    ("HIflux", "SNR"),
    ("W50", "SNR"),
    ("Vhel", "logMHI"),
    ("logMHI", "W50"),
    ("Vhel", "Dist"),
)
EACH = 12_000  # rows of either that the classifier is shown
COLUMNS = 5


def separability(model: pd.DataFrame, real: pd.DataFrame, columns: list[str]) -> float:
    """Return the cross-validated AUC of a boosted classifier that tells rows of the two apart by these columns."""
    rng = np.random.default_rng(0)
    rows = [table[columns].to_numpy()[rng.permutation(len(table))[:EACH]] for table in (model, real)]
    truth = np.repeat([0, 1], [len(part) for part in rows])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    classifier = HistGradientBoostingClassifier(random_state=0)
    probability = cross_val_predict(classifier, np.concatenate(rows), truth, cv=folds, method="predict_proba")
    return float(roc_auc_score(truth, probability[:, 1]))


def quantiles(values: pd.Series) -> str:
    """Return the median and, in brackets, 16 and 84 %."""
    low, middle, high = (f"{x:,.0f}" if x >= 1000 else f"{x:.4g}" for x in np.percentile(values, [16, 50, 84]))
    return f"{middle} ({low}-{high})"


def print_likeness(model: pd.DataFrame, real: pd.DataFrame) -> dict[tuple[str, ...], float]:
    """Print medians, 16 and 84 % of each column, and the AUC of each, of each pair and of all; return these."""
    names = list(DECIMALS)
    sets = [*((name,) for name in names), *combinations(names, 2), tuple(names)]
    auc = {columns: separability(model, real, list(columns)) for columns in sets}
    print("| | model | alpha.100 | AUC |\n|---|---|---|---|")
    for name in names:
        spread = [quantiles(table[name]) for table in (model, real)]
        print(f"| {LABELS[name]} | {' | '.join(spread)} | {auc[name,]:.2f} |")
    print("| AUC of pairs | " + " | ".join(names[1:]) + " |\n" + "|---" * len(names) + "|")
    for name in names[:-1]:
        cells = [f"{auc[name, other]:.2f}" if (name, other) in auc else "" for other in names[1:]]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"all six: {auc[tuple(names)]:.3f}")
    return auc


def bins_of(name: str, real: pd.DataFrame, n: int) -> np.ndarray:
    """Return the edges of `n` bins over all but the most extreme values of a column."""
    low, high = np.percentile(real[name], [0.2, 99.8])
    return np.geomspace(low, high, n + 1) if name in LOGARITHMIC else np.linspace(low, high, n + 1)


def draw_calibration(model: pd.DataFrame, real: pd.DataFrame, auc: dict[tuple[str, ...], float], file: Path) -> None:
    """Draw histograms of the model and the catalogue, one column a panel."""
    figure = Figure(figsize=(11, 6), dpi=120, layout="constrained")
    for panel, name in zip(figure.subplots(2, 3).flat, DECIMALS, strict=True):
        bins = bins_of(name, real, 50)
        panel.hist(model[name], bins=bins, color="C0", alpha=0.5, label="model")
        panel.hist(real[name], bins=bins, color="k", histtype="step", label="alpha.100")
        if name in LOGARITHMIC:
            panel.set_xscale("log")
        panel.set_xlabel(LABELS[name])
        panel.set_title(f"AUC {auc[name,]:.2f}", fontsize=10)
    figure.axes[0].legend(fontsize=8)
    figure.supylabel("galaxies")
    figure.suptitle(f"mock_alfalfa, {len(model):,} galaxies, and the ALFALFA catalogue, {len(real):,}")
    figure.savefig(file)


def draw_pairs(model: pd.DataFrame, real: pd.DataFrame, auc: dict[tuple[str, ...], float], file: Path) -> None:
    """Draw pairs of columns, the model's beside the catalogue's: the share of the galaxies in each cell."""
    figure = Figure(figsize=(13, 9.5), dpi=120, layout="constrained")
    grid = figure.subplots(3, 4).reshape(-1, 2)
    for panels, (across, up) in zip(grid, SHOWN, strict=True):
        bins = [bins_of(name, real, 60) for name in (across, up)]
        joint = auc[(across, up) if (across, up) in auc else (up, across)]
        for panel, (title, table) in zip(panels, (("model", model), ("alpha.100", real)), strict=True):
            share = np.histogram2d(table[across], table[up], bins)[0] / len(table)
            panel.pcolormesh(*bins, np.sqrt(share.T), vmin=0, vmax=0.05, cmap="viridis", rasterized=True)
            panel.set(xlabel=LABELS[across], ylabel=LABELS[up])
            panel.set_xscale("log" if across in LOGARITHMIC else "linear")
            panel.set_yscale("log" if up in LOGARITHMIC else "linear")
            panel.set_title(f"{title}, AUC {joint:.2f}" if title == "model" else title, fontsize=10)
    figure.suptitle("Pairs of columns: mock_alfalfa beside the ALFALFA catalogue (colour: root of the share)")
    figure.savefig(file)


def draw_gallery(skies: list[tuple[str, Spectra, str]], file: Path) -> None:
    """Draw one row of spectra for each title, spectra and colour: +-450 km/s around the systemic velocity."""
    lines = [-(-len(spectra) // COLUMNS) for _, spectra, _ in skies]
    figure = Figure(figsize=(13, 1.75 * sum(lines)), dpi=120, layout="constrained")
    grid = figure.subplots(sum(lines), COLUMNS, sharex=True, squeeze=False)
    for panel in grid.flat:
        panel.set_axis_off()
    top = 0
    for (title, spectra, colour), count in zip(skies, lines, strict=True):
        for row, panel in zip(range(len(spectra)), grid[top : top + count].flat, strict=False):
            offset = spectra.velocity[row] - spectra.systemic[row]
            shown = spectra.valid[row] & (np.abs(offset) < 450)
            panel.set_axis_on()
            panel.axhline(0, color="0.7", lw=0.6)
            panel.step(offset[shown], spectra.flux[row, shown], where="mid", color=colour, lw=0.8)
            note = spectra.ids[row]
            if "A_flux" in spectra.catalogue:
                truth = spectra.catalogue.iloc[row]
                note += f": A {truth['A_flux']:.2f}, S/N {truth['SNR']:.0f}"
            panel.set_title(note, fontsize=8, pad=2)
            panel.tick_params(labelsize=7)
        grid[top, 0].set_title(f"{title}\n", loc="left", fontsize=11, fontweight="bold")
        top += count
    figure.supxlabel("velocity from systemic [km/s]")
    figure.supylabel("flux density [mJy]")
    figure.savefig(file)


def first(n: int, spectra: Spectra, eligible: np.ndarray) -> Spectra:
    """Return the first `n` spectra of those eligible, a mask."""
    return spectra.take(eligible & (np.cumsum(eligible) <= n))


def alike(survey: Spectra, real: Spectra) -> Spectra:
    """Return, for every real spectrum, the model galaxy nearest in W50 and S/N (on logarithmic scales)."""
    lines = fit_none(real).table
    # Their channels are smoothed over four to six already, which is about 10 km/s.
    wanted = np.log([lines["w50"], signal_to_noise(lines["flux_int"], lines["w50"], real.rms)])
    there = np.log(survey.catalogue[["W50", "SNR"]].to_numpy()).T
    chosen = np.zeros(len(survey), dtype=bool)
    for target in wanted.T:
        chosen[np.where(chosen, np.inf, np.hypot(*(there - target[:, None]))).argmin()] = True
    return survey.take(chosen)


def main() -> None:
    """Draw the pictures and print the table."""
    survey = mock_alfalfa()
    if CATALOGUE.is_file():
        real = pd.read_csv(CATALOGUE).rename(columns={"Vhelio": "Vhel", "logMH": "logMHI"})[list(DECIMALS)]
        model = survey.catalogue[list(DECIMALS)].round(DECIMALS)
        auc = print_likeness(model, real)
        draw_calibration(model, real, auc, DOCS / "mock_calibration.png")
        draw_pairs(model, real, auc, DOCS / "mock_pairs.png")
    else:
        print(f"{CATALOGUE} is not there: the model is not compared with the catalogue")

    nearby = mock_cig()
    skies = []
    for name, title in enumerate(("symmetric", "slightly asymmetric", "strongly asymmetric")):
        skies.append(
            (f"mock_cig, class {name}: {title}", first(COLUMNS, nearby, nearby.reference == name), f"C{name}")
        )
    if REAL.is_dir():
        real = read_alfalfa(str(REAL))
        skies.append(("mock_alfalfa, as wide and as noisy as the real ones below", alike(survey, real), "C4"))
        skies.append(("Real: APPSS, Arecibo, channels of 2.6 km/s", real, "k"))
    else:
        skies.append(("mock_alfalfa", first(2 * COLUMNS, survey, survey.rms > 0), "C4"))
    draw_gallery(skies, DOCS / "mock_gallery.png")


if __name__ == "__main__":
    main()
