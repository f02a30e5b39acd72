"""Flags: each is raised by what it names, made up here, and not by a clean spectrum."""

import numpy as np
import pytest
from helpers.lines import busy, configured, gaussian, make_spectra, smoothed_noise

from hiexp.fitting.flags import FLAGS, words

AXIS = 5.3 * np.arange(1024)
PLACE = np.arange(1024)
N = 12


def line(centre=2700.0):
    return gaussian(AXIS, 12, centre, 60)


def flagged(flux, *fit, seed=1, **spectra):
    """Return the flags of N spectra that have this in common, and the table."""
    fluxes = flux + smoothed_noise(seed, (N, AXIS.size))
    table = configured(*(fit or ("gaussian",)))(make_spectra(fluxes, 1.0, AXIS, **spectra)).table
    assert (table["status"] == "ok").mean() > 0.9
    good = table[table["status"] == "ok"]
    return good["flags"].str.split(","), good


def share(flags, word):
    assert word in FLAGS
    return flags.map(lambda found: word in found).mean()


@pytest.mark.parametrize("fit", ["gaussian", "busy", "none"])
def test_clean_spectra_have_no_flags_but_of_bounds_and_needles(fit):
    flags, table = flagged(line(), fit, systemic=2700.0)
    assert set(flags.explode()) <= {"", "at_bound", "needle", "width_conventions"}
    assert share(flags, "width_conventions") < 0.1  # noise may make a horn
    assert table["v_confusion"].isna().all()


DEFECTS = {
    "an offset": (line() + 1.0, "poor_baseline"),
    "a slope": (line() + (PLACE - 512) / 300, "poor_baseline"),
    "a standing wave": (line() + 1.5 * np.sin(PLACE / 12.7), "poor_baseline"),
    "another galaxy": (line() + gaussian(AXIS, 8, 1200, 50), "confusion"),
    "interference": (line() + 14 * (PLACE == 535), "rfi"),
    "interference below 0": (line() - 14 * (PLACE == 535), "rfi"),
    "a line at the low end": (line(130.0), "edge"),
    "a line at the high end": (line(AXIS[-1] - 130.0), "edge"),
}


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("fit", ["gaussian", "busy"])
def test_a_defect_raises_its_flag_and_no_other(fit, defect):
    flux, word = DEFECTS[defect]
    flags, table = flagged(flux, fit, systemic=130.0 if "low end" in defect else np.nan)
    assert share(flags, word) > 0.9
    others = {"poor_baseline", "confusion", "rfi", "edge", "width_conventions"} - {word}
    assert max(share(flags, other) for other in others) < 0.2
    assert table["v_confusion"].notna().mean() == share(flags, "confusion")
    if word == "confusion":
        np.testing.assert_allclose(table["v_confusion"], 1200, atol=40)


@pytest.mark.parametrize("defect", ["an offset", "another galaxy"])
def test_without_a_model_what_lies_beside_the_window_is_flagged_too(defect):
    flux, word = DEFECTS[defect]
    flags, _ = flagged(flux, "none", systemic=2700.0)
    assert share(flags, word) > 0.9


def test_masked_channels_beside_the_line_make_an_edge_of_the_band():
    masked = np.abs(AXIS - 2900) < 80
    flags, _ = flagged(line(), valid=~masked & (AXIS < 3000))
    assert share(flags, "edge") == 1


def test_masked_interference_raises_nothing():
    flags, _ = flagged(DEFECTS["interference"][0], valid=PLACE != 535)
    assert share(flags, "rfi") == 0


def test_a_parameter_at_a_bound_is_flagged_and_one_that_was_fixed_is_not():
    flags, table = flagged(line(), "gaussian", "parameters.sigma.upper=40")
    assert share(flags, "at_bound") == 1
    assert table["sigma_err"].isna().all()
    flags, _ = flagged(line(), "gaussian", "parameters.sigma.lower=60", "parameters.sigma.upper=60")
    assert share(flags, "at_bound") == 0


def test_a_trough_narrower_than_a_channel_is_flagged_and_not_taken_for_deep():
    needle = busy(AXIS, *np.array([8.0, 0.04, 0.04, 0.45, 2700.0, 2702.0, 110.0, 0.05])[:, None, None])
    flags, table = flagged(needle, "busy")
    narrow = flags.map(lambda found: "needle" in found)
    assert (table["n"] < 0.5)[narrow].all()
    assert (table["trough_snr"].fillna(0) < 3)[narrow].all()


@pytest.mark.slow
@pytest.mark.parametrize("smoothed", [False, True])
def test_noise_alone_raises_flags_rarely(smoothed):
    """But for poor_baseline none at all."""
    rng = np.random.default_rng(5)
    n = 1500
    spoiled = smoothed_noise(6, (n, AXIS.size)) if smoothed else rng.normal(0, 1, (n, AXIS.size))
    lines = gaussian(AXIS, rng.uniform(4, 15, (n, 1)), rng.uniform(1200, 4200, (n, 1)), rng.uniform(25, 120, (n, 1)))
    table = configured("gaussian")(make_spectra(lines + spoiled, 1.0, AXIS)).table
    flags = table.loc[table["status"] == "ok", "flags"].str.split(",")
    assert share(flags, "poor_baseline") < 0.012
    for word in ("confusion", "rfi", "edge", "width_conventions"):
        assert share(flags, word) < 0.003, word


def test_flags_stand_in_the_order_of_their_table():
    applies = {"rfi": np.array([True, False, True]), "edge": np.array([True, False, False])}
    assert words(applies, 3).tolist() == ["edge,rfi", "", "rfi"]


def test_words_and_meanings_are_fit_for_tables():
    for word, meaning in FLAGS.items():
        assert word.isidentifier()
        assert meaning.strip()
        assert not meaning.endswith("."), word
