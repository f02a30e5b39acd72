"""Asymmetry without noise: what simulated lines tell of it, as columns of the table of fits and as a classifier."""

from hiexp.posterior.classifier import PosteriorClassifier, posterior_classifier
from hiexp.posterior.columns import infer_asymmetry
from hiexp.posterior.density import AsymmetryDensity
from hiexp.posterior.inputs import LINE_INPUTS, line_inputs
from hiexp.posterior.line_feature import LineInputs

__all__ = [
    "LINE_INPUTS",
    "AsymmetryDensity",
    "LineInputs",
    "PosteriorClassifier",
    "infer_asymmetry",
    "line_inputs",
    "posterior_classifier",
]
