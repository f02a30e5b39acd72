"""The minimiser: bounds, batch mates, derivatives, and what numpy and scipy find."""

import numpy as np
import pytest
import torch
from helpers.lines import AXIS, draw_busy, gaussian
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares as scipy_least_squares

from hiexp.fitting.busy_model import by_height, by_height_with_derivatives
from hiexp.fitting.function_model import differentiated, differentiated_by_channel
from hiexp.fitting.polynomial_model import polynomial, with_derivatives
from hiexp.fitting.torch_backend import curves, least_squares, linear_least_squares

GAUSSIAN = differentiated_by_channel(curves.gaussian)


def normalised(velocity, parameters):
    """A curve of which each value depends on all velocities."""
    area, centre, width = parameters
    shape = torch.exp(-0.5 * ((velocity - centre) / width) ** 2)
    return area * shape / shape.sum(1, keepdim=True)


def problems(n, seed):
    """Noisy Gaussians in windows of unlike lengths, poor starts, and bounds of which some bind."""
    rng = np.random.default_rng(seed)
    truth = np.stack([rng.uniform(3, 30, n), rng.uniform(-200, 200, n), rng.uniform(20, 80, n)], axis=1)
    flux = gaussian(AXIS, *truth.T[:, :, None]) + rng.normal(0, 1, (n, AXIS.size))
    weight = (np.arange(AXIS.size) < rng.integers(150, AXIS.size + 1, (n, 1))) * rng.uniform(0.5, 2, (n, 1))
    start = truth * rng.uniform(0.7, 1.4, truth.shape)
    lower, upper = np.full(truth.shape, -np.inf), np.full(truth.shape, np.inf)
    lower[:, 0], lower[:, 2] = 0, 1
    upper[::3, 0] = 0.8 * truth[::3, 0]
    lower[1::3, 1] = upper[1::3, 1] = truth[1::3, 1]
    velocity = np.broadcast_to(AXIS, flux.shape)
    return [torch.tensor(np.ascontiguousarray(v)) for v in (velocity, flux, weight, start, lower, upper)]


def chi2(curve, x, y, weight, parameters):
    return ((y - curve(x, parameters)[0]) * weight).square().sum(1)


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_no_problem_ends_worse_than_it_began_or_out_of_bounds(seed, max_steps):
    x, y, weight, start, lower, upper = problems(40, seed)
    solution = least_squares(GAUSSIAN, x, y, weight, start, lower, upper, max_steps)
    assert (solution.parameters >= lower).all()
    assert (solution.parameters <= upper).all()
    begun = torch.minimum(torch.maximum(start, lower), upper)
    assert (solution.chi2 <= chi2(GAUSSIAN, x, y, weight, begun) * (1 + 1e-12)).all()
    torch.testing.assert_close(solution.chi2, chi2(GAUSSIAN, x, y, weight, solution.parameters), rtol=1e-9, atol=0)
    fixed = lower == upper
    assert (solution.parameters[fixed] == lower[fixed]).all()


@pytest.mark.slow
@settings(max_examples=5)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_a_problem_does_not_notice_its_batch_mates_nor_their_order(seed, random):
    given_problems = problems(60, seed)
    together = least_squares(GAUSSIAN, *given_problems)
    order = random.sample(range(60), 60)
    shuffled = least_squares(GAUSSIAN, *(value[order] for value in given_problems))
    for value, again in zip(together, shuffled, strict=True):
        torch.testing.assert_close(value[order], again, rtol=1e-9, atol=1e-9)
    for row in order[:5]:
        alone = least_squares(GAUSSIAN, *(value[row : row + 1] for value in given_problems))
        for value, again in zip(together, alone, strict=True):
            torch.testing.assert_close(value[row : row + 1], again, rtol=1e-9, atol=1e-9)


def test_more_problems_than_are_worked_on_at_once_are_all_solved(monkeypatch):
    given_problems = problems(100, 3)
    at_once = least_squares(GAUSSIAN, *given_problems)
    monkeypatch.setitem(least_squares.__globals__["MEMORY"], "cpu", 1)
    in_turns = least_squares(GAUSSIAN, *given_problems)
    assert at_once.converged.all()
    for value, again in zip(at_once, in_turns, strict=True):
        torch.testing.assert_close(value, again, rtol=1e-9, atol=1e-9)


def test_scipy_finds_no_better_minimum():
    x, y, weight, start, lower, upper = problems(30, 5)
    solution = least_squares(GAUSSIAN, x, y, weight, start, lower, upper)
    assert solution.converged.all()
    for row in range(30):
        free = (lower < upper)[row].numpy()
        values = start[row].clamp(lower[row], upper[row]).numpy()

        def residuals(some, row=row, free=free, values=values):
            values[free] = some
            return (y[row].numpy() - gaussian(AXIS, *values)) * weight[row].numpy()

        bounds = (lower[row].numpy()[free], upper[row].numpy()[free])
        inside = np.clip(values[free], bounds[0] + 1e-6, bounds[1] - 1e-6)
        theirs = 2 * scipy_least_squares(residuals, inside, bounds=bounds).cost
        assert solution.chi2[row] <= theirs * (1 + 1e-4)


def test_data_that_are_not_numbers_end_in_problems_that_did_not_converge():
    x, y, weight, start, lower, upper = problems(4, 6)
    clean = least_squares(GAUSSIAN, x, y, weight, start, lower, upper)
    y[1, 3], y[2] = torch.nan, torch.inf
    spoiled = least_squares(GAUSSIAN, x, y, weight, start, lower, upper)
    assert spoiled.converged.tolist() == [True, False, False, True]
    torch.testing.assert_close(spoiled.parameters[[0, 3]], clean.parameters[[0, 3]], rtol=1e-9, atol=1e-9)
    begun = torch.minimum(torch.maximum(start, lower), upper)
    assert (spoiled.parameters[1:3] == begun[1:3]).all()


def test_a_linear_problem_is_solved_as_numpy_solves_it():
    rng = np.random.default_rng(2)
    x, weight = np.tile(np.linspace(0, 100, 80), (20, 1)), rng.uniform(0, 2, (20, 80))
    weight[rng.uniform(size=weight.shape) < 0.2] = 0
    y = rng.normal(0, 3, (20, 80))
    start = np.tile([0.0, 100, *[0] * 6], (20, 1))
    solution = linear_least_squares(with_derivatives, *(torch.tensor(v) for v in (x, y, weight, start)))
    for row in range(20):
        basis = np.polynomial.legendre.legvander(x[row] / 50 - 1, 5) * weight[row, :, None]
        expected, (least,), *_ = np.linalg.lstsq(basis, y[row] * weight[row], rcond=None)
        np.testing.assert_allclose(solution.parameters[row, 2:], expected, rtol=1e-8, atol=1e-8)
        assert solution.chi2[row] == pytest.approx(least)
    assert (solution.parameters[:, :2] == torch.tensor([0.0, 100.0])).all()


def by_differences(value, parameters, sizes):
    """Return the Jacobian (B, P, M) by central differences of the fourth order."""
    columns = []
    for i in range(parameters.shape[1]):
        step = torch.zeros_like(parameters)
        step[:, i] = 1e-4 * sizes[i]
        near = value(parameters + step) - value(parameters - step)
        far = value(parameters + 2 * step) - value(parameters - 2 * step)
        columns.append((8 * near - far) / (12e-4 * sizes[i]))
    return torch.stack(columns, dim=1)


def assert_jacobian(curve, value, x, parameters, sizes):
    ours, derivatives = curve(x, parameters)
    jacobian = torch.stack(tuple(derivatives), dim=1)
    torch.testing.assert_close(ours, value(parameters), rtol=1e-12, atol=1e-12)
    expected = by_differences(value, parameters, sizes)
    scale = expected.abs().amax(dim=2, keepdim=True).clamp_min(1e-12)
    assert ((jacobian - expected).abs() / scale).max() < 1e-5


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_the_derivatives_of_the_busy_function_are_its_differences(seed):
    parameters = torch.tensor(draw_busy(20, seed)[:, :, 0].T)
    parameters[:, 3] *= parameters[:, 6] ** parameters[:, 7]  # in half widths, as it is fitted
    parameters[:, 1:3] *= parameters[:, 6:7]
    parameters[:, 5] = (parameters[:, 5] - parameters[:, 4]) / parameters[:, 6]
    parameters[:, 4], parameters[:, 6] = 0.1, 1.0
    x = torch.linspace(-3, 3, 101).double().repeat(20, 1)
    sizes = [1, 1, 1, 1, 0.1, 0.1, 0.1, 1]
    assert_jacobian(by_height_with_derivatives, lambda p: by_height(x, p), x, parameters, sizes)


def test_the_derivatives_of_a_polynomial_are_its_differences():
    rng = np.random.default_rng(1)
    parameters = torch.tensor(np.hstack([np.tile([-100.0, 140.0], (5, 1)), rng.normal(0, 5, (5, 9))]))
    x = torch.linspace(-100, 140, 50).double().repeat(5, 1)
    coefficients = parameters[:, 2:]
    value, derivatives = with_derivatives(x, parameters)
    jacobian = torch.stack(derivatives, dim=1)
    expected = by_differences(lambda c: polynomial(x, torch.cat([parameters[:, :2], c], 1)), coefficients, [1.0] * 9)
    torch.testing.assert_close(jacobian[:, 2:], expected, rtol=1e-6, atol=1e-6)
    assert (jacobian[:, :2] == 0).all()
    numpys = np.polynomial.legendre.Legendre(coefficients[2].numpy(), domain=[-100, 140])(x[2].numpy())
    np.testing.assert_allclose(value[2], numpys, atol=1e-9)


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize(
    ("derive", "function", "n_parameters"),
    [
        (differentiated, curves.gaussian, 3),
        (differentiated, curves.double_lorentzian, 6),
        (differentiated, normalised, 3),
        (differentiated_by_channel, curves.gaussian, 3),
        (differentiated_by_channel, curves.lorentzian, 3),
        (differentiated_by_channel, curves.double_lorentzian, 6),
    ],
)
def test_automatic_derivatives_are_the_differences(seed, derive, function, n_parameters):
    parameters = torch.tensor(np.random.default_rng(seed).uniform(0.5, 2, (7, n_parameters)))
    x = torch.linspace(-4, 4, 40).double().repeat(7, 1)
    with torch.no_grad():  # as in the engine
        assert_jacobian(derive(function), lambda p: function(x, p.T[:, :, None]), x, parameters, [1.0] * n_parameters)


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize("name", ["gaussian", "lorentzian", "double_lorentzian"])
def test_derivatives_written_out_are_the_differences(seed, name):
    function, with_derivatives = getattr(curves, name), getattr(curves, f"{name}_with_derivatives")
    n_parameters = 6 if name.startswith("double") else 3
    parameters = torch.tensor(np.random.default_rng(seed).uniform(0.5, 2, (7, n_parameters)))
    x = torch.linspace(-4, 4, 40).double().repeat(7, 1)
    assert_jacobian(
        lambda x, p: with_derivatives(x, p.T[:, :, None]),
        lambda p: function(x, p.T[:, :, None]),
        x,
        parameters,
        [1.0] * n_parameters,
    )


def test_a_problem_without_a_channel_that_counts_stays_where_it_began():
    x, y, weight, start, lower, upper = problems(3, 1)
    weight[1] = 0
    solution = least_squares(GAUSSIAN, x, y, weight, start, lower, upper)
    torch.testing.assert_close(solution.parameters[1], start[1].clamp(lower[1], upper[1]))
