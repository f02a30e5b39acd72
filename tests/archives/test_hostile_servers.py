"""Servers, mirrors and folders that mean harm: downloads are bounded, stay where they are, and follow no links."""

import gzip
import re
import zlib

import pytest
from test_download import (
    AGC,
    ALFALFA,
    SPECTRA,
    TABLE,
    Handler,
    archive,
    cig_files,
    download,
    folder,
    readme,
    rows,
    serve,
)

from hiexp.archives import numbered
from hiexp.archives.store import not_plain
from hiexp.errors import InputError

__all__ = ["archive", "folder", "serve"]  # fixtures
ENDLESS = b"SIMPLE  =                    T" + bytes(70_000)


@pytest.fixture
def answering(monkeypatch):
    """Let a function answer instead of the server wherever it returns True."""

    def install(answer):
        plain = {method: getattr(Handler, method) for method in ("do_GET", "do_HEAD")}

        def patched(method):
            return lambda handler: answer(handler, method[3:]) or plain[method](handler)

        for method in plain:
            monkeypatch.setattr(Handler, method, patched(method))

    return install


def endless(handler, encoding=None, content=ENDLESS):
    """Send without end until the client has had enough."""
    handler.send_response(200, "OK")
    if encoding:
        handler.send_header("Content-Encoding", encoding)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    try:
        for _ in range(10_000):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
    except OSError:
        handler.server.given_up = True
    handler.hang_up()
    return True


@pytest.mark.slow
def test_an_endless_file_is_cut_off_once(archive, folder, answering):
    name = next(iter(SPECTRA))
    answering(lambda handler, method: method == "GET" and name in handler.path and endless(handler))
    screen = download(folder, archive.url, "largest=1000000", fails=True)
    assert "11 came" in screen
    assert [row["reason"] for row in rows(folder / "failed.csv")] == ["larger than 1,000,000 bytes"]
    assert archive.given_up
    assert {file.name for file in folder.glob("A*")} == set(SPECTRA) - {name}


@pytest.mark.slow
def test_a_file_that_is_stated_to_be_too_large_is_not_fetched(archive, folder):
    screen = download(folder, archive.url, "largest=1000", fails=True)
    assert "larger than 1,000 bytes" in screen
    assert "give a whole number from 1 up" in download(folder, archive.url, "largest=0", fails=True)


@pytest.mark.parametrize("page", ["/ReadMe", "/sp/"])
def test_an_endless_page_is_cut_off(serve, folder, answering, page):
    server = serve(cig_files("sp/*  .  9  Spectra"))
    answering(lambda handler, method: method == "GET" and handler.path == page and endless(handler))
    screen = download(folder, server.url, "dataset=cig", "largest=2000000000", fails=True)
    assert re.search("larger than [15]0,000,000 bytes", screen)
    assert len(screen.splitlines()) < 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoding", "said"),
    [("gzip, gzip", "compressed as gzip, gzip"), ("br", "compressed as br"), ("deflate", "larger than")],
)
def test_a_transfer_that_grows_when_unpacked_is_bounded(archive, folder, answering, encoding, said):
    bomb = zlib.compress(b"SIMPLE" + bytes(30_000_000))
    name = next(iter(SPECTRA))
    answering(lambda handler, method: method == "GET" and name in handler.path and endless(handler, encoding, bomb))
    download(folder, archive.url, "largest=1000000", fails=True)
    assert said in rows(folder / "failed.csv")[0]["reason"]


def test_a_table_that_grows_when_unpacked_is_refused(tmp_path):
    (tmp_path / "ReadMe").write_bytes(ALFALFA["/ReadMe"])
    (tmp_path / "table2.dat.gz").write_bytes(gzip.compress(TABLE + bytes(30_000_000)))
    with pytest.raises(InputError, match=r"table2\.dat\.gz holds more than"):
        numbered(tmp_path, "table2.dat", "AGC", "{}", largest=1_000_000)
    whole = gzip.compress(TABLE)
    (tmp_path / "table2.dat.gz").write_bytes(whole)
    assert numbered(tmp_path, "table2.dat", "AGC", "{}") == [str(number) for number in AGC]
    (tmp_path / "table2.dat.gz").write_bytes(whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:])
    with pytest.raises(InputError, match=r"table2\.dat\.gz is damaged"):
        numbered(tmp_path, "table2.dat", "AGC", "{}")
    (tmp_path / "table2.dat").write_bytes(TABLE)
    with pytest.raises(InputError, match=r"table2\.dat: no file of at most 10 bytes; spectra.largest=20 allows more"):
        numbered(tmp_path, "table2.dat", "AGC", "{}", largest=10)


def redirect(handler, target):
    handler.send_response(302)
    handler.send_header("Location", target)
    handler.send_header("Content-Length", "0")
    handler.end_headers()
    return True


@pytest.mark.slow
def test_redirects_stay_on_the_server(archive, serve, folder, answering):
    moved, away, local, loop = list(SPECTRA)[:4]
    other = serve(ALFALFA)
    targets = {
        moved: f"/new/{moved}",
        away: f"{other.url}sp/{away}",
        local: "file:///etc/passwd",
        loop: f"/sp/{loop}",
    }
    archive.files[f"/new/{moved}"] = SPECTRA[moved]

    def answer(handler, method):
        name = handler.path.rpartition("/")[2]
        elsewhere = handler.path.startswith("/new/") or handler.server is not archive
        return False if elsewhere or name not in targets else redirect(handler, targets[name])

    answering(answer)
    screen = download(folder, archive.url, fails=True)
    assert "9 came" in screen
    reasons = {row["file"].partition("/")[2]: row["reason"] for row in rows(folder / "failed.csv")}
    assert reasons[away].startswith(f"redirected to {other.url}sp/{away}, another server")
    assert reasons[local].startswith("redirected to file:///etc/passwd, another server")
    assert reasons[loop] == "redirected 10 times in a row"
    assert not other.gets


@pytest.mark.parametrize(
    ("own", "other", "held"),
    [
        ("https://a.org/x/", "https://a.org/y", True),
        ("https://a.org/x/", "http://a.org/x/y", False),  # what was asked for in secret would go in the open
        ("http://a.org/x/", "https://a.org/x/y", True),
        ("http://a.org/x/", "https://a.org:8443/x/y", False),
        ("https://a.org/x/", "https://a.org.evil.net/x/y", False),
        ("https://a.org/x/", "https://a.org@evil.net/x/y", False),
        ("https://a.org/x/", "https://me:pw@a.org/y", False),
        ("https://a.org/x/", "https://a.org:99999/y", False),
        ("https://a.org/x/", "ftp://a.org/x/y", False),
    ],
)
def test_what_is_the_same_server(own, other, held):
    from hiexp.archives import Server

    assert Server(own, 1, 0, 0, 1, 1).holds(other) is held


def test_words_of_a_server_are_shown_and_not_obeyed(archive, folder, answering):
    name = next(iter(SPECTRA))

    def answer(handler, method):
        if method == "HEAD" or name not in handler.path:
            return False
        handler.send_response(403, "\x1b]0;owned\x07\x1b[2Jno" + "o" * 1000)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    answering(answer)
    screen = download(folder, archive.url, fails=True)
    assert "\x1b" not in screen + (folder / "failed.csv").read_text()
    assert rows(folder / "failed.csv")[0]["reason"].startswith("HTTP 403 nooo")
    assert len(rows(folder / "failed.csv")[0]["reason"]) <= 200


@pytest.mark.slow
def test_names_that_are_no_names_are_neither_asked_for_nor_written(serve, folder):
    bad = [
        "../../evil.asc",
        "/etc/evil.asc",
        "sp/.profile.asc",
        "sp/../evil.asc",
        "a\x1b[2Jb.asc",
        "n" * 300 + ".asc",
    ]
    files = cig_files(*(f"{name}  .  9  Spectra" for name in [*bad, "sp/=good.asc", "more/=good.asc", "in/*.asc"]))
    links = ["%2e%2e%2f%2e%2e%2fevil.asc", "ok.asc", "%00.asc", "%1b%5b2J.asc"]
    files |= {"/sp/%3Dgood.asc": b"1 2\n", "/in/ok.asc": b"3 4\n"}
    files |= {"/in/": "".join(f"<a href='{link}'>x</a>" for link in links).encode()}
    server = serve(files)
    words = ["dataset=cig", "spectra.match=['*.asc']"]
    screen = download(folder, server.url, *words, fails=True)
    assert "2 came" in screen
    assert "\x1b" not in screen + (folder / "failed.csv").read_text()
    assert len(rows(folder / "failed.csv")) == len(bad) + 1 + len(links) - 1
    assert {file.name for file in folder.glob("*.asc")} == {"=good.asc", "ok.asc"}
    assert [file.name for file in folder.parent.iterdir()] == [folder.name]
    assert not [path for path in server.gets if "evil" in path or "profile" in path]
    assert "'=good.asc" in (folder / "downloaded.csv").read_text()
    assert "2 were there already" in download(
        folder, server.url, "dataset=cig", "spectra.match=['*.asc']", fails=True
    )


@pytest.mark.parametrize(
    "name", ["downloaded.csv", "sp/failed.csv", "x/", "", ".", "a//b", "a\\b", "a\nb", "é" * 150]
)
def test_what_is_no_name_of_a_file(name):
    assert not_plain(name)
    assert not not_plain("sp/A000001.fits")


@pytest.mark.slow
@pytest.mark.parametrize("own", [".incoming", "downloaded.csv", "failed.csv"])
def test_links_in_the_place_of_the_downloads_own_files_are_refused_and_what_they_point_to_is_left_alone(
    archive, folder, tmp_path, own
):
    folder.mkdir()
    target = tmp_path / "precious"
    if own == ".incoming":
        target.mkdir()
        (target / "thesis.tex").write_text("years")
    else:
        target.write_text("years\n")
    (folder / own).symlink_to(target)
    screen = download(folder, archive.url, fails=True)
    assert f"dataset.path=the spectra: its {own} is a link, which is not followed; remove it" in screen
    assert not archive.gets
    kept = target / "thesis.tex" if own == ".incoming" else target
    assert kept.read_text().strip() == "years"


@pytest.mark.slow
def test_a_link_in_the_place_of_a_file_is_not_written_through(archive, folder, tmp_path):
    folder.mkdir()
    first, second, *_ = SPECTRA
    (tmp_path / "mine").write_text("mine")
    (folder / first).symlink_to(tmp_path / "mine")
    (folder / second).symlink_to("/dev/zero")
    screen = download(folder, archive.url, fails=True)
    assert "10 came" in screen
    assert {row["file"] for row in rows(folder / "failed.csv")} == {f"sp/{first}", f"sp/{second}"}
    assert all("has a link" in row["reason"] for row in rows(folder / "failed.csv"))
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_readme_with_a_file_summary_alone_lists_nothing_by_formula(serve, folder):
    server = serve({"/ReadMe": readme("=cmd|'/C x'!A0  .  9  Table"), "/table2.dat": TABLE})
    screen = download(folder, server.url, "dataset=cig", "spectra.match=['=*']", "tables=[table2.dat]", fails=True)
    assert "none of the 1 spectra" in screen
    assert (folder / "not_on_server.csv").read_text().splitlines()[1].startswith("'=cmd|")
