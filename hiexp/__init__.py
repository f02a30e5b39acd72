"""Tracked machine-learning experiments on neutral-hydrogen (HI) line profiles of galaxies."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from hiexp.containers import provide_folders
from hiexp.lazy import importer

if TYPE_CHECKING:
    from hiexp.comparison.runs import Comparison, Run, read_sweep
    from hiexp.errors import InputError
    from hiexp.fitting import FitResult, fit_spectra
    from hiexp.run.experiment import fit_sample, run_experiment
    from hiexp.run.model_files import load_model, load_run
    from hiexp.spectra import Spectra

__version__ = version("hiexp")

# Where each public name is: imported when it is asked for, since --help waits for none of the libraries behind them.
PUBLIC = {
    "Comparison": "hiexp.comparison.runs",
    "FitResult": "hiexp.fitting",
    "InputError": "hiexp.errors",
    "Run": "hiexp.comparison.runs",
    "Spectra": "hiexp.spectra",
    "fit_sample": "hiexp.run.experiment",
    "fit_spectra": "hiexp.fitting",
    "load_model": "hiexp.run.model_files",
    "load_run": "hiexp.run.model_files",
    "read_sweep": "hiexp.comparison.runs",
    "run_experiment": "hiexp.run.experiment",
}
__all__ = [
    "Comparison",
    "FitResult",
    "InputError",
    "Run",
    "Spectra",
    "fit_sample",
    "fit_spectra",
    "load_model",
    "load_run",
    "read_sweep",
    "run_experiment",
]

provide_folders()  # before numba is imported, by whatever is imported first

__getattr__ = importer(__name__, PUBLIC)
