"""The split stage behind fetch and resample: what one branch is divided by leaves the other one's sets as they are."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from emopipe.schemas import splits
from helpers.paths import ROOT
from helpers.small_corpus import SMALL, write_params
from stages import fetch, resample, split

OF_AUDIO = (splits.AUDIO, splits.AUDIO_BALANCE, splits.AUDIO_LEAKS)
OF_TEXT = (splits.TEXT, splits.TEXT_BALANCE, splits.TEXT_LEAKS)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with a second corpus: other speakers, twice as many, under another name."""
    folder = tmp_path_factory.mktemp("splits")
    with contextlib.chdir(folder):
        divided(audio=["synthetic"], data__synthetic__speakers=12, data__synthetic__seed=2)
        shutil.copytree("data/raw/audio", "second")
        rows = pd.read_csv("second/manifest.csv", dtype=str, keep_default_na=False)
        for column in ("utterance", "corpus", "speaker"):
            rows[column] = rows[column].str.replace("synthetic", "second")
        rows.to_csv("second/second.csv", index=False)
        yield folder


def divided(audio: list[str], text: list[str] | None = None, **changes: object) -> dict[Path, bytes]:
    """Run the stages that such a change reruns; return what the split stage wrote."""
    before = fetched()
    corpora = {"data.audio.corpora": audio, "data.text.corpora": text or ["synthetic"]}
    write_params(Path(), SMALL | corpora | {key.replace("__", "."): value for key, value in changes.items()})
    if fetched() != before:
        fetch.main()
        resample.main()
    split.main()
    return {path: path.read_bytes() for path in (*OF_AUDIO, *OF_TEXT)}


def fetched() -> list[object]:
    """Return the parameters of the fetch stage."""
    if not Path("params.yaml").exists():
        return []
    data = yaml.safe_load(Path("params.yaml").read_text())["data"]
    return [data["audio"]["corpora"], data["text"]["corpora"], data["synthetic"]]


@pytest.fixture(scope="module")
def shared(place):
    """Return what is written where both branches use the synthetic corpus, and nothing else."""
    return divided(audio=["synthetic"])


SECOND = "second/second.csv"


@pytest.mark.parametrize("audio", [[SECOND], ["synthetic", SECOND]])
def test_the_text_split_is_the_same_bytes_whatever_audio_corpora_are_listed(shared, audio):
    changed = divided(audio=audio)
    assert all(changed[path] != shared[path] for path in (splits.AUDIO, splits.AUDIO_BALANCE))
    assert all(changed[path] == shared[path] for path in OF_TEXT)


@pytest.mark.parametrize(
    "changes",
    [
        {"split__audio__seed": 7},
        {"split__audio__strategy": "leave_one_speaker_out", "split__audio__fold": 2},
        {"split__audio__fractions": [0.5, 0.25, 0.25]},
        {"data__audio__labels": ["anger", "neutral"]},
        {"data__audio__merge": {"fear": "sadness"}},
        {"model__task": "regression"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_text_split_does_not_depend_on_how_another_audio_corpus_is_divided(shared, changes):
    changed = divided(audio=[SECOND], **changes)
    assert all(changed[path] == shared[path] for path in OF_TEXT)


def test_what_both_branches_use_is_divided_alike_and_follows_the_audio_split_where_that_changes(shared):
    assert divided(audio=["synthetic"], model__task="regression")[splits.TEXT] == shared[splits.TEXT]
    changed = divided(
        audio=["synthetic", SECOND], split__audio__strategy="leave_one_speaker_out", split__audio__fold=14
    )
    assert changed[splits.TEXT] != shared[splits.TEXT]
    audio, text = (rows.set_index("utterance")["split"] for rows in (splits.read_audio(), splits.read_text()))
    assert text["synthetic/s03_001"] == "test"
    assert text.to_dict() == audio[text.index].to_dict()


@pytest.mark.parametrize("text", [[SECOND], ["synthetic", SECOND]])
def test_the_audio_split_is_the_same_bytes_whatever_text_corpora_are_listed(shared, text):
    changed = divided(audio=["synthetic"], text=text)
    assert all(changed[path] == shared[path] for path in OF_AUDIO)
    changed = divided(audio=["synthetic"], text=text, split__text__seed=7, data__text__labels=["anger", "fear"])
    assert all(changed[path] == shared[path] for path in OF_AUDIO)


@pytest.mark.parametrize("stage", ["fetch", "resample", "split"])
def test_the_stages_of_the_data_start_without_what_takes_seconds_to_import(stage):
    program = f"import sys, stages.{stage}; print(*sorted(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"audformat", "matplotlib", "requests", "scipy", "sklearn", "torch", "transformers"} & {
        *done.stdout.split()
    }
