"""What the sets consist of, and what the split stage writes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from emopipe.schemas import splits, tables
from emopipe.schemas.manifest import Utterance, write_manifest
from emopipe.splits.balance import balance, summary
from emopipe.splits.branches import split_audio, split_text
from helpers.partitions import NONE, corpora, manifest, partition
from stages import split as stage

PARAMS = Path(__file__).parents[2] / "params.yaml"


def test_every_utterance_and_every_speaker_is_counted_where_it_is():
    rows = corpora()
    split, _ = split_audio(rows, partition(), None, {})
    counts = balance(split, splits.Balance)
    assert list(counts["split"].unique()) == ["train", "dev", "test"]
    assert counts["utterances"].sum() == len(rows)
    for key, own in split.groupby(["split", "corpus", "sex", "emotion"]):
        (found,) = counts[(counts[["split", "corpus", "sex", "emotion"]] == list(key)).all(axis=1)].itertuples()
        assert (found.utterances, found.speakers) == (len(own), own["speaker"].nunique())


def test_text_counts_what_has_vad_and_unknown_speakers_are_none():
    rows = manifest(speaker="", sex="")
    rows.loc[rows["emotion"] == "anger", "valence"] = float("nan")
    rows["emotion"] = rows["emotion"].replace("neutral", "")
    split, _ = split_text(rows, NONE, partition("random"), None, {})
    counts = balance(split, splits.TextBalance)
    assert set(counts["speakers"]) == {0}
    assert (counts["rated"] == counts["utterances"].where(counts["emotion"] != "anger", 0)).all()
    table = summary(split, "text").splitlines()
    assert [line.split()[0] for line in table] == ["text", "(none)", "anger", "sadness", "all", "with"]


def test_the_table_names_emotions_speakers_and_sexes_of_each_set():
    split, _ = split_audio(manifest(), partition("speaker_folds"), None, {})
    table = [line.split() for line in summary(split, "audio").splitlines()]
    assert table[0] == ["audio", "train", "dev", "test"]
    assert table[1:5] == [[name, "24", "8", "8"] for name in ("anger", "neutral", "sadness")] + [
        ["all", "72", "24", "24"]
    ]
    assert table[5] == ["with", "VAD", "72", "24", "24"]
    assert table[6:] == [["speakers", "6", "2", "2"], ["female", "3", "1", "1"], ["male", "3", "1", "1"]]
    assert summary(split.head(0), "audio") == "audio: no utterances"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS.read_text(encoding="utf-8"), encoding="utf-8")
    for name in ("data/audio", "data/raw"):
        Path(name).mkdir(parents=True)
    return tmp_path


def test_the_stage_writes_sets_balance_and_leaks_of_both_branches(folder, capsys):
    rows = manifest().assign(path="x.flac", start=float("nan"), end=float("nan"), seconds=1.0, prompt="")
    rows.loc[1, "transcript"] = rows.loc[2, "transcript"] = rows.loc[130 % len(rows), "transcript"]
    rows = rows[list(Utterance.model_fields)]
    write_manifest(rows, Path("data/audio/manifest.csv"))
    write_manifest(rows.assign(path=""), Path("data/raw/text.csv"))
    stage.main()
    audio, text = splits.read_audio(), splits.read_text()
    assert audio.set_index("utterance")["split"].reindex(text["utterance"]).tolist() == text["split"].tolist()
    assert set(audio["sex"]) == {"female", "male"} and set(text["language"]) == {"en"}
    pd.testing.assert_frame_equal(
        tables.read(splits.AUDIO_BALANCE, splits.Balance), balance(audio, splits.Balance), check_dtype=False
    )
    assert tables.read(splits.TEXT_BALANCE, splits.TextBalance)["rated"].sum() == len(text)
    assert splits.AUDIO_LEAKS.read_text() == "kind,content,sets,utterances,action\n"
    printed = capsys.readouterr().out
    assert "text: 120 of 120 utterances follow the audio split" in printed
    assert len(printed.splitlines()) < 25


def test_the_stage_writes_tables_without_rows_for_a_branch_without_any(folder):
    empty = pd.DataFrame(columns=list(Utterance.model_fields))
    write_manifest(empty, Path("data/audio/manifest.csv"))
    write_manifest(empty, Path("data/raw/text.csv"))
    stage.main()
    for path in Path("data/splits").iterdir():
        assert len(path.read_text().splitlines()) == 1
    assert splits.read_audio().empty and splits.read_text().empty
