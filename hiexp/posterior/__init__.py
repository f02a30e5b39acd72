"""Asymmetry without noise: what simulated lines tell of it, as columns of the table of fits and as a feature."""

from hiexp.posterior.columns import infer_asymmetry
from hiexp.posterior.density import AsymmetryDensity
from hiexp.posterior.features import AsymmetryPosterior, LineInputs, asymmetry_posterior
from hiexp.posterior.inputs import LINE_INPUTS, line_inputs

__all__ = [
    "LINE_INPUTS",
    "AsymmetryDensity",
    "AsymmetryPosterior",
    "LineInputs",
    "asymmetry_posterior",
    "infer_asymmetry",
    "line_inputs",
]
