"""Public archives: what one holds, and how it comes into a folder whole or not at all."""

from hiexp.archives.cds import expand, file_summary, listed, numbered, tables
from hiexp.archives.store import Store, open_store
from hiexp.archives.transfer import Result, Server, fetch

__all__ = [
    "Result",
    "Server",
    "Store",
    "expand",
    "fetch",
    "file_summary",
    "listed",
    "numbered",
    "open_store",
    "tables",
]
