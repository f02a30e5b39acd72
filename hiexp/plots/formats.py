"""In which formats pictures are written: PNG, and PDF beside it where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_BESIDE: ContextVar[tuple[str, ...]] = ContextVar("formats", default=())


@contextmanager
def with_pdf(wanted: bool = True) -> Iterator[None]:
    """Write a PDF beside each PNG that is drawn in the block, if `wanted`."""
    before = _BESIDE.set((".pdf",) if wanted else ())
    try:
        yield
    finally:
        _BESIDE.reset(before)


def formats() -> tuple[str, ...]:
    """Return the endings of what is written beside a PNG, for the keys of caches that keep pictures."""
    return _BESIDE.get()


def files_of(file: Path | None) -> list[Path]:
    """Return the files that a picture is written into: none, the one that is named, and beside a PNG the others."""
    if file is None:
        return []
    path = Path(file)
    return [path, *(path.with_suffix(ending) for ending in formats() if path.suffix == ".png")]
