"""A recogniser gives what the pipeline gives, in whatever form and company a clip comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
import torch

from emopipe import Recognizer
from emopipe.io.errors import UserError
from emopipe.recognition.clips import blocks
from emopipe.recognition.segmentation import Cutting
from emopipe.recordings.reading import Recording
from helpers.bad_recordings import BAD, audio
from helpers.paths import ROOT
from helpers.small_corpus import train_small

CASES = {
    "classification": {"model.ensemble_size": 3, "train.epochs": 3},
    "regression": {"model.task": "regression", "model.ensemble_size": 1, "train.epochs": 2},
    "fine-tuned": {"model.features": "both", "model.trainable_layers": 1, "model.ensemble_size": 1, "train.epochs": 1},
    "tuned": {
        "model.features": "tuned_layers", "model.trainable_layers": 2, "model.output_layer": 2, "train.epochs": 1,
        "model.ensemble_size": 2, "train.tuning.learning_rate": 1e-3, "train.tuning.epochs": 1,
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def trained(small_corpus, folder, request):
    """Return a folder with a trained model and its predictions of the test set."""
    train_small(small_corpus, folder, CASES[request.param])
    return small_corpus


@pytest.fixture(scope="module")
def recognizer(trained):
    return Recognizer.load(trained / "models/audio", device="cpu")


@pytest.fixture(scope="module")
def recordings(trained) -> pd.Series:
    """Return the recordings of the corpus as they were before they were resampled, by utterance."""
    manifest = pd.read_csv(trained / "data/raw/audio/manifest.csv").set_index("utterance")
    return (str(trained / "data/raw/audio") + "/" + manifest["path"]).rename("path")


def predictions(folder: Path) -> pd.DataFrame:
    """Return what the pipeline predicted of the test set, with the columns of a recogniser's answers."""
    emotion = pd.read_csv(folder / "data/predicted/audio/emotion.csv")
    if len(emotion):
        emotion = emotion[emotion["model"] == "trained"].set_index("utterance")
        return emotion.rename(columns={"prediction": "emotion"}).filter(regex="^p_|^emotion$")
    vad = pd.read_csv(folder / "data/predicted/audio/vad.csv")
    return vad[vad["model"] == "trained"].pivot(index="utterance", columns="dimension", values="prediction")


def assert_equal(found: pd.DataFrame, expected: pd.DataFrame, within: float = 1e-5) -> None:
    for name in expected:
        if name == "emotion":
            assert found[name].tolist() == expected[name].tolist()
        else:
            np.testing.assert_allclose(found[name], expected[name], atol=within)


def test_it_gives_what_the_pipeline_predicts_of_every_test_utterance(trained, recognizer, recordings):
    expected = predictions(trained)
    found = recognizer(recordings[expected.index])
    assert len(found) > 5 and set(found["status"]) == {"ok"}
    assert (found["reason"] == np.where(found["end"] > 1, "only the first 1 s were heard", "")).all()
    assert_equal(found, expected)
    assert found["clip"].tolist() == recordings[expected.index].tolist() and (found["start"] == 0).all()
    lengths = [soundfile.info(path).duration for path in recordings[expected.index]]
    np.testing.assert_allclose(found["end"], lengths, atol=1e-4)


def test_an_answer_does_not_depend_on_the_others(recognizer, recordings):
    paths = recordings.iloc[:7].tolist()
    together = recognizer(paths)
    alone = pd.concat([recognizer([path]) for path in reversed(paths)][::-1], ignore_index=True)
    pd.testing.assert_frame_equal(alone, together, check_exact=True)


@pytest.mark.parametrize("form", ["samples", "int16", "stereo", "flac", "segment", "48 kHz"])
def test_a_clip_may_come_in_any_form(recognizer, recordings, tmp_path, form):
    path = recordings.iloc[0]
    samples, rate = soundfile.read(path, dtype="float32")
    match form:
        case "samples":
            clip = (samples, rate)
        case "int16":
            clip = (np.rint(samples * 32768).astype(np.int16), rate)
        case "stereo":
            clip = (np.column_stack([samples, samples]), rate)
        case "flac":
            clip = tmp_path / "a.flac"
            soundfile.write(clip, samples, rate)
        case "segment":
            clip = Recording(tmp_path / "long.wav", 1.0, 1.0 + len(samples) / rate)
            soundfile.write(clip.path, np.concatenate([np.zeros(rate), samples, np.zeros(rate)]), rate)
        case "48 kHz":
            clip = (soxr.resample(samples, rate, 48_000, quality="VHQ"), 48_000)
    expected, found = recognizer([path]), recognizer([clip])
    resampled = form == "48 kHz"
    left_out = ("spread", "emotion") if resampled else ("spread",)  # of two emotions at one height either may win then
    compared = [name for name in recognizer.columns if name not in left_out]
    assert_equal(found, expected[compared], 0.1 if resampled else 1e-6)


def test_probabilities_add_up_and_spread_is_that_of_the_members(recognizer, recordings):
    found = recognizer(recordings.iloc[:9])
    if "emotion" in found:
        chances = found.filter(regex="^p_")
        np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(found["confidence"], chances.max(axis=1))
        assert ("p_" + found["emotion"]).tolist() == chances.idxmax(axis=1).tolist()
    several = recognizer.trained.settings.ensemble_size > 1
    assert (found["spread"] > 0).all() == several and (found["spread"] >= 0).all()


def test_what_cannot_be_heard_has_a_status_and_a_reason_and_the_others_are_answered(recognizer, recordings, tmp_path):
    clips = []
    for number, (content, _) in enumerate(BAD.values()):
        path = tmp_path / f"{number}.wav"
        content(path) if callable(content) else path.write_bytes(content)
        clips += [path, recordings.iloc[0]]
    found = recognizer(clips)
    bad, good = found.iloc[::2], found.iloc[1::2]
    assert set(good["status"]) == {"ok"} and len(good.drop(columns="clip").round(6).drop_duplicates()) == 1
    assert set(bad["status"]) == {"unreadable", "too_short", "no_speech"} and (bad["reason"] != "").all()
    assert bad[recognizer.columns].isna().all(axis=None)
    reasons = bad.set_index("status")["reason"]
    assert reasons["too_short"].str.contains("too short|no samples").all()
    assert reasons["no_speech"].str.contains("digital silence|constant").all()


def test_samples_that_are_no_numbers_are_rejected(recognizer):
    (answer,) = recognizer([(np.full(16_000, np.nan), 16_000)]).to_dict("records")
    assert (answer["clip"], answer["status"], answer["reason"]) == (
        "0",
        "unreadable",
        "16000 NaN or infinite sample(s)",
    )


def test_no_clips_give_an_empty_table(recognizer):
    found = recognizer([])
    assert found.empty and list(found)[:3] == ["clip", "start", "end"] and list(found)[-2:] == ["status", "reason"]


def test_a_waveform_is_what_the_resample_stage_writes(trained, recordings):
    for utterance, path in recordings.iloc[:5].items():
        stored, _ = soundfile.read(trained / f"data/audio/{utterance}.flac", dtype="float32")
        np.testing.assert_array_equal(np.concatenate(list(blocks(path))), stored)


def test_clips_are_taken_as_they_are_answered(recognizer, recordings):
    taken = []
    answers = recognizer.answers(taken.append(path) or path for path in [recordings.iloc[0]] * 300)
    next(answers)
    assert len(taken) < 50 * torch.get_num_threads()


def test_models_that_are_not_there_are_named(tmp_path):
    with pytest.raises(UserError, match=r"model: no folder at \./nowhere"):
        Recognizer.load("./nowhere")
    (tmp_path / "config.json").write_text('{"model": null}')
    with pytest.raises(UserError, match="the audio branch of that pipeline was switched off"):
        Recognizer.load(tmp_path)
    with pytest.raises(UserError, match="a folder has no revision v1"):
        Recognizer.load(tmp_path, revision="v1")


def test_the_package_itself_loads_nothing_heavy():
    code = "import sys, emopipe; assert 'torch' not in sys.modules and 'pandas' not in sys.modules; emopipe.Recognizer"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_file_of_many_kinds_of_bytes_is_heard_alike(recognizer, recordings, tmp_path):
    samples, rate = soundfile.read(recordings.iloc[1])
    (tmp_path / "joined.wav").write_bytes(audio(samples, rate) * 2)
    (answer,) = recognizer([tmp_path / "joined.wav"]).to_dict("records")
    assert answer["end"] == pytest.approx(2 * len(samples) / rate, abs=1e-4)


# ---- segments and streams


@pytest.fixture(scope="module")
def long(recordings, tmp_path_factory):
    """Return a file of several utterances with silence between."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    parts = [soundfile.read(name, dtype="int16") for name in recordings.iloc[:6]]
    rate = parts[0][1]
    pause = np.zeros(rate, np.int16)
    soundfile.write(path, np.concatenate([part for samples, _ in parts for part in (pause, samples)]), rate)
    return path


def test_a_segment_is_answered_as_that_part_of_the_file(recognizer, long):
    found = recognizer([long], "auto")
    assert set(found["status"]) == {"ok", "no_speech"} and (found["status"] == "ok").sum() >= 6
    assert (found["start"].iloc[1:].to_numpy() == found["end"].iloc[:-1].to_numpy()).all()
    assert (found["start"].iloc[0], found["end"].iloc[-1]) == (
        0,
        pytest.approx(soundfile.info(long).duration, abs=1e-4),
    )
    heard = found[found["status"] == "ok"]
    with soundfile.SoundFile(long.with_suffix(".flac"), "w", 16_000, 1) as file:
        file.write(np.concatenate(list(blocks(long))))  # cut after resampling, as there
    alone = recognizer(Recording(long.with_suffix(".flac"), *times) for times in heard[["start", "end"]].to_numpy())
    assert_equal(alone, heard[recognizer.columns], 1e-6)
    assert found.loc[found["status"] != "ok", recognizer.columns].isna().all(axis=None)


@pytest.mark.parametrize("cutting", ["speech", Cutting("windows", window=0.8, hop=0.5)], ids=["speech", "windows"])
@pytest.mark.parametrize("size", [160, 4_411, 10**9])
def test_a_stream_is_answered_as_the_file(recognizer, long, cutting, size):
    samples, rate = soundfile.read(long, dtype="int16")
    chunks = (samples[at : at + size] for at in range(0, len(samples), size))
    streamed = pd.DataFrame(recognizer.stream(chunks, rate, cutting))
    expected = recognizer([long], cutting).drop(columns="clip")
    pd.testing.assert_frame_equal(streamed, expected, check_exact=False, rtol=0, atol=1e-5)


def test_a_stream_is_answered_as_it_comes(recognizer, long):
    samples, rate = soundfile.read(long, dtype="int16")
    taken = []
    chunks = (taken.append(at) or samples[at : at + 800] for at in range(0, len(samples), 800))
    for answer in recognizer.stream(chunks, rate):
        assert (taken[-1] + 800) / rate - answer[
            "end"
        ] < 0.8  # the silence that ends it, and what resampling holds back


def test_a_stream_that_breaks_off_is_answered_up_to_there(recognizer, long):
    samples, rate = soundfile.read(long)

    def chunks():
        yield samples[: len(samples) // 2]
        yield np.full(1000, np.nan)

    *answers, last = recognizer.stream(chunks(), rate)
    assert "ok" in [answer["status"] for answer in answers]
    assert (last["status"], last["reason"]) == ("unreadable", "1000 NaN or infinite sample(s)")


@pytest.mark.parametrize("cutting", ["none", "auto", "speech"])
def test_what_has_no_sound_has_its_length_and_what_cannot_be_read_the_place_that_was_named(
    recognizer, tmp_path, cutting
):
    soundfile.write(tmp_path / "a.wav", np.zeros(24_000), 16_000)
    (tmp_path / "b.wav").write_bytes(b"no sound")
    clips = [tmp_path / "a.wav", Recording(tmp_path / "a.wav", 0.25, 1.0), Recording(tmp_path / "b.wav", 0.25, 1.0)]
    found = recognizer([*clips, tmp_path / "b.wav"], cutting)
    assert found["status"].tolist() == ["no_speech", "no_speech", "unreadable", "unreadable"]
    assert found["start"].tolist() == [0.0, 0.25, 0.25, 0.0]
    assert found["end"].fillna(-1).tolist() == [1.5, 1.0, 1.0, -1]


def test_the_answers_of_a_segment_of_a_file_are_placed_within_the_file(recognizer, long):
    whole, part = recognizer([long], "speech"), recognizer([Recording(long, 0.5, 5.0)], "speech")
    assert part["start"].iloc[0] == 0.5 and part["end"].iloc[-1] == 5.0
    first, same = (table[table["status"] == "ok"].iloc[0] for table in (whole, part))
    assert same["start"] == pytest.approx(first["start"], abs=0.05)
