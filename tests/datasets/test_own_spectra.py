"""Spectra in the layouts that people keep them in: each gives the same lines, whatever the writing, unit or order."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from helpers.commands import command, only_run
from helpers.layouts import CENTRES, FREQUENCY, LAYOUTS, NAMES, OPTICAL, REST, known_spectra, lines, text
from helpers.lines import configured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hiexp.datasets import read_alfalfa, read_spectra
from hiexp.errors import InputError

MEASURED = ["position", "w50", "flux_int"]


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_a_layout_gives_the_lines_it_was_written_from(tmp_path, layout):
    path, said, truth = layout(tmp_path)
    spectra, known = read_spectra(str(path), **said), known_spectra(**truth)
    assert sorted(spectra.ids) == sorted(NAMES)
    assert spectra.skipped.empty
    rows = [spectra.ids.tolist().index(name) for name in NAMES]
    np.testing.assert_allclose(spectra.velocity[rows], known.velocity, atol=2e-3)
    np.testing.assert_array_equal(spectra.valid[rows] & known.valid, spectra.valid[rows])
    np.testing.assert_allclose(spectra.flux[rows], np.where(spectra.valid[rows], known.flux, 0), atol=1e-3)
    fit = configured("busy")
    found, expected = fit(spectra).table.loc[NAMES], fit(known).table
    np.testing.assert_allclose(found["position"], expected["position"], atol=0.5)
    np.testing.assert_allclose(found[["w50", "flux_int"]], expected[["w50", "flux_int"]], rtol=0.01)
    np.testing.assert_allclose(found["position"], CENTRES, atol=5)


UNITS = ["km/s", "m/s", "Hz", "kHz", "MHz", "GHz", "cm"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    unit=st.sampled_from(UNITS),
    convention=st.sampled_from(["optical", "radio"]),
    flux_unit=st.sampled_from(["Jy", "mJy", "uJy", "K", "Jy/beam", "W / (Hz m2)"]),
    order=st.sampled_from(["ascending", "descending", "shuffled"]),
    centre=st.floats(-500, 30000),
)
def test_unit_convention_and_order_change_nothing(unit, convention, flux_unit, order, centre):
    frequency = FREQUENCY - FREQUENCY.mean() + REST / (1 + centre / 299_792.458)
    doppler = {"optical": u.doppler_optical, "radio": u.doppler_radio}[convention](REST * u.MHz)
    axis = (frequency * u.MHz).to_value(u.Unit(unit), doppler if unit.endswith("/s") else u.spectral())
    velocity = (frequency * u.MHz).to_value(u.km / u.s, u.doppler_optical(REST * u.MHz))
    flux = lines()[0]
    factors = {"Jy": 1e-3, "mJy": 1, "uJy": 1e3, "K": 1e-3 * 2.5, "Jy/beam": 1e-3 * 12, "W / (Hz m2)": 1e-29}
    places = np.arange(flux.size)[:: -1 if order == "descending" else 1]
    if order == "shuffled":
        places = np.random.default_rng(0).permutation(flux.size)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "one.ecsv"
        Table({"x": axis[places], "y": factors[flux_unit] * flux[places]}).write(file)
        spectra = read_spectra(
            str(file),
            columns={"velocity": "x", "flux": 2},
            units={"velocity": unit, "flux": flux_unit},
            convention=convention,
            gain=2.5 if flux_unit == "K" else None,
            beam_pixels=12 if flux_unit == "Jy/beam" else None,
        )
    ascending = np.argsort(velocity)
    np.testing.assert_allclose(spectra.velocity[0], velocity[ascending], atol=1e-4)
    valid = spectra.valid[0]
    np.testing.assert_allclose(spectra.flux[0][valid], flux[ascending][valid], rtol=1e-9, atol=1e-9)
    assert valid.all()


def test_the_screen_says_once_a_layout_how_it_was_understood(tmp_path, caplog):
    text(tmp_path, FREQUENCY, lines(), head="# freq_MHz flux_mJy")
    with caplog.at_level(logging.INFO):
        read_spectra(str(tmp_path))
    assert caplog.messages == [
        "3 spectra, as NGC 11.txt: text of 2 columns, axis column 1 freq_MHz, flux column 2 flux_mJy; axis: "
        "frequency in MHz (as the file says), frame not given; flux: mJy (as the file says); 400 channels"
    ]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("# vlsr (km/s) flux (mJy)", "in the frame of the file, LSR, and are not heliocentric"),
        (
            "# SPECSYS = TOPOCENT\n# velocity (km/s) flux (mJy)",
            "the file, TOPOCENT, and are not heliocentric",
        ),
    ],
)
def test_another_frame_is_kept_and_said(tmp_path, caplog, head, said):
    text(tmp_path, OPTICAL, lines(), head=head)
    spectra = read_spectra(str(tmp_path))
    assert said in caplog.text
    assert len(caplog.messages) == 1
    assert f" {spectra.frame}," in said


def test_optical_velocities_tell_themselves_and_others_are_asked_for(tmp_path, caplog):
    text(tmp_path, OPTICAL, lines(), head="velocity,flux", row="{:.3f},{:.4f}")
    with caplog.at_level(logging.INFO):
        spectra = read_spectra(str(tmp_path), units={"flux": "mJy"})
    assert "optical (which makes its channels even in frequency)" in caplog.text
    np.testing.assert_allclose(spectra.velocity, known_spectra().velocity, atol=1e-3)
    even = 3000 + 5.0 * np.arange(400)
    text(tmp_path, even, lines(), head="velocity,flux", row="{:.3f},{:.4f}")
    with pytest.raises(InputError, match=r"differ by 83\.2 km/s at 4995; give dataset\.convention=optical or"):
        read_spectra(str(tmp_path), units={"flux": "mJy"})
    optical, radio = (
        read_spectra(str(tmp_path), units={"flux": "mJy"}, convention=word).velocity[0, -1]
        for word in ("optical", "radio")
    )
    assert optical == 4995
    assert radio == pytest.approx(4995 / (1 - 4995 / 299_792.458))


def test_near_velocities_need_no_convention(tmp_path):
    text(tmp_path, np.linspace(-400, 400, 400), lines(), head="velocity (km/s) flux (mJy)")
    assert read_spectra(str(tmp_path)).velocity[0, 0] == -400


def test_what_a_user_says_goes_before_what_a_file_says(tmp_path, caplog):
    text(tmp_path, OPTICAL, lines(), head="# velocity(km/s) flux(Jy) ")
    spectra = read_spectra(str(tmp_path), units={"flux": "mJy"})
    np.testing.assert_allclose(spectra.flux, known_spectra().flux, atol=1e-4)
    assert "3 spectra, as NGC 11.txt: dataset.units.flux=mJy is taken; the file says Jy" in caplog.text


def test_names_and_positions(tmp_path):
    head = "# OBJECT = {name}\n# RA: 12:00:00\n# DEC: -01:30:00\n# freq_MHz flux_mJy"
    text(tmp_path, FREQUENCY, lines(), head=head, ending="_hi.txt")
    spectra = read_spectra(str(tmp_path))
    assert spectra.ids.tolist() == NAMES
    assert spectra.catalogue["RAJ2000"].tolist() == pytest.approx([180.0] * 3)
    assert spectra.catalogue["DEJ2000"].tolist() == [-1.5] * 3
    assert spectra.catalogue["file"].tolist() == [f"{name}_hi.txt" for name in NAMES]
    assert read_spectra(str(tmp_path), id=r"(.*)_hi").ids.tolist() == NAMES
    some = read_spectra(str(tmp_path), id=r"NGC (\d+)_hi")
    assert some.ids.tolist() == ["11", "22"]
    assert some.skipped["reason"].tolist() == [r"dataset.id=NGC (\d+)_hi: not found in the file's name"]
    with pytest.raises(InputError, match=r"two spectra are called 'NGC', in NGC 11_hi.txt and NGC 22_hi.txt; leave"):
        read_spectra(str(tmp_path), id=r"([A-Z]+)")


def test_a_file_a_folder_and_a_pattern(tmp_path):
    below = tmp_path / "below"
    below.mkdir()
    text(below, FREQUENCY, lines(), head="# freq_MHz flux_mJy")
    assert read_spectra(str(below / "NGC 11.txt")).ids.tolist() == ["NGC 11"]
    assert read_spectra(str(below / "NGC*.txt")).ids.tolist() == ["NGC 11", "NGC 22"]
    assert read_spectra(f"{tmp_path}/**/*.txt").ids.tolist() == NAMES
    with pytest.raises(InputError, match="no files in this folder"):
        read_spectra(str(tmp_path))


@pytest.mark.slow
def test_another_telescope_in_the_command(tmp_path):
    text(tmp_path, FREQUENCY, lines() / 1000, head="# freq flux", ending="_hi.txt")
    words = ["dataset=spectra", "dataset.path=*_hi.txt", "dataset.units.flux=Jy", "fit=none", "tracking=none"]
    result = command("hiexp.fit", *words, 'dataset.id="([A-Z]+ [0-9]+)_"', cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 spectra, as NGC 11_hi.txt: text of 2 columns, axis column 1 freq" in result.stdout
    fits = Table.read(only_run(tmp_path) / "fits.ecsv")
    np.testing.assert_allclose(fits["position"], CENTRES, atol=10)


# real files


@pytest.fixture(scope="module")
def real(appss):
    """Folder of the real files, where it is."""
    return appss.parent


def fitted(spectra):
    return configured("busy")(spectra).table


def test_appss_is_read_as_its_own_reader_does(appss):
    own, archive = read_spectra(str(appss)), read_alfalfa(str(appss))
    assert [f"AGC {name}" for name in archive.ids] == own.ids.tolist()
    for name in ("velocity", "flux", "rms", "valid", "systemic"):
        np.testing.assert_array_equal(getattr(own, name), getattr(archive, name))
    np.testing.assert_array_equal(own.catalogue["RAJ2000"], archive.catalogue["RAJ2000"])


@pytest.mark.parametrize(
    ("file", "said"), [("A000015.fits", {}), ("A000015_sp.txt", {"units": {"flux": "mJy"}})], ids=["fits", "text"]
)
def test_agc_15_has_the_values_of_its_catalogue(real, file, said):
    """Haynes et al. 2018: 11566 km/s, W50 521 +- 7 km/s, 3.09 +- 0.15 Jy km/s."""
    line = fitted(read_spectra(str(real / "cog" / file), **said)).iloc[0]
    assert line["position"] == pytest.approx(11566, abs=7)
    assert line["w50"] == pytest.approx(521, abs=7)
    assert line["flux_int"] == pytest.approx(3.09, abs=0.15)


def test_askap_has_the_values_of_its_catalogue(real):
    """SoFiA: 20133 km/s, W50 147 km/s, 0.869 Jy km/s; the fit's own errors are 13 km/s, 37 km/s and 0.17 Jy km/s."""
    (file,) = (real / "askap").glob("*_spec.txt")
    line = fitted(read_spectra(str(file))).iloc[0]
    assert line["position"] == pytest.approx(20133, abs=10)
    assert line["w50"] == pytest.approx(147, abs=17)
    assert line["flux_int"] == pytest.approx(0.869, abs=0.17)


def test_fast_needs_its_unit_of_flux_and_no_more(real, caplog):
    with pytest.raises(InputError, match=r"none of its 15 files .* has no unit; give dataset\.units\.flux=mJy"):
        read_spectra(str(real / "fast"))
    with caplog.at_level(logging.INFO):
        spectra = read_spectra(str(real / "fast"), units={"flux": "mJy"}, id="([0-9]+-[0-9]+)_")
    assert len(spectra) == 15
    assert "8083-12702" in spectra.ids
    assert len(caplog.messages) == 1
    assert (fitted(spectra)["status"] == "ok").all()


def test_gbt(real, caplog):
    """The axis of SDFITS in the frame of its header, GBTIDL's text, and an image in K."""
    folder = real / "gbt"
    with pytest.raises(InputError, match=r"give dataset\.gain=\.\.\. in K/Jy"):
        read_spectra(str(folder))
    with caplog.at_level(logging.INFO):
        spectra = read_spectra(str(folder), gain=1.5)
    assert spectra.ids.tolist() == ["NGC2782", "NGC2415", "spectrum_10998"]
    assert spectra.catalogue.loc["NGC2782", "Vhel"] == pytest.approx(2543.14, abs=0.01)
    assert spectra.catalogue.loc["NGC2782", "RAJ2000"] == pytest.approx(138.52, abs=0.01)
    # 1408.3443727749996 MHz at channel 16385 of falling frequencies, 6.175 km/s off by the motion of the telescope.
    observed = 299_792.458 * (1420.40575177 / 1408.3443727749996 - 1)
    moved = observed - 6.175 * (1 + observed / 299_792.458)
    assert spectra.velocity[0, 16384] == pytest.approx(moved, abs=0.001)
    assert spectra.velocity[1, [0, -1]] == pytest.approx([1286.650913, 6360.126452], abs=1e-5)
    assert spectra.velocity[2, 128] == pytest.approx(299_792.458 * (1420.40575177 / 1420.4 - 1), abs=0.001)
    assert "optical (as the file says), frame heliocentric; flux: K (as the file says), 1.5 K/Jy" in caplog.text


@pytest.mark.parametrize("form", ["freq", "vrad"])
def test_sofia_has_the_fluxes_put_in(real, form):
    """Eight of nine sources have a galaxy put in within 31 km/s (they are lopsided) and 15 % of its flux."""
    truth = np.loadtxt(real / "sofia2" / form / "truth.txt")
    spectra = read_spectra(
        f"{real}/sofia2/{form}/*_cubelets/*_spec.txt",
        id="_([0-9]+)_spec",
        convention="radio" if form == "vrad" else None,
    )
    found = fitted(spectra)
    near = np.abs(truth[:, 3] - found["position"].to_numpy()[:, None]) < 31
    alike = np.abs(found["flux_int"].to_numpy()[:, None] / truth[:, 6] - 1) < 0.15
    assert (near & alike).any(axis=1).sum() >= 8


def test_specutils_opens_what_it_knows(tmp_path):
    specutils = pytest.importorskip("specutils", reason="specutils is an extra")
    flux = lines()[0]
    spectrum = specutils.Spectrum(flux=flux * u.mJy, spectral_axis=FREQUENCY * u.MHz)
    spectrum.write(tmp_path / "one.fits", format="tabular-fits")
    found = read_spectra(str(tmp_path / "one.fits"), specutils_format="auto")
    ours = read_spectra(str(tmp_path / "one.fits"))
    np.testing.assert_allclose(found.velocity, ours.velocity)
    np.testing.assert_allclose(found.flux, ours.flux)
    with pytest.raises(InputError, match="is not read by specutils as no-such-format"):
        read_spectra(str(tmp_path / "one.fits"), specutils_format="no-such-format")
