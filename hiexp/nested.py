"""Settings inside settings."""

from __future__ import annotations

from collections.abc import Iterator


def leaves(node: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Yield every value of nested dicts with its dotted key."""
    if isinstance(node, dict) and node:
        for name, child in node.items():
            yield from leaves(child, f"{key}.{name}" if key else str(name))
    else:
        yield key, node
