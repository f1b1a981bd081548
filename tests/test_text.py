from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertTokenizer, RobertaConfig, RobertaModel, T5Config

from stages import finetune_text, fit_forest
from stages.contracts import tables
from stages.contracts.errors import UserError
from stages.contracts.manifest import DIMENSIONS
from stages.contracts.parameters import Text, ZeroShot
from stages.contracts.splits import TEXT, TextItem
from stages.text import encoders, forest, saving
from stages.text.batches import Collate, items
from stages.text.fitting import fit, predict, rated, scores
from stages.text.regressor import Regressor, Targets, masked_mean
from stages.text.zero_shot import Calibration, anchors
from stages.training.tracking import Tracker

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
CPU = torch.device("cpu")
GOOD, BAD = ["wonderful", "great", "happy"], ["terrible", "awful", "sad"]
WORDS = [*GOOD, *BAD, "the", "day", "was", "a", "very", "news", "is", "here", "today", "film"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with a random BERT of a whole model's checkpoint, and its tokenizer."""
    torch.manual_seed(0)
    folder = tmp_path / "tiny"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=64, **SMALL)
    BertForMaskedLM(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizer(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    return folder


def settings(encoder: Path | str, **changes: object) -> Text:
    text = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["text"]
    return Text.model_validate(text | {"encoder": str(encoder), "max_tokens": 32, "epochs": 2} | changes)


def sentences(count: int, seed: int) -> pd.DataFrame:
    """Rows of a split table whose words carry the valence."""
    draw = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        good = bool(i % 2)
        words = [*draw.choice(WORDS[6:], draw.integers(1, 9)), draw.choice(GOOD if good else BAD)]
        vad = np.clip(np.array([4.2 if good else 1.8, 3.5, 2.5]) + draw.normal(0, 0.2, 3), 1, 5)
        split = ("train", "train", "train", "dev", "test")[i % 5]
        rows.append(
            {"utterance": f"own/{i}", "corpus": "own", "speaker": f"own/{i % 4}", "split": split,
             "transcript": " ".join(words), "emotion": "happiness" if good else "sadness",
             **dict(zip(DIMENSIONS, vad, strict=True))}
        )  # fmt: skip
    return tables.check(rows, TextItem, "rows")


def fitted(tiny: Path, tmp_path: Path, **changes: object) -> tuple[saving.Trained, Tracker]:
    rows, tracker = sentences(60, 1), Tracker("test")
    train, dev = rows[rows["split"] == "train"], rows[rows["split"] == "dev"]
    return fit(train, dev, settings(tiny, **changes), CPU, tracker, tmp_path / "checkpoints"), tracker


def regressor(tiny: Path, **changes: object) -> tuple[Regressor, encoders.Pretrained]:
    pretrained = encoders.load(str(tiny))
    targets = Targets([3.0, 3.0, 3.0], [0.5, 0.5, 0.5])
    return Regressor(pretrained.encoder, settings(tiny, **changes), targets).eval(), pretrained


# Pooling, standardisation, batches


def test_masked_mean_is_the_mean_over_real_tokens():
    states, mask = torch.randn(2, 5, 3), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    expected = np.stack([states[0].numpy().mean(0), states[1, :2].numpy().mean(0)])
    np.testing.assert_allclose(masked_mean(states, mask).numpy(), expected, rtol=1e-6)


def test_first_pooling_takes_the_first_token(tiny: Path):
    model, pretrained = regressor(tiny, pooling="first")
    batch = Collate(pretrained.tokenizer)(items(["a great day"], pretrained.tokenizer, 32).examples)
    with torch.no_grad():
        states = pretrained.encoder(**batch).last_hidden_state
        torch.testing.assert_close(model.pool(**batch), states[:, 0])


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_prediction_does_not_depend_on_its_batch(tiny: Path, pooling: str):
    model, pretrained = regressor(tiny, pooling=pooling)
    texts = ["great", "the day was a very very terrible day here today", "sad news"]
    collate = Collate(pretrained.tokenizer)
    with torch.no_grad():
        together = model(**collate(items(texts, pretrained.tokenizer, 32).examples))
        alone = torch.cat([model(**collate(items([t], pretrained.tokenizer, 32).examples)) for t in texts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_targets_are_standardised_on_the_training_rows(tiny: Path, tmp_path: Path):
    trained, _ = fitted(tiny, tmp_path, epochs=1)
    rows = sentences(60, 1)
    vad = rows.loc[rows["split"] == "train", list(DIMENSIONS)].to_numpy()
    np.testing.assert_allclose(trained.model.targets.mean.numpy(), vad.mean(0), rtol=1e-6)
    np.testing.assert_allclose(trained.model.targets.std.numpy(), vad.std(0), rtol=1e-6)
    back = trained.model.targets.to_scale(trained.model.targets.standardise(torch.from_numpy(vad)).numpy())
    np.testing.assert_allclose(back, vad, rtol=1e-6)


def test_a_constant_dimension_keeps_the_unit_of_the_scale():
    targets = Targets.of(np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 5.0]]))
    assert targets.std.tolist() == [0.5, 1.0, 1.0]


def test_scores_are_on_the_scale_of_one_to_five():
    found = scores(Targets([3.0, 3.0, 3.0], [2.0, 1.0, 1.0]), np.zeros((2, 3)), np.array([[4.0, 3, 3], [2, 3, 3]]))
    assert found["mse"] == pytest.approx(1 / 3)
    assert found["rmse"] == pytest.approx(np.sqrt(1 / 3))
    assert found["mae"] == pytest.approx(1 / 3)


# Loading


def test_the_embedded_encoder_is_loaded_from_its_package():
    pretrained = encoders.load("all-MiniLM-L6-v2")
    assert pretrained.origin.sha256 == encoders.EMBEDDED_SHA256
    assert pretrained.encoder.config._attn_implementation == "sdpa"
    assert {p.dtype for p in pretrained.encoder.parameters()} == {torch.float32}


def test_every_weight_comes_from_the_file(tiny: Path):
    stored = load_file(tiny / "model.safetensors")
    loaded = encoders.load(str(tiny)).encoder.state_dict()
    assert loaded
    assert all(torch.equal(tensor, stored[f"bert.{name}"]) for name, tensor in loaded.items())


def test_a_roberta_without_pooler_and_old_names_of_norms_load(tiny: Path, tmp_path: Path):
    torch.manual_seed(0)
    folder = tmp_path / "roberta"
    network = RobertaModel(RobertaConfig(vocab_size=40, max_position_embeddings=70, pad_token_id=0, **SMALL))
    network.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny / name, folder)
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor.half()
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    save_file(state, folder / "model.safetensors")
    pretrained = encoders.load(str(folder))
    expected = network.state_dict()
    assert all(torch.equal(t, expected[n].half().float()) for n, t in pretrained.encoder.state_dict().items())
    batch = Collate(pretrained.tokenizer)(items(["great day", "sad"], pretrained.tokenizer, 32).examples)
    assert batch["input_ids"].shape == (2, 4)


def spoilt(tiny: Path, how: str) -> None:
    weights = tiny / "model.safetensors"
    state, key = load_file(weights), "bert.encoder.layer.0.output.dense.weight"
    match how:
        case "missing":
            del state[key]
        case "renamed":
            state[key.replace("dense", "denes")] = state.pop(key)
        case "misshaped":
            state[key] = torch.zeros(3, 3)
    save_file(state, weights)
    match how:
        case "pointer":
            weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        case "truncated":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "absent":
            weights.unlink()
        case "no vocabulary":
            for name in ("vocab.txt", "tokenizer.json"):
                (tiny / name).unlink()
        case "other family":
            T5Config(vocab_size=30).save_pretrained(tiny)
        case "wrong type":
            (tiny / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": "wide"}))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", r"missing: encoder\.layer\.0\.output\.dense\.weight"),
        ("renamed", r"unexpected: encoder\.layer\.0\.output\.denes\.weight"),
        ("misshaped", r"misshaped: encoder\.layer\.0\.output\.dense\.weight \[3, 3\] instead of \[16, 32\]"),
        ("pointer", "Git LFS pointer"),
        ("truncated", "not a whole file of tensors"),
        ("absent", "no weights"),
        ("no vocabulary", "tokenizer knows 5 tokens"),
        ("other family", "t5 is not an encoder of whole texts"),
        ("wrong type", "not a text encoder .*hidden_size"),
    ],
)
def test_wrong_weights_are_refused(tiny: Path, how: str, said: str):
    spoilt(tiny, how)
    with pytest.raises(UserError, match=said):
        encoders.load(str(tiny))


def test_an_encoder_that_cannot_be_had_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"text\.encoder: someone/nothing .* run `hf download someone/nothing"):
        encoders.load("someone/nothing")
    with pytest.raises(UserError, match=r"text\.encoder: no folder at \./nothing"):
        encoders.load("./nothing")


def test_max_tokens_beyond_the_encoder_are_refused(tiny: Path):
    pretrained = encoders.load(str(tiny))
    encoders.check_tokens(64, pretrained)
    for wrong in (2, 65):
        with pytest.raises(UserError, match=rf"text\.max_tokens: {wrong}, but .* reads 3 to 64 tokens"):
            encoders.check_tokens(wrong, pretrained)


# Training and saving


def test_a_regressor_learns_what_the_words_say(tiny: Path, tmp_path: Path):
    trained, tracker = fitted(tiny, tmp_path, epochs=20, learning_rate=0.01)
    assert tracker.history[-1]["train/loss"] < 0.7 * tracker.history[0]["train/loss"]
    assert trained.epoch == 1 + int(np.argmin([row["dev/mse"] for row in tracker.history]))
    vad = predict(trained, ["a wonderful day", "a terrible day"], CPU)
    assert vad[0, 0] > vad[1, 0] + 1
    assert not (tmp_path / "checkpoints").exists()


def test_a_regressor_is_what_its_rows_and_settings_say(tiny: Path, tmp_path: Path):
    first, _ = fitted(tiny, tmp_path)
    torch.rand(100)  # whatever was drawn in between
    second, _ = fitted(tiny, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))


def hashes(folder: Path) -> dict[str, str]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_saved_regressor_predicts_the_same_without_its_encoder(tiny: Path, tmp_path: Path):
    trained, _ = fitted(tiny, tmp_path)
    texts = ["a wonderful day", "news", "the film was awful today"]
    expected = predict(trained, texts, CPU)
    saving.save(trained, tmp_path / "one")
    saving.save(trained, tmp_path / "two")
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    shutil.rmtree(tiny)
    loaded = saving.load(tmp_path / "one")
    np.testing.assert_array_equal(predict(loaded, texts, CPU), expected)
    assert sorted(hashes(tmp_path / "one")) == [
        "config.json", "model.safetensors", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json",
    ]  # fmt: skip


def test_a_regressor_with_a_missing_weight_is_refused(tiny: Path, tmp_path: Path):
    saving.save(fitted(tiny, tmp_path, epochs=1)[0], tmp_path / "one")
    weights = tmp_path / "one" / "model.safetensors"
    state = load_file(weights)
    del state["head.weight"]
    save_file(state, weights)
    with pytest.raises(UserError, match=r"missing: head\.weight"):
        saving.load(tmp_path / "one")


# Zero-shot


def test_an_untrained_encoder_is_checked_against_its_origin(tiny: Path):
    origin = encoders.load(str(tiny)).origin
    state = load_file(tiny / "model.safetensors")
    state["bert.embeddings.word_embeddings.weight"] += 1
    save_file(state, tiny / "model.safetensors")
    with pytest.raises(UserError, match="the weights changed since the regressor was trained"):
        encoders.load_again(origin)


def test_anchors_order_texts_as_people_would():
    sentences = ZeroShot.model_validate(yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["evaluate"]["anchors"])
    texts = ["What a wonderful, lovely evening!", "What a terrible, horrible evening."]
    vad = anchors(texts, encoders.load(encoders.EMBEDDED), sentences, settings(encoders.EMBEDDED), CPU)
    assert vad.shape == (2, 3)
    assert ((vad >= 1) & (vad <= 5)).all()
    assert vad[0, 0] > vad[1, 0] + 0.5


def test_calibration_is_least_squares_per_dimension():
    draw = np.random.default_rng(0)
    raw, gold = draw.uniform(1, 5, (50, 3)), draw.uniform(1, 5, (50, 3))
    line = Calibration.fit(raw, gold)
    for i in range(3):
        slope, intercept = np.polyfit(raw[:, i], gold[:, i], 1)
        np.testing.assert_allclose([line.slope[i], line.intercept[i]], [slope, intercept])
    assert (line.apply(raw)[:, 0] == line.slope[0] * raw[:, 0] + line.intercept[0]).all()


# The stages


def test_the_log_has_six_decimals(tmp_path: Path):
    row = {"train/loss": 0.1, "train/learning_rate": 1, "dev/loss": 2, "dev/mse": 1 / 3, "dev/rmse": 0.5, "dev/mae": 0}
    finetune_text.write_log([row, row], tmp_path / "log.csv")
    assert (tmp_path / "log.csv").read_text() == (
        "epoch,train_loss,val_loss,val_mse,val_rmse,val_mae\n"
        "1,0.100000,2.000000,0.333333,0.500000,0.000000\n"
        "2,0.100000,2.000000,0.333333,0.500000,0.000000\n"
    )


@pytest.fixture
def project(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a", "--allow-empty"],
    ):
        subprocess.run(["git", *command], check=True)
    parameters = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    parameters["text"] |= {"encoder": str(tiny), "max_tokens": 32, "epochs": 2}
    parameters["runtime"] |= {"threads": 1, "device": "cpu"}
    parameters["forest"] |= {"trees": 5, "cross_fit": 2}
    Path("params.yaml").write_text(yaml.safe_dump(parameters))
    yield folder
    torch.use_deterministic_algorithms(False)


def test_the_stages_from_split_to_forest(project: Path):
    tables.write(sentences(60, 1), TEXT, TextItem)
    finetune_text.main()
    fit_forest.main()
    first = hashes(project / "models")
    log = pd.read_csv("metrics/text/log.csv")
    assert list(log) == ["epoch", "train_loss", "val_loss", "val_mse", "val_rmse", "val_mae"]
    assert json.loads(Path("metrics/text/metrics.json").read_text())["epoch"] in (1, 2)
    assert list(forest.load().classes_) == ["happiness", "sadness"]
    shutil.rmtree("models")
    finetune_text.main()
    fit_forest.main()
    assert hashes(project / "models") == first


def test_without_text_the_stages_leave_empty_outputs(project: Path):
    tables.write(sentences(60, 1).head(0), TEXT, TextItem)
    finetune_text.main()
    fit_forest.main()
    assert saving.load() is None
    assert forest.load() is None
    assert Path("metrics/text/log.csv").read_text() == "epoch,train_loss,val_loss,val_mse,val_rmse,val_mae\n"
    assert json.loads(Path("metrics/text/metrics.json").read_text()) == {}


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_set_without_vad_is_refused(project: Path, split: str):
    rows = sentences(60, 1)
    rows.loc[rows["split"] == split, list(DIMENSIONS)] = np.nan
    assert len(rated(rows)) < len(rows)
    tables.write(rows, TEXT, TextItem)
    with pytest.raises(UserError, match=r"data\.text\.corpora: no .* utterance has valence"):
        finetune_text.main()
