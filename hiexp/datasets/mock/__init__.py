"""Model HI profiles: what a radio telescope sees of rotating, lopsided gas discs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hiexp.lazy import importer

if TYPE_CHECKING:
    from hiexp.datasets.mock.like import mock_like
    from hiexp.datasets.mock.skies import mock_alfalfa, mock_cig

PLACES = {
    "mock_alfalfa": "hiexp.datasets.mock.skies",
    "mock_cig": "hiexp.datasets.mock.skies",
    "mock_like": "hiexp.datasets.mock.like",
}
__all__ = [
    "mock_alfalfa",
    "mock_cig",
    "mock_like",
]

__getattr__ = importer(__name__, PLACES)
