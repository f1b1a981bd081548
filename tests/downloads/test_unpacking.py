"""Archives by somebody else: broken ones, and such as try to leave their folder or to fill the disk."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest

from emopipe.downloads.unpacking import ArchiveError, unpack
from helpers.publisher import packed

FILES = {"wav/a.wav": b"a" * 1000, "wav/b.wav": b"b" * 1000}
SIZE = 2000


def members(*more: tuple[zipfile.ZipInfo | str, bytes], wanted: dict[str, bytes] = FILES) -> bytes:
    """Return a zip file of what is wanted and more, even under names that are there already."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        warnings.simplefilter("ignore", UserWarning)  # of names that occur twice
        for name, content in (*wanted.items(), *more):
            zipped.writestr(name, content)
    return buffer.getvalue()


def special(name: str, kind: int, content: bytes = b"/etc/passwd") -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.create_system = 3  # Unix
    info.external_attr = (kind | 0o777) << 16
    return info, content


def announcing(size: int) -> bytes:
    """Return a zip whose last member announces another size than it has, in both of its headers."""
    content = bytearray(members(wanted={"wav/a.wav": bytes(1000), "wav/b.wav": bytes(10**6)}))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = content.rindex(signature)
        content[start + at : start + at + 4] = struct.pack("<I", size)
    return bytes(content)


def renamed(content: bytes, old: bytes, new: bytes) -> bytes:
    """Return the zip with a name changed in place: zipfile itself would not write it."""
    assert len(old) == len(new) and content.count(old) == 2
    return content.replace(old, new)


def encrypted() -> bytes:
    content = bytearray(members())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.rindex(signature) + at] |= 1
    return bytes(content)


HOSTILE = {
    "parent": (members(("../evil.wav", b"x")), "outside of any folder"),
    "parent in the middle": (members(("wav/../../evil.wav", b"x")), "outside of any folder"),
    "parent above a wanted name": (
        members(("../wav/b.wav", b"b" * 1000), wanted={"wav/a.wav": FILES["wav/a.wav"]}),
        "outside of any folder",
    ),
    "absolute": (members(("/evil.wav", b"x")), "outside of any folder"),
    "Windows drive": (members(("C:/evil.wav", b"x")), "outside of any folder"),
    "backslashes": (renamed(members(("...evil.wav", b"x")), b"...evil.wav", b"..\\evil.wav"), "outside of any folder"),
    "hidden by a zero byte": (renamed(members(("wav/c.wav#../", b"x")), b"c.wav#../", b"c.wav\0../"), "outside of any"),
    "symbolic link": (members(special("wav/c.wav", stat.S_IFLNK)), "a link or a device"),
    "symbolic link as a wanted file": (
        members(special("wav/b.wav", stat.S_IFLNK), wanted={"wav/a.wav": FILES["wav/a.wav"]}),
        "a link or a device",
    ),
    "device": (members(special("wav/null", stat.S_IFCHR, b"")), "a link or a device"),
    "named pipe": (members(special("wav/pipe", stat.S_IFIFO, b"")), "a link or a device"),
    "twice the same name": (members(("wav/a.wav", b"c" * 1000)), "holds wav/a.wav twice"),
    "the same file in two folders": (members(("copy/wav/a.wav", b"c" * 1000)), "holds wav/a.wav twice"),
    "bomb": (members(wanted={"wav/a.wav": bytes(1000), "wav/b.wav": bytes(10**8)}), "holds 100001000 bytes"),
    "bomb that lies about its size": (announcing(1000), "not a whole zip file"),
    "claims more than there is": (announcing(10**9), "holds 1000001000 bytes"),
    "a file too few": (members(wanted={"wav/a.wav": FILES["wav/a.wav"]}), "lacks 1 of 2 files, wav/b.wav"),
    "another case": (members(wanted={"wav/a.wav": b"a" * 1000, "wav/B.WAV": b"b" * 1000}), "lacks 1 of 2 files"),
    "within another archive": (members(("inner.zip", packed(FILES)), wanted={}), "lacks 2 of 2 files"),
    "encrypted": (encrypted(), "encrypted"),
    "cut short": (members()[:-30], "not a whole zip file"),
    "cut short at the beginning": (members()[200:], "not a whole zip file"),
    "no archive": (b"<html>please log in</html>", "not a whole zip file"),
    "empty": (b"", "not a whole zip file"),
}


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives_write_nothing_outside_and_nothing_large(tmp_path, kind):
    content, message = HOSTILE[kind]
    path = tmp_path / "c.zip"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=message):
        unpack(path, list(FILES), SIZE, tmp_path / "deep" / "out")
    path.unlink()
    assert not (tmp_path.parent / "evil.wav").exists() and not Path("/evil.wav").exists()
    left = everything(tmp_path)
    assert all(name.startswith("deep/out/wav/") for name in left) and sum(map(len, left.values())) <= SIZE
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_only_what_is_wanted_is_written_whatever_stands_above_and_beside(tmp_path):
    path = tmp_path / "c.zip"
    others = {"corpus 2.0/WAV/A.WAV": b"x", "corpus 2.0/wav/c.wav": b"x", "__MACOSX/wav/._a.wav": b"x", "run.sh": b"x"}
    path.write_bytes(members(*others.items(), wanted={f"corpus 2.0/{name}": FILES[name] for name in FILES}))
    unpack(path, list(FILES), SIZE, tmp_path / "out")
    assert everything(tmp_path / "out") == FILES


def test_a_flipped_bit_never_passes_for_the_corpus(tmp_path):
    whole = members()
    path, out = tmp_path / "c.zip", tmp_path / "out"
    refused = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        try:
            unpack(path, list(FILES), SIZE, out)
        except ArchiveError:
            refused += 1
        else:
            assert {name: everything(out)[name] for name in FILES} == FILES
    assert refused > len(whole) / 3
