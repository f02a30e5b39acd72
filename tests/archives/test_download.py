"""The download command against a server in this process that fails in every way servers fail."""

import csv
import gzip
import hashlib
import io
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from hiexp.archives import expand, file_summary, tables
from hiexp.datasets import read_alfalfa
from hiexp.errors import InputError

AGC = [4, 17, 230, *range(1001, 1010)]
WORDS = ["pause=0", "retries=2", "timeout=20"]


def readme(*entries: str) -> bytes:
    lines = [
        "J/Made/1/1      Made-up line profiles of galaxies, for tests",
        "=" * 80,
        "File Summary:",
        "-" * 80,
        " FileName      Lrecl  Records   Explanations",
        "-" * 80,
        "ReadMe            80        .   This file",
        *entries,
        "-" * 80,
        "",
        "Byte-by-byte Description of file: table2.dat",
        "-" * 80,
        "   Bytes Format Units   Label   Explanations",
        "-" * 80,
        "   1-  6 I6     ---     AGC     Number of the galaxy",
        "   8- 13 F6.1   km/s    Vhel    ?=- Velocity",
        "-" * 80,
    ]
    return ("\n".join(lines) + "\n").encode()


def spectrum(number: int) -> bytes:
    velocity = 6000 - 5.0 * np.arange(100)
    flux = np.random.default_rng(number).normal(0, 2, 100) + 30 * (np.abs(velocity - 5750) < 60)
    columns = {"VHELIO": velocity, "FLUX": flux, "WEIGHT": np.ones(100)}
    table = fits.BinTableHDU.from_columns([fits.Column(name, "D", array=values) for name, values in columns.items()])
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(file)
    return file.getvalue()


TABLE = "".join(f"{number:06d} {5000 + number:6.1f}\n" for number in AGC).encode()
SPECTRA = {f"A{number:06d}.fits": spectrum(number) for number in AGC}
ALFALFA = {
    "/ReadMe": readme("table2.dat        13       12   The galaxies", "sp/*               .       12   Spectra"),
    "/table2.dat": TABLE,
} | {f"/sp/{name}": content for name, content in SPECTRA.items()}


class Archive(ThreadingHTTPServer):
    """Serves `files`; a path's `faults` are used up one a GET, and `gets` counts these."""

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(files)
        self.faults = defaultdict(list)
        self.gets, self.agents = Counter(), set()
        self.stalled, self.go_on = threading.Semaphore(0), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request, client_address):
        """Say nothing of clients that are killed in mid-transfer: that is what they are for."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        content = self.server.files.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()

    def do_GET(self):
        server = self.server
        server.gets[self.path] += 1
        server.agents.add(self.headers["User-Agent"])
        content = server.files.get(self.path)
        fault = server.faults[self.path].pop(0) if server.faults[self.path] else None
        if content is None:
            return self.answer(404, b"no such file")
        if isinstance(fault, int):
            return self.answer(fault, b"an error page")
        if fault == "page":
            return self.answer(200, b"<html>Please log in</html>")
        if fault == "wrong checksum":
            return self.answer(200, content, {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="})
        if fault == "hang up":
            return self.hang_up()
        if fault == "chunks":
            return self.chunks(content)
        if fault:
            self.answer(200, content, part=len(content) // 2)
            self.wfile.flush()
            if fault == "stall":
                server.stalled.release()
                server.go_on.wait(60)
            if fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return self.hang_up()
        return self.answer(200, content)

    def answer(self, status, content, headers=(), part=None):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:part])

    def chunks(self, content):
        """Send half of it in chunks, without the last one that says that this is all."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        half = content[: len(content) // 2]
        self.wfile.write(b"%x\r\n%s\r\n" % (len(half), half))
        self.hang_up()

    def hang_up(self):
        self.close_connection = True


@pytest.fixture
def serve():
    servers = []

    def start(files):
        servers.append(Archive(files))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.go_on.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def archive(serve):
    return serve(ALFALFA)


def command(folder: Path, url: str, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "hiexp.download", f"dataset.path={folder.name}", f"url={url}", *WORDS, *words],
        cwd=folder.parent,
        env=os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        # Tests that a shell runs in the background inherit from it that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def download(folder: Path, url: str, *words: str, fails: bool = False) -> str:
    """Run the command to its end and return what the screen says."""
    process = command(folder, url, *words)
    screen = "".join(process.communicate(timeout=300))
    assert process.returncode == (1 if fails else 0), screen
    assert "Traceback" not in screen
    return screen


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))


def assert_whole(folder: Path, names=SPECTRA):
    """No file has a final name without being whole, and the record says what is there."""
    here = {file.name: file.read_bytes() for file in folder.glob("A*")}
    assert here.keys() == set(names)
    assert all(SPECTRA[name] == content for name, content in here.items())
    assert not (folder / ".incoming").exists()
    record = {row["file"]: row for row in rows(folder / "downloaded.csv")}
    for name, content in here.items():
        assert record[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert int(record[name]["bytes"]) == len(content)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "the spectra"


@pytest.mark.slow
def test_an_archive_comes_and_can_be_read(archive, folder):
    absent = [f"/sp/A{number:06d}.fits" for number in AGC[:2]]
    for path in absent:
        del archive.files[path]
    screen = download(folder, archive.url.rstrip("/"))
    assert "12 spectra: 10 came" in screen
    assert "2 are not on the server: the spectra/not_on_server.csv" in screen
    assert "Catalogue: ReadMe, table2.dat" in screen
    assert (
        "-m hiexp.train dataset=alfalfa 'dataset.path=the spectra' 'dataset.catalogue=the spectra/table2.dat'"
        in screen
    )
    assert_whole(folder, [f"A{number:06d}.fits" for number in AGC[2:]])
    assert [row["file"] for row in rows(folder / "not_on_server.csv")] == [path[1:] for path in absent]
    assert not (folder / "failed.csv").exists()
    assert (folder / "table2.dat").read_bytes() == TABLE
    assert read_alfalfa(str(folder)).ids.tolist() == [f"{number:06d}" for number in AGC[2:]]
    assert all(agent.startswith("hiexp/") for agent in archive.agents)
    assert list(folder.parent.iterdir()) == [folder]  # Hydra leaves nothing where the command is typed
    modes = {file.stat().st_mode & 0o777 for file in folder.iterdir()}
    assert len(modes) == 1, "what came has the mode of any other new file"

    # The same command again asks for what was not there, and for nothing else; then for nothing, without a server.
    before = Counter(archive.gets)
    archive.files |= {path: ALFALFA[path] for path in absent}
    assert "2 came" in download(folder, archive.url)
    assert archive.gets - before == Counter(absent)
    assert not (folder / "not_on_server.csv").exists()
    archive.shutdown()
    archive.server_close()
    assert "0 came (0.0 MB), 12 were there already" in download(folder, archive.url)


@pytest.mark.slow
def test_passing_faults_pass(archive, folder):
    faults = ["cut", "reset", "hang up", "chunks", "wrong checksum", 500, 503, 429]
    for fault, name in zip(faults, SPECTRA, strict=False):
        archive.faults[f"/sp/{name}"] = [fault, fault]
    archive.faults["/ReadMe"] = [502]
    archive.faults["/table2.dat"] = ["cut"]
    assert "12 spectra: 12 came" in download(folder, archive.url)
    assert_whole(folder)
    assert [archive.gets[f"/sp/{name}"] for name in SPECTRA] == [3] * len(faults) + [1] * (len(AGC) - len(faults))


@pytest.mark.slow
def test_lasting_faults_are_counted_and_listed_and_the_next_time_mended(archive, folder):
    faults = {"cut": "bytes read", "chunks": "", 503: "HTTP 503", 403: "HTTP 403", "page": "not a FITS file"}
    broken = dict(zip(SPECTRA, faults, strict=False))
    for name, fault in broken.items():
        archive.faults[f"/sp/{name}"] = [fault] * 3
    screen = download(folder, archive.url, fails=True)
    assert "12 spectra: 7 came" in screen
    assert "5 failed: the spectra/failed.csv says why" in screen
    assert "type the same command again" in screen
    assert_whole(folder, SPECTRA.keys() - broken.keys())
    reasons = {row["file"]: row["reason"] for row in rows(folder / "failed.csv")}
    assert reasons.keys() == {f"sp/{name}" for name in broken}
    assert all(faults[fault] in reasons[f"sp/{name}"] for name, fault in broken.items())
    patience = {name: archive.gets[f"/sp/{name}"] for name in broken}
    assert list(patience.values()) == [3, 3, 3, 1, 1]  # what another try cannot mend is tried once

    archive.faults.clear()
    before = Counter(archive.gets)
    assert "5 came" in download(folder, archive.url)
    assert archive.gets - before == Counter(f"/sp/{name}" for name in broken)
    assert not (folder / "failed.csv").exists()
    assert_whole(folder)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT], ids=lambda sent: sent.name)
def test_an_interrupted_download_goes_on_where_it_stopped(archive, folder, sent):
    late = list(SPECTRA)[6:]
    for name in late:
        archive.faults[f"/sp/{name}"] = ["stall"]
    process = command(folder, archive.url, "timeout=2" if sent == signal.SIGINT else "timeout=60", "connections=2")
    for _ in range(2):
        assert archive.stalled.acquire(timeout=60)
    process.send_signal(sent)
    screen = "".join(process.communicate(timeout=300))
    assert "Traceback" not in screen
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert "type the same command again" in screen
    else:
        assert list((folder / ".incoming").iterdir()), "this kill should have left something half"
    assert {file.name for file in folder.glob("A*")} == set(SPECTRA) - set(late)
    archive.go_on.set()
    archive.faults.clear()
    screen = download(folder, archive.url)
    assert "6 came" in screen
    assert "6 were there already" in screen
    assert_whole(folder)
    early = ["/ReadMe", "/table2.dat", *(f"/sp/{name}" for name in SPECTRA.keys() - set(late))]
    assert [archive.gets[path] for path in early] == [1] * len(early)


@pytest.mark.slow
def test_a_record_cut_in_its_last_line_loses_that_line_alone(archive, folder):
    download(folder, archive.url)
    record = folder / "downloaded.csv"
    record.write_bytes(record.read_bytes()[:-12])
    assert "12 were there already" in download(folder, archive.url)
    assert set(archive.gets.values()) == {1}
    assert_whole(folder)


@pytest.mark.slow
def test_a_file_that_has_lost_bytes_is_fetched_again(archive, folder):
    download(folder, archive.url)
    name = next(iter(SPECTRA))
    (folder / name).write_bytes(SPECTRA[name][:-1])
    assert "1 came" in download(folder, archive.url)
    assert archive.gets[f"/sp/{name}"] == 2
    assert_whole(folder)


@pytest.mark.slow
def test_files_put_there_by_hand_are_kept(archive, folder):
    folder.mkdir()
    same, packed, other = list(SPECTRA)[:3]
    (folder / "table2.dat").write_bytes(TABLE)
    (folder / same).write_bytes(SPECTRA[same])
    (folder / f"{packed}.gz").write_bytes(gzip.compress(SPECTRA[packed]))
    (folder / other).write_bytes(b"SIMPLE, but somebody's own")
    screen = download(folder, archive.url, fails=True)
    assert "9 came" in screen
    assert "2 were there already" in screen
    assert f"the folder has this file with 26 bytes, the server with {len(SPECTRA[other])}; delete it" in screen
    assert (folder / other).read_bytes() == b"SIMPLE, but somebody's own"
    assert not {"/table2.dat", *(f"/sp/{name}" for name in (same, packed, other))} & archive.gets.keys()


@pytest.mark.slow
def test_a_server_that_is_down_is_told_at_once(archive, folder):
    archive.shutdown()
    archive.server_close()
    screen = download(folder, archive.url, "retries=100", "pause=100", fails=True)
    assert f"url={archive.url}: no answer from this server (Connection refused)" in screen


@pytest.mark.slow
def test_a_server_that_fails_file_after_file_is_left_alone(archive, folder):
    for name in SPECTRA:
        archive.faults[f"/sp/{name}"] = [500] * 5
    screen = download(folder, archive.url, "connections=1", "retries=0", fails=True)
    assert "10 failed" in screen
    assert "given up, since one file failed after the other" in screen
    assert sum(archive.gets[f"/sp/{name}"] for name in SPECTRA) <= 11
    assert sum(row["file"].startswith("sp/") for row in rows(folder / "failed.csv")) == 10


@pytest.mark.slow
def test_a_table_may_be_there_compressed_alone(archive, folder):
    archive.files["/table2.dat.gz"] = gzip.compress(archive.files.pop("/table2.dat"))
    assert "12 came" in download(folder, archive.url)
    assert "12 were there already" in download(folder, archive.url)


def cig_files(*entries):
    return {
        "/ReadMe": readme("table2.dat        13       12   Classes", "table9.dat   20   12   More", *entries),
        "/table2.dat": TABLE,
        "/table9.dat": b"more\n",
    }


def test_an_archive_without_spectra_says_so(serve, folder):
    screen = download(folder, serve(cig_files()).url, "dataset=cig")
    assert "CDS has the catalogue alone, no spectra: put them (CIG<number>_*.asc) into the spectra by hand" in screen
    assert "dataset=cig" in screen
    assert {file.name for file in folder.iterdir()} == {"ReadMe", "table2.dat", "table9.dat", "downloaded.csv"}


@pytest.mark.slow
def test_spectra_that_the_readme_lists_by_name_or_by_folder(serve, folder):
    files = cig_files("sp/CIG1_a.asc      .   64   One spectrum", "more/*.asc      .   2   Spectra", "x.tex . . Text")
    files |= {"/sp/CIG1_a.asc": b"1 2\n", "/more/CIG2_b.asc": b"3 4\n", "/more/CIG3_c.asc": b"5 6\n"}
    links = "".join(
        f"<a href='{name}'>x</a>" for name in ("../", "?C=N;O=D", "CIG2_b.asc", "CIG3_c.asc", "notes.txt")
    )
    archive = serve(files | {"/more/": f"<html>{links}</html>".encode()})
    assert "3 spectra: 3 came" in download(folder, archive.url, "dataset=cig")
    assert (folder / "CIG3_c.asc").read_text() == "5 6\n"
    assert not {"/x.tex", "/more/notes.txt"} & archive.gets.keys()

    del archive.files["/more/"]
    screen = download(folder, archive.url, "dataset=cig")
    assert "The ReadMe lists more/*.asc, but the server does not list them" in screen
    assert f"get them by hand from {archive.url}more" in screen


@pytest.mark.slow
def test_two_archives_do_not_mix(archive, serve, folder):
    download(folder, archive.url)
    other = serve(cig_files())
    screen = download(folder, other.url, "dataset=cig", fails=True)
    assert "give another folder" in screen
    assert not other.gets
    # The same archive elsewhere: sizes are compared.
    (folder / "downloaded.csv").unlink()
    mirror = serve(ALFALFA)
    assert "12 were there already" in download(folder, mirror.url)
    assert not mirror.gets


FAULTS = {
    "no such catalogue": ({}, [], "no ReadMe there"),
    "no ReadMe": ({"/ReadMe": b"<html>hello</html>"}, [], "ReadMe failed (not a ReadMe of CDS"),
    "no table": ({"/ReadMe": ALFALFA["/ReadMe"]}, [], "no table2.dat there, nor with .gz"),
    "another table": (ALFALFA | {"/table2.dat": b"<html>hello</html>\n"}, [], "no numbers in column AGC"),
    "no spectra": ({path: ALFALFA[path] for path in ("/ReadMe", "/table2.dat")}, [], "none of the 12 spectra"),
    "no connections": (ALFALFA, ["connections=0"], "connections=0: give a whole number from 1 up"),
    "words for numbers": (ALFALFA, ["pause=long"], "pause=long: give a number"),
    "no address": (ALFALFA, ["url=cds"], "url=cds: give an address"),
    "a file for a folder": (ALFALFA, ["dataset.path=occupied"], "dataset.path=occupied: cannot be used"),
    "no folder": (ALFALFA, ["dataset.path=???"], "dataset.path is not set"),
    "another archive": (ALFALFA, ["dataset=magic"], "dataset=magic: there are"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_in_a_few_lines(serve, folder, fault):
    files, words, said = FAULTS[fault]
    (folder.parent / "occupied").write_text("")
    assert said in download(folder, serve(files).url, *words, fails=True)


@pytest.mark.slow
def test_one_download_at_a_time_in_a_folder(archive, folder):
    archive.faults["/ReadMe"] = ["stall"]
    first = command(folder, archive.url)
    assert archive.stalled.acquire(timeout=60)
    assert "another download is under way" in download(folder, archive.url, fails=True)
    archive.go_on.set()
    assert "12 came" in first.communicate(timeout=300)[0]
    assert_whole(folder)


def test_help_is_quick_and_says_what_there_is(tmp_path):
    words = [sys.executable, "-m", "hiexp.download", "--help"]
    text = subprocess.check_output(words, cwd=tmp_path, text=True)
    for said in (
        "dataset=alfalfa",
        "dataset=cig",
        "connections",
        "retries",
        "failed.csv",
        "goes on where it stopped",
    ):
        assert said in text
    code = "import sys, hiexp.download; print({'pooch', 'requests', 'pandas', 'astropy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=tmp_path).strip() == "set()"


def test_what_a_readme_lists(tmp_path):
    file = tmp_path / "ReadMe"
    file.write_bytes(readme("table1.dat  80  5  Galaxies,", "                    and notes", "sp/*  .  9  Spectra"))
    assert file_summary(file) == ["ReadMe", "table1.dat", "sp/*"]
    assert tables(file) == ["table1.dat"]
    assert expand(["a.fits", "sp/b*"], {"sp/": ["b1", "c1", "b2"]}.__getitem__) == (["a.fits", "sp/b1", "sp/b2"], [])
    file.write_text("Something else")
    with pytest.raises(InputError, match="no section 'File Summary'"):
        file_summary(file)
