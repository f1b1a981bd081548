"""Downloads of corpora, from a server on this machine that fails as real ones do."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from emopipe.downloads import transfer
from emopipe.downloads.cache import UnavailableError, fetch_corpus
from emopipe.downloads.release import Archive, File, Files
from helpers.downloads import RELEASES, below, start_client
from helpers.publisher import (
    FILES,
    ONE,
    PIECE,
    Faults,
    archive,
    at,
    contents,
    fingerprint,
    of,
    packed,
    served,
    single,
)

pytestmark = pytest.mark.usefixtures("cache")


# ---- a connection that breaks


@pytest.mark.parametrize("key", RELEASES)
def test_a_server_that_is_killed_three_times_costs_nothing_twice(key, publish, cache):
    release = RELEASES[key]
    files = contents(tuple(release.checksums)[:82], 12_000)
    paths, small = served(release, files, below="published/")
    size = len(next(iter(paths.values()))) if isinstance(small.sources[0], Archive) else sum(map(len, files.values()))
    server = publish(paths, deaths=[size // 4, size // 2, size * 3 // 4])
    home = fetch_corpus(key, at(server, small))
    assert below(home) == files
    assert server.died == 3
    assert server.sent < 1.2 * size
    assert any(wanted for _, wanted, _ in server.asked)
    assert sorted(path.name for path in (cache / "downloads").iterdir()) == [f"{key}.lock"]


def test_a_server_that_stays_away_is_named_and_the_next_run_goes_on(publish, cache, monkeypatch):
    monkeypatch.setattr(transfer, "WAITS", (0.01,))
    server = publish({"a": ONE["one.csv"]}, deaths=[30_000], down=-1)
    with pytest.raises(UnavailableError, match=rf"(?s){server.url}/a: connection failed \(.*put one\.csv into {cache}"):
        fetch_corpus("k", single(server, "a"))
    part = cache / "downloads" / "k" / "one.csv.part"
    kept = part.stat().st_size
    assert kept == 15 * PIECE and not (cache / "corpora").exists()
    server.revive()
    assert below(fetch_corpus("k", single(server, "a"))) == ONE
    assert server.asked[-1][1] == f"bytes={kept}-"


def test_a_server_that_never_was_there_fails_soon(publish):
    server = publish({})
    server.die()
    start = time.monotonic()
    with pytest.raises(UnavailableError, match="Connection refused"):
        fetch_corpus("k", single(server, "a", "b"))
    assert time.monotonic() - start < 2


def test_a_killed_client_goes_on_where_it_was(publish, cache):
    """A real kill -9, three times."""
    content = packed(FILES)
    server = publish({"a": content}, pause=0.03)
    part = cache / "downloads" / "k" / "c.zip.part"
    for _ in range(3):
        before = part.stat().st_size if part.exists() else 0
        client = start_client(server, "archive")
        while not part.exists() or part.stat().st_size < before + 8_000:
            assert client.poll() is None
            time.sleep(0.005)
        client.send_signal(signal.SIGKILL)
        client.wait()
    server.faults.pause = 0
    assert below(fetch_corpus("k", archive(server, "a"))) == FILES
    assert server.sent < 2 * len(content)
    assert all(wanted for _, wanted, _ in server.asked[1:])


def test_two_processes_fetch_once(publish, cache):
    server = publish({"a": packed(FILES)}, gate=threading.Event())
    first = start_client(server, "archive")
    assert "fetching" in first.stdout.readline()
    second = start_client(server, "archive")
    assert "another process is fetching it; waiting" in second.stdout.readline()
    server.faults.gate.set()
    assert [client.wait(60) for client in (first, second)] == [0, 0]
    assert len(server.asked) == 1
    assert below(cache / "corpora" / "k") == FILES


# ---- servers with manners of their own


def test_a_server_that_ignores_ranges_begins_anew(publish):
    server = publish({"a": ONE["one.csv"]}, deaths=[30_000], ranges=False)
    assert below(fetch_corpus("k", single(server, "a"))) == ONE
    assert server.died == 1 and server.sent > 70_000


def test_a_file_that_changed_meanwhile_is_fetched_anew(publish, monkeypatch):
    """Without a checksum, only If-Range tells that the halves would not fit."""
    monkeypatch.setattr(transfer, "WAITS", (0.01,))
    server = publish({"a": packed(contents(tuple(FILES), 21_000))}, deaths=[30_000], down=-1)
    with pytest.raises(UnavailableError):
        fetch_corpus("k", archive(server, "a"))
    server.files["a"] = packed(FILES)
    server.revive()
    assert below(fetch_corpus("k", archive(server, "a"))) == FILES
    assert server.asked[-1][1:] != ("", "") and server.sent > 30_000 + len(packed(FILES))


def test_a_whole_part_of_unknown_size_is_recognised(publish, cache):
    """Killed between the last byte and the new name."""
    part = cache / "downloads" / "k" / "c.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(packed(FILES))
    server = publish({"a": packed(FILES)})
    assert below(fetch_corpus("k", archive(server, "a"))) == FILES
    assert server.sent == 0


@pytest.mark.parametrize("junk", [10_000, 50_000, 60_000])
def test_a_wrong_part_is_thrown_away(publish, cache, junk):
    part = cache / "downloads" / "k" / "one.csv.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * junk)
    server = publish({"a": ONE["one.csv"]})
    assert below(fetch_corpus("k", single(server, "a"))) == ONE


def test_passing_errors_pass(publish):
    server = publish({"a": ONE["one.csv"]}, statuses={"a": [503, 429]})
    assert below(fetch_corpus("k", single(server, "a"))) == ONE


def test_a_length_that_is_not_announced(publish):
    server = publish({"a": ONE["one.csv"]}, length=False)
    assert below(fetch_corpus("k", single(server, "a"))) == ONE


# ---- servers that lie


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"lie": {"a": 49_000}}, "announces 49000 bytes; the published file has 50000"),
        ({"lie": {"a": 10**12}}, "announces 1000000000000 bytes; the published file has 50000"),
        ({"endless": True, "pause": 0.01}, "sends more than 50000 bytes"),
        ({"encoding": "gzip"}, "compresses it by gzip"),
        ({"statuses": {"a": [404]}}, "status 404 Not Found"),
    ],
)
def test_lies_are_refused_and_the_mirror_is_tried(publish, faults, message):
    liar, honest = publish({"a": ONE["one.csv"]}, **faults), publish({"a": ONE["one.csv"]})
    with pytest.raises(UnavailableError, match=message):
        fetch_corpus("k", single(liar, "a"))
    assert liar.sent < 60_000  # of an endless one, what was on its way when it was found out: it pauses
    liar.faults = Faults(**faults)
    both = (f"{liar.url}/a", f"{honest.url}/a")
    assert below(fetch_corpus("k", single(liar, "a", urls=both))) == ONE


def test_a_server_that_sends_less_than_it_announces(publish, monkeypatch):
    monkeypatch.setattr(transfer, "WAITS", (0.01, 0.01))
    server = publish({"a": ONE["one.csv"][:40_000]}, lie={"a": 50_000}, ranges=False)
    monkeypatch.setattr(transfer, "TIMEOUT", (1, 0.1))
    with pytest.raises(UnavailableError, match="Read timed out"):
        fetch_corpus("k", single(server, "a"))


def test_an_unknown_size_has_a_limit(publish):
    server = publish({"a": packed(FILES)}, pause=0.01)
    with pytest.raises(UnavailableError, match="no more than 1000 are expected"):
        fetch_corpus("k", archive(server, "a", limit=1000))
    server.faults.endless = True
    with pytest.raises(UnavailableError, match="sends more than 1000 bytes"):
        fetch_corpus("k", archive(server, "a", limit=1000))
    assert server.sent < 100_000


def test_wrong_bytes_are_named_by_their_checksum_and_go(publish, cache):
    wrong = bytes(50_000)
    server = publish({"a": wrong, "b": ONE["one.csv"]})
    with pytest.raises(UnavailableError, match=f"/a: sha256 {fingerprint(wrong)}; that of the published file is"):
        fetch_corpus("k", single(server, "a"))
    assert not (cache / "corpora").exists()
    assert not list((cache / "downloads" / "k").glob("*.csv*"))
    assert below(fetch_corpus("k", single(server, "a", "b"))) == ONE
    assert [path for path, *_ in server.asked] == ["a", "a", "b"]


def test_an_archive_with_other_recordings_gives_way_to_the_next_source(publish, cache):
    other = FILES | {"wav/b.wav": bytes(20_000)}
    more = {f"new/wav/{name}.wav": b"more" for name in "xyz"} | {f"new/{name}": FILES[name] for name in FILES}
    server = publish({"old.zip": packed(other), "new.zip": packed(more)})
    sources = [Archive(File(name, (f"{server.url}/{name}",), limit=10**6)) for name in ("old.zip", "new.zip")]
    with pytest.raises(UnavailableError, match=r"old\.zip: 1 of 3 files are not the published ones"):
        fetch_corpus("k", of(FILES, sources[0]))
    assert below(fetch_corpus("k", of(FILES, *sources))) == FILES


def test_of_many_files_those_that_are_wrong_are_fetched_again(publish, cache):
    names = tuple(f"wav/{actor}_{k}.wav" for actor in (1, 2, 3) for k in range(4))
    files = contents(names, 3000)
    server = publish(files)
    release = of(files, Files(tuple(File(name, (f"{server.url}/{name}",)) for name in names)))
    here = cache / "downloads" / "k" / "wav"
    here.mkdir(parents=True)
    (here / "2_1.wav").write_bytes(b"wrong")
    assert below(fetch_corpus("k", release)) == files
    assert sorted(path for path, *_ in server.asked) == sorted(names)  # the wrong one after the others
    assert server.asked[-1][0] == "wav/2_1.wav"
    server.files["wav/3_3.wav"] = b"for good"
    with pytest.raises(UnavailableError, match=r"1 files are not the published ones: wav/3_3\.wav \.\.\."):
        fetch_corpus("other", release)


def test_a_socks_proxy_without_its_package_is_told_by_name(publish, cache, monkeypatch):
    monkeypatch.setattr(transfer, "WAITS", (0.01,))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="Missing dependencies for SOCKS support"):
        fetch_corpus("k", single(publish({"a": ONE["one.csv"]}), "a"))
