"""Groups of many objects by methods that were made for few."""

from hiexp.clustering.placing import place
from hiexp.clustering.subsampled import Subsampled

__all__ = ["Subsampled", "place"]
