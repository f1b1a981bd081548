"""The encoded store: what goes in comes out, whatever its size."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from emopipe.encoding import row_files, store
from emopipe.io.errors import UserError

CONDITIONS = (store.ORIGINAL, "speed=0.9")


def encodings(count, dim=4, layers=3, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(count):
        frames = rng.standard_normal((1 + i % 5, dim)).astype(np.float32)
        statistics = rng.standard_normal((2, layers, dim)).astype(np.float32)
        yield store.StoredEncoding(f"c/u{i // 2}", CONDITIONS[i % 2], frames, statistics)


def halves(values):
    return values.astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("with_frames", [True, False])
@pytest.mark.parametrize("count, shard", [(0, 500), (1, 500), (7, 3), (130, 500), (130, 17), (6, 3), (5, 1)])
def test_what_is_written_is_read(tmp_path, monkeypatch, count, shard, with_frames):
    monkeypatch.setattr(store, "SHARD", shard)
    store.write(tmp_path, encodings(count), 4, 3, {"backbone": {"name": "x"}}, with_frames)
    opened = store.Store(tmp_path)
    assert opened.provenance == {"backbone": {"name": "x"}}
    assert (opened.dim, opened.layers, len(opened.index)) == (4, 3, count)
    assert opened.conditions == list(CONDITIONS[: max(count, 1)])
    for number, written in enumerate(encodings(count)):
        rows = opened.rows([written.utterance], written.condition)
        assert rows.tolist() == [number]
        np.testing.assert_array_equal(opened.statistics(rows)[0], halves(written.statistics))
        assert opened.lengths(rows).tolist() == [len(written.frames)]
        if with_frames:
            np.testing.assert_array_equal(opened.frames(number), halves(written.frames))
        if written.condition == store.ORIGINAL:  # the one that is meant where none is named
            assert opened.rows([written.utterance]).tolist() == [number]
    assert len(list((tmp_path / "shards").iterdir())) == max(1, -(-count // shard))
    together = opened.statistics(np.arange(count)[::-1])  # of all shards, in any order
    expected = [halves(one.statistics) for one in encodings(count)][::-1]
    np.testing.assert_array_equal(together, np.reshape(expected, (count, 2, 3, 4)))
    for written, read in zip(encodings(count), opened.encodings(), strict=True):
        assert (read.utterance, read.condition, len(read.frames)) == (*written[:2], len(written.frames))
        np.testing.assert_array_equal(read.statistics, halves(written.statistics))
        if with_frames:
            np.testing.assert_array_equal(read.frames, halves(written.frames))


def test_a_store_without_frames_has_no_file_of_them_and_says_so(tmp_path):
    store.write(tmp_path, encodings(4), 4, 3, {})
    store.write(tmp_path, encodings(4), 4, 3, {}, with_frames=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoding.json", "index.csv", "shards"]
    assert [path.name for path in (tmp_path / "shards/00000").iterdir()] == ["statistics.npy"]
    with pytest.raises(UserError, match=r"made without frames, for model\.features: frozen; run `dvc repro encode`"):
        store.Store(tmp_path).frames(0)


def test_the_files_are_plain_numpy_and_the_same_every_time(tmp_path):
    for name in ("a", "b"):
        store.write(tmp_path / name, encodings(12), 4, 3, {})
    shard = Path("shards/00000")
    for file in (shard / "frames.npy", shard / "statistics.npy", "index.csv", "encoding.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert np.load(tmp_path / "a" / shard / "frames.npy", allow_pickle=False).shape == (
        sum(1 + i % 5 for i in range(12)),
        4,
    )


def test_values_beyond_float16_are_refused_by_name(tmp_path):
    loud = store.StoredEncoding("c/loud", store.ORIGINAL, np.full((1, 4), 1e5, np.float32), np.zeros((2, 3, 4)))
    with pytest.raises(UserError, match=r"c/loud: the encoder's output does not fit float16 .*1e\+05"):
        store.write(tmp_path, [loud], 4, 3, {})


def test_an_unknown_utterance_is_named(tmp_path):
    store.write(tmp_path, encodings(1), 4, 3, {})
    for names in (["c/none"], ["c/u0", "c/none"]):
        with pytest.raises(UserError, match="no encoding of c/none; run `dvc repro encode`"):
            store.Store(tmp_path).rows(names)
    with pytest.raises(UserError, match="no encoding of c/u0"):
        store.Store(tmp_path).rows(["c/u0"], "speed=0.9")


def test_more_shards_than_files_a_process_may_open_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SHARD", 1)
    store.write(tmp_path, encodings(150), 4, 3, {})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 50, hard))
    monkeypatch.setattr(row_files, "OPEN", 20)
    try:
        opened = store.Store(tmp_path)
        read = [(opened.frames(row), opened.statistics(np.array([row]))[0]) for row in range(150)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for (frames, statistics), written in zip(read, encodings(150), strict=True):
        np.testing.assert_array_equal(frames, halves(written.frames))
        np.testing.assert_array_equal(statistics, halves(written.statistics))


def test_a_file_that_is_cut_short_is_refused_by_name(tmp_path):
    store.write(tmp_path, encodings(4), 4, 3, {})
    path = tmp_path / "shards/00000/statistics.npy"
    path.write_bytes(path.read_bytes()[:-1])
    opened = store.Store(tmp_path)
    assert opened.statistics(np.arange(3)).shape == (3, 2, 3, 4)
    with pytest.raises(UserError, match=r"shards/00000/statistics\.npy: cut short; run `dvc repro --force encode`"):
        opened.statistics(np.arange(4))
