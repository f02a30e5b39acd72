"""Datasets: functions that return `Spectra`."""

from hiexp.datasets.alfalfa import read_alfalfa
from hiexp.datasets.arrays import read_arrays
from hiexp.datasets.cig import read_cig
from hiexp.datasets.mock import mock_alfalfa, mock_cig, mock_like
from hiexp.datasets.own_spectra import read_spectra
from hiexp.datasets.sofia import read_sofia
from hiexp.datasets.write import write_arecibo_fits

__all__ = [
    "mock_alfalfa",
    "mock_cig",
    "mock_like",
    "read_alfalfa",
    "read_arrays",
    "read_cig",
    "read_sofia",
    "read_spectra",
    "write_arecibo_fits",
]
