"""A run or a sweep as one file to cite: ``python -m hiexp.export FOLDER [--to FILE] [--author "FAMILY, GIVEN"]``."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from hiexp.commandline import start
from hiexp.errors import InputError

EXAMPLES = """\
examples:
  python -m hiexp.export runs/2026-11-22/12-00-00.000000 --author "Leavitt, Henrietta" --author "Hubble, Edwin"
  python -m hiexp.export runs/2026-11-22/12-00-00.000000_sweep --to grid.zip
"""


def arguments() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m hiexp.export",
        description="Write the results of a run, or the tables and the page of a sweep, with what made them and "
        "how to cite them, into one zip (RO-Crate).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a run's or a sweep's")
    parser.add_argument("--to", metavar="FILE", type=Path, help="the zip (hiexp-DATE-TIME.zip, here)")
    parser.add_argument(
        "--author",
        metavar="NAME",
        action="append",
        default=[],
        help='whom to cite, "FAMILY, GIVEN"; again for others',
    )
    parser.add_argument("--license", metavar="ID", help="under which others may use it, as SPDX calls it: CC-BY-4.0")
    return parser


def main() -> None:
    """Write the file, and say where it is."""
    options = arguments().parse_args()
    try:
        from hiexp.run.citable import work_in
        from hiexp.run.crate import write_crate
        from hiexp.run.crate_pages import Author
        from hiexp.run.summary import display_path

        authors = [*dict.fromkeys(Author.of(name) for name in options.author)]
        if options.license and not re.fullmatch(r"[A-Za-z0-9.+-]+", options.license):
            raise InputError(f"--license {options.license!r}: give its SPDX identifier, CC-BY-4.0 for example")
        work = work_in(options.folder)
        file = options.to or Path(f"{work.name}.zip")
        if file.exists():
            raise InputError(f"{file}: this file is there already; remove it, or give another one, --to FILE")
        if not file.parent.is_dir():
            raise InputError(f"{file}: there is no folder {file.parent}; make it, or give another file")
        try:
            write_crate(work, authors, file, options.license)
        except OSError as error:
            raise InputError(
                f"{file}: cannot be written ({error.strerror or error}); give another, --to FILE"
            ) from error
    except InputError as error:
        sys.exit(f"hiexp.export: {error}")
    sys.stdout.write(f"{display_path(file)}  {file.stat().st_size / 1e6:.1f} MB, {len(work.files)} files\n")
    if not authors:
        sys.stdout.write('Name the authors in its CITATION.cff, or give --author "FAMILY, GIVEN".\n')


def run() -> None:
    """Run the command as ``hiexp-export`` or ``python -m hiexp.export``."""
    start(main)


if __name__ == "__main__":
    run()
