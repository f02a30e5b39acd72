"""Disc images a second, against a loop over pixels: ``python benchmarks/images.py [n]``.

Both rotate the same profiles of 1,000 samples into images of 64 x 64 pixels, image model 2. The baseline is the plain
way: one image at a time and one pixel at a time, each interpolated at its radius. It is run on the first 20 profiles
and extrapolated. Rounds of both alternate, and the medians of their times are compared.
"""

from __future__ import annotations

import math
import sys
import time

import numpy as np
from history import record

from hiexp.features import DiscImage

SURVEY = 31502
FEW = 20
ROUNDS = 5
SAMPLES = 1000
SIZE = 64


def loop(profiles: np.ndarray, size: int, quarter: bool) -> np.ndarray:
    """Compute images of R(r) - L(r), shape (N, 1, size, size), one pixel at a time."""
    images = np.zeros((len(profiles), 1, size, size), dtype=np.float32)
    half = profiles.shape[1] // 2
    for image, profile in zip(images, profiles, strict=True):
        unit = (profile - profile.min()) / (profile.max() - profile.min())
        radial = (unit[half:] - unit[:half][::-1]).tolist()
        for row in range(size):
            for column in range(size):
                y, x = (row + 0.5) / size, (column + 0.5) / size
                radius = math.hypot(x, y) if quarter else math.hypot(2 * x - 1, 2 * y - 1)
                if radius > 1:
                    continue
                sample = radius * (half - 1)
                below = min(int(sample), half - 2)
                share = sample - below
                image[0, row, column] = radial[below] * (1 - share) + radial[below + 1] * share
    return images


def main(n: int) -> None:
    """Time both and print the ratio."""
    velocity = np.linspace(-1, 1, SAMPLES)
    rng = np.random.default_rng(0)
    horns = rng.uniform(0.2, 1, (2, n, 1))
    profiles = sum(
        height * np.exp(-0.5 * ((velocity - side * 0.3) / 0.1) ** 2)
        for height, side in zip(horns, (-1, 1), strict=True)
    )
    for quarter in (True, False):
        feature = DiscImage(size=SIZE, quarter=quarter).fit(profiles)
        batched, looped = [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            images = feature.transform(profiles)
            batched.append((time.perf_counter() - start) / n)
            few = profiles[:FEW]
            start = time.perf_counter()
            plain = loop(few, SIZE, quarter)
            looped.append((time.perf_counter() - start) / len(few))
        print(f"{'quarter' if quarter else 'whole disc'}, {SIZE} x {SIZE}")
        for name, count, times in (("batched", n, batched), ("loop", len(few), looped)):
            extrapolated = "" if count == SURVEY else ", extrapolated"
            seconds = float(np.median(times))
            print(
                f"  {name + f', {count} images':24}{1e3 * seconds:9.3f} ms/image "
                f"{SURVEY * seconds:8.2f} s for {SURVEY}{extrapolated}"
            )
        ratio = float(np.median(looped) / np.median(batched))
        print(f"  {'ratio':24}{ratio:9.0f}")
        record(f"{n} images of {'a quarter' if quarter else 'the disc'}, {SIZE} x {SIZE}", ratio)
        print(f"  {'largest difference':24}{np.abs(images[: len(few)] - plain).max():9.0e}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SURVEY)
