"""The list of measurements: a row more is a column more, whichever backend fits."""

import numpy as np
import pytest
from helpers.lines import AXIS, configured, gaussian, make_spectra, noise

from hiexp.fitting.measurements import MEASUREMENTS, Measurement

SIGMA, PEAK = np.array([30.0, 60.0, 90.0]), 40.0


@pytest.fixture
def w80(monkeypatch):
    monkeypatch.setitem(MEASUREMENTS, "w80", Measurement("km / s", "width at 80 % of the peak", level=0.8))


@pytest.mark.usefixtures("w80")
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
def test_a_width_at_80_percent_is_a_row(words):
    flux = PEAK * np.exp(-0.5 * (AXIS / SIGMA[:, None]) ** 2) + noise(3, 0.5, (3, AXIS.size))
    fit = configured(*words)(make_spectra(flux, 0.5, AXIS))
    table = fit.with_units()
    assert table["w80"].unit == "km / s"
    assert table["w80"].description == "width at 80 % of the peak"
    if words == ("whole",):  # which speaks of no line
        assert np.isnan(table["w80"]).all()
        return
    expected = 2 * SIGMA * np.sqrt(-2 * np.log(0.8))
    if words != ("polynomial",):  # which is too stiff for the narrowest
        np.testing.assert_allclose(fit.table["w80"], expected, rtol=0.15 if words == ("none",) else 0.05)
    assert (fit.table["w80"] < fit.table["w50"]).all()
    if words != ("none",):
        assert table["w80_err"].unit == "km / s"
        assert (fit.table["w80_err"] > 0).all()
    if "realisations=3" in words:
        assert (fit.table["w80_err_mc"] > 0).all()


@pytest.mark.parametrize("words", [("gaussian",), ("gaussian", "compiled=null")], ids=" ".join)
def test_another_row_leaves_the_others_as_they_are(monkeypatch, words):
    spectra = make_spectra(gaussian(AXIS, PEAK, 0.0, SIGMA[:, None]) + noise(3, 0.5, (3, AXIS.size)), 0.5, AXIS)
    before = configured(*words)(spectra).table
    monkeypatch.setitem(MEASUREMENTS, "w80", Measurement("km / s", "width at 80 % of the peak", level=0.8))
    after = configured(*words)(spectra).table
    assert set(after) - set(before) == {"w80", "w80_err"}
    for name in before.columns.drop("status"):
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
