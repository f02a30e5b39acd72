"""Fits: functions from `Spectra` to a `FitResult`."""

from hiexp.fitting.direct import fit_none
from hiexp.fitting.gaussian import fit_gaussian
from hiexp.fitting.result import FitResult
from hiexp.fitting.whole import fit_whole

__all__ = ["FitResult", "fit_gaussian", "fit_none", "fit_whole"]
