"""One way through every fit: find the lines, fit them window by window, measure the curves, say what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from torch import Tensor
from tqdm import tqdm

from hiexp.fitting.covariance import covariance, standard_deviations
from hiexp.fitting.least_squares import Solution, least_squares, linear_least_squares, rows_at_once
from hiexp.fitting.line import Channels, Lines, find_lines, tensors
from hiexp.fitting.measure import MEASURED, measure
from hiexp.fitting.model import Model, Settings
from hiexp.fitting.result import GOOD, FitResult
from hiexp.fitting.windows import Windows, gather
from hiexp.spectra import Spectra

BATCH = 1024  # spectra worked on at a time by each process, which bounds the memory
SHARED = 6  # batches from which on it pays to start further processes, which takes seconds
MEASURED_AT_ONCE = {"cpu": 256, "cuda": 8192}  # curves
FADED = 0.01  # of the noise: a curve fainter than this at the ends of its core is negligible beyond


class Pass(NamedTuple):
    """The curves fitted to N spectra, NaN and False where none was.

    ``parameters`` and ``errors`` (N, P); ``values`` and ``value_errors`` (N, 6) of `MEASURED`, and their ``scatter``
    over noise realisations, or None; ``chi2`` (N,) of the whole window from ``low`` to ``high`` (N,); ``converged``
    (N,); the line's 20 % ``edges`` (N, 2) and whether the window has ``cut`` (N,) the line off before them.
    """

    parameters: Tensor
    errors: Tensor
    values: Tensor
    value_errors: Tensor
    scatter: Tensor | None
    chi2: Tensor
    low: Tensor
    high: Tensor
    converged: Tensor
    edges: Tensor
    cut: Tensor

    @classmethod
    def empty(cls, low: Tensor, high: Tensor, n_parameters: int, realise: bool) -> Pass:
        """Return a pass over these windows in which nothing has been fitted."""

        def unknown(*shape: int) -> Tensor:
            return low.new_full((len(low), *shape), torch.nan)

        return cls(
            parameters=unknown(n_parameters),
            errors=unknown(n_parameters),
            values=unknown(len(MEASURED)),
            value_errors=unknown(len(MEASURED)),
            scatter=unknown(len(MEASURED)) if realise else None,
            chi2=unknown(),
            low=low,
            high=high,
            converged=torch.zeros_like(low, dtype=torch.bool),
            edges=unknown(2),
            cut=torch.zeros_like(low, dtype=torch.bool),
        )


Rule = Callable[[Channels, Lines, Pass | None], tuple[Tensor, Tensor]]
"""Chooses the windows of a pass, low and high of shape (N,), from the lines found and the pass before."""


def whole(channels: Channels, lines: Lines, before: Pass | None) -> tuple[Tensor, Tensor]:
    """Look at the whole of each spectrum."""
    return channels.velocity[:, 0], channels.velocity[:, -1]


def around_line(half_window: float) -> Rule:
    """Look `half_window` km/s to each side of the line found."""

    def rule(channels: Channels, lines: Lines, before: Pass | None) -> tuple[Tensor, Tensor]:
        return lines.centre - half_window, lines.centre + half_window

    return rule


def around_w50(margin: float) -> Rule:
    """Look W50 and `margin` km/s to each side of the position, both as the pass before has them.

    Farther where the 20 % edges lie farther out: beside one high horn W50 may leave out the rest of the line.
    """

    def rule(channels: Channels, lines: Lines, before: Pass | None) -> tuple[Tensor, Tensor]:
        position, w50 = before.values[:, 0], before.values[:, 1]
        low, high = before.edges.unbind(1)
        return torch.minimum(position - w50, low) - margin, torch.maximum(position + w50, high) + margin

    return rule


def fit_lines(spectra: Spectra, model: Model, rules: Sequence[Rule], settings: Settings, title: str) -> FitResult:
    """Fit a model to the line of every spectrum, pass after pass, each in the windows its rule chooses.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    model : Model
        What is fitted.
    rules : sequence of Rule
        One a pass. The first pass begins at the model's starts, the others where the one before ended.
    settings : Settings
        How.
    title : str
        Of the progress bar.

    Returns
    -------
    FitResult
        A spectrum that cannot be fitted has NaN and the reason as its status; the others do not notice.
    """
    device = settings.torch_device()
    batches = (
        (spectra.take(slice(start, start + BATCH)), model, rules, settings, device, start)
        for start in range(0, len(spectra), BATCH)
    )
    with tqdm(total=len(spectra), desc=title, unit=" spectra", delay=1, leave=False) as bar:
        parts = []
        for part in _fit_batches(batches, -(-len(spectra) // BATCH), device):
            parts.append(part)
            bar.update(len(part.table))
    return FitResult(
        pd.concat([part.table for part in parts]),
        np.concatenate([part.profiles for part in parts]),
        np.concatenate([part.windows for part in parts]),
        model.parameters,
        tuple(pd.concat(tables) for tables in zip(*(part.passes for part in parts), strict=True)),
    )


def _fit_batches(batches: Iterable[tuple], n_batches: int, device: torch.device) -> Iterator[FitResult]:
    """Yield the results in order, from as many processes as torch may use threads where that pays.

    The operations are many and small: threads would wait for each other's turn with the interpreter.
    """
    workers = torch.get_num_threads()
    if device.type == "cpu" and workers > 1 and n_batches >= SHARED:
        pool = Parallel(workers, return_as="generator", max_nbytes=None)
        yield from pool(delayed(_fit_batch)(*batch) for batch in batches)
        return
    try:
        torch.set_num_threads(1)
        for batch in batches:
            yield _fit_batch(*batch)
    finally:
        torch.set_num_threads(workers)


@torch.no_grad()
def _fit_batch(
    spectra: Spectra, model: Model, rules: Sequence[Rule], settings: Settings, device: torch.device, first: int
) -> FitResult:
    channels = tensors(spectra, device)
    lines = find_lines(channels)
    status = _before_fitting(spectra, channels, lines, settings.min_snr)
    tables, fitted = [], None
    for rule in rules:
        window = _wide_enough(channels, *rule(channels, lines, fitted), 3 * len(model.parameters))
        fitted = _fit_pass(channels, lines, window, status, model, fitted, settings, first)
        _after_fitting(channels, fitted, status, settings)
        tables.append(_table(spectra, channels, lines, fitted, status, model))
    profiles, windows = _sample(fitted, status, model, settings.n_samples)
    return FitResult(tables[-1], profiles, windows, model.parameters, tuple(tables[:-1]))


def _before_fitting(spectra: Spectra, channels: Channels, lines: Lines, min_snr: float) -> np.ndarray:
    """Return why a spectrum cannot be fitted, or `GOOD`, shape (N,)."""
    n_valid = channels.valid.sum(1).cpu().numpy()
    constant = ((channels.flux == channels.flux.amax(1, keepdim=True)) | ~channels.valid).all(1).cpu().numpy()
    snr = lines.snr.cpu().numpy()
    silent = ~(spectra.rms > 0) | ~np.isfinite(spectra.rms)
    status = np.full(len(spectra), GOOD, dtype=object)
    for row in np.flatnonzero((n_valid < 2) | constant | silent | ~(snr >= min_snr)):
        if n_valid[row] < 2:
            status[row] = f"{n_valid[row]} valid channels"
        elif constant[row]:
            status[row] = "constant flux"
        elif silent[row]:
            status[row] = f"no noise to weigh the channels by (rms {spectra.rms[row]:g} mJy)"
        elif snr[row] == 0:
            status[row] = "no emission found"
        else:
            status[row] = f"no line found: the best candidate has S/N {snr[row]:.1f}, below {min_snr:g}"
    return status


def _wide_enough(channels: Channels, low: Tensor, high: Tensor, fewest: int) -> tuple[Tensor, Tensor]:
    """Widen windows that hold fewer channels than a fit needs."""
    middle, reach = (low + high) / 2, torch.maximum((high - low) / 2, fewest / 2 * channels.width)
    return middle - reach, middle + reach


def _fit_pass(
    channels: Channels,
    lines: Lines,
    window: tuple[Tensor, Tensor],
    status: np.ndarray,
    model: Model,
    before: Pass | None,
    settings: Settings,
    first: int,
) -> Pass:
    """Fit the spectra whose status is good; note in `status` those whose windows hold too little."""
    low, high = core = window
    if model.core is not None:
        reach = model.core[0] * lines.width + model.core[1] * channels.width
        core = torch.maximum(low, lines.centre - reach), torch.minimum(high, lines.centre + reach)
    p = len(model.parameters)
    held = channels.sums(*core)[0].int().cpu().numpy()
    for row in np.flatnonzero((status == GOOD) & (held <= p)):
        status[row] = f"{held[row]} valid channels in the window, too few for {p} parameters"
    fitted = Pass.empty(low, high, p, settings.realisations > 0)
    rows = torch.as_tensor(np.flatnonzero(status == GOOD), device=low.device)
    start = None if before is None else before.parameters
    _fit_rows(channels, lines, rows, core, start, fitted, model, settings, first)
    if model.core is not None:
        beyond = channels.sums(*window)[2] - channels.sums(*core)[2]
        fitted.chi2.add_(beyond / channels.rms**2)
        ends = model.value(torch.stack(core, dim=1)[rows], fitted.parameters[rows])
        rows = rows[(ends.abs() > FADED * channels.rms[rows, None]).any(1)]
        _fit_rows(channels, lines, rows, window, fitted.parameters, fitted, model, settings, first)
    return fitted


def _fit_rows(
    channels: Channels,
    lines: Lines,
    rows: Tensor,
    window: tuple[Tensor, Tensor],
    start: Tensor | None,
    fitted: Pass,
    model: Model,
    settings: Settings,
    first: int,
) -> None:
    """Fit the spectra `rows` and write what comes of it into `fitted`."""
    low, high = window
    if not len(rows):
        return
    everything = gather(channels, lines, rows, low[rows], high[rows])
    solution, fixed = _solve(everything, model, None if start is None else start[rows], settings)
    fitted.chi2[rows] = solution.chi2
    fitted.converged[rows] = solution.converged
    fitted.parameters[rows] = solution.parameters
    for chunk in everything.length.argsort().split(MEASURED_AT_ONCE[rows.device.type]):
        part, windows, parameters = rows[chunk], everything.take(chunk), solution.parameters[chunk]
        _, jacobian = model.curve(windows.velocity, parameters)
        covariances = covariance(jacobian * windows.weight[:, None], lines.correlation[part], fixed[chunk])
        measured = measure(model.value, model.curve, parameters, covariances, windows.low, windows.high)
        fitted.errors[part] = standard_deviations(covariances)
        fitted.values[part] = measured.values
        fitted.value_errors[part] = measured.errors
        fitted.edges[part] = torch.stack([measured.low, measured.high], dim=1)
        fitted.cut[part] = measured.cut
        if settings.realisations:
            fitted.scatter[part] = _realise(channels, lines, windows, part, parameters, model, settings)


def _solve(windows: Windows, model: Model, start: Tensor | None, settings: Settings) -> tuple[Solution, Tensor]:
    """Return the best fit, in km/s, and which parameters (B, P) ended at a bound."""
    x, curve = windows.velocity, model.curve
    zero, unit = windows.centre, windows.width / 2
    lower, upper = model.bounds(windows)
    if model.rescale is not None:
        x = (x - zero[:, None]) / unit[:, None]
        start = None if start is None else model.rescale(start, zero, unit)
    starts = model.starts(windows) if start is None else torch.cat([start[None], model.starts(windows)])

    def solve(start: Tensor, rows: Tensor | slice) -> Solution:
        problem = (x[rows], windows.flux[rows], windows.weight[rows], start[rows], lower[rows], upper[rows])
        return least_squares(curve, *problem, settings.max_steps, settings.tolerance)

    if model.linear:
        start = torch.minimum(torch.maximum(starts[0], lower), upper)
        return linear_least_squares(curve, x, windows.flux, windows.weight, start), lower == upper
    best = solve(starts[0], slice(None))
    for other in starts[1:]:
        n_free = windows.n_channels - len(model.parameters)
        expected = windows.noise**2 * (n_free + settings.poor * (2 * n_free).sqrt())
        poor = (best.chi2 > expected).nonzero()[:, 0]
        if not len(poor):
            break
        again = solve(other, poor)
        better = again.chi2 < best.chi2[poor]
        for value, new in zip(best, again, strict=True):
            value[poor[better]] = new[better]
    fixed = (best.parameters <= lower) | (best.parameters >= upper)
    if model.rescale is not None:
        best = best._replace(parameters=model.rescale(best.parameters, -zero / unit, 1 / unit))
    return best, fixed


def _after_fitting(channels: Channels, fitted: Pass, status: np.ndarray, settings: Settings) -> None:
    """Note in `status` what is wrong with fits that were made."""
    low, high = fitted.edges.unbind(1)
    used = channels.running[0]
    first = channels.velocity.gather(1, torch.searchsorted(used, torch.ones_like(used[:, :1])) - 1)[:, 0]
    last = channels.velocity.gather(1, torch.searchsorted(used, used[:, -1:].contiguous()) - 1)[:, 0]
    before, beyond = channels.find(low, high)
    masked = channels.sums(low, high)[0] < 0.5 * (beyond - before)[:, 0]
    reasons = (
        (~fitted.converged, f"not converged in {settings.max_steps} steps"),
        (fitted.values.isnan().any(1), "the fitted curve has no peak"),
        ((low <= first + channels.width) | (high >= last - channels.width), "the line reaches the edge of the band"),
        (fitted.cut, "the line is wider than the fit's window"),
        (masked, "more than half of the line's channels are masked"),
    )
    for wrong, reason in reasons:
        status[(status == GOOD) & wrong.cpu().numpy()] = reason


def _table(
    spectra: Spectra, channels: Channels, lines: Lines, fitted: Pass, status: np.ndarray, model: Model
) -> pd.DataFrame:
    n, flux, squared = channels.sums(fitted.low, fitted.high)
    scatter = squared - flux**2 / n
    squares = fitted.chi2 * channels.rms**2
    names = list(model.parameters)
    columns = {
        **dict(zip(names, fitted.parameters.unbind(1), strict=True)),
        **dict(zip((f"{name}_err" for name in names), fitted.errors.unbind(1), strict=True)),
        **dict(zip(MEASURED, fitted.values.unbind(1), strict=True)),
        **dict(zip((f"{name}_err" for name in MEASURED), fitted.value_errors.unbind(1), strict=True)),
        **(
            {}
            if fitted.scatter is None
            else dict(zip((f"{name}_err_mc" for name in MEASURED), fitted.scatter.unbind(1), strict=True))
        ),
        "snr": lines.snr,
        "chi2": fitted.chi2,
        "chi2_dof": fitted.chi2 / (n - len(names)).clamp_min(1),
        "mse": squares / n,
        "r2": 1 - squares / scatter,
    }
    table = pd.DataFrame({name: value.cpu().numpy() for name, value in columns.items()})
    return table.assign(status=status).set_index(pd.Index(spectra.ids, name="id"))


def _sample(fitted: Pass, status: np.ndarray, model: Model, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return profiles (N, n_samples) and windows (N, 2) of the good fits, NaN for the others."""
    profiles, windows = np.full((len(status), n_samples), np.nan), np.full((len(status), 2), np.nan)
    rows = torch.as_tensor(np.flatnonzero(status == GOOD), device=fitted.low.device)
    share = torch.linspace(0, 1, n_samples).to(fitted.low)
    for part in rows.split(rows_at_once(len(model.parameters), n_samples, rows.device)):
        low, high = fitted.low[part, None], fitted.high[part, None]
        profiles[part.cpu()] = model.value(low + (high - low) * share, fitted.parameters[part]).cpu().numpy()
        windows[part.cpu()] = torch.cat([low, high], dim=1).cpu().numpy()
    return profiles, windows
