"""What the two backends share: how they are called, what they return, and the constants of their methods.

``torch_backend`` works on all spectra of a batch at once, on a CPU or a GPU, with any curve written in torch.
``numba_backend`` takes one spectrum after the other, compiled, on a CPU, with curves that have been compiled, too: a
spectrum then stays in its core's cache instead of passing through memory some dozens of times. Tests hold them equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

# Least squares.
DAMPING = 0.1  # Marquardt's lambda at the start, in units of the problem's own curvature
DAMPING_DECREASE, DAMPING_INCREASE = 0.2, 3.0  # factors of it after a step as foreseen, and after one refused
LEAST_DAMPING, MAX_DAMPING = 1e-9, 1e9
RIDGE = 1e-12  # damping of a linear problem, without which rounding decides about directions that no datum knows

# Measuring.
GRID = 257  # samples over the window to find the line in the curve, and again over the line
FAINTEST_THRESHOLD = 1e-3  # of the peak: there the line ends
COARSER = 2  # times as far apart are the samples from which errors follow
NEWTON_STEPS = 2
SLOPE_REACH = 1e-3  # of a step: so far on either side lie the points that tell how steep a curve is
DEVIATES = tuple(k / 2 for k in range(-6, 7))  # standard normal deviates at which the edges of a line are looked for


Derivatives = Sequence[Tensor] | Tensor
"""P of them, each of shape (B, M), by the parameters of a curve."""

Curve = Callable[[Tensor, Tensor], tuple[Tensor, Derivatives]]
"""From x (B, M) and parameters (B, P) to the curve (B, M) and its derivatives."""

Expand = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""From parameters (B, P) to chi2 (B,), half its Gauss-Newton Hessian (B, P, P) and half its downward gradient."""


class Solution(NamedTuple):
    """``parameters`` (B, P), ``chi2`` (B,) and whether each problem came to rest, ``converged`` (B,)."""

    parameters: Tensor
    chi2: Tensor
    converged: Tensor


class Measurements(NamedTuple):
    """What has been measured on B curves.

    ``numbers`` and ``errors``, their standard deviations: shape (B,) by name, in the units of
    `hiexp.fitting.measurements`; numbers are NaN where a curve has no positive peak. ``low`` and ``high`` (B,): where
    the curve passes the outer level, km/s, or where the window ends if it does not. ``cut`` (B,): whether it does
    not.
    """

    numbers: dict[str, Tensor]
    errors: dict[str, Tensor]
    low: Tensor
    high: Tensor
    cut: Tensor


class Backend(NamedTuple):
    """The functions of a backend, for the curve of a model; curves are best measured `at_once` at a time."""

    expand: Callable[..., tuple[Tensor, Tensor, Tensor]]
    least_squares: Callable[..., Solution]
    linear_least_squares: Callable[..., Solution]
    products: Callable[..., tuple[Tensor, Tensor]]
    measure: Callable[..., Measurements]
    at_once: int
