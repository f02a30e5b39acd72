"""Any line profile that a Python function describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hydra.utils import get_method
from torch import Tensor

from hiexp.errors import InputError
from hiexp.fitting.backend import Curve, Derivatives
from hiexp.fitting.measurements import MEASUREMENTS, TEXTS
from hiexp.fitting.model import Model
from hiexp.fitting.windows import Windows

KNOWN = ("peak", "rms", "flux", "centre", "width", "left_horn", "right_horn", "low", "high", "channel")
"""What the start and the bounds of a parameter may be made of: attributes of `Windows`, and the flux of the line."""

Function = Callable[[Tensor, Tensor], Tensor]
FunctionWithDerivatives = Callable[[Tensor, Tensor], tuple[Tensor, Sequence[Tensor]]]
CompiledFunction = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]
Amount = float | Mapping[str, float]


def function_model(
    function: str | Callable,
    parameters: Mapping[str, Mapping[str, Any]],
    with_derivatives: str | Callable | None,
    compiled: str | Callable | None,
) -> Model:
    """Return the model that the arguments of `hiexp.fitting.fit_function` of the same names describe.

    Raises
    ------
    InputError
        If a function cannot be found or called, or the parameters do not say what they have to.
    """
    value, derivatives, in_machine_code = (
        _found(name, given)
        for name, given in (("function", function), ("with_derivatives", with_derivatives), ("compiled", compiled))
    )
    rows = [_Row.read(name, given) for name, given in parameters.items()]
    return Model(
        parameters={row.name: row.unit for row in rows},
        value=lambda velocity, values: value(velocity, values.T[:, :, None]),
        curve=_try_out(value, derivatives, in_machine_code, len(rows)),
        starts=lambda windows, _expand: _starts(rows, windows),
        bounds=lambda windows: _bounds(rows, windows),
        compiled=in_machine_code,
    )


def _found(name: str, function: str | Callable | None) -> Any:
    """Return a function by its dotted name."""
    if not isinstance(function, str):
        return function
    try:
        return get_method(function)
    except Exception as error:
        raise InputError(f"fit.{name}={function}: cannot be imported ({error})") from error


def differentiated(function: Function) -> Curve:
    """Return the function together with its derivatives, by forward-mode automatic differentiation."""

    def curve(velocity: Tensor, parameters: Tensor) -> tuple[Tensor, Derivatives]:
        def of_parameters(values: Tensor) -> Tensor:
            return function(velocity, values.T[:, :, None])

        def along(direction: Tensor) -> Tensor:
            return torch.func.jvp(of_parameters, (parameters,), (direction.expand_as(parameters),))[1]

        directions = torch.eye(parameters.shape[1]).to(parameters)
        return of_parameters(parameters), torch.func.vmap(along)(directions)

    return curve


def differentiated_by_channel(function: Function) -> Curve:
    """Return the same for functions whose value at a velocity follows from that velocity alone, as most do.

    Each channel is given parameters of its own, and one reverse pass finds all derivatives, several times as fast as
    a forward pass for each parameter.
    """

    def curve(velocity: Tensor, parameters: Tensor) -> tuple[Tensor, Derivatives]:
        with torch.enable_grad():
            own = parameters.detach().T[:, :, None].expand(-1, -1, velocity.shape[1]).requires_grad_()
            value = function(velocity, own)
            (derivatives,) = torch.autograd.grad(value.sum(), own, materialize_grads=True)
        return value.detach(), derivatives

    return curve


@dataclass(frozen=True)
class _Row:
    """What the configuration says of one parameter."""

    name: str
    unit: str
    start: list[Amount]
    lower: Amount
    upper: Amount

    @classmethod
    def read(cls, name: str, given: Mapping[str, Any]) -> _Row:
        if name in MEASUREMENTS or name in TEXTS:
            raise InputError(f"fit.parameters.{name}: the table of fits has a column of that name; choose another")
        if not isinstance(given, Mapping):
            raise InputError(f"fit.parameters.{name}={given}: give a mapping with start, such as {{start: {given}}}")
        unknown = set(given) - {"start", "lower", "upper", "unit"}
        if "start" not in given or unknown:
            problem = f"unknown key {sorted(unknown)[0]}" if unknown else "start is missing"
            raise InputError(f"fit.parameters.{name}: {problem}; give start and, if wanted, lower, upper, unit")
        start, several = given["start"], isinstance(given["start"], Sequence) and not isinstance(given["start"], str)
        start = list(start) if several else [start]
        row = cls(name, given.get("unit", ""), start, given.get("lower", -torch.inf), given.get("upper", torch.inf))
        for amount in (*row.start, row.lower, row.upper):
            if not isinstance(amount, (Mapping, int, float)):
                raise InputError(
                    f"fit.parameters.{name}: {amount!r} is neither a number nor a sum; "
                    "give for example 5, or {peak: 1} for the peak of the line found"
                )
            names = set(amount) if isinstance(amount, Mapping) else set()
            if names - set(KNOWN):
                raise InputError(
                    f"fit.parameters.{name}: {sorted(names - set(KNOWN))[0]} is not known before the fit; "
                    f"use numbers and {', '.join(KNOWN)}"
                )
        return row


def _evaluate(amount: Amount, windows: Windows) -> Tensor:
    if isinstance(amount, Mapping):
        values = {name: windows.line_flux if name == "flux" else getattr(windows, name) for name in amount}
        return torch.stack([factor * values[name] for name, factor in amount.items()]).sum(0)
    return torch.full_like(windows.centre, amount)


def _starts(rows: list[_Row], windows: Windows) -> Tensor:
    n_starts = max(len(row.start) for row in rows)
    points = [[_evaluate(row.start[min(k, len(row.start) - 1)], windows) for row in rows] for k in range(n_starts)]
    return torch.stack([torch.stack(point, dim=1) for point in points])


def _bounds(rows: list[_Row], windows: Windows) -> tuple[Tensor, Tensor]:
    lower, upper = (
        torch.stack([_evaluate(getattr(row, side), windows) for row in rows], dim=1) for side in ("lower", "upper")
    )
    return lower, upper


def _try_out(
    function: Function,
    with_derivatives: FunctionWithDerivatives | None,
    compiled: CompiledFunction | None,
    n_parameters: int,
) -> Curve:
    """Call the function once, so that a mistake in it is told as such, and return the fastest curve that is right."""
    # Coarse and fine: in a profile that only one channel sees, channels cannot be told to depend on each other.
    velocity = torch.tensor([[100.0], [2.0]], dtype=torch.float64) * torch.linspace(-1, 1, 5, dtype=torch.float64)
    parameters = torch.linspace(1, 2, 2 * n_parameters, dtype=torch.float64).view(2, n_parameters)
    curve, fast = differentiated(function), differentiated_by_channel(function)
    try:
        value = function(velocity, parameters.T[:, :, None])
        jacobian = torch.stack([*curve(velocity, parameters)[1]]) if value.shape == velocity.shape else None
    except Exception as error:
        raise InputError(f"fit.function: fails with {n_parameters} parameters ({error})") from error
    if jacobian is None:
        raise InputError(
            f"fit.function: returns shape {tuple(value.shape)} for velocities of shape (2, 5) and parameters of "
            f"shape ({n_parameters}, 2, 1); it has to return a value for each velocity"
        )
    if compiled is not None:
        if not hasattr(compiled, "signatures"):
            raise InputError(
                "fit.compiled: not compiled; decorate it with hiexp.fitting.numba_backend.compiled_curve"
            )
        _compare("compiled", _batched(compiled), velocity, parameters, value, jacobian)
    if with_derivatives is not None:
        curve = _transposed(with_derivatives)
        _compare("with_derivatives", curve, velocity, parameters, value, jacobian)
        return curve
    try:
        by_channel = torch.stack([*fast(velocity, parameters)[1]])
    except Exception:  # whatever a function does that wants its parameters alike for all channels
        return curve
    return fast if torch.allclose(by_channel, jacobian, equal_nan=True) else curve


def _transposed(with_derivatives: FunctionWithDerivatives) -> Curve:
    return lambda velocity, parameters: with_derivatives(velocity, parameters.T[:, :, None])


def _batched(compiled: CompiledFunction) -> Curve:
    def curve(velocity: Tensor, parameters: Tensor) -> tuple[Tensor, Derivatives]:
        value, derivatives = torch.empty_like(velocity), velocity.new_empty(*parameters.shape, velocity.shape[1])
        for row in zip(velocity, parameters, value, derivatives, strict=True):
            compiled(*(part.numpy() for part in row))
        return value, derivatives.unbind(1)

    return curve


def _compare(name: str, curve: Curve, velocity: Tensor, parameters: Tensor, value: Tensor, jacobian: Tensor) -> None:
    """Refuse a curve that has not these values and derivatives, which automatic differentiation has found."""
    try:
        theirs, given = curve(velocity, parameters)
        right = torch.allclose(theirs, value) and torch.allclose(torch.stack(tuple(given)), jacobian)
    except Exception as error:
        raise InputError(f"fit.{name}: fails with {len(jacobian)} parameters ({error})") from error
    if not right:
        raise InputError(f"fit.{name}: not the values and derivatives of fit.function; correct it or leave it out")
