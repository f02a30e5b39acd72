"""Whether classes follow a parameter: against known answers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import kruskal

from hiexp.evaluation.dependence import catalogue_parameters, dependence, medians_by_class
from hiexp.plots import plot_parameters_by_class


def sample(n=600, seed=0):
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, n)
    parameters = pd.DataFrame({"W50": 100 + 200 * classes + rng.normal(0, 1, n), "Dist": rng.normal(100, 20, n)})
    return parameters, classes


def test_a_parameter_that_makes_the_classes_and_one_that_does_not():
    parameters, classes = sample()
    table = dependence(parameters, classes)
    assert table.index.tolist() == ["W50", "Dist"]
    # Three equal groups in order: between them lie 8/9 of the variance of the ranks.
    assert table.loc["W50", "epsilon2"] == pytest.approx(8 / 9, abs=0.01)
    assert table.loc["W50", "information"] == pytest.approx(np.log2(3), rel=0.03)
    assert table.loc["W50", "information_share"] == pytest.approx(1, rel=0.03)
    assert table.loc["W50", "p"] < 1e-100
    assert table.loc["Dist", "epsilon2"] < 0.02
    assert table.loc["Dist", "information"] < 0.05
    assert table.loc["Dist", "p"] > 0.001


@pytest.mark.slow
@given(st.integers(0, 1000))
def test_a_monotonic_scale_changes_no_rank(seed):
    parameters, classes = sample(60, seed)
    logarithms = parameters.clip(lower=1).apply(np.log)
    one, other = dependence(parameters.clip(lower=1), classes), dependence(logarithms, classes)
    np.testing.assert_allclose(one.loc[other.index, "kruskal_h"], other["kruskal_h"])
    expected = kruskal(*(parameters["Dist"].clip(lower=1)[classes == label] for label in np.unique(classes)))
    assert one.loc["Dist", "kruskal_h"] == pytest.approx(expected.statistic)


def test_unknown_values_and_classes_that_have_none_do_not_count():
    parameters, classes = sample()
    parameters.loc[classes == 2, "Dist"] = np.nan
    parameters["SNR"], parameters["rms"] = np.nan, 2.3
    parameters["HIflux"] = np.where(classes == 1, 1.0 * np.arange(600), np.nan)
    table = dependence(parameters, classes)
    assert set(table.index) == {"W50", "Dist"}
    assert table.loc["Dist", "n"] == np.sum(classes != 2)
    assert dependence(parameters, np.zeros(600, dtype=int)).empty


def test_medians_are_those_of_the_members():
    parameters, classes = sample()
    table = medians_by_class(parameters, classes).set_index(["parameter", "class"])
    members = parameters["W50"][classes == 1]
    row = table.loc[("W50", 1)]
    assert row["n"] == members.size
    np.testing.assert_allclose(row[["median", "p16", "p84"]], np.percentile(members, [50, 16, 84]))


def test_the_fit_stands_in_for_the_catalogue():
    catalogue = pd.DataFrame({"W50": [1.0, 2.0], "Dist": ["10", "x"], "SNR": [np.nan, np.inf]}, index=["a", "b"])
    fits = pd.DataFrame({"w50": [3.0, 4.0], "flux_int": [5.0, 6.0]}, index=["a", "b"])
    table = catalogue_parameters(["HIflux", "W50", "Dist", "SNR", "logMHI"], catalogue, fits)
    assert table.columns.tolist() == ["HIflux", "W50", "Dist"]
    assert table["HIflux"].tolist() == [5, 6]
    assert table["W50"].tolist() == [1, 2]
    assert table["Dist"].iloc[0] == 10
    assert np.isnan(table["Dist"].iloc[1])


@pytest.mark.parametrize("n_classes", [1, 3, 14])
def test_the_histograms_are_drawn(tmp_path, n_classes):
    parameters, _ = sample()
    parameters["HIflux"] = np.geomspace(0.1, 100, 600)
    parameters["rms"] = 2.3
    parameters.loc[:5, "Dist"] = np.nan
    classes = np.arange(600) % n_classes
    plot_parameters_by_class(parameters, classes, dependence(parameters, classes), tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        assert min(picture.size) > 300
