"""Measure how like a sample its model sky is: ``python docs/make_like_page.py``, from the repository's root.

A sky is drawn like one half of a sample and held against the other half, of which it has nothing. Prints the table
of docs/mock.md and draws ``mock_like.png``.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from hiexp.datasets import mock_alfalfa, mock_cig, mock_like
from hiexp.fitting import fit_busy
from hiexp.spectra import Spectra

DOCS = Path(__file__).resolve().parent
FIT = partial(fit_busy, margins=[10.6, 26.5])  # of conf/fit/busy.yaml
SAMPLES = {
    "mock_alfalfa": lambda: mock_alfalfa(4000, n_channels=512),
    "mock_cig": lambda: mock_cig(2000),
}
LINE = ["w50", "snr", "rms", "channel_width"]
SETS = {**{name: [name] for name in [*LINE, "noise_correlation"]}, "the first four": LINE}
LABELS = {
    "w50": "W50 [km/s]",
    "snr": "S/N",
    "rms": "rms [mJy]",
    "channel_width": "channel width [km/s]",
    "noise_correlation": "correlation of next channels",
}


def separability(sample: pd.DataFrame, sky: pd.DataFrame, columns: list[str]) -> float:
    """Return the cross-validated AUC of a boosted classifier that tells lines of the two apart by these columns."""
    truth = np.repeat([0, 1], [len(sample), len(sky)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    classifier = HistGradientBoostingClassifier(random_state=0)
    rows = np.concatenate([sample[columns], sky[columns]]).astype(float)
    probability = cross_val_predict(classifier, rows, truth, cv=folds, method="predict_proba")
    return float(roc_auc_score(truth, probability[:, 1]))


def halves(spectra: Spectra) -> tuple[Spectra, Spectra]:
    """Return two random halves of a sample."""
    first = np.random.default_rng(0).permutation(len(spectra)) < len(spectra) // 2
    return spectra.take(first), spectra.take(~first)


def fitted(spectra: Spectra) -> pd.DataFrame:
    """Return the fits that can be used."""
    fit = FIT(spectra)
    return fit.table[fit.good]


def compare(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the fits of a half of a sample and of a sky like the other half; print what tells them apart."""
    drawn, kept = halves(SAMPLES[name]())
    with tempfile.TemporaryDirectory() as folder:
        FIT(drawn).write(Path(folder))
        sky = fitted(mock_like(folder, FIT, len(kept), n_channels=kept.flux.shape[1]))
    sample = fitted(kept)
    told = (f"{separability(sample, sky, columns):.2f}" for columns in SETS.values())
    print(f"| {name} | {' | '.join(told)} |")
    return sample, sky


def draw(compared: dict[str, tuple[pd.DataFrame, pd.DataFrame]], file: Path) -> None:
    """Draw W50 against S/N, and histograms of the other quantities, of samples and of the skies like them."""
    figure = Figure(figsize=(13, 3.2 * len(compared)), dpi=110, layout="constrained")
    grid = figure.subplots(len(compared), 5, squeeze=False)
    for (name, (sample, sky)), panels in zip(compared.items(), grid, strict=True):
        titles = {"C0": name, "C3": f"a sky like {name}"}
        for panel, table, (colour, title) in zip(panels[:2], (sample, sky), titles.items(), strict=True):
            panel.loglog(table["w50"], table["snr"], ".", ms=2, color=colour, alpha=0.6)
            panel.set(xlim=(15, 900), ylim=(3, 1000), xlabel=LABELS["w50"], ylabel=LABELS["snr"], title=title)
            panel.set_xticks([20, 50, 100, 200, 500], labels=["20", "50", "100", "200", "500"])
            panel.xaxis.set_minor_formatter(NullFormatter())
        for panel, column in zip(panels[2:], ("rms", "channel_width", "noise_correlation"), strict=True):
            low, high = np.percentile(sample[column], [0.2, 99.8])
            room = max(0.05 * (high - low), 0.01 * abs(high))
            bins = np.linspace(low - room, high + room, 40)
            for table, (colour, title) in zip((sample, sky), titles.items(), strict=True):
                panel.hist(table[column], bins=bins, histtype="step", color=colour, density=True, label=title)
            panel.set(xlabel=LABELS[column], yticks=[])
        panels[2].legend(fontsize=7)
    figure.savefig(file)


def main() -> None:
    """Print the table and draw the picture."""
    print(f"| AUC | {' | '.join(LABELS.get(name, name) for name in SETS)} |")
    print("|---" * (len(SETS) + 1) + "|")
    draw({name: compare(name) for name in SAMPLES}, DOCS / "mock_like.png")


if __name__ == "__main__":
    main()
