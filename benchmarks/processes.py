"""Time and memory of a process and all that it has started (Linux)."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path


def tree() -> tuple[float, float]:
    """Return memory, GiB, shared pages counted once, and CPU seconds of this process and all it started."""
    stats = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stats[int(folder.name)] = re.sub(r".*\)", "", (folder / "stat").read_text()).split()
        except OSError:
            continue
    family, memory, ticks = {os.getpid()}, 0, 0
    while more := {child for child, stat in stats.items() if int(stat[1]) in family} - family:
        family |= more
    for process in family:
        try:
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        memory += int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])
        ticks += sum(int(spent) for spent in stats[process][11:13])
    return memory / 2**20, ticks / os.sysconf("SC_CLK_TCK")


def peak_memory(work: Callable[[], object]) -> float:
    """Return the most memory, GiB, that the tree of processes has held during some work."""
    done, most = threading.Event(), [tree()[0]]

    def watch() -> None:
        while not done.wait(0.5):
            most.append(tree()[0])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(most)


def anonymous(process: int) -> int:
    """Return the anonymous memory, bytes, of a process and all that it has started: what no file stands behind."""
    total, family = 0, [process]
    for one in family:
        try:
            status = Path(f"/proc/{one}/status").read_text()
            family += [
                int(child)
                for children in Path(f"/proc/{one}/task").glob("*/children")
                for child in children.read_text().split()
            ]
        except OSError:
            continue
        found = re.search(r"^RssAnon:\s+(\d+)", status, re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total
