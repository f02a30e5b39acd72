"""Measure what docs/asymmetry.md tells: ``python docs/make_asymmetry_page.py [folder]``, from the repository's root.

The folder receives the cache of what is learned (by default ``cache``). Prints the tables and draws
``asymmetry_calibration.png``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib.figure import Figure
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hiexp.cache import DiskCache
from hiexp.configs import CONFIGS
from hiexp.datasets import mock_alfalfa, mock_cig
from hiexp.datasets.mock.alike import draw_alike
from hiexp.datasets.mock.populations import Discs
from hiexp.datasets.mock.receiver import Receiver
from hiexp.evaluation.yardstick import beside
from hiexp.fitting import FitResult
from hiexp.hydra_versions import VERSION_BASE
from hiexp.posterior import asymmetry_posterior, infer_asymmetry, line_inputs
from hiexp.spectra import Spectra
from hiexp.spectral.widths import asymmetry_class

DOCS = Path(__file__).resolve().parent
N_CHANNELS = 1024
GALAXIES, SURVEYS, POOL, SURVEY, REPEATS = 6000, 200, 3000, 300, 10
LAWS = (0.15, 0.25, 0.35, 0.5)  # lopsidedness of the pools that surveys are drawn from
BINS = {
    "S/N 5-8": lambda table: table["snr"].between(5, 8),
    "S/N 8-15": lambda table: table["snr"].between(8, 15),
    "S/N 15-30": lambda table: table["snr"].between(15, 30),
    "S/N 30 and more": lambda table: table["snr"] > 30,
    "W50 below 150 km/s": lambda table: (table["w50"] < 150) & (table["snr"] > 5),
    "W50 above 150 km/s": lambda table: (table["w50"] >= 150) & (table["snr"] > 5),
}
GAIN, ENDS = "balanced_accuracy_minus_rule", ("", "low_", "high_", "p_")


@dataclass(frozen=True)
class Inferred:
    """Galaxies with their true A_flux, and what fit and posterior say of it."""

    truth: np.ndarray
    table: pd.DataFrame
    fit: FitResult


def configured_fit() -> partial[FitResult]:
    """Return the fit of the commands, whose cache has what they have learned."""
    with initialize_config_dir(str(CONFIGS), **VERSION_BASE):
        return instantiate(compose("fit").fit, _convert_="all")


def draw(
    rng: np.random.Generator, n: int, snr: np.ndarray, lopsidedness: float, rotation: float, companions: float = 0.1
) -> Spectra:
    """Draw galaxies whose S/N, W50 and lopsidedness follow other laws than those of the simulation."""
    w50 = np.clip(np.exp(rng.normal(np.log(170), 0.55, n)), 25, 600)
    lines = pd.DataFrame(
        {
            "position": rng.uniform(1000, 12000, n),
            "w50": w50,
            "snr": snr,
            "rms": 1.0,
            "channel_width": np.maximum(rng.choice([2.6, 5.3, 8.0], n), w50 * 5 / N_CHANNELS),
            "noise_correlation": rng.choice([0, 0.5, 2 / 3], n),
        }
    )
    discs = Discs(lopsidedness, rotation, companions)
    galaxies, khz, smoothing = draw_alike(rng, rng, lines, discs, N_CHANNELS)
    receiver = Receiver(N_CHANNELS, khz, ripple=0.0, rfi=0.0, smoothing=smoothing)
    return receiver.observe(galaxies, np.array([f"G{number:05d}" for number in range(n)]), rng, np.float32)


def infer(spectra: Spectra, cache: DiskCache) -> Inferred:
    """Fit galaxies and infer their A_flux without noise."""
    line_fit = configured_fit()
    fit = infer_asymmetry(spectra, line_fit(spectra), line_fit, cache)
    known = fit.table["A_flux_p50"].notna().to_numpy()
    return Inferred(spectra.catalogue["A_flux"].to_numpy()[known], fit.table[known], fit)


def symmetric(cache: DiskCache) -> None:
    """Print what becomes of discs without any asymmetry, by S/N."""
    print(f"{'symmetric discs, S/N':22}{'A_flux':>8}{'above 1.26':>12}{'without noise':>15}{'95 % interval':>18}")
    for snr in (8.7, 15, 23, 44):
        rng = np.random.default_rng(round(snr))
        fit = infer(draw(rng, 500, np.full(500, snr), 0.0, 0.0, 0.0), cache).fit
        name = "fraction_A_flux_above_1_26"
        low, high = fit.sample[f"low_{name}"], fit.sample[f"high_{name}"]
        print(
            f"{snr:<22}{fit.table['A_flux'].median():8.3f}{fit.sample[f'measured_{name}']:12.1%}"
            f"{fit.sample[name]:15.1%}{f'{low:.1%} - {high:.1%}':>18}"
        )


def cover(found: Inferred) -> None:
    """Print how often intervals hold the truth, and the bias of medians."""
    print(f"{'':20}{'galaxies':>9}{'68 %':>8}{'95 %':>8}{'median of p50 - true':>22}{'of A_flux - true':>18}", end="")
    print(f"{'mean of p50 - true':>20}{'of A_flux - true':>18}")
    for name, chosen in BINS.items():
        rows = chosen(found.table).to_numpy()
        table, truth = found.table[rows], found.truth[rows]
        inside = [
            ((truth > table[f"A_flux_{low}"]) & (truth < table[f"A_flux_{high}"])).mean()
            for low, high in (("p16", "p84"), ("p025", "p975"))
        ]
        off = [table[column] - truth for column in ("A_flux_p50", "A_flux")]
        medians = f"{off[0].median():+22.3f}{off[1].median():+18.3f}"
        print(f"{name:20}{rows.sum():9d}{inside[0]:8.1%}{inside[1]:8.1%}{medians}", end="")
        print(f"{off[0].mean():+20.3f}{off[1].mean():+18.3f}")


def rank_histograms(found: Inferred, file: Path) -> None:
    """Draw where in its posterior each truth lies (Talts et al. 2018, arXiv:1804.06788), by five quantiles."""
    quantiles = found.table[[f"A_flux_{name}" for name in ("p025", "p16", "p50", "p84", "p975")]].to_numpy()
    part = (found.truth[:, None] > quantiles).sum(axis=1)
    shares = np.diff([0, 0.025, 0.16, 0.5, 0.84, 0.975, 1])
    figure = Figure(figsize=(12, 6), dpi=120, layout="constrained")
    for panel, (name, chosen) in zip(figure.subplots(2, 3).flat, BINS.items(), strict=True):
        rows = chosen(found.table).to_numpy()
        observed = np.bincount(part[rows], minlength=len(shares)) / rows.sum() / shares
        low, high = (binom.ppf(level, rows.sum(), shares) / rows.sum() / shares for level in (0.005, 0.995))
        place = np.arange(len(shares))
        panel.bar(place, observed, color="C0", alpha=0.6, label="galaxies")
        panel.errorbar(
            place, np.ones(len(shares)), [1 - low, high - 1], fmt="none", color="k", capsize=4, label="99 %"
        )
        panel.axhline(1, color="k", lw=0.8)
        panel.set_xticks(place, ["< 2.5 %", "2.5-16", "16-50", "50-84", "84-97.5", "> 97.5 %"], fontsize=8)
        panel.set_title(f"{name}: {rows.sum()} galaxies", fontsize=10)
        panel.set_ylim(0, 2)
    figure.axes[0].legend(fontsize=8)
    figure.supxlabel("where in its posterior the true A_flux is")
    figure.supylabel("galaxies over those expected")
    figure.savefig(file)


def survey_fractions(cache: DiskCache) -> None:
    """Print how often the interval of the fraction above 1.26 holds the truth, over surveys of 300 galaxies."""
    from hiexp.posterior.columns import infer_lines
    from hiexp.posterior.learned import learned_density

    line_fit = configured_fit()
    density = learned_density("A_flux", 60_000, line_fit, cache, 0)
    print(f"{'lopsidedness':14}{'true':>8}{'mean':>8}{'measured':>10}{'interval holds it':>20}")
    for number, law in enumerate(LAWS):
        rng = np.random.default_rng([7, number])
        spectra = draw(rng, POOL, 6 * (40 / 6) ** rng.random(POOL), law, law / 5)
        inputs = line_inputs(spectra, line_fit(spectra))
        known = np.isfinite(inputs[:, 0])
        inputs, truth = inputs[known], spectra.catalogue["A_flux"].to_numpy()[known]
        true = (truth > 1.26).mean()
        samples = []
        for survey in range(SURVEYS // len(LAWS)):
            rows = rng.choice(len(inputs), SURVEY, replace=False)
            samples.append(infer_lines("A_flux", [1.26], density, inputs[rows], survey)[2])
        table = pd.DataFrame(samples)
        held = table["low_fraction_A_flux_above_1_26"].le(true) & table["high_fraction_A_flux_above_1_26"].ge(true)
        means = table[["fraction_A_flux_above_1_26", "measured_fraction_A_flux_above_1_26"]].mean()
        print(f"{law:<14}{true:8.3f}{means.iloc[0]:8.3f}{means.iloc[1]:10.3f}{held.sum():>14} of {len(held)}")


def gains(cache: DiskCache) -> None:
    """Print what a regression on the posterior gains over dividing the A_flux of the fit, on model skies."""
    sys.path.insert(0, str(DOCS.parent / "tests"))  # has a model of discs that the simulation shares nothing with
    from helpers.cloud_discs import cloud_discs

    line_fit = configured_fit()
    feature = asymmetry_posterior(line_fit, cache)
    bright = mock_alfalfa(12_000)
    skies = {
        "mock_cig, 4,000 galaxies": mock_cig(4000),
        "mock_cig, 318 galaxies": mock_cig(),
        "mock_alfalfa, S/N 6-15": bright.take(bright.catalogue["SNR"].between(6, 15).to_numpy()),
        "mock_alfalfa, S/N 15 and more": bright.take((bright.catalogue["SNR"] >= 15).to_numpy()),
        "discs of clouds, S/N 10-200": cloud_discs(3000, 3, snr=(10, 200)),
    }
    print(f"{'balanced accuracy':30}{'galaxies':>9}{'posterior':>11}{'A_flux':>8}{'gain':>8}", end="")
    print(f"{'95 % interval':>20}{'p':>8}")
    for name, spectra in skies.items():
        fit = line_fit(spectra)
        truth, features = spectra.reference[fit.good], feature.transform(line_inputs(spectra, fit)[fit.good])
        regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
        predicted = [
            cross_val_predict(regression, features, truth, cv=StratifiedKFold(5, shuffle=True, random_state=repeat))
            for repeat in range(REPEATS)
        ]
        rule = asymmetry_class(fit.table["A_flux"].to_numpy()[fit.good])
        found = beside("rule", truth, np.array(predicted), rule, 1000, 0)
        score, (gain, low, high, p) = found["rule_balanced_accuracy"], (found[f"{end}{GAIN}"] for end in ENDS)
        print(f"{name:30}{len(truth):9d}{score + gain:11.3f}{score:8.3f}{gain:+8.3f}", end="")
        print(f"{f'[{low:+.3f}, {high:+.3f}]':>20}{p:8.3f}", flush=True)


def main(folder: str = "cache") -> None:
    """Print and draw everything."""
    cache = DiskCache(folder)
    rng = np.random.default_rng(77)
    snr = np.clip(np.exp(rng.normal(np.log(14), 0.8, GALAXIES)), 4.5, 150)
    found = infer(draw(rng, GALAXIES, snr, 0.28, 0.05), cache)
    cover(found)
    rank_histograms(found, DOCS / "asymmetry_calibration.png")
    symmetric(cache)
    survey_fractions(cache)
    gains(cache)


if __name__ == "__main__":
    main(*sys.argv[1:])
