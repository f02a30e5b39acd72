"""Model lines to learn from: of every width, S/N, channel and smoothing, and of every asymmetry in each width."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import truncnorm
from tqdm import tqdm

from hiexp.datasets.mock.alike import draw_alike
from hiexp.datasets.mock.galaxies import Galaxies
from hiexp.datasets.mock.populations import Discs
from hiexp.datasets.mock.receiver import Receiver
from hiexp.features.asymmetry import NAMES, ProfileAsymmetry
from hiexp.fitting import FitResult
from hiexp.posterior.inputs import LINE_INPUTS, line_inputs
from hiexp.spectra import Spectra

N_CHANNELS = 1024
BAND = 6  # widths of a line that a band holds at least
WIDTHS, CHANNELS, BRIGHTNESS = (15.0, 650.0), (1.4, 22.0), (4.2, 200.0)  # W50, channel width (km/s), S/N
SLACK = 1.2  # times beyond those, which errors of measurement reach
TYPICAL_WIDTH, SPREAD = 130.0, 0.75  # median of W50 (km/s) and deviation of its logarithm, as in surveys of galaxies
COARSEST = 0.7  # channels a W50
WHITE, MOST_CORRELATED = 0.3, 0.8  # share of the spectra that are not smoothed; noise of next channels in the others
SCALES = (0.05, 0.1, 0.2, 0.35, 0.6, 0.9)  # of lopsidedness, one for as many galaxies as any other
AT_ONCE = 8192  # spectra that are in memory
CANDIDATES = 5  # times as many lines as are fitted, to choose among
CELLS = (8, 16)  # of W50 and of the measure, made equally full
CUT = (0.01, 0.96)  # quantiles of the measure between which the cells divide it evenly


def simulate(
    line_fit: Callable[[Spectra], FitResult], measure: str, n: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw model lines, observe and fit them.

    S/N and width of a channel are drawn evenly in their logarithms, W50 as galaxies have it: how often a faint line
    that looks narrow is wide depends on how many narrow ones there are. Of more discs than are needed those are taken
    that make the measure, of the noise-free line, as far as possible independent of W50 and even.

    Parameters
    ----------
    line_fit : callable
        The fit.
    measure : str
        One of the measures of `ProfileAsymmetry`.
    n : int
        Lines that are observed; of some the fit fails.
    seed : int
        Seed of the random draws.

    Returns
    -------
    inputs : ndarray of float32, shape (M, n_inputs)
        `line_inputs` of the lines that have a fit.
    truth, width : ndarray, shape (M,)
        The measure of their noise-free lines, and the W50 of these (km/s).
    """
    inputs, truth, width = np.empty((0, len(LINE_INPUTS)), np.float32), np.empty(0), np.empty(0)
    with tqdm(total=n, desc="simulating lines", unit=" lines", delay=1, leave=False) as bar:
        for start in range(0, n, AT_ONCE):
            rng = np.random.default_rng([seed, start])
            spectra, intrinsic = _observe(rng, measure, min(AT_ONCE, n - start))
            values = line_inputs(spectra, line_fit(spectra))
            known = np.isfinite(values[:, 0])
            if not known.any():  # of more lines it would measure none either
                break
            inputs, truth = np.concatenate([inputs, values[known]]), np.concatenate([truth, intrinsic[known]])
            width = np.concatenate([width, spectra.catalogue["W50"].to_numpy()[known]])
            bar.update(len(spectra))
    return inputs, truth, width


def _observe(rng: np.random.Generator, measure: str, n: int) -> tuple[Spectra, np.ndarray]:
    lines = _draw_lines(rng, CANDIDATES * n)
    galaxies, khz, smoothing = draw_alike(rng, rng, lines, _discs(CANDIDATES * n), N_CHANNELS, exactly=False)
    values = intrinsic_measure(galaxies, measure)
    rows = _even(rng, galaxies.truth["W50"].to_numpy(), values, n)
    receiver = Receiver(N_CHANNELS, khz[rows], ripple=0.0, rfi=0.0, smoothing=smoothing[rows])
    names = np.array([f"S{number:06d}" for number in range(n)])
    return receiver.observe(galaxies.take(rows), names, rng, np.float32), values[rows]


def _discs(n: int) -> Discs:
    """Return how `n` discs are drawn, from nearly symmetric to lopsided ones.

    A galaxy whose gas is lopsided rotates lopsidedly, too, and has companions: where there is little of one there is
    little of all, as in any real sample.
    """
    scale = np.resize(SCALES, n)
    return Discs(lopsidedness=scale, rotation_lopsidedness=scale / 5, companion_fraction=scale / 3)


def _draw_lines(rng: np.random.Generator, n: int) -> pd.DataFrame:
    def even_in_log(low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), n))

    low, high = np.log(np.divide(WIDTHS, TYPICAL_WIDTH)) / SPREAD
    w50 = TYPICAL_WIDTH * np.exp(SPREAD * truncnorm.rvs(low, high, size=n, random_state=rng))
    finest = np.maximum(BAND * w50 / N_CHANNELS, CHANNELS[0])
    return pd.DataFrame(
        {
            "position": rng.uniform(0, 15000, n),
            "w50": w50,
            "snr": even_in_log(*BRIGHTNESS),
            "rms": 1.0,
            "channel_width": even_in_log(finest, np.maximum(np.minimum(CHANNELS[1], COARSEST * w50), 1.01 * finest)),
            "noise_correlation": np.where(rng.random(n) < WHITE, 0, rng.uniform(0, MOST_CORRELATED, n)),
        }
    )


def within_simulated(table: pd.DataFrame) -> np.ndarray:
    """Tell which lines of a table of fits are like those that are simulated, shape (N,): W50, S/N, channels."""
    w50, snr, channel = (table[name].to_numpy(float) for name in ("w50", "snr", "channel_width"))
    wide = (w50 >= WIDTHS[0] / SLACK) & (w50 <= WIDTHS[1] * SLACK)
    return wide & (snr <= BRIGHTNESS[1] * SLACK) & (channel >= CHANNELS[0] / SLACK) & (channel <= CHANNELS[1] * SLACK)


def intrinsic_measure(galaxies: Galaxies, measure: str) -> np.ndarray:
    """Return a measure of the noise-free lines, shape (N,): `A_flux` as the catalogue has it, others of the nine."""
    if measure in galaxies.truth:
        return galaxies.truth[measure].to_numpy()
    # A centroid is off to either side; every other measure is positive.
    return np.abs(ProfileAsymmetry().transform(galaxies.line)[:, NAMES.index(measure)])


def _even(rng: np.random.Generator, w50: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Choose `n` rows such that cells of W50 and of the values are as equally full as they can be."""
    width = np.searchsorted(np.quantile(w50, np.linspace(0, 1, CELLS[0] + 1)[1:-1]), w50)
    low, high = np.quantile(values, CUT)
    bounds = np.linspace(low, high, CELLS[1] + 1)[1:-1]
    cell = width * CELLS[1] + np.searchsorted(bounds, values)
    order = rng.permutation(len(cell))
    # The first of every cell come before the second of any.
    place = pd.Series(cell[order]).groupby(cell[order]).cumcount().to_numpy()
    return np.sort(order[np.argsort(place, kind="stable")[:n]])
