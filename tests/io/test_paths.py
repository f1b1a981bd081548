"""Where a path that is not there was looked for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml
from dvc.exceptions import InvalidArgumentError
from dvc.utils.hydra import apply_overrides

from emopipe.backbones import loading
from emopipe.corpora.catalogue import read_branches
from emopipe.corpora.parameters import Synthetic
from emopipe.io.errors import UserError
from emopipe.io.paths import is_path
from emopipe.recordings.manifests import require_few_rejected
from helpers.paths import ROOT


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Go into a temporary copy of a repository that has more than Git tracks; return the repository."""
    repository = tmp_path / "repository"
    (repository / "weights" / "whisper").mkdir(parents=True)
    (repository / "own").mkdir()
    work = repository / ".dvc" / "tmp" / "exps" / "tmpab12"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    return repository


def test_a_folder_of_weights_that_the_copy_lacks_is_no_hub_id(copy):
    assert is_path("weights/whisper") and not is_path("openai/whisper-base")
    for name in ("weights/whisper", "./weights/whisper"):
        with pytest.raises(UserError) as error:
            loading.locate(name)
        assert "the temporary copy of the repository that this experiment runs in" in str(error.value)
        assert f"give an absolute path, such as {copy}/weights/whisper" in str(error.value)


@pytest.mark.parametrize("name", ["own/m.csv", "emodb:own"])
def test_tables_and_folders_of_corpora_say_it_too(copy, name):
    with pytest.raises(UserError, match=r"temporary copy of the repository.*give an absolute path, such as .*/own"):
        read_branches([name], [], Synthetic(speakers=6, utterances=1, seed=1), Path("made"))


def missing(*paths: str) -> pd.DataFrame:
    return pd.DataFrame({"utterance": [f"x/{i}" for i in range(len(paths))], "path": paths, "reason": "missing file"})


def test_so_do_recordings_of_a_table_that_git_tracks(copy):
    with pytest.raises(UserError, match=r"Relative paths lead into the temporary copy .*absolute path"):
        require_few_rejected(missing("../../../own/a.wav"), 1, 0.05, Path("rejected.csv"))
    with pytest.raises(UserError) as error:
        require_few_rejected(missing("/far/a.wav"), 1, 0.05, Path("rejected.csv"))
    assert "temporary copy" not in str(error.value)


def test_elsewhere_nothing_is_said_of_copies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        require_few_rejected(missing("a.wav"), 1, 0.05, Path("rejected.csv"))
    assert "temporary copy" not in str(error.value)


# ---- what DVC's --set-param makes of a path

NAMES = [
    "/data/archive (1)", "/daten/Größe", "~/emodb", "/d/x=y", "/d/a&b", "/d/a#b", "/d/it's", "/数据/emodb", "/data/a,b",
    "/d/[x] {y}", "/d/50%", "/d/a;b!c", "/d/ä é ñ",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_path_in_double_quotes_arrives_as_it_is(tmp_path, name):
    file = tmp_path / "params.yaml"
    file.write_text((ROOT / "params.yaml").read_text())
    apply_overrides(file, [f'data.audio.corpora=["emodb:{name}"]', f'model.backbone="{name}"'])
    params = yaml.safe_load(file.read_text())
    assert params["data"]["audio"]["corpora"] == [f"emodb:{name}"] and params["model"]["backbone"] == name


def test_without_them_dvc_refuses_it_or_a_comma_divides_it_which_is_told(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text((ROOT / "params.yaml").read_text())
    with pytest.raises(InvalidArgumentError):
        apply_overrides(file, ["data.audio.corpora=[emodb:/data/archive (1)]"])
    apply_overrides(file, [f"data.audio.corpora=[emodb:{tmp_path},b]"])
    names = yaml.safe_load(file.read_text())["data"]["audio"]["corpora"]
    (tmp_path / "03a01Fa.wav").touch()
    with pytest.raises(UserError) as error:
        read_branches(names, [], Synthetic(speakers=6, utterances=1, seed=1), tmp_path)
    assert "b: unknown corpus, neither a key nor a CSV" in str(error.value)
    assert """A comma divides two of them, within a path too""" in str(error.value)
    assert """-S 'data.audio.corpora=["emodb:/data/archive (1)"]'""" in str(error.value)
