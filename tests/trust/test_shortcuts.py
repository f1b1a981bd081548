"""Planted shortcuts are found by their name, and nothing is found where there is none."""

from __future__ import annotations

import json
import subprocess
import sys

import audmetric
import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression

from emopipe.corpora import emodb
from emopipe.trust.measures import IDENTITIES, MEASURES, measure
from emopipe.trust.shortcuts import ALL, shortcuts
from helpers.partitions import partition, split_audio
from helpers.paths import ROOT


def table(speakers=20, each=12, seed=0):
    """Return a split by speaker in which nothing goes with the emotion."""
    generator, number = np.random.default_rng(seed), speakers * each
    who = np.arange(number) // each
    rows = pd.DataFrame(
        {
            "utterance": [f"c/{i:04}" for i in range(number)],
            "corpus": "c",
            "speaker": [f"c/s{i:02}" for i in who],
            "sex": np.where(who % 2, "female", "male"),
            "emotion": generator.permutation(np.arange(number) % 3).astype(str),
            "split": np.choose(who % 5, ["train", "train", "train", "dev", "test"]),
        }
    )
    return rows.assign(**{name: generator.normal(size=number) for name in MEASURES})


def by_name(found):
    return {one.name: one for one in found}


def test_a_corpus_in_which_loudness_gives_the_emotion_is_found_by_that_name():
    rows = table()
    rows["loudness"] = -30.0 + 6 * rows["emotion"].astype(int) + 0.5 * rows["loudness"]
    found = shortcuts(rows)
    assert {one.name for one in found if one.found} == {"loudness", ALL}
    assert by_name(found)["loudness"].value > 0.95
    assert by_name(found)["loudness"].baseline == pytest.approx(1 / 3)


def test_a_shortcut_is_found_by_its_name_in_a_test_set_of_two_speakers():
    rows = table(speakers=10, each=30)
    rows["trailing_silence"] += 2 * rows["emotion"].astype(int)
    found = by_name(shortcuts(rows))
    assert found["trailing_silence"].low < 1 / 3  # says nothing of other speakers, and all the more of these
    assert found["trailing_silence"].p == 1 / 200
    assert {name for name, one in found.items() if one.found} == {"trailing_silence", ALL}


def test_shuffles_stay_within_a_speaker():
    """Who has one emotion is told by nothing within it: no shuffle changes what the speaker's own traits tell."""
    rows = table(speakers=30, each=8)
    rows["emotion"] = (rows["speaker"].str[-1].astype(int) // 2 % 3).astype(str)
    rows["loudness"] = rows["emotion"].astype(int) + 0.1 * rows["loudness"]
    one = by_name(shortcuts(rows))["loudness"]
    assert (one.value, one.p) == (1.0, 1.0)


def test_nothing_is_found_where_there_is_nothing():
    found = [one for seed in range(5) for one in shortcuts(table(seed=seed))]
    assert len(found) == 5 * (len(MEASURES) + len(IDENTITIES) + 1)
    assert sum(one.found for one in found) <= 3
    assert all(0.15 < one.value < 0.55 for one in found if one.value is not None)


def test_a_recording_level_that_gives_the_emotion_is_found_in_the_waveforms():
    rows, generator = table(speakers=15, each=8), np.random.default_rng(0)
    level = 0.02 * 2.0 ** rows["emotion"].astype(int)
    lengths = generator.integers(3000, 6000, len(rows))
    waves = [gain * generator.normal(size=length) for gain, length in zip(level, lengths, strict=True)]
    found = by_name(shortcuts(rows.assign(**pd.DataFrame([measure(wave) for wave in waves]))))
    assert found["loudness"].value > 0.9
    assert found["loudness"].found
    assert not found["duration"].found
    assert not found["sex"].found


def test_scores_are_those_of_a_model_that_is_fitted_by_hand():
    rows = table()
    rows["duration"] += rows["emotion"].astype(int)
    one = by_name(shortcuts(rows.sample(frac=1, random_state=1)))["duration"]
    train, test = rows["split"] == "train", rows["split"] == "test"
    inputs = rows[["duration"]].to_numpy()
    inputs = (inputs - inputs[train].mean()) / inputs[train].std()
    model = LogisticRegression(class_weight="balanced").fit(inputs[train], rows["emotion"][train])
    expected = audmetric.unweighted_average_recall(rows["emotion"][test], model.predict(inputs[test]))
    assert one.value == pytest.approx(expected)
    assert one.low < one.value < one.high
    assert one.n == test.sum()


def test_a_speaker_is_no_shortcut_where_the_test_speakers_are_others():
    found = by_name(shortcuts(table()))
    assert (found["speaker"].value, found["corpus"].value) == (None, None)
    assert "none of 4 test speakers" in found["speaker"].note
    assert "the same" in found["corpus"].note
    rows = table(speakers=6, each=40)
    rows["emotion"] = (rows["speaker"].str[-1].astype(int) % 3).astype(str)
    rows["split"] = np.where(np.arange(len(rows)) % 3, "train", "test")
    random = by_name(shortcuts(rows))["speaker"]
    assert random.value == 1.0
    assert random.found
    rows.loc[rows["speaker"] == "c/s00", "split"] = "test"
    partly = by_name(shortcuts(rows))["speaker"]
    assert "40 of 106 test utterances" in partly.note


def test_one_emotion_in_training_and_one_answer_for_all_are_told():
    rows = table()
    rows.loc[rows["split"] == "train", "emotion"] = "0"
    found = shortcuts(rows)
    assert {one.value for one in found} == {None}
    assert {one.note for one in found} == {"one emotion alone in the training set"}
    rare = table().assign(sex="male", emotion="0")
    rare.loc[rare.index % 6 == 0, "emotion"] = "1"
    rare.loc[rare["split"] == "train", "sex"] = np.where(np.arange((rare["split"] == "train").sum()) % 2, "male", "")
    sex = by_name(shortcuts(rare))["sex"]
    assert (sex.value, sex.low, sex.note) == (0.5, None, "one answer for all")


def test_dimensions_have_shortcuts_too():
    rows = table()
    generator = np.random.default_rng(1)
    rows["valence"] = 3 + 0.5 * rows["noise_floor"] + 0.1 * generator.normal(size=len(rows))
    rows["arousal"] = generator.uniform(1, 5, len(rows))
    rows.loc[3, "valence"] = np.nan
    found = {(one.name, one.score): one for one in shortcuts(rows, ("valence", "arousal"))}
    assert found["noise_floor", "ccc.valence"].value > 0.9
    strong = {("noise_floor", "ccc.valence"), (ALL, "ccc.valence")}
    assert {name for name, one in found.items() if one.value is not None and one.value > 0.3} == strong
    assert all(found[name].found for name in strong)
    assert found["duration", "ccc.arousal"].baseline == 0


def test_the_recordings_of_emodb_tell_the_emotion_by_their_noise(shared):
    """They are brought to one peak, so that what was said softly has the louder background."""
    manifest = emodb.read(shared("data/emodb")).assign(session="", sha256=lambda rows: rows["utterance"])
    labels = ["anger", "happiness", "neutral", "sadness"]
    rows = split_audio(manifest, partition(seed=42), labels, {})
    paths = manifest.set_index("utterance")["path"]
    waves = (soundfile.read(paths[name], dtype="float32")[0] for name in rows["utterance"])
    found = by_name(shortcuts(rows.assign(**pd.DataFrame([measure(wave) for wave in waves], index=rows.index))))
    assert found["noise_floor"].value > 0.45
    assert found[ALL].value > 0.55
    assert found["sex"].value < 0.3


def test_nothing_here_imports_torch():
    names = sorted(path.stem for path in (ROOT / "emopipe/trust").glob("*.py"))
    code = (
        f"import sys, json, {', '.join(f'emopipe.trust.{name}' for name in names)}; print(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "parselmouth", "opensmile"} & set(json.loads(done.stdout))
