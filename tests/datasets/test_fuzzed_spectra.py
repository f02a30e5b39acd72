"""Files mutated at random: each is read right, skipped with a reason, or an InputError of one line."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from helpers.lines import gaussian, noise

from hiexp.datasets import read_arrays, read_cig
from hiexp.errors import InputError
from hiexp.spectra import Spectra

pytestmark = pytest.mark.filterwarnings("error")
N_MUTATIONS = 300
AXIS = 4000 + 5.5 * np.arange(64)
SERIES = gaussian(AXIS, 30, [[4150.0], [4170.0], [4200.0]], 30) + noise(5, 2.0, (3, AXIS.size))
SNIPPETS = [b"\0", b"\xff\xfe", b"\r", b"\n\n", b",,", b";", b'"', b"'", b"#", b":", b"@", b" "]
SNIPPETS += [b"nan", b"inf", b"1e999", b"-999", b"9" * 5000, b"-" * 9000, b"=1+1", b"1_0", b"1D3", b"0x1F"]
SNIPPETS += ["Größe".encode("latin-1"), "٣".encode()]


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Return some bytes changed, cut out, put in, repeated or moved, one to four times."""
    for _ in range(rng.integers(1, 5)):
        start, end = np.sort(rng.integers(0, len(content) + 1, 2))
        end = min(end, start + 200)
        piece = content[start:end]
        middle = [
            bytes(rng.integers(0, 256, len(piece[:3]), dtype=np.uint8)) + piece[3:],
            b"",
            SNIPPETS[rng.integers(len(SNIPPETS))] + piece,
            piece * 3,
            bytes(byte ^ (1 << int(rng.integers(8))) for byte in piece[:1]) + piece[1:],
        ][rng.integers(5)]
        content = content[:start] + middle + content[end:]
    return content


def check(read: Callable[[], Spectra]) -> str:
    """Read, and hold the result to what every fit may rely on."""
    try:
        spectra = read()
    except InputError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
        return "refused"
    assert len(set(spectra.ids)) == len(spectra) > 0
    assert np.isfinite(spectra.flux).all()
    assert np.isfinite(spectra.velocity).all()
    assert np.abs(spectra.flux).max() < 3.5e38
    assert (np.diff(spectra.velocity, axis=1) > 0).all()
    assert (spectra.flux[~spectra.valid] == 0).all()
    assert (spectra.rms[np.isfinite(spectra.rms)] > 0).all()
    assert not np.isinf(spectra.rms).any()
    assert spectra.reference is None or (spectra.reference >= -1).all()
    assert (spectra.skipped["reason"].str.len() > 0).all()
    return "skipped" if len(spectra.skipped) else "read"


def text_spectrum(form: str) -> bytes:
    return "\n".join(form.format(*pair) for pair in zip(AXIS, SERIES[0], strict=True)).encode()


def table() -> bytes:
    names = ["id", "class", "split", *(f"{value:.1f}" for value in AXIS)]
    rows = [
        [f"g{i}", "ab"[i % 2], ["train", "test"][i % 2], *(f"{value:.4f}" for value in row)]
        for i, row in enumerate(SERIES)
    ]
    return "\n".join(",".join(cells) for cells in [names, *rows]).encode()


def archive(**content) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **{"X": SERIES, "velocity": AXIS, "y": [0, 1, 0], "ids": ["a", "b", "c"]} | content)
    return stream.getvalue()


def series_file() -> bytes:
    rows = (",".join(f"{value:.4f}" for value in row) + f":{'ab'[i % 2]}" for i, row in enumerate(SERIES))
    return ("@univariate true\n@classLabel true a b\n@data\n" + "\n".join(rows)).encode()


ARRAY_FILES = {"x.csv": table, "x.npz": archive, "x.ts": series_file}


@pytest.mark.parametrize("name", ARRAY_FILES)
def test_mutated_arrays(tmp_path, name):
    rng, whole = np.random.default_rng(len(name)), ARRAY_FILES[name]()
    (tmp_path / name).write_bytes(whole)
    assert check(lambda: read_arrays(str(tmp_path / name))) == "read"
    ends = []
    for _ in range(N_MUTATIONS):
        (tmp_path / name).write_bytes(mutated(whole, rng))
        ends.append(check(lambda: read_arrays(str(tmp_path / name))))
    assert ends.count("refused") > N_MUTATIONS / 10


@pytest.mark.slow
@pytest.mark.parametrize("form", ["{:.3f} {:.4f}", "{:.3f};{:.4f}", '"{:.3f}","{:.4f}"'])
def test_mutated_text_spectra(tmp_path, form):
    rng, whole = np.random.default_rng(len(form)), text_spectrum(form)
    (tmp_path / "CIG1_good.asc").write_bytes(whole)
    for _ in range(N_MUTATIONS):
        (tmp_path / "CIG2_x.asc").write_bytes(mutated(whole, rng))
        check(lambda: read_cig(str(tmp_path)))


STRANGE = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-300, 1e300, 1e39, -999.0, 2.0**63, 1e20]


def test_archives_of_strange_arrays(tmp_path):
    """The content mutated, not its bytes, which the checksums of a .npz file give away."""
    rng = np.random.default_rng(1)
    for _ in range(N_MUTATIONS):
        content = {"X": SERIES.copy(), "velocity": AXIS.copy(), "y": np.array([0.0, 1, 0]), "rms": np.ones(3)}
        key = list(content)[rng.integers(4)]
        places = rng.integers(0, content[key].size, rng.integers(1, 4))
        content[key].flat[places] = STRANGE[rng.integers(len(STRANGE))]
        cast = ["f8", "f4", "f2", "i8", "u1", "?", "U8", "S8", "c16", "M8[s]", ">f8"][rng.integers(11)]
        with np.errstate(all="ignore"):
            content[key] = content[key].astype(cast)
        if rng.random() < 0.3:
            content[key] = content[key][..., : rng.integers(0, 4)]
        (tmp_path / "x.npz").write_bytes(archive(**content))
        check(lambda: read_arrays(str(tmp_path / "x.npz")))
