"""What a file from elsewhere may name: nothing else is built from it, or called.

Exact names alone. A module's name would let in whatever that module imports.
"""

from __future__ import annotations

ESTIMATORS = frozenset(
    {
        "hiexp.classifiers.cnn.estimator.CNNClassifier",
        "hiexp.classifiers.cnn.network.ConvNet",
        "hiexp.classifiers.cnn.options.OwnNetwork",
        "hiexp.classifiers.shapelets.ShapeletClassifier",
        "hiexp.features.asymmetry.ProfileAsymmetry",
        "hiexp.features.image_statistics.ImageStatistics",
        "hiexp.features.images.DiscImage",
        "hiexp.features.images.Flatten",
        "hiexp.features.raw.RawProfile",
        "hiexp.features.shapelets.LearnedShapelets",
        "hiexp.features.shapelets_tslearn.TslearnShapelets",
        "hiexp.posterior.density.AsymmetryDensity",
        "hiexp.posterior.features.AsymmetryPosterior",
        "hiexp.posterior.features.LineInputs",
    }
)
"""Classes of this package that a model may consist of, beside those of scikit-learn and NumPy that skops trusts."""

TREES = frozenset({"sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"})
"""The trees of forests and of gradient boosting: harmless once they have been looked at, as `load_model` does."""

DATASETS = frozenset(
    f"hiexp.datasets.{name}"
    for name in (
        "mock_alfalfa",
        "mock_cig",
        "mock_like",
        "read_alfalfa",
        "read_arrays",
        "read_cig",
        "read_sofia",
        "read_spectra",
    )
)
"""Functions that a run's settings may name for its dataset."""

FITS = frozenset(
    f"hiexp.fitting.{name}" for name in ("fit_busy", "fit_function", "fit_none", "fit_polynomial", "fit_whole")
)
"""Functions that a run's settings may name for its fit."""

MEASURERS = frozenset({"hiexp.fitting.measure_data"})
"""Functions that a run's settings may name for its measurements of the data."""

RULES = frozenset({"hiexp.evaluation.yardstick.Thresholds"})
"""Classes that a run's settings may name for its yardstick."""

CURVES = frozenset(
    f"hiexp.fitting.{module}{curve}{suffix}"
    for curve in ("gaussian", "lorentzian", "double_lorentzian")
    for module, suffix in (
        ("torch_backend.curves.", ""),
        ("torch_backend.curves.", "_with_derivatives"),
        ("numba_backend.curves.", ""),
    )
)
"""Functions that `fit_function` may be told to fit."""

TRUST = "HIEXP_TRUST"
"""Environment variable that names what else MLflow may load, with commas between."""
