"""The audio model goes to the hub whole, in one commit, with a card that tells the truth. A local server stands in."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import shutil
from copy import deepcopy
from importlib import metadata

import numpy as np
import pytest
import soundfile
import torch
import yaml
from huggingface_hub import ModelCard

from emopipe.audio import saving
from emopipe.audio.layers import layer_pooling
from emopipe.audio.model import AudioModel, Trained, trainable_blocks
from emopipe.audio.parameters import Model, Train
from emopipe.audio.tasks import task_of
from emopipe.backbones.loading import load
from emopipe.commands import publish
from emopipe.io.errors import UserError
from emopipe.report.formatting import score
from emopipe.results.scores import headline
from emopipe.schemas import dev_answers, predictions
from emopipe.schemas.dev_answers import DevAnswers
from emopipe.training.networks import Ensemble
from helpers import results
from helpers.paths import ROOT
from helpers.upload_server import REPOSITORY, Hub, online

EVIL = "mine | <script>alert(1)</script> [a](b) `c` **d** {{ 7 }}"
FILES = ["README.md", "config.json", "model.safetensors"]
TARGETS = ["arousal", "valence"]


@pytest.fixture(scope="module")
def there():
    server = Hub()
    yield server
    server.close()


def upload(folder, server, backbone, rows, targets=()):
    """Publish made-up results and an untrained model; return what was committed, the model and what was printed."""
    results.write(folder, rows, None, zero_shot=not targets, targets=targets)
    trained = untrained(backbone, rows, targets)
    saving.save(trained, folder / "models/audio")
    before = len(server.commits)
    printed = io.StringIO()
    with online(folder, server.url), contextlib.redirect_stdout(printed):
        run(REPOSITORY)
    (commit,) = server.commits[before:]
    return commit, trained, printed.getvalue()


def run(*words):
    parser = argparse.ArgumentParser()
    publish.configure(parser)
    publish.run(parser.parse_args(words))


def untrained(backbone, rows, targets):
    chosen, optimisation = (group.load(path=ROOT / "params.yaml") for group in (Model, Train))
    optimisation = optimisation.model_dump()
    task = {"task": "regression", "targets": list(targets)} if targets else {}
    settings = chosen.model_copy(update={"backbone": backbone, "features": "frozen", "hidden": 8} | task)
    loaded = load(backbone)
    provenance = {
        "backbone": loaded.origin.provenance(), "blocks": loaded.block_count, "trainable_layers": 1, "dim": loaded.dim,
        "max_seconds": 0.8, "speed_perturbation": [],
        "precision": "float32", "versions": {"torch": metadata.version("torch")},
    }  # fmt: skip
    task = task_of(settings, rows)
    torch.manual_seed(1)
    layers = layer_pooling(settings, loaded.block_count + 1, loaded.dim)
    batch = np.random.default_rng(1).normal(size=(4, 2, loaded.block_count + 1, loaded.dim)).astype(np.float32)
    layers.fit([batch])
    blocks = trainable_blocks(settings, provenance)
    members = [
        AudioModel(settings, blocks, deepcopy(layers), loaded.dim, task.outputs) for _ in range(settings.ensemble_size)
    ]
    temperature = None if targets else 1.5
    dev = None if targets else DevAnswers(np.full((6, 4), 0.25), np.arange(6) % 4, np.arange(6) % 3)
    return Trained(Ensemble(members).eval(), settings, optimisation, task, provenance, temperature, [12], dev)


@pytest.fixture(scope="module")
def classified(tmp_path_factory, there, folder):
    where = tmp_path_factory.mktemp("classified")
    rows = results.rows()
    rows.loc[rows["speaker"] == "synthetic/s01", "corpus"] = EVIL
    rows.loc[0, "language"] = "klingon: no"
    return where, *upload(where, there, str(folder), rows)


@pytest.fixture(scope="module")
def rated(tmp_path_factory, there):
    where = tmp_path_factory.mktemp("rated")
    rows = results.rows().assign(corpus="mine")
    return where, *upload(where, there, "whisper_tiny_en", rows, targets=TARGETS)


@pytest.fixture(params=["classified", "rated"])
def either(request):
    return request.getfixturevalue(request.param)


def test_the_model_goes_there_in_one_commit_byte_for_byte(either, there):
    where, commit, trained, printed = either
    assert sorted(commit) == sorted(FILES + ([dev_answers.NAME] if trained.dev else []))
    for name in set(commit) - {"README.md"}:
        assert commit[name] == (where / "models/audio" / name).read_bytes()
    assert there.tokens == {"Bearer hf_secret"}
    assert printed == f"{there.url}/{REPOSITORY}/commit/{'1' * 40}\n"


SCORES = {  # type and name in the card: name in the evaluation
    "classified": {("recall", "UAR, audio emotion"): "uar", ("accuracy", "WA, audio emotion"): "accuracy"},
    "rated": {("concordance_correlation_coefficient", f"CCC, audio {name}"): f"ccc.{name}" for name in TARGETS},
}


@pytest.mark.parametrize("which", SCORES)
def test_the_hub_reads_the_card_and_its_numbers_are_those_of_the_evaluation(which, request):
    where, commit, _, _ = request.getfixturevalue(which)
    card = ModelCard(commit["README.md"].decode())
    statistics = json.loads((where / predictions.STATISTICS).read_text())
    (part,) = statistics["audio"].values()
    found = {(result.metric_type, result.metric_name): result.metric_value for result in card.data.eval_results}
    expected = {metric: part["intervals"]["trained"][name]["value"] for metric, name in SCORES[which].items()}
    assert found == pytest.approx(expected)
    for row in headline({"audio": statistics["audio"]}).itertuples():
        limits = "–" if np.isnan(row.low) else f"{score(row.low)} to {score(row.high)}"
        assert f"| {row.target} | {row.model} | {row.score} | {score(row.value)} | {limits} |" in card.text
    assert card.data.language == ["en"]
    assert card.data.license is None
    assert "## Licence" in card.text


def test_it_says_on_which_backbone(classified, rated):
    _, commit, trained, _ = classified
    text = commit["README.md"].decode()
    assert ModelCard(text).data.base_model is None
    assert "was read from a folder" in text
    assert trained.provenance["backbone"]["sha256"] in text
    assert str(trained.settings.backbone) not in text
    card = ModelCard(rated[1]["README.md"].decode())
    assert card.data.base_model == "openai/whisper-tiny.en"
    assert "was read from a folder" not in card.text


def test_a_frozen_backbone_is_not_called_fine_tuned(either):
    text = either[1]["README.md"].decode()
    assert re.search(r"The model: an ensemble of \d heads on the frozen ", text)
    assert "tuned" not in text


def test_it_says_what_is_synthetic(classified, rated):
    assert "speech synthesiser" in classified[1]["README.md"].decode()
    assert "synthesiser" not in rated[1]["README.md"].decode()


def test_names_are_shown_and_do_nothing(classified):
    text = ModelCard(classified[1]["README.md"].decode()).text
    assert r"mine \| &lt;script&gt;alert(1)&lt;/script&gt; \[a\](b) \`c\` \*\*d\*\* {{ 7 }}" in text
    assert "<script" not in text


def test_how_to_use_it_works(either, monkeypatch, tmp_path, capsys):
    _, commit, trained, _ = either
    for name, content in commit.items():
        (tmp_path / name).write_bytes(content)
    samples = np.random.default_rng(1).normal(0, 0.1, 16000).astype(np.float32)
    soundfile.write(tmp_path / "speech.wav", samples, 16000)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: {REPOSITORY: tmp_path}[name])
    (code,) = re.findall(r"```python\n(.*?)```", commit["README.md"].decode(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - what the card tells a reader to run
    printed = yaml.safe_load(capsys.readouterr().out)
    encoding = load(trained.settings.backbone).encode(
        [torch.from_numpy(soundfile.read("speech.wav", dtype="float32", frames=12800)[0])], 1
    )[0]
    valid = torch.ones(1, len(encoding.frames), dtype=torch.bool)
    with torch.no_grad():
        outputs = trained.model(frames=encoding.frames[None], valid=valid, statistics=encoding.statistics[None])
    if trained.temperature:
        chances = (outputs / 1.5).softmax(1)[0].tolist()
        expected = dict(zip((f"p_{label}" for label in trained.task.names), chances, strict=True))
        assert printed["confidence"] == pytest.approx(max(chances), abs=1e-5)
        assert printed["emotion"] == trained.task.names[int(np.argmax(chances))]
    else:
        expected = dict(zip(TARGETS, trained.task.scale.inverse_transform(outputs.numpy())[0].tolist(), strict=True))
    assert {name: printed[name] for name in expected} == pytest.approx(
        expected, abs=1e-4
    )  # encodings are rounded to float16


def test_a_backbone_from_a_folder_is_found_where_the_card_says_to_write_it(classified, folder, tmp_path):
    _, commit, trained, _ = classified
    config = json.loads(commit["config.json"])
    shutil.copytree(folder, tmp_path / "elsewhere")
    config["provenance"]["backbone"]["name"] = str(tmp_path / "elsewhere")
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(commit["model.safetensors"])
    again = saving.load(tmp_path).model.state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in trained.model.state_dict().items())


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_named(there, rated, status):
    there.status = status
    try:
        with online(rated[0], there.url), pytest.raises(UserError) as error:
            publish.upload(REPOSITORY, rated[0] / "models/audio", "card")
    finally:
        there.status = 200
    message = str(error.value)
    assert message.startswith(f"{REPOSITORY}: the hub refuses the token (")
    for word in (str(status), "hf auth login", "HF_TOKEN", f"emopipe publish {REPOSITORY}"):
        assert word in message
    assert "hf_secret" not in message


def test_without_a_connection_it_says_so(rated, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # no waiting before another attempt
    with online(rated[0], "http://127.0.0.1:9"), pytest.raises(UserError) as error:
        publish.upload(REPOSITORY, rated[0] / "models/audio", "card")
    assert str(error.value).startswith(f"{REPOSITORY}: could not be uploaded (ConnectError: ")
    assert "check the connection" in str(error.value)


def test_without_a_token_nothing_is_sent(there, rated):
    before = len(there.commits)
    with online(rated[0], there.url, token=None), pytest.raises(UserError, match=r": no token.*hf auth"):
        publish.upload(REPOSITORY, rated[0] / "models/audio", "card")
    assert len(there.commits) == before


def test_a_branch_that_is_off_uploads_nothing(there, tmp_path):
    results.write(tmp_path, None, None)
    before = len(there.commits)
    with online(tmp_path, there.url, token=None), pytest.raises(UserError, match="the audio branch is switched off"):
        run(REPOSITORY)
    assert len(there.commits) == before


def test_a_model_that_is_not_there_is_named(there, tmp_path):
    results.write(tmp_path, results.rows(), None)
    before = len(there.commits)
    with online(tmp_path, there.url), pytest.raises(UserError, match=r"models/audio/model.safetensors: no such file"):
        run(REPOSITORY)
    assert len(there.commits) == before


@pytest.mark.parametrize(
    "name", ["model", "/model", "a/b/c", "a b/c", "../c", "a/b.git", "a/b--c", "https://x/y", "é/f"]
)
def test_a_repository_has_an_owner_and_a_name(name):
    with pytest.raises(UserError, match=r"must read OWNER/NAME"):
        run(name)
