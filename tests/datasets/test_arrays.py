"""The reader of any series, fit=whole and the given split, on good files and on files with faults."""

import numpy as np
import pandas as pd
import pytest
from helpers.commands import only_run, train
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.model_selection import StratifiedShuffleSplit

from hiexp.datasets import read_arrays
from hiexp.errors import InputError
from hiexp.evaluation.split import split
from hiexp.fitting import fit_none, fit_whole
from hiexp.spectra import UNKNOWN, Spectra

X = np.random.default_rng(0).normal(0, 1, (6, 40))
SPLITTER = StratifiedShuffleSplit(1, test_size=0.5, random_state=0)


def make_spectra(n=6, length=20, **fields):
    flux = np.random.default_rng(1).normal(0, 1, (n, length))
    ids = np.array([f"s{i}" for i in range(n)])
    parts = {
        "ids": ids,
        "velocity": np.tile(np.arange(length, dtype=float), (n, 1)),
        "flux": flux,
        "rms": np.ones(n),
        "valid": np.ones(flux.shape, bool),
        "catalogue": pd.DataFrame(index=ids),
        "systemic": np.full(n, np.nan),
    }
    return Spectra(**parts | fields)


def write_npz(folder, **content):
    np.savez(folder / "sample.npz", **content)
    return str(folder / "sample.npz")


def write_csv(folder, table, **how):
    table.to_csv(folder / "sample.csv", index=False, **how)
    return str(folder / "sample.csv")


def write_ts(
    file, series, labels=None, head="@problemName x\n@timestamps false\n@univariate true\n@equalLength true\n"
):
    names = "" if labels is None else " " + " ".join(sorted(set(labels)))
    lines = ["# made for a test", head + f"@classLabel {'false' if labels is None else 'true' + names}", "@data"]
    rows = [",".join("?" if np.isnan(value) else f"{value:.6f}" for value in row) for row in series]
    lines += rows if labels is None else [f"{row}:{label}" for row, label in zip(rows, labels, strict=True)]
    file.write_text("\n".join(lines) + "\n")
    return str(file)


# npz


@pytest.mark.parametrize("key", ["X", "flux", "x"])
def test_npz_alone(tmp_path, key):
    spectra = read_arrays(write_npz(tmp_path, **{key: X}))
    np.testing.assert_array_equal(spectra.flux, X)
    np.testing.assert_array_equal(spectra.velocity[3], np.arange(40))
    assert spectra.ids.tolist() == ["1", "2", "3", "4", "5", "6"]
    assert spectra.valid.all()
    assert (spectra.reference, spectra.held_out) == (None, None)
    np.testing.assert_allclose(spectra.rms, 1, rtol=0.5)
    assert spectra.skipped.empty


def test_npz_with_everything(tmp_path):
    velocity = 5000 - 5.0 * np.arange(40)
    path = write_npz(
        tmp_path,
        flux=X.astype(np.float32),
        labels=np.array(["wide", "narrow", "", "wide", "odd", "narrow"]),
        velocity=velocity,
        ids=np.arange(101, 107),
        rms=np.full(6, 2.5),
        split=np.array(["train", "TEST", "train", "test", "train", "train"]),
    )
    spectra = read_arrays(path)
    assert spectra.ids.tolist() == ["101", "102", "103", "104", "105", "106"]
    np.testing.assert_array_equal(spectra.velocity[0], velocity[::-1])
    np.testing.assert_allclose(spectra.flux, X[:, ::-1], rtol=1e-6)
    assert spectra.reference.tolist() == [2, 0, UNKNOWN, 2, 1, 0]
    assert spectra.catalogue["class_name"].tolist() == ["wide", "narrow", "", "wide", "odd", "narrow"]
    assert spectra.held_out.tolist() == [False, True, False, True, False, False]
    assert spectra.rms.tolist() == [2.5] * 6


def test_keys_of_an_npz_that_are_not_read_are_said(tmp_path, caplog):
    read_arrays(write_npz(tmp_path, X=X, vel=np.arange(40)))
    assert "not read: vel; what is read is named X (or flux), y (or labels), velocity, ids" in caplog.text


def test_npz_with_axes_of_their_own_and_a_third_dimension(tmp_path):
    velocity = 4 * np.arange(40) + 100.0 * np.arange(6)[:, None]
    spectra = read_arrays(write_npz(tmp_path, X=X[:, None], velocity=velocity, rms=3))
    np.testing.assert_array_equal(spectra.velocity, velocity)
    assert spectra.rms.tolist() == [3.0] * 6


LABELS = {
    "whole numbers": (np.array([0, 2, 5, 0, 2, 5]), [0, 2, 5, 0, 2, 5]),
    "whole floats, one missing": (np.array([1.0, 2.0, np.nan, 1, 2, 1]), [1, 2, -1, 1, 2, 1]),
    "-1 for none": (np.array([0, 1, -1, 0, 1, 0]), [0, 1, -1, 0, 1, 0]),
    "negative": (np.array([-2, 1, 1, -2, 10, 1]), [0, 1, 1, 0, 2, 1]),
    "large": (np.array([1234567, 1234568] * 3), [1234567, 1234568] * 3),
    "bool": (np.array([True, False] * 3), [1, 0] * 3),
    "fractions": (np.array([0.5, 1.5] * 3), [0, 1] * 3),
    "bytes": (np.array([b"b", b"a"] * 3), [1, 0] * 3),
    "numbers as text": (np.array(["10", "9"] * 3), [10, 9] * 3),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_become_classes(tmp_path, kind):
    labels, classes = LABELS[kind]
    assert read_arrays(write_npz(tmp_path, X=X, y=labels)).reference.tolist() == classes


def test_series_that_hold_nothing_are_skipped(tmp_path):
    series = X.copy()
    series[1] = np.nan
    series[2, 1:] = np.inf
    series[3, 5:9] = np.nan
    series[4] = 3.0
    spectra = read_arrays(write_npz(tmp_path, X=series, y=np.arange(6), split=["train", "test"] * 3))
    assert spectra.ids.tolist() == ["1", "4", "5", "6"]
    assert spectra.reference.tolist() == [0, 3, 4, 5]
    assert spectra.held_out.tolist() == [False, True, False, True]
    assert spectra.skipped.to_dict("list") == {
        "name": ["2", "3"],
        "reason": ["0 of 40 samples are finite", "1 of 40 samples are finite"],
    }
    assert np.flatnonzero(~spectra.valid[1]).tolist() == [5, 6, 7, 8]
    assert np.isnan(spectra.rms[2])
    assert fit_none(spectra).good[[0, 2]].tolist() == [True, False]
    assert fit_whole(spectra).good.all()


def test_a_line_is_found_in_a_model_without_noise(tmp_path):
    velocity = np.arange(0, 1000, 5.0)
    model = np.where(np.abs(velocity - 600) < 50, 10.0, 0.0)
    spectra = read_arrays(write_npz(tmp_path, X=model[None], velocity=velocity))
    assert fit_none(spectra).table["position"].iloc[0] == pytest.approx(600, abs=20)


OBJECTS = np.array([{"a": 1}] * 6, dtype=object)
NPZ_FAULTS = {
    "no data": ({"data": X}, r"needs one key X \(or flux\).*it has data"),
    "data twice": ({"X": X, "flux": X}, "needs one key X"),
    "labels twice": ({"X": X, "y": np.arange(6), "labels": np.arange(6)}, "at most one of each other"),
    "velocities twice": ({"X": X, "velocity": X[0], "Velocity": X[0]}, "at most one of each other"),
    "objects": ({"X": OBJECTS}, "X holds Python objects"),
    "labels of objects": ({"X": X, "y": OBJECTS}, "y holds Python objects"),
    "text": ({"X": X.astype(str)}, "X is not of real numbers but of type <U"),
    "complex": ({"X": X + 1j}, "not of real numbers but of type complex128"),
    "one dimension": ({"X": X[0]}, r"X has the shape \(40,\)"),
    "two series each": ({"X": np.stack([X, X], axis=1)}, r"X has the shape \(6, 2, 40\)"),
    "no series": ({"X": X[:0]}, "0 series of 40 samples"),
    "complex labels": ({"X": X, "y": np.full(6, 1j)}, "y is not of numbers or text but of type complex128"),
    "labels of another length": ({"X": X, "y": np.arange(5)}, r"y has the shape \(5,\) where X has 6 series"),
    "ids of another length": ({"X": X, "ids": np.arange(7)}, r"ids has the shape \(7,\)"),
    "split of another length": ({"X": X, "split": ["train"]}, r"split has the shape \(1,\)"),
    "an id twice": ({"X": X, "ids": [1, 2, 3, 3, 4, 5]}, "the id '3' is given to 2 series"),
    "an empty id": ({"X": X, "ids": ["", "a", "b", "c", "d", "e"]}, "empty id"),
    "velocity of another length": ({"X": X, "velocity": np.arange(39)}, r"velocity has the shape \(39,\)"),
    "velocity twice": (
        {"X": X, "velocity": np.repeat(np.arange(20), 2)},
        "velocity has missing values, or one twice",
    ),
    "velocity missing": ({"X": X, "velocity": np.append(np.arange(39.0), np.nan)}, "velocity has missing values"),
    "velocity as text": ({"X": X, "velocity": np.arange(40).astype(str)}, "velocity is not of real numbers"),
    "noise of zero": ({"X": X, "rms": np.zeros(6)}, "rms has to be one positive number, 6 of them"),
    "noise of another length": ({"X": X, "rms": np.ones(5)}, "rms has to be one positive number, 6 of them"),
    "another word for a split": (
        {"X": X, "split": ["train", "val"] * 3},
        "split says 'val'; write 'train' or 'test'",
    ),
    "all NaN": (
        {"X": np.full((3, 10), np.nan)},
        "none of its 3 series can be used; the first: 0 of 10 samples are finite",
    ),
}


@pytest.mark.parametrize("fault", NPZ_FAULTS)
def test_a_bad_npz_is_named(tmp_path, fault):
    content, said = NPZ_FAULTS[fault]
    with pytest.raises(InputError, match=said) as caught:
        read_arrays(write_npz(tmp_path, **content))
    assert "sample.npz" in str(caught.value)


def test_a_damaged_npz_is_no_pickle(tmp_path):
    path = tmp_path / "sample.npz"
    np.savez_compressed(path, X=X)
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is no \.npz file of NumPy"):
        read_arrays(str(path))


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_npz(tmp_path, content):
    (tmp_path / "sample.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"is no \.npz file of NumPy"):
        read_arrays(str(tmp_path / "sample.npz"))


def test_a_single_array_and_a_pickle_are_refused(tmp_path):
    for values in (X, OBJECTS):
        with (tmp_path / "sample.npz").open("wb") as file:
            np.save(file, values, allow_pickle=True)
        with pytest.raises(InputError, match=r"is no \.npz file of NumPy"):
            read_arrays(str(tmp_path / "sample.npz"))


def test_a_path_that_is_no_file(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.npz: no such file; give a \.npz, \.csv or \.ts file"):
        read_arrays(str(tmp_path / "nowhere.npz"))
    (tmp_path / "sample.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"not one of \.npz, \.csv, \.ts"):
        read_arrays(str(tmp_path / "sample.xlsx"))


# csv

SAMPLES = pd.DataFrame(X, columns=[f"t{i}" for i in range(40)])


def test_csv_of_numbers_under_names(tmp_path):
    spectra = read_arrays(write_csv(tmp_path, SAMPLES))
    np.testing.assert_allclose(spectra.flux, X)
    np.testing.assert_array_equal(spectra.velocity[0], np.arange(40))
    assert spectra.reference is None


@pytest.mark.parametrize("how", [{}, {"sep": ";"}, {"sep": "\t", "encoding": "utf-8-sig"}, {"encoding": "latin-1"}])
@pytest.mark.parametrize("label", ["class", "Label"])
def test_csv_with_everything(tmp_path, how, label):
    table = pd.DataFrame(X, columns=[f"{5000 + 5 * i:.1f}" for i in range(40)])
    table.insert(0, "ID", ["012896", "2", "3", "4", "5", "6"])
    table[label] = ["doble", "señal", "doble", "", "doble", "señal"]
    table.insert(7, "split", ["train"] * 4 + ["test"] * 2)
    spectra = read_arrays(write_csv(tmp_path, table, **how))
    assert spectra.ids[0] == "012896"
    np.testing.assert_allclose(spectra.velocity[0], 5000 + 5.0 * np.arange(40))
    np.testing.assert_allclose(spectra.flux, X)
    assert spectra.reference.tolist() == [0, 1, 0, UNKNOWN, 0, 1]
    assert spectra.catalogue["class_name"].iloc[1] == "señal"
    assert spectra.held_out.sum() == 2


def test_csv_with_empty_cells_and_descending_velocities(tmp_path):
    table = pd.DataFrame(X, columns=[str(400 - 2 * i) for i in range(40)])
    table.iloc[2, :3] = np.nan
    spectra = read_arrays(write_csv(tmp_path, table))
    np.testing.assert_array_equal(spectra.velocity[0], np.arange(322, 401, 2))
    assert np.flatnonzero(~spectra.valid[2]).tolist() == [37, 38, 39]


def test_csv_as_pandas_and_spreadsheets_write_it(tmp_path):
    SAMPLES.set_axis(list("abcdef")).to_csv(tmp_path / "index.csv")
    spectra = read_arrays(str(tmp_path / "index.csv"))
    assert spectra.ids.tolist() == list("abcdef")
    np.testing.assert_allclose(spectra.flux, X)
    (tmp_path / "ends.csv").write_text("a,b,c,\r\n1,2,3,\r\n4,5,6,\r\n")
    np.testing.assert_array_equal(read_arrays(str(tmp_path / "ends.csv")).flux, [[1, 2, 3], [4, 5, 6]])


def test_csv_with_decimal_commas_and_with_classes_written_as_floating_point(tmp_path):
    (tmp_path / "x.csv").write_text("class;1000,5;1040,5;1080,5\na;1,5;2,5;3,5\nb;1,5;2,5;3,5\n")
    assert read_arrays(str(tmp_path / "x.csv")).velocity[0].tolist() == [1000.5, 1040.5, 1080.5]
    (tmp_path / "x.csv").write_text("class,a,b\n1.0,1,2\n-1.0,1,2\n10.0,1,2\n")
    assert read_arrays(str(tmp_path / "x.csv")).reference.tolist() == [1, UNKNOWN, 10]


CSV_FAULTS = {
    "empty": ("", "is empty"),
    "names alone": ("a,b,c\n", "has no rows"),
    "text among numbers": ("a,b\n1,2\n3,x\n", "column b has 'x', which is no number"),
    "yes and no": ("a,b\n1,True\n3,False\n", "column b has 'True', which is no number"),
    "commas and points": ("a;b\n1,5;2.5\n", "column a has '1,5', which is no number"),
    "one column": ("a\n1\n2\n", "1 columns of samples"),
    "ids alone": ("id,class\n1,2\n2,3\n", "0 columns of samples"),
    "no names": ("0.3,0.1,0.2\n1,2,3\n", "first line is neither names nor velocities in order"),
    "numbers and words": ("ra,1000,1010\n180,1,2\n190,1,2\n", "columns named by numbers, .* beside ra; leave out"),
    "a velocity twice": ("1,2,2\n1,2,3\n", "is no table with the columns 1, 2, 2"),
    "an id twice": ("id,a,b\nq,1,2\nq,3,4\n", "the id 'q' is given to 2 series"),
    "ragged": ("a,b\n1,2\n1,2,3\n", "is no table with the columns a, b"),
    "another split": ("a,b,split\n1,2,\n3,4,test\n", "split says ''"),
}


@pytest.mark.parametrize("fault", CSV_FAULTS)
def test_a_bad_csv_is_named(tmp_path, fault):
    text, said = CSV_FAULTS[fault]
    (tmp_path / "sample.csv").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_arrays(str(tmp_path / "sample.csv"))
    assert "sample.csv" in str(caught.value)


# ts


def test_ts_alone(tmp_path):
    series = X.copy()
    series[0, 3] = np.nan
    spectra = read_arrays(write_ts(tmp_path / "one.ts", series, ["b", "a", "b", "a", "?", "c"]))
    np.testing.assert_allclose(spectra.flux[1:], X[1:], atol=1e-6)
    assert not spectra.valid[0, 3]
    assert spectra.reference.tolist() == [1, 0, 1, 0, UNKNOWN, 2]
    assert spectra.held_out is None
    assert read_arrays(write_ts(tmp_path / "two.ts", X)).reference is None


@pytest.mark.parametrize("named", ["as the folder", "by name"])
def test_a_pair_is_one_sample_with_its_split(tmp_path, named):
    write_ts(tmp_path / "Pair_TRAIN.ts", X, ["1", "-1", "1", "-1", "1", "1"])
    write_ts(tmp_path / "Pair_TEST.ts", X[:2] + 1, ["-1", "1"], head="")
    spectra = read_arrays(str(tmp_path if named == "as the folder" else tmp_path / "Pair"))
    assert spectra.ids.tolist() == [f"train{i}" for i in range(1, 7)] + ["test1", "test2"]
    assert spectra.held_out.tolist() == [False] * 6 + [True] * 2
    assert spectra.reference.tolist() == [1, 0, 1, 0, 1, 1, 0, 1]
    assert spectra.catalogue["class_name"].iloc[1] == "-1"


TS_FAULTS = {
    "empty": ("", "has no line @data"),
    "no header": ("1,2,3:a\n", "line 1: '1,2,3:a' where a line '@key value'"),
    "no series": ("@classLabel false\n@data\n", "has no series below @data"),
    "several dimensions": ("@univariate false\n@data\n", "several dimensions"),
    "dimensions unannounced": ("@classLabel true a b\n@data\n1,2:3,4:a\n", "line 3: 2 colons; one expected"),
    "no label": ("@classLabel true a b\n@data\n1,2,3\n", "line 3: 0 colons; one expected"),
    "unequal lengths": ("@classLabel false\n@data\n1,2,3\n1,2\n", "line 4: 2 values where the first series has 3"),
    "unequal, announced": ("@equalLength false\n@data\n1,2\n", "bring the series to one length"),
    "time stamps": ("@timestamps true\n@data\n(0,1),(1,2)\n", "time stamps"),
    "regression": ("@targetLabel true\n@data\n1,2:0.5\n", "numbers to predict are no classes"),
    "text": ("@classLabel false\n@data\n1,two\n", "line 3: 'two' is no number"),
}


@pytest.mark.parametrize("fault", TS_FAULTS)
def test_a_bad_ts_is_named(tmp_path, fault):
    text, said = TS_FAULTS[fault]
    (tmp_path / "sample.ts").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_arrays(str(tmp_path / "sample.ts"))
    assert "sample.ts" in str(caught.value)


def test_half_a_pair_and_several_pairs(tmp_path):
    with pytest.raises(InputError, match=r"0 files \*_TRAIN\.ts in this folder"):
        read_arrays(str(tmp_path))
    write_ts(tmp_path / "A_TRAIN.ts", X)
    with pytest.raises(InputError, match=r"A_TEST\.ts is missing"):
        read_arrays(str(tmp_path))
    write_ts(tmp_path / "A_TEST.ts", X[:, :30])
    with pytest.raises(InputError, match=r"A_TEST\.ts: series of 30 values, and of 40 in A_TRAIN\.ts"):
        read_arrays(str(tmp_path / "A"))
    write_ts(tmp_path / "A_TEST.ts", X, ["a"] * 6)
    with pytest.raises(InputError, match="has class labels, the other has none"):
        read_arrays(str(tmp_path / "A"))
    write_ts(tmp_path / "B_TRAIN.ts", X)
    with pytest.raises(InputError, match=r"2 files \*_TRAIN\.ts"):
        read_arrays(str(tmp_path))


# fit=whole


@pytest.mark.slow
@given(arrays(float, (3, 25), elements=st.floats(-1e3, 1e3)))
def test_whole_series_stay_as_they_are(values):
    fit = fit_whole(make_spectra(3, 25, flux=values))
    np.testing.assert_allclose(fit.profiles, values, atol=1e-9)
    np.testing.assert_allclose(fit.table["flux_peak"], values.max(axis=1))
    np.testing.assert_allclose(fit.table["flux_int"], values.sum(axis=1) / 1000, atol=1e-9)
    assert fit.table.columns.tolist() == fit_none(make_spectra()).table.columns.tolist()


@given(st.integers(2, 300), st.floats(-5, 5), st.floats(-5, 5))
def test_straight_lines_stay_straight_at_any_number_of_samples(n_samples, start, slope):
    spectra = make_spectra(1, 30, flux=start + slope * np.arange(30.0)[None])
    profile = fit_whole(spectra, n_samples=n_samples).profiles[0]
    np.testing.assert_allclose(profile, np.linspace(start, start + 29 * slope, n_samples), atol=1e-9)


def test_too_few_samples_are_refused():
    with pytest.raises(InputError, match=r"fit\.n_samples=1: use 2 or more"):
        fit_whole(make_spectra(), n_samples=1)


def test_masked_ends_are_left_out_and_gaps_bridged():
    flux = np.array([[0.0, 0.0, 1.0, 0.0, 3.0, 4.0, 0.0]] * 2)
    valid = np.array([[0, 0, 1, 0, 1, 1, 0], [0, 0, 0, 0, 1, 0, 0]], dtype=bool)
    fit = fit_whole(make_spectra(2, 7, flux=flux, valid=valid), n_samples=4)
    np.testing.assert_allclose(fit.profiles[0], [1, 2, 3, 4])
    assert fit.good.tolist() == [True, False]
    assert np.isnan(fit.profiles[1]).all()
    assert fit.failures()["reason"].tolist() == ["fewer than two valid samples"]


# evaluation.split


def test_the_given_split():
    held_out = np.array([True, False, False, True, False, False])
    (division,) = split(make_spectra(held_out=held_out), "given", SPLITTER)
    assert (division.train.tolist(), division.test.tolist()) == ([1, 2, 4, 5], [0, 3])
    kept = make_spectra(held_out=held_out).take(np.array([True, True, False, False, True, False]))
    assert kept.held_out.tolist() == [True, False, False]
    (division,) = split(make_spectra(held_out=held_out), "random", SPLITTER)
    assert len(division.train) == len(division.test) == 3


@pytest.mark.parametrize(
    ("held_out", "how", "said"),
    [
        (None, "given", "evaluation.split=given: this dataset comes without a split"),
        (np.zeros(6, bool), "given", "has 6 to train on and 0 to hold out"),
        (np.ones(6, bool), "given", "has 0 to train on and 6 to hold out"),
        (None, "mine", "evaluation.split=mine: choose random or given"),
    ],
)
def test_splits_that_cannot_be(held_out, how, said):
    with pytest.raises(InputError, match=said):
        split(make_spectra(held_out=held_out), how, SPLITTER)


@pytest.mark.slow
def test_the_command(hiexp_train, tmp_path):
    rng = np.random.default_rng(0)
    time = np.linspace(0, 1, 50)
    for part, n in (("TRAIN", 20), ("TEST", 30)):
        series = np.sin(2 * np.pi * time * np.repeat([2, 3], n // 2)[:, None]) + rng.normal(0, 0.2, (n, 50))
        write_ts(tmp_path / f"Waves_{part}.ts", series, np.repeat(["slow", "fast"], n // 2))
    words = ["dataset=arrays", "dataset.path=Waves", "fit=whole", "feature=raw", "classifier=knn", "tracking=none"]
    words.append("n_classes=2")
    hiexp_train(*words, "evaluation.split=given")
    predictions = pd.read_csv(only_run(tmp_path) / "predictions.csv")
    assert predictions["id"].str.rstrip("0123456789").eq(predictions["split"]).all()
    assert predictions["split"].value_counts().to_dict() == {"test": 30, "train": 20}
    held_out = predictions[predictions["split"] == "test"]
    assert (held_out["predicted"] == held_out["reference"]).all()

    refused = train("classifier=knn", "feature=raw", "tracking=none", "evaluation.split=given", cwd=tmp_path)
    assert refused.returncode == 1
    assert "this dataset comes without a split" in refused.stderr
