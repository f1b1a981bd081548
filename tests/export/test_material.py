"""An export is compared on the test set of the pipeline that the model lies in, or on what is named."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import soundfile
import soxr

from emopipe.export import material
from emopipe.export.text import transcripts
from emopipe.io.errors import UserError
from emopipe.schemas import splits
from helpers.clips import clip


def test_the_test_set_of_the_pipeline_that_the_model_lies_in(small_corpus, tmp_path):
    rows = splits.read_audio(small_corpus / splits.AUDIO)
    test = rows[rows["split"] == "test"]
    for model, where in ((small_corpus / "models/audio", tmp_path), (material.Path("models/audio"), small_corpus)):
        with contextlib.chdir(where), material.recordings(model, None) as found:
            assert found.name == "the test set of data/splits/audio.csv"
            assert found.truth["utterance"].tolist() == test["utterance"].tolist()
            expected = [small_corpus / f"data/audio/{name}.flac" for name in test["utterance"]]
            assert [path.resolve() for path in found.items] == [path.resolve() for path in expected]
            assert material.corpora(model, splits.AUDIO) == ["synthetic"]
    with pytest.raises(
        UserError, match=r"models/audio: no data/splits/audio\.csv and .* beside it .*: --verify RECORD"
    ):
        material.recordings(tmp_path / "models/audio", None).__enter__()
    with pytest.raises(
        UserError, match=r"models/text: no data/splits/text\.csv beside it to compare on; .*--verify TEXTS"
    ):
        transcripts(tmp_path / "models/text", None)
    assert material.corpora(tmp_path / "models/audio", splits.AUDIO) == []


def test_recordings_of_any_kind_are_converted_for_the_while_and_those_without_sound_are_left_out(tmp_path):
    sound = clip(30_000, 1).numpy()
    for name, samples, rate in (
        ("a.wav", soxr.resample(np.column_stack([sound, sound]), 16_000, 44_100), 44_100),
        ("b.flac", sound, 16_000),
        ("silence.wav", np.zeros(9_000), 16_000),
        ("short.wav", sound[:300], 16_000),
    ):
        soundfile.write(tmp_path / name, samples, rate)
    (tmp_path / "c.wav").write_bytes(b"no sound")
    with material.recordings(tmp_path / "models/audio", str(tmp_path)) as found:
        assert (found.name, found.truth) == (str(tmp_path), None)
        read = [soundfile.read(path) for path in found.items]
    assert [(len(samples), rate) for samples, rate in read] == [(30_000, 16_000)] * 2
    np.testing.assert_array_equal(read[1][0], np.rint(sound * 32768) / 32768)
    assert not any(path.exists() for path in found.items)
    with pytest.raises(UserError, match=r"silence\.wav: no recording that could be answered"):
        material.recordings(tmp_path / "models/audio", str(tmp_path / "silence.wav")).__enter__()


def test_texts_are_those_lines_that_hold_some(tmp_path):
    (tmp_path / "texts.txt").write_bytes(b"one\n\n  two  \n\xff\n   \nthree")
    assert transcripts(tmp_path, str(tmp_path / "texts.txt")).items == ["one", "two", "three"]
