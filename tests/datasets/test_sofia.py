"""What SoFiA 2 writes: real products with the truth beside them, and made-up ones with every fault."""

import logging
import shutil

import numpy as np
import pytest
from astropy.io import fits
from helpers.commands import command, only_run
from helpers.lines import configured
from helpers.shared import SHARED

from hiexp.datasets import read_sofia
from hiexp.errors import InputError

PRODUCTS = {"freq": "mock", "vrad": "b", "jybeam": "e"}
PIXELS_A_BEAM = np.pi * 25 / (4 * np.log(2))  # 30" on pixels of 6"


@pytest.fixture(params=PRODUCTS)
def products(request):
    folder = SHARED / "data" / "sofia2" / request.param
    if not folder.is_dir():
        pytest.skip("SoFiA's products (../shared/data/sofia2) are not on this machine")
    return folder


@pytest.fixture
def copied(tmp_path):
    """A copy of real products, to be spoilt."""
    folder = SHARED / "data" / "sofia2" / "freq"
    if not folder.is_dir():
        pytest.skip("SoFiA's products (../shared/data/sofia2) are not on this machine")
    shutil.copytree(folder, tmp_path / "freq", copy_function=shutil.copyfile)
    (tmp_path / "freq").chmod(0o755)
    (tmp_path / "freq" / "mock_cubelets").chmod(0o755)
    return tmp_path / "freq"


def test_position_and_flux_of_every_bright_source_are_those_of_the_catalogue(products):
    """SoFiA sums over the mask and takes the flux-weighted mean channel: a curve agrees within 3 % and 5 km/s."""
    spectra = read_sofia(str(products))
    table, known = configured("busy")(spectra).table, spectra.catalogue
    bright = (table["snr"] > 10).to_numpy()
    assert bright.sum() >= 9
    assert (table["status"][bright] == "ok").all()
    np.testing.assert_allclose(table["flux_int"][bright], known["HIflux"][bright], rtol=0.03)
    np.testing.assert_allclose(table["position"][bright], known["Vhel"][bright], atol=5)
    assert table["chi2_dof"][bright].between(0.3, 1.6).all()


def test_the_galaxies_put_in_are_found(products):
    x, y, velocity, flux = np.loadtxt(products / "truth.txt")[:, [1, 2, 3, 6]].T
    known = read_sofia(str(products)).catalogue
    matched = 0
    for row in range(len(x)):
        near = known[np.hypot(known["x"] - x[row], known["y"] - y[row]) < 3]
        near = near[np.abs(near["Vhel"] - velocity[row]) < 60]  # lopsided ones have their centroid aside
        matched += bool(((near["HIflux"] / flux[row] - 1).abs() < 0.2).any())
    assert matched >= 8
    assert known["RAJ2000"].between(149.9, 150.1).all()
    assert known["DEJ2000"].between(-30.1, -29.9).all()


def test_noise_grows_with_the_pixels_of_a_channel(products):
    spectra = read_sofia(str(products))
    rms = spectra.catalogue["rms"].to_numpy() * 1e3
    file = products / f"{PRODUCTS[products.name]}_cubelets" / f"{PRODUCTS[products.name]}_2_spec.txt"
    pixels = np.loadtxt(file)[:, 3]
    expected = rms[1] * np.sqrt(pixels[pixels > 0].max() / PIXELS_A_BEAM)
    assert spectra.rms.shape == spectra.flux.shape
    assert np.nanmax(spectra.rms[1]) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(spectra.rms[:, 0], rms)
    assert (spectra.flux[:, :16] == 0).all()


def test_the_three_forms_of_a_catalogue_are_one(products):
    forms = [read_sofia(str(next(products.glob(f"*_cat.{form}")))) for form in ("xml", "sql", "txt")]
    for other in forms[1:]:
        assert other.ids.tolist() == forms[0].ids.tolist()
        for column in ("W50", "HIflux", "Vhel", "rms", "RAJ2000"):
            np.testing.assert_allclose(other.catalogue[column], forms[0].catalogue[column], rtol=1e-3)
        assert (other.catalogue["name"] == forms[0].catalogue["name"]).all()


def test_widths_of_the_catalogue_become_optical_velocities(products):
    """Source by source SoFiA's W50 in channels times the width of a channel, 18.5 kHz at its frequency."""
    known = read_sofia(str(products)).catalogue
    if "freq" not in known:
        pytest.skip("by frequency alone")
    channels = known["w50"] if products.name == "jybeam" else known["w50"] / (1e9 / 54000)
    np.testing.assert_allclose(
        known["W50"], channels * 299_792.458 * 1420.40575177e6 * 18518.5 / known["freq"] ** 2, rtol=1e-3
    )


def test_channels_alone_are_those_of_the_cubelet(copied):
    before = read_sofia(str(copied))
    cubelets = copied / "mock_cubelets"
    file = cubelets / "mock_1_spec.txt"
    text, numbers = file.read_text(), np.loadtxt(file)
    head = text[: text.index("#  Channel")]
    rows = "\n".join(f"{row[0]:10.0f} {row[2]:.7e} {row[3]:9.0f}" for row in numbers)
    file.write_text(
        f"{head}#  Channel      Flux density    Pixels\n#        -                Jy         -\n#\n{rows}\n"
    )
    assert "mock_1_spec.txt: it has channel numbers alone" in read_sofia(str(copied)).skipped["reason"].iloc[0]
    header = fits.getheader(cubelets / "mock_1_mom0.fits")
    cube = fits.PrimaryHDU(np.zeros((len(numbers), 2, 2), dtype=np.float32))
    for key in ("BMAJ", "BMIN", "CDELT1", "CDELT2", "SPECSYS", "RESTFRQ"):
        cube.header[key] = header[key]
    axis = {"CTYPE3": "FREQ", "CUNIT3": "Hz", "CRPIX3": 1.0, "CRVAL3": numbers[0, 1], "CDELT3": 1e9 / 54000}
    cube.header.update(axis)
    cube.writeto(cubelets / "mock_1_cube.fits")
    after = read_sofia(str(copied))
    assert after.skipped.empty
    source = slice(16, 16 + len(numbers))  # the frequencies of a file have eight digits
    np.testing.assert_allclose(after.velocity[0, source], before.velocity[0, source], atol=0.05)


def test_names_of_a_release_find_their_spectra(copied):
    """WALLABY's files have the name of the source and of the release, and no number."""
    names = read_sofia(str(copied)).catalogue["name"]
    for number, name in names.items():
        for file in (copied / "mock_cubelets").glob(f"mock_{number}_*"):
            kind = file.name.removeprefix(f"mock_{number}_")
            shutil.move(file, copied / f"{name.replace(' ', '_')}_NGC5044_TR1_{kind}")
    (copied / "mock_cubelets").rmdir()
    assert read_sofia(str(copied)).ids.tolist() == names.index.tolist()


def without_beam(folder):
    for file in (folder / "mock_cubelets").glob("*.fits"):
        file.unlink()


def set_beam(folder, degrees):
    for file in (folder / "mock_cubelets").glob("*.fits"):
        file.chmod(0o644)
        fits.setval(file, "BMAJ", value=degrees)
        fits.setval(file, "BMIN", value=abs(degrees))


def edit(name, old, new):
    def change(folder):
        file = folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return change


def remove(*names):
    return lambda folder: [file.unlink() for name in names for file in folder.glob(name)]


FAULTS = {
    "no catalogue": (remove("*_cat.*"), "no NAME_cat.xml, NAME_cat.sql or NAME_cat.txt in it"),
    "two runs": (
        lambda folder: shutil.copy(folder / "mock_cat.xml", folder / "a_cat.xml"),
        "2 catalogues, of a and mock",
    ),
    "an empty catalogue": (lambda folder: (folder / "mock_cat.xml").write_text(""), "mock_cat.xml is empty"),
    "no beam": (without_beam, "dataset.beam_pixels="),
    "a beam of no telescope": (lambda folder: set_beam(folder, 30.0), "dataset.beam_pixels="),
    "a negative beam": (lambda folder: set_beam(folder, -0.01), "dataset.beam_pixels="),
    "no spectra": (remove("mock_cubelets/*_spec.txt"), "no mock_cubelets/\\*_spec.txt is of any"),
    "a column less": (edit("mock_cat.xml", 'name="rms"', 'name="noise"'), "no column rms"),
    "no rows": (lambda folder: (folder / "mock_cat.xml").write_text("<VOTABLE><RESOURCE><TABLE>"), "mock_cat.xml"),
    "an entity": (
        edit("mock_cat.xml", "<VOTABLE", '<!DOCTYPE a [<!ENTITY b "c">]><VOTABLE'),
        "declares XML entities",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_all_is_one_line(copied, name):
    spoil, said = FAULTS[name]
    spoil(copied)
    with pytest.raises(InputError, match=said) as raised:
        read_sofia(str(copied))
    assert "\n" not in str(raised.value)
    assert str(copied) in str(raised.value)


SPECTRUM = "mock_cubelets/mock_1_spec.txt"
OF_ONE = {
    "another unit": (edit(SPECTRUM, " Jy  ", " K   "), "its flux is in 'K', where SoFiA has Jy or Jy/beam"),
    "no units": (edit(SPECTRUM, "#        -", "#        x"), "a comment with their units"),
    "words": (edit(SPECTRUM, "1.3897037e+09", "1.38970x7e+09"), "a cell is no number"),
    "a channel twice": (edit(SPECTRUM, "1.3896852e+09", "1.3897037e+09"), "a channel twice"),
    "channels that are missing": (lambda folder: without_a_channel(folder / SPECTRUM), "it lacks 1 of its channels"),
    "no pixels": (lambda folder: no_pixels(folder / SPECTRUM), "no channel with pixels"),
    "empty": (lambda folder: (folder / SPECTRUM).write_text(""), "no spectrum of SoFiA"),
    "binary": (lambda folder: (folder / SPECTRUM).write_bytes(b"\0" * 100), "no text file"),
    "no noise": (lambda folder: no_noise(folder / "mock_cat.xml"), "the catalogue has rms=0"),
}


def without_a_channel(file):
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:-5], *lines[-4:]]))


def no_pixels(file):
    lines = [
        line if line.startswith("#") or not line.strip() else line.rstrip()[:-5] + "    0"
        for line in file.read_text().splitlines()
    ]
    file.write_text("\n".join(lines))


def no_noise(file):
    head, row, rest = file.read_text().split("<TR>", 2)
    place = next(k for k, field in enumerate(head.split("<FIELD")[1:]) if 'name="rms"' in field)
    cells = row.split("<TD>")
    cells[place + 1] = "0.0</TD>"
    file.write_text("<TR>".join([head, "<TD>".join(cells), rest]))


@pytest.mark.parametrize("name", OF_ONE)
def test_a_fault_of_one_source_is_in_skipped(copied, name):
    spoil, said = OF_ONE[name]
    spoil(copied)
    spectra = read_sofia(str(copied))
    assert spectra.skipped["name"].tolist() == ["1"]
    assert said in spectra.skipped["reason"].iloc[0]
    assert len(spectra) == 12


def test_what_has_no_partner_is_told(copied):
    (copied / "mock_cubelets" / "mock_3_spec.txt").unlink()
    shutil.copy(copied / SPECTRUM, copied / "mock_cubelets" / "mock_77_spec.txt")
    spectra = read_sofia(str(copied))
    assert spectra.unmatched.to_numpy().tolist() == [
        ["3", "a source without a spectrum"],
        ["mock_77_spec.txt", "a spectrum without a source in the catalogue"],
    ]


def test_sums_that_are_not_the_catalogues_are_left_out(copied, caplog):
    text = (copied / SPECTRUM).read_text()
    channel = next(line for line in text.splitlines() if line.startswith("       208"))
    (copied / SPECTRUM).write_text(text.replace(channel, channel.replace(channel.split()[2], "0.0")))
    with caplog.at_level(logging.WARNING):
        spectra = read_sofia(str(copied))
    assert np.isnan(spectra.catalogue.loc["1", "HIflux"])
    assert "1 sources: the sum over a spectrum is not f_sum" in caplog.text


@pytest.mark.slow
def test_the_command(copied, tmp_path):
    result = command("hiexp.fit", "dataset=sofia", f"dataset.path={copied}", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "13 sources; axis: frequency in Hz" in result.stdout + result.stderr
    assert (only_run(tmp_path) / "plots" / "fits.png").is_file()
