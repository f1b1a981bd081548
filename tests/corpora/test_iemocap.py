"""The IEMOCAP reader, on generated trees of the released layout."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from emopipe.corpora import iemocap
from emopipe.corpora.catalogue import read_corpus
from emopipe.corpora.parameters import Synthetic
from emopipe.io.errors import UserError
from emopipe.schemas import splits
from stages import fetch, resample, split

PARAMS = Path(__file__).parents[2] / "params.yaml"
CODES = ("ang", "hap", "exc", "sad", "neu", "fru", "fea", "sur", "dis", "oth", "xxx")
HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"


def label(turn: str, code: str, vad: str = "2.5000, 2.5000, 2.5000") -> str:
    """Return the block of a turn as the label files have it: the summary, then what each annotator wrote."""
    votes = "C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t(rêveur)\n\n"
    return f"[6.2901 - 8.2357]\t{turn}\t{code}\t[{vad}]\n{votes}"


def write_dialogue(root: Path, dialogue: str, labels: str, transcripts: str) -> None:
    session = root / f"Session{dialogue[4]}" / "dialog"
    for folder, content in (("EmoEvaluation", HEADER + labels), ("transcriptions", transcripts)):
        (session / folder).mkdir(parents=True, exist_ok=True)
        (session / folder / f"{dialogue}.txt").write_bytes(content.encode("cp1252"))


def read(root: Path):
    """Return the rows by turn."""
    return iemocap.read(root).set_index("utterance")


@pytest.mark.parametrize("inner", ["", "IEMOCAP_full_release"])
def test_turns_have_speaker_session_emotion_ratings_words_and_audio(tmp_path, inner):
    root = tmp_path / inner
    turn = "Ses04F_script01_2_M003"
    write_dialogue(
        root, "Ses04F_script01_2", label(turn, "exc", "4.5000, 3.6667, 1"), f"{turn} [000.1-009.2]: Wow: I…\n"
    )
    (row,) = iemocap.read(tmp_path).replace("", None).dropna(axis=1).to_dict("records")
    assert Path(row.pop("path")) == root / "Session4/sentences/wav/Ses04F_script01_2" / f"{turn}.wav"
    assert row == {
        "utterance": f"iemocap/{turn}",
        "corpus": "iemocap",
        "speaker": "iemocap/Ses04M",  # the letter of the last field, not that of the dialogue
        "sex": "male",
        "session": "Ses04",
        "language": "en",
        "emotion": "excitement",
        "valence": 4.5,
        "arousal": 3.6667,
        "dominance": 1.0,
        "transcript": "Wow: I…",
    }


def test_every_code_is_an_emotion_and_no_agreement_is_none(tmp_path):
    turns = [f"Ses01F_impro01_F{i:03}" for i in range(len(CODES))]
    blocks = "".join(label(turn, code) for turn, code in zip(turns, CODES, strict=True))
    write_dialogue(tmp_path, "Ses01F_impro01", blocks, "".join(f"{t} [1-2]: Yes.\n" for t in turns))
    assert read(tmp_path)["emotion"].tolist() == [
        "anger", "happiness", "excitement", "sadness", "neutral", "frustration", "fear", "surprise", "disgust", "other",
        "",
    ]  # fmt: skip


def test_only_labelled_turns_are_utterances_and_both_speakers_are_kept_apart(tmp_path, capsys):
    blocks = label("Ses02M_impro03_F000", "neu") + label("Ses02M_impro03_M000", "sad")
    words = "Ses02M_impro03_F000 [1-2]: Hi.\nSes02M_impro03_MXX0 [1-2]: Hm.\nSes02M_impro03_M000 [2-3]: No.\n"
    words += "Ses02M_impro03_FX01 [3-4]: Oh.\nSes02M_impro03_F001 [3-4]: Nobody rated this.\n"
    write_dialogue(tmp_path, "Ses02M_impro03", blocks, words)
    frame = read(tmp_path)
    assert frame["speaker"].tolist() == ["iemocap/Ses02F", "iemocap/Ses02M"]
    assert frame["sex"].tolist() == ["female", "male"]
    assert frame["transcript"].tolist() == ["Hi.", "No."]
    assert capsys.readouterr().out == ""  # nothing of this is amiss


def test_ratings_off_the_scale_are_left_out_and_said_and_the_turn_stays(tmp_path, capsys):
    blocks = label("Ses01F_impro01_F000", "ang", "5.5000, 4.0, 3.0") + label("Ses01F_impro01_F001", "ang", "1, 5, 0.5")
    write_dialogue(tmp_path, "Ses01F_impro01", blocks, "")
    first, last = read(tmp_path)[["valence", "arousal", "dominance"]].to_numpy().tolist()
    assert math.isnan(first[0]) and first[1:] == [4.0, 3.0]
    assert last[:2] == [1.0, 5.0] and math.isnan(last[2])
    printed = capsys.readouterr().out
    assert (
        "left out 2 ratings: off the scale of 1 to 5; the first: valence 5.5 of iemocap/Ses01F_impro01_F000" in printed
    )
    assert "2 of 2 turns without a transcript; the first: iemocap/Ses01F_impro01_F000" in printed


def test_damaged_lines_are_counted_and_named_and_the_others_read(tmp_path, capsys):
    blocks = label("Ses01F_impro01_F000", "ang") + "[6.29 - ]\tSes01F_impro01_F001\tneu\t[2.5, 2.5, 2.5]\n"
    blocks += label("Ses01F_impro01_F002", "joy") + label("Ses01F_impro01_F003", "neu", "2.5, 2.5")
    words = "Ses01F_impro01_F000 [1-2]: Hi.\nM: off the record\n"
    write_dialogue(tmp_path, "Ses01F_impro01", blocks, words)
    assert read(tmp_path).index.tolist() == ["iemocap/Ses01F_impro01_F000"]
    labels, transcripts = capsys.readouterr().out.splitlines()
    assert "left out 3 lines" in labels and "EmoEvaluation/Ses01F_impro01.txt, line 7: '[6.29 - ]" in labels
    assert "left out 1 line:" in transcripts and "'M: off the record'" in transcripts


def test_invisible_files_are_left_out_and_nothing_but_damage_is_an_error(tmp_path, capsys):
    write_dialogue(tmp_path, "Ses01F_impro01", label("Ses01F_impro01_F000", "ang"), "Ses01F_impro01_F000 [1-2]: Hi.\n")
    hidden = tmp_path / "Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt"
    hidden.write_bytes(b"\0\5\x16\7[1 - 2]\tSes01F\xff")
    shutil.copy(hidden, tmp_path / "Session1/dialog/transcriptions")
    assert len(read(tmp_path)) == 1
    capsys.readouterr()
    write_dialogue(tmp_path, "Ses01F_impro01", "[nothing]\n[of use]\n", "")
    with pytest.raises(
        UserError, match=r"impro01\.txt, line 3: '\[nothing\]': not a line of this corpus, nor is any of 2"
    ):
        iemocap.read(tmp_path)


def test_a_session_without_labels_is_an_error_and_so_is_a_folder_without_sessions(tmp_path):
    with pytest.raises(UserError, match=r"no utterance found under .*; expected: Session1/dialog/EmoEvaluation"):
        read_corpus(f"iemocap:{tmp_path}", "data.audio.corpora", Synthetic(speakers=6, utterances=1, seed=1), tmp_path)
    write_dialogue(tmp_path, "Ses01F_impro01", label("Ses01F_impro01_F000", "ang"), "")
    (tmp_path / "Session2" / "sentences").mkdir(parents=True)
    with pytest.raises(UserError, match=r"Session2/dialog/EmoEvaluation: no label files"):
        iemocap.read(tmp_path)


def test_the_whole_corpus_with_another_number_of_utterances_warns_and_a_part_does_not(tmp_path, capsys):
    for session in range(1, 6):
        turn = f"Ses0{session}F_impro01_F000"
        write_dialogue(tmp_path, turn[:14], label(turn, "hap"), f"{turn} [1-2]: Hi.\n")
        iemocap.read(tmp_path)
        printed = capsys.readouterr().out
        assert ("the published corpus has 5531" in printed) == (session == 5)
    assert printed.startswith("iemocap: 5 utterances of anger, happiness, excitement, sadness, neutral;")


# ---- leave one session out


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A corpus of five sessions with audio, of which one recording is missing; returns a run of fetch to split."""
    turns = 6
    codes = ("ang", "exc", "hap", "neu", "sad", "xxx")
    for session in range(1, 6):
        names = [f"Ses0{session}F_impro01_{letter}{i:03}" for letter in "FM" for i in range(turns)]
        blocks = "".join(label(name, codes[i % turns], f"{1 + i % 4}, 3, 2") for i, name in enumerate(names))
        words = "".join(f"{name} [1-2]: Words of {name}.\n" for name in names)
        write_dialogue(tmp_path / "corpus", f"Ses0{session}F_impro01", blocks, words)
        audio = tmp_path / "corpus" / f"Session{session}" / "sentences" / "wav" / f"Ses0{session}F_impro01"
        audio.mkdir(parents=True)
        for i, name in enumerate(names):
            noise = np.random.default_rng([session, i]).standard_normal(800) / 10
            soundfile.write(audio / f"{name}.wav", noise, 16_000)
    (audio / "Ses05F_impro01_F000.wav").unlink()
    monkeypatch.chdir(tmp_path)

    def run(fold: int, audio: bool = True):
        params = yaml.safe_load(PARAMS.read_text())
        for branch in ("audio", "text"):
            params["data"][branch]["corpora"] = ["iemocap:corpus"] if audio or branch == "text" else []
            params["data"][branch]["labels"] = ["anger", "happiness", "neutral", "sadness"]
            params["data"][branch]["merge"] = {"excitement": "happiness"}
            params["split"][branch] |= {"strategy": "leave_one_session_out", "fold": fold}
        Path("params.yaml").write_text(yaml.safe_dump(params))
        fetch.main()
        resample.main()
        split.main()
        return splits.read_audio(), splits.read_text()

    return run


def test_leave_one_session_out_holds_the_same_session_out_of_both_branches(corpus):
    audio, text = corpus(fold=4)
    for frame in (audio, text):
        frame["session"] = frame["speaker"].str[8:13]
        assert set(frame.loc[frame["split"] == "test", "session"]) == {"Ses05"}
        assert set(frame.loc[frame["split"] != "test", "session"]) == {"Ses01", "Ses02", "Ses03", "Ses04"}
        assert (frame.groupby("session")["split"].nunique() == 1).all()  # dev is a session of its own
        assert set(frame["emotion"]) - {""} == {"anger", "happiness", "neutral", "sadness"}
    assert len(audio) == 5 * 2 * 5 - 1  # without those nobody agreed on, and the missing recording
    assert len(text) == 5 * 2 * 6  # those have VAD, and words need no recording
    rejected = Path("data/audio/rejected.csv").read_text()
    assert "Ses05F_impro01_F000" in rejected and "missing file" in rejected
    both = audio.merge(text, on="utterance")
    assert len(both) == len(audio) and (both["split_x"] == both["split_y"]).all()


def test_leave_one_session_out_of_the_text_alone(corpus):
    audio, text = corpus(fold=0, audio=False)
    assert audio.empty
    assert set(text.loc[text["split"] == "test", "speaker"]) == {"iemocap/Ses01F", "iemocap/Ses01M"}
