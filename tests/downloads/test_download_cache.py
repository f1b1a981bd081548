"""The cache of downloads: shared by all clones, checked before use, filled by hand, and on a disk that is too small."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emopipe.downloads.cache import fetch_corpus
from emopipe.downloads.release import Archive, File
from emopipe.io.errors import UserError
from helpers.downloads import below, start_client
from helpers.publisher import FILES, ONE, of, packed, single

pytestmark = pytest.mark.usefixtures("cache")


def test_a_second_clone_downloads_nothing(publish):
    server = publish({"a": ONE["one.csv"]})
    first = fetch_corpus("k", single(server, "a"))
    server.die()
    assert fetch_corpus("k", single(server, "a")) == first


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x")])
def test_what_was_changed_in_the_cache_is_noticed(publish, change):
    server = publish({"a": ONE["one.csv"]})
    home = fetch_corpus("k", single(server, "a"))
    change(home / "one.csv")
    with pytest.raises(UserError, match=rf"{home}: 1 of 1 files are missing or changed.*remove the folder"):
        fetch_corpus("k", single(server, "a"))


def test_a_file_put_there_by_hand_is_used_and_a_wrong_one_named(publish, cache):
    server = publish({})
    server.die()
    put = cache / "downloads" / "k" / "one.csv"
    put.parent.mkdir(parents=True)
    put.write_bytes(bytes(50_000))
    with pytest.raises(UserError, match=rf"{put}: sha256 .*; remove it to have it fetched"):
        fetch_corpus("k", single(server, "a"))
    assert put.exists()
    put.write_bytes(ONE["one.csv"])
    assert below(fetch_corpus("k", single(server, "a"))) == ONE


def test_an_archive_put_there_by_hand_comes_first(publish, cache):
    server = publish({})
    server.die()
    sources = [Archive(File(name, (f"{server.url}/{name}",))) for name in ("first.zip", "second.zip")]
    put = cache / "downloads" / "k" / "second.zip"
    put.parent.mkdir(parents=True)
    put.write_bytes(packed(FILES)[:-100])
    with pytest.raises(UserError, match=rf"{put}: not a whole zip file.*remove it"):
        fetch_corpus("k", of(FILES, *sources))
    put.write_bytes(packed(FILES))
    assert below(fetch_corpus("k", of(FILES, *sources))) == FILES


def test_a_full_disk_is_named_and_what_came_is_kept(publish, cache):
    """A limit on the size of files fails a write in the middle, as a full disk does."""
    server = publish({"a": ONE["one.csv"]})
    client = start_client(
        server, "single", "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))"
    )
    _, printed = client.communicate(timeout=60)
    assert client.returncode == 1
    assert "cannot be written (File too large); what was received is kept in" in printed
    assert "EMOPIPE_CACHE" in printed and "Traceback" not in printed
    assert (cache / "downloads" / "k" / "one.csv.part").stat().st_size == 30_000
    assert below(fetch_corpus("k", single(server, "a"))) == ONE
    assert server.asked[-1][1] == "bytes=30000-"


def test_a_disk_that_is_too_small_is_named_before_the_download(publish):
    server = publish({"a": ONE["one.csv"]})
    with pytest.raises(UserError, match=r"1000000000000 MB are needed and \d+ MB are free"):
        fetch_corpus("k", replace(single(server, "a"), size=10**18))
    assert not server.asked


def test_a_cache_that_cannot_be_written(publish, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMOPIPE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory\).*EMOPIPE_CACHE"):
        fetch_corpus("k", single(publish({}), "a"))
