"""Fits: functions from `Spectra` to a `FitResult`."""

from hiexp.fitting.arrays import fit_spectra
from hiexp.fitting.busy import fit_busy
from hiexp.fitting.data_measurements import measure_data
from hiexp.fitting.direct import fit_none
from hiexp.fitting.function import fit_function
from hiexp.fitting.polynomial import fit_polynomial
from hiexp.fitting.result import FitResult
from hiexp.fitting.whole import fit_whole

__all__ = [
    "FitResult",
    "fit_busy",
    "fit_function",
    "fit_none",
    "fit_polynomial",
    "fit_spectra",
    "fit_whole",
    "measure_data",
]
