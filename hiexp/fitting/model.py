"""What can be fitted, and how."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hiexp.devices import torch_device
from hiexp.errors import InputError
from hiexp.kinds import Count, Device, NotNegative, Seed, Several, Whole

if TYPE_CHECKING:  # torch takes seconds to import, and settings are checked without it
    import torch
    from torch import Tensor

    from hiexp.fitting.backend import Backend, Curve, Expand
    from hiexp.fitting.windows import Windows

AT_ONCE = {"cpu": 256, "cuda": 4096}  # curves measured: on a CPU few enough for its cache
EVERY = 1_000_000_000  # more than a batch has: compiled, one curve follows the other anyway


F = TypeVar("F", bound=Callable)


@dataclass(frozen=True)
class Model:
    """A line profile that can be fitted.

    Attributes
    ----------
    parameters : mapping of str to str
        Names, in order, and units.
    value : callable
        From velocity (B, M), km/s, and parameters (B, P) to flux density (B, M), mJy.
    curve : callable
        The same with its derivatives by the parameters, P of shape (B, M).
    starts : callable
        From `Windows` and `Expand` to K starting points, shape (K, B, P).
    bounds : callable
        From `Windows` to the lower and upper bounds of the parameters, each of shape (B, P).
    rescale : callable, optional
        From parameters, zero and unit of velocity to the parameters of the same curve there. With it, starts and
        bounds are in half widths of the line from its centre, and the fit is made in these units.
    simplest : callable, optional
        From parameters to those of the same curve of which none is without effect on it but could be 0.
    reported : callable, optional
        From parameters (B, P) and their covariances (B, P, P) to what the table has of them, and its standard
        deviations, each of shape (B, P).
    core : (float, float), optional
        Reach of a curve that vanishes beyond its line: how far from the line's centre channels can matter, in widths
        of the line and channels to be added. The others are counted once, not at every step.
    linear : bool
        Whether the curve is linear in all parameters that are not fixed by their bounds.
    every_start : bool
        Whether a first pass follows every start to its end. Else the others are tried where the first ends in a poor
        fit.
    compiled : callable, optional
        The curve as `hiexp.fitting.numba_backend.compiled_curve` makes it, which fits on a CPU then use.
    """

    parameters: Mapping[str, str]
    value: Callable[[Tensor, Tensor], Tensor]
    curve: Curve
    starts: Callable[[Windows, Expand], Tensor]
    bounds: Callable[[Windows], tuple[Tensor, Tensor]]
    rescale: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    simplest: Callable[[Tensor], Tensor] | None = None
    reported: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    core: tuple[float, float] | None = None
    linear: bool = False
    every_start: bool = False
    compiled: Callable | None = None

    def backend(self, device: torch.device) -> Backend:
        """Return what fits this model on a device."""
        from hiexp.fitting import torch_backend
        from hiexp.fitting.backend import Backend

        if self.compiled is not None and device.type == "cpu":
            from hiexp.fitting import numba_backend  # numba takes a second

            chosen: Any = numba_backend
            curve, measure, at_once = self.compiled, chosen.measure, EVERY
        else:
            chosen = torch_backend
            curve, measure, at_once = self.curve, partial(chosen.measure, self.value), AT_ONCE[device.type]
        return Backend(
            expand=partial(chosen.expand, curve),
            least_squares=partial(chosen.least_squares, curve),
            linear_least_squares=partial(chosen.linear_least_squares, curve),
            products=partial(chosen.products, curve),
            measure=partial(measure, curve),
            at_once=at_once,
        )


@dataclass(frozen=True)
class Settings:
    """What every fit can be told.

    Parameters
    ----------
    n_samples : int
        Samples a profile.
    min_snr : float
        Least signal-to-noise ratio, integrated over the line, of a line that is fitted.
    max_steps : int
        Steps of the minimiser.
    tolerance : float
        A fit is finished when a step gains no more than this fraction of chi2.
    poor : float
        A fit with a larger chi2 a degree of freedom is begun anew from the model's other starting points.
    realisations : int
        Noise realisations from which errors are taken as well (``*_err_mc``); 0 for none.
    seed : int
        Seed of the realisations.
    device : str
        cpu, cuda, or auto for cuda where there is one.
    """

    n_samples: Several = 256
    min_snr: NotNegative = 4.0
    max_steps: Count = 1000
    tolerance: NotNegative = 1e-4
    poor: NotNegative = 1.0
    realisations: Whole = 0
    seed: Seed = 0
    device: Device = "cpu"

    def __post_init__(self) -> None:
        for name, least in (("n_samples", 2), ("max_steps", 1), ("realisations", 0), ("tolerance", 0)):
            if getattr(self, name) < least:
                raise InputError(f"fit.{name}={getattr(self, name)}: must be at least {least}")
        torch_device(self.device)  # an error before the first spectrum


def takes_settings(fit: F) -> F:
    """Decorate a fit whose ``**settings`` are those of `Settings`: its signature then names them."""
    signature = inspect.signature(fit)
    own = [one for one in signature.parameters.values() if one.kind != one.VAR_KEYWORD]
    of_settings = [
        one.replace(kind=one.KEYWORD_ONLY) for one in inspect.signature(Settings, eval_str=True).parameters.values()
    ]
    fit.__signature__ = signature.replace(parameters=[*own, *of_settings])  # type: ignore[attr-defined]
    return fit
