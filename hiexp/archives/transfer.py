"""Files from a web server into a `Store`: a few at a time, each whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import quote, unquote, urljoin, urlsplit

import pooch
import requests
import urllib3
from requests.adapters import HTTPAdapter

from hiexp import __version__
from hiexp.archives.cds import LARGEST_README, README
from hiexp.archives.store import Store, not_plain
from hiexp.errors import InputError
from hiexp.printable import printable

CONNECT_SECONDS = 10
CHUNK = 1 << 16  # bytes
GIVE_UP_AFTER = 10  # files that fail in a row: then it is the server that fails
TOO_BUSY = 429  # the one status below 500 that passes by itself
LARGEST_PAGE = 50_000_000  # bytes of a server's page of a folder: 200,000 files and more
REDIRECTS = 10  # in a row
REASON = 200  # characters of a server's own words

PORTS = {"http": 80, "https": 443}
ENCODINGS = ("identity", "gzip", "x-gzip", "deflate")
DIGITS = re.compile(r"[0-9]{1,18}")

pooch.get_logger().setLevel("WARNING")  # it would tell of every file


@dataclass(frozen=True)
class Result:
    """What became of one file.

    Attributes
    ----------
    name : str
        On the server, from the archive's URL on.
    status : str
        ``came``; ``there``: it was complete already; ``absent``: not on the server; ``failed``; ``left``: not tried
        to the end, because the download was stopped.
    size : int
        Bytes of a file that came, or that was there without being recorded.
    sha256 : str
        SHA-256 of the same file.
    reason : str
        Why it failed.
    """

    name: str
    status: Literal["came", "there", "absent", "failed", "left"]
    size: int = 0
    sha256: str = ""
    reason: str = ""


@dataclass
class Server:
    """An archive on a web server.

    Attributes
    ----------
    url : str
        Address of its folder, with a slash at the end.
    connections : int
        Transfers at a time.
    retries : int
        Further tries of a file, where another one may help.
    pause : float
        Seconds before the first retry; doubled before each of the next.
    timeout : float
        Seconds without a byte after which a transfer counts as broken.
    largest : int
        Bytes of a file; a transfer that has brought more is ended.
    """

    url: str
    connections: int
    retries: int
    pause: float
    timeout: float
    largest: int
    stop: threading.Event = field(default_factory=threading.Event)
    session: requests.Session = field(default_factory=lambda: _Session())
    reached: bool = False
    failed_in_a_row: int = 0
    counting: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.session.headers["User-Agent"] = f"hiexp/{__version__} {requests.utils.default_user_agent()}"
        # Files as they are, so that their bytes can be counted and compared.
        self.session.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=self.connections))

    def judge(self, failed: bool) -> None:
        """Count a file that the server has failed to send or has answered for; stop after too many in a row."""
        with self.counting:
            self.failed_in_a_row = self.failed_in_a_row + 1 if failed else 0
            if self.failed_in_a_row == GIVE_UP_AFTER:
                self.stop.set()

    def address(self, name: str) -> str:
        """Return the URL of a file."""
        return self.url + quote(name)

    def ask(self, method: str, url: str) -> requests.Response:
        """Send one request, follow redirects on the same server, and return the answer before its content is read.

        Raises
        ------
        requests.RequestException
            If there is no answer, or a redirect leads elsewhere.
        """
        limits = (min(CONNECT_SECONDS, self.timeout), self.timeout)
        for _ in range(REDIRECTS):
            answer = self.session.request(method, url, timeout=limits, stream=True, allow_redirects=False)
            if not answer.is_redirect:
                return answer
            answer.close()
            url = urljoin(url, answer.headers["Location"])
            if not self.holds(url):
                raise _Refused(f"redirected to {url}, another server; give url= if the archive is there")
        raise _Refused(f"redirected {REDIRECTS} times in a row")

    def holds(self, url: str) -> bool:
        """Return whether an address is of this server: the same host, by the same way or by https instead of http."""
        own, other = urlsplit(self.url), urlsplit(url)
        try:
            if own.hostname != other.hostname or other.username is not None:
                return False
            ports = tuple(parts.port or PORTS.get(parts.scheme) for parts in (own, other))
        except ValueError:  # a port that is no number
            return False
        same = own.scheme == other.scheme and ports[0] == ports[1]
        return same or ((own.scheme, other.scheme) == ("http", "https") and ports == (80, 443))

    def reach(self) -> None:
        """Find out before the first transfer, once and without patience, whether there is a server at all.

        Raises
        ------
        InputError
            If nothing answers.
        """
        if self.reached:
            return
        try:
            self.ask("HEAD", self.url).close()
        except requests.RequestException as error:
            raise InputError(
                f"url={self.url}: no answer from this server ({_reason(error)}); check the network and the address, "
                "then type the same command again"
            ) from error
        self.reached = True

    def index(self, folder: str) -> list[str]:
        """Return the files that the server's own page of a folder links to; none where it has no such page.

        Raises
        ------
        InputError
            If the server does not answer, or with an error of its own.
        """
        self.reach()
        try:
            with self.ask("GET", self.address(folder)) as page:
                if page.status_code >= 500:
                    page.raise_for_status()
                text = b"".join(self.content(page, LARGEST_PAGE)).decode("utf-8", "replace") if page.ok else ""
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise InputError(
                f"url={self.address(folder)}: the list of this folder does not come ({_reason(error)}); "
                "type the same command again"
            ) from error
        links = re.findall(r"""href=["']?([^"'>\s]+)""", text, flags=re.IGNORECASE)
        return list(dict.fromkeys(unquote(link) for link in links if "/" not in link and "?" not in link))

    def size(self, name: str) -> int | None:
        """Return a file's bytes as the server states them, or None where it does not."""
        with self.ask("HEAD", self.address(name)) as answer:
            if answer.status_code >= 500 or answer.status_code == TOO_BUSY:
                answer.raise_for_status()
            stated = answer.headers.get("Content-Length", "")
            return int(stated) if answer.ok and DIGITS.fullmatch(stated) else None

    def content(self, answer: requests.Response, largest: int, *, packed: bool = False) -> Iterator[bytes]:
        """Yield what an answer brings, until it is too much.

        Parameters
        ----------
        answer : Response
            Its content not read yet.
        largest : int
            Bytes allowed, decompressed.
        packed : bool
            The file is a compressed one, and stays so: some servers state its compression as that of the transfer.

        Raises
        ------
        requests.RequestException, urllib3.exceptions.HTTPError
            If it is too much, is compressed in an unusual way, or the connection breaks. urllib3 compares the bytes
            with Content-Length.
        """
        too_large = _Refused(f"larger than {largest:,} bytes")
        stated, encoding = (
            answer.headers.get("Content-Length", ""),
            answer.headers.get("Content-Encoding", "identity"),
        )
        if DIGITS.fullmatch(stated) and int(stated) > largest:
            raise too_large
        if not packed and encoding.strip().lower() not in ENCODINGS:  # of several layers each may grow a thousandfold
            raise _Refused(f"compressed as {encoding}, though it was asked for as it is")
        came = 0
        for chunk in answer.raw.stream(CHUNK, decode_content=not packed):
            came += len(chunk)
            if came > largest:
                raise too_large
            yield chunk

    def send(self, url: str, output_file: str, mover: object) -> None:
        """Copy one file, for pooch, which moves it to its name when this ends without an error.

        Raises
        ------
        requests.RequestException, urllib3.exceptions.HTTPError
            If the server refuses, the connection breaks, fewer bytes come than the server has stated or more than
            are allowed, or they do not have the checksum that it states.
        """
        largest = LARGEST_README if url == self.address(README) else self.largest
        with self.ask("GET", url) as response, Path(output_file).open("wb") as file:
            response.raise_for_status()
            checksum = hashlib.md5(usedforsecurity=False)
            for chunk in self.content(response, largest, packed=url.endswith(".gz")):
                if self.stop.is_set():
                    raise _StoppedError
                checksum.update(chunk)
                file.write(chunk)
        stated, encoded = response.headers.get("Content-MD5"), "Content-Encoding" in response.headers
        if stated and not encoded and stated != base64.b64encode(checksum.digest()).decode():
            raise requests.RequestException("the bytes do not have the MD5 checksum that the server states")


class _Session(requests.Session):
    """A session that leaves redirects alone: requests would read all that comes with one before it looks at it."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: `Server.ask` looks at redirects."""


class _Refused(requests.RequestException):
    """An answer that another try would not change."""


class _StoppedError(Exception):
    """The download is being stopped, and this transfer with it."""


def fetch(
    server: Server, store: Store, names: Sequence[str], report: Callable[[Result], object] = lambda _: None
) -> list[Result]:
    """Fetch files, a few at a time; those recorded and unchanged in size are not asked for.

    Parameters
    ----------
    server : Server
        Where they are.
    store : Store
        Where they go, without their folders on the server.
    names : sequence of str
        The files, from the archive's URL on.
    report : callable
        Is given every result as soon as there is one.

    Returns
    -------
    list of Result
        One a file, in no order. When `GIVE_UP_AFTER` files have failed in a row, the rest is ``left``.

    Raises
    ------
    InputError
        If there is something to fetch, and no server.
    OSError
        If the folder cannot be written to.
    """
    names = list(dict.fromkeys(names))
    refused = _refused(names)
    results = [Result(name, "failed", reason=reason) for name, reason in refused.items()]
    complete = {name for name in names if name not in refused and store.complete(PurePosixPath(name).name)}
    results += [Result(name, "there") for name in complete]
    for result in results:
        report(result)
    missing = [name for name in names if name not in complete and name not in refused]
    if not missing:
        return results
    server.reach()
    with ThreadPoolExecutor(server.connections) as pool:
        try:
            for future in as_completed([pool.submit(_obtain, server, store, name) for name in missing]):
                result = future.result()
                if result.sha256:
                    name = PurePosixPath(result.name).name
                    store.record(name, result.size, result.sha256, server.address(result.name))
                results.append(result)
                report(result)
        except BaseException:  # Ctrl-C above all: the pool would otherwise work through all that is left
            server.stop.set()
            raise
    return results


def _refused(names: Sequence[str]) -> dict[str, str]:
    """Return which names of a server or a ReadMe no file can be given, and why."""
    reasons: dict[str, str] = {}
    owners: dict[str, str] = {}
    for name in names:
        reason = not_plain(name)
        if not reason and owners.setdefault(PurePosixPath(name).name, name) != name:
            reason = f"{owners[PurePosixPath(name).name]} has the same name, and all files go into one folder"
        if reason:
            reasons[name] = reason
    return reasons


def _obtain(server: Server, store: Store, name: str) -> Result:
    """Fetch one file, or look at what the folder has under its name, with patience."""
    file = PurePosixPath(name).name
    reason = ""
    for attempt in range(server.retries + 1):
        wait = server.pause * 2 ** (attempt - 1) if attempt else 0
        if server.stop.wait(wait):
            return Result(name, "left")
        try:
            there = _put_by_hand(server, store, name, file)
            if there:
                return there
            pooch.retrieve(server.address(name), None, fname=file, path=store.incoming, downloader=server.send)
            came = store.incoming / file
            reason = _strange(came)
            if reason:
                came.unlink()
                break
            size, sha256 = came.stat().st_size, pooch.file_hash(str(came))
            store.accept(came)
            server.judge(failed=False)
            return Result(name, "came", size, sha256)
        except _StoppedError:
            return Result(name, "left")
        except requests.HTTPError as error:
            status = error.response.status_code
            if status in (404, 410):
                server.judge(failed=False)
                return Result(name, "absent")
            reason = printable(f"HTTP {status} {error.response.reason}", REASON)
            if status < 500 and status != TOO_BUSY:
                break
        except _Refused as error:
            reason = _reason(error)
            break
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason = _reason(error)
    server.judge(failed=True)
    return Result(name, "failed", reason=reason)


def _put_by_hand(server: Server, store: Store, name: str, file: str) -> Result | None:
    """Return what to make of a file that no download has put there; it is its owner's and never replaced."""
    path = store.folder / file
    if path.with_name(f"{file}.gz").is_file():
        return Result(name, "there")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        reason = "the folder has a link, or no plain file, of this name; remove it to have the file fetched"
        return Result(name, "failed", reason=reason)
    if file in store.sizes or not path.exists():
        return None
    stated, size = server.size(name), path.stat().st_size
    if stated not in (None, size):
        reason = f"the folder has this file with {size} bytes, the server with {stated}; delete it to have it fetched"
        return Result(name, "failed", reason=reason)
    return Result(name, "there", size, pooch.file_hash(str(path)))


def _strange(path: Path) -> str:
    """Return why a file is not what its name says: servers and networks answer with pages of their own."""
    with path.open("rb") as file:
        content = file.read(LARGEST_README if path.name == README else 20)
    if path.suffix == ".fits" and not content.startswith(b"SIMPLE"):
        return f"not a FITS file: it begins with {content[:20]!r}"
    if path.name == README and b"File Summary:" not in content:
        return f"not a ReadMe of CDS: it begins with {content[:20]!r}"
    return ""


def _reason(error: BaseException) -> str:
    """Return the words of the first error in a chain, without the layers above it."""
    while error.__context__ is not None:
        error = error.__context__
    return printable(getattr(error, "strerror", None) or str(error) or type(error).__name__, REASON)
