"""Asymmetries of the literature on lines whose halves are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiexp.spectral.lopsidedness import lopsidedness

VELOCITY = np.arange(-500.0, 500.5, 2.0)


def steps(lower, upper):
    """Two halves of 100 km/s, `lower` below 0 and `upper` above."""
    edge = np.where(np.abs(VELOCITY) < 100, np.where(VELOCITY < 0, lower, upper), 0.0)
    edge[VELOCITY == 0] = (lower + upper) / 2
    edge[np.abs(VELOCITY) == 100] = [lower / 2, upper / 2]
    return edge.astype(float)


def measured(flux, systemic=0.0):
    found = lopsidedness(VELOCITY, flux[None], -100, 100, systemic)
    return {name: float(values[0]) for name, values in found.items()}


def test_a_symmetric_line_has_none():
    found = measured(steps(5, 5))
    assert [found[name] for name in ("A_fr", "A_sys")] == pytest.approx([1, 1])
    assert [found[name] for name in ("A_spec", "dv_sys", "v_equal", "A_equal")] == pytest.approx([0] * 4, abs=1e-9)


@given(st.floats(1.05, 6))
def test_halves_of_known_flux(ratio):
    found = measured(steps(ratio * 4, 4))
    assert found["A_fr"] == pytest.approx(ratio, rel=0.04)
    assert found["A_sys"] == pytest.approx(ratio, rel=0.04)
    assert found["A_spec"] == pytest.approx((ratio - 1) / (ratio + 1), rel=0.02)
    assert found["dv_sys"] == pytest.approx(-50 * (ratio - 1) / (ratio + 1), abs=1)
    # Half of the flux lies below -100 + 100 (ratio + 1) / (2 ratio) km/s.
    assert found["v_equal"] == pytest.approx(-100 + 50 * (ratio + 1) / ratio, abs=1)
    assert found["A_equal"] == pytest.approx(abs(found["v_equal"]) / 100)


def test_the_systemic_velocity_counts():
    found = measured(steps(5, 5), systemic=20.0)
    assert found["A_sys"] == pytest.approx(120 / 80, rel=0.01)
    assert found["A_fr"] == pytest.approx(1)
    assert found["dv_sys"] == pytest.approx(-20, abs=0.1)
    assert found["A_spec"] > 0.1


def test_noise_raises_the_difference_of_channels():
    noisy = steps(5, 5) + np.random.default_rng(1).normal(0, 1, (50, VELOCITY.size))
    found = lopsidedness(VELOCITY, noisy, -100, 100, 0.0)
    assert found["A_spec"].mean() > 0.05
    assert found["A_fr"].mean() < 1.1


def test_where_there_is_no_line_there_is_no_number():
    assert all(np.isnan(value) for value in measured(-steps(5, 5)).values())
    beyond = lopsidedness(VELOCITY, steps(5, 5)[None], 400, 600, 500)
    assert all(np.isnan(values).all() for values in beyond.values())
