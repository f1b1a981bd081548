"""The fetch stage, run as a user runs it: in a folder with a params.yaml."""

import hashlib
import io
import math
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from emopipe.corpora import catalogue
from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.manifest import Utterance, audio_path, read_manifest
from helpers.publisher import Publisher, at, served
from stages import fetch, resample

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(autouse=True)
def made(monkeypatch):
    """Put a stand-in in the place of the synthesiser: one utterance; return the folders it was asked to fill."""
    folders = []

    def make(folder, settings):
        folders.append(folder)
        write_wav(folder / "d.wav")
        row = {"utterance": "synthetic/d", "corpus": "synthetic", "path": str(folder / "d.wav"), "transcript": "So."}
        return tables.check([row | {"valence": 3.0, "arousal": 3.0, "dominance": 3.0}], Utterance, "synthetic")

    monkeypatch.setattr(catalogue.synthetic, "make", make)
    return folders


def write_wav(path: Path, samples: int = 1600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(samples, 0.1), 16_000)


def run(audio: list[str], text: list[str]) -> tuple:
    params = yaml.safe_load(PARAMS.read_text())
    params["data"]["audio"]["corpora"], params["data"]["text"]["corpora"] = audio, text
    Path("params.yaml").write_text(yaml.safe_dump(params))
    fetch.main()
    return read_manifest(fetch.AUDIO), read_manifest(fetch.TEXT)


def test_a_corpus_in_both_branches_is_made_once_and_the_text_knows_no_audio(made):
    audio, text = run(["synthetic"], ["synthetic"])
    assert made == [Path("data/raw/audio/synthetic")]
    assert audio["path"].tolist() == ["synthetic/d.wav"]
    assert text["path"].tolist() == [""] and text["sha256"].tolist() == [""] and text["seconds"].isna().all()
    assert text["transcript"].tolist() == ["So."]


def test_the_synthetic_corpus_for_the_text_alone_leaves_no_audio(made):
    audio, text = run([], ["synthetic"])
    assert len(made) == 1 and not made[0].exists()
    assert not Path("data/raw/audio/synthetic").exists()
    assert len(audio) == 0 and len(text) == 1


def test_relative_folders_give_relative_paths_and_absolute_ones_absolute(workspace):
    write_wav(workspace / "my corpus" / "wav" / "03a01Fa.wav")
    audio, _ = run(["emodb:my corpus"], [])
    assert audio["path"].tolist() == ["../../../my corpus/wav/03a01Fa.wav"]
    assert audio_path(fetch.AUDIO, audio.at[0, "path"]).is_file()
    audio, _ = run([f"emodb:{workspace}/my corpus"], [])
    assert audio["path"].tolist() == [f"{workspace}/my corpus/wav/03a01Fa.wav"]


def test_fingerprint_and_duration_are_of_the_file_and_follow_its_content(workspace):
    path = workspace / "e" / "03a01Fa.wav"
    write_wav(path, 8000)
    audio, _ = run(["emodb:e"], [])
    assert audio.at[0, "sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert audio.at[0, "seconds"] == 0.5
    before = fetch.AUDIO.read_bytes()
    run(["emodb:e"], [])
    assert fetch.AUDIO.read_bytes() == before
    write_wav(path, 8001)
    assert run(["emodb:e"], [])[0].at[0, "sha256"] != audio.at[0, "sha256"]


def test_own_manifest_with_missing_and_broken_files_and_rows_for_either_branch(workspace):
    write_wav(workspace / "own" / "ä b.wav")
    (workspace / "own" / "bad.wav").write_text("no audio")
    (workspace / "own" / "m.csv").write_bytes(
        "utterance,corpus,path,transcript,seconds\r\n"
        "x/1,x,ä b.wav,Ja.,99\r\nx/2,x,bad.wav,,\r\nx/3,x,gone.wav,,\r\nx/4,x,,Nein.,\r\n".encode("utf-8-sig")
    )
    audio, text = run(["own/m.csv"], ["own/m.csv"])
    assert audio["utterance"].tolist() == ["x/1", "x/2", "x/3"]
    assert text["utterance"].tolist() == ["x/1", "x/4"]
    assert audio["path"].tolist()[0] == "../../../own/ä b.wav"
    assert audio.at[0, "seconds"] == 0.1
    assert len(audio.at[1, "sha256"]) == 64 and math.isnan(audio.at[1, "seconds"])
    assert audio.at[2, "sha256"] == "" and math.isnan(audio.at[2, "seconds"])


def test_no_corpora_give_tables_of_a_header_alone():
    audio, text = run([], [])
    assert len(audio) == 0 and len(text) == 0
    assert fetch.TEXT.read_text().startswith("utterance,corpus,speaker") and fetch.TEXT.read_text().count("\n") == 1


def test_one_utterance_in_two_corpora_is_refused(workspace):
    write_wav(workspace / "a.wav")
    for name in ("one.csv", "two.csv"):
        (workspace / name).write_text("utterance,corpus,path\nx/a,x,a.wav\n")
    with pytest.raises(UserError, match=r"1 utterance\(s\) occur more than once: x/a"):
        run(["one.csv", "two.csv"], [])


def test_several_corpora_stand_in_the_order_they_are_listed(workspace):
    write_wav(workspace / "e" / "03a01Fa.wav")
    write_wav(workspace / "r" / "Actor_01" / "03-01-05-02-02-02-01.wav")
    audio, _ = run(["ravdess:r", "synthetic", "emodb:e"], [])
    assert audio["corpus"].tolist() == ["ravdess", "synthetic", "emodb"]


# ---- corpora that are downloaded


@pytest.fixture
def publisher(monkeypatch, tmp_path):
    """Serve recordings that can be read in the place of EmoDB's, and texts in the place of MELD's."""
    monkeypatch.setenv("EMOPIPE_CACHE", str(tmp_path / "cache"))
    names = list(catalogue.CORPORA["emodb"].release().checksums)[:20]
    files = {}
    for k, name in enumerate(names):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.linspace(-0.1, 0.1, 401 + k), 16_000, format="WAV")
        files[name] = buffer.getvalue()
    line = b"Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\nHi.,Ross,joy,0,0\n"
    texts = dict.fromkeys(catalogue.CORPORA["meld"].release().checksums, line)
    server = Publisher({})
    for key, content in (("emodb", files), ("meld", texts)):
        corpus = catalogue.CORPORA[key]
        paths, release = served(corpus.release(), content)
        server.files |= paths
        monkeypatch.setitem(catalogue.CORPORA, key, replace(corpus, release=partial(at, server, release)))
    yield server
    server.die()


def test_a_key_alone_is_downloaded_once_for_all_clones(publisher, tmp_path, monkeypatch, workspace):
    audio, text = run(["emodb"], ["meld"])
    assert len(audio) == 20 and audio["seconds"].notna().all() and len(text) == 3
    assert audio.at[0, "path"] == "$EMOPIPE_CACHE/corpora/emodb/wav/03a01Fa.wav"
    assert audio_path(fetch.AUDIO, audio.at[0, "path"]) == tmp_path / "cache/corpora/emodb/wav/03a01Fa.wav"
    outputs = fetch.AUDIO.read_bytes(), fetch.TEXT.read_bytes()
    assert not list(workspace.rglob("*.wav"))

    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    publisher.die()
    run(["emodb"], ["meld"])
    assert (fetch.AUDIO.read_bytes(), fetch.TEXT.read_bytes()) == outputs


def test_the_manifest_is_the_same_wherever_the_cache_lies(publisher, tmp_path, monkeypatch):
    run(["emodb"], [])
    first = fetch.AUDIO.read_bytes()
    monkeypatch.delenv("EMOPIPE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home of another"))
    run(["emodb"], [])
    assert fetch.AUDIO.read_bytes() == first
    assert (tmp_path / "home of another" / "emopipe" / "corpora" / "emodb" / "wav").is_dir()
    run([f"emodb:{tmp_path}/home of another/emopipe/corpora/emodb"], [])
    assert fetch.AUDIO.read_bytes() == first


def test_without_the_cache_the_next_stage_says_what_to_do(publisher, tmp_path):
    run(["emodb"], [])
    resample.main()
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(
        UserError, match=r"cache/corpora/emodb: not there, .*`dvc repro -f fetch` fetches the corpus again"
    ):
        resample.main()
