"""The encoded store: what goes in comes out, whatever its size."""

from __future__ import annotations

import numpy as np
import pytest

from emopipe.encoding import store
from emopipe.io.errors import UserError


def encodings(count, dim=4, layers=3, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(count):
        frames = rng.standard_normal((1 + i % 5, dim)).astype(np.float32)
        statistics = rng.standard_normal((2, layers, dim)).astype(np.float32)
        yield store.Encoding(f"c/u{i // 2}", (1.0, 0.9)[i % 2], frames, statistics)


@pytest.mark.parametrize("count", [0, 1, 7, 130])
def test_what_is_written_is_read(tmp_path, count):
    store.write(tmp_path, encodings(count), 4, 3, {"backbone": {"name": "x"}})
    opened = store.Store(tmp_path)
    assert (opened.dim, opened.layers, len(opened.index)) == (4, 3, count)
    assert opened.speeds == [1.0, 0.9][: max(count, 1)]
    for utterance, speed, frames, statistics in encodings(count):
        key, halves = (utterance, speed), statistics.astype(np.float16)
        np.testing.assert_array_equal(opened.frames(*key), frames.astype(np.float16).astype(np.float32))
        np.testing.assert_array_equal(opened.statistics(*key), halves.astype(np.float32))
        assert opened.length(*key) == len(frames)
        if speed == 1.0:  # what is had without asking
            np.testing.assert_array_equal(opened.statistics(utterance), halves.astype(np.float32))


def test_the_files_are_plain_numpy_and_the_same_every_time(tmp_path):
    for name in ("a", "b"):
        store.write(tmp_path / name, encodings(12), 4, 3, {})
    for file in ("frames.npy", "layers.npy", "index.csv", "encoding.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert np.load(tmp_path / "a" / "frames.npy", allow_pickle=False).shape == (sum(1 + i % 5 for i in range(12)), 4)


def test_values_beyond_float16_are_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"c/loud: the encoder's output does not fit float16 .*1e\+05"):
        store.write(
            tmp_path, [store.Encoding("c/loud", 1.0, np.full((1, 4), 1e5, np.float32), np.zeros((2, 3, 4)))], 4, 3, {}
        )


def test_an_unknown_utterance_is_named(tmp_path):
    store.write(tmp_path, encodings(1), 4, 3, {})
    with pytest.raises(UserError, match="no encoding of c/none; run `dvc repro encode`"):
        store.Store(tmp_path).frames("c/none")
