"""Bad input of every kind, through the stages as a user runs them: each file and row accounted for, by name and reason.

What single readers make of single files is tested in test_recordings.py; here everything lies in one corpus.
The stop at too many bad ones is in test_resample.py, what a split refuses in test_splits.py and test_branches.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from safetensors.numpy import load_file

from emopipe.io.errors import UserError
from emopipe.schemas import splits, tables
from emopipe.schemas.manifest import EMOTIONS, Rejection, read_manifest, write_manifest
from helpers.bad_recordings import BAD, GOOD, ODD, audio, nothing, voice
from stages import fetch, resample, split

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    return tmp_path


def table(rows: list[dict], **how: str) -> None:
    """Write a manifest of one's own."""
    pd.DataFrame(rows).to_csv("own/m.csv", index=False, **how)


def run(*stages: Callable[[], None], corpus: str = "own/m.csv", allowed: float = 1.0, **partition: object) -> None:
    """Run stages as a user does, in a folder with a params.yaml."""
    params = yaml.safe_load(PARAMS.read_text())
    params["data"]["audio"]["corpora"], params["data"]["text"]["corpora"] = [corpus], []
    params["resample"]["max_rejected"] = allowed
    params["split"]["audio"] |= partition
    Path("params.yaml").write_text(yaml.safe_dump(params))
    for stage in stages:
        stage()


def speaker_rows(speakers: int, emotions: tuple[str, ...] = ("anger", "neutral", "sadness")) -> list[dict]:
    """Write a good recording per speaker and emotion, each another sound, and return their rows."""
    rows = []
    for number in range(speakers):
        for emotion in emotions:
            name = f"{number} {emotion}"
            Path("own", f"{name}.wav").write_bytes(audio(voice(1_000 + len(rows), 1_600)))
            rows.append(row(name) | {"speaker": f"own/{number}", "emotion": emotion})
    return rows


def row(name: str) -> dict:
    return {"utterance": f"own/{name[:100]}", "corpus": "own", "path": f"{name}.wav"}


def lay(name: str, content: bytes | Callable[[Path], None], folder: str = "own") -> None:
    path = Path(folder, f"{name}.wav")
    content(path) if callable(content) else path.write_bytes(content)


# ---- recordings


def test_a_salted_corpus_is_accounted_for_file_by_file_and_the_good_ones_train(capsys, folder):
    assert len(BAD) >= 25
    good = speaker_rows(10)
    for name, (content, _) in (BAD | ODD).items():
        lay(name, content)
    salt = [row(name) | {"speaker": f"own/{i % 10}", "emotion": "neutral"} for i, name in enumerate(BAD | ODD)]
    rows = np.random.default_rng(0).permutation(np.array(good + salt, dtype=object)).tolist()
    table(rows)
    run(fetch.main, resample.main, split.main)

    raw, kept = read_manifest(resample.RAW), read_manifest(resample.MANIFEST)
    rejected = tables.read(resample.REJECTED, Rejection).set_index("utterance")
    assert raw["utterance"].tolist() == [line["utterance"] for line in rows]
    assert set(rejected.index) == {row(name)["utterance"] for name in BAD}
    assert len(rows) == len(kept) + len(rejected)
    assert kept["utterance"].tolist() == [name for name in raw["utterance"] if name not in rejected.index]
    for name, (_, reason) in BAD.items():
        assert re.match(reason, rejected.at[row(name)["utterance"], "reason"]), name
        assert rejected.at[row(name)["utterance"], "path"].endswith(f"{name}.wav")
    for name, (_, expected) in ODD.items():
        samples, rate = soundfile.read(resample.MANIFEST.parent / f"own/{name}.flac")
        assert rate == 16_000
        if isinstance(expected, int):
            assert len(samples) == expected
        else:
            np.testing.assert_allclose(samples, expected, atol=2.01 / 32768, err_msg=name)
    for line in good:
        assert (resample.MANIFEST.parent / f"{line['utterance']}.flac").is_file()

    division, leaks = split_and_leaks()
    assert set(division["split"]) == {"train", "dev", "test"}
    assert {line["utterance"] for line in good} <= set(division["utterance"])
    out = re.search(r"left out (\d+) of \d+ utterances: the same recording", capsys.readouterr().out)
    assert len(kept) == len(division) + (int(out[1]) if out else 0)  # several of the odd hold one and the same sound
    assert (len(leaks) > 0) == (out is not None)

    from stages import encode, finetune_audio  # here, for tests that need no network

    params = yaml.safe_load(Path("params.yaml").read_text())
    params["model"] |= {"backbone": str(folder), "features": "frozen", "trainable_layers": 0}
    params["encode"]["max_seconds"], params["train"]["epochs"] = 1, 1
    params["runtime"] |= {"device": "cpu", "threads": 1}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    encode.main()
    finetune_audio.main()
    assert all(np.isfinite(tensor).all() for tensor in load_file("models/audio/model.safetensors").values())


def split_and_leaks() -> tuple[pd.DataFrame, pd.DataFrame]:
    return tables.read(splits.AUDIO, splits.AudioItem), tables.read(splits.AUDIO_LEAKS, splits.Leak)


def test_a_published_corpus_with_salt_is_accounted_for_in_the_same_way():
    Path("emodb").mkdir()
    cases = {
        f"{1 + i // 26:02}a01F{chr(97 + i % 26)}": case
        for i, case in enumerate(BAD.values())
        if case[0] not in (nothing, Path.mkdir)
    }
    for name, (content, _) in cases.items():
        lay(name, content, "emodb")
    lay("10a02Na", GOOD, "emodb")
    run(fetch.main, resample.main, corpus="emodb:emodb")
    rejected = tables.read(resample.REJECTED, Rejection)
    assert rejected["utterance"].tolist() == [f"emodb/{name}" for name in sorted(cases)]
    for line in rejected.itertuples():
        assert re.match(cases[line.utterance.removeprefix("emodb/")][1], line.reason)
    assert read_manifest(resample.MANIFEST)["utterance"].tolist() == ["emodb/10a02Na"]


def test_paths_may_leave_the_folder_or_be_absolute_and_what_is_written_does_not(workspace):
    (workspace / "far.wav").write_bytes(GOOD)
    table([row("a") | {"path": "../far.wav"}, row("b") | {"path": str(workspace / "far.wav")}])
    run(fetch.main, resample.main)
    assert read_manifest(resample.MANIFEST)["path"].tolist() == ["own/a.flac", "own/b.flac"]
    assert sorted(path.name for path in Path("data/audio").rglob("*.flac")) == ["a.flac", "b.flac"]


def test_rows_without_a_path_are_counted(capsys):
    lay("a", GOOD)
    table([row("a"), row("b") | {"path": ""}])
    run(fetch.main)
    assert "own/m.csv: 1 of 2 utterances without audio left out" in capsys.readouterr().out
    assert len(read_manifest(fetch.AUDIO)) == 1


# ---- tables


LINES = "utterance,corpus,path,emotion\n"
TABLES: dict[str, tuple[bytes, str]] = {  # content, and the error's words as a pattern
    "empty": (b"", "m.csv: not a CSV table: it has no header"),
    "blank lines": (b"\n\n", "m.csv: not a CSV table"),
    "a header alone": (LINES.encode(), r"data\.audio\.corpora: own/m\.csv: no utterance"),
    "nothing to hear or read": (
        b"corpus,sex\nown,female\n",
        "neither a column path.* nor transcript.*; found corpus, sex",
    ),
    "a column twice": (b"utterance,corpus,path,path\nown/a,own,a.wav,b.wav\n", "the columns path, path all mean path"),
    "a misspelt column": (b"utterance,corpus,path,emotions_\nown/a,own,a.wav,bad\n", "row 2, column emotion: 'bad'"),
    "too many in one row": (LINES.encode() + b"own/a,own,a.wav,\nown/b,own,b.wav,,x\n", "row 3 has 5 cells"),
    "an open quotation": (LINES.encode() + b'own/a,own,"a.wav,\n', "row 2: not quoted as in CSV"),
    "a quotation over rows": (
        LINES.encode() + b'own/a,own,"a.wav\nown/b,own,b.wav",\n',
        "row 2, column path: .*line end",
    ),
    "a NUL": (LINES.encode() + b"own/a,own,a\0.wav,\n", "row 2, column path: .*control character"),
    "Latin-1": (LINES.encode() + "own/a,own,ä.wav,\n".encode("latin1"), "not UTF-8 text .*save it as CSV in UTF-8"),
    "an unknown label": (LINES.encode() + b"own/a,own,a.wav,rage\n", "row 2, column emotion: 'rage': write anger, "),
    "twice one name": (LINES.encode() + b"own/a,own,a.wav,\nown/a,own,b.wav,\n", r"1 utterance\(s\) .* once: own/a;"),
    "twice but for a space": (LINES.encode() + b"own/a,own,a.wav,\nown/a ,own,b.wav,\n", "more than once: own/a;"),
    "a name that leaves": (LINES.encode() + b"own/../../a,own,a.wav,\n", "row 2, column utterance: .*without '..'"),
    "a name too long": (LINES.encode() + b"own/" + b"n" * 201 + b",own,a.wav,\n", "row 2, .*longer than 200 bytes"),
    "no corpus": (LINES.encode() + b"own/a,,a.wav,\n", "row 2, column corpus: ''"),
    "valence 5.1": (b"utterance,corpus,valence\nown/a,own,5.1\n", "column valence: '5.1': outside the scale of 1 to 5"),
    "arousal 0": (b"utterance,corpus,arousal\nown/a,own,0\n", "column arousal: '0': outside the scale of 1 to 5"),
    "dominance inf": (b"utterance,corpus,dominance\nown/a,own,inf\n", "column dominance: 'inf': outside"),
    "a decimal comma": (b'utterance,corpus,valence\nown/a,own,"3,5"\n', "column valence: '3,5': .*valid number"),
    "a negative time": (b"utterance,corpus,path,start\nown/a,own,a.wav,-1\n", "column start: '-1': negative"),
}


@pytest.mark.parametrize(("content", "words"), TABLES.values(), ids=TABLES)
def test_a_bad_table_is_refused_in_words(content, words):
    Path("own/m.csv").write_bytes(content)
    with pytest.raises(UserError, match=f"(?s){words}"):
        run(fetch.main)
    assert not fetch.AUDIO.exists()


def test_a_folder_in_the_place_of_a_table_is_refused():
    Path("own/m.csv").mkdir()
    with pytest.raises(UserError, match=r"own/m\.csv: cannot be read: Is a directory"):
        run(fetch.main)


@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), (";", "utf-8-sig")])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_dialect_of_a_spreadsheet_gives_the_same_manifest(separator, encoding, end):
    rows = speaker_rows(1, EMOTIONS[:2])
    table(rows)
    run(fetch.main)
    plain = fetch.AUDIO.read_bytes()
    table(rows, sep=separator, encoding=encoding, lineterminator=end)
    run(fetch.main)
    assert fetch.AUDIO.read_bytes() == plain


# ---- speakers and sets


def test_a_class_with_one_speaker_is_in_one_set_and_left_out_aloud_where_it_has_no_training_speaker(capsys):
    table(speaker_rows(10))
    run(fetch.main, resample.main, allowed=0.0)
    manifest = read_manifest(resample.MANIFEST)
    for k in range(4):  # whoever is the one
        write_manifest(
            manifest.assign(emotion=manifest["emotion"].where(manifest.index != 3 * k, "fear")), resample.MANIFEST
        )
        split.main()
        division, _ = split_and_leaks()
        fear = division[division["emotion"] == "fear"]
        assert fear["split"].tolist() in (["train"], [])
        reported = (
            "1 of 30 utterances left out: no training utterance has their emotion (fear)" in capsys.readouterr().out
        )
        assert reported == fear.empty and len(division) == 30 - fear.empty, k


@pytest.mark.parametrize(
    ("speakers", "strategy", "words"),
    [
        (1, "speaker", "needs 3 groups or more, here are 1"),
        (1, "leave_one_speaker_out", r"split\.audio: the train set is empty"),
        (2, "leave_one_speaker_out", r"split\.audio: the dev set is empty"),
    ],
)
def test_too_few_speakers_for_three_sets_are_refused(speakers, strategy, words):
    table(speaker_rows(speakers))
    with pytest.raises(UserError, match=words):
        run(fetch.main, resample.main, split.main, strategy=strategy)


def test_one_sound_under_two_names_is_held_out_once_and_both_are_named(capsys):
    rows = speaker_rows(4)
    rows = [line | {"split": ("dev", "test", "train", "train")[i // 3]} for i, line in enumerate(rows)]
    copy, original = rows[6], rows[0]
    Path("own", copy["path"]).write_bytes(Path("own", original["path"]).read_bytes())
    table(rows)
    run(fetch.main, resample.main, split.main, strategy="official")
    division, leaks = split_and_leaks()
    assert set(read_manifest(resample.MANIFEST)["utterance"]) - set(division["utterance"]) == {copy["utterance"]}
    assert "left out 1 of 12 utterances: the same recording is in another set" in capsys.readouterr().out
    assert len(leaks) == 1
