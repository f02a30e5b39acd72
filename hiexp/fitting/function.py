"""Fits of any line profile that a Python function describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hiexp.errors import InputError
from hiexp.fitting.model import Settings, takes_settings
from hiexp.fitting.result import FitResult
from hiexp.kinds import Positive
from hiexp.spectra import Spectra


@takes_settings
def fit_function(
    spectra: Spectra,
    function: str | Callable[..., Any],
    parameters: Mapping[str, Mapping[str, Any]],
    half_window: Positive = 530.0,
    with_derivatives: str | Callable[..., Any] | None = None,
    compiled: str | Callable[..., Any] | None = None,
    **settings: Any,
) -> FitResult:
    """Fit a function of velocity and parameters to each line.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    function : callable, or its dotted name
        From velocity, km/s, shape (B, M), and P parameters, shape (P, B, 1), to flux density, mJy, shape (B, M), in
        torch operations: ``def gaussian(velocity, parameters): peak, centre, sigma = parameters; ...``.
    parameters : mapping
        For each parameter, in order, a mapping with ``start`` and, if wanted, ``lower``, ``upper`` and ``unit``. A
        number, or a sum of what is known of the line and its window before the fit, as a mapping from names to
        factors: ``peak``, ``rms`` (mJy), ``flux`` (mJy km/s), ``centre``, ``width``, ``left_horn``, ``right_horn``,
        ``low``, ``high``, ``channel`` (km/s). A ``start`` may be a list of these for several starting points. A
        parameter with ``lower`` equal to ``upper`` is fixed.
    half_window : float
        Reach of the window on each side of the line found, km/s.
    with_derivatives : callable, or its dotted name, optional
        From the same to what `function` returns and a list of its P derivatives by the parameters, each of shape
        (B, M). By default automatic differentiation finds them; a fit then takes 1.2 to 1.6 times as long.
    compiled : callable, or its dotted name, optional
        The same, decorated with `hiexp.fitting.numba_backend.compiled_curve`, for one spectrum: from velocities,
        shape (M,), and parameters, shape (P,), it writes the curve, shape (M,), and its derivatives, shape (P, M). On
        a CPU fits then take a third of the time or less.
    **settings
        See `Settings`.

    Returns
    -------
    FitResult
        The profile is centred on the line found, not on the curve, so that a fit which is off is seen to be off.

    Raises
    ------
    InputError
        If the function cannot be found or called, or the parameters do not say what they have to.
    """
    if half_window <= 0:
        raise InputError(f"fit.half_window={half_window}: give km/s above 0")
    from hiexp.fitting.engine import fit_lines  # torch takes seconds to import, and settings are checked without it
    from hiexp.fitting.function_model import function_model
    from hiexp.fitting.passes import around_line

    model = function_model(function, parameters, with_derivatives, compiled)
    return fit_lines(spectra, model, [around_line(half_window)], Settings(**settings), "fitting lines")
