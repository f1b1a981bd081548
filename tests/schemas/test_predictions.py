"""Tables of predictions come back as they were written, and hold nothing else."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import (
    EmotionPrediction,
    VadPrediction,
    emotion_table,
    predicted_vad,
    read_emotion,
    read_vad,
    vad_table,
    write_emotion,
    write_vad,
)

SPEAKERS = ["c/s1", "", "c/=s2"]


@pytest.fixture
def rows() -> pd.DataFrame:
    """Return three utterances of a split, of which the last is not rated."""
    rows = pd.DataFrame({"utterance": [f"c/u{i}" for i in range(3)], "corpus": "c", "speaker": SPEAKERS})
    rows = rows.assign(sex=["female", "", "male"], language="en", emotion=["fear", "anger", "fear"])
    return rows.assign(valence=[1.5, 2.0, np.nan], arousal=[3.0, 1 / 3 + 1, np.nan], dominance=[5.0, 4.0, np.nan])


def emotions(rows: pd.DataFrame) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    audio, forest = draw.dirichlet(np.ones(2), 3), draw.dirichlet(np.ones(3), 3)
    return pd.concat(
        [
            emotion_table(rows, "audio", "trained", ["fear", "fear", "anger"], audio, ["anger", "fear"]),
            emotion_table(rows, "forest", "trained", ["calm", "fear", "anger"], forest, ["anger", "calm", "fear"]),
            emotion_table(rows, "forest", "majority", ["fear"] * 3),
        ],
        ignore_index=True,
    )


def test_emotions_are_read_as_they_were_written(rows, tmp_path):
    table = emotions(rows)
    write_emotion(table, tmp_path / "emotion.csv")
    again = read_emotion(tmp_path / "emotion.csv")
    columns = [*EmotionPrediction.model_fields, "p_anger", "p_calm", "p_fear"]  # in the order of the alphabet
    assert list(again) == columns
    pd.testing.assert_frame_equal(again, table[columns], check_exact=True)
    assert again.loc[again["branch"] == "audio", "p_calm"].isna().all()
    assert again.loc[again["model"] == "majority", ["p_anger", "p_calm", "p_fear"]].isna().all(axis=None)
    pd.testing.assert_frame_equal(read_emotion(io.StringIO((tmp_path / "emotion.csv").read_text())), again)


def test_dimensions_are_read_as_they_were_written(rows, tmp_path):
    predicted = np.random.default_rng(1).normal(3, 2, (3, 3))  # a prediction may leave the scale
    table = pd.concat(
        [
            vad_table(rows, "text", "trained", predicted),
            vad_table(rows, "text", "zero_shot", -predicted),
            vad_table(rows, "audio", "trained", predicted[:, :2], ["dominance", "valence"]),
        ],
        ignore_index=True,
    )
    write_vad(table, tmp_path / "vad.csv")
    again = read_vad(tmp_path / "vad.csv")
    assert list(again) == list(VadPrediction.model_fields)
    pd.testing.assert_frame_equal(again, table[list(again)], check_exact=True)
    pd.testing.assert_frame_equal(read_vad(io.StringIO((tmp_path / "vad.csv").read_text())), again)
    wide = predicted_vad(again, "text", "zero_shot")
    assert list(wide) == ["utterance", *DIMENSIONS]
    assert list(wide["utterance"]) == list(rows["utterance"])
    np.testing.assert_array_equal(wide[list(DIMENSIONS)], -predicted)
    audio = predicted_vad(again, "audio")
    np.testing.assert_array_equal(audio[["dominance", "valence"]], predicted[:, :2])
    assert audio["arousal"].isna().all()


def test_tables_without_rows_keep_their_columns(tmp_path):
    for row, write, read in ((EmotionPrediction, write_emotion, read_emotion), (VadPrediction, write_vad, read_vad)):
        write(pd.DataFrame(columns=list(row.model_fields)), tmp_path / "none.csv")
        again = read(tmp_path / "none.csv")
        assert again.empty
        assert list(again) == list(row.model_fields)
    assert predicted_vad(again, "text").empty


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("p_fear", 1.5, "column p_fear: 1.5: no probability"),
        ("prediction", "joyful", "column prediction: 'joyful'"),
        ("model", "fine_tuned", "column model: 'fine_tuned'"),
        ("branch", "video", "column branch: 'video'"),
    ],
)
def test_what_is_no_prediction_is_refused(rows, tmp_path, column, value, message):
    table = emotions(rows)
    table.loc[1, column] = value
    with pytest.raises(UserError, match=f"row 1, {message}"):
        write_emotion(table, tmp_path / "emotion.csv")


def test_a_missing_column_is_named(rows, tmp_path):
    emotions(rows).drop(columns="truth").to_csv(tmp_path / "emotion.csv", index=False)
    with pytest.raises(UserError, match=r"emotion\.csv: column\(s\) truth missing"):
        read_emotion(tmp_path / "emotion.csv")
