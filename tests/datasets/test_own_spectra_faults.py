"""Faults of people's spectra: each is read right, skipped with a reason, or refused in one line with the remedy."""

import gzip
import io
import logging
import os
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.layouts import FREQUENCY, OPTICAL, RADIO, lines
from helpers.lines import configured
from test_damaged_files import mutated

from hiexp.datasets import read_spectra
from hiexp.errors import InputError
from hiexp.spectral.axis import LIGHT_SPEED

FLUX = lines()[0]
EVEN = 3000 + 5.0 * np.arange(FLUX.size)
MJY = {"units": {"flux": "mJy"}}


def rows(*columns, head="velocity (km/s),flux (mJy)", form="{:.9g}", by=","):
    """Return a text with a row a channel."""
    cells = zip(*(columns or (OPTICAL, FLUX)), strict=True)
    body = [by.join(one if isinstance(one, str) else form.format(one) for one in row) for row in cells]
    return "\n".join([head, *body] if head else body)


def table(columns=None, units=("km/s", "mJy"), meta=None, names=("VHELIO", "FLUX")):
    """Return the bytes of a FITS table."""
    given = [np.asarray(column, dtype=float) for column in columns or (OPTICAL, FLUX)]
    forms = ["D" if column.ndim == 1 else f"{column.shape[1]}D" for column in given]
    described = [
        fits.Column(name=name, format=form, unit=unit, array=column)
        for name, form, unit, column in zip(names, forms, units, given, strict=True)
    ]
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(described)])
    hdus[1].header.update(meta or {})
    return written(hdus)


def votable():
    stream = io.BytesIO()
    Table({"VHELIO": OPTICAL, "FLUX": FLUX}, units=["km/s", "mJy"]).write(stream, format="votable")
    return stream.getvalue()


def written(hdus):
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hdus.writeto(stream, output_verify="ignore")
    return stream.getvalue()


def image(data=FLUX, **cards):
    """Return the bytes of a FITS image; cards of None are left out."""
    hdu = fits.PrimaryHDU(np.asarray(data, dtype=float))
    usual = {
        "CTYPE1": "FREQ",
        "CUNIT1": "MHz",
        "CRPIX1": 1.0,
        "CRVAL1": FREQUENCY[0],
        "CDELT1": 0.0244,
        "BUNIT": "mJy",
    }
    for key, value in (usual | cards).items():
        if value is not None:
            hdu.header[key] = value
    return written(hdu)


def sdfits(n=1, unit="Ta", **columns):
    """Return the bytes of an SDFITS table of `n` rows."""
    observed = {"CTYPE1": "FREQ", "CRVAL1": 1e6 * FREQUENCY[0], "CDELT1": 24400.0, "CRPIX1": 1.0, "OBJECT": "NGC 1"}
    given = {"DATA": np.tile(FLUX / 1000, (n, 1)), "TUNIT1": [unit] * n}
    given |= {key: [value] * n for key, value in (observed | columns).items()}
    stream = io.BytesIO()
    Table(given).write(stream, format="fits")
    return stream.getvalue()


def with_flux(**places):
    flux = FLUX.copy()
    for place, value in places.items():
        flux[int(place[1:])] = value
    return flux


def nan_at(values, places):
    values = values.copy()
    values[places] = np.nan
    return values


REFUSED = {  # content, what the user gives, what is said
    "an empty file": ("", {}, "is empty"),
    "blanks alone": (" \n \n", {}, "is empty"),
    "comments alone": ("# velocity flux\n# nothing\n", {}, "no line with numbers"),
    "prose": ("Dear colleague,\nhere is my spectrum.\n", {}, "no line with numbers"),
    "one column": (rows(FLUX, head="flux"), {}, "1 column; a column of velocities"),
    "no unit of flux": (rows(head="velocity (km/s),flux"), {}, "its flux has no unit; give dataset.units.flux=mJy"),
    "an odd unit of flux": (
        table(units=("km/s", "furlong")),
        {},
        "in 'furlong', no unit of flux density; give dataset",
    ),
    "a flux in velocities": (
        table(units=("km/s", "km/s")),
        {},
        "no unit of flux density; give dataset.units.flux=mJy",
    ),
    "million or thousandth": (image(BUNIT="MJY"), {}, "its flux is in 'MJY', no unit of flux density"),
    "an odd unit of the axis": (
        table(units=("parsec / s2", "mJy")),
        {},
        "its axis is in 'parsec / s2', no unit of velocity",
    ),
    "km/s without convention": (rows(EVEN, FLUX), {}, "give dataset.convention=optical or dataset.convention=radio"),
    "VELO without convention": (
        image(CTYPE1="VELO", CUNIT1="km/s", CRVAL1=3000.0, CDELT1=5.0),
        {},
        "dataset.convention=",
    ),
    "kelvin": (table(units=("km/s", "K")), {}, "its flux is in K (as the file says); give dataset.gain=... in K/Jy"),
    "antenna temperature": (sdfits(), {}, "give dataset.gain=... in K/Jy"),
    "Jy/beam": (image(BUNIT="JY/BEAM"), {}, "dataset.beam_pixels=... (1 for the spectrum of one pixel)"),
    "metres said to be km": (rows(1000 * OPTICAL, FLUX), {}, "it looks like m/s; give dataset.units.velocity=m/s"),
    "MHz said to be km/s": (rows(FREQUENCY, FLUX), {}, "it looks like MHz; give dataset.units.velocity=MHz"),
    "GHz said to be MHz": (
        rows(FREQUENCY / 1000, FLUX, head="freq (MHz),flux (mJy)", form="{:.12g}"),
        {},
        "it looks like GHz; give dataset.units.velocity=GHz",
    ),
    "km/s or MHz": (
        rows(np.arange(1320, 1420, 0.25), FLUX, head=""),
        MJY,
        "has no unit and could be in km/s or in MHz; give dataset.units.velocity=km/s",
    ),
    "the user's wrong unit": (
        rows(),
        {"units": {"velocity": "MHz"}},
        "it looks like km/s; give dataset.units.velocity",
    ),
    "the user's odd unit": (rows(), {"units": {"velocity": "knots"}}, "dataset.units.velocity=knots: no unit of"),
    "the user's odd flux": (rows(), {"units": {"flux": "W"}}, "dataset.units.flux=W: no unit of flux density"),
    "channel numbers": (rows(1132 + np.arange(400), FLUX, head=""), MJY, "(one counts channels): which of them has"),
    "channels called velocity": (
        rows(np.arange(400), FLUX, head="velocity,flux"),
        MJY,
        "its axis counts channels, 0 to 399",
    ),
    "three columns without names": (
        rows(OPTICAL, FLUX, FLUX, head=""),
        MJY,
        "which of them has the flux? give dataset",
    ),
    "two axes without names": (rows(OPTICAL, FREQUENCY, FLUX, head=""), MJY, "which of them has the velocities or"),
    "two fluxes": (rows(OPTICAL, FLUX, FLUX, head="v (km/s),flux,flux"), MJY, "could each be the flux; give dataset"),
    "two velocities": (
        rows(OPTICAL, RADIO, FLUX, head="vopt,vrad,flux"),
        MJY,
        "could each be the velocity; give dataset",
    ),
    "a column that is not there": (
        rows(),
        {"columns": {"flux": "Flux_XX"}},
        "dataset.columns.flux=Flux_XX: no such col",
    ),
    "a column beyond the last": (
        rows(),
        {"columns": {"flux": 3}},
        "dataset.columns.flux=3: there are 2 columns, from 1",
    ),
    "column 0": (rows(), {"columns": {"velocity": 0}}, "dataset.columns.velocity=0: there are 2 columns, from 1"),
    "one column for two": (rows(), {"columns": {"flux": 1}}, "column 1 velocity (km/s) is given for both"),
    "a word among numbers": (
        rows(OPTICAL, ["bad" if i == 7 else "1.5" for i in range(400)]),
        {},
        "line 9: 'bad' is no",
    ),
    "a number beyond all": (
        rows(OPTICAL, ["1e999" if i == 7 else "1.5" for i in range(400)]),
        {},
        "line 9: '1e999' is",
    ),
    "a ragged row": (
        rows(OPTICAL, FLUX, FLUX, head="v flux err", by=" ").replace("\n", "\n4000 5\n", 1),
        MJY,
        "line 2 has 2 cells where others have 3",
    ),
    "all NaN": (rows(OPTICAL, ["nan"] * 400), {}, "0 of 400 channels can be used"),
    "all flagged": (
        rows(OPTICAL, FLUX, np.ones(400), head="v (km/s),flux (mJy),flag"),
        {},
        "0 of 400 channels can be",
    ),
    "too few channels": (
        rows(FREQUENCY[:12], FLUX[:12], head="freq (MHz),flux (mJy)"),
        {},
        "12 of 12 channels",
    ),
    "constant flux": (rows(OPTICAL, np.full(400, 3.0)), {}, "constant flux: no noise"),
    "one velocity": (rows(np.full(400, 4000.0), FLUX), {}, "its axis has 1 different values"),
    "no velocity": (table(columns=(np.full(400, np.nan), FLUX)), {}, "its axis has 0 different values"),
    "uneven channels": (
        rows(3000 + np.geomspace(0.3, 9000, 400), FLUX),
        {"convention": "optical"},
        "too unlike for one grid; rebin them",
    ),
    "beyond light": (rows(OPTICAL + 3e5, FLUX), {}, "no HI line"),
    "a cube": (image(np.tile(FLUX, (5, 5, 1))), {}, "an image of 400 x 5 x 5 pixels; give the spectrum of an object"),
    "a picture": (
        image(np.ones((40, 40)), CTYPE1="RA---SIN", CTYPE2="DEC--SIN"),
        {},
        "an image with 0 spectral axes",
    ),
    "no CTYPE": (image(CTYPE1=None, CUNIT1=None), {}, "an image with 0 spectral axes"),
    "FELO without rest": (
        image(CTYPE1="FELO-HEL", CUNIT1="m/s", CRVAL1=4e6),
        {},
        "its spectral axis cannot be computed",
    ),
    "no step": (image(CDELT1=0.0), {}, "its spectral axis cannot be computed"),
    "no data": (image(np.ones(0)), {}, "holds no table and no image"),
    "a table without rows": (table(columns=([], [])), {}, "no rows below the columns VHELIO, FLUX"),
    "other columns": (
        table(names=("RA", "MAG"), units=("deg", "mag")),
        {},
        "its axis is in 'deg', no unit",
    ),
    "image and a table without flux": (
        image(np.ones((4, 4)), CTYPE1=None) + table(names=("VHELIO", "rms"))[2880:],
        {},
        "2 columns, VHELIO, rms: which of them has the flux? give dataset.columns.flux",
    ),
    "truncated FITS": (table()[:-2880], {}, "is not readable FITS (truncated"),
    "half a header": (table()[:1000], {}, "is not readable FITS"),
    "a bit flipped in gzip": (gzip.compress(rows().encode())[:-9] + b"\0" * 9, {}, "is damaged: gzip says"),
    "half a gzip": (gzip.compress(rows().encode())[:500], {}, "is damaged: gzip says"),
    "binary": (b"\x01\x00\x02" * 99, {}, "is no text file"),
    "npz": (b"PK\x03\x04" + bytes(99), {}, "unpack it (dataset=arrays reads .npz)"),
    "HDF5": (b"\x89HDF\r\n" + bytes(99), {}, "is HDF5; write FITS or text"),
    "half a VOTable": (votable()[:-40], {}, "is not a readable VOTABLE"),
    "entities": (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><VOTABLE/>', {}, "it declares XML entities"),
    "half an ECSV": (b"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: v", {}, "is not a readable ECSV"),
    "raw scans": (sdfits(2, CAL="T"), {"gain": 1.0}, "raw scans; calibrate and average them with dysh"),
    "integrations": (sdfits(3), {"gain": 1.0}, "3 rows of 'NGC 1': raw scans; calibrate and average them with dysh"),
    "counts": (sdfits(unit="counts"), {"gain": 1.0}, "DATA in counts: raw scans"),
    "SDFITS read by columns": (
        sdfits(),
        {"columns": {"flux": "DATA"}},
        "1 columns, DATA: which of them has the velocities",
    ),
    "SDFITS of another axis": (sdfits(CTYPE1="TIME"), {"gain": 1.0}, "CTYPE1 is 'TIME'"),
    "arrays of unlike length": (
        table(columns=(OPTICAL[None], FLUX[None, :300])),
        {},
        "400 values in column 1 VHELIO, 300 in column 2 FLUX",
    ),
    "columns of an image": (
        image(),
        {"columns": {"flux": 2, "id": "NAME"}},
        "an image has no columns; leave out dataset.columns.flux, dataset.columns.id",
    ),
    "columns of SDFITS": (sdfits(), {"columns": {"weight": "W"}}, "leave out dataset.columns.weight"),
    "another name": (rows(), {"id": "NGC([0-9]+)"}, "dataset.id=NGC([0-9]+): not found in the file's name"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_fault_is_refused_alone_and_skipped_among_others(tmp_path, fault, recwarn):
    content, given, said = REFUSED[fault]
    bad = tmp_path / "bad.dat"
    bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        read_spectra(str(bad), **given)
    message = str(caught.value)
    assert message.startswith(f"dataset.path={bad}: ")
    assert said in message
    assert "\n" not in message
    assert len(message) < 500 + len(str(bad))
    with pytest.raises(InputError, match=r"none of its 1 files can be used; the first, bad\.dat: "):
        read_spectra(str(tmp_path), **given)
    if not given:
        (tmp_path / "good.txt").write_text(rows())
        spectra = read_spectra(str(tmp_path))
        assert spectra.ids.tolist() == ["good"]
        assert spectra.skipped["name"].tolist() == ["bad.dat"]
        assert said in spectra.skipped["reason"].iloc[0]
    assert not recwarn


SETTINGS = {
    "a gain of nothing": ({"gain": 0.0}, "dataset.gain=0.0: give a number above 0"),
    "a gain of no use": ({"gain": 1.5}, "dataset.gain is not used: no flux in .* is in K; leave it out"),
    "a beam of no use": ({"beam_pixels": 20.0}, "dataset.beam_pixels is not used: no flux in .* is in Jy/beam"),
    "a beam of NaN": ({"beam_pixels": float("nan")}, "dataset.beam_pixels=nan: give a number above 0"),
    "a third convention": (
        {"convention": "relativistic"},
        "dataset.convention=relativistic: choose optical or radio",
    ),
    "an unknown column": ({"columns": {"fluxes": 1}}, "dataset.columns.fluxes: choose of velocity, flux"),
    "an unknown unit": ({"units": {"time": "s"}}, "dataset.units.time: choose of velocity, flux"),
    "half an expression": ({"id": "NGC(["}, r"dataset\.id=NGC\(\[: no regular expression"),
    "columns for specutils": (
        {"columns": {"flux": 2}, "specutils_format": "auto"},
        "dataset.columns is not used where",
    ),
    "an expression without a group": ({"id": "NGC"}, "dataset.id=NGC: put the part that is the object's name in"),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_of_no_use_is_named(tmp_path, setting):
    given, said = SETTINGS[setting]
    (tmp_path / "a.txt").write_text(rows())
    with pytest.raises(InputError, match=said):
        read_spectra(str(tmp_path), **given)


def test_names_of_files_become_printable(tmp_path, caplog):
    """Any bytes may be in them: no terminal obeys them, and no table refuses them."""
    for name in (b"\xff\xfe.txt", b"red\x1b[31m.txt", b"bad\x1b[31m.txt"):
        (tmp_path / os.fsdecode(name)).write_text("nothing" if name.startswith(b"bad") else rows())
    with caplog.at_level(logging.INFO):
        spectra = read_spectra(str(tmp_path))
    names = [
        *spectra.ids,
        *spectra.catalogue.index,
        *spectra.catalogue["file"],
        *spectra.skipped["name"],
        caplog.text,
    ]
    assert "".join(names).replace("\n", "").isprintable()
    assert sorted(spectra.ids) == ["red\ufffd[31m", "\ufffd\ufffd"]


def test_where_no_file_can_be_read_the_reasons_are_said(tmp_path, caplog):
    for name, content in {"a.txt": "words", "b.txt": "", "c.txt": rows(np.arange(400.0), FLUX)}.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=r"none of its 3 files can be used; the first, a\.txt: no line with numbers"):
        read_spectra(str(tmp_path))
    assert "b.txt: is empty" in caplog.text
    assert "c.txt: " in caplog.text


def test_what_else_a_file_holds_is_said(tmp_path, caplog):
    """Spectra or masks in further extensions are not read."""
    (tmp_path / "three.fits").write_bytes(image())
    with fits.open(tmp_path / "three.fits", mode="append") as hdus:
        for name in ("ERRORS", "MASK"):
            hdus.append(fits.ImageHDU(FLUX, name=name))
    with caplog.at_level(logging.INFO):
        assert len(read_spectra(str(tmp_path / "three.fits"))) == 1
    assert "(not read: ERRORS, MASK)" in caplog.text


def test_one_name_twice_in_a_file_has_another_remedy(tmp_path):
    (tmp_path / "two.fits").write_bytes(
        table(columns=(np.tile(OPTICAL, (2, 1)), np.tile(FLUX, (2, 1))), meta={"OBJECT": "NGC 1"})
    )
    with pytest.raises(InputError, match=r"'NGC 1', both in two\.fits; .* dataset\.columns\.id=COLUMN"):
        read_spectra(str(tmp_path / "two.fits"))


READ = {  # content, what the user gives, channels masked, what is warned of
    "NaN in the flux": (rows(OPTICAL, nan_at(FLUX, [5, 6])), {}, 2, None),
    "dashes for no value": (
        rows(OPTICAL, ["--" if i in (5, 6) else f"{s}" for i, s in enumerate(FLUX)]),
        {},
        2,
        None,
    ),
    "a fill value": (rows(OPTICAL, with_flux(p5=-999, p6=-999)), {}, 2, "2 channels hold the fill value -999"),
    "NANVALUE": (table(columns=(OPTICAL, with_flux(p5=-77.0)), meta={"NANVALUE": -77.0}), {}, 1, None),
    "zeros for no value": (rows(OPTICAL, with_flux(**{f"p{i}": 0 for i in range(9)})), {}, 9, "blanked with zeros"),
    "interference": (rows(OPTICAL, with_flux(p5=-400.0)), {}, 3, None),
    "channels left out": (rows(np.delete(OPTICAL, [5, 6]), np.delete(FLUX, [5, 6])), {}, 2, None),
    "shuffled rows": (rows(OPTICAL[np.argsort(FLUX)], np.sort(FLUX)), {}, 0, None),
    "a note at each end": (rows().replace("\n", " # ok\n"), {}, 0, None),
    "a count on top": (rows(head="400"), MJY | {"units": {"flux": "mJy", "velocity": "km/s"}}, 0, None),
    "exponents of Fortran": (rows(form="{:.10E}").replace("E+", "D+").replace("E-", "D-"), {}, 0, None),
    "old Macintosh lines": (rows().replace("\n", "\r"), {}, 0, None),
    "UTF-16": (rows().encode("utf-16"), {}, 0, None),
    "Latin-1": (b"# Nan\xe7ay\n" + rows().encode(), {}, 0, None),
    "a rule under the names": (rows(head="velocity flux\n(km/s) (mJy)\n-------- ------", by=" "), {}, 0, None),
    "errors and baselines": (
        rows(OPTICAL, FLUX, FLUX, FLUX, head="v_opt (km/s),flux (mJy),err,baseline"),
        {},
        0,
        None,
    ),
    "flags of words": (
        rows(
            OPTICAL, FLUX, ["true" if i in (5, 6) else "false" for i in range(400)], head="v (km/s),flux (mJy),flag"
        ),
        {},
        2,
        None,
    ),
    "channels without pixels": (
        rows(
            OPTICAL,
            with_flux(p5=60.0, p6=60.0),
            9.0 * ~np.isin(np.arange(400), (5, 6)),
            head="v_opt (km/s),f_sum (mJy),n_pix",
        ),
        {},
        2,
        None,
    ),
    "units of upper case": (table(units=("KM/S", "JANSKY"), columns=(OPTICAL, FLUX / 1000)), {}, 0, None),
    "another unit than the file's": (table(units=("km/s", "Jy")), MJY, 0, "dataset.units.flux=mJy is taken"),
    "image and table": (image(np.ones((4, 4)), CTYPE1=None) + table()[2880:], {}, 0, None),
    "FELO": (
        image(
            FLUX, CTYPE1="FREQ-HEL", CUNIT1="Hz", CRVAL1=1e6 * FREQUENCY[0], CDELT1=24400.0, RESTFRQ=1.42040575177e9
        ),
        {},
        0,
        None,
    ),
}


@pytest.mark.parametrize("case", READ)
def test_what_looks_odd_is_read_right(tmp_path, caplog, case):
    content, given, n_masked, said = READ[case]
    (tmp_path / "odd.dat").write_bytes(content if isinstance(content, bytes) else content.encode())
    with caplog.at_level(logging.WARNING):
        spectra = read_spectra(str(tmp_path / "odd.dat"), **given)
    np.testing.assert_allclose(spectra.velocity[0], OPTICAL[::-1], atol=0.02)
    assert np.count_nonzero(~spectra.valid) == n_masked
    valid = spectra.valid[0]
    np.testing.assert_allclose(spectra.flux[0][valid], FLUX[::-1][valid], atol=1e-3)
    assert (said in caplog.text) if said else not caplog.messages


def test_a_noise_that_no_spectrum_has_is_said(tmp_path, caplog):
    (tmp_path / "a.txt").write_text(rows(OPTICAL, FLUX / 1000))
    read_spectra(str(tmp_path))
    assert "its noise is not one of HI spectra, 0.02 to 10000 mJy a channel; is its unit right?" in caplog.text


def test_places_that_cannot_be_read(tmp_path):
    for place, said in {
        "nowhere.txt": "cannot be read: No such file",
        "none*.txt": "no file has such a name",
        "x" * 300: "cannot be read: File name too long",
    }.items():
        with pytest.raises(InputError, match=said):
            read_spectra(f"{tmp_path}/{place}")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a named pipe, and no regular file"):
        read_spectra(str(tmp_path / "pipe"))


@pytest.mark.parametrize("content", [rows().encode(), table(), votable(), image(), gzip.compress(table())])
def test_mutations_are_read_or_skipped(tmp_path, content):
    rng = np.random.default_rng(len(content))
    for number in range(60):
        (tmp_path / f"{number}.dat").write_bytes(mutated(content, rng))
    (tmp_path / "good.txt").write_text(rows())
    spectra = read_spectra(str(tmp_path), units={"flux": "mJy"}, convention="optical", id=r"(.*)\.")
    assert len(spectra) + len(spectra.skipped) == 61
    assert not spectra.skipped["reason"].str.startswith("cannot be used (").any()  # the net below all else
    assert np.isfinite(spectra.flux).all()
    assert (spectra.rms > 0).all()
    assert (np.diff(spectra.velocity, axis=1) > 0).all()
    assert (np.abs(spectra.velocity) < LIGHT_SPEED * 1.1).all()


AGC_15 = {"axis": [], "fits": ["image_first", "lower", "nan_velocity", "ok", "vunit00", "vunit01"]}


def test_the_collection_of_faulty_files(faults):
    fit = configured("busy")
    n_agc_15 = 0
    for file in sorted(path for path in faults.glob("*/*") if path.is_file()):
        try:
            spectra = read_spectra(str(file), units={"flux": "mJy"})
        except InputError as error:
            assert str(error).startswith(f"dataset.path={file}: ")
            assert "cannot be used (" not in str(error)
            continue
        line = fit(spectra).table.iloc[0]
        if file.name.startswith("CIG15") or file.parent.name == "fits":
            n_agc_15 += 1
            assert line["position"] == pytest.approx(11567.5, abs=1), file
            assert line["w50"] == pytest.approx(516.2, abs=1), file
            assert line["flux_int"] == pytest.approx(3.232, abs=0.01), file
    assert n_agc_15 == 14
