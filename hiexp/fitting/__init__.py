"""Fits: functions from `Spectra` to a `FitResult`."""

from hiexp.fitting.direct import fit_none
from hiexp.fitting.gaussian import fit_gaussian
from hiexp.fitting.result import FitResult

__all__ = ["FitResult", "fit_gaussian", "fit_none"]
