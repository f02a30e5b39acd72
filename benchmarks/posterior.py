"""Seconds for the posteriors of a survey, once they are learned.

    python benchmarks/posterior.py [number of spectra, 31502 if none is given] [folder of the cache]

Times ``infer_asymmetry`` on fitted spectra of mock_alfalfa, in turns, and prints the median. Baseline: 200 simulated
spectra of each galaxy through the same fit, which is what it takes to see the noise of one galaxy's asymmetry without
having learned anything; timed on ten galaxies and extrapolated.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import numpy as np
from history import record
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from hiexp.cache import DiskCache
from hiexp.configs import CONFIGS
from hiexp.datasets import mock_alfalfa
from hiexp.datasets.mock.alike import draw_alike
from hiexp.datasets.mock.populations import Discs
from hiexp.datasets.mock.receiver import Receiver
from hiexp.hydra_versions import VERSION_BASE
from hiexp.posterior import infer_asymmetry

N_CHANNELS, TURNS, OBJECTS, SIMULATED = 512, 3, 10, 200


def main(n: int = 31502, folder: str = "cache") -> None:
    """Print seconds, the baseline's and the ratio."""
    with initialize_config_dir(str(CONFIGS), **VERSION_BASE):
        line_fit = instantiate(compose("fit").fit, _convert_="all")
    spectra = mock_alfalfa(n, n_channels=N_CHANNELS)
    fit = line_fit(spectra)

    def infer() -> float:
        start = time.perf_counter()
        infer_asymmetry(spectra, fit, line_fit, DiskCache(folder))
        return time.perf_counter() - start

    infer()  # learns, or reads what is learned
    seconds = median(infer() for _ in range(TURNS))
    rng = np.random.default_rng(0)
    lines = fit.table[fit.good].iloc[np.repeat(np.arange(OBJECTS), SIMULATED)]
    start = time.perf_counter()
    galaxies, khz, smoothing = draw_alike(rng, rng, lines, Discs(0.3, 0.06, 0.1), N_CHANNELS)
    receiver = Receiver(N_CHANNELS, khz, ripple=0.0, rfi=0.0, smoothing=smoothing)
    line_fit(receiver.observe(galaxies, np.arange(len(lines)).astype(str), rng, np.float32))
    baseline = (time.perf_counter() - start) * n / OBJECTS
    print(f"{n} posteriors in {seconds:.1f} s (median of {TURNS}); {SIMULATED} simulations of each: {baseline:.0f} s")
    print(f"ratio {baseline / seconds:.0f}")
    record(f"{n} posteriors", baseline / seconds, seconds=seconds)


if __name__ == "__main__":
    main(*([int(sys.argv[1])] if sys.argv[1:] else []), *sys.argv[2:3])
