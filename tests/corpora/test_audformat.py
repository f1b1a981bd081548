"""Databases in audformat, as the package itself writes them."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import audformat
import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from audformat.define import DataType, SplitType

from emopipe.corpora import audformat_database
from emopipe.corpora.catalogue import read_branches
from emopipe.corpora.parameters import Synthetic
from emopipe.io.errors import UserError
from emopipe.recordings.manifests import recordings
from emopipe.recordings.resampling import check_all
from emopipe.schemas.labels import WORDS
from emopipe.splits.parameters import Merge

SYNTHETIC = Synthetic(speakers=6, utterances=1, seed=1)


def column(table, name: str, scheme: str | None, values: list, rater: str | None = None) -> None:
    table[name] = audformat.Column(scheme_id=scheme, rater_id=rater)
    table[name].set(values)


def emodb() -> audformat.Database:
    """Return what EmoDB 2.0 looks like: speakers in a table of their own, sentences in the labels, a second signal."""
    db = audformat.Database("emodb", source="x", usage="unrestricted", languages=["de"], license="CC0-1.0")
    db.raters["gold"] = audformat.Rater()
    db.schemes["emotion"] = audformat.Scheme("str", labels=["anger", "happiness", "neutral"])
    db.schemes["confidence"] = audformat.Scheme(DataType.FLOAT, minimum=0, maximum=1)
    db.schemes["gender"] = audformat.Scheme("str", labels=["female", "male"])
    db.schemes["transcription"] = audformat.Scheme("str", labels={"a01": "Der Lappen.", "b10": "Die wird."})
    db["speaker"] = audformat.MiscTable(pd.Index([3, 8], dtype="Int64", name="speaker"))
    column(db["speaker"], "gender", "gender", ["male", "female"])
    db.schemes["speaker"] = audformat.Scheme("int", labels="speaker")
    for kind in (SplitType.TRAIN, SplitType.TEST):
        db.splits[kind] = audformat.Split(type=kind)
    files = ["wav/03a01Fa.wav", "wav/03a01Wa.wav", "wav/08b10Na.wav"]
    emotions = ["happiness", "anger", "neutral"]
    for prefix in ("", "laryngo."):
        own = [file.replace("wav/", "laryngo/") if prefix else file for file in files]
        db[f"{prefix}files"] = audformat.Table(audformat.filewise_index(own))
        column(db[f"{prefix}files"], "speaker", "speaker", [3, 3, 8])
        column(db[f"{prefix}files"], "transcription", "transcription", ["a01", "a01", "b10"])
        db[f"{prefix}emotion"] = audformat.Table(audformat.filewise_index(own))
        column(db[f"{prefix}emotion"], "emotion", "emotion", emotions, "gold")
        column(db[f"{prefix}emotion"], "emotion.confidence", "confidence", [0.9, 1.0, 0.8], "gold")
    for kind, part in ((SplitType.TRAIN, slice(0, 2)), (SplitType.TEST, slice(2, 3))):
        name = f"emotion.categories.{kind}.gold_standard"
        db[name] = audformat.Table(audformat.filewise_index(files[part]), split_id=kind)
        column(db[name], "emotion", "emotion", emotions[part], "gold")
    return db


def talk() -> audformat.Database:
    """Return segments of two files, rated on scales of their own."""
    db = audformat.Database("talk", source="x", usage="research", languages=["en", "de"])
    db.schemes["valence"] = audformat.Scheme(DataType.FLOAT, minimum=-1, maximum=1)
    db.schemes["act"] = audformat.Scheme(DataType.INTEGER, minimum=1, maximum=7)
    db.schemes["dominance"] = audformat.Scheme(DataType.FLOAT)
    db.schemes["speaker"] = audformat.Scheme("str", labels={"anna": {"sex": "female", "age": 30}, "bert": {"age": 40}})
    index = audformat.segmented_index(["a.wav", "a.wav", "b.wav", "b.wav"], [0, 1.5, 0, 1], [1.5, None, None, 2])
    db["ratings"] = audformat.Table(index)
    column(db["ratings"], "valence", "valence", [-1, 0.5, None, 1])
    column(db["ratings"], "arousal", "act", [1, 4, 7, None])
    column(db["ratings"], "dominance", "dominance", [3.0, 3.0, 3.0, 3.0])
    column(db["ratings"], "emotion", None, ["Angry", "bliss", "no_agreement", "joy"])
    column(db["ratings"], "text", None, ["No!", None, "So.", ""])
    db["files"] = audformat.Table(audformat.filewise_index(["a.wav", "b.wav"]))
    column(db["files"], "who", "speaker", ["anna", "bert"])
    column(db["files"], "session", None, [1, 2])
    return db


def save(db: audformat.Database, folder: Path, form: str = "csv") -> Path:
    db.save(str(folder), storage_format=form)
    return folder


def read(folder: Path) -> pd.DataFrame:
    return audformat_database.read(folder).set_index("utterance")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_files_with_speakers_sentences_and_the_official_split(tmp_path, form, capsys):
    frame = read(save(emodb(), tmp_path, form))
    assert frame.index.tolist() == ["emodb/wav/03a01Fa", "emodb/wav/03a01Wa", "emodb/wav/08b10Na"]  # no second signal
    assert frame["emotion"].tolist() == ["happiness", "anger", "neutral"]
    assert frame["speaker"].tolist() == ["emodb/3", "emodb/3", "emodb/8"]
    assert frame["sex"].tolist() == ["male", "male", "female"]
    assert frame["transcript"].tolist() == ["Der Lappen.", "Der Lappen.", "Die wird."]
    assert frame["split"].tolist() == ["train", "train", "test"]
    assert set(frame["language"]) == {"de"} and set(frame["corpus"]) == {"emodb"}
    assert frame["path"].iloc[0] == str(tmp_path / "wav" / "03a01Fa.wav")
    assert frame[["start", "end", "valence"]].isna().all(axis=None)
    assert capsys.readouterr().out == "audformat: emodb, licence CC0-1.0\n"


def test_segments_with_ratings_on_other_scales(tmp_path, capsys):
    frame = read(save(talk(), tmp_path))
    assert frame.index.tolist() == ["talk/a_0.000-1.500", "talk/a_1.500-end", "talk/b_1.000-2.000"]
    nan = math.nan
    np.testing.assert_array_equal(frame[["start", "end"]], [[nan, 1.5], [1.5, nan], [1, 2]])
    np.testing.assert_array_equal(frame["valence"], [1.0, 4.0, 5.0])
    np.testing.assert_array_equal(frame["arousal"], [1.0, 3.0, nan])
    assert frame["dominance"].isna().all()
    assert frame["emotion"].tolist() == ["anger", "", "happiness"]
    assert frame["speaker"].tolist() == ["talk/anna", "talk/anna", "talk/bert"]
    assert frame["sex"].tolist() == ["female", "female", ""]
    assert frame["session"].tolist() == ["1", "1", "2"]
    assert frame["transcript"].tolist() == ["No!", "", ""]  # not the words of the whole file
    assert set(frame["language"]) == {""} and set(frame["split"]) == {""}
    printed = capsys.readouterr().out
    assert "db.ratings: valence mapped linearly from the scale of -1 to 1 to that of 1 to 5" in printed
    assert "db.ratings: arousal mapped linearly from the scale of 1 to 7 to that of 1 to 5" in printed
    assert "db.ratings: dominance: left out 4 ratings: their scheme gives no minimum and maximum" in printed
    assert "1 of 3 utterances left without an emotion: 'bliss' is none here" in printed


def test_segments_are_cut_where_the_database_says(tmp_path):
    sound = np.random.default_rng(0).integers(-9_999, 9_999, 48_000).astype(np.int16)
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", sound, 16_000)
    audio, _ = read_branches([f"audformat:{save(talk(), tmp_path)}"], [], SYNTHETIC, tmp_path)
    outcomes = check_all(recordings(audio, Path()), workers=1)
    assert [outcome.samples for outcome in outcomes] == [24_000, 24_000, 16_000]


def test_several_databases_may_be_listed_and_none_twice(tmp_path):
    one, two = save(emodb(), tmp_path / "one"), save(talk(), tmp_path / "two")
    audio, text = read_branches([f"audformat:{one}", f"audformat:{two}"], [f"audformat:{two}"], SYNTHETIC, tmp_path)
    assert (len(audio), len(text)) == (6, 1)
    with pytest.raises(UserError, match="this corpus is listed twice"):
        read_branches([f"audformat:{one}", f"audformat:{one}/../one"], [], SYNTHETIC, tmp_path)


def test_codes_of_emotions_stand_for_their_text_and_speakers_for_themselves(tmp_path):
    db = audformat.Database("coded", source="x", usage="research")
    db.schemes["emotion"] = audformat.Scheme("str", labels={"W": "anger", "F": "happiness"})
    db.schemes["speaker"] = audformat.Scheme("str", labels={"s1": "a man", "s2": "a man"})
    db["files"] = audformat.Table(audformat.filewise_index(["1.wav", "2.wav"]))
    column(db["files"], "emotion", "emotion", ["F", "W"])
    column(db["files"], "speaker", "speaker", ["s1", "s2"])
    frame = read(save(db, tmp_path))
    assert frame["emotion"].tolist() == ["happiness", "anger"]
    assert frame["speaker"].tolist() == ["coded/s1", "coded/s2"]


# ---- hostile folders


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_no_pickle_is_loaded_even_where_it_is_newer(tmp_path):
    folder = save(emodb(), tmp_path / "db")
    bomb = folder / "db.emotion.pkl"
    bomb.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    os.utime(bomb, (2e9, 2e9))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert len(read(folder)) == 3
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "db.emotion.csv").unlink()
    with pytest.raises(UserError, match=r"no db\.emotion\.parquet or db\.emotion\.csv; .* pickle alone is not loaded"):
        audformat_database.read(folder)
    assert not (tmp_path / "exploded").exists()
    pickle.loads(bomb.read_bytes())  # noqa: S301 - the bomb is a real one
    assert (tmp_path / "exploded").exists()


def test_no_code_in_the_header_is_run(tmp_path):
    folder = save(emodb(), tmp_path / "db")
    header = (folder / "db.yaml").read_text()
    (folder / "db.yaml").write_text(f"{header}bomb: !!python/object/apply:os.mkdir ['{tmp_path / 'exploded'}']\n")
    with pytest.raises(UserError, match=r"db\.yaml: not a header of audformat: could not determine a constructor"):
        audformat_database.read(folder)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("header", ["", "[]", "name: x\n", "name: [\n", "just words", "a: 1\nb: 2\n"])
def test_a_broken_header_is_one_message(tmp_path, header):
    with pytest.raises(UserError, match=r"nothing is named db\.yaml"):
        audformat_database.read(tmp_path)
    (tmp_path / "db.yaml").write_text(header)
    with pytest.raises(UserError, match=r"db\.yaml: not a header of audformat"):
        audformat_database.read(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "file,emotion\nwav/a.wav,anger\n", "nonsense\n\0\n", "file,mood\nwav/a.wav,x\n"]
)
def test_a_table_that_is_not_what_the_header_says_is_named(tmp_path, content):
    folder = save(emodb(), tmp_path)
    (folder / "db.emotion.csv").write_text(content)
    with pytest.raises(UserError, match=r"db\.emotion\.csv: not the table that the header describes"):
        audformat_database.read(folder)


def test_raters_who_disagree_are_refused_unless_a_table_of_its_own_settles_it(tmp_path):
    db = emodb()
    del db.tables["emotion"]
    db["others"] = audformat.Table(audformat.filewise_index(["wav/03a01Fa.wav"]))
    column(db["others"], "emotion", "emotion", ["neutral"])
    with pytest.raises(UserError, match=r"'neutral' for wav/03a01Fa\.wav, which another .* calls 'happiness'"):
        read(save(db, tmp_path / "one"))
    db["emotion"] = audformat.Table(audformat.filewise_index(["wav/03a01Fa.wav"]))
    column(db["emotion"], "emotion", "emotion", ["anger"])
    assert read(save(db, tmp_path / "two"))["emotion"].tolist() == ["anger"]


def test_a_database_without_labels_says_what_it_has(tmp_path):
    db = emodb()
    for name in [name for name in db.tables if "emotion" in name]:
        del db.tables[name]
    with pytest.raises(
        UserError, match=r"no table has a scheme or column named emotion.*its schemes are confidence, emotion"
    ):
        read(save(db, tmp_path))


def test_the_package_is_imported_only_where_it_is_needed():
    code = (
        "import sys; import emopipe.corpora.catalogue; print([m for m in ('audformat', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "audformat" not in done.stdout


def test_a_header_in_the_form_of_old_releases_is_read(tmp_path):
    folder = save(talk(), tmp_path)
    header = yaml.safe_load((folder / "db.yaml").read_text())
    (folder / "db.yaml").write_text(yaml.safe_dump({header.pop("name"): header}, sort_keys=False))
    assert len(read(folder)) == 3


def labelled(labels: dict[str, str], **tables: dict[str, str]) -> audformat.Database:
    """Return a database with a scheme of these labels, and tables of a file's label each; underscores are dots."""
    db = audformat.Database("acted", languages=["en"])
    db.schemes["emotion"] = audformat.Scheme("str", labels=list(labels))
    for name, files in (tables or {"files": {f"{label}.wav": label for label in labels}}).items():
        table = name.replace("_", ".")
        db[table] = audformat.Table(audformat.filewise_index(list(files)))
        column(db[table], "emotion", "emotion", list(files.values()))
    return db


def test_abbreviations_and_adjectives_are_emotions(tmp_path):
    words = {
        "ang": "anger", "hap": "happiness", "neu": "neutral", "sad": "sadness", "fea": "fear", "dis": "disgust",
        "sur": "surprise", "bor": "boredom", "exc": "excitement", "fru": "frustration", "joyful": "happiness",
        "neutrality": "neutral", "xxx": "", "Scared": "fear",
    }  # fmt: skip
    frame = read(save(labelled(words), tmp_path))
    assert frame["emotion"].tolist() == list(words.values())


def test_a_word_that_is_no_emotion_is_counted_and_merge_makes_it_one(tmp_path, capsys):
    save(labelled({"ang": "anger", "amused": "", "e3": ""}), tmp_path)
    assert read(tmp_path)["emotion"].tolist() == ["anger", "", ""]
    printed = capsys.readouterr().out
    assert "1 of 3 utterances left without an emotion: 'amused' is none here; data.audio.merge={amused: " in printed
    assert "left without an emotion: 'e3'" in printed
    words = WORDS | Merge(merge={"Amused": "happy", "e3": "fear"}).words()
    rows, _ = read_branches([f"audformat:{tmp_path}"], [], SYNTHETIC, tmp_path, words)
    assert rows["emotion"].tolist() == ["anger", "happiness", "fear"]


def judged() -> audformat.Database:
    """Return what the actors meant, and what the listeners heard in the same files."""
    return labelled(
        dict.fromkeys(("anger", "sadness", "neutral"), ""),
        emotion_categories_desired_train={"a.wav": "anger", "b.wav": "sadness"},
        emotion_categories_train_gold={"a.wav": "anger", "b.wav": "neutral"},
    )


def test_of_several_judgements_the_tables_that_count_are_chosen_by_the_beginning_of_their_names(tmp_path):
    save(judged(), tmp_path)
    with pytest.raises(
        UserError, match=r"'neutral' for b\.wav, which another .* 'sadness'; .*audformat:FOLDER:BEGINNING"
    ):
        read(tmp_path)
    for tables_of, expected in (("emotion.categories.desired", "sadness"), ("emotion.categories.train", "neutral")):
        rows, _ = read_branches([f"audformat:{tmp_path}:{tables_of}"], [], SYNTHETIC, tmp_path)
        assert rows["emotion"].tolist() == ["anger", expected]
    with pytest.raises(UserError, match=r"no table's name begins with emotion\.voice; there are emotion\.categories"):
        read_branches([f"audformat:{tmp_path}:emotion.voice"], [], SYNTHETIC, tmp_path)
    with pytest.raises(UserError, match="listed twice"):
        read_branches([f"audformat:{tmp_path}:emotion.a", f"audformat:{tmp_path}"], [], SYNTHETIC, tmp_path)


def test_a_folder_with_a_colon_in_its_name_is_a_folder(tmp_path):
    save(labelled({"anger": ""}), tmp_path / "a:b")
    rows, _ = read_branches([f"audformat:{tmp_path}/a:b"], [], SYNTHETIC, tmp_path)
    assert len(rows) == 1


def test_a_database_is_found_below_the_folder_and_of_several_one_must_be_named(tmp_path):
    save(labelled({"anger": ""}), tmp_path / "acted/1.0.0/d3b62a9b")
    assert read(tmp_path)["path"].tolist() == [str(tmp_path / "acted/1.0.0/d3b62a9b/anger.wav")]
    save(labelled({"anger": ""}), tmp_path / "acted/1.1.0/fe182b91")
    with pytest.raises(UserError, match=r"2 databases; name the folder of one: .*d3b62a9b, .*fe182b91"):
        read(tmp_path)
