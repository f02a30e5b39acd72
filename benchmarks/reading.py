"""How fast a folder of spectra is read, and read again.

    python benchmarks/reading.py [number of spectra, 31502 if not given]

Model spectra are written in the layout of the Arecibo archive to a temporary folder. Baseline: a plain loop of
``astropy.table.Table.read``, one file after the other, over the first 500 of them, extrapolated.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from astropy.table import Table
from history import record

from hiexp.datasets import mock_alfalfa, read_alfalfa, write_arecibo_fits

BASELINE_FILES = 500


def main() -> None:
    """Print files/s, the second load, the ratio to the baseline and the memory held."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 31502
    with tempfile.TemporaryDirectory() as folder:
        spectra, cache = Path(folder) / "spectra", str(Path(folder) / "cache")
        write_arecibo_fits(mock_alfalfa(n_galaxies=n), spectra)

        files = sorted(spectra.glob("A*.fits"))
        start = time.perf_counter()
        for file in files[:BASELINE_FILES]:
            Table.read(file)
        loop = (time.perf_counter() - start) / len(files[:BASELINE_FILES])

        start = time.perf_counter()
        read_alfalfa(str(spectra), cache=cache)
        first = time.perf_counter() - start

        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            read_alfalfa(str(spectra), cache=cache)
            seconds.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(files)} spectra of 1,024 channels, cleaned and packed")
    print(f"first read   {first:8.1f} s  {len(files) / first:8.0f} files/s")
    print(f"Table.read   {loop * len(files):8.1f} s  {1 / loop:8.0f} files/s  ({BASELINE_FILES} of them)")
    print(f"ratio        {loop * len(files) / first:8.1f}  (the baseline does not clean)")
    record(f"{len(files)} files", loop * len(files) / first, seconds=first, seconds_again=statistics.median(seconds))
    print(f"second read  {statistics.median(seconds):8.2f} s  (median of 5)")
    print(f"peak memory of this process, sample making included: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
