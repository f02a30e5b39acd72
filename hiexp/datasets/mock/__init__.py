"""Model HI profiles: what a radio telescope sees of rotating, lopsided gas discs."""

from hiexp.datasets.mock.like import mock_like
from hiexp.datasets.mock.skies import mock_alfalfa, mock_cig

__all__ = ["mock_alfalfa", "mock_cig", "mock_like"]
