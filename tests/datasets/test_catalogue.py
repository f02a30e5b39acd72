"""Catalogues in their public forms, joined to spectra."""

import gzip
import socket
import subprocess

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from helpers.commands import train
from helpers.configuration import composed
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from test_alfalfa import write_spectrum

from hiexp.datasets import read_alfalfa
from hiexp.datasets.catalogue import read_agc_catalogue, within
from hiexp.errors import InputError

ROWS = pd.DataFrame(
    {"AGC": [1, 12896, 331060], "Vhel": [4400, 7653, 4463], "W50": [100, 170, 160], "SNR": [12.5, 22.0, np.nan]}
)
README = """\
J/Test/1            A catalogue for tests                  (Nobody, 2026)
================================================================================
File Summary:
--------------------------------------------------------------------------------
 FileName      Lrecl  Records   Explanations
--------------------------------------------------------------------------------
ReadMe            80        .   This file
table2.dat        21        3   The catalogue
--------------------------------------------------------------------------------

Byte-by-byte Description of file: table2.dat
--------------------------------------------------------------------------------
   Bytes Format Units   Label     Explanations
--------------------------------------------------------------------------------
   1-  6  A6    ---     AGC       AGC number
   8- 12  I5    km/s    Vhel      Heliocentric velocity
  14- 16  I3    km/s    W50       Width at half of the peak
  18- 21  F4.1  ---     SNR       ? Signal to noise
--------------------------------------------------------------------------------
"""
FIXED = "000001  4400 100 12.5\n012896  7653 170 22.0\n331060  4463 160     \n"


def vizier(folder):
    lines = ["#", "#   VizieR", "AGC\tVhel\tW50\tSNR", " \tkm/s\tkm/s\t ", "------\t-----\t---\t----"]
    lines += [f"{a:06d}\t{v:5d}\t{w}\t{'' if np.isnan(s) else s}" for a, v, w, s in ROWS.itertuples(index=False)]
    file = folder / "catalogue.tsv"
    file.write_text("\n".join(lines) + "\n")
    return file


def cornell(folder):
    file = folder / "a100.csv"
    ROWS.rename(columns={"AGC": "AGCNr", "Vhel": "Vhelio"}).to_csv(file, index=False)
    return file


def cds(folder, compress=False):
    (folder / "ReadMe").write_text(README)
    file = folder / ("table2.dat.gz" if compress else "table2.dat")
    file.write_bytes(gzip.compress(FIXED.encode()) if compress else FIXED.encode())
    return file


def cds_gz(folder):
    return cds(folder, compress=True)


def as_text(rows):
    """VizieR has the AGC number as text of six characters."""
    return Table.from_pandas(rows.assign(AGC=[f"{number:06d}" for number in rows["AGC"]]))


def votable(folder):
    as_text(ROWS).write(folder / "catalogue.vot", format="votable")
    return folder / "catalogue.vot"


def fits_table(folder):
    as_text(ROWS).write(folder / "catalogue.fits")
    return folder / "catalogue.fits"


def latin(folder):
    file = folder / "latin.csv"
    file.write_bytes(
        "# Vitesse héliocentrique\nAGC;Vhel;W50;SNR\n1;4400;100;12.5\n12896;7653;170;22\n331060;4463;160;\n".encode(
            "latin-1"
        )
    )
    return file


def utf16(folder):
    file = folder / "wide.csv"
    ROWS.to_csv(file, index=False, encoding="utf-16")
    return file


FORMS = [vizier, cornell, cds, cds_gz, votable, fits_table, latin, utf16]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_gives_the_same_catalogue(tmp_path, form):
    catalogue, repeated = read_agc_catalogue(str(form(tmp_path)))
    assert catalogue.index.tolist() == ["000001", "012896", "331060"]
    assert catalogue["Vhel"].tolist() == [4400, 7653, 4463]
    np.testing.assert_array_equal(catalogue["SNR"].astype(float), [12.5, 22.0, np.nan])
    assert repeated == []


def test_the_real_samples(appss):
    shared = appss.parent
    vizier_rows, _ = read_agc_catalogue(str(shared / "alfalfa_a100_sample.tsv"))
    cornell_rows, _ = read_agc_catalogue(str(shared / "a100_cornell_sample.csv"))
    assert len(vizier_rows) == 30
    assert vizier_rows.loc["105367", ["Vhel", "W50", "HIflux", "logMHI"]].tolist() == [11983, 274, 1.14, 9.87]
    both = vizier_rows.index.intersection(cornell_rows.index)
    assert len(both) > 0
    columns = ["Vhel", "W50", "e_W50", "W20", "HIflux", "e_HIflux", "SNR", "rms", "Dist", "logMHI", "HI"]
    pd.testing.assert_frame_equal(vizier_rows.loc[both, columns], cornell_rows.loc[both, columns], check_dtype=False)


FAULTS = {
    "missing": (lambda folder: folder / "nowhere.tsv", "no such file"),
    "no AGC": (
        lambda folder: written(folder / "a.csv", "NAME,Vhel\nx,3\n"),
        "no column AGC or AGCNr; it has NAME, Vhel",
    ),
    "not a number": (lambda folder: written(folder / "a.csv", "AGC,Vhel\n1,3\nNGC 1,3\n"), "row 2 has AGC 'NGC 1'"),
    "empty": (lambda folder: written(folder / "a.csv", ""), "is empty"),
    "header only": (lambda folder: written(folder / "a.csv", "AGC,Vhel\n"), "no rows"),
    "no ReadMe": (lambda folder: written(folder / "table2.dat", FIXED), "needs its ReadMe"),
    "no table": (lambda folder: written(folder / "a.fits", "hello"), "no rows below its column names hello"),
    "ragged": (
        lambda folder: written(folder / "a.csv", "AGC,Vhel\n1,2,3,4\n5,6\n7,8,9,9,9,9\n"),
        "is no table with the columns AGC, Vhel",
    ),
    "two columns of numbers": (
        lambda folder: written(folder / "a.csv", "AGC,Vhel,AGCNr\n1,2,3\n"),
        "AGC and AGCNr are two columns for one thing; leave one of them",
    ),
    "two columns of velocities": (
        lambda folder: written(folder / "a.csv", "AGC,Vhel,Vhelio\n1,2,3\n"),
        "Vhel and Vhelio are two columns for one thing",
    ),
    "no columns for an empty cell": (
        lambda folder: written(folder / "a.txt", "AGC Vhel W50\n1 5000 100\n2 100\n"),
        "has 3 column names and a row of 2 cells",
    ),
    "more names than cells": (
        lambda folder: written(folder / "a.csv", "AGC,Vhel,W50,SNR\n1,5000,100\n2,5000,100\n"),
        "has 4 column names and rows of 3 cells at most",
    ),
    "empty rows": (lambda folder: written(folder / "a.csv", "AGC,Vhel\n,\n,\n"), "all its rows are empty"),
    "gzip cut short": (
        lambda folder: written_bytes(folder / "a.csv.gz", gzip.compress(b"AGC,Vhel\n1,2\n")[:-1]),
        "is damaged: gzip says",
    ),
    "CDS gzip with a wrong bit": (lambda folder: flipped(cds_gz(folder)), "is damaged: gzip says"),
    "a folder": (lambda folder: folder, "Is a directory"),
    "a long name": (lambda folder: folder / ("a" * 300 + ".csv"), "too long"),
}


def written_bytes(file, content):
    file.write_bytes(content)
    return file


def flipped(file):
    content = bytearray(file.read_bytes())
    content[-6] ^= 1  # of the checksum
    return written_bytes(file, content)


def written(file, text):
    file.write_text(text)
    return file


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_catalogue_is_named(tmp_path, fault):
    make, said = FAULTS[fault]
    file = make(tmp_path)
    with pytest.raises(InputError) as caught:
        read_agc_catalogue(str(file))
    assert said in str(caught.value)
    assert file.name in str(caught.value)


@pytest.mark.parametrize(
    "number",
    ["1.5", "-1", "0", "inf", "nan", "", "1e30", "1" * 5000, "NGC 1", "\N{ARABIC-INDIC DIGIT ONE}", "\x1b[2J"],
)
def test_an_agc_number_is_a_whole_number(tmp_path, number):
    file = written(tmp_path / "a.csv", f"AGC,Vhel\n12,5000\n{number},5000\n")
    with pytest.raises(InputError, match=r"a\.csv: row 2 has AGC '.*', no number; write whole numbers") as caught:
        read_agc_catalogue(str(file))
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("number", [1.5, -1.0, np.inf, np.nan])
def test_an_agc_number_of_a_binary_table_too(tmp_path, number):
    Table({"AGC": [1.0, number], "Vhel": [1.0, 2.0]}).write(tmp_path / "a.fits")
    with pytest.raises(InputError, match="row 2 has AGC"):
        read_agc_catalogue(str(tmp_path / "a.fits"))


@pytest.mark.parametrize(
    "value", ["-", "--", "?", "NA", "null", "", "5500*", "inf", "-999", "-9999.0", "n.a.", "4400000"]
)
def test_what_is_no_velocity_is_missing_and_said(tmp_path, value, caplog):
    file = written(tmp_path / "a.csv", f"AGC,Vhel,W50\n1,{value},100\n2,5000,120\n")
    catalogue, _ = read_agc_catalogue(str(file))
    np.testing.assert_array_equal(catalogue["Vhel"], [np.nan, 5000])
    assert catalogue["W50"].tolist() == [100, 120]
    assert "a.csv: 1 of 2 rows have no Vhel" in caplog.text
    assert ("'5500*' in row 1" in caplog.text) == (value == "5500*")


def test_fill_values_are_missing_in_every_column_of_numbers(tmp_path, caplog):
    file = written(
        tmp_path / "a.tsv", "AGC\tW50\tHIflux\tSNR\n1\t-999\t1.5\thigh\n2\t100\t-99.9\t12\n3\t90\t0.4\t9\n"
    )
    catalogue, _ = read_agc_catalogue(str(file))
    np.testing.assert_array_equal(catalogue, [[np.nan, 1.5, np.nan], [100, np.nan, 12], [90, 0.4, 9]])
    for column in ("W50", "HIflux", "SNR"):
        assert f"1 of 3 values of {column} are no numbers of a galaxy" in caplog.text


def test_empty_rows_are_left_out_and_counted(tmp_path, caplog):
    file = written(tmp_path / "a.csv", "AGC,Vhel,Name\n1,4000,NA\n,,\n2,5000,\n , ,\n3,6000,NGC 1\n")
    catalogue, _ = read_agc_catalogue(str(file))
    assert catalogue.index.tolist() == ["000001", "000002", "000003"]
    assert catalogue["Name"].fillna("missing").tolist() == ["NA", "missing", "NGC 1"]
    assert "empty rows left out: 2" in caplog.text


numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 4))


@pytest.mark.slow
@given(
    rows=st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=8),
    mark=st.sampled_from([";", "\t", "|"]),
)
def test_decimal_commas_are_decimal_points(tmp_path_factory, rows, mark):
    folder = tmp_path_factory.mktemp("commas")
    lines = ["AGC,first,second,third", *(f"{row},{a:.4f},{b:.4f},{c:.4f}" for row, (a, b, c) in enumerate(rows, 1))]
    plain, _ = read_agc_catalogue(str(written(folder / "plain.csv", "\n".join(lines))))
    european = [line.replace(",", mark).replace(".", ",") for line in lines]
    commas, _ = read_agc_catalogue(str(written(folder / "commas.csv", "\n".join(european))))
    pd.testing.assert_frame_equal(commas, plain)


def test_commas_beside_points_are_not_decimal(tmp_path):
    file = written(tmp_path / "a.csv", "AGC;Vhel;cost;SNR\n1;4000;1,234;2.5\n2;4000;1,500;2.5\n")
    assert read_agc_catalogue(str(file))[0]["cost"].tolist() == ["1,234", "1,500"]


def test_a_name_with_the_delimiter_in_it_moves_no_column(tmp_path, caplog):
    file = written(tmp_path / "a.csv", "AGC,S/N, peak,W50\n1,20,100\n2,30,110\n")
    catalogue, _ = read_agc_catalogue(str(file))
    assert catalogue.columns.tolist() == ["S/N, peak", "W50"]
    assert catalogue["W50"].tolist() == [100, 110]
    assert "S/N, peak is taken as one column name; quote it" in caplog.text


def test_a_long_line_of_dashes_is_looked_at_once(tmp_path):
    """Which takes minutes where the work grows with the square of its length."""
    for text in ("-" * 200_000 + "x", "AGC,Vhel\n" + "- " * 100_000 + "x\n", "AGC;" + "-;" * 100_000 + "x\n1;2\n"):
        with pytest.raises(InputError) as caught:
            read_agc_catalogue(str(written(tmp_path / "a.csv", text)))
        assert len(str(caught.value)) < 1000


VOTABLE = """<?xml version="1.0"?>{doctype}<VOTABLE version="1.3"><RESOURCE><TABLE {rows}>
<FIELD name="AGC" datatype="{kind}" {size}/><DATA>{data}</DATA></TABLE></RESOURCE></VOTABLE>"""
CELLS = "<TABLEDATA><TR><TD>1</TD></TR></TABLEDATA>"
STREAM = '<STREAM href="{address}" encoding="gzip"/>'
LAUGHS = "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def votable_text(doctype="", rows="", kind="int", size="", data=CELLS):
    return VOTABLE.format(doctype=doctype, rows=rows, kind=kind, size=size, data=data)


@pytest.mark.parametrize(
    "place",
    [
        "<BINARY>{}</BINARY>",
        "<BINARY2>{}</BINARY2>",
        '<FITS extnum="1">{}</FITS>',
        '<PARQUET type="VOTable-remote-file">{}</PARQUET>',
    ],
)
def test_a_votable_fetches_nothing(tmp_path, place):
    (tmp_path / "other.fits").write_bytes(b"")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        for address in (f"http://127.0.0.1:{server.getsockname()[1]}/x", (tmp_path / "other.fits").as_uri()):
            text = votable_text(data=place.format(STREAM.format(address=address)))
            with pytest.raises(InputError, match="in another place, which is not fetched"):
                read_agc_catalogue(str(written(tmp_path / "a.vot", text)))
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            votable_text(f'<!DOCTYPE a [<!ENTITY a "ha">{LAUGHS}]>', data=CELLS.replace("1", "&i;")),
            "declares XML entities",
        ),
        (votable_text(rows='nrows="10000000000"'), "more than can be read"),
        (votable_text(kind="char", size='arraysize="100000x100000"'), "more than can be read"),
        ('<?xml version="1.0"?><VOTABLE>' + "<RESOURCE>" * 20_000 + "</RESOURCE>" * 20_000 + "</VOTABLE>", "VOTABLE"),
    ],
    ids=["entities", "rows", "cells", "depth"],
)
def test_a_votable_does_not_grow(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_agc_catalogue(str(written(tmp_path / "a.vot", text)))


def test_a_votable_of_old_is_read(tmp_path):
    """With the document type of version 1.0, which is not fetched, and its data inside."""
    text = votable_text('<!DOCTYPE VOTABLE SYSTEM "http://us-vo.org/xml/VOTable.dtd">')
    assert read_agc_catalogue(str(written(tmp_path / "a.vot", text)))[0].index.tolist() == ["000001"]


@pytest.mark.parametrize("cells", ["NAXIS2  =                   -1", "NAXIS2  =          99999999999"])
def test_a_fits_catalogue_with_impossible_sizes_ends_at_once(tmp_path, cells):
    file = fits_table(tmp_path)
    content = file.read_bytes()
    assert content.count(b"NAXIS2  =                    3") == 1
    file.write_bytes(content.replace(b"NAXIS2  =                    3", cells.encode()))
    with pytest.raises(InputError, match="not a readable FITS table"):
        read_agc_catalogue(str(file))


def test_names_outside_ascii_are_kept(tmp_path):
    rows = Table({"AGC": [1, 2], "Name": np.array(["M\xe9rope".encode("latin-1"), b"NA"])})
    rows.write(tmp_path / "a.fits")
    assert read_agc_catalogue(str(tmp_path / "a.fits"))[0]["Name"].tolist() == ["M\xe9rope", "NA"]


def test_ranges():
    inside = within(ROWS, {"Vhel": [4400, 5000], "W50": [None, 160], "SNR": None})
    assert inside.tolist() == [True, False, True]
    assert within(ROWS, {"SNR": [0, None]}).tolist() == [True, True, False]
    with pytest.raises(InputError, match=r"where\.Mass.*no such column"):
        within(ROWS, {"Mass": [1, 2]})
    for wrong in ([1], [1, 2, 3], 20, "20", ["a", 2], [True, 2], [np.nan, 2], {"low": 1}):
        with pytest.raises(InputError, match=r"where\.W50=.*give \[low, high\]"):
            within(ROWS, {"W50": wrong})
    with pytest.raises(InputError, match=r"where\.W50=\[3, 2\]: 3 is above 2"):
        within(ROWS, {"W50": [3, 2]})
    with pytest.raises(InputError, match=r"where\.Name: this column has no numbers"):
        within(ROWS.assign(Name="NGC 1"), {"Name": [1, 2]})


def test_a_column_with_its_unit_in_its_name(tmp_path):
    table = ROWS.rename(columns={"W50": "W50(km/s)"})
    assert within(table, {"W50": [150, None]}).tolist() == within(table, {"W50(km/s)": [150, None]}).tolist()
    with pytest.raises(
        InputError, match=r"write '\+dataset\.where=\{W50\\\(km/s\\\):\[low,high\]\}' with the quotes"
    ):
        within(table, {"w50": [1, 2]})


@pytest.mark.parametrize(
    "name", ["W50(km/s)", "S/N, peak", "log M [sun]", "a:b=c", "x.y", "{z}", "back\\slash", "50%"]
)
def test_the_hint_is_what_the_command_line_takes(tmp_path, name):
    table = ROWS.rename(columns={"W50": name})
    with pytest.raises(InputError) as caught:
        within(table, {"Mass": [1, 2]})
    word = str(caught.value).partition("write '")[2].partition("' with the quotes")[0].replace("low,high", "150,null")
    said = subprocess.run(["bash", "-c", f"printf %s '{word}'"], capture_output=True, text=True, check=True).stdout
    where = instantiate(composed("dataset=alfalfa", "dataset.path=x", said).dataset.where, _convert_="all")
    assert {key: limits for key, limits in where.items() if limits} == {name: [150, None]}
    assert within(table, where).tolist() == [False, True, True]


def test_a_name_that_the_command_line_does_not_take(tmp_path):
    with pytest.raises(InputError, match="rename Größe, which the command line does not take"):
        within(ROWS.rename(columns={"W50": "Größe"}), {"Mass": [1, 2]})


@pytest.mark.parametrize("name", ["vhel_dash", "trailing_empty_row", "european", "units_in_names"])
def test_the_collection_of_odd_catalogues_is_read_as_the_good_one(faults, name, caplog):
    good, _ = read_agc_catalogue(str(faults / "catalogue" / "good.csv"))
    assert not caplog.text
    odd, _ = read_agc_catalogue(str(faults / "catalogue" / f"{name}.csv"))
    odd = odd.rename(columns={"W50(km/s)": "W50", "S/N, peak": "SNR"})
    if name == "vhel_dash":
        assert odd["Vhel"].isna().tolist() == [True, False, False]
        odd["Vhel"] = odd["Vhel"].fillna(good["Vhel"])
    pd.testing.assert_frame_equal(odd.drop(columns="Name"), good.drop(columns="Name"), check_dtype=False)
    assert (name == "european") == (not caplog.text)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("agc-inf-cat", "row 1 has AGC 'inf'"),
        ("both-agc-cat", "AGC and AGCNr are two columns for one thing"),
        ("both-vhel-cat", "Vhel and Vhelio are two columns for one thing"),
    ],
)
def test_the_collection_of_wrong_catalogues_is_named(faults, name, said):
    with pytest.raises(InputError, match=said) as caught:
        read_agc_catalogue(str(faults / "catalogue" / f"{name}.csv"))
    assert f"{name}.csv" in str(caught.value)


def test_the_collection_s_velocity_with_a_star(faults, caplog):
    catalogue, _ = read_agc_catalogue(str(faults / "catalogue" / "vhel-star-cat.csv"))
    np.testing.assert_array_equal(catalogue["Vhel"], [np.nan, 5400, 5600, 5300])
    assert "'5500*' in row 1" in caplog.text


@pytest.fixture
def archive(tmp_path):
    for number in (1, 12896, 999999):
        write_spectrum(tmp_path / f"A{number:06d}.fits")
    return tmp_path


def test_spectra_and_rows_are_joined_by_number(archive):
    spectra = read_alfalfa(str(archive), catalogue=str(vizier(archive)))
    assert spectra.ids.tolist() == ["000001", "012896", "999999"]
    assert spectra.catalogue["W50"].tolist()[:2] == [100, 170]
    # The catalogue's velocity, or the header's where it has no row.
    assert spectra.systemic.tolist() == [4400, 7653, 4400]
    assert sorted(spectra.unmatched.itertuples(index=False, name=None)) == [
        ("331060", "a catalogue row without a spectrum"),
        ("999999", "a spectrum without a catalogue row"),
    ]


def test_a_repeated_row_is_told_and_the_first_used(archive):
    file = written(archive / "twice.csv", "AGC,Vhel,W50\n1,4400,100\n1,4500,200\n12896,1,1\n999999,1,1\n")
    spectra = read_alfalfa(str(archive), catalogue=str(file))
    assert spectra.catalogue.loc["000001", "W50"] == 100
    assert spectra.unmatched["name"].tolist() == ["000001"]
    assert "more than one" in spectra.unmatched["reason"].iloc[0]


def test_filters_choose_spectra(archive):
    file = str(vizier(archive))
    assert read_alfalfa(str(archive), catalogue=file, where={"W50": [150, None]}).ids.tolist() == ["012896"]
    assert len(read_alfalfa(str(archive), catalogue=file, where={"SNR": None})) == 3
    with pytest.raises(InputError, match="widen it"):
        read_alfalfa(str(archive), catalogue=file, where={"W50": [900, None]})


def test_spectra_without_the_value_asked_for_are_listed(archive, caplog):
    spectra = read_alfalfa(str(archive), catalogue=str(vizier(archive)), where={"W50": [150, None]})
    assert spectra.ids.tolist() == ["012896"]
    assert spectra.skipped.to_numpy().tolist() == [["999999", "no value of W50, by which dataset.where chooses"]]


@pytest.mark.slow
def test_the_command_says_what_is_missing(archive, tmp_path):
    written(tmp_path / "a.csv", "AGC,Vhel,W50(km/s)\n1,5500*,100\n12896,4400,170\n")
    words = ["dataset=alfalfa", f"dataset.path={archive}", "dataset.catalogue=a.csv", "tracking=none"]
    words += ["dataset.where.W20=[1,2]", "feature=raw", "classifier=knn"]
    result = train(*words, cwd=tmp_path)
    assert result.returncode == 1
    assert "1 of 2 values of Vhel are no numbers of a galaxy" in result.stdout + result.stderr
    assert r"write '+dataset.where={W50\(km/s\):[low,high]}' with the quotes" in result.stderr
    assert "Traceback" not in result.stderr
