"""Datasets: functions that return `Spectra`."""

from hiexp.datasets.alfalfa import read_alfalfa
from hiexp.datasets.mock import mock_alfalfa, mock_cig

__all__ = ["mock_alfalfa", "mock_cig", "read_alfalfa"]
