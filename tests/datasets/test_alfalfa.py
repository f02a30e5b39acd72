"""The reader of Arecibo archives, on real spectra and on files with faults."""

import gzip
import logging
import os

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from hiexp.datasets import read_alfalfa
from hiexp.datasets.arecibo import read_spectrum
from hiexp.errors import InputError

N = 256


def write_spectrum(file, *, change=None, header=None, n=N, units=None):
    """Write a spectrum in the layout of the archive: a line of 10 mJy in noise of 1 mJy, velocity descending."""
    velocity = 5000 - 5.0 * np.arange(n)
    flux = np.random.default_rng(n).normal(0, 1, n) + 10 * np.exp(-0.5 * ((velocity - 4400) / 40) ** 2)
    columns = {"VHELIO": velocity, "FLUX": flux, "WEIGHT": np.ones(n)}
    if change:
        change(columns)
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, "D", array=values, unit=(units or {}).get(name)) for name, values in columns.items()]
    )
    table.header.update({"V21SYS": 4400.0, "NANVALUE": -999.0} | (header or {}))
    table.writeto(file)
    return file


def set_to(name, where, value):
    def change(columns):
        columns[name][where] = value

    return change


def test_real_spectra(appss):
    spectra = read_alfalfa(str(appss))
    assert spectra.ids.tolist()[:2] == ["102855", "104505"]
    assert spectra.flux.shape == (13, 2048)
    assert np.all(np.diff(spectra.velocity, axis=1) > 0)
    assert np.isfinite(spectra.flux).all()
    assert spectra.catalogue["Vhel"].between(2000, 12000).all()
    assert spectra.skipped.empty
    # The interference of -259 mJy in A113910 and all that is weighted 0 is gone.
    assert spectra.flux.min() > -5
    assert np.all(spectra.flux[~spectra.valid] == 0)
    for row, name in enumerate(spectra.ids):
        weight = fits.getdata(appss / f"A{name}.fits", 1)["WEIGHT"]
        assert (~spectra.valid[row]).sum() >= (weight == 0).sum()


def test_real_noise_agrees_with_the_reference(appss):
    pandas = pytest.importorskip("pandas")
    reference = pandas.read_csv(appss.parent / "busyfit_reference" / "appss.csv").set_index("id")["rms"]
    spectra = read_alfalfa(str(appss))
    np.testing.assert_allclose(spectra.rms, reference.loc[[f"A{name}" for name in spectra.ids]], rtol=0.06)


@pytest.mark.parametrize("missing", [np.nan, np.inf, -999.0])
def test_missing_values_are_masked(tmp_path, missing):
    write_spectrum(tmp_path / "A000001.fits", change=set_to("FLUX", slice(10, 20), missing))
    spectra = read_alfalfa(str(tmp_path))
    # Velocity descends in the file: its channel 10 is the 11th from the end.
    assert not spectra.valid[0, N - 20 : N - 10].any()
    assert spectra.valid[0].sum() == N - 10


@pytest.mark.parametrize("height", [-259.0, 400.0])
def test_interference_is_masked_with_its_neighbours(tmp_path, height):
    def spoil(columns):
        columns["FLUX"][59:62] += [height / 2, height, height / 2]

    write_spectrum(tmp_path / "A000001.fits", change=spoil)
    spectra = read_alfalfa(str(tmp_path))
    assert np.abs(spectra.flux).max() < 15
    assert not spectra.valid[0, N - 1 - 61 : N - 1 - 58].any()
    assert spectra.valid[0].sum() > N - 10


def test_a_strong_line_is_no_interference(tmp_path):
    def brighten(columns):
        columns["FLUX"] += 300 * np.exp(-0.5 * ((columns["VHELIO"] - 4400) / 12) ** 2)

    write_spectrum(tmp_path / "A000001.fits", change=brighten)
    assert read_alfalfa(str(tmp_path)).valid.all()


def test_shorter_spectra_are_padded_with_masked_channels(tmp_path):
    write_spectrum(tmp_path / "A000001.fits")
    write_spectrum(tmp_path / "A000002.fits", n=N + 50)
    spectra = read_alfalfa(str(tmp_path))
    assert spectra.flux.shape == (2, N + 50)
    assert not spectra.valid[0, N:].any()
    assert np.all(np.diff(spectra.velocity, axis=1) > 0)


def test_the_older_layout_is_a_row_of_arrays(tmp_path):
    write_spectrum(tmp_path / "A000001.fits")
    table = fits.getdata(tmp_path / "A000001.fits", 1)
    columns = [
        fits.Column(name, f"{N}D", array=table[source][None], unit=unit)
        for name, source, unit in (
            ("VHELIO", "VHELIO", "KM/S"),
            ("FREQ", "VHELIO", "MHz"),
            ("FLUXDENS", "FLUX", "mJy"),
        )
    ]
    (tmp_path / "older").mkdir()
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "older" / "A000001.fits")
    newer, older = read_alfalfa(str(tmp_path)), read_alfalfa(str(tmp_path / "older"))
    np.testing.assert_array_equal(older.flux, newer.flux)
    np.testing.assert_array_equal(older.velocity, newer.velocity)
    assert np.isnan(older.systemic).all()


def test_units_of_the_header_are_heeded(tmp_path):
    def in_si(columns):
        columns["VHELIO"] *= 1000
        columns["FLUX"] /= 1000

    (tmp_path / "si").mkdir()
    write_spectrum(tmp_path / "A000001.fits")
    write_spectrum(tmp_path / "si" / "A000001.fits", change=in_si, units={"VHELIO": "m/s", "FLUX": "Jy"})
    plain, si = read_alfalfa(str(tmp_path)), read_alfalfa(str(tmp_path / "si"))
    np.testing.assert_allclose(si.flux, plain.flux, rtol=1e-6)
    np.testing.assert_allclose(si.velocity, plain.velocity)


def test_a_gap_in_velocity_becomes_masked_channels(tmp_path):
    def cut(columns):
        for name in columns:
            columns[name] = np.delete(columns[name], slice(100, 110))

    write_spectrum(tmp_path / "A000001.fits", change=cut)
    spectra = read_alfalfa(str(tmp_path))
    assert spectra.flux.shape == (1, N)
    assert (~spectra.valid[0]).sum() == 10
    np.testing.assert_allclose(np.diff(spectra.velocity[0]), 5.0)


def test_the_noise_is_that_of_the_channels_without_a_line(tmp_path):
    def broaden(columns):
        columns["FLUX"] += 6 * (np.abs(columns["VHELIO"] - 4400) < 250)

    write_spectrum(tmp_path / "A000001.fits", change=broaden)
    assert read_alfalfa(str(tmp_path)).rms[0] == pytest.approx(1.0, abs=0.15)


def test_a_folder_is_read_once_until_it_changes(tmp_path):
    folder, cache = tmp_path / "spectra", tmp_path / "cache"
    folder.mkdir()
    write_spectrum(folder / "A000001.fits")
    (folder / "A000002.fits").write_text("hello")
    first = read_alfalfa(str(folder), cache=str(cache))
    (pack,) = cache.iterdir()
    made = pack.stat().st_ino  # each is written under another name first
    second = read_alfalfa(str(folder), cache=str(cache))
    assert pack.stat().st_ino == made
    for name in ("ids", "velocity", "flux", "valid", "rms", "systemic"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert second.skipped.equals(first.skipped)
    write_spectrum(folder / "A000003.fits")
    assert read_alfalfa(str(folder), cache=str(cache)).ids.tolist() == ["000001", "000003"]
    assert len(list(cache.iterdir())) == 2


def test_a_damaged_pack_is_made_anew(tmp_path):
    folder, cache = tmp_path / "spectra", tmp_path / "cache"
    folder.mkdir()
    write_spectrum(folder / "A000001.fits")
    whole = read_alfalfa(str(folder), cache=str(cache))
    (pack,) = cache.iterdir()
    for length in (0, 100, pack.stat().st_size // 2, pack.stat().st_size - 10):
        pack.write_bytes(pack.read_bytes()[:length])
        np.testing.assert_array_equal(read_alfalfa(str(folder), cache=str(cache)).flux, whole.flux)
    assert list(cache.iterdir()) == [pack]


@pytest.mark.slow
def test_many_files_are_read_in_parallel_as_in_series(tmp_path):
    whole = write_spectrum(tmp_path / "A000001.fits").read_bytes()
    for number in range(2, 401):
        (tmp_path / f"A{number:06d}.fits").write_bytes(whole)
    (tmp_path / "A000200.fits").write_text("hello")
    spectra = read_alfalfa(str(tmp_path))
    assert len(spectra) == 399
    assert spectra.skipped["name"].tolist() == ["A000200.fits"]
    np.testing.assert_array_equal(spectra.flux, np.tile(spectra.flux[0], (399, 1)))


FAULTS = {
    "unknown unit": (
        lambda file: write_spectrum(file, units={"FLUX": "K"}),
        "FLUX is in 'K', which cannot be converted to mJy",
    ),
    "uneven channels": (
        lambda file: write_spectrum(file, change=set_to("VHELIO", slice(0, 100), 9000 - 7.3 * np.arange(100))),
        "not evenly spaced",
    ),
    "repeated velocities": (
        lambda file: write_spectrum(file, change=set_to("VHELIO", 5, 4970.0)),
        "not evenly spaced",
    ),
    "far gap": (lambda file: write_spectrum(file, change=set_to("VHELIO", 0, 9000.0)), "channels are missing"),
    "no fits": (lambda file: file.write_text("hello"), "FITS"),
    "empty file": (lambda file: file.write_bytes(b""), "FITS"),
    "no table": (lambda file: fits.PrimaryHDU(np.zeros((3, 3))).writeto(file), "no table"),
    "wrong columns": (
        lambda file: write_spectrum(file, change=lambda columns: columns.update(F=columns.pop("FLUX"))),
        "no column FLUX",
    ),
    "all NaN": (lambda file: write_spectrum(file, change=set_to("FLUX", slice(None), np.nan)), "0 of 256 channels"),
    "all weights zero": (
        lambda file: write_spectrum(file, change=set_to("WEIGHT", slice(None), 0)),
        "0 of 256 channels",
    ),
    "constant": (lambda file: write_spectrum(file, change=set_to("FLUX", slice(None), 3.0)), "constant flux"),
    "velocities in m/s without unit": (
        lambda file: write_spectrum(file, change=lambda columns: columns.update(VHELIO=columns["VHELIO"] * 1000)),
        "beyond the speed of light",
    ),
    "truncated": (
        lambda file: file.write_bytes(write_spectrum(file.with_name("whole.bin")).read_bytes()[:7000]),
        "truncated",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_is_skipped_with_its_reason(tmp_path, fault, recwarn):
    make, said = FAULTS[fault]
    write_spectrum(tmp_path / "A000001.fits")
    make(tmp_path / "A000002.fits")
    spectra = read_alfalfa(str(tmp_path))
    assert spectra.ids.tolist() == ["000001"]
    assert spectra.skipped["name"].tolist() == ["A000002.fits"]
    assert said in spectra.skipped["reason"].iloc[0]
    assert not recwarn


@pytest.mark.parametrize(
    ("velocity", "flux"),
    [("km / s", "mJy"), ("km.s-1", "MJY"), ("KM/S", "JY"), ("km s^-1", "Jy"), ("m/s", "uJy"), ("m.s**-1", " mJy ")],
)
def test_units_in_many_writings(tmp_path, velocity, flux):
    factors = {"velocity": 1000 if velocity.startswith("m") else 1, "flux": {"J": 1e-3, "u": 1e3}.get(flux[0], 1)}

    def convert(columns):
        columns["VHELIO"] *= factors["velocity"]
        columns["FLUX"] *= factors["flux"]

    plain = read_spectrum(write_spectrum(tmp_path / "plain.fits")).channels
    file = write_spectrum(tmp_path / "A1.fits", change=convert, units={"VHELIO": velocity, "FLUX": flux})
    channels = read_spectrum(file).channels
    np.testing.assert_allclose(channels.velocity, plain.velocity)
    np.testing.assert_allclose(channels.flux, plain.flux, rtol=1e-5)


@pytest.mark.parametrize("unit", ["MHz", "km", "kms", "Jy/beam", "((", "x" * 60])
def test_a_unit_that_cannot_be_converted_is_a_reason(tmp_path, unit):
    for name in ("VHELIO", "FLUX"):
        file = write_spectrum(tmp_path / f"{name}.fits", units={name: unit})
        with pytest.raises(InputError, match=f"{name} is in .* which cannot be converted"):
            read_spectrum(file)


def test_columns_in_lower_case_behind_an_image(tmp_path):
    plain = read_spectrum(write_spectrum(tmp_path / "A1.fits")).channels
    other = fits.BinTableHDU.from_columns([fits.Column("x", "D", array=np.arange(3.0))])
    with fits.open(tmp_path / "A1.fits") as hdus:
        table = hdus[1]
        for number, name in enumerate(table.columns.names, 1):
            table.header[f"TTYPE{number}"] = name.lower()
        first = fits.PrimaryHDU(np.ones((2, 3))), fits.ImageHDU(np.zeros((4, 4)))
        fits.HDUList([*first, other, table]).writeto(tmp_path / "A2.fits")
    for one, same in zip(read_spectrum(tmp_path / "A2.fits").channels, plain, strict=True):
        np.testing.assert_array_equal(one, same)


@pytest.mark.slow
@given(st.sets(st.integers(1, 80), max_size=30), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_channels_without_velocity_are_masked(tmp_path_factory, missing, value):
    folder = tmp_path_factory.mktemp("spectra")
    plain = read_spectrum(write_spectrum(folder / "A1.fits")).channels
    rows = np.array(sorted(missing), dtype=int)
    channels = read_spectrum(write_spectrum(folder / "A2.fits", change=set_to("VHELIO", rows, value))).channels
    expected = np.ones(N, dtype=bool)
    expected[N - 1 - rows] = False  # descending in the file
    np.testing.assert_array_equal(channels.valid, expected & plain.valid)
    np.testing.assert_allclose(channels.velocity, plain.velocity)
    np.testing.assert_array_equal(channels.flux[expected], plain.flux[expected])


@pytest.mark.parametrize("fill", [1e38, 1e300, -1e300])
def test_what_single_precision_cannot_hold_is_missing(tmp_path, fill, recwarn):
    write_spectrum(tmp_path / "A1.fits", change=set_to("FLUX", slice(10, 20), fill))
    spectra = read_alfalfa(str(tmp_path))
    assert not spectra.valid[0, N - 20 : N - 10].any()
    assert np.isfinite(spectra.flux).all()
    assert spectra.rms[0] == pytest.approx(1, abs=0.2)
    assert not recwarn


def card(file, name, text):
    """Write the text of a card over one in the file, whatever the standard thinks of it."""
    content = file.read_bytes()
    place = content.index(name.ljust(8).encode() + b"=")
    file.write_bytes(content[: place + 10] + text.encode().ljust(70) + content[place + 80 :])


@pytest.mark.parametrize("key", ["RA", "DEC", "V21SYS"])
@pytest.mark.parametrize("text", ["'12 30 45.2'", "'unknown", "55x00.0", "T", "", "1e999", "-999", "1e9"])
def test_a_card_without_a_number_is_missing_and_listed(tmp_path, key, text):
    write_spectrum(tmp_path / "A1.fits")
    write_spectrum(tmp_path / "A2.fits", header={"RA": 10.0, "DEC": 5.0})
    card(tmp_path / "A2.fits", key, text)
    spectra = read_alfalfa(str(tmp_path))
    assert spectra.ids.tolist() == ["000001", "000002"]
    assert spectra.unmatched.to_numpy().tolist() == [["000002", f"{key} in its header is no number of a galaxy"]]
    known = {"RA": [10.0, 5.0, 4400.0], "DEC": [10.0, 5.0, 4400.0], "V21SYS": [10.0, 5.0, 4400.0]}[key]
    known[["RA", "DEC", "V21SYS"].index(key)] = np.nan
    np.testing.assert_array_equal(spectra.catalogue.loc["000002"].to_numpy(float), known)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("NAXIS2", "-1"),
        ("NAXIS1", "-24"),
        ("PCOUNT", "-100"),
        ("GCOUNT", "-1"),
        ("NAXIS2", "99999999999"),
        ("NAXIS", "-2"),
    ],
)
def test_sizes_that_cannot_be_end_at_once(tmp_path, key, text):
    write_spectrum(tmp_path / "A1.fits")
    content = (tmp_path / "A1.fits").read_bytes()
    (tmp_path / "A2.fits").write_bytes(content[2880:])  # the table's header alone, for `card`
    card(tmp_path / "A2.fits", key, text.rjust(20))
    (tmp_path / "A2.fits").write_bytes(content[:2880] + (tmp_path / "A2.fits").read_bytes())
    skipped = read_alfalfa(str(tmp_path)).skipped
    assert skipped["name"].tolist() == ["A2.fits"]
    assert "not a readable FITS table" in skipped["reason"].iloc[0]


def test_arrays_of_unlike_length_and_many_spectra_a_file(tmp_path):
    write_spectrum(tmp_path / "A1.fits")
    unlike = [
        fits.Column("VHELIO", "200D", array=np.ones((1, 200))),
        fits.Column("FLUX", "150D", array=np.ones((1, 150))),
    ]
    fits.BinTableHDU.from_columns(unlike).writeto(tmp_path / "A2.fits")
    many = [fits.Column(name, "200D", array=np.ones((3, 200))) for name in ("VHELIO", "FLUX")]
    fits.BinTableHDU.from_columns(many).writeto(tmp_path / "A3.fits")
    reasons = read_alfalfa(str(tmp_path)).skipped["reason"].tolist()
    assert reasons == [
        "columns of unlike length: VHELIO has 200, FLUX has 150",
        "VHELIO has 3 arrays of 200; one spectrum a file is read",
    ]


@pytest.mark.parametrize("cache", [True, False])
def test_what_is_no_file_does_not_stop_a_folder(tmp_path, cache):
    folder = tmp_path / "spectra"
    folder.mkdir()
    write_spectrum(folder / "A1.fits")
    os.mkfifo(folder / "A2.fits")
    (folder / "A3.fits").symlink_to(folder / "missing")
    (folder / "A4.fits").symlink_to(folder / "A4.fits")
    (folder / "A5.fits").mkdir()
    (folder / "A6.fits").symlink_to("/dev/zero")
    (folder / "A7.fits.gz").write_bytes(gzip.compress(bytes(65 * 2**20)))
    spectra = read_alfalfa(str(folder), cache=str(tmp_path / "cache") if cache else None)
    assert spectra.ids.tolist() == ["000001"]
    for name, said in {
        "A2.fits": "named pipe",
        "A3.fits": "No such file",
        "A4.fits": "symbolic link",
        "A5.fits": "directory",
        "A6.fits": "device",
        "A7.fits.gz": "more than 64 MiB",
    }.items():
        (reason,) = spectra.skipped.loc[spectra.skipped["name"] == name, "reason"]
        assert said in reason


@pytest.mark.slow
def test_a_pack_with_any_flipped_bit_is_made_anew(tmp_path, caplog):
    folder, cache = tmp_path / "spectra", tmp_path / "cache"
    folder.mkdir()
    write_spectrum(folder / "A1.fits", n=64)
    whole = read_alfalfa(str(folder), cache=str(cache))
    (pack,) = cache.iterdir()
    content = pack.read_bytes()
    rng = np.random.default_rng(4)
    for place in rng.integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(0, 8)
        pack.write_bytes(damaged)
        again = read_alfalfa(str(folder), cache=str(cache))
        for name in ("ids", "velocity", "flux", "valid", "rms", "systemic"):
            np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert list(cache.iterdir()) == [pack]
    assert "is damaged" in caplog.text
    assert "made again" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("rms"),
        lambda arrays: arrays.update(velocity=arrays["velocity"][:, :10]),
        lambda arrays: arrays.update(flux=arrays["flux"].astype(int)),
        lambda arrays: arrays.update(ids=arrays["ids"].astype(object)),
        lambda arrays: arrays.update(rms=arrays["rms"][:0]),
        lambda arrays: arrays.update(flux=arrays["flux"][0]),
    ],
)
def test_a_pack_of_other_arrays_is_made_anew(tmp_path, change):
    folder, cache = tmp_path / "spectra", tmp_path / "cache"
    folder.mkdir()
    write_spectrum(folder / "A1.fits")
    whole = read_alfalfa(str(folder), cache=str(cache))
    (pack,) = cache.iterdir()
    arrays = dict(np.load(pack))
    change(arrays)
    np.savez(pack, **arrays)
    np.testing.assert_array_equal(read_alfalfa(str(folder), cache=str(cache)).flux, whole.flux)
    assert np.load(pack)["flux"].shape == (1, N)


def test_a_pack_that_cannot_be_written_is_no_error(tmp_path, caplog):
    folder = tmp_path / "spectra"
    folder.mkdir()
    write_spectrum(folder / "A1.fits")
    (tmp_path / "cache").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert len(read_alfalfa(str(folder), cache=str(tmp_path / "cache"))) == 1
    assert "dataset.cache=null goes without" in caplog.text


@pytest.mark.parametrize("name", ["vunit00", "vunit01", "lower", "image_first", "nan_velocity"])
def test_the_collection_of_odd_tables_is_read(faults, name):
    plain = read_spectrum(faults / "fits" / "ok.fits").channels
    channels = read_spectrum(faults / "fits" / f"{name}.fits").channels
    used = np.isin(plain.velocity, channels.velocity[channels.valid])
    assert used.sum() == channels.valid.sum() >= 1000
    np.testing.assert_array_equal(channels.flux[channels.valid], plain.flux[used])
    assert name == "nan_velocity" or used.all()


def test_the_collection_of_damaged_files_is_skipped(faults, tmp_path):
    for number, file in enumerate([*faults.glob("headers/*.fits"), *faults.glob("gzip/*.fits.gz")], 100):
        (tmp_path / f"A{number}{''.join(file.suffixes[-2:]).removeprefix(file.stem)}").symlink_to(file)
    names = {link.name: link.resolve().name for link in tmp_path.iterdir()}
    spectra = read_alfalfa(str(tmp_path))
    skipped = {names[name]: reason for name, reason in spectra.skipped.itertuples(index=False)}
    assert {name: skipped.get(name, "")[:23] for name in names.values()} == {
        "A000001.fits": "not a readable FITS tab",
        "cardB-NAXIS2--1.fits": "not a readable FITS tab",
        "arrays-unlike.fits": "columns of unlike lengt",
        "wrong0.fits.gz": "is damaged: gzip says '",
        "A000001.fits.gz": "",
        "ra-string.fits": "",
        "v21sys-string.fits": "",
    }
    assert sorted(spectra.unmatched["reason"]) == [
        "RA in its header is no number of a galaxy",
        "V21SYS in its header is no number of a galaxy",
    ]


def test_a_second_file_of_the_same_galaxy_is_skipped(tmp_path):
    write_spectrum(tmp_path / "A000001.fits")
    write_spectrum(tmp_path / "A1.fits")
    spectra = read_alfalfa(str(tmp_path))
    assert spectra.ids.tolist() == ["000001"]
    assert spectra.skipped["reason"].tolist() == ["a second spectrum of AGC 000001; the first is used"]


def test_only_bad_files_are_an_error(tmp_path):
    (tmp_path / "A000001.fits").write_text("hello")
    with pytest.raises(InputError, match=r"none of its 1 files can be used.*A000001\.fits"):
        read_alfalfa(str(tmp_path))


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        read_alfalfa(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"no A######\.fits"):
        read_alfalfa(str(tmp_path))
