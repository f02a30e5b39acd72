"""Datasets: functions that return `Spectra`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hiexp.lazy import importer

if TYPE_CHECKING:
    from hiexp.datasets.alfalfa import read_alfalfa
    from hiexp.datasets.arrays import read_arrays
    from hiexp.datasets.cig import read_cig
    from hiexp.datasets.mock.like import mock_like
    from hiexp.datasets.mock.skies import mock_alfalfa, mock_cig
    from hiexp.datasets.own_spectra import read_spectra
    from hiexp.datasets.sofia import read_sofia
    from hiexp.datasets.write import write_arecibo_fits

PLACES = {
    "mock_alfalfa": "hiexp.datasets.mock.skies",
    "mock_cig": "hiexp.datasets.mock.skies",
    "mock_like": "hiexp.datasets.mock.like",
    "read_alfalfa": "hiexp.datasets.alfalfa",
    "read_arrays": "hiexp.datasets.arrays",
    "read_cig": "hiexp.datasets.cig",
    "read_sofia": "hiexp.datasets.sofia",
    "read_spectra": "hiexp.datasets.own_spectra",
    "write_arecibo_fits": "hiexp.datasets.write",
}
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

__getattr__ = importer(__name__, PLACES)
