"""How far a sweep is, wherever its jobs run: ``python -m hiexp.status [FOLDER] [root=FOLDER] [--follow]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hiexp.commandline import start
from hiexp.errors import InputError

EXAMPLES = """\
examples:
  python -m hiexp.status                                                the latest sweep
  python -m hiexp.status runs/2026-11-22/12-00-00.000000_sweep --follow
"""


def arguments() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m hiexp.status",
        description="Say what is done, running, failed and left of a sweep, whatever its launcher.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="a sweep's; the latest below root if not given")
    parser.add_argument("root", nargs="?", metavar="root=FOLDER", help="the folder that has runs/, if not this one")
    parser.add_argument("--follow", action="store_true", help="say how each job ends, until the sweep has ended")
    return parser


def chosen_sweep(words: list[str]) -> Path:
    """Return the folder that is named, or the latest sweep's.

    Raises
    ------
    InputError
        If there is none.
    """
    from hiexp.run.membership import sweeps_below

    roots = [word.removeprefix("root=") for word in words if word.startswith("root=")]
    named = [word for word in words if not word.startswith("root=")]
    if named:
        return Path(named[0])
    root = Path(roots[-1] if roots else ".")
    sweeps = sweeps_below(root / "runs")
    if not sweeps:
        raise InputError(f"{root / 'runs'}: no sweep is there; give its FOLDER, or root=FOLDER as in its command")
    return sweeps[-1]


def main() -> None:
    """Say how far a sweep is; exit with 1 if a job has failed or is lost, or the sweep has not come to its end."""
    options = arguments().parse_args()
    try:
        from hiexp.run.membership import FAILED
        from hiexp.sweep.progress import followed, progress_text, read_progress

        folder = chosen_sweep([word for word in (options.folder, options.root) if word])
        if options.follow:
            for line in followed(folder):
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
        now = read_progress(folder)
        sys.stdout.write(progress_text(now) + "\n")
    except InputError as error:
        sys.exit(f"hiexp.status: {error}")
    if now.lost or now.abandoned or now.of(FAILED) or now.sweep.status not in ("", "FINISHED"):
        sys.exit(1)


def run() -> None:
    """Run the command as ``hiexp-status`` or ``python -m hiexp.status``."""
    start(main)


if __name__ == "__main__":
    run()
