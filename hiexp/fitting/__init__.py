"""Fits: functions from `Spectra` to a `FitResult`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hiexp.lazy import importer

if TYPE_CHECKING:
    from hiexp.fitting.arrays import fit_spectra
    from hiexp.fitting.busy import fit_busy
    from hiexp.fitting.data_measurements import measure_data
    from hiexp.fitting.direct import fit_none
    from hiexp.fitting.function import fit_function
    from hiexp.fitting.polynomial import fit_polynomial
    from hiexp.fitting.result import FitResult
    from hiexp.fitting.whole import fit_whole

PLACES = {
    "FitResult": "hiexp.fitting.result",
    "fit_busy": "hiexp.fitting.busy",
    "fit_function": "hiexp.fitting.function",
    "fit_none": "hiexp.fitting.direct",
    "fit_polynomial": "hiexp.fitting.polynomial",
    "fit_spectra": "hiexp.fitting.arrays",
    "fit_whole": "hiexp.fitting.whole",
    "measure_data": "hiexp.fitting.data_measurements",
}
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

__getattr__ = importer(__name__, PLACES)
