"""Catalogues in their public forms, joined to spectra."""

import gzip

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
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
}


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


def test_ranges():
    inside = within(ROWS, {"Vhel": [4400, 5000], "W50": [None, 160], "SNR": None})
    assert inside.tolist() == [True, False, True]
    assert within(ROWS, {"SNR": [0, None]}).tolist() == [True, True, False]
    with pytest.raises(InputError, match=r"where\.Mass.*no such column"):
        within(ROWS, {"Mass": [1, 2]})
    with pytest.raises(InputError, match=r"where\.W50=\[1\].*low, high"):
        within(ROWS, {"W50": [1]})


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
