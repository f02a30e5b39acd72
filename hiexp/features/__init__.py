"""Features: scikit-learn transformers from profiles to what a classifier takes."""

from hiexp.features.asymmetry import ProfileAsymmetry
from hiexp.features.image_statistics import ImageStatistics
from hiexp.features.images import DiscImage, Flatten
from hiexp.features.raw import RawProfile, unit_range

__all__ = ["DiscImage", "Flatten", "ImageStatistics", "ProfileAsymmetry", "RawProfile", "unit_range"]
