"""Texts are read from files, tables and standard input as they stand there; what cannot be read has a reason."""

from __future__ import annotations

import io
import os
import threading
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emopipe.io.errors import UserError
from emopipe.recognition.texts import LONGEST, Line, Unreadable, _lines, texts


def read(path: Path, content: bytes) -> list[Line]:
    path.write_bytes(content)
    return list(texts([str(path)]))


def test_every_line_is_a_text_and_says_where_it_stands(tmp_path):
    path = tmp_path / "a.txt"
    found = read(path, "\ufeffWhat a day!\r\n\n  größer \n=1+1\nlast".encode())
    assert [line.text for line in found] == ["What a day!", "", "  größer ", "=1+1", "last"]
    assert [line.columns["line"] for line in found] == [1, 2, 3, 4, 5]
    assert all(line.columns == {"file": str(path), "line": i, "text": line.text} for i, line in enumerate(found, 1))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"\r\n\r\n", ["", ""]),
        (b"\xef\xbb\xbf", [""]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a", "\ufeffb"]),  # within a text it is a character
        (b"a\0b\n\0\n", ["a\0b", "\0"]),
        (b"\x01\x1b[31m\x7f\n\x0b\x0c\x1c\n", ["\x01\x1b[31m\x7f", "\x0b\x0c\x1c"]),
        ("a\u2028b\u0085c\n".encode(), ["a\u2028b\u0085c"]),
        (b"a\rb\n", ["a\rb"]),
        (b"a\n\xff\xfe\nb", ["a", Unreadable("line 2: not UTF-8 (byte 1)"), "b"]),
        (b"one\ntwo\nsixteen letters:\xe9\n", ["one", "two", Unreadable("line 3: not UTF-8 (byte 17)")]),
        (b"caf\xc3\n", [Unreadable("line 1: not UTF-8 (byte 4)")]),
        (b"\xed\xa0\x80\n", [Unreadable("line 1: not UTF-8 (byte 1)")]),  # half of a character, as some programs do
    ],
)
def test_lines_of_any_bytes_give_a_text_or_a_reason(tmp_path, content, expected):
    found = read(tmp_path / "a.txt", content)
    assert [line.text for line in found] == expected
    shown = [None if isinstance(text, Unreadable) else text for text in expected]
    assert [line.columns["text"] for line in found] == shown


@given(st.binary(max_size=200).filter(lambda content: not content.startswith((b"\xef", b"\xff", b"\xfe"))))
def test_lines_are_those_between_line_feeds(content):
    found = list(_lines(io.BytesIO(content), "a"))
    *lines, last = content.split(b"\n")
    lines = [*lines, last] if last else lines
    assert len(found) == len(lines)
    for line, expected in zip(found, lines, strict=True):
        if isinstance(line.text, Unreadable):
            with pytest.raises(UnicodeDecodeError):
                expected.decode()
        else:
            assert line.text.encode() == expected.removesuffix(b"\r")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("excess", [0, 1, 2, 3, LONGEST, 2 * LONGEST + 1])
def test_a_line_without_end_is_passed_over(tmp_path, excess, end):
    found = read(tmp_path / "a.txt", b"a\n" + b"x" * (LONGEST + excess) + end + (b"b\n" if end else b""))
    assert [line.columns["line"] for line in found] == [1, 2, 3][: len(found)]
    assert found[0].text == "a" and (found[-1].text == "b") == bool(end)
    if excess == 0:
        assert found[1].text == "x" * LONGEST
    if excess >= 3:
        assert found[1].text == Unreadable("line 2: longer than 1,000,000 bytes")


def test_a_table_keeps_its_columns(tmp_path, capsys):
    path = tmp_path / "t.csv"
    found = read(path, b'sep=;\nid;Transcription;who\n1;What a day!;anna\n2; ;bert\n3;"a;""b""\nc";\n')
    assert [line.text for line in found] == ["What a day!", "", 'a;"b"\nc']
    assert found[0].columns == {"id": "1", "Transcription": "What a day!", "who": "anna"}
    printed = capsys.readouterr()
    assert printed.out == "" and "names the separator" in printed.err  # answers go to the one, notices to the other


def test_several_sources_are_read_in_order_and_line_by_line(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "b.CSV").write_text("text,n\ntwo,2\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"three\n\xff\n"), encoding="ascii"))
    found = list(texts([str(tmp_path / "a.txt"), str(tmp_path / "b.CSV"), "-"]))
    assert [line.text for line in found] == ["one", "two", "three", Unreadable("line 2: not UTF-8 (byte 1)")]
    assert found[2].columns == {"file": "stdin", "line": 1, "text": "three"}


def test_lines_come_as_they_are_written():
    """Another program may be writing them: what is there is answered before it ends."""
    source, sink = os.pipe()
    with os.fdopen(source, "rb") as stream:
        writer = threading.Thread(target=os.write, args=(sink, b"one\ntwo\n"))
        writer.start()
        found = list(islice(_lines(stream, "-"), 2))  # the other end is still open
        writer.join()
    os.close(sink)
    assert [line.text for line in found] == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", None, "a.txt: no such file"),
        ("folder", None, "folder: cannot be read: Is a directory"),
        ("a.csv", None, "a.csv: cannot be read: No such file"),
        ("a.csv", b"who,what\nanna,1\n", "a.csv: no column text, of texts; found who, what"),
        ("a.csv", b"text\ncaf\xe9\n", r"a.csv: not UTF-8 text \(byte 8\); save it as CSV in UTF-8"),
        ("a.txt", "one\ntwo\n".encode("utf-16"), "a.txt: UTF-16 text; save it as UTF-8"),
        ("a.txt", b"\xfe\xff" + "one\n".encode("utf-16-be"), "a.txt: UTF-16 text; save it as UTF-8"),
    ],
)
def test_what_is_no_source_of_texts_is_named(tmp_path, monkeypatch, name, content, message):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(texts([name]))
