"""Downloads of corpora, from a server on this machine that fails as real ones do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from closure import ROOT
from publisher import (
    FILES,
    ONE,
    PIECE,
    Faults,
    Publisher,
    archive,
    at,
    contents,
    fingerprint,
    of,
    packed,
    served,
    single,
)
from stages.contracts.errors import UserError
from stages.corpora import crema_d_release, emobank, emodb_release, meld, ravdess
from stages.downloads import transfer
from stages.downloads.obtaining import UnavailableError, obtain
from stages.downloads.release import Archive, File, Files, digest, fingerprints

RELEASES = {
    "crema_d": crema_d_release.RELEASE,
    "emobank": emobank.RELEASE,
    "emodb": emodb_release.RELEASE,
    "meld": meld.RELEASE,
    "ravdess": ravdess.RELEASE,
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("EMOPIPE_CACHE", str(folder))
    monkeypatch.setattr(transfer, "WAITS", (0.02,) * 100)
    monkeypatch.setattr(transfer, "CHUNK", 1024)  # what is lost with a connection, at most
    return folder


@pytest.fixture
def publish():
    """Return a function that starts a server."""
    servers = []

    def start(files, **faults):
        servers.append(Publisher(files, **faults))
        return servers[-1]

    yield start
    for server in servers:
        server.die()


def below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- a connection that breaks


@pytest.mark.parametrize("key", RELEASES)
def test_a_server_that_is_killed_three_times_costs_nothing_twice(key, publish, cache):
    release = RELEASES[key]
    files = contents(release.names[:82], 12_000)
    paths, small = served(release, files, below="published/")
    size = len(next(iter(paths.values()))) if isinstance(small.sources[0], Archive) else sum(map(len, files.values()))
    server = publish(paths, deaths=[size // 4, size // 2, size * 3 // 4])
    home = obtain(key, at(server, small))
    assert below(home) == files
    assert server.died == 3
    assert server.sent < 1.2 * size
    assert any(wanted for _, wanted, _ in server.asked)
    assert sorted(path.name for path in (cache / "downloads").iterdir()) == [f"{key}.lock"]


def test_a_server_that_stays_away_is_said_and_the_next_run_goes_on(publish, cache, monkeypatch):
    monkeypatch.setattr(transfer, "WAITS", (0.01,))
    server = publish({"a": ONE["one.csv"]}, deaths=[30_000], down=-1)
    with pytest.raises(UnavailableError, match=rf"(?s){server.url}/a: connection failed \(.*put one\.csv into {cache}"):
        obtain("k", single(server, "a"))
    part = cache / "downloads" / "k" / "one.csv.part"
    kept = part.stat().st_size
    assert kept == 15 * PIECE and not (cache / "corpora").exists()
    server.revive()
    assert below(obtain("k", single(server, "a"))) == ONE
    assert server.asked[-1][1] == f"bytes={kept}-"


def test_a_server_that_never_was_there_fails_soon(publish):
    server = publish({})
    server.die()
    start = time.monotonic()
    with pytest.raises(UnavailableError, match="Connection refused"):
        obtain("k", single(server, "a", "b"))
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
    assert below(obtain("k", archive(server, "a"))) == FILES
    assert server.sent < 2 * len(content)
    assert all(wanted for _, wanted, _ in server.asked[1:])


def start_client(server: Publisher, kind: str, before: str = "") -> subprocess.Popen:
    """Start another process that fetches what this one would, after some code of its own."""
    code = (
        "import sys\n"
        "from types import SimpleNamespace\n"
        "import publisher\n"
        "from stages.contracts.errors import run\n"
        "from stages.downloads import obtaining, transfer\n"
        "transfer.CHUNK = 1024\n"
        f"{before}\n"
        f"release = publisher.{kind}(SimpleNamespace(url=sys.argv[1]), 'a')\n"
        "run(lambda: obtaining.obtain('k', release))\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-c", code, server.url]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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
    assert below(obtain("k", single(server, "a"))) == ONE
    assert server.died == 1 and server.sent > 70_000


def test_a_file_that_changed_meanwhile_is_fetched_anew(publish, monkeypatch):
    """Without a checksum, only If-Range tells that the halves would not fit."""
    monkeypatch.setattr(transfer, "WAITS", (0.01,))
    server = publish({"a": packed(contents(tuple(FILES), 21_000))}, deaths=[30_000], down=-1)
    with pytest.raises(UnavailableError):
        obtain("k", archive(server, "a"))
    server.files["a"] = packed(FILES)
    server.revive()
    assert below(obtain("k", archive(server, "a"))) == FILES
    assert server.asked[-1][1:] != ("", "") and server.sent > 30_000 + len(packed(FILES))


def test_a_whole_part_of_unknown_size_is_recognised(publish, cache):
    """Killed between the last byte and the new name."""
    part = cache / "downloads" / "k" / "c.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(packed(FILES))
    server = publish({"a": packed(FILES)})
    assert below(obtain("k", archive(server, "a"))) == FILES
    assert server.sent == 0


@pytest.mark.parametrize("junk", [10_000, 50_000, 60_000])
def test_a_wrong_part_is_thrown_away(publish, cache, junk):
    part = cache / "downloads" / "k" / "one.csv.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * junk)
    server = publish({"a": ONE["one.csv"]})
    assert below(obtain("k", single(server, "a"))) == ONE


def test_passing_errors_pass(publish):
    server = publish({"a": ONE["one.csv"]}, statuses={"a": [503, 429]})
    assert below(obtain("k", single(server, "a"))) == ONE


def test_a_length_that_is_not_announced(publish):
    server = publish({"a": ONE["one.csv"]}, length=False)
    assert below(obtain("k", single(server, "a"))) == ONE


# ---- servers that lie


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"lie": {"a": 49_000}}, "announces 49000 bytes; the published file has 50000"),
        ({"lie": {"a": 10**12}}, "announces 1000000000000 bytes; the published file has 50000"),
        ({"endless": True}, "sends more than 50000 bytes"),
        ({"encoding": "gzip"}, "compresses it by gzip"),
        ({"statuses": {"a": [404]}}, "status 404 Not Found"),
    ],
)
def test_lies_are_refused_and_the_mirror_is_tried(publish, faults, message):
    liar, honest = publish({"a": ONE["one.csv"]}, **faults), publish({"a": ONE["one.csv"]})
    with pytest.raises(UnavailableError, match=message):
        obtain("k", single(liar, "a"))
    assert liar.sent < 60_000
    liar.faults = Faults(**faults)
    both = (f"{liar.url}/a", f"{honest.url}/a")
    assert below(obtain("k", single(liar, "a", urls=both))) == ONE


def test_a_server_that_sends_less_than_it_announces(publish, monkeypatch):
    monkeypatch.setattr(transfer, "WAITS", (0.01, 0.01))
    server = publish({"a": ONE["one.csv"][:40_000]}, lie={"a": 50_000}, ranges=False)
    monkeypatch.setattr(transfer, "TIMEOUT", (1, 0.1))
    with pytest.raises(UnavailableError, match="Read timed out"):
        obtain("k", single(server, "a"))


def test_an_unknown_size_has_a_limit(publish):
    server = publish({"a": packed(FILES)})
    with pytest.raises(UnavailableError, match="no more than 1000 are expected"):
        obtain("k", archive(server, "a", limit=1000))
    server.faults.endless = True
    with pytest.raises(UnavailableError, match="sends more than 1000 bytes"):
        obtain("k", archive(server, "a", limit=1000))
    assert server.sent < 100_000


def test_wrong_bytes_are_named_by_their_checksum_and_go(publish, cache):
    wrong = bytes(50_000)
    server = publish({"a": wrong, "b": ONE["one.csv"]})
    with pytest.raises(UnavailableError, match=f"/a: sha256 {fingerprint(wrong)}; that of the published file is"):
        obtain("k", single(server, "a"))
    assert not (cache / "corpora").exists()
    assert not list((cache / "downloads" / "k").glob("*.csv*"))
    assert below(obtain("k", single(server, "a", "b"))) == ONE
    assert [path for path, *_ in server.asked] == ["a", "a", "b"]


def test_an_archive_with_other_recordings_gives_way_to_the_next_source(publish, cache):
    other = FILES | {"wav/b.wav": bytes(20_000)}
    more = {f"new/wav/{name}.wav": b"more" for name in "xyz"} | {f"new/{name}": FILES[name] for name in FILES}
    server = publish({"old.zip": packed(other), "new.zip": packed(more)})
    sources = [Archive(File(name, (f"{server.url}/{name}",), limit=10**6)) for name in ("old.zip", "new.zip")]
    with pytest.raises(UnavailableError, match=r"old\.zip: 3 of 3 files are not the published ones"):
        obtain("k", of(FILES, sources[0]))
    assert below(obtain("k", of(FILES, *sources))) == FILES


def test_of_many_files_those_that_are_wrong_are_fetched_again(publish, cache):
    names = tuple(f"wav/{actor}_{k}.wav" for actor in (1, 2, 3) for k in range(4))
    files = contents(names, 3000)
    parts = {
        f"wav/{actor}": digest({n: fingerprint(c) for n, c in files.items() if n.startswith(f"wav/{actor}")})[:8]
        for actor in (1, 2, 3)
    }
    server = publish(files)
    release = of(files, Files(tuple(File(name, (f"{server.url}/{name}",)) for name in names)), parts=parts)
    here = cache / "downloads" / "k" / "wav"
    here.mkdir(parents=True)
    (here / "2_1.wav").write_bytes(b"wrong")
    assert below(obtain("k", release)) == files
    asked = [path for path, *_ in server.asked]
    assert sorted(asked) == sorted([n for n in names if n != "wav/2_1.wav"] + [n for n in names if "/2_" in n])
    server.files["wav/3_3.wav"] = b"for good"
    with pytest.raises(UnavailableError, match=r"4 files are not the published ones: wav/3_0\.wav \.\.\."):
        obtain("other", release)


# ---- the cache


def test_a_second_clone_downloads_nothing(publish):
    server = publish({"a": ONE["one.csv"]})
    first = obtain("k", single(server, "a"))
    server.die()
    assert obtain("k", single(server, "a")) == first


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x")])
def test_what_was_changed_in_the_cache_is_noticed(publish, change):
    server = publish({"a": ONE["one.csv"]})
    home = obtain("k", single(server, "a"))
    change(home / "one.csv")
    with pytest.raises(UserError, match=rf"{home}: 1 of 1 files are missing or changed.*remove the folder"):
        obtain("k", single(server, "a"))


def test_a_file_put_there_by_hand_is_used_and_a_wrong_one_named(publish, cache):
    server = publish({})
    server.die()
    put = cache / "downloads" / "k" / "one.csv"
    put.parent.mkdir(parents=True)
    put.write_bytes(bytes(50_000))
    with pytest.raises(UserError, match=rf"{put}: sha256 .*; remove it to have it fetched"):
        obtain("k", single(server, "a"))
    assert put.exists()
    put.write_bytes(ONE["one.csv"])
    assert below(obtain("k", single(server, "a"))) == ONE


def test_an_archive_put_there_by_hand_comes_first(publish, cache):
    server = publish({})
    server.die()
    sources = [Archive(File(name, (f"{server.url}/{name}",))) for name in ("first.zip", "second.zip")]
    put = cache / "downloads" / "k" / "second.zip"
    put.parent.mkdir(parents=True)
    put.write_bytes(packed(FILES)[:-100])
    with pytest.raises(UserError, match=rf"{put}: not a whole zip file.*remove it"):
        obtain("k", of(FILES, *sources))
    put.write_bytes(packed(FILES))
    assert below(obtain("k", of(FILES, *sources))) == FILES


def test_a_full_disk_is_said_and_what_came_is_kept(publish, cache):
    """A limit on the size of files fails a write in the middle, as a full disk does."""
    server = publish({"a": ONE["one.csv"]})
    client = start_client(
        server, "single", "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))"
    )
    _, said = client.communicate(timeout=60)
    assert client.returncode == 1
    assert "cannot be written (File too large); what has come is kept in" in said
    assert "EMOPIPE_CACHE" in said and "Traceback" not in said
    assert (cache / "downloads" / "k" / "one.csv.part").stat().st_size == 30_000
    assert below(obtain("k", single(server, "a"))) == ONE
    assert server.asked[-1][1] == "bytes=30000-"


def test_a_disk_that_is_too_small_is_said_before_the_download(publish):
    server = publish({"a": ONE["one.csv"]})
    with pytest.raises(UserError, match=r"1000000000000 MB are needed and \d+ MB are free"):
        obtain("k", replace(single(server, "a"), size=10**18))
    assert not server.asked


def test_a_cache_that_cannot_be_written(publish, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMOPIPE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory\).*EMOPIPE_CACHE"):
        obtain("k", single(publish({}), "a"))


# ---- what is pinned


@pytest.mark.parametrize(
    ("key", "names", "folder"),
    [("emodb", "emodb535", "wav/"), ("ravdess", "ravdess1440", ""), ("crema_d", "crema_d", "AudioWAV/")],
)
def test_names_sizes_and_digests_are_those_of_the_published_recordings(shared, key, names, folder):
    lines = shared(f"reference/checksums/{names}.sha256.tsv").read_text().splitlines()
    found = {folder + name: (sha256, int(size)) for sha256, size, name in (line.split("\t") for line in lines)}
    release = RELEASES[key]
    assert set(release.names) == set(found) and len(release.names) == len(found)
    assert release.size == sum(size for _, size in found.values())
    assert release.digest == digest({name: sha256 for name, (sha256, _) in found.items()})
    for prefix, first in release.parts.items():
        part = {name: sha256 for name, (sha256, _) in found.items() if name.startswith(prefix)}
        assert digest(part).startswith(first) and len(first) == 8
    assert key != "crema_d" or len(release.parts) == 91


@pytest.mark.parametrize("key", ["emobank", "meld"])
def test_the_real_text_corpora_are_the_published_ones(shared, key):
    folder, release = shared(f"data/{key}"), RELEASES[key]
    assert release.mismatched(folder) == []
    assert release.size == sum((folder / name).stat().st_size for name in release.names)
    for file in release.sources[0].files:
        assert file.size == (folder / file.name).stat().st_size
        assert file.checksum == f"sha256:{fingerprints(folder, [file.name])[file.name]}"


@pytest.mark.parametrize("key", RELEASES)
def test_what_is_pinned_hangs_together(key):
    release = RELEASES[key]
    assert len({name.lower() for name in release.names}) == len(release.names)
    for source in release.sources:
        files = [source.file] if isinstance(source, Archive) else source.files
        assert isinstance(source, Archive) or {file.name for file in files} == set(release.names)
        for file in files:
            assert file.urls and all(url.startswith(("https://", "http://emodb.bilderbar.info/")) for url in file.urls)


def test_the_digest_is_that_of_what_sha256sum_prints(tmp_path):
    (tmp_path / "wav").mkdir()
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    said = subprocess.run(["sha256sum", *sorted(FILES)], cwd=tmp_path, capture_output=True, check=True).stdout
    assert fingerprint(said) == of(FILES).digest == digest(fingerprints(tmp_path, tuple(FILES)))
