"""Fits of plain arrays."""

import doctest

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table
from astropy.utils.masked import Masked
from helpers.lines import AXIS, MEASURED, gaussian, make_spectra, noise

from hiexp.errors import InputError
from hiexp.fitting import arrays, fit_busy, fit_function, fit_none, fit_polynomial, fit_spectra
from hiexp.spectra import Spectra

FLUX = gaussian(AXIS, 15, [[10.0], [-60.0], [120.0]], 50) + noise(1, 1.0, (3, AXIS.size))


def test_the_example_of_the_documentation():
    result = doctest.testmod(arrays)
    assert result.attempted >= 6
    assert result.failed == 0


def test_one_spectrum_and_many_on_one_axis_or_on_their_own():
    many = fit_spectra(AXIS, FLUX, rms=1.0)
    assert many.table.index.tolist() == ["0", "1", "2"]
    pd.testing.assert_frame_equal(many.table, fit_spectra(np.tile(AXIS, (3, 1)), FLUX, rms=np.ones(3)).table)
    pd.testing.assert_frame_equal(many.table, fit_busy(make_spectra(FLUX)).table, check_names=False)
    one = fit_spectra(AXIS, FLUX[1], rms=1.0)
    np.testing.assert_allclose(one.table[MEASURED], many.table[MEASURED].iloc[[1]], rtol=1e-6)
    lists = fit_spectra(AXIS.tolist(), FLUX[1].tolist(), rms=1.0)
    pd.testing.assert_frame_equal(one.table, lists.table)


def test_descending_velocities_give_the_same():
    ascending = fit_spectra(AXIS, FLUX)
    pd.testing.assert_frame_equal(ascending.table, fit_spectra(AXIS[::-1], FLUX[:, ::-1]).table)
    mixed_axis, mixed = np.stack([AXIS, AXIS[::-1], AXIS]), np.stack([FLUX[0], FLUX[1, ::-1], FLUX[2]])
    valid = np.broadcast_to(np.abs(mixed_axis - 300) > 20, mixed.shape)
    masked = fit_spectra(AXIS, FLUX, valid=np.abs(AXIS - 300) > 20)
    pd.testing.assert_frame_equal(masked.table, fit_spectra(mixed_axis, mixed, valid=valid).table)


def test_channels_that_are_not_numbers_are_left_out():
    spoiled, valid = FLUX.copy(), np.ones(FLUX.shape, bool)
    spoiled[0, 118:122], valid[0, 118:122] = np.nan, False
    spoiled[1, 40], valid[1, 40] = np.inf, False
    holes = fit_spectra(AXIS, spoiled)
    pd.testing.assert_frame_equal(holes.table, fit_spectra(AXIS, FLUX, valid=valid).table)
    assert (holes.table["status"] == "ok").all()
    nothing = fit_spectra(AXIS, np.full(AXIS.size, np.nan))
    assert nothing.table["status"].tolist() == ["no valid channels"]


def test_the_noise_is_measured_where_it_is_not_given():
    table = fit_spectra(AXIS, 3 * FLUX).table
    assert table["chi2_dof"].median() == pytest.approx(1, abs=0.15)
    np.testing.assert_allclose(table["w50"], fit_spectra(AXIS, FLUX).table["w50"], rtol=1e-3)


def test_an_expected_velocity_keeps_to_its_galaxy():
    two = gaussian(AXIS, 8, -300, 30) + gaussian(AXIS, 15, 250, 40) + noise(2)
    blind, known = fit_spectra(AXIS, [two, two], systemic=[np.nan, -290.0], margins=[], fit=fit_busy).table[
        "position"
    ]
    assert blind > 100
    assert fit_spectra(AXIS, two, systemic=-290.0, fit=fit_none).table["position"].iloc[0] == pytest.approx(
        -300, abs=20
    )
    assert known != blind or np.isnan(known)


def test_any_fit_with_its_settings_and_names_of_ones_own():
    fit = fit_spectra(AXIS, FLUX, ids=["a", "b", "c"], fit=fit_polynomial, degree=9, n_samples=50)
    assert fit.table.index.tolist() == ["a", "b", "c"]
    assert fit.profiles.shape == (3, 50)
    assert "p9" in fit.table
    assert "p10" not in fit.table
    parameters = {
        "peak": {"start": {"peak": 1}},
        "centre": {"start": {"centre": 1}},
        "sigma": {"start": {"width": 0.4}, "lower": 1},
    }
    function = "hiexp.fitting.torch_backend.curves.gaussian"
    table = fit_spectra(AXIS, FLUX, fit=fit_function, function=function, parameters=parameters).table
    np.testing.assert_allclose(table["centre"], [10, -60, 120], atol=6)


def doppler(unit):
    """AXIS in a unit of frequency or wavelength, by the definition of the optical convention."""
    frequency = 1420.40575177 * u.MHz / (1 + AXIS / 299_792.458)
    return frequency.to(unit, u.spectral())


IN_UNITS = {
    "m/s and Jy": {"velocity": AXIS * 1000 * u.m / u.s, "flux": FLUX / 1000 * u.Jy, "rms": 1e-3 * u.Jy},
    "MHz": {"velocity": doppler(u.MHz), "flux": FLUX * u.mJy, "rms": 1.0},
    "GHz": {"velocity": doppler(u.GHz), "flux": FLUX, "rms": 1.0},
    "cm": {"velocity": doppler(u.cm), "flux": FLUX, "rms": np.ones(3) * u.mJy},
    "a column": {"velocity": Table({"v": AXIS}, units={"v": "km/s"})["v"], "flux": FLUX * 1000 * u.uJy, "rms": 1.0},
    "a list": {"velocity": AXIS, "flux": [FLUX[0] * u.mJy, FLUX[1] / 1000 * u.Jy, FLUX[2] * u.mJy], "rms": 1.0},
    "systemic": {"velocity": AXIS, "flux": FLUX, "rms": 1.0, "systemic": [1e4, -6e4, 1.2e5] * u.m / u.s},
}


@pytest.mark.parametrize("how", IN_UNITS)
def test_units_are_converted(how):
    plain = fit_spectra(AXIS, FLUX, rms=1.0, systemic=[10.0, -60, 120] if how == "systemic" else None, fit=fit_none)
    converted = fit_spectra(**IN_UNITS[how], fit=fit_none)
    pd.testing.assert_frame_equal(converted.table, plain.table, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["numpy", "list", "column", "astropy"])
def test_masks_are_kept(kind):
    mask = np.broadcast_to(np.abs(AXIS - 300) < 20, FLUX.shape)
    spoiled = np.where(mask, 1e4, FLUX)
    masked = {
        "numpy": np.ma.array(spoiled, mask=mask),
        "list": [np.ma.array(row, mask=mask[0]) for row in spoiled],
        "column": MaskedColumn(spoiled / 1000, mask=mask, unit="Jy"),
        "astropy": Masked(spoiled * u.mJy, mask=mask),
    }[kind]
    plain = fit_spectra(AXIS, FLUX, valid=~mask, fit=fit_none)
    pd.testing.assert_frame_equal(fit_spectra(AXIS, masked, fit=fit_none).table, plain.table)
    by_valid = fit_spectra(AXIS, spoiled, valid=np.ma.array(np.ones(mask.shape, bool), mask=mask), fit=fit_none)
    pd.testing.assert_frame_equal(by_valid.table, plain.table)


def test_columns_of_pandas_are_arrays_like_any_other():
    plain = fit_spectra(AXIS, FLUX, fit=fit_none).table
    frame = pd.DataFrame(FLUX)
    pd.testing.assert_frame_equal(fit_spectra(pd.Series(AXIS), frame, fit=fit_none).table, plain)
    pd.testing.assert_frame_equal(fit_spectra(AXIS, [row for _, row in frame.iterrows()], fit=fit_none).table, plain)
    holes = FLUX[:1].copy()
    holes[0, 100:105] = np.nan
    nullable = pd.Series(holes[0]).convert_dtypes()  # NA, where a NumPy array has any number
    pd.testing.assert_frame_equal(
        fit_spectra(AXIS, nullable, fit=fit_none).table, fit_spectra(AXIS, holes, fit=fit_none).table
    )


class Pint:
    """What a quantity of another library looks like."""

    units = "millijansky"

    def __array__(self, dtype=None, copy=None):
        return FLUX


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"flux": FLUX * u.K}, "flux: is in 'K', which cannot be converted to mJy"),
        ({"flux": Pint()}, "flux: has units that astropy does not know"),
        ({"flux": [FLUX[0] * u.Jy, FLUX[1]]}, "flux: a list of numbers with and without units"),
        ({"flux": FLUX.astype(str)}, "flux: is of type <U"),
        ({"flux": FLUX + 1j}, "flux: is of type complex128"),
        ({"flux": [[1.0, 2.0], [1.0]]}, "flux: is no array of numbers"),
        ({"velocity": AXIS * u.Jy}, "velocity: is in 'Jy', which cannot be converted to km / s"),
        ({"velocity": doppler(u.MHz).value}, "velocity: its axis, .* it looks like MHz; give it with its unit"),
        ({"velocity": AXIS * 1000}, r"velocity: its axis, .* it looks like m/s; .*astropy\.units\.Unit\('m/s'\)"),
        ({"velocity": np.ma.array(AXIS, mask=AXIS > 0)}, "velocity: has masked values"),
        ({"rms": 1.0 * u.km}, "rms: is in 'km', which cannot be converted to mJy"),
        ({"rms": np.inf}, "rms: has to be positive and finite"),
        ({"rms": 0}, "rms: has to be positive and finite"),
        ({"systemic": 5 * u.Jy}, "systemic: is in 'Jy'"),
    ],
)
def test_what_cannot_be_converted_is_refused(given, said):
    with pytest.raises(InputError, match=said):
        fit_spectra(**{"velocity": AXIS, "flux": FLUX} | given)


def test_jansky_without_a_unit_are_told(caplog):
    fit_spectra(AXIS, FLUX / 1000, fit=fit_none)
    assert "3 of 3 spectra: the first has a noise of 0.00" in caplog.text
    assert "give flux in mJy, or with its unit" in caplog.text


@pytest.mark.parametrize("name", ["velocity", "flux", "rms"])
@pytest.mark.parametrize("wrap", [lambda values: values * u.km, np.ma.array])
def test_a_sample_takes_plain_numbers_alone(name, wrap):
    spectra = make_spectra(FLUX)
    fields = {field: getattr(spectra, field) for field in spectra.__dataclass_fields__}
    with pytest.raises(InputError, match=rf"Spectra\.{name}: give plain numbers in km/s and mJy"):
        Spectra(**fields | {name: wrap(fields[name])})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"velocity": AXIS[:-1]}, r"flux has shape \(3, 241\), and another array does not fit"),
        ({"velocity": np.tile(AXIS, (2, 1))}, r"flux has shape \(3, 241\)"),
        ({"rms": [1.0, 2.0]}, r"flux has shape \(3, 241\)"),
        ({"valid": np.ones(5, bool)}, r"flux has shape \(3, 241\)"),
        ({"systemic": [1.0, 2.0]}, r"flux has shape \(3, 241\)"),
        ({"velocity": np.abs(AXIS)}, "velocity: every spectrum's has to ascend, or to descend"),
        ({"velocity": np.where(AXIS > 0, AXIS, np.nan)}, "velocity: has values that are not finite"),
        ({"flux": FLUX * 1e300}, r"flux: a value of .*e\+301 is beyond single precision"),
        ({"ids": ["a", "b"]}, "ids: give a name of its own to each of the 3 spectra"),
        ({"ids": ["a", "b", "a"]}, "ids: give a name of its own"),
        (
            {"flux": np.zeros((2, 3, 241))},
            r"flux has shape \(2, 3, 241\): give one spectrum, \(L,\), or many, \(N, L\)",
        ),
        ({"flux": [], "velocity": []}, r"flux has shape \(1, 0\): give one spectrum"),
        ({"flux": np.zeros((0, 241))}, r"flux has shape \(0, 241\): give one spectrum"),
        ({"n_samples": 1}, r"fit\.n_samples=1: must be at least 2"),
    ],
)
def test_arrays_that_do_not_agree_are_told(given, said):
    with pytest.raises(InputError, match=said):
        fit_spectra(**{"velocity": AXIS, "flux": FLUX} | given)


def test_a_noise_that_is_given_is_looked_at_too(caplog):
    """Else 1 Jy would be fitted as 1 mJy in silence."""
    fit_spectra(AXIS, FLUX / 1000, rms=0.001, fit=fit_none)
    assert "its flux looks like Jy" in caplog.text


def test_a_noise_without_an_inverse_square_costs_no_other_spectrum_its_fit():
    table = fit_spectra(AXIS, FLUX[:2], rms=[1.0, 1e-300]).table
    assert table["status"].iloc[0] == "ok"
    pd.testing.assert_frame_equal(table[:1], fit_spectra(AXIS, FLUX[:2], rms=[1.0, 1.0]).table[:1], rtol=1e-4)
    assert np.isnan(table["w50_err"].iloc[1])
