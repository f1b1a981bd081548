"""The command that lists corpora and checks them, run as a user runs it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from emopipe.commands import corpora as command
from emopipe.corpora.catalogue import CORPORA
from emopipe.corpora.summary import SPEAKERS, describe
from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS, EMOTIONS
from stages import fetch, resample

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def corpora(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command and returns what it printed."""
    params = yaml.safe_load(PARAMS.read_text())
    params["data"]["synthetic"] = {"speakers": 6, "utterances": 1, "seed": 1}
    params["data"]["audio"]["corpora"], params["data"]["text"]["corpora"] = ["own.csv"], []
    params["resample"]["max_rejected"] = 1.0
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        parser = argparse.ArgumentParser()
        command.configure(parser)
        command.run(parser.parse_args(arguments))
        return capsys.readouterr().out

    return run


def test_the_list_tells_of_every_corpus_what_it_is_and_how_to_get_it(corpora):
    printed = corpora()
    for key, corpus in CORPORA.items():
        for words in (f"{key}: {corpus.title}", corpus.size, corpus.licence, corpus.citation, corpus.source):
            assert words in printed
        assert f"{key}:FOLDER, which holds {corpus.layout}" in printed
        assert corpus.labels and set(corpus.labels) <= {*EMOTIONS, *DIMENSIONS}
        assert ", ".join(corpus.labels) in printed


def test_the_table_has_a_row_of_four_cells_for_every_corpus_and_both_branches_mean_words_and_sound():
    rows = [line.strip("|").split("|") for line in command.table().splitlines()]
    assert {len(cells) for cells in rows} == {4}
    assert [cells[0].strip(" `") for cells in rows[2:]] == ["synthetic", *CORPORA]
    for key, corpus in CORPORA.items():
        assert (corpus.branch == "text") == ("text alone" in corpus.size), key


def write_own(folder: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(8_000) / 10
    for name, samples in {"a": noise, "b": noise[:4_000], "copy of a": noise, "silent": np.zeros(8_000)}.items():
        soundfile.write(folder / f"{name}.wav", samples, 16_000)
    (folder / "text.wav").write_text("no audio")
    (folder / "own.csv").write_text(
        "utterance,corpus,speaker,sex,path,emotion,valence,arousal,dominance,transcript,split,language\n"
        "x/1,x,x/anna,female,a.wav,anger,1,4,4,No!,train,en\n"
        "x/2,x,x/anna,female,b.wav,anger,1,4,,No!,train,en\n"
        "x/3,x,x/bert,male,copy of a.wav,calm,,,,,test,en\n"
        "x/4,x,x/bert,male,silent.wav,fear,,,,,test,de\n"
        "x/5,x,,,text.wav,,,,,,test,\n"
        "x/6,x,,,gone.wav,,,,,,test,\n"
        "x/7,x,,,gone too.wav,,,,,,test,\n"
        "x/8,x,,,,,3,3,3,Words alone.,dev,\n"
    )


def test_a_check_counts_what_there_is(corpora, tmp_path):
    write_own(tmp_path)
    printed = corpora("check", "own.csv").splitlines()
    for line in (
        "own.csv",
        "utterances   8 of x",
        "recordings   7",
        "transcripts  3",
        "emotion      4",
        "VAD          2; 1 more in part",
        "speakers     2; unknown of 4 utterances (1 female, 1 male)",
        "sessions     unknown",
        "languages    de, en",
        "         anger  calm  fear  none  all",
        "x/anna       2     0     0     0    2",
        "unknown      0     0     0     4    4",
        "dev        0     0     0     1    1",
        "test       0     1     1     3    5",
        "duration     0.00 h; a recording 0.25 to 0.50 s, median 0.50 s",
        "copies       2 recordings sound the same as another one",
        "  x/1, x/3",
        "rejected     4 of 7 recordings",
        f"  2 x missing file; the first: x/6 ({Path('gone.wav')})",
    ):
        assert line in printed


def test_a_check_rejects_what_the_resample_stage_rejects_and_writes_nothing(corpora, tmp_path):
    write_own(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    printed = corpora("check", "own.csv")
    assert sorted(tmp_path.rglob("*")) == before
    fetch.main()
    resample.main()
    rejected = pd.read_csv(resample.REJECTED)
    assert len(rejected) == 4
    for reason, own in rejected.groupby("reason"):
        assert f"{len(own)} x {reason}; the first: {own.iloc[0].utterance} (" in printed


def test_corpora_without_audio_or_labels_are_checked_and_the_good_ones_beside_a_bad_one(corpora, tmp_path):
    (tmp_path / "own.csv").write_text("utterance,corpus,transcript\nx/1,x,Yes.\n")
    printed = corpora("check", "own.csv", "synthetic")
    assert "rejected     0 of 6 recordings" in printed and "6 of synthetic" in printed
    assert printed.count("rejected") == 1 and "duration" not in printed.split("synthetic")[0]
    (tmp_path / "bad.csv").write_text("utterance,corpus,emotion\nx/1,x,rage\n")
    with pytest.raises(UserError, match="2 of 3 corpora cannot be read"):
        corpora("check", "bad.csv", "own.csv", "emodb:nowhere")


def test_of_thousands_of_speakers_those_with_most_utterances_are_shown():
    names = [f"x/{i:04}" for i in range(SPEAKERS + 7)]
    rows = pd.DataFrame({"speaker": [*names, *names[7:]]})
    rows = rows.assign(**dict.fromkeys(("corpus", "path", "transcript", "emotion", "session", "language"), ""))
    rows = rows.assign(sex="", split="", **dict.fromkeys(DIMENSIONS, float("nan")))
    printed = describe(rows)
    assert "speaker (7 more)" in printed and "x/0007" in printed and "x/0006" not in printed
    assert f"all                {len(rows)}" in printed
