"""One way through every fit: find the lines, fit them window by window, measure the curves, say what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from hiexp.devices import torch_device
from hiexp.fitting.backend import Solution
from hiexp.fitting.batches import BATCH, in_order
from hiexp.fitting.covariance import covariance, standard_deviations
from hiexp.fitting.horns import measure_horns
from hiexp.fitting.last_pass import finish, fitted_curve
from hiexp.fitting.line import Channels, Lines, cache_lines, cached_lines, find_lines, tensors
from hiexp.fitting.measurements import check_columns, line_measurements
from hiexp.fitting.model import Model, Settings
from hiexp.fitting.passes import Pass, Rule
from hiexp.fitting.realisations import scatter
from hiexp.fitting.result import GOOD, FitResult
from hiexp.fitting.status import after_fitting, before_fitting
from hiexp.fitting.torch_backend.least_squares import rows_at_once
from hiexp.fitting.windows import Windows, gather
from hiexp.spectra import Spectra

CORE_THRESHOLD = 0.01  # of the noise: a curve fainter than this at the ends of its core is negligible beyond
ROUNDING = 1e-12  # of a number: an error below it is none
BESIDE, EXTENSIONS = (0.25, 0.5, 1.0, 2.0), 2  # widths of the line beside its core, and how often they are looked at
FAINT = 8.0  # signal-to-noise ratio
SMOOTH = 4.5  # variance of sums over that of white noise: beyond, noise has features as wide as those of lines
BRIGHT = 3.0  # standard deviations of sums
SMOOTHED = 2.67  # their variance in noise of Hanning's smoothing, over that in white noise


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
        Title of the progress bar.

    Returns
    -------
    FitResult
        A spectrum that cannot be fitted has NaN and the reason as its status; the others do not notice.
    """
    check_columns(model.parameters)
    device = torch_device(settings.device)
    starts = range(0, len(spectra), BATCH[device.type])
    known = cached_lines(spectra, device)
    batches = (
        (spectra.take(rows), None if known is None else known.take(rows), model, rules, settings, device)
        for rows in (slice(start, start + BATCH[device.type]) for start in starts)
    )
    with tqdm(total=len(spectra), desc=title, unit=" spectra", delay=1, leave=False) as bar:
        lines: list[Lines] = []

        def results() -> Iterator[FitResult]:
            for part, found in in_order(_fit_batch, batches, len(starts), device.type):
                lines.append(found)
                yield part
                bar.update(len(part.table))

        fit = FitResult.joined(results(), len(spectra))
    cache_lines(spectra, device, lines)
    return fit


@torch.no_grad()
def _fit_batch(
    spectra: Spectra,
    lines: Lines | None,
    model: Model,
    rules: Sequence[Rule],
    settings: Settings,
    device: torch.device,
) -> tuple[FitResult, Lines]:
    """Fit some of the spectra, and return their lines too."""
    channels = tensors(spectra, device)
    lines = find_lines(channels) if lines is None else lines
    status = before_fitting(channels, spectra.typical_rms, lines, settings.min_snr)
    tables: list[pd.DataFrame] = []
    fitted: Pass | None = None
    for rule in rules:
        low, high = _wide_enough(channels, *rule(channels, lines, fitted), 3 * len(model.parameters))
        before, earlier = fitted, status.copy()
        fitted = _fit_pass(channels, lines, low, high, status, model, before, settings)
        after_fitting(channels, fitted, status, settings.max_steps)
        if before is not None:
            # A narrower window may cut a line that the wider one held: then the pass before stands.
            failed = status != GOOD
            status = np.where(failed, earlier, status)
            fitted = fitted.with_rows_of(before, torch.tensor(failed, device=device))
        tables.append(_table(spectra, channels, lines, fitted, status, model))
    assert fitted is not None, "a fit has at least one rule"
    rows = torch.tensor(np.flatnonzero(status == GOOD), device=device)
    tables[-1] = finish(tables[-1].assign(**lines.beside(spectra, channels)), channels, lines, rows, fitted, model)
    rows = torch.tensor(np.flatnonzero(tables[-1]["status"] == GOOD), device=device)
    if settings.realisations:
        deviations = _realise(channels, lines, rows, fitted, model, settings, spectra.first)
        tables[-1] = tables[-1].join(deviations.set_index(tables[-1].index))
    profiles, windows = _sample(fitted, rows, low, high, model, settings.n_samples)
    return FitResult(tables[-1], profiles, windows, model.parameters, tuple(tables[:-1])), lines


def _wide_enough(channels: Channels, low: Tensor, high: Tensor, fewest: int) -> tuple[Tensor, Tensor]:
    """Widen windows that hold fewer channels than a fit needs."""
    middle, reach = (low + high) / 2, fewest / 2 * channels.width
    # Others stay to the last digit: rounding would cost them a channel at an end of the band.
    return torch.minimum(low, middle - reach), torch.maximum(high, middle + reach)


def _fit_pass(
    channels: Channels,
    lines: Lines,
    low: Tensor,
    high: Tensor,
    status: np.ndarray,
    model: Model,
    before: Pass | None,
    settings: Settings,
) -> Pass:
    """Fit the spectra whose status is good; note in `status` those whose windows hold too little."""
    near, far = low, high
    if model.core is not None:
        near, far = _core(lines, channels, *model.core)
        near, far = torch.maximum(low, near), torch.minimum(high, far)
    p = len(model.parameters)
    held = channels.sums(near, far).number.cpu().numpy()
    status[(status == GOOD) & (held <= p)] = f"no more valid channels in the window than the {p} parameters"
    fitted = Pass.empty(low, high, p)
    rows = torch.tensor(np.flatnonzero(status == GOOD), device=low.device)
    every = torch.full_like(fitted.converged, model.every_start and before is None)
    if model.core is None:
        _fit_rows(channels, lines, rows, near, far, before, every, fitted, model, settings)
        return fitted
    # In noise that is correlated that far, and of faint lines, a lower chi2 is not a better curve: widths and
    # asymmetries of model galaxies scatter less where the best start is the only one.
    smooth = 1 + 2 * lines.correlation.sum(1) > SMOOTH
    bright = lines.snr >= FAINT
    _fit_until_faded(channels, lines, rows, near, far, before, every & ~smooth & bright, fitted, model, settings)
    if before is None:
        near, far, brighter = _beside(channels, lines, near, far, model.core[1])
        rows = rows[(brighter & bright)[rows]]
        lines = _spread(channels, lines, near, far, model.core)
        _fit_until_faded(channels, lines, rows, near, far, fitted, every, fitted, model, settings)
    return fitted


def _fit_until_faded(
    channels: Channels,
    lines: Lines,
    rows: Tensor,
    near: Tensor,
    far: Tensor,
    before: Pass | None,
    every: Tensor,
    fitted: Pass,
    model: Model,
    settings: Settings,
) -> None:
    """Fit between `near` and `far`, and farther out where a curve has not faded away there."""
    while len(rows):
        near, far = torch.maximum(fitted.low, near), torch.minimum(fitted.high, far)
        _fit_rows(channels, lines, rows, near, far, before, every, fitted, model, settings)
        beyond = channels.sums(fitted.low, fitted.high).squares - channels.sums(near, far).squares
        fitted.chi2[rows] += (beyond / channels.rms**2)[rows]
        ends = model.value(torch.stack([near, far], dim=1)[rows], fitted.parameters[rows]).abs()
        there_is_more = torch.stack([near > fitted.low, far < fitted.high], dim=1)[rows]
        rows = rows[(there_is_more & (ends > CORE_THRESHOLD * channels.rms[rows, None])).any(1)]
        reach, before, every = far - near, fitted, torch.zeros_like(every)
        near, far = near - reach, far + reach


def _core(lines: Lines, channels: Channels, widths: float, more: float) -> tuple[Tensor, Tensor]:
    """Return between where the channels around each line can matter, each of shape (N,)."""
    reach = widths * lines.width + more * channels.width
    return lines.centre - reach, lines.centre + reach


def _beside(
    channels: Channels, lines: Lines, near: Tensor, far: Tensor, more: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return how far out there is flux beside a core, and whether there is, each of shape (N,).

    Of a lopsided line the box with the highest signal-to-noise ratio may be the brighter part alone.
    """
    margin, inner, outer = more * channels.width, near, far
    # The rest of a line makes what is beside its box look more correlated than noise is.
    noise = channels.rms * (1 + 2 * lines.correlation.sum(1)).clamp(1, SMOOTHED).sqrt()
    for _ in range(EXTENSIONS):
        nearer, farther = near, far
        for share in BESIDE:
            reach = share * lines.width
            left, right = channels.sums(near - reach, near), channels.sums(far, far + reach)
            bright = [flux > BRIGHT * noise * weight.sqrt() for _, weight, flux, _ in (left, right)]
            nearer = torch.where(bright[0], torch.minimum(nearer, near - reach - margin), nearer)
            farther = torch.where(bright[1], torch.maximum(farther, far + reach + margin), farther)
        near, far = nearer, farther
    return near, far, (near < inner) | (far > outer)


def _spread(channels: Channels, lines: Lines, near: Tensor, far: Tensor, core: tuple[float, float]) -> Lines:
    """Return lines that have these cores."""
    width = (far - near - 2 * core[1] * channels.width) / (2 * core[0])
    return replace(lines, centre=(near + far) / 2, width=width)


def _fit_rows(
    channels: Channels,
    lines: Lines,
    rows: Tensor,
    low: Tensor,
    high: Tensor,
    before: Pass | None,
    every: Tensor,
    fitted: Pass,
    model: Model,
    settings: Settings,
) -> None:
    """Fit the spectra `rows` between `low` and `high` and write what comes of it into `fitted`."""
    if not len(rows):
        return
    rows = rows[channels.sums(low, high).number[rows].argsort()]  # so that those measured together are about as long
    everything = gather(channels, lines, rows, low, high)
    solution, fixed, at_bound = _solve(
        everything, model, None if before is None else before.parameters[rows], every[rows], settings
    )
    fitted.chi2[rows] = solution.chi2
    fitted.at_bound[rows] = at_bound
    fitted.converged[rows] = solution.converged
    fitted.parameters[rows] = solution.parameters
    backend = model.backend(rows.device)
    for chunk in (slice(start, start + backend.at_once) for start in range(0, len(rows), backend.at_once)):
        part, windows, parameters = rows[chunk], everything.take(chunk), solution.parameters[chunk]
        made = backend.products(windows.velocity, windows.weight, parameters, lines.correlation[part])
        covariances = covariance(*made, fixed[chunk])
        measured = backend.measure(parameters, covariances, windows.low, windows.high)
        fitted.covariances[part] = covariances
        for name in fitted.measured:
            fitted.measured[name][part] = measured.numbers[name]
            error = measured.errors[name]  # 0 where parameters are so uncertain together that rounding leaves nothing
            fitted.measured_errors[name][part] = torch.where(
                error > ROUNDING * measured.numbers[name].abs(), error, torch.nan
            )
        fitted.edges[part] = torch.stack([measured.low, measured.high], dim=1)
        fitted.cut[part] = measured.cut


def _solve(
    windows: Windows, model: Model, start: Tensor | None, every: Tensor, settings: Settings
) -> tuple[Solution, Tensor, Tensor]:
    """Return the best fit, in km/s, which parameters (B, P) a bound fixes, and whether it stopped a free one (B,).

    Of the model's starting points those behind `start`, or behind the first, are tried for every spectrum, (B,), of
    which that is wanted, and for those that are poor fits so far.
    """
    backend = model.backend(windows.velocity.device)
    zero, unit = windows.centre, windows.width / 2
    lower, upper = model.bounds(windows)

    def starts(windows: Windows) -> Tensor:
        data = _abscissa(windows, model), windows.flux, windows.weight
        return model.starts(windows, lambda parameters: backend.expand(*data, parameters))

    x = _abscissa(windows, model)
    if model.linear:
        begin = torch.minimum(torch.maximum(starts(windows)[0], lower), upper)
        best = backend.linear_least_squares(x, windows.flux, windows.weight, begin)
        fixed = lower == upper
        return best, fixed, torch.zeros_like(fixed[:, 0])

    def solve(start: Tensor, rows: Tensor) -> Solution:
        problem = (x[rows], windows.flux[rows], windows.weight[rows], start, lower[rows], upper[rows])
        return backend.least_squares(*problem, settings.max_steps, settings.tolerance)

    n_free = windows.n_channels - len(model.parameters)
    expected = windows.noise**2 * (n_free + settings.poor * (2 * n_free).sqrt())
    rows = torch.arange(len(x), device=x.device)
    if start is None:
        first, *others = starts(windows)
        best = solve(first, rows)
    else:
        best = solve(start if model.rescale is None else model.rescale(start, zero, unit), rows)
        rows = ((best.chi2 > expected) | every).nonzero()[:, 0]
        others = [*starts(windows.take(rows))] if len(rows) else []
    for other in others:
        tried = ((best.chi2 > expected) | every)[rows]
        if not tried.any():
            break
        again = solve(other[tried], rows[tried])
        better = again.chi2 < best.chi2[rows[tried]]
        for value, new in zip(best, again, strict=True):
            value[rows[tried][better]] = new[better]
    if model.simplest is not None:
        best = best._replace(parameters=model.simplest(best.parameters))
    fixed = (best.parameters <= lower) | (best.parameters >= upper)
    if model.rescale is not None:
        best = best._replace(parameters=model.rescale(best.parameters, -zero / unit, 1 / unit))
    return best, fixed, (fixed & (lower < upper)).any(1)


def _abscissa(windows: Windows, model: Model) -> Tensor:
    """Return the velocities (B, M) in the unit of what is fitted."""
    if model.rescale is None:
        return windows.velocity
    return (windows.velocity - windows.centre[:, None]) / (windows.width / 2)[:, None]


def _table(
    spectra: Spectra, channels: Channels, lines: Lines, fitted: Pass, status: np.ndarray, model: Model
) -> pd.DataFrame:
    n, weight, flux, squared = channels.sums(fitted.low, fitted.high)
    squares = fitted.chi2 * channels.rms**2
    names = list(model.parameters)
    values, errors = fitted.parameters, standard_deviations(fitted.covariances)
    if model.reported is not None:
        values, errors = model.reported(fitted.parameters, fitted.covariances)
    columns = {
        **_columns(names, values),
        **_columns([f"{name}_err" for name in names], errors),
        **fitted.measured,
        **{f"{name}_err": error for name, error in fitted.measured_errors.items()},
        "snr": lines.snr,
        "chi2": fitted.chi2,
        "chi2_dof": fitted.chi2 / (n - len(names)).clamp_min(1),
        "mse": squares / n,
        "r2": 1 - squares / (squared - flux**2 / weight),
    }
    table = pd.DataFrame({name: value.cpu().numpy() for name, value in columns.items()})
    return table.assign(status=status).set_index(pd.Index(spectra.ids, name="id"))


def _columns(names: Sequence[str], values: Tensor) -> dict[str, Tensor]:
    return dict(zip(names, values.unbind(1), strict=True))


def _realise(
    channels: Channels, lines: Lines, rows: Tensor, fitted: Pass, model: Model, settings: Settings, first: int
) -> pd.DataFrame:
    """Return the scatter of what is measured over noise realisations, a row a spectrum of the batch."""
    low, high, parameters = fitted.low[rows], fitted.high[rows], fitted.parameters[rows]
    covariances = parameters.new_zeros(len(rows), len(model.parameters), len(model.parameters))
    backend, names = model.backend(rows.device), (*line_measurements(), *line_measurements(once=True))

    never = torch.zeros_like(rows, dtype=torch.bool)

    def measured_again(simulated: Channels) -> Tensor:
        windows = gather(simulated, lines, rows, fitted.low, fitted.high)
        solution, *_ = _solve(windows, model, parameters, never, settings)
        numbers = backend.measure(solution.parameters, covariances, low, high).numbers
        ends = low, high, channels.width[rows]
        horns = measure_horns(model, solution.parameters, covariances, *ends, numbers["w50"], torch.zeros_like(low))
        numbers = numbers | horns.numbers
        return torch.stack([numbers[name] for name in names], dim=1)

    curve = fitted_curve(channels, rows, fitted, model)
    generator = torch.Generator().manual_seed(settings.seed + first)
    deviations = channels.flux.new_full((len(channels.flux), len(names)), torch.nan)
    deviations[rows] = scatter(channels, curve, measured_again, settings.realisations, generator)
    return pd.DataFrame(deviations.cpu().numpy(), columns=[f"{name}_err_mc" for name in names])


def _sample(
    fitted: Pass, rows: Tensor, low: Tensor, high: Tensor, model: Model, n_samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return profiles (N, n_samples) from `low` to `high` and these windows (N, 2), NaN for all but `rows`."""
    n = len(low)
    profiles, windows = np.full((n, n_samples), np.nan, dtype=np.float32), np.full((n, 2), np.nan)
    share = torch.linspace(0, 1, n_samples, dtype=low.dtype, device=low.device)
    for part in rows.split(rows_at_once(len(model.parameters), n_samples, rows.device)):
        first, last = low[part, None], high[part, None]
        profiles[part.cpu()] = model.value(first + (last - first) * share, fitted.parameters[part]).cpu().numpy()
        windows[part.cpu()] = torch.cat([first, last], dim=1).cpu().numpy()
    return profiles, windows
