"""Draw the two pictures of docs/mock.md: ``python docs/make_mock_page.py``, from the repository's root.

The gallery shows real spectra where ``../shared/data/appss`` is there, and model profiles alone elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hiexp.datasets import mock_alfalfa, mock_cig, read_alfalfa
from hiexp.datasets.mock.populations import signal_to_noise
from hiexp.fitting import fit_none
from hiexp.spectra import Spectra

DOCS = Path(__file__).resolve().parent
REAL = DOCS.parents[1] / "shared" / "data" / "appss"
# Of the 31,502 sources of alpha.100 (Haynes et al. 2018): median, and 16 and 84 % where they are at hand.
CATALOGUE = {
    "W50": (174.0, 82.0, 302.0),
    "HIflux": (1.26,),
    "SNR": (8.8,),
    "Vhel": (7946.0,),
    "Dist": (114.8,),
    "logMHI": (9.64,),
}
LABELS = {
    "W50": "W50 [km/s]",
    "HIflux": "HIflux [Jy km/s]",
    "SNR": "SNR",
    "Vhel": "Vhel [km/s]",
    "Dist": "Dist [Mpc]",
    "logMHI": "logMHI [log solar masses]",
}
LOGARITHMIC = ("HIflux", "SNR")
COLUMNS = 5


def draw_calibration(catalogue: pd.DataFrame, file: Path) -> None:
    """Draw a histogram of the model for each quantity whose median is known of the catalogue."""
    figure = Figure(figsize=(11, 6), dpi=120, layout="constrained")
    for panel, (name, known) in zip(figure.subplots(2, 3).flat, CATALOGUE.items(), strict=True):
        values = catalogue[name].to_numpy()
        low, high = np.percentile(values, [0.1, 99.9])
        bins = np.geomspace(low, high, 50) if name in LOGARITHMIC else np.linspace(low, high, 50)
        panel.hist(values, bins=bins, color="C0", alpha=0.5)
        panel.axvline(np.median(values), color="C0", lw=2, label="model, median")
        panel.axvline(known[0], color="C3", lw=2, ls="--", label="alpha.100, median")
        if len(known) == 3:
            for end in np.percentile(values, [16, 84]):
                panel.axvline(end, color="C0", lw=1)
            for end in known[1:]:
                panel.axvline(end, color="C3", lw=1, ls="--")
        if name in LOGARITHMIC:
            panel.set_xscale("log")
        panel.set_xlabel(LABELS[name])
        panel.set_title(f"model {np.median(values):.4g}, catalogue {known[0]:.4g}", fontsize=10)
    figure.axes[0].legend(fontsize=8, title="thin: 16 and 84 %", title_fontsize=8)
    figure.supylabel("galaxies")
    figure.suptitle(f"mock_alfalfa, {len(catalogue):,} galaxies, beside the ALFALFA catalogue")
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
    """Draw both pictures."""
    survey = mock_alfalfa()
    draw_calibration(survey.catalogue, DOCS / "mock_calibration.png")

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
