"""Files are read whole or refused: gzip with its checksums, nothing that is no file, nothing without bounds."""

import gzip
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiexp.datasets import read_alfalfa, read_arrays, read_cig
from hiexp.datasets.files import read_content
from hiexp.errors import InputError


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / "content.gz"


@given(content=st.binary(max_size=300), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_gives_other_content(file, content, place, bit):
    damaged = bytearray(gzip.compress(content, mtime=0))
    damaged[int(place * len(damaged))] ^= 1 << bit
    file.write_bytes(damaged)
    try:
        read = read_content(file)
    except InputError as error:
        assert "content.gz" in str(error)
    else:
        # Without its two first bytes it is no gzip file, and nothing that its readers take for one of theirs.
        assert read in (content, damaged)


@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4), padding=st.integers(0, 600))
def test_members_and_padding_are_gzip(file, parts, padding):
    file.write_bytes(b"".join(map(gzip.compress, parts)) + bytes(padding))
    assert read_content(file) == b"".join(parts)


@given(content=st.binary(max_size=300), cut=st.floats(0, 1, exclude_max=True), tail=st.binary(min_size=1, max_size=9))
def test_what_is_cut_short_or_has_something_behind_is_refused(file, content, cut, tail):
    whole = gzip.compress(content)
    file.write_bytes(whole[: 3 + int(cut * (len(whole) - 3))])
    with pytest.raises(InputError, match="damaged"):
        read_content(file)
    file.write_bytes(whole + b"x" + tail)
    with pytest.raises(InputError, match="damaged"):
        read_content(file)


def test_sizes_are_bounded_before_and_after_decompression(file):
    file.write_bytes(bytes(1000))
    assert len(read_content(file, most=1000)) == 1000
    with pytest.raises(InputError, match="holds more than"):
        read_content(file, most=999)
    file.write_bytes(gzip.compress(bytes(10**6)))
    with pytest.raises(InputError, match="holds more than"):
        read_content(file, most=10**6 - 1)


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"hello")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_content(tmp_path / "link") == b"hello"
    for name, said in {
        "pipe": "a named pipe, and no regular file",
        "nowhere": "No such file",
        "loop": "symbolic link",
        "": "Is a directory",
        "null\0": "null",
        "/dev/zero": "a device",
    }.items():
        with pytest.raises(InputError, match=said):
            read_content(tmp_path / name)


@pytest.mark.parametrize("reader", [read_alfalfa, read_arrays, read_cig])
def test_a_name_that_no_file_can_have_is_said(reader):
    with pytest.raises(
        InputError, match=r"dataset\.path=a{300} cannot be read: File name too long; correct the path"
    ):
        reader("a" * 300)
