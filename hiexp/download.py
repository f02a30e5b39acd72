"""A public archive into a folder: ``python -m hiexp.download dataset=ARCHIVE dataset.path=FOLDER``."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hiexp.commandline import start
from hiexp.configs import ARCHIVES
from hiexp.errors import InputError
from hiexp.hydra_versions import VERSION_BASE
from hiexp.printable import printable
from hiexp.run.session import input_errors_as_messages
from hiexp.run.summary import display_path, python_command

if TYPE_CHECKING:  # --help waits for none of the libraries that a download needs
    from hiexp.archives import Result, Server, Store

AGAIN = "type the same command again to go on: what is complete is not fetched again"

log = logging.getLogger(__name__)


def download(cfg: DictConfig, dataset: str) -> None:
    """Fetch what is missing of an archive and say what came.

    Parameters
    ----------
    cfg : DictConfig
        A composed ``hiexp/archives/conf/download.yaml``.
    dataset : str
        The member chosen of the group ``dataset``.

    Raises
    ------
    InputError
        If a setting cannot be, the server does not answer, the catalogue does not come, or files have failed.
    """
    from hydra.utils import instantiate

    from hiexp.archives import Server, expand, open_store
    from hiexp.run.settings import check_settings

    check_settings(cfg, "download")
    if not str(cfg.url).startswith(("http://", "https://")):
        raise InputError(f"url={cfg.url}: give an address that begins with https:// or http://")
    url, folder = cfg.url.rstrip("/") + "/", Path(cfg.dataset.path)
    server = Server(url, cfg.connections, cfg.retries, cfg.pause, cfg.timeout, cfg.largest)
    try:
        with open_store(folder, url) as store:
            log.info("%s\nto %s", url, display_path(folder))
            catalogue = fetch_catalogue(server, store, cfg.tables)
            names, unknown = expand(instantiate(cfg.spectra, _convert_="all")(folder), server.index)
            results = fetch_spectra(server, store, names)
            write_lists(server, store, results)
    except OSError as error:
        raise InputError(f"dataset.path={folder}: cannot be used ({error}); fix that, then {AGAIN}") from error
    for name in unknown:
        place = server.address(name.rpartition("/")[0])
        listed = printable(name)
        log.warning("The ReadMe lists %s, but the server does not list them: get them by hand from %s", listed, place)
    if not names and not unknown:
        log.warning("CDS has the catalogue alone, no spectra: put them (%s) into %s by hand", cfg.by_hand, folder)
    log.info("Catalogue: %s\n%s", ", ".join(catalogue), closing(results, folder))
    refuse_failures(results, server)
    if results and all(result.status == "absent" for result in results):
        raise InputError(f"url={url}: the server has none of the {len(results)} spectra; is the address right?")
    words = shlex.join(
        [
            f"dataset.path={display_path(folder)}",
            *(word.format(folder=display_path(folder)) for word in cfg.next.split()),
        ]
    )
    log.info("try next:  %s -m hiexp.train dataset=%s %s", python_command(), dataset, words)


def fetch_catalogue(server: Server, store: Store, names: Sequence[str] | None) -> list[str]:
    """Fetch the ReadMe and the tables, all that the ReadMe lists if `names` is None; return what they are called.

    Raises
    ------
    InputError
        If one of them does not come: what else there is cannot be known without it.
    """
    from hiexp.archives import fetch, tables
    from hiexp.archives.cds import README

    (readme,) = fetch(server, store, [README])
    refuse_failures([readme], server)
    if readme.status == "absent":
        raise InputError(f"url={server.url}: no {README} there; give the folder of a catalogue of CDS")
    results = fetch(server, store, names or tables(store.folder / README))
    # A table that is large may be there compressed alone.
    packed = [f"{result.name}.gz" for result in results if result.status == "absent"]
    results = [result for result in results if result.status != "absent"] + fetch(server, store, packed)
    refuse_failures(results, server)
    absent = [result.name.removesuffix(".gz") for result in results if result.status == "absent"]
    if absent:
        raise InputError(f"url={server.url}: no {', '.join(absent)} there, nor with .gz; is it the right catalogue?")
    return [README, *sorted(result.name for result in results)]


def fetch_spectra(server: Server, store: Store, names: Sequence[str]) -> list[Result]:
    """Fetch the spectra under a progress bar."""
    from tqdm import tqdm

    from hiexp.archives import fetch

    with tqdm(total=len(names), desc="fetching spectra", unit="file", delay=1, leave=False) as bar:
        return fetch(server, store, names, report=lambda _: bar.update())


def write_lists(server: Server, store: Store, results: Sequence[Result]) -> None:
    """Write what is not on the server and what has failed."""
    from hiexp.archives.store import ABSENT_FILE, FAILED_FILE

    absent = sorted(result.name for result in results if result.status == "absent")
    failed = sorted((result.name, result.reason) for result in results if result.status == "failed")
    store.write_list(ABSENT_FILE, ("file", "url"), [(name, server.address(name)) for name in absent])
    rows = [(printable(name), reason, server.address(name)) for name, reason in failed]
    store.write_list(FAILED_FILE, ("file", "reason", "url"), rows)


def closing(results: Sequence[Result], folder: Path) -> str:
    """Return what the screen says at the end."""
    from hiexp.archives.store import ABSENT_FILE, FAILED_FILE

    n = Counter(result.status for result in results)
    megabytes = sum(result.size for result in results if result.status == "came") / 1e6
    lines = []
    if results:
        lines.append(
            f"{len(results)} spectra: {n['came']} came ({megabytes:.1f} MB), {n['there']} were there already"
        )
    if n["absent"]:
        lines.append(f"{n['absent']} are not on the server: {display_path(folder / ABSENT_FILE)}")
    if n["failed"]:
        lines.append(f"{n['failed']} failed: {display_path(folder / FAILED_FILE)} says why")
    if n["left"]:
        lines.append(f"{n['left']} were not tried")
    return "\n".join([*lines, f"folder {display_path(folder)}"])


def refuse_failures(results: Sequence[Result], server: Server) -> None:
    """Raise an `InputError` if files have failed."""
    failed = [result for result in results if result.status == "failed"]
    if failed:
        many = f"{len(failed)} files" if len(failed) > 1 else printable(failed[0].name, 100)
        given_up = "; given up, since one file failed after the other" if server.stop.is_set() else ""
        raise InputError(f"url={server.url}: {many} failed ({failed[-1].reason}){given_up}; {AGAIN}")


@hydra.main(**VERSION_BASE, config_path=str(ARCHIVES), config_name="download")
@input_errors_as_messages()
def main(cfg: DictConfig) -> None:
    """Fetch an archive; Ctrl-C leaves what is complete."""
    try:
        download(cfg, HydraConfig.get().runtime.choices["dataset"])
    except KeyboardInterrupt:
        log.error("Interrupted; %s", AGAIN)
        raise


def run() -> None:
    """Run the command as ``hiexp-download`` or ``python -m hiexp.download``."""
    start(main)


if __name__ == "__main__":
    run()
