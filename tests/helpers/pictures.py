"""What pictures are tested with: odd names, and whether all words on them can be read."""

from itertools import combinations

ODD_NAMES = [
    "$NGC_{1234}$ & \\frac{1}{2} ^x",
    "a_very_long_name_" * 8,
    "UGC 1\x1b[31m\ttab\nbreak \\alpha $ 银河",
    "$\\undefined{$",
    "100% #~",
]


def assert_legible(written):
    """Words neither overlap nor leave the page."""
    assert written
    for words, page in written:
        for one, place in words:
            inside = page.padded(1)
            assert inside.x0 <= place.x0 <= place.x1 <= inside.x1, one
            assert inside.y0 <= place.y0 <= place.y1 <= inside.y1, one
        for (one, place), (other, there) in combinations(words, 2):
            assert not place.padded(-1).overlaps(there.padded(-1)), (one, other)
