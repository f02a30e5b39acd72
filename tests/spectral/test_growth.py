"""Curves of growth: the results of those who published the method, known shapes, and what must not matter."""

import numpy as np
import pytest
from helpers.shared import SHARED
from hypothesis import given
from hypothesis import strategies as st

from hiexp.fitting import fit_spectra
from hiexp.spectral.growth import growth_curve

VELOCITY = np.arange(-800.0, 800.5, 2.0)


def box(width=300.0, centre=0.0, height=10.0):
    return np.where(np.abs(VELOCITY - centre) <= width / 2, height, 0.0)


def gaussian(sigma=60.0, centre=0.0):
    return 10 * np.exp(-0.5 * ((VELOCITY - centre) / sigma) ** 2)


def horns(left=10.0, right=10.0):
    return (
        box(300, height=5.0)
        + left * np.exp(-(((VELOCITY + 130) / 15) ** 2))
        + right * np.exp(-(((VELOCITY - 130) / 15) ** 2))
    )


def measured(flux, low=-160.0, high=160.0, velocity=VELOCITY):
    return {name: float(values[0]) for name, values in growth_curve(velocity, flux[None], low, high).items()}


def test_a_spectrum_of_the_paper_has_their_values_within_their_errors():
    """A000015 of ALFALFA: the columns and errors of Yu et al. (2022)."""
    folder = SHARED / "data" / "cog"
    if not folder.is_dir():
        pytest.skip("the published spectrum (../shared/data/cog) is not on this machine")
    names, values = (line.split() for line in (folder / "A000015_rst.txt").read_text().splitlines()[:2])
    theirs = {
        name: float(value)
        for name, value in zip(names, values, strict=True)
        if value not in ("True", "False", "A000015")
    }
    velocity, flux, _ = np.loadtxt(folder / "A000015_sp.txt", skiprows=1).T
    fit = fit_spectra(velocity, flux).table.iloc[0]
    found = measured(flux, fit["position"] - fit["w20"] / 2, fit["position"] + fit["w20"] / 2, velocity)
    for ours, name, error in (
        ("v", "V_c", "Vc_statErr"),
        ("v25", "v25", "v25_statErr"),
        ("v75", "v75", "v75_statErr"),
        ("v85", "v85", "v85_statErr"),
        ("v95", "v95", "v95_statErr"),
        ("A_F", "a_f", "af_statErr"),
        ("A_C", "a_c", "ac_statErr"),
        ("C_V", "c_v", "cv_statErr"),
        ("K", "kappa", "kappa_statErr"),
    ):
        assert found[ours] == pytest.approx(theirs[name], abs=theirs[error]), ours
    assert 1000 * found["flux"] == pytest.approx(theirs["flux_t_tot"], abs=theirs["flux_tot_statErr"])


def test_a_box_is_the_diagonal():
    found = measured(box())
    assert found["flux"] == pytest.approx(3.0, rel=0.01)
    assert [found[f"v{part}"] for part in (25, 75, 85, 95)] == pytest.approx([75, 225, 255, 285], rel=0.02)
    assert [found["A_F"], found["A_C"], found["C_V"]] == pytest.approx([1, 1, 3.4], rel=0.02)
    assert abs(found["K"]) < 0.005


def test_shape_and_concentration_tell_a_peak_from_two_horns():
    """A Gaussian holds 85 and 25 % of its flux within 2.879 and 0.637 standard deviations."""
    peak, two = measured(gaussian(), -130, 130), measured(horns())
    assert peak["C_V"] == pytest.approx(2.879 / 0.637, rel=0.02)
    assert peak["K"] > 0.05
    assert two["K"] < -0.05
    assert two["C_V"] < 3.4


@given(st.floats(0.2, 5), st.floats(-100, 100), st.floats(1e-3, 1e3))
def test_neither_mirror_nor_scale_nor_place_matter(lopsided, shift, scale):
    flux = horns(right=10 * lopsided)
    found, mirrored = measured(flux), measured(flux[::-1])
    moved = measured(scale * flux, -160 + shift, 160 + shift, VELOCITY + shift)
    for name in ("v25", "v85", "A_F", "A_C", "C_V", "K"):
        assert mirrored[name] == pytest.approx(found[name], rel=1e-2, abs=1e-3)  # a channel may lie on an end
        assert moved[name] == pytest.approx(found[name], rel=1e-2, abs=1e-3)
    assert mirrored["v"] == pytest.approx(-found["v"], abs=0.1)
    assert moved["flux"] == pytest.approx(scale * found["flux"], rel=1e-3)
    assert found["A_F"] >= 1
    assert found["A_C"] >= 1


def test_many_are_each():
    lines = np.stack([box(), horns(), gaussian()])
    together = growth_curve(VELOCITY, lines, -160, 160)
    for row, line in enumerate(lines):
        assert {name: values[row] for name, values in together.items()} == pytest.approx(measured(line))


def test_where_there_is_no_line_there_is_no_number():
    for flux, low, high in ((-box(), -160, 160), (0 * box(), -160, 160), (box(), 600, 1000)):
        assert all(np.isnan(value) for name, value in measured(flux, low, high).items() if name != "v")
