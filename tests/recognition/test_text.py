"""Texts, and recordings with their texts, get what the pipeline gives them, in whatever company they come."""

from __future__ import annotations

import contextlib
import io
import json
import math
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from emopipe import BothRecognizer, TextRecognizer
from emopipe.forest import saving as forests
from emopipe.io.errors import UserError
from emopipe.recognition.texts import LONGEST, Unreadable
from emopipe.recordings.reading import Recording
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import labels_of, predicted_vad, read_emotion, read_vad
from emopipe.schemas.splits import read_text
from emopipe.text import saving
from emopipe.training.networks import Ensemble
from helpers.bad_recordings import BAD
from helpers.clones import small_encoder
from helpers.commands import run_command
from helpers.small_corpus import SMALL, write_params
from helpers.stage_outputs import clear
from stages import (
    cross_fit_audio,
    cross_fit_text,
    encode,
    evaluate,
    fetch,
    finetune_audio,
    finetune_text,
    fit_forest,
    predict_audio,
    predict_text,
    resample,
    split,
)

VAD = list(DIMENSIONS)
BOTH = {
    "data.text.corpora": ["synthetic"], "model.task": "regression", "model.ensemble_size": 2, "model.hidden": 16,
    "train.epochs": 2, "encode.max_seconds": 1.0, "text.epochs": 2, "text.ensemble_size": 3, "text.learning_rate": 0.01,
    "forest.inputs": "both", "forest.vad": "in_sample", "forest.trees": 20,
}  # fmt: skip
TEXT = {"forest.inputs": "text"}


@pytest.fixture(scope="module")
def folders_of(small_corpus, folder, tmp_path_factory):
    """Return a folder with models and predictions where the forest takes both branches, and one where it takes text."""
    encoder = tmp_path_factory.mktemp("encoder") / "tiny"
    small_encoder(encoder)
    both = SMALL | BOTH | {"model.backbone": str(folder), "text.encoder": str(encoder)}
    with contextlib.chdir(small_corpus):
        write_params(small_corpus, both)
        for stage in (fetch, resample, split, encode, finetune_audio, finetune_text, predict_audio, predict_text):
            clear(small_corpus, stage.__name__.rpartition(".")[2])
            stage.main()
        found = {}
        for name, changes in (("both", {}), ("text", TEXT)):
            write_params(small_corpus, both | changes)
            for stage in (cross_fit_audio, cross_fit_text, fit_forest, evaluate):
                stage.main()
            found[name] = tmp_path_factory.mktemp("made") / name
            shutil.copytree(small_corpus, found[name])
    return found


@pytest.fixture(scope="module")
def recognizer(folders_of):
    return TextRecognizer.load(folders_of["text"] / "models/text", device="cpu")


@pytest.fixture(scope="module")
def both(folders_of):
    models = folders_of["both"] / "models"
    return BothRecognizer.load(models / "audio", models / "text", models / "forest.skops", device="cpu")


def predictions(folder: Path, *branches: str) -> pd.DataFrame:
    """Return what the pipeline predicted of the test utterances, with the columns of a recogniser's answers."""
    emotion = read_emotion(folder / "data/predictions/emotion.csv").query("branch == 'forest' and model == 'trained'")
    chances = [f"p_{label}" for label in labels_of(emotion)]
    found = emotion.set_index("utterance")[["prediction", *chances]].rename(columns={"prediction": "emotion"})
    vad = read_vad(folder / "data/predictions/vad.csv")
    for branch in branches:
        own = predicted_vad(vad, branch).set_index("utterance")[VAD]
        found = found.join(own if len(branches) == 1 else own.add_prefix(f"{branch}_"))
    return found


def assert_equal(found: pd.DataFrame, expected: pd.DataFrame, within: float) -> None:
    for name in expected:
        if expected[name].dtype.kind == "f":
            np.testing.assert_allclose(found[name].astype(float), expected[name], atol=within, rtol=0)
        else:
            assert found[name].tolist() == expected[name].tolist()


def texts_of(folder: Path) -> pd.Series:
    return read_text(folder / "data/splits/text.csv").set_index("utterance")["transcript"]


def recordings_of(folder: Path) -> pd.Series:
    manifest = pd.read_csv(folder / "data/raw/audio/manifest.csv").set_index("utterance")
    return (str(folder / "data/raw/audio") + "/" + manifest["path"]).rename("path")


# A text


def test_a_text_gets_what_the_pipeline_predicts_of_every_test_utterance(folders_of, recognizer):
    expected = predictions(folders_of["text"], "text")
    texts = texts_of(folders_of["text"])[expected.index]
    found = recognizer(texts)
    assert len(found) > 5 and set(found["status"]) == {"ok"} and set(found["reason"]) == {""}
    assert list(found) == [
        "text", *VAD, "spread", "emotion", "confidence", *expected.filter(regex="^p_"), "status", "reason",
    ]  # fmt: skip
    assert_equal(found, expected, 1e-5)
    assert found["text"].tolist() == texts.tolist()
    np.testing.assert_allclose(found["confidence"], found.filter(regex="^p_").max(axis=1))


def test_the_answer_to_a_text_is_that_of_it_alone(folders_of, recognizer):
    texts = texts_of(folders_of["text"]).tolist()
    together = recognizer([*texts, *texts[::-1]])
    alone = pd.concat([recognizer([text]) for text in texts], ignore_index=True)
    assert_equal(together.iloc[: len(texts)], alone, 1e-6)
    assert_equal(together.iloc[len(texts) :].iloc[::-1], alone, 1e-6)
    assert alone["text"].str.len().nunique() > 3


def test_blanks_around_a_text_are_not_read_even_where_they_are_tokens(recognizer):
    unknown = {"unk_token": "?"}
    characters = Tokenizer(models.WordLevel({"?": 0, "[PAD]": 1, " ": 2, "a": 3, "b": 4}, **unknown))
    characters.pre_tokenizer = pre_tokenizers.Split(Regex("[^\t]"), "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=characters, **unknown | {"pad_token": "[PAD]"})
    found = TextRecognizer(recognizer.trained._replace(tokenizer=tokenizer), None, recognizer.device)
    answers = found(["a b", "  a b\t\r\n", "a  b", "", " 😀 "])
    assert answers["status"].tolist() == ["ok", "ok", "ok", "too_short", "unreadable"]
    assert_equal(answers.iloc[[1]][found.columns], answers.iloc[[0]][found.columns], 1e-6)
    assert abs(answers[VAD].iloc[2] - answers[VAD].iloc[0]).max() > 1e-4


def test_spread_is_that_of_the_members(recognizer):
    texts = ["what a lovely day", "go away"]
    trained = recognizer.trained
    members = []
    for member in trained.model.members:
        single = trained._replace(model=Ensemble([member]))
        members.append(TextRecognizer(single, None, recognizer.device)(texts))
    values = np.stack([member[VAD].to_numpy() for member in members])
    found = recognizer(texts)
    np.testing.assert_allclose(found["spread"], values.std(0).mean(-1), atol=1e-6)
    np.testing.assert_allclose(found[VAD], values.mean(0), atol=1e-6)
    assert (found["spread"] > 0).all() and all((member["spread"] == 0).all() for member in members)


def test_a_text_that_is_cut_off_says_so_and_gets_the_answer_of_its_beginning(recognizer):
    limit = recognizer.trained.settings.max_tokens
    words = ["a", "b"] * limit
    found = recognizer([" ".join(words), " ".join(words[: limit - 2]), " ".join(words[: limit - 1])])
    told = [f"only the first {limit} of {tokens} tokens were read" for tokens in (2 * limit + 2, limit + 1)]
    assert found["reason"].tolist() == [told[0], "", told[1]]
    assert set(found["status"]) == {"ok"}
    assert_equal(found.iloc[[0]][recognizer.columns], found.iloc[[1]][recognizer.columns], 1e-6)


ODD = {  # a text, its status, and how its reason begins
    "empty": ("", "too_short", "empty"),
    "blanks": ("   ", "too_short", "nothing but white space"),
    "line ends": ("\n\r\n", "too_short", "nothing but white space"),
    "wide blanks": ("\u3000\u2003\u00a0", "too_short", "nothing but white space"),
    "NUL alone": ("\0", "too_short", "nothing that can be read"),
    "control characters": ("\x01\x02\x7f\x9f", "too_short", "nothing that can be read"),
    "zero-width alone": ("\u200b\u200d\ufeff", "too_short", "nothing that can be read"),
    "direction marks alone": ("\u202e\u2066\u2069", "too_short", "nothing that can be read"),
    "emoji": ("😀", "unreadable", "no part of it is in the model's vocabulary"),
    "many emoji": ("😀 👩‍👩‍👧 🇩🇪", "unreadable", "no part of it is in the model's vocabulary"),
    "right to left": ("مرحبا بالعالم", "unreadable", "no part of it is in the model's vocabulary"),
    "private use": ("\ue000\uf8ff", "too_short", "nothing that can be read"),
    "no characters": ("\ufffe\uffff", "unreadable", "no part of it is in the model's vocabulary"),
    "half a character": ("well\ud83d", "unreadable", r"half a character, '\ud83d' (character 5)"),
    "bytes that were no UTF-8": ("caf\udce9", "unreadable", r"half a character, '\udce9' (character 4)"),
    "could not be read": (Unreadable("line 3: not UTF-8 (byte 17)"), "unreadable", "line 3: not UTF-8 (byte 17)"),
    "too long": ("a " * (LONGEST // 2) + "a", "unreadable", "1,000,001 characters, more than 1,000,000"),
    "none": (None, "unreadable", "no text, but None"),
    "an empty cell": (math.nan, "unreadable", "no text, but nan"),
    "a number": (5, "unreadable", "no text, but 5"),
    "bytes": (b"well", "unreadable", "no text, but b'well'"),
    "punctuation": ("?!... !!", "ok", ""),
    "a letter": ("a", "ok", ""),
    "a letter and emoji": ("so 😀", "ok", ""),
    "NUL within": ("what a\0 day", "ok", ""),
    "zero-width within": ("what\u200b a day", "ok", ""),
    "combining marks": ("e" + "\u0301" * 200, "ok", ""),
    "special tokens": ("[CLS] [PAD] [SEP] [MASK] day", "ok", ""),
    "a formula": ("=1+1 day", "ok", ""),
    "mark-up": ("<script>day</script> --> &amp;", "ok", ""),
    "a hundred thousand characters": ("happy day " * 10_000, "ok", "only the first"),
    "a word without end": ("a" * 100_000 + " day", "ok", ""),
    "mixed directions": ("day \u202emor\u202c مرحبا", "ok", ""),
    "lines": ("what\na\r\nday\u2028now", "ok", ""),
}  # fmt: skip


def test_odd_texts_have_an_answer_or_a_reason_and_the_others_do_not_notice(folders_of, recognizer):
    good = texts_of(folders_of["text"]).tolist()[: len(ODD)]
    alone = recognizer(good)
    between = [text for (odd, _, _), own in zip(ODD.values(), good, strict=True) for text in (odd, own)]
    found = recognizer(between)
    assert len(good) == len(ODD)
    assert_equal(found.iloc[1::2], alone, 1e-6)
    for (name, (_, status, reason)), row in zip(ODD.items(), found.iloc[::2].to_dict("records"), strict=True):
        assert row["status"] == status, (name, row["reason"])
        assert row["reason"].startswith(reason) and (reason or not row["reason"]), (name, row["reason"])
        answer = [row[column] for column in recognizer.columns]
        if status == "ok":
            assert all(math.isfinite(value) for value in answer if not isinstance(value, str)), name
            assert sum(row[f"p_{label}"] for label in recognizer.forest.classes_) == pytest.approx(1)
        else:
            assert pd.isna(answer).all(), name


def test_rows_can_be_written_whatever_the_text(recognizer):
    for row in recognizer.answers(odd for odd, _, _ in ODD.values()):
        assert json.loads(json.dumps(row, ensure_ascii=False, allow_nan=False).encode()) == row


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec=None) | st.sampled_from("abc ."), max_size=40), min_size=1, max_size=4))
def test_any_text_has_a_finite_answer_or_a_reason(recognizer, texts):
    rows = list(recognizer.answers(texts))
    assert len(rows) == len(texts)
    for text, row in zip(texts, rows, strict=True):
        answer = [row[column] for column in recognizer.columns if column != "emotion"]
        if row["status"] == "ok":
            assert all(map(math.isfinite, answer)) and row["emotion"] in recognizer.forest.classes_
            assert any(unicodedata.category(letter)[0] not in "ZC" for letter in text)
        else:
            assert row["status"] in ("too_short", "unreadable") and row["reason"]
            assert set(answer) == {None} and row["emotion"] is None


def test_texts_are_taken_as_they_are_needed(recognizer, monkeypatch):
    monkeypatch.setattr("emopipe.recognition.text.TOGETHER", 3)
    taken = []
    answers = recognizer.answers(taken.append(text) or text for text in ["a day"] * 9)
    assert next(answers)["status"] == "ok" and len(taken) == 3
    assert len(list(answers)) == 8


def test_no_texts_give_an_empty_table(recognizer):
    found = recognizer([])
    assert found.empty and list(found) == ["text", *recognizer.columns, "status", "reason"]


def test_one_text_in_place_of_a_list_is_refused(recognizer):
    with pytest.raises(UserError, match=r"a list of texts, not one; write \[text\]"):
        recognizer("what a day")


# Which models there are


def test_without_a_forest_of_text_alone_there_are_dimensions_and_no_emotion(folders_of, tmp_path):
    models = folders_of["both"] / "models"
    found = TextRecognizer.load(models / "text", device="cpu")(["what a day"])
    assert list(found) == ["text", *VAD, "spread", "status", "reason"] and found[VAD].notna().all(axis=None)
    shutil.copytree(models / "text", tmp_path / "text")  # and no forest beside it
    same = TextRecognizer.load(tmp_path / "text", device="cpu")(["what a day"])
    assert_equal(same, found, 1e-6)
    named = TextRecognizer.load(tmp_path / "text", folders_of["text"] / "models/forest.skops", device="cpu")
    assert "emotion" in named.columns


def test_models_that_are_not_there_or_do_not_fit_are_named(folders_of, tmp_path):
    models = folders_of["both"] / "models"
    with pytest.raises(UserError, match=r"model: no folder at \./nowhere"):
        TextRecognizer.load("./nowhere")
    saving.save_none(tmp_path / "off")
    with pytest.raises(UserError, match="off: no model: the text branch of that pipeline was switched off"):
        TextRecognizer.load(tmp_path / "off")
    with pytest.raises(UserError, match=r"none\.skops: no such file"):
        TextRecognizer.load(models / "text", tmp_path / "none.skops")
    with pytest.raises(UserError, match=r"forest\.skops: a forest that takes the VAD of text and audio; .*Both"):
        TextRecognizer.load(models / "text", models / "forest.skops")
    forests.save(None, tmp_path / "empty.skops")
    for load in (TextRecognizer.load, lambda text, forest: BothRecognizer.load(models / "audio", text, forest)):
        with pytest.raises(UserError, match=r"empty\.skops: no forest: no training text"):
            load(models / "text", tmp_path / "empty.skops")
    with pytest.raises(
        UserError, match=r"forest\.skops: a forest that takes the VAD of text alone; set forest\.inputs"
    ):
        BothRecognizer.load(models / "audio", models / "text", folders_of["text"] / "models/forest.skops")


def test_an_audio_model_that_predicts_something_else_does_not_go_with_the_forest(folders_of, tmp_path):
    models = folders_of["both"] / "models"
    shutil.copytree(models / "audio", tmp_path / "audio")
    config = json.loads((tmp_path / "audio/config.json").read_text())
    config["model"]["task"], config["labels"] = "classification", ["anger", "calm", "fear"]
    (tmp_path / "audio/config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="audio: a model that predicts emotions; the forest takes valence, arousal"):
        BothRecognizer.load(tmp_path / "audio", models / "text", models / "forest.skops", device="cpu")


# A recording with its text


@pytest.fixture(scope="module")
def pairs(folders_of):
    """Return the recordings and texts of the test utterances."""
    index = predictions(folders_of["both"], "text", "audio").index
    recordings, texts = recordings_of(folders_of["both"])[index], texts_of(folders_of["both"])[index]
    return list(zip(recordings, texts, strict=True))


def test_a_recording_with_its_text_gets_what_the_pipeline_predicts(folders_of, both, pairs):
    expected = predictions(folders_of["both"], "text", "audio")
    found = both(pairs)
    assert len(found) > 5 and set(found["status"]) == {"ok"}
    assert_equal(found, expected, 1e-5)
    assert found[["clip", "text"]].apply(tuple, axis=1).tolist() == pairs
    predicted = [f"{branch}_{name}" for branch in ("text", "audio") for name in (*VAD, "spread")]
    chances = list(expected.filter(regex="^p_"))
    assert list(found) == ["clip", "text", *predicted, "emotion", "confidence", *chances, "status", "reason"]


def test_the_answer_to_a_pair_is_that_of_it_alone(both, pairs):
    together = both(pairs)
    alone = pd.concat([both([pair]) for pair in pairs], ignore_index=True)
    assert_equal(together, alone, 1e-6)


def test_where_one_of_a_pair_is_of_no_use_the_other_keeps_its_dimensions(both, pairs, tmp_path):
    (clip, text), other = pairs[0], pairs[1]
    silent = tmp_path / "silence.wav"
    silent.write_bytes(BAD["silence"][0])
    found = both([(clip, ""), (silent, text), (tmp_path / "none.wav", "\0"), other, (Recording(Path(clip)), text)])
    good = both([other, (clip, text)])
    assert found["status"].tolist() == ["too_short", "no_speech", "unreadable", "ok", "ok"]
    assert found["reason"][0] == "audio: only the first 1 s were heard; text: empty"
    assert found["reason"][1].startswith("audio: digital silence") and "text" not in found["reason"][1]
    assert found["reason"][2] == "audio: missing file; text: nothing that can be read, such as control characters alone"
    assert_equal(found.iloc[3:][both.columns], good[both.columns], 1e-6)
    assert found[["emotion", "confidence"]].iloc[:3].isna().all(axis=None)
    for branch, answered in (("audio", 0), ("text", 1)):
        own = found.filter(regex=f"^{branch}_").iloc[:3]
        assert own.notna().all(axis=1).tolist() == own.notna().any(axis=1).tolist() == [i == answered for i in range(3)]
        assert_equal(own.iloc[[answered]], good.loc[[1], list(own)], 1e-6)


def test_clips_without_a_name_are_numbered_through(both, pairs, monkeypatch):
    monkeypatch.setattr("emopipe.recognition.both.TOGETHER", 2)
    samples = (np.random.default_rng(0).normal(0, 0.1, 8000), 16_000)
    found = both([(samples, "a day")] * 3 + [(samples, "")] * 2)
    assert found["clip"].tolist() == ["0", "1", "2", "3", "4"]
    assert found["status"].tolist() == ["ok"] * 3 + ["too_short"] * 2
    assert both([]).empty and list(both([])) == ["clip", "text", *both.columns, "status", "reason"]


# By command


@pytest.fixture
def predict(folders_of, monkeypatch, capsys):
    """Return a function that runs `emopipe predict` and returns its exit code, its table, and what it told beside."""

    def run(kind: str, *words: object) -> tuple[int, pd.DataFrame, str]:
        model = folders_of[kind] / ("models/text" if kind == "text" else "models")
        code, out, told = run_command(
            monkeypatch, capsys, "predict", f"--{kind}", *words, "--model", model, "--device", "cpu"
        )
        table = pd.read_csv(io.StringIO(out), keep_default_na=False, na_values=dict.fromkeys(VAD, ""))
        return code, table, told

    return run


def test_lines_of_files_and_of_standard_input_are_answered(folders_of, recognizer, predict, tmp_path, monkeypatch):
    good = texts_of(folders_of["text"]).tolist()[: len(ODD)]
    odd = [text for text, _, _ in ODD.values() if isinstance(text, str) and "\n" not in text]
    lines = [line for pair in zip(odd, good, strict=False) for line in pair]
    content = "\n".join(lines).encode("utf-8", "surrogatepass") + b"\ncaf\xe9\n"
    (tmp_path / "lines.txt").write_bytes(content)
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": io.BytesIO(content)}))
    code, table, told = predict("text", tmp_path / "lines.txt", "-")
    half = len(lines) + 1
    assert code == 1 and len(table) == 2 * half and len(odd) >= 25
    counts = table["status"].value_counts()
    assert f"error: {2 * half - counts['ok']} of {2 * half} texts could not be answered" in told
    assert table["line"].tolist() == [*range(1, half + 1)] * 2 and set(table["file"]) == {
        str(tmp_path / "lines.txt"),
        "stdin",
    }
    pd.testing.assert_frame_equal(table.iloc[:half, 1:], table.iloc[half:, 1:].reset_index(drop=True))
    expected = recognizer(good[: len(odd)])
    assert_equal(table.iloc[1 : 2 * len(odd) : 2], expected[[*VAD, "emotion", "confidence"]], 1e-6)
    bad = table.iloc[: 2 * len(odd) : 2]
    assert ((bad["status"] == "ok") | (bad["reason"] != "")).all() and (table["reason"].iloc[half - 1] != "")


def test_a_table_of_texts_keeps_its_columns_and_goes_to_a_file(folders_of, predict, recognizer, tmp_path):
    texts = texts_of(folders_of["text"])[:5]
    own = pd.DataFrame({"who": texts.index, "sentence": texts.to_numpy(), "emotion": "theirs"})
    own.to_csv(tmp_path / "my.csv", index=False)
    code, printed, _ = predict("text", tmp_path / "my.csv")
    assert code == 0 and list(printed)[:3] == list(own) and (printed["emotion"] == "theirs").all()
    assert printed["predicted_emotion"].tolist() == recognizer(texts)["emotion"].tolist()
    with pytest.raises(pd.errors.EmptyDataError):
        predict("text", tmp_path / "my.csv", "--output", tmp_path / "answers.jsonl")  # nothing for the terminal
    written = pd.read_json(tmp_path / "answers.jsonl", lines=True)
    assert_equal(written, printed[["who", "predicted_emotion", *VAD]], 1e-9)


def test_recordings_with_their_texts_are_answered_as_by_the_pipeline(folders_of, predict, tmp_path):
    expected = predictions(folders_of["both"], "text", "audio")
    own = pd.DataFrame({"file": recordings_of(folders_of["both"])[expected.index]})
    own = own.assign(text=texts_of(folders_of["both"])[expected.index], note="mine")
    own.to_csv(tmp_path / "both.csv", index=False)
    code, table, told = predict("both", tmp_path / "both.csv")
    assert code == 0 and f"{len(own)} ok" in told and table["file"].tolist() == own["file"].tolist()
    assert_equal(table, expected.reset_index(drop=True), 1e-5)
    (tmp_path / "none.csv").write_text("file\na.wav\n")
    with pytest.raises(pd.errors.EmptyDataError):
        predict("both", tmp_path / "none.csv")
