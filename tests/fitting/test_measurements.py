"""The list of measurements: a row more is a column more, whichever backend fits."""

import numpy as np
import pytest
from helpers.lines import AXIS, configured, gaussian, make_spectra, noise

from hiexp.errors import InputError
from hiexp.fitting.measurements import MEASUREMENTS, Measurement

SIGMA, PEAK = np.array([30.0, 60.0, 90.0]), 40.0


@pytest.mark.parametrize(
    "words",
    [
        ("gaussian",),
        ("gaussian", "compiled=null"),
        ("busy",),
        ("busy", "realisations=3"),
        ("polynomial",),
        ("none",),
        ("whole",),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("once", [False, True], ids=["in every pass", "once"])
def test_a_width_at_another_level_is_a_row(monkeypatch, words, once):
    monkeypatch.setitem(
        MEASUREMENTS, "w75", Measurement("km / s", "width at 75 % of the peak", level=0.75, once=once)
    )
    flux = PEAK * np.exp(-0.5 * (AXIS / SIGMA[:, None]) ** 2) + noise(3, 0.5, (3, AXIS.size))
    fit = configured(*words)(make_spectra(flux, 0.5, AXIS))
    table = fit.with_units()
    assert table["w75"].unit == "km / s"
    assert table["w75"].description == "width at 75 % of the peak"
    if words == ("whole",):  # which speaks of no line
        assert np.isnan(table["w75"]).all()
        return
    expected = 2 * SIGMA * np.sqrt(-2 * np.log(0.75))
    if words != ("polynomial",):  # which is too stiff for the narrowest
        np.testing.assert_allclose(fit.table["w75"], expected, rtol=0.15 if words == ("none",) else 0.05)
    assert (fit.table["w75"] < fit.table["w50"]).all()
    if words != ("none",):
        assert table["w75_err"].unit == "km / s"
        assert (fit.table["w75_err"] > 0).all()
    if "realisations=3" in words:
        assert (fit.table["w75_err_mc"] > 0).all()


@pytest.mark.parametrize("words", [("gaussian",), ("gaussian", "compiled=null")], ids=" ".join)
def test_another_row_leaves_the_others_as_they_are(monkeypatch, words):
    spectra = make_spectra(gaussian(AXIS, PEAK, 0.0, SIGMA[:, None]) + noise(3, 0.5, (3, AXIS.size)), 0.5, AXIS)
    before = configured(*words)(spectra).table
    monkeypatch.setitem(MEASUREMENTS, "w75", Measurement("km / s", "width at 75 % of the peak", level=0.75))
    after = configured(*words)(spectra).table
    assert set(after) - set(before) == {"w75", "w75_err"}
    for name in before.columns.drop(["status", "flags"]):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-10, err_msg=name)


def test_every_measurement_says_what_it_is():
    for name, row in MEASUREMENTS.items():
        assert row.meaning.strip(), name
        assert not row.meaning.endswith("."), name
        assert row.level is None or 0 < row.level < 1, name


@pytest.mark.parametrize("level", [0.0, 1.0, -0.2, float("nan")])
def test_a_width_is_taken_within_the_line(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Measurement("km / s", "width", level=level)


def test_a_row_that_nothing_measures_is_told(monkeypatch):
    monkeypatch.setitem(MEASUREMENTS, "lopsidedness", Measurement("", "of the line"))
    with pytest.raises(InputError, match=r"^measurement lopsidedness: no formula measures it; give its row a level"):
        configured("gaussian")(make_spectra(gaussian(AXIS, PEAK, 0.0, 30)))
    assert np.isnan(configured("none")(make_spectra(gaussian(AXIS, PEAK, 0.0, 30))).table["lopsidedness"]).all()


@pytest.mark.parametrize("name", ["w", "w_err"])
def test_a_row_named_like_a_column_of_the_model_is_refused(monkeypatch, name):
    monkeypatch.setitem(MEASUREMENTS, name, Measurement("km / s", "of the line", level=0.7))
    with pytest.raises(InputError, match=f"^fit: parameter {name} has the name of another column"):
        configured("busy")(make_spectra(gaussian(AXIS, PEAK, 0.0, 30)))
