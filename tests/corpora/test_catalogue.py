"""Corpora by name: what a user may write in a branch's list, and the message when it is wrong."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from emopipe.corpora import catalogue, own_manifest
from emopipe.corpora.catalogue import CORPORA, read_branches
from emopipe.corpora.parameters import Synthetic
from emopipe.io.errors import UserError
from helpers.publisher import Publisher, at, contents, served

SYNTHETIC = Synthetic(speakers=6, utterances=1, seed=1)


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def read(name: str, parameter: str = catalogue.AUDIO) -> pd.DataFrame:
    return catalogue.read_corpus(name, parameter, SYNTHETIC, Path("unused"))


# ---- a manifest of one's own


def test_own_manifest_with_bom_semicolons_and_crlf(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes("utterance;corpus;path;emotion\r\nx/ä b;x;sub/ä b.wav;fear\r\nx/c;x;;calm\r\n".encode("utf-8-sig"))
    rows = own_manifest.read(path)
    assert rows["utterance"].tolist() == ["x/ä b", "x/c"]
    assert rows["path"].tolist() == [str(tmp_path / "sub" / "ä b.wav"), ""]


def test_own_manifest_keeps_absolute_paths(tmp_path):
    (tmp_path / "mine.csv").write_text("utterance,corpus,path\nx/a,x,/far/a.wav\n")
    assert own_manifest.read(tmp_path / "mine.csv")["path"].tolist() == ["/far/a.wav"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("utterance,corpus,emotion\nx/a,x,rage\n", r"row 2, column emotion: 'rage'"),
        ("utterance,corpus,arousal\nx/a,x,6\n", r"row 2, column arousal: '6': outside the scale"),
        ("utterance,corpus\nx/a,x\nx/a,x\n", r"1 utterance\(s\) occur more than once: x/a"),
        ("utterance,corpus\n../a,x\n", r"row 2, column utterance: '../a'"),
        ("corpus,mood\nx,fine\n", r"neither a column path, of recordings, nor transcript"),
        ("utterance,corpus,emotoin\nx/a,x,fear\n", r"column emotoin: .*did you mean emotion\?"),
        ("utterance,corpus\n", r"mine\.csv: no utterance"),
    ],
)
def test_own_manifest_errors_name_the_place(tmp_path, content, message):
    (tmp_path / "mine.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        read(str(tmp_path / "mine.csv"))


# ---- the catalogue


def test_unknown_key_lists_the_known_ones():
    with pytest.raises(
        UserError, match=r"data\.audio\.corpora: emo_db:/x: unknown corpus, neither.*synthetic.*emobank.*ravdess"
    ):
        read("emo_db:/x")


@pytest.mark.parametrize("name", ["emodb", "emodb:"])
def test_bare_key_says_where_to_get_it_and_how_to_name_the_folder(name, monkeypatch):
    if name == "emodb":  # as of a corpus that nobody may download
        monkeypatch.setitem(CORPORA, name, replace(CORPORA[name], release=None))
    with pytest.raises(UserError, match=r"data\.audio\.corpora=\[emodb:/path/to/emodb\].*CC0.*zenodo.*wav/03a01Fa"):
        read(name)


def test_bare_key_of_a_corpus_that_cannot_be_fetched_says_all_ways_out(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOPIPE_CACHE", str(tmp_path))
    corpus = CORPORA["emodb"]
    server = Publisher({})
    release = at(server, served(corpus.release(), contents(tuple(corpus.release().checksums)))[1])
    server.die()
    monkeypatch.setitem(CORPORA, "emodb", replace(corpus, release=lambda: release))
    with pytest.raises(UserError) as error:
        read("emodb")
    message = str(error.value)
    assert message.startswith("data.audio.corpora: emodb: could not be fetched")
    for source in release.sources:
        for url in source.file.urls:
            assert f"\n  {url}: connection failed" in message
    assert f"put download.zip or emodb_2.0.zip into {tmp_path}/downloads/emodb yourself" in message
    assert "data.audio.corpora=[emodb:/path/to/emodb], a folder that holds wav/03a01Fa.wav" in message


def test_missing_folder_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"nowhere: no such file or folder \(looked for {tmp_path}/nowhere\)"):
        read("emodb:nowhere")


@pytest.mark.parametrize("name", ["emodb:corpora/emodb", "mine.csv"])
def test_in_a_queued_experiment_a_relative_folder_is_asked_to_be_absolute(tmp_path, monkeypatch, name):
    workspace = tmp_path / ".dvc" / "tmp" / "exps" / "tmpx1"
    workspace.mkdir(parents=True)
    monkeypatch.chdir(workspace)
    with pytest.raises(UserError, match=r"temporary copy of the repository.*absolute path"):
        read(name)


def test_empty_folder_and_file_instead_of_folder(tmp_path):
    with pytest.raises(UserError, match=rf"no utterance found under {tmp_path}: .*expected: wav/03a01Fa\.wav"):
        read(f"emodb:{tmp_path}")
    touch(tmp_path / "emobank.csv")
    with pytest.raises(UserError, match=r"not a folder; name the folder that holds emobank\.csv"):
        read(f"emobank:{tmp_path}/emobank.csv", catalogue.TEXT)


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    touch(tmp_path / "berlin" / "wav" / "03a01Fa.wav")
    assert read("emodb:~/berlin")["path"].tolist() == [str(tmp_path / "berlin" / "wav" / "03a01Fa.wav")]


def test_a_corpus_listed_twice_in_a_branch_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data\.audio\.corpora: emodb:/b: this corpus is listed twice"):
        read_branches(["emodb:/a", "emodb:/b"], [], SYNTHETIC, tmp_path)
    with pytest.raises(UserError, match="listed twice"):
        read_branches([], [f"{tmp_path}/m.csv", f"{tmp_path}/./m.csv"], SYNTHETIC, tmp_path)


def test_a_corpus_without_what_its_branch_needs_is_refused(tmp_path):
    touch(tmp_path / "wav" / "03a01Fa.wav")
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "emobank.csv").write_text("id,split,V,A,D,text\na,train,3,3,3,Yes.\n")
    with pytest.raises(
        UserError, match=r"data\.text.*: emodb:.* has a transcript; it can only be listed in data\.audio"
    ):
        read_branches([], [f"emodb:{tmp_path}"], SYNTHETIC, tmp_path)
    with pytest.raises(
        UserError, match=r"data\.audio\.corpora: emobank:.* has audio; it can only be listed in data\.text"
    ):
        read_branches([f"emobank:{tmp_path}/bank"], [], SYNTHETIC, tmp_path)


def test_every_corpus_documents_itself():
    for key, corpus in CORPORA.items():
        assert corpus.key == key
        assert all((corpus.title, corpus.licence, corpus.citation, corpus.source, corpus.layout))
