"""The text branch: batches, the regressor, its training and its stages."""

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
from sklearn.ensemble import RandomForestClassifier

from emopipe.forest import saving as forest
from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.splits import TEXT, TextItem, rated
from emopipe.schemas.vad import AUDIO_VAD, TEXT_VAD, PredictedVad, as_features, feature_names
from emopipe.text import encoders, saving
from emopipe.text.batches import Collate, examples, tell_unread
from emopipe.text.fitting import scores
from emopipe.text.parameters import Anchors
from emopipe.text.prediction import predict
from emopipe.text.regressor import masked_mean
from emopipe.text.zero_shot import Calibration, anchors
from emopipe.training.networks import TargetScaler
from emopipe.training.tracking import write_log
from helpers.tiny_text import CPU, PARAMS, fitted, regressor, sentences, settings
from stages import cross_fit_audio, cross_fit_text, finetune_text, fit_forest

# Pooling, standardisation, batches


def test_masked_mean_is_the_mean_over_real_tokens():
    torch.manual_seed(0)
    states, mask = torch.randn(2, 5, 3), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    expected = np.stack([states[0].numpy().mean(0), states[1, :2].numpy().mean(0)])
    np.testing.assert_allclose(masked_mean(states, mask).numpy(), expected, rtol=1e-6, atol=1e-6)


def test_first_pooling_takes_the_first_token(tiny: Path):
    model, pretrained = regressor(tiny, pooling="first")
    batch = Collate(pretrained.tokenizer)(examples(["a great day"], pretrained.tokenizer, 32).examples)
    with torch.no_grad():
        states = pretrained.encoder(**batch).last_hidden_state
        torch.testing.assert_close(model.embedding(**batch), states[:, 0])


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_prediction_does_not_depend_on_its_batch(tiny: Path, pooling: str):
    model, pretrained = regressor(tiny, pooling=pooling)
    texts = ["great", "the day was a very very terrible day here today", "sad news"]
    collate = Collate(pretrained.tokenizer)
    with torch.no_grad():
        together = model(**collate(examples(texts, pretrained.tokenizer, 32).examples))
        alone = torch.cat([model(**collate(examples([t], pretrained.tokenizer, 32).examples)) for t in texts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_texts_that_are_cut_off_are_counted_with_what_is_not_read_of_them(tiny: Path, capsys):
    tokenizer = encoders.load(str(tiny)).tokenizer
    tell_unread(["the day was great", " ".join(["great"] * 40)], tokenizer, max_tokens=32)
    what = "1 of 2 texts longer than text.max_tokens (32); 10 tokens are not read; the first: great great"
    assert capsys.readouterr().out.startswith(f"text: {what}")  # 40 words and two special tokens
    tell_unread(["the day was great"], tokenizer, max_tokens=32)
    assert capsys.readouterr().out == ""


def test_targets_are_standardised_on_the_training_rows(tiny: Path, tmp_path: Path):
    trained, _ = fitted(tiny, tmp_path, epochs=1)
    rows = sentences(60, 1)
    vad = rows.loc[rows["split"] == "train", list(DIMENSIONS)].to_numpy()
    np.testing.assert_allclose(trained.targets.mean.numpy(), vad.mean(0), rtol=1e-6)
    np.testing.assert_allclose(trained.targets.std.numpy(), vad.std(0), rtol=1e-6)
    back = trained.targets.inverse_transform(trained.targets.transform(torch.from_numpy(vad)).numpy())
    np.testing.assert_allclose(back, vad, rtol=1e-6)


def test_a_constant_dimension_keeps_the_unit_of_the_scale():
    targets = TargetScaler.fit(np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 5.0]]))
    assert targets.std.tolist() == [0.5, 1.0, 1.0]


def test_scores_are_on_the_scale_of_one_to_five():
    found = scores(
        TargetScaler([3.0, 3.0, 3.0], [2.0, 1.0, 1.0]), np.zeros((2, 3)), np.array([[0.5, 0, 0], [-0.5, 0, 0]])
    )
    assert found["mse"] == pytest.approx(1 / 3)
    assert found["rmse"] == pytest.approx(np.sqrt(1 / 3))
    assert found["mae"] == pytest.approx(1 / 3)


# Training and saving


def test_a_regressor_finds_valence_in_words(tiny: Path, tmp_path: Path):
    trained, tracker = fitted(tiny, tmp_path, epochs=20, learning_rate=0.01)
    assert tracker.history[-1]["train/loss"] < 0.7 * tracker.history[0]["train/loss"]
    assert trained.epochs == [1 + int(np.argmax([row["dev/ccc"] for row in tracker.history]))]
    vad = predict(trained, ["a wonderful day", "a terrible day"], CPU)
    assert vad[0, 0] > vad[1, 0] + 1


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
    del state["members.0.head.1.weight"]
    save_file(state, weights)
    with pytest.raises(UserError, match=r"missing: members\.0\.head\.1\.weight"):
        saving.load(tmp_path / "one")


# Zero-shot


def test_an_untrained_encoder_is_checked_against_its_origin(tiny: Path):
    origin = encoders.load(str(tiny)).origin
    state = load_file(tiny / "model.safetensors")
    state["bert.embeddings.word_embeddings.weight"] += 1
    save_file(state, tiny / "model.safetensors")
    with pytest.raises(UserError, match="the weights changed since the regressor was trained"):
        encoders.reload_verified(origin)


def test_anchors_order_texts_as_people_would():
    sentences = Anchors.model_validate(yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["evaluate"]["anchors"])
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
    write_log([row, row], tmp_path / "log.csv")
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
    cross_fit_audio.main()  # the forest takes text alone: an empty table
    yield folder
    torch.set_deterministic_debug_mode("default")


def test_the_stages_from_split_to_forest(project: Path):
    tables.write(sentences(60, 1), TEXT, TextItem)
    finetune_text.main()
    fit()
    first = hashes(project / "models")
    log = pd.read_csv("metrics/text/log.csv")
    assert list(log) == ["epoch", "train_loss", "val_loss", "val_mse", "val_rmse", "val_mae"]
    assert json.loads(Path("metrics/text/metrics.json").read_text())["epoch"] in (1, 2)
    assert list(forest.load().classes_) == ["happiness", "sadness"]
    shutil.rmtree("models")
    finetune_text.main()
    fit()
    assert hashes(project / "models") == first


def fit(**forest: object) -> pd.DataFrame:
    """Fit the forest with other parameters; return the VAD of text that it was given."""
    parameters = yaml.safe_load(Path("params.yaml").read_text())
    parameters["forest"] |= forest
    Path("params.yaml").write_text(yaml.safe_dump(parameters))
    cross_fit_text.main()
    fit_forest.main()
    return tables.read(TEXT_VAD, PredictedVad)


def test_the_forest_is_fitted_on_the_vad_that_forest_vad_names(project: Path, tiny: Path, tmp_path: Path):
    rows = sentences(60, 1)
    rows.loc[rows.index[::7], list(DIMENSIONS)] = np.nan
    tables.write(rows, TEXT, TextItem)
    trained, _ = fitted(tiny, tmp_path)
    saving.save(trained)
    train = rows[rows["split"] == "train"].reset_index(drop=True)

    given = fit(vad="gold")
    gold = rated(train)
    assert len(gold) < len(train)
    assert list(given["utterance"]) == list(gold["utterance"])
    by_hand = RandomForestClassifier(5, random_state=42).fit(gold[list(DIMENSIONS)].to_numpy(), gold["emotion"])
    points = np.random.default_rng(0).uniform(1, 5, (500, 3))
    chances = forest.load().predict_proba(as_features(points, "text"))
    np.testing.assert_array_equal(chances, by_hand.predict_proba(points))

    given = fit(vad="in_sample")
    assert list(given["utterance"]) == list(train["utterance"])
    np.testing.assert_array_equal(given[list(DIMENSIONS)], predict(trained, train["transcript"], CPU))

    given = fit(vad="out_of_sample")
    itself = predict(trained, train["transcript"], CPU)[:, 0]
    another = ~np.isclose(given["valence"], itself, atol=1e-5)
    assert (another == train["valence"].notna()).all()  # the others it was not trained on
    assert not Path(".checkpoints").exists()


def test_a_forest_of_both_branches_is_fitted_on_the_utterances_of_both(project: Path, tiny: Path, tmp_path: Path):
    rows = sentences(60, 1)
    tables.write(rows, TEXT, TextItem)
    saving.save(fitted(tiny, tmp_path, epochs=1)[0])
    parameters = yaml.safe_load(Path("params.yaml").read_text())
    parameters["model"]["task"] = "regression"
    Path("params.yaml").write_text(yaml.safe_dump(parameters))
    with pytest.raises(UserError, match=r"data\.text and data\.audio: .* that both branches share have 0 \(none\)"):
        fit(inputs="both")
    audio = rows[rows["split"] == "train"].iloc[:20].assign(valence=7.5)  # a prediction may leave the scale
    tables.write(audio[list(PredictedVad.model_fields)], AUDIO_VAD, PredictedVad)
    given = fit(inputs="both", vad="in_sample")
    assert list(given["utterance"]) == list(rows.loc[rows["split"] == "train", "utterance"])
    found = forest.load()
    assert list(found.feature_names_in_) == feature_names("text", "audio")
    joined = given.iloc[:20]
    inputs = pd.concat(
        [as_features(own[list(DIMENSIONS)].to_numpy(), branch) for branch, own in (("text", joined), ("audio", audio))],
        axis=1,
    )
    by_hand = RandomForestClassifier(5, random_state=42).fit(inputs, joined["emotion"])
    np.testing.assert_array_equal(found.predict_proba(inputs), by_hand.predict_proba(inputs))
    tables.write(audio.assign(emotion="fear")[list(PredictedVad.model_fields)], AUDIO_VAD, PredictedVad)
    with pytest.raises(UserError, match=rf"give {len(audio)} utterance\(s\) two emotions \(own/.* and fear\)"):
        fit(inputs="both")


def test_without_text_the_stages_leave_empty_outputs(project: Path):
    tables.write(sentences(60, 1).head(0), TEXT, TextItem)
    finetune_text.main()
    fit()
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
