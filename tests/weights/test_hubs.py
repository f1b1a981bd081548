"""Weights come from the hubs whole and verified, or not at all. Local servers stand in for both hubs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from modelscope_hub.config import HubConfig
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2Processor

from emopipe.backbones.loading import load
from emopipe.commands.main import main
from emopipe.io.errors import UserError
from emopipe.text import encoders
from helpers.hub_server import BESIDE, LARGE, Hub, digest

FUNASR = {"configuration.json", "config.yaml", "tokens.txt", "model.pt"}
WEIGHTS = "model.safetensors"
ADAPTER = "adapter.safetensors"  # weights, but not the network's


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return a function from a folder to a hub that holds it; this process asks that hub, its caches are empty."""
    started = []

    def start(folder: Path) -> Hub:
        started.append(Hub(folder))
        ask(started[-1].url)
        return started[-1]

    def ask(url: str) -> None:
        huggingface = {"ENDPOINT": url, "HUGGINGFACE_CO_URL_TEMPLATE": url + "/{repo_id}/resolve/{revision}/{filename}",
                       "HF_HUB_CACHE": str(tmp_path / "hf" / "hub"), "HF_HUB_OFFLINE": False}  # fmt: skip
        for name, value in huggingface.items():
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        config = HubConfig(endpoint=url, cache_dir=tmp_path / "ms", config_dir=tmp_path / "login")
        monkeypatch.setattr("modelscope_hub.config._default_config", config)

    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("time.sleep", lambda _: None)  # no waiting before another attempt
    for name in ("_download.DOWNLOAD_RETRY_TIMES", "_download.DOWNLOAD_INTEGRITY_RETRY_BACKOFF"):
        monkeypatch.setattr(f"modelscope_hub.{name}", 0)
    monkeypatch.setattr("modelscope_hub._legacy_api.REPO_TREE_PAGE_MAX_ATTEMPTS", 1)
    ask("http://127.0.0.1:9")
    yield start
    for each in started:
        each.close()


def environment(caches: Path) -> dict[str, str]:
    return {"HF_HOME": str(caches / "hf"), "MODELSCOPE_CACHE": str(caches / "ms"), "no_proxy": "127.0.0.1,localhost",
            "MODELSCOPE_HOME": str(caches / "login")}  # fmt: skip


@pytest.fixture
def fetch(monkeypatch, capsys):
    """Return a function that runs the command in this process and returns what it wrote to stdout and stderr."""

    def run_command(*arguments: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["emopipe", "backbones", *arguments])
        capsys.readouterr()
        try:
            main()
        except SystemExit as end:
            assert end.code == "error: 1 of 1 backbone(s) cannot be used"  # which exits with 1
        printed = capsys.readouterr()
        return printed.out, printed.err

    return run_command


def alone(huggingface: Hub, modelscope: Hub, caches: Path, *arguments: str) -> str:
    """Run the command as a user does, in a process of its own that finds the hubs through the environment."""
    others = ("HF_", "HUGGINGFACE_", "MODELSCOPE_", "TRANSFORMERS_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    variables |= environment(caches) | {"HF_ENDPOINT": huggingface.url, "MODELSCOPE_ENDPOINT": modelscope.url}
    line = [sys.executable, "-m", "emopipe", "backbones", *arguments]
    done = subprocess.run(line, env=variables, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def facts(shown: str) -> dict[str, str]:
    name, *lines = shown.splitlines()
    return {"name": name} | dict(line.split(maxsplit=1) for line in lines)


@pytest.fixture
def wavlm(folders):
    return folders("wavlm")


def test_the_command_fetches_verifies_and_shows(hub, fetch, folders, wavlm, tmp_path):
    there, other = hub(wavlm), hub(folders("emotion2vec"))
    there.files |= dict.fromkeys(("pytorch_model.bin", "model.fp32-00001-of-00002.safetensors", ADAPTER), b"unwanted")
    both = alone(there, other, tmp_path, "wavlm_base", "emotion2vec_plus_base", "--hub", "ms")
    shown, second = both[: both.index("emotion2vec")], both[both.index("emotion2vec") :]
    state = load_file(wavlm / WEIGHTS)
    where = tmp_path / f"hf/hub/models--microsoft--wavlm-base/snapshots/{there.commit}"
    assert facts(shown) == {
        "name": "wavlm_base", "where": str(where), "family": "wavlm", "revision": there.commit,
        "sha256": digest(there.files[WEIGHTS]), "dim": "32", "blocks": "3", "licence": "CC BY-SA 3.0",
        "parameters": f"{sum(tensor.numel() for name, tensor in state.items() if name != 'masked_spec_embed'):,}",
    }  # fmt: skip
    assert sorted(there.sent) == ["config.json", WEIGHTS, "preprocessor_config.json"]
    assert facts(second)["where"] == f"{tmp_path}/ms/models/iic--emotion2vec_plus_base/snapshots/master"
    assert facts(second)["sha256"] == digest(other.files["model.pt"])
    there.close()
    other.close()
    again, errors = fetch("wavlm_base")
    assert again == shown
    assert "wavlm_base: from the cache, not fetched anew (ConnectError: " in errors
    listed = {line.split()[0]: line for line in fetch()[0].splitlines()}
    assert listed["wavlm_base"].endswith(f"  {where}")
    on_disk = {name for name, line in listed.items() if "not on disk" not in line}
    assert on_disk == {"wavlm_base", "emotion2vec_plus_base", "whisper_tiny_en"}  # the last is embedded


def test_both_hubs_give_the_same_weights_and_nothing_else(hub, fetch, folders, tmp_path):
    there = hub(folders("emotion2vec"))
    first = facts(fetch("emotion2vec_plus_base")[0])
    assert set(there.sent) == FUNASR
    there.sent.clear()
    second = facts(fetch("emotion2vec_plus_base", "--hub", "ms")[0])
    assert set(there.sent) == FUNASR
    assert first["sha256"] == second["sha256"] == digest(there.files["model.pt"])
    assert (first["revision"], second["revision"]) == (there.commit, "ModelScope")
    fetched = f"{tmp_path}/ms/models/iic--emotion2vec_plus_base/snapshots/master"
    assert second["where"] == f"{fetched} (the pipeline takes {first['where']}, which comes first)"
    assert not {path.name for path in tmp_path.rglob("*")} & {Path(name).name for name in BESIDE}


def test_pytorch_weights_do_where_there_are_no_others(hub, fetch, wavlm, tmp_path):
    there = hub(wavlm)
    torch.save(load_file(wavlm / WEIGHTS), tmp_path / "weights")
    del there.files[WEIGHTS]
    _, errors = fetch("wavlm_base")
    assert errors.count("(it holds no weights)") == 1
    there.files |= {"pytorch_model.bin": (tmp_path / "weights").read_bytes(), ADAPTER: b"unwanted"}
    shown, _ = fetch("wavlm_base")
    assert facts(shown)["sha256"] == digest(there.files["pytorch_model.bin"])


def test_weights_in_shards_are_fetched_whole(hub, fetch, wavlm, tmp_path):
    there = hub(wavlm)
    del there.files[WEIGHTS]
    state = load_file(wavlm / WEIGHTS)
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for i, shard in enumerate(shards):
        save_file(dict(list(state.items())[i::2]), tmp_path / shard)
        there.files[shard] = (tmp_path / shard).read_bytes()
    index = {"weight_map": {name: shards[i % 2] for i, name in enumerate(state)}}
    there.files[f"{WEIGHTS}.index.json"] = json.dumps(index).encode()
    shown, _ = fetch("wavlm_base")
    assert facts(shown)["sha256"] == digest(b"".join(there.files[shard] for shard in shards))


# emotion2vec_base_finetuned is on ModelScope alone, wavlm_base on the Hugging Face hub.
WHERE = [("wavlm", "wavlm_base", WEIGHTS), ("emotion2vec", "emotion2vec_base_finetuned", "model.pt")]


@pytest.mark.parametrize(("family", "name", "weights"), WHERE)
def test_an_interrupted_download_is_reported_and_completed(hub, fetch, folders, family, name, weights):
    there = hub(folders(family))
    there.cut = 1000
    shown, errors = fetch(name)
    assert shown == ""
    assert errors.count("could not be fetched") == 1
    assert "Traceback" not in errors
    with pytest.raises(UserError, match="could not be fetched"):
        load(name)
    there.cut = None
    assert facts(fetch(name)[0])["sha256"] == digest(there.files[weights])


@pytest.mark.parametrize(("family", "name", "weights"), WHERE)
@pytest.mark.parametrize("change", [lambda content: content[:-1] + b"\xff", lambda content: content[:-1]])
def test_weights_that_are_not_those_announced_are_refused(hub, fetch, folders, family, name, weights, change):
    there = hub(folders(family))
    there.altered[weights] = change(there.files[weights])
    shown, errors = fetch(name)
    assert shown == ""
    assert errors.count("could not be fetched") == 1
    assert weights in errors
    there.altered.clear()
    assert facts(fetch(name)[0])["sha256"] == digest(there.files[weights])


def test_without_a_connection_the_message_names_what_is_missing_where_and_how_to_get_it(hub, fetch, tmp_path):
    shown, errors = fetch("emotion2vec_plus_base")
    assert shown == ""
    for part in (
        f"emotion2vec/emotion2vec_plus_base is not in {tmp_path}/hf/hub and could not be fetched (ConnectError: ",
        f"iic/emotion2vec_plus_base (ModelScope) is not in {tmp_path}/ms and could not be fetched (NetworkError: ",
        "With a connection, run `emopipe backbones emotion2vec_plus_base`; or name a folder that holds "
        "configuration.json, config.yaml, tokens.txt and the weights (model.pt)",
    ):
        assert errors.count(part) == 1
    assert len(errors.splitlines()) == 2


def test_a_new_upstream_checkpoint_is_taken_only_when_asked_for_and_whole(hub, fetch, wavlm, tmp_path):
    there = hub(wavlm)
    old = facts(fetch("wavlm_base")[0])
    state = load_file(wavlm / WEIGHTS)
    save_file({name: -tensor for name, tensor in state.items()}, tmp_path / "new", {"format": "pt"})
    there.files[WEIGHTS] = (tmp_path / "new").read_bytes()
    there.asked.clear()
    assert load("wavlm_base").origin.sha256 == old["sha256"]
    assert there.asked == []
    there.cut = 1000
    shown, errors = fetch("wavlm_base")
    assert facts(shown) == old
    assert "from the cache, not fetched anew (RemoteProtocolError: " in errors
    there.cut = None
    new = facts(fetch("wavlm_base")[0])
    assert (new["revision"], new["sha256"]) == (there.commit, digest(there.files[WEIGHTS]))
    assert new["revision"] != old["revision"]
    assert load("wavlm_base").origin.sha256 == new["sha256"]


def test_a_text_encoder_is_fetched_once_and_then_taken_from_the_cache(hub, tiny):
    there = hub(tiny)
    first = encoders.load("someone/tiny")
    assert first.origin.revision == there.commit
    assert first.origin.sha256 == digest(there.files[WEIGHTS])
    assert not set(there.sent) & set(BESIDE)
    there.files["README.md"] = b"a new commit"
    there.asked.clear()
    assert encoders.load("someone/tiny").origin == first.origin
    assert there.asked == []


def lay_out(cache: Path, repository: str, folder: Path) -> str:
    """Put a repository into a cache as the hub's library does: blobs, links to them, a branch. Returns the commit."""
    commit = digest(repository.encode())[:40]
    root = cache / f"models--{repository.replace('/', '--')}"
    for name in ("blobs", f"snapshots/{commit}", "refs"):
        (root / name).mkdir(parents=True)
    (root / "refs/main").write_text(commit)
    for file in folder.iterdir():
        content = file.read_bytes()
        blob = digest(content) if file.name.endswith(LARGE) else digest(content)[:40]
        (root / "blobs" / blob).write_bytes(content)
        (root / "snapshots" / commit / file.name).symlink_to(f"../../blobs/{blob}")
    return commit


NAMES = [
    ("bert-base-uncased", "bert-base-uncased"),  # the hub has it as google-bert/bert-base-uncased
    ("bert-base-uncased", "google-bert/bert-base-uncased"),
    ("google-bert/bert-base-uncased", "bert-base-uncased"),
    ("bert-base-german-cased", "google-bert/bert-base-german-cased"),  # not in the catalogue
    ("google-bert/bert-base-german-cased", "bert-base-german-cased"),
]


@pytest.mark.parametrize(("asked", "cached"), NAMES)
def test_without_a_connection_both_names_of_a_repository_are_found_in_the_cache(hub, tiny, tmp_path, asked, cached):
    commit = lay_out(tmp_path / "hf/hub", cached, tiny)
    origin = encoders.load(asked).origin
    assert (origin.revision, origin.sha256) == (commit, digest((tiny / WEIGHTS).read_bytes()))


def test_the_name_that_was_asked_for_comes_first(hub, tiny, tmp_path):
    commits = {name: lay_out(tmp_path / "hf/hub", name, tiny) for name in ("bert-tiny", "google-bert/bert-tiny")}
    for name, commit in commits.items():
        assert encoders.load(name).origin.revision == commit


def test_another_owners_repository_is_another_one(hub, tiny, tmp_path):
    lay_out(tmp_path / "hf/hub", "bert-base-uncased", tiny)
    with pytest.raises(UserError, match=r"someone/bert-base-uncased is not in .* and could not be fetched"):
        encoders.load("someone/bert-base-uncased")


@pytest.fixture
def with_processor(folders, tmp_path):
    """Return a wav2vec 2.0 whose feature extractor stands within processor_config.json, as transformers 5 writes it."""
    folder = tmp_path / "with processor"
    shutil.copytree(folders("wav2vec2"), folder)
    (folder / "vocab.json").write_text(json.dumps({"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "A": 5}))
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    (folder / "preprocessor_config.json").unlink()
    Wav2Vec2Processor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)
    assert not (folder / "preprocessor_config.json").exists() and (folder / "processor_config.json").is_file()
    return folder


def test_a_feature_extractor_within_a_processor_is_fetched_and_found_in_the_cache(
    hub, folders, with_processor, tmp_path
):
    sound = [torch.sin(torch.arange(16_000) / 10)]
    expected = load(str(folders("wav2vec2"))).encode(sound, 1)[0].statistics
    there = hub(with_processor)
    fetched, again = load("someone/tiny"), load("someone/tiny")
    assert "processor_config.json" in there.sent
    lay_out(tmp_path / "hf/hub", "me/w2v", with_processor)
    there.close()
    for backbone in (fetched, again, load("me/w2v"), load(str(with_processor))):
        assert torch.equal(backbone.encode(sound, 1)[0].statistics, expected)


def test_a_backbone_without_any_feature_extractor_is_named(hub, with_processor, tmp_path):
    (with_processor / "processor_config.json").unlink()
    with pytest.raises(UserError, match=r"with processor: config\.json or preprocessor_config\.json cannot be read"):
        load(str(with_processor))
    lay_out(tmp_path / "hf/hub", "me/w2v", with_processor)
    with pytest.raises(UserError, match=r"preprocessor_config\.json or processor_config\.json and the weights"):
        load("me/w2v")
