"""The reader of text spectra with their classes, on files as people write them and on files with faults."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from helpers.commands import only_run, train
from hypothesis import given
from hypothesis import strategies as st
from test_arrays import make_spectra

from hiexp.datasets import read_cig
from hiexp.datasets.cleaning import clean
from hiexp.datasets.selection import select_classes
from hiexp.datasets.stacking import Channels, stack
from hiexp.errors import InputError
from hiexp.spectra import UNKNOWN

N = 128
VELOCITY = 4000 + 8.0 * np.arange(N)


def line_at(velocity, skew=0.0, seed=0):
    """Noise of 1 mJy and a line of 40 mJy, 150 km/s wide, tilted by `skew`."""
    offset = (velocity - velocity.mean()) / 60
    shape = np.exp(-0.5 * offset**2) * (1 + skew * np.tanh(offset))
    return np.random.default_rng(seed).normal(0, 1, velocity.size) + 40 * shape


FLUX = line_at(VELOCITY)


def write_spectrum(file, *, velocity=VELOCITY, flux=FLUX, row="{:.3f} {:.5f}", head="", encoding="utf-8"):
    lines = [row.format(*pair) for pair in zip(velocity, flux, strict=True)]
    file.write_text(head + "\n".join(lines) + "\n", encoding=encoding)
    return file


@pytest.fixture
def folder(tmp_path):
    """Five good spectra: CIG 1, 2, 10, 33, 1050."""
    spectra = tmp_path / "spectra"
    spectra.mkdir()
    for number in ("0001", "2", "10", "33", "1050"):
        write_spectrum(spectra / f"CIG{number}_arecibo.asc")
    return spectra


def write_classes(folder, text, name="classes.csv", encoding="utf-8"):
    file = folder.parent / name
    file.write_text(text, encoding=encoding)
    return str(file)


CLASSES = "cig;Class\n1;0\n2;1\n10;2\n33;0\n1050;2\n"


def test_a_folder_in_the_order_of_its_numbers(folder):
    (folder / "notes.txt").write_text("not a spectrum")
    (folder / "._CIG0001_arecibo.asc").write_bytes(b"\0\1")
    spectra = read_cig(str(folder))
    assert spectra.ids.tolist() == ["1", "2", "10", "33", "1050"]
    assert spectra.reference is None
    assert spectra.skipped.empty
    np.testing.assert_allclose(spectra.velocity, np.tile(VELOCITY, (5, 1)))
    np.testing.assert_allclose(spectra.flux[0], FLUX, atol=1e-5)
    np.testing.assert_allclose(spectra.rms, 1, rtol=0.5)


WRITINGS = {
    "tabs": {"row": "{}\t{:.5f}"},
    "commas": {"row": "{}, {:.5f}"},
    "semicolons": {"row": "{};{:.5f}"},
    "blanks around": {"row": "   {}     {:.5f}   "},
    "exponents": {"row": "{:.6E} {:.6E}"},
    "comments": {"head": "# CIG 2\n; observed\n! by hand\n\n"},
    "a line of names": {"head": "Velocity Flux\n"},
    "names and units": {"head": "V_hel, S\nkm/s, mJy\n"},
    "a byte order mark": {"encoding": "utf-8-sig"},
    "latin-1": {"head": "# Nançay\n", "encoding": "latin-1"},
    "an ellipsis of Windows": {"head": "# N\xe4h\x85er\n", "encoding": "latin-1"},
    "descending": {"velocity": VELOCITY[::-1], "flux": FLUX[::-1]},
    "a note at the end of each line": {"row": "{} {:.5f} # ok"},
}


@pytest.mark.parametrize("writing", WRITINGS)
def test_ways_of_writing_the_same_spectrum(folder, writing):
    write_spectrum(folder / "CIG2_arecibo.asc", **WRITINGS[writing])
    spectra = read_cig(str(folder))
    assert spectra.skipped.empty
    np.testing.assert_allclose(spectra.velocity[1], VELOCITY)
    np.testing.assert_allclose(spectra.flux[1], FLUX, atol=1e-4)


def test_jansky(folder):
    spectra = read_cig(str(folder), flux_unit="Jy")
    np.testing.assert_allclose(spectra.flux[0], 1000 * FLUX, atol=0.01)
    with pytest.raises(InputError, match=r"dataset\.flux_unit=K: choose one of mJy, Jy"):
        read_cig(str(folder), flux_unit="K")


@pytest.mark.parametrize("missing", ["nan", "NaN", "--", "", "inf"])
@pytest.mark.parametrize("separator", [" ", ","])
def test_missing_flux_is_masked(folder, missing, separator):
    rows = [
        f"{v}{separator}{missing if 10 <= i < 14 else f'{s:.5f}'}"
        for i, v, s in zip(range(N), VELOCITY, FLUX, strict=True)
    ]
    (folder / "CIG2_arecibo.asc").write_text("\n".join(rows))
    spectra = read_cig(str(folder))
    assert np.flatnonzero(~spectra.valid[1]).tolist() == [10, 11, 12, 13]
    assert np.isfinite(spectra.flux).all()


def test_interference_is_masked(folder):
    flux = FLUX.copy()
    flux[15] = -300
    write_spectrum(folder / "CIG2_arecibo.asc", flux=flux)
    spectra = read_cig(str(folder))
    assert np.flatnonzero(~spectra.valid[1]).tolist() == [14, 15, 16]


def test_rows_of_one_velocity_are_averaged(folder):
    velocity, flux = np.append(VELOCITY, VELOCITY[3]), np.append(FLUX, FLUX[3] + 2)
    write_spectrum(folder / "CIG2_arecibo.asc", velocity=velocity, flux=flux)
    spectra = read_cig(str(folder))
    assert spectra.velocity.shape == (5, N)
    assert spectra.flux[1, 3] == pytest.approx(FLUX[3] + 1, abs=1e-4)
    # Two polarisations below each other.
    write_spectrum(folder / "CIG2_arecibo.asc", velocity=np.tile(VELOCITY, 2), flux=np.concatenate([FLUX, FLUX + 2]))
    np.testing.assert_allclose(read_cig(str(folder)).flux[1], FLUX + 1, atol=1e-4)


def test_channels_left_out_are_put_in_masked(folder):
    keep = np.r_[0:20, 23:N]
    write_spectrum(folder / "CIG2_arecibo.asc", velocity=VELOCITY[keep], flux=FLUX[keep])
    spectra = read_cig(str(folder))
    np.testing.assert_allclose(spectra.velocity[1], VELOCITY)
    assert np.flatnonzero(~spectra.valid[1]).tolist() == [20, 21, 22]


def test_mixed_channel_counts_are_padded(folder):
    write_spectrum(folder / "CIG2_arecibo.asc", velocity=VELOCITY[:100], flux=FLUX[:100])
    spectra = read_cig(str(folder))
    assert spectra.flux.shape == (5, N)
    assert not spectra.valid[1, 100:].any()
    assert np.all(np.diff(spectra.velocity, axis=1) > 0)


@pytest.mark.parametrize("first", [0, 1])
def test_channel_numbers_need_a_width(folder, first):
    write_spectrum(folder / "CIG2_arecibo.asc", velocity=first + np.arange(N))
    with pytest.raises(InputError, match=rf"CIG2_arecibo\.asc.*counts channels, {first} to.*dataset\.channel_width="):
        read_cig(str(folder))
    spectra = read_cig(str(folder), channel_width=5.0)
    np.testing.assert_allclose(spectra.velocity[1], 5.0 * (first + np.arange(N)))
    np.testing.assert_allclose(spectra.velocity[0], VELOCITY)
    falling = read_cig(str(folder), channel_width=-5.0)
    np.testing.assert_allclose(falling.flux[1], spectra.flux[1, ::-1])
    with pytest.raises(InputError, match=r"dataset\.channel_width=0"):
        read_cig(str(folder), channel_width=0)


FAULTS = {
    "empty": ("", "no line with numbers"),
    "comments only": ("# nothing\n! here\n", "no line with numbers"),
    "prose": ("this is no\nspectrum\n", "no line with numbers"),
    "one column": ("\n".join(map(str, FLUX)), "1 column;"),
    "two axes": ("1400.5 4300 3\n1400.0 4080 6\n", "the first two of its three columns rise or fall steadily"),
    "four columns": ("1 2 3 4\n4 5 6 7\n", "4 columns; two are read, velocity and flux"),
    "text among numbers": ("4000 1\n4005 1\n4010 bad\n", "line 3: 'bad' is no number"),
    "text in the first column": ("4000 1\nbad 1\n", "line 2: 'bad' is no number"),
    "too few channels": ("4000 1\n4100 1\n", "2 of 2 channels can be used"),
    "all NaN": ("\n".join(f"{v} nan" for v in VELOCITY), "0 of 128 channels can be used"),
    "constant": ("\n".join(f"{v} 3" for v in VELOCITY), "constant flux"),
    "unlike channels": ("\n".join(f"{v**2} {v % 7}" for v in range(3, 80)), "not evenly spaced"),
    "m/s": (
        "\n".join(f"{1000 * v} {v % 7}" for v in VELOCITY),
        "it looks like m/s; give dataset.axis_unit=m/s",
    ),
    "MHz": ("\n".join(f"{1395 + v / 1000} {v % 7}" for v in VELOCITY), "give dataset.axis_unit=MHz"),
    "binary": (b"SIMPLE\0\0\0", "is no text file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_is_skipped_with_its_reason(folder, fault, recwarn):
    content, said = FAULTS[fault]
    (folder / "CIG3_bad.asc").write_bytes(content if isinstance(content, bytes) else content.encode())
    spectra = read_cig(str(folder))
    assert spectra.ids.tolist() == ["1", "2", "10", "33", "1050"]
    assert spectra.skipped["name"].tolist() == ["CIG3_bad.asc"]
    assert said in spectra.skipped["reason"].iloc[0]
    assert not recwarn


def test_what_cannot_be_opened_is_skipped(folder):
    (folder / "CIG3_folder.asc").mkdir()
    assert "cannot be read: Is a directory" in read_cig(str(folder)).skipped["reason"].iloc[0]


def test_a_second_spectrum_of_a_galaxy_is_skipped(folder):
    write_spectrum(folder / "CIG0033_nancay.asc", flux=2 * FLUX)
    spectra = read_cig(str(folder))
    assert spectra.ids.tolist().count("33") == 1
    assert spectra.skipped["name"].tolist() == ["CIG33_arecibo.asc"]
    assert "a second spectrum of CIG 33: CIG0033_nancay.asc was taken" in spectra.skipped["reason"].iloc[0]


def test_folders_without_spectra_are_named(folder, tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_cig("nowhere")
    with pytest.raises(InputError, match=r"no CIG<number>_\*\.asc in this folder"):
        read_cig(str(tmp_path))
    for file in folder.iterdir():
        file.write_text("")
    with pytest.raises(
        InputError, match=r"none of its 5 files can be used; the first, CIG0001_arecibo\.asc: no line"
    ):
        read_cig(str(folder))


FORMS = {
    "semicolons": CLASSES,
    "commas": CLASSES.replace(";", ","),
    "tabs": CLASSES.replace(";", "\t"),
    "blanks": CLASSES.replace(";", "   "),
    "other case and order": "Class,name,CIG\n0,a,1\n1,b,2\n2,c,10\n0,d,33\n2,e,1050\n",
    "quotes": '"cig","Class"\n"1","0"\n"2","1"\n"10","2"\n"33","0"\n"1050","2"\n',
    "names": CLASSES.replace("\n1;", "\nCIG 0001;").replace("\n2;", "\nCIG2;"),
    "points": CLASSES.replace("\n", ".0\n").replace("Class.0", "Class"),
    "empty rows and columns": CLASSES.replace("\n", ";\n").replace("\n10", "\n;;\n10") + ";;\n",
    "repeated row": CLASSES + "33;0\n33;\n",
    "VizieR": (
        "#\n#   VizieR Astronomical Server\n#Title: AMIGA\n#Column\tCIG\t(I4)\tnumber\n"
        "CIG\tW20\tClass\n \tkm/s\t \n----\t----\t-\n   1\t 250\t0\n"
        "   2\t   \t1\n  10\t 300\t2\n  33\t 251\t0\n1050\t 12\t2\n"
    ),
    "VizieR, A_flux": (
        "#INFO\nCIG\tAflux\te_Aflux\n \t \t \n----\t----\t----\n"
        "   1\t1.26\t0.1\n   2\t1.27\t0.1\n  10\t1.50\t0.1\n  33\t1.00\t0.1\n1050\t1.391\t0.1\n"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_class_tables_in_many_forms(folder, form):
    spectra = read_cig(str(folder), classes_file=write_classes(folder, FORMS[form]))
    assert spectra.reference.tolist() == [0, 1, 2, 0, 2]
    assert spectra.skipped.empty
    assert spectra.catalogue.index.tolist() == spectra.ids.tolist()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_class_tables_in_many_encodings(folder, encoding):
    text = CLASSES.replace("Class", "Class;observer").replace("\n33;0", "\n33;0;Martín")
    spectra = read_cig(str(folder), classes_file=write_classes(folder, text, encoding=encoding))
    assert spectra.reference.tolist() == [0, 1, 2, 0, 2]
    assert spectra.catalogue["observer"].iloc[3] == "Martín"


@pytest.mark.parametrize("form", ["votable", "fits", "fits.gz"])
def test_class_tables_of_astronomers(folder, form):
    table = Table({"CIG": [1, 2, 10, 33, 1050], "Class": [0, 1, 2, 0, 2], "Aflux": [1.1, 1.3, 1.6, 1.0, 1.5]})
    file = folder.parent / f"classes.{form}"
    table.write(file, format=form.partition(".")[0])
    spectra = read_cig(str(folder), classes_file=str(file))
    assert spectra.reference.tolist() == [0, 1, 2, 0, 2]
    assert spectra.catalogue["Aflux"].tolist() == [1.1, 1.3, 1.6, 1.0, 1.5]
    table.remove_column("Class")
    table.write(file, format=form.partition(".")[0], overwrite=True)
    assert read_cig(str(folder), classes_file=str(file)).reference.tolist() == [0, 1, 2, 0, 2]


def test_spectra_without_class_and_classes_without_spectrum(folder):
    (folder / "CIG3_bad.asc").write_text("")
    file = write_classes(folder, "cig;Class\n1;0\n2;\n3;1\n10;2\n99;1\n")
    spectra = read_cig(str(folder), classes_file=file)
    assert spectra.reference.tolist() == [0, UNKNOWN, 2, UNKNOWN, UNKNOWN]
    assert spectra.skipped["name"].tolist() == ["CIG3_bad.asc", "CIG 99"]
    assert spectra.skipped["reason"].iloc[1] == "has a row in classes.csv and no spectrum"


CLASS_FAULTS = {
    "empty": ("", "is empty"),
    "comments only": ("# nothing\n", "empty but for comments"),
    "no rows": ("cig;Class\n", "has no rows below its column names cig, Class"),
    "empty rows": ("cig;Class\n;\n;\n", "all its rows are empty"),
    "wrong columns": ("name;kind\n1;0\n", "needs a column cig and a column Class.*it has name, kind"),
    "no class": ("cig;W50\n1;200\n", "needs a column cig and a column Class"),
    "text for a number": ("cig;Class\nNGC 1;0\n", "'NGC 1' in column cig is no CIG number"),
    "text for a class": ("cig;Class\n1;symmetric\n", "CIG 1 has the class 'symmetric'; write whole numbers"),
    "half a class": ("cig;Class\n1;0.5\n", "CIG 1 has the class '0.5'"),
    "two classes": ("cig;Class\n1;0\n1;2\n2;1\n", "CIG 1 has the classes 0, 2; leave one row"),
    "text for an asymmetry": ("cig;Aflux\n1;1.2\n2;high\n", "column Aflux has a value that is no number"),
    "ragged": ("cig;Class\n1;0\n2;1;5;6\n", "is no table with the columns cig, Class"),
    "names twice": ("cig;Class;Class\n1;0;1\n", "is no table with the columns"),
    "other galaxies": ("cig;Class\n700;0\n701;1\n", "none of its 2 CIG numbers has a spectrum"),
    "binary": ("\0\0\0", "is no text file"),
    "a class beyond integers": ("cig;Class\n1;10000000000000000000\n", "CIG 1 has the class '10000000000000000000'"),
    "a class below zero": ("cig;Class\n1;-1\n", "CIG 1 has the class '-1'"),
    "an infinite class": ("cig;Class\n1;inf\n", "CIG 1 has the class 'inf'"),
    "a class of 5,000 digits": ("cig;Class\n1;" + "1" * 5000, r"CIG 1 has the class '1+\.\.\.'"),
    "a number of 5,000 digits": ("cig;Class\n" + "1" * 5000 + ";1", r"'1+\.\.\.' in column cig is no CIG number"),
    "200,000 zeros": ("cig;Class\n" + "0" * 200_000 + "x;1", r"'0+\.\.\.' in column cig is no CIG number"),
    "digits of another script": ("cig;Class\n\N{ARABIC-INDIC DIGIT ONE};1\n", "in column cig is no CIG number"),
    "two columns of classes": ("cig;Class;class\n1;0;1\n", "Class and class are two columns for one thing"),
    "two columns of numbers": ("cig;CIG;class\n1;0;1\n", "cig and CIG are two columns for one thing"),
    "a line of dashes": ("-" * 200_000, r"no rows below its column names -+\.\.\."),
    "a broken VOTable": ("<?xml version='1.0'?><VOTABLE><RESOURCE>", "not a readable VOTABLE table"),
}


@pytest.mark.parametrize("fault", CLASS_FAULTS)
def test_a_bad_class_table_is_named(folder, fault):
    text, said = CLASS_FAULTS[fault]
    with pytest.raises(InputError, match=said) as caught:
        read_cig(str(folder), classes_file=write_classes(folder, text))
    assert "classes.csv" in str(caught.value)


@pytest.mark.parametrize("nothing", ["", "-", "--", "?", "NA", "n/a", "NaN", "None", "null"])
def test_a_word_for_no_class_is_none_and_counted(folder, nothing):
    file = write_classes(folder, f"cig;Class\n1;0\n2;{nothing}\n10;2\n33;0\n1050;2\n")
    assert read_cig(str(folder), classes_file=file).reference.tolist() == [0, UNKNOWN, 2, 0, 2]
    chosen = read_cig(str(folder), classes_file=file, classes=[0, 2])
    assert chosen.reference.tolist() == [0, 2, 0, 2]
    assert chosen.skipped.to_numpy().tolist() == [
        ["2", "no reference class, and dataset.classes=[0, 2] chooses by it"]
    ]


def test_words_of_other_columns_are_kept(folder):
    text = "cig;Class;name\n1;0;None\n2;1;NA\n10;2;\n33;0;NGC 1\n1050;2;null\n"
    catalogue = read_cig(str(folder), classes_file=write_classes(folder, text)).catalogue
    assert catalogue["name"].fillna("missing").tolist() == ["None", "NA", "missing", "NGC 1", "null"]


def test_more_than_one_row_of_a_galaxy_is_said(folder, caplog):
    read_cig(str(folder), classes_file=write_classes(folder, CLASSES + "33;0\n"))
    assert "more than one row: 1, such as CIG 33; the first row is used" in caplog.text


@pytest.mark.parametrize(
    ("name", "said"),
    [("huge", "CIG 1 has the class '10000000000000000000'"), ("dashes_start", "no rows below its column names ----")],
)
def test_the_collection_of_wrong_class_tables_is_named(folder, faults, name, said):
    file = faults / "classes" / f"{name}.csv"
    with pytest.raises(InputError, match=said) as caught:
        read_cig(str(folder), classes_file=str(file))
    assert len(str(caught.value)) < 300


def test_a_missing_class_table_is_named(folder):
    with pytest.raises(InputError, match=r"dataset\.classes_file=nowhere\.csv: no such file"):
        read_cig(str(folder), classes_file="nowhere.csv")


def test_chosen_and_balanced_classes(folder):
    file = write_classes(folder, CLASSES)
    spectra = read_cig(str(folder), classes_file=file, classes=[0, 2])
    assert spectra.ids.tolist() == ["1", "10", "33", "1050"]
    assert read_cig(str(folder), classes_file=file, classes=1).ids.tolist() == ["2"]
    balanced = read_cig(str(folder), classes_file=file, balance=True)
    assert sorted(balanced.reference) == [0, 1, 2]
    again = read_cig(str(folder), classes_file=file, balance=True)
    assert balanced.ids.tolist() == again.ids.tolist()
    draws = {tuple(read_cig(str(folder), classes_file=file, balance=True, seed=seed).ids) for seed in range(20)}
    assert len(draws) == 4


@pytest.mark.parametrize("classes", [[0, 3], [], [-1], 7, ["strong"]])
def test_classes_that_are_not_there(folder, classes):
    with pytest.raises(InputError, match=r"dataset\.classes=.*has the classes 0, 1, 2"):
        read_cig(str(folder), classes_file=write_classes(folder, CLASSES), classes=classes)


def test_classes_without_a_table(folder):
    with pytest.raises(InputError, match=r"dataset\.balance=true: this dataset has no reference classes"):
        read_cig(str(folder), balance=True)


@given(
    st.lists(st.integers(-1, 4), min_size=1, max_size=60),
    st.integers(0, 5),
)
def test_selection_by_property(reference, seed):
    spectra = make_spectra(len(reference), reference=np.array(reference))
    known = sorted(set(reference) - {UNKNOWN})
    if not known:
        return
    balanced = select_classes(spectra, balance=True, seed=seed)
    _, counts = np.unique(balanced.reference, return_counts=True)
    assert np.unique(balanced.reference).tolist() == known
    assert set(counts) == {min(reference.count(name) for name in known)}
    rows = [spectra.ids.tolist().index(name) for name in balanced.ids]
    assert rows == sorted(rows)
    assert select_classes(spectra, classes=known[:1]).reference.tolist() == [known[0]] * reference.count(known[0])


@given(st.lists(st.integers(2, 30), min_size=1, max_size=6), st.floats(0.5, 20))
def test_stacking_by_property(lengths, step):
    spectra = [Channels(1000 + step * np.arange(n), np.arange(n) + 1.0, np.ones(n, bool), float(n)) for n in lengths]
    stacked = stack(iter(spectra), (len(lengths), max(lengths)))
    assert stacked.velocity.shape == (len(lengths), max(lengths))
    assert np.all(np.diff(stacked.velocity, axis=1) > 0)
    assert stacked.valid.sum(axis=1).tolist() == lengths == stacked.rms.tolist()
    assert np.all(stacked.flux[~stacked.valid] == 0)
    for row, one in enumerate(spectra):
        np.testing.assert_array_equal(stacked.flux[row, stacked.valid[row]], one.flux)


@given(st.sets(st.integers(1, 38), max_size=12), st.floats(1.5, 50), st.floats(-5000, 20000))
def test_gaps_are_filled_to_an_even_axis(left_out, step, start):
    whole = start + step * np.arange(40)
    keep = np.array([i for i in range(40) if i not in left_out])
    flux = np.random.default_rng(0).normal(size=40)
    cleaned = clean(whole[keep], flux[keep], np.ones(keep.size, bool))
    np.testing.assert_allclose(cleaned.velocity, whole, atol=1e-6)
    np.testing.assert_array_equal(np.flatnonzero(cleaned.valid), keep)
    np.testing.assert_array_equal(cleaned.flux[keep], flux[keep])


@pytest.mark.slow
def test_the_command(folder, hiexp_train, tmp_path):
    rows = ["cig;Class"]
    for number in range(1, 61):
        skew = 0.9 * (number % 2)
        write_spectrum(folder / f"CIG{number:04d}_x.asc", flux=line_at(VELOCITY, skew, seed=number))
        rows.append(f"{number};{2 * (number % 2)}")
    for file in folder.glob("*_arecibo.asc"):
        file.unlink()
    (folder / "CIG0007_x.asc").write_text("")
    write_classes(folder, "\n".join(rows))
    words = ["dataset=cig", "dataset.path=spectra", "dataset.classes_file=classes.csv", "dataset.classes=[0,2]"]
    words += ["dataset.balance=true", "feature=raw", "classifier=knn", "tracking=none"]
    forgotten = train(*words, cwd=tmp_path)
    assert forgotten.returncode == 1
    assert "the 2 reference classes 0, 2; add n_classes=2 to the command" in forgotten.stderr

    screen = hiexp_train(*words, "n_classes=2", "root=good")
    assert "Skipped 1 of 59 objects" in screen.stdout
    run = only_run(tmp_path / "good")
    predictions = pd.read_csv(run / "predictions.csv")
    assert predictions["reference"].value_counts().to_dict() == {0: 29, 2: 29}
    held_out = predictions[predictions["split"] == "test"]
    assert (held_out["predicted"] == held_out["reference"]).mean() > 0.6
    assert "CIG0007_x.asc" in (run / "skipped.csv").read_text()
