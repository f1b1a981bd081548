"""The readers of EmoDB 2.0, CREMA-D, TESS and SAVEE, on generated trees of the published layouts."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emopipe.corpora import crema_d, emodb, savee, tess
from emopipe.corpora.catalogue import CORPORA, read_corpus
from emopipe.corpora.parameters import Synthetic
from emopipe.io.errors import UserError
from emopipe.recordings.reading import Recording, RejectedError
from emopipe.recordings.resampling import check_all

CHECKSUMS = Path(__file__).parents[3] / "shared" / "reference" / "checksums"  # of the files as published


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def read(reader, folder: Path):
    return reader.read(folder).set_index("utterance")


def published(name: str) -> list[str]:
    path = CHECKSUMS / f"{name}.sha256.tsv"
    if not path.is_file():
        pytest.skip(f"the list of the published files is not at hand in {path}")
    with path.open() as file:
        return [row[2] for row in csv.reader(file, delimiter="\t")]


@pytest.mark.parametrize("reader", [crema_d, emodb, savee, tess])
def test_an_empty_folder_is_an_error_that_says_what_is_expected(tmp_path, reader):
    key = reader.CORPUS.key
    with pytest.raises(UserError, match="no utterance found under") as error:
        read_corpus(f"{key}:{tmp_path}", "data.audio.corpora", Synthetic(speakers=6, utterances=1, seed=1), tmp_path)
    assert CORPORA[key].layout in str(error.value)


# ---- EmoDB 2.0

AMBIGUOUS = "03a01Ab.wav"


def write_emodb(folder: Path) -> None:
    touch(folder / "wav", "03a01Fa.wav", "03a01Wa.wav", "12b10Nd.wav", AMBIGUOUS)
    touch(folder / "laryngo", "03a01Fa.wav")
    (folder / "db.yaml").write_text("name: emodb\n")
    header = "file,emotion,emotion.confidence,emotion.naturalness\n"
    for table, lines in {
        "train.gold_standard": "wav/03a01Fa.wav,happiness,0.9,0.8\nwav/03a01Wa.wav,anger,1.0,\n",
        "test.gold_standard": "wav/12b10Nd.wav,neutral,0.85,1.0\n",
        "ambiguous": f"wav/{AMBIGUOUS},anger,0.4,0.5\n",
    }.items():
        (folder / f"db.emotion.categories.{table}.csv").write_text(header + lines)


@pytest.mark.parametrize("inner", ["", "emodb_2.0", "emodb"])
def test_emodb_2_is_the_gold_standard_with_its_split(tmp_path, capsys, inner):
    write_emodb(tmp_path / inner)
    frame = read(emodb, tmp_path)
    assert frame.index.tolist() == ["emodb/03a01Fa", "emodb/03a01Wa", "emodb/12b10Nd"]
    assert frame["split"].tolist() == ["train", "train", "test"]
    assert frame["emotion"].tolist() == ["happiness", "anger", "neutral"]
    assert Path(frame.iloc[0].path) == tmp_path / inner / "wav" / "03a01Fa.wav"
    assert capsys.readouterr().out.endswith("emodb: left out 1 of 4 recordings: ambiguous ones of release 2.0\n")


def test_emodb_without_tables_has_no_split_and_a_table_without_files_is_an_error(tmp_path):
    touch(tmp_path, "wav/03a01Fa.wav")
    assert read(emodb, tmp_path)["split"].tolist() == [""]
    (tmp_path / "db.emotion.categories.ambiguous.csv").write_text("name,emotion\n")
    with pytest.raises(UserError, match=r"db\.emotion\.categories\.ambiguous\.csv: column\(s\) file missing"):
        emodb.read(tmp_path)


def test_every_published_name_of_emodb_is_read(tmp_path):
    touch(tmp_path / "wav", *published("emodb535"))
    frame = read(emodb, tmp_path)
    assert len(frame) == 535 and frame["speaker"].nunique() == 10 and frame["prompt"].all()
    assert frame["emotion"].value_counts().to_dict() == {
        "anger": 127, "boredom": 81, "neutral": 79, "happiness": 71, "fear": 69, "sadness": 62, "disgust": 46,
    }  # fmt: skip


# ---- CREMA-D


@pytest.mark.parametrize("inner", ["", "AudioWAV"])
def test_crema_d_reads_the_name_and_the_sex_of_the_actor(tmp_path, inner):
    touch(tmp_path / inner, "1001_DFA_ANG_XX.wav", "1002_IEO_HAP_LO.wav", "1003_ITH_SAD_X.wav")
    frame = read(crema_d, tmp_path)
    assert frame.index.tolist() == [f"crema_d/{n}" for n in ("1001_DFA_ANG_XX", "1002_IEO_HAP_LO", "1003_ITH_SAD_X")]
    assert frame["speaker"].tolist() == ["crema_d/1001", "crema_d/1002", "crema_d/1003"]
    assert frame["sex"].tolist() == ["male", "female", "female"]
    assert frame["emotion"].tolist() == ["anger", "happiness", "sadness"]
    assert frame["prompt"].tolist()[:2] == ["Don't forget a jacket", "It's eleven o'clock"]
    assert not frame["transcript"].any()


def test_crema_d_leaves_out_what_is_not_named_so(tmp_path, capsys):
    touch(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1001_DFA_JOY_XX.wav")
    assert read(crema_d, tmp_path).index.tolist() == ["crema_d/1001_DFA_ANG_XX"]
    printed = capsys.readouterr().out
    assert "left out 1 file:" in printed and "1001_DFA_JOY_XX.wav" in printed


def test_crema_d_has_43_women():
    assert len(crema_d.FEMALE) == 43 and all(1001 <= int(actor) <= 1091 for actor in crema_d.FEMALE)


def test_pointers_of_git_lfs_are_rejected(tmp_path):
    (tmp_path / "1001_DFA_ANG_XX.wav").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 72862\n"
    )
    (outcome,) = check_all([Recording(Path(path)) for path in crema_d.read(tmp_path)["path"]], workers=1)
    assert isinstance(outcome, RejectedError) and "not readable as audio" in str(outcome)


def test_every_published_name_of_crema_d_follows_the_scheme():
    matches = [match for _, match in crema_d.RECORDINGS.matches(map(Path, published("crema_d")))]
    assert len(matches) == 7442 and len({match[1] for match in matches}) == 91
    counts = Counter(match[3] for match in matches)
    assert counts.pop("NEU") == 1087 and set(counts.values()) == {1271} and len(counts) == 5


# ---- TESS


@pytest.mark.parametrize("inner", ["", "TESS Toronto emotional speech set data"])
def test_tess_reads_the_name_and_not_the_folder(tmp_path, inner, capsys):
    names = ["OAF_Fear/OAF_back_fear.wav", "OAF_neutral/OA_bite_neutral.wav", "YAF_pleasant_surprised/YAF_gin_ps.wav"]
    touch(tmp_path / inner, *names, "YAF_happy/YAF_gin_happy.wav", "YAF_sad/YAF_gin_grief.wav")
    frame = read(tess, tmp_path)
    assert frame.index.tolist() == [
        "tess/OAF_back_fear", "tess/OAF_bite_neutral", "tess/YAF_gin_happy", "tess/YAF_gin_ps",
    ]  # fmt: skip
    assert frame["speaker"].tolist() == ["tess/OAF", "tess/OAF", "tess/YAF", "tess/YAF"]
    assert frame["emotion"].tolist() == ["fear", "neutral", "happiness", "surprise"]
    assert frame["prompt"].tolist()[:2] == ["Say the word back", "Say the word bite"]
    assert set(frame["sex"]) == {"female"}
    assert "left out 1 file:" in capsys.readouterr().out


def test_tess_in_one_folder_and_of_a_corpus_within_the_corpus_one_copy(tmp_path):
    touch(tmp_path / "flat", "YAF_back_sad.wav", "OAF_back_angry.wav")
    assert read(tess, tmp_path / "flat").index.tolist() == ["tess/OAF_back_angry", "tess/YAF_back_sad"]
    name = "TESS Toronto emotional speech set data"
    touch(tmp_path / name, "OAF_angry/OAF_back_angry.wav", f"{name}/OAF_angry/OAF_back_angry.wav")
    assert read(tess, tmp_path / name).index.tolist() == ["tess/OAF_back_angry"]


# ---- SAVEE

CODES = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness", "su": "surprise"}


@pytest.mark.parametrize(
    "form", ["AudioData/{speaker}/{name}", "{speaker}/{name}", "ALL/{speaker}_{name}", "{speaker}_{name}"]
)
def test_savee_reads_every_layout_alike(tmp_path, form, capsys):
    speakers = ("DC", "JE", "JK", "KL")
    touch(tmp_path, *(form.format(speaker=s, name=f"{code}01.wav") for s in speakers for code in CODES))
    touch(tmp_path, form.format(speaker="DC", name="x01.wav"))
    frame = read(savee, tmp_path)
    assert frame.index.tolist() == [f"savee/{s}_{code}01" for s in speakers for code in CODES]
    assert frame["speaker"].tolist() == [f"savee/{s}" for s in speakers for _ in CODES]
    assert frame["emotion"].tolist() == [*CODES.values()] * 4
    assert set(frame["sex"]) == {"male"}
    assert "left out 1 file:" in capsys.readouterr().out


def test_savee_needs_to_know_who_speaks(tmp_path):
    touch(tmp_path / "DC", "a01.wav")
    assert read(savee, tmp_path / "DC").index.tolist() == ["savee/DC_a01"]
    touch(tmp_path / "mixed", "a01.wav")
    with pytest.raises(UserError, match=r"no utterance found under .*mixed: nothing is named like DC/a01\.wav"):
        savee.read(tmp_path / "mixed")


def test_a_folder_is_read_and_resampled_whatever_its_rate(tmp_path):
    noise = np.random.default_rng(0).standard_normal(44_100) / 10
    (tmp_path / "AudioData" / "DC").mkdir(parents=True)
    soundfile.write(tmp_path / "AudioData" / "DC" / "a01.wav", noise, 44_100)
    (outcome,) = check_all([Recording(Path(path)) for path in savee.read(tmp_path)["path"]], workers=1)
    assert outcome.samples == 16_000
