"""The tables and images of a FITS file, wherever they stand in it and whatever its headers claim."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

from astropy.io import fits

BLOCK = 2880
HEADER_BYTES = 2**20
TABLES: dict[str | None, Any] = {"BINTABLE": fits.BinTableHDU, "TABLE": fits.TableHDU}
IMAGES: dict[str | None, Any] = {None: fits.PrimaryHDU, "IMAGE": fits.ImageHDU}


def table_hdus(content: bytes) -> Iterator[fits.BinTableHDU | fits.TableHDU]:
    """Yield the tables of a FITS file in their order, as `data_hdus` does."""
    return data_hdus(content, TABLES)


def data_hdus(content: bytes, kinds: Mapping[str | None, Any] = TABLES) -> Iterator[Any]:
    """Yield the tables, images or both of a FITS file in their order; what comes after the last one is not read.

    `astropy.io.fits.open` trusts the sizes in a header, and goes round and round where one is negative.

    Parameters
    ----------
    content : bytes
        The whole file, not compressed.
    kinds : mapping
        Classes by the extension's name: `TABLES`, `IMAGES` (None: the first of a file) or both.

    Raises
    ------
    ValueError, and whatever else astropy raises on damaged headers
        If a header has no end, or claims sizes that the file does not have.
    """
    if not content.startswith(b"SIMPLE  ="):
        raise ValueError("it does not begin as a FITS file, with SIMPLE")
    start = 0
    while start < len(content):
        stream = io.BytesIO(content[start : start + HEADER_BYTES])
        header = fits.Header.fromfile(stream)
        size = _data_bytes(header)
        end = start + stream.tell() + size
        if end > len(content):
            raise ValueError(f"truncated: a header claims {size} bytes of data, {size - end + len(content)} follow")
        extension = header.get("XTENSION")
        if extension in kinds and (size > 0 or extension in TABLES):
            hdu = kinds[extension].fromstring(content[start:end])
            if extension == "BINTABLE":
                width = hdu.columns.dtype.itemsize
                if width != header["NAXIS1"] or width == 0:
                    raise ValueError(f"its columns take {width} bytes a row, its header says {header['NAXIS1']}")
            yield hdu
        start = end + -end % BLOCK


def _data_bytes(header: fits.Header) -> int:
    axes = [_count(header, f"NAXIS{number}") for number in range(1, _count(header, "NAXIS") + 1)]
    if not axes:
        return 0
    if axes[0] == 0 and header.get("GROUPS") is True:  # random groups have no first axis
        axes = axes[1:]
    elements = _count(header, "GCOUNT", 1) * (_count(header, "PCOUNT", 0) + math.prod(axes))
    bits = header["BITPIX"]
    if bits not in (8, 16, 32, 64, -32, -64):
        raise ValueError(f"its header says BITPIX = {bits}")
    return elements * abs(bits) // 8


def _count(header: fits.Header, key: str, default: int | None = None) -> int:
    value = header.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"its header says {key} = {value}")
    return value
