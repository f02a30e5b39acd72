"""Fits of plain arrays."""

import doctest

import numpy as np
import pandas as pd
import pytest
from lines import AXIS, MEASURED, gaussian, make_spectra, noise

from hiexp.errors import InputError
from hiexp.fitting import arrays, fit_busy, fit_function, fit_none, fit_polynomial, fit_spectra

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
    assert "p9" in fit.table and "p10" not in fit.table
    parameters = {
        "peak": {"start": {"peak": 1}},
        "centre": {"start": {"centre": 1}},
        "sigma": {"start": {"width": 0.4}, "lower": 1},
    }
    function = "hiexp.fitting.curves.gaussian"
    table = fit_spectra(AXIS, FLUX, fit=fit_function, function=function, parameters=parameters).table
    np.testing.assert_allclose(table["centre"], [10, -60, 120], atol=6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"velocity": AXIS[:-1]}, r"flux has shape \(3, 241\), and another array does not fit"),
        ({"velocity": np.tile(AXIS, (2, 1))}, r"flux has shape \(3, 241\)"),
        ({"rms": [1.0, 2.0]}, r"flux has shape \(3, 241\)"),
        ({"valid": np.ones(5, bool)}, r"flux has shape \(3, 241\)"),
        ({"systemic": [1.0, 2.0]}, r"flux has shape \(3, 241\)"),
        ({"velocity": np.abs(AXIS)}, "velocity: every spectrum's has to ascend, or to descend"),
        ({"velocity": np.where(AXIS > 0, AXIS, np.nan)}, "velocity: every spectrum's has to ascend"),
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
