"""Compiled fits: the numbers of the batched ones, and the faults of curves that somebody else has compiled."""

import numpy as np
import pytest
import torch
from helpers.lines import AXIS, configured, draw_busy, make_spectra, noise
from helpers.lines import busy as busy_curve
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from hiexp.errors import InputError
from hiexp.fitting import fit_function, numba_backend
from hiexp.fitting.busy_model import by_height, by_height_with_derivatives
from hiexp.fitting.covariance import covariance
from hiexp.fitting.numba_backend import compiled_curve
from hiexp.fitting.numba_backend import curves as compiled_curves
from hiexp.fitting.polynomial_model import polynomial, with_derivatives
from hiexp.fitting.torch_backend import curves, expand, least_squares, linear_least_squares, measure, products


def profile(name):
    """Return a curve of the torch backend, alone and with its derivatives, for parameters (B, P)."""
    value, both = getattr(curves, name), getattr(curves, f"{name}_with_derivatives")
    return (lambda v, p: value(v, p.T[:, :, None])), (lambda v, p: both(v, p.T[:, :, None]))


CURVES = {name: profile(name) for name in ("gaussian", "lorentzian", "double_lorentzian")}
CURVES["polynomial"] = polynomial, with_derivatives
CURVES["busy"] = by_height, by_height_with_derivatives
COMPILED = {name: getattr(compiled_curves, name) for name in CURVES if name != "busy"} | {"busy": numba_backend.busy}
ALL = pytest.mark.parametrize("name", CURVES)


def problems(name, seed, n=12, size=90):
    """Return velocities, noisy data, weights (some 0, at the ends too) and true parameters of n lines."""
    rng = np.random.default_rng(seed)
    lines = [rng.uniform(5, 30, n), rng.uniform(-60, 60, n), rng.uniform(20, 60, n)]
    area = [1000 * lines[0] / lines[2], *lines[1:]]
    edges = [rng.uniform(0.02, 0.2, n), rng.uniform(0.02, 0.2, n)]
    rows = {
        "busy": [
            lines[0],
            *edges,
            rng.uniform(0, 3, n),
            lines[1],
            lines[1] * 0.8,
            2 * lines[2],
            rng.uniform(0.5, 8, n),
        ],
        "gaussian": lines,
        "lorentzian": area,
        "double_lorentzian": [*area, area[0] * 0.7, area[1] + rng.uniform(40, 90, n), area[2] * 0.8],
        "polynomial": [np.full(n, -300.0), np.full(n, 300.0), *rng.normal(0, 5, (9, n))],
    }
    truth = torch.tensor(np.stack(rows[name], axis=1))
    velocity = torch.linspace(-300, 300, size).double().repeat(n, 1)
    data = CURVES[name][0](velocity, truth) + torch.tensor(rng.normal(0, 1, (n, size)))
    place, first, last = np.arange(size), rng.integers(0, 9, (n, 1)), rng.integers(size - 9, size + 1, (n, 1))
    used = (place >= first) & (place < last) & (rng.uniform(size=(n, size)) > 0.1)
    return velocity, data, torch.tensor(used * rng.uniform(0.5, 2, (n, 1))), truth


@ALL
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_a_compiled_curve_has_the_values_and_derivatives_of_the_batched_one(name, seed):
    velocity, _, _, truth = problems(name, seed)
    value, derivatives = CURVES[name][1](velocity, truth)
    for row in range(len(truth)):
        ours, by = np.empty(velocity.shape[1]), np.empty((truth.shape[1], velocity.shape[1]))
        COMPILED[name](velocity[row].numpy(), truth[row].numpy(), ours, by)
        np.testing.assert_allclose(ours, value[row], rtol=1e-10, atol=1e-10)
        expected = torch.stack(list(derivatives))[:, row].numpy()
        np.testing.assert_allclose(by, expected, rtol=1e-10, atol=1e-12 * max(np.abs(expected).max(), 100))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaussian", "lorentzian", "double_lorentzian"])
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_the_compiled_minimiser_takes_the_steps_of_the_batched_one(name, seed):
    velocity, data, weight, truth = problems(name, seed)
    start = truth * torch.tensor(np.random.default_rng(seed + 1).uniform(0.8, 1.2, truth.shape))
    lower, upper = torch.full_like(truth, -torch.inf), torch.full_like(truth, torch.inf)
    lower[:, 2] = 1
    upper[::3, 0] = 0.8 * truth[::3, 0]
    lower[1::3, 1] = upper[1::3, 1] = truth[1::3, 1]
    problem = velocity, data, weight, start, lower, upper
    for max_steps in (3, 200):
        batched = least_squares(CURVES[name][1], *problem, max_steps, 1e-4)
        ours = numba_backend.least_squares(COMPILED[name], *problem, max_steps, 1e-4)
        assert ours.converged.tolist() == batched.converged.tolist()
        torch.testing.assert_close(ours.chi2, batched.chi2, rtol=1e-8, atol=0)
        torch.testing.assert_close(ours.parameters, batched.parameters, rtol=1e-5, atol=1e-5)
        assert (ours.parameters >= lower).all()
        assert (ours.parameters <= upper).all()


def test_data_that_are_not_numbers_and_windows_without_a_channel_hurt_nobody_else():
    velocity, data, weight, truth = problems("gaussian", 3)
    unbounded = torch.full_like(truth, torch.inf)
    solve = numba_backend.least_squares
    clean = solve(compiled_curves.gaussian, velocity, data, weight, truth, -unbounded, unbounded, 200, 1e-4)
    data[1, 40], data[2], weight[3] = torch.nan, torch.inf, 0
    weight[1, 40] = 1
    spoiled = solve(compiled_curves.gaussian, velocity, data, weight, truth, -unbounded, unbounded, 200, 1e-4)
    assert not spoiled.converged[1:3].any()
    torch.testing.assert_close(spoiled.parameters[1:4], truth[1:4])
    torch.testing.assert_close(spoiled.parameters[4:], clean.parameters[4:], rtol=0, atol=0)


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_the_expansion_of_chi2_is_the_same(seed):
    velocity, data, weight, truth = problems("busy", seed)
    theirs = expand(by_height_with_derivatives, velocity, data, weight, truth)
    ours = numba_backend.expand(numba_backend.busy, velocity, data, weight, truth)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_a_linear_problem_takes_the_same_step(seed):
    velocity, data, weight, truth = problems("polynomial", seed)
    start = torch.cat([truth[:, :2], torch.zeros_like(truth[:, 2:])], dim=1)
    batched = linear_least_squares(with_derivatives, velocity, data, weight, start)
    ours = numba_backend.linear_least_squares(compiled_curves.polynomial, velocity, data, weight, start)
    torch.testing.assert_close(ours.parameters, batched.parameters, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(ours.chi2, batched.chi2)
    assert ours.converged.all()


@ALL
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_compiled_measurements_and_their_errors_are_the_batched_ones(name, seed):
    velocity, _, weight, truth = problems(name, seed)
    correlation = torch.tensor(np.random.default_rng(seed).uniform(-0.1, 0.3, (len(truth), 5)))
    value, curve = CURVES[name]
    ours = numba_backend.products(COMPILED[name], velocity, weight, truth, correlation)
    theirs = products(curve, velocity, weight, truth, correlation)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))
    fixed = torch.zeros_like(truth, dtype=torch.bool)
    fixed[:, :2] |= name == "polynomial"
    covariances = covariance(*theirs, fixed)
    low, high = velocity[:, 0], velocity[:, -1]
    ours = numba_backend.measure(COMPILED[name], truth, covariances, low, high)
    theirs = measure(value, curve, truth, covariances, low, high)
    assert list(ours.numbers) == list(theirs.numbers)
    for mine, other in zip(ours, theirs, strict=True):
        # Of eight parameters an error is the root of what covariances a million times as large leave of each other.
        within = {"rtol": 1e-3, "atol": 1e-5} if name == "busy" else {"rtol": 1e-5, "atol": 1e-7}
        torch.testing.assert_close(mine, other, **within, equal_nan=True)


@pytest.mark.parametrize("name", ["gaussian", "lorentzian", "double_lorentzian"])
def test_a_fit_is_the_same_compiled_and_batched(name):
    flux = busy_curve(AXIS, *draw_busy(30, 7)) + noise(3, 1.0, (30, AXIS.size))
    flux[3], flux[4] = 0, -np.abs(flux[4])
    spectra = make_spectra(flux, 1.0, AXIS)
    ours, batched = configured(name)(spectra).table, configured(name, "compiled=null")(spectra).table
    assert ours["status"].tolist() == batched["status"].tolist()
    assert ours["flags"].tolist() == batched["flags"].tolist()
    for number in ours.columns.drop(["status", "flags"]):
        np.testing.assert_allclose(ours[number], batched[number], rtol=1e-4, err_msg=number)


def undecorated(velocity, parameters, value, derivatives):
    """Do what is wanted, but in Python."""
    compiled_curves.gaussian(velocity, parameters, value, derivatives)


@njit
def of_five(velocity, parameters, value, derivatives, more):
    value[:] = more


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("hiexp.fitting.numba_backend.curves.magic", r"fit\.compiled=.*magic: cannot be imported"),
        (compiled_curves.lorentzian, r"fit\.compiled: not the values and derivatives of fit\.function"),
        (undecorated, r"fit\.compiled: not compiled; decorate it"),
        (of_five, r"fit\.compiled: fails with 3 parameters"),
    ],
)
def test_a_compiled_curve_that_is_not_the_function_is_refused(given, message):
    parameters = {"peak": {"start": 1}, "centre": {"start": 0}, "sigma": {"start": 50}}
    spectra = make_spectra(noise(3, 1.0, (2, AXIS.size)), 1.0, AXIS)
    with pytest.raises(InputError, match=message):
        fit_function(spectra, curves.gaussian, parameters, compiled=given)


@compiled_curve
def bell(velocity, parameters, value, derivatives):
    """Write a peak over (1 + (v / width)^2)^2."""
    peak, width = parameters
    for i in range(velocity.size):
        square = (velocity[i] / width) ** 2
        derivatives[0, i] = 1 / (1 + square) ** 2
        value[i] = peak * derivatives[0, i]
        derivatives[1, i] = 4 * value[i] * square / (1 + square) / width


def test_a_curve_of_ones_own_may_be_compiled():
    def function(velocity, parameters):
        peak, width = parameters
        return peak / (1 + (velocity / width) ** 2) ** 2

    spectra = make_spectra(20 / (1 + (AXIS / 90) ** 2) ** 2 + noise(5, 1.0, (3, AXIS.size)), 1.0, AXIS)
    parameters = {"peak": {"start": {"peak": 1}, "lower": 0}, "half": {"start": {"width": 0.5}, "lower": 1}}
    ours = fit_function(spectra, function, parameters, compiled=bell).table
    batched = fit_function(spectra, function, parameters).table
    np.testing.assert_allclose(ours["half"], 90, rtol=0.05)
    for number in ("peak", "half", "chi2", "w50", "w50_err"):
        np.testing.assert_allclose(ours[number], batched[number], rtol=1e-5)


def test_the_mathematics_of_the_compiled_busy_function_are_those_of_the_library():
    """Far from where lines are: tails, channels at the trough, exponents of 0, and numbers that are none."""
    velocity = torch.tensor([-1e5, -300.0, -1e-12, 0.0, 1e-12, 40.0, 41.0, 300.0, 1e5], dtype=torch.float64)
    parameters = torch.tensor(
        [
            [10.0, 0.5, 1e-4, 2.0, 1.0, 0.0, 40.0, 2.5],
            [10.0, 0.5, 0.3, 2.0, 1.0, 0.0, 40.0, 0.0],
            [10.0, 0.5, 0.3, 0.0, 1.0, -500.0, 0.1, 16.0],
            [torch.nan, 0.5, 0.3, 0.0, 1.0, -500.0, 0.1, 16.0],
        ],
        dtype=torch.float64,
    )
    value, derivatives = by_height_with_derivatives(velocity.repeat(4, 1), parameters)
    for row in range(4):
        ours, by = np.empty(velocity.size(0)), np.empty((8, velocity.size(0)))
        numba_backend.busy(velocity.numpy(), parameters[row].numpy(), ours, by)
        np.testing.assert_allclose(ours, value[row], rtol=1e-11, atol=1e-13)
        expected = torch.stack(list(derivatives))[:, row].numpy()
        np.testing.assert_allclose(by, expected, rtol=1e-11, atol=1e-13)
