"""Fits of many spectra at once against one library call a spectrum.

    python benchmarks/fitting.py [number of spectra, 31502 if not given] [device, cpu if not given]

Model spectra of 1,024 channels from `mock_alfalfa`. Four questions:

1. The Busy Function, a single pass over the whole spectrum, on one thread, against `scipy.optimize.least_squares` a
   spectrum: CPU time, in samples of 2,048 and of 300, and chi2. The baseline starts from the catalogue's velocity,
   width and flux. Where
   ``../shared/data/busyfit_reference`` is there, chi2 is compared with that of BusyFit 0.3.2 too.
2. The whole sample on all cores, in one pass and in three: wall-clock time and the memory of all processes.
3. Polynomial, Gaussian, Lorentzian and double Lorentzian together, on one thread, against the loop of the study
   (Jaimes-Illanes et al. 2025): `numpy.polyfit` of degree 15 on the spectrum and on the 201 channels around its peak,
   `scipy.optimize.curve_fit` of the three others on these channels. NumPy once has as many threads as it likes and
   once one; ours once share the search for the lines, being fits of one sample, and once do not. Then ours on the
   whole sample and all cores.
4. Time against the number of spectra, drawn in ``docs/fitting_cost.png``.

Times a spectrum are medians of rounds in which ours and the baseline take turns, since the machine may be shared.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from history import record
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib.figure import Figure
from processes import peak_memory, tree
from scipy.optimize import curve_fit, least_squares
from scipy.special import erf
from threadpoolctl import threadpool_limits

from hiexp.datasets import mock_alfalfa, read_alfalfa
from hiexp.fitting import FitResult, fit_spectra
from hiexp.hydra_versions import VERSION_BASE
from hiexp.spectra import Spectra

REPOSITORY = Path(__file__).resolve().parents[1]
REFERENCE = REPOSITORY.parent / "shared" / "data" / "busyfit_reference"
SURVEY = 31502
ROUNDS = 5
OURS = 2048  # spectra a round
SMALL = 300  # spectra of a small sample
BASELINE = 60
STUDY = ("polynomial", "gaussian", "lorentzian", "double_lorentzian")
SIZES = (100, 1000, 10_000, 100_000)

Fit = Callable[[Spectra], FitResult]
Work = Callable[[Spectra], object]


def configured(fit: str, device: str, *overrides: str) -> Fit:
    """Return a fit as conf/fit/ has it."""
    with initialize_config_dir(str(REPOSITORY / "conf"), **VERSION_BASE):
        cfg = compose("train", [f"fit={fit}", f"device={device}", *overrides])
    return instantiate(cfg.fit, _convert_="all")


def seconds(work: Callable[[], object]) -> np.ndarray:
    """Return wall-clock and CPU seconds of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return np.array([time.perf_counter() - wall, time.process_time() - cpu])


def in_turns(spectra: Spectra, ours: list[Work], baselines: list[Work], sizes: tuple[int, ...] = ()) -> np.ndarray:
    """Return medians of wall-clock and CPU milliseconds a spectrum, ours, on one thread, before the baselines.

    Of our works the sizes of the samples may be given, else they are `OURS`.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for work in ours:
        work(spectra.take(slice(0, 32)))
    spent = []
    for number in range(ROUNDS):
        few = slice(number * BASELINE, (number + 1) * BASELINE)
        rows = [slice(0, size) for size in sizes or [OURS] * len(ours)] + [few] * len(baselines)
        samples = [spectra.take(part) for part in rows]  # new ones, in which no line has been looked for
        works = zip([*ours, *baselines], samples, strict=True)
        spent.append([seconds(lambda work=work, s=s: work(s)) / len(s) for work, s in works])
    torch.set_num_threads(threads)
    return 1000 * np.median(spent, axis=0)


def busy(p: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the Busy Function (Westmeier et al. 2014)."""
    a, b1, b2, c, xe, xp, w, n = p
    return a / 4 * (erf(b1 * (w + x - xe)) + 1) * (erf(b2 * (w - x + xe)) + 1) * (c * np.abs(x - xp) ** n + 1)


def busy_by_scipy(spectra: Spectra) -> np.ndarray:
    """Fit each spectrum by itself, in channels, from the catalogue's velocity, width and flux; return chi2."""
    chi2 = []
    x = np.arange(spectra.flux.shape[1], dtype=float)
    for i in range(len(spectra)):
        truth, channel = spectra.catalogue.iloc[i], np.diff(spectra.velocity[i]).mean()
        width = max(truth["W50"] / channel, 2)
        start = [1000 * truth["HIflux"] / channel / width, 0.3, 0.3, 1e-3, 0, 0, width / 2, 2]
        start[4] = start[5] = np.interp(truth["Vhel"], spectra.velocity[i], x)
        bounds = [0, 1e-3, 1e-3, 0, 0, 0, 0.1, 0], [np.inf, 3, 3, np.inf, x[-1], x[-1], x[-1] / 2, 8]
        flux, rms = spectra.flux[i].astype(float), spectra.rms[i]

        def residual(p: np.ndarray, flux: np.ndarray = flux, rms: float = rms) -> np.ndarray:
            return (busy(p, x) - flux) / rms

        chi2.append(2 * least_squares(residual, start, bounds=bounds, x_scale="jac", max_nfev=100).cost)
    return np.array(chi2)


def study_loop(spectra: Spectra) -> np.ndarray:
    """Fit each spectrum as the study did; return which of the three curve fits of each failed, shape (N, 3)."""

    def gaussian(x: np.ndarray, p: float, c: float, w: float) -> np.ndarray:
        return p * np.exp(-((x - c) ** 2) / (2 * w**2))

    def lorentzian(x: np.ndarray, p: float, c: float, w: float) -> np.ndarray:
        return p / np.pi * w / ((x - c) ** 2 + w**2)

    def double(x: np.ndarray, p: float, c: float, w: float, q: float, d: float, u: float) -> np.ndarray:
        return lorentzian(x, p, c, w) + lorentzian(x, q, d, u)

    failed = np.zeros((len(spectra), 3), dtype=bool)
    channel = np.arange(spectra.flux.shape[1], dtype=float)
    tenth = channel.size // 10
    for i, flux in enumerate(spectra.flux.astype(float)):
        smooth = np.polyval(np.polyfit(channel, flux, 15), channel)
        peak = tenth + int(smooth[tenth:-tenth].argmax())
        crop = slice(max(peak - 100, 0), peak + 101)
        x, y = channel[crop], flux[crop]
        smooth = np.polyval(np.polyfit(x, y, 15), x)
        second, first = np.argsort(smooth)[-2:]
        one = [smooth[first], x[first], 10]
        starts = ((gaussian, one), (lorentzian, one), (double, [*one, smooth[second], x[second], 10]))
        for j, (curve, start) in enumerate(starts):
            try:
                curve_fit(curve, x, y, p0=start)
            except RuntimeError:
                failed[i, j] = True
    return failed


def say(name: str, *values: object) -> None:
    """Print a line of the report."""
    print(f"{name:52}", *values)


def compare_busy(spectra: Spectra, device: str) -> None:
    """Answer the first question."""
    fit = configured("busy", device, "fit.margins=[]")
    sizes = OURS, SMALL
    *ours, scipy = in_turns(spectra, [fit] * len(sizes), [busy_by_scipy], sizes)
    for size, (_, mine) in zip(sizes, ours, strict=True):
        text = f"{mine:.2f}, scipy.optimize.least_squares {scipy[1]:.1f}: {scipy[1] / mine:.0f} x"
        say(f"Busy Function, one pass, CPU ms a spectrum of {size}", text)
        record(f"Busy Function, one pass, {size} spectra", scipy[1] / mine, cpu_ms=mine)
    few = spectra.take(slice(0, ROUNDS * BASELINE))
    result = fit(few)
    ratio = (result.table["chi2"].to_numpy() / busy_by_scipy(few))[result.good]
    describe_chi2(f"  chi2 over scipy's, {ratio.size} spectra", ratio)
    if REFERENCE.is_dir():
        describe_chi2("  chi2 over BusyFit's, its mock spectra", reference_mock())
        describe_chi2("  chi2 over BusyFit's, hard model spectra", reference_mock("hard"))
        describe_chi2("  chi2 over BusyFit's, its real spectra", reference_appss())


def describe_chi2(name: str, ratio: np.ndarray) -> None:
    """Print how often ours is as good, better or worse by a thousandth."""
    good, better, worse = (ratio <= 1.001).sum(), (ratio < 0.999).sum(), (ratio > 1.001).sum()
    text = f"{good} of {ratio.size} at most 1.001; {better} below 0.999, {worse} above 1.001; from {ratio.min():.3f}"
    say(name, f"{text} to {ratio.max():.3f}")


def reference_mock(name: str = "mock") -> np.ndarray:
    """Return ours over BusyFit's chi2 of model spectra."""
    data, theirs = np.load(REFERENCE / f"{name}_spectra.npz"), pd.read_csv(REFERENCE / f"{name}.csv")
    ours = fit_spectra(data["velocity"], data["flux"], rms=data["rms"], margins=[], min_snr=0)
    return ours.table["chi2"].to_numpy() / theirs["chi2"].to_numpy()


def reference_appss() -> np.ndarray:
    """Return ours over BusyFit's chi2 of the real spectra, over the same channels and with the same rms."""
    spectra, ratio = read_alfalfa(str(REFERENCE.parent / "appss")), []
    for name, theirs in pd.read_csv(REFERENCE / "appss.csv").set_index("id").iterrows():
        row = list(spectra.ids).index(name.removeprefix("A"))
        part = slice(int(theirs["first_channel"]), int(theirs["first_channel"] + theirs["n_chan"]))
        flux, velocity = spectra.flux[row, part], spectra.velocity[row, part]
        ours = fit_spectra(velocity, flux, rms=theirs["rms"], margins=[], min_snr=0)
        ratio.append(ours.table["chi2"].iloc[0] / theirs["chi2"])
    return np.array(ratio)


def time_survey(spectra: Spectra, device: str) -> None:
    """Answer the second question."""
    for name, overrides in (("one pass", ["fit.margins=[]"]), ("three passes", [])):
        fit, results = configured("busy", device, *overrides), []
        _, before = tree()

        def work(fit: Fit = fit, results: list = results) -> None:
            results.append(seconds(lambda: results.append(fit(spectra)))[0])

        most = peak_memory(work)
        say(
            f"{len(spectra)} spectra, Busy Function, {name}",
            f"{results[1]:.1f} s wall, {tree()[1] - before:.0f} s CPU, at most {most:.1f} GiB; "
            f"{results[0].good.sum()} fits are good; load of the machine {os.getloadavg()[0]:.1f}",
        )


def compare_study(spectra: Spectra, device: str) -> None:
    """Answer the third question."""
    fits = [configured(name, device) for name in STUDY]

    def together(sample: Spectra) -> None:
        for fit in fits:
            fit(sample)

    def apart(sample: Spectra) -> None:
        for fit in fits:
            fit(sample.take(slice(None)))

    def on_one_thread(sample: Spectra) -> None:
        with threadpool_limits(1):
            study_loop(sample)

    times = in_turns(spectra, [together, apart], [study_loop, on_one_thread])
    for unit, (ours, alone, loop, one) in zip(("wall", "CPU"), times.T, strict=True):
        say(
            f"Polynomial and three curves, {unit} ms a spectrum",
            f"{ours:.2f}, {alone:.2f} if each looks for the lines; loop {loop:.1f}, {one:.1f} on one thread: "
            f"{loop / ours:.0f} and {one / ours:.0f} x",
        )
        record(f"polynomial and three curves, {unit}", one / ours, ms=ours)
    wall, _ = seconds(lambda: together(spectra))
    each = f"{1000 * wall / len(spectra):.2f} ms a spectrum"
    say(f"  {len(spectra)} spectra on all cores", f"{wall:.1f} s wall, {each}; load {os.getloadavg()[0]:.1f}")
    few = spectra.take(slice(0, OURS))
    failed = study_loop(few)
    counts = ", ".join(f"{name} {n}" for name, n in zip(STUDY[1:], failed.sum(0), strict=True))
    say(f"  no fit, loop, of {len(few)} spectra", f"{counts}; any {failed.any(1).sum()}")
    for name, fit in zip(STUDY, fits, strict=True):
        reasons = fit(few).failures()["reason"].str.replace(r"\d+(\.\d+)?", "#", regex=True)
        reasons = Counter(reasons[~reasons.str.startswith("no line found")])
        said = "; ".join(f"{n} {reason}" for reason, n in reasons.most_common()) or "none"
        say(f"  no fit though there is a line, {name}", said)


def time_sizes(spectra: Spectra, device: str) -> np.ndarray:
    """Answer the fourth question; return wall-clock and CPU seconds, shape (sizes, 2).

    More spectra than there are come as repetitions.
    """
    fit, spent = configured("busy", device, "fit.margins=[]"), []
    for size in SIZES:
        whole, rest = divmod(size, len(spectra))
        pieces = [spectra] * whole + ([spectra.take(slice(0, rest))] if rest else [])
        rounds = []
        for _ in range(ROUNDS if size <= 1000 else 1):
            (_, before), start = tree(), time.perf_counter()
            for piece in pieces:
                fit(piece)
            rounds.append([time.perf_counter() - start, tree()[1] - before])
        spent.append(np.median(rounds, axis=0))
        wall, cpu = spent[-1]
        each = f"{1000 * wall / size:.2f} and {1000 * cpu / size:.2f} ms each"
        say(f"{size} spectra, Busy Function, one pass", f"{wall:.2f} s wall, {cpu:.2f} s CPU; {each}")
    return np.array(spent)


def draw_sizes(spent: np.ndarray, cores: int, file: Path) -> None:
    """Draw seconds against the number of spectra."""
    figure = Figure(figsize=(5, 3.6), dpi=120, layout="constrained")
    panel = figure.subplots()
    panel.loglog(SIZES, spent[:, 0], "o-", label=f"wall clock, {cores} cores")
    panel.loglog(SIZES, spent[:, 1], "s--", label="CPU, all processes")
    panel.loglog(SIZES, spent[-1, 1] * np.array(SIZES) / SIZES[-1], color="0.7", lw=1, label="in proportion")
    panel.set_xlabel("spectra of 1,024 channels")
    panel.set_ylabel("seconds")
    panel.set_title("Busy Function, one pass")
    panel.legend()
    figure.savefig(file)


def main(n: int, device: str) -> None:
    """Print the answers."""
    warnings.simplefilter("ignore")  # of polyfit, which finds degree 15 poorly conditioned, and of curve_fit
    cores = torch.get_num_threads()
    say("machine", f"{platform.machine()}, {cores} cores, torch {torch.__version__}, device {device}")
    spectra = mock_alfalfa(n)
    compare_busy(spectra, device)
    compare_study(spectra, device)
    time_survey(spectra, device)
    draw_sizes(time_sizes(spectra, device), cores, REPOSITORY / "docs" / "fitting_cost.png")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SURVEY, sys.argv[2] if len(sys.argv) > 2 else "cpu")
