"""Fine-tuning begins at the frozen model, reaches every block that is trained, and keeps what dev prefers."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from scipy.special import softmax
from sklearn.metrics import log_loss

from benchmarks.networks import FAMILIES
from emopipe.audio import adapters, fitting, saving, tuning
from emopipe.audio.fitting import fit
from emopipe.audio.layers import LAYER_POOLING
from emopipe.audio.model import AudioModel, Choice, TunedModel, tunable
from emopipe.audio.parameters import Lora, Tuning
from emopipe.audio.prediction import predict
from emopipe.audio.tasks import Classification
from emopipe.audio.tuning import PerHead, between, preferred
from emopipe.backbones.catalogue import FAMILIES as REGISTERED
from emopipe.backbones.loading import load as load_backbone
from emopipe.io.errors import UserError
from emopipe.losses.classification import CrossEntropy
from emopipe.training.devices import set_up
from emopipe.training.fitting import Run
from emopipe.training.networks import Ensemble
from emopipe.training.optimiser import adamw
from emopipe.training.tracking import Tracker
from helpers.clips import clip
from helpers.noises import PARAMS, RUNTIME, encoded, model_settings, train_settings

CLIPS = [clip(samples, samples) for samples in (9_000, 5_000, 401)]
FROZEN = {"features": "frozen", "layer_pooling": "concat_means", "ensemble_size": 2, "dropout": 0.0}


def tuning_settings(**changes) -> Tuning:
    values = PARAMS["train"]["tuning"]
    return Tuning(**(values | changes | {"lora": values["lora"] | changes.get("lora", {})}))


def ensemble(layers: int, dim: int, pooling: str = "concat_means") -> Ensemble:
    """Return two heads, as they begin."""
    settings = model_settings("x", **(FROZEN | {"layer_pooling": pooling}))
    members = []
    for seed in range(2):
        torch.manual_seed(seed)
        members.append(AudioModel(settings, None, LAYER_POOLING[pooling](layers, dim), dim, 3))
    return Ensemble(members)


def batch(backbone, trainable: int) -> dict[str, torch.Tensor]:
    encodings = backbone.encode(CLIPS, trainable)
    lengths = torch.tensor([len(encoding.frames) for encoding in encodings])
    return {
        "frames": torch.nn.utils.rnn.pad_sequence([own.frames for own in encodings], batch_first=True, padding_value=9),
        "valid": torch.arange(int(lengths.max())) < lengths[:, None],
        "statistics": torch.stack([encoding.statistics for encoding in encodings]),
    }


@pytest.mark.parametrize("method", ["weights", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_untouched_it_is_the_frozen_model_and_then_every_trained_block_gets_a_gradient(folders, family, method):
    backbone = load_backbone(str(folders(family)))
    for trainable in (1, 3):
        frozen = ensemble(backbone.block_count + 1, backbone.dim, "concat" if trainable == 1 else "concat_means").eval()
        inputs, blocks = batch(backbone, trainable), backbone.trainable_blocks(trainable)
        model = tunable(frozen, blocks, tuning_settings(method=method), family).eval()
        expected = frozen.outputs(statistics=inputs["statistics"])
        torch.testing.assert_close(model.outputs(**inputs), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(model(**inputs), expected.mean(1), atol=1e-5, rtol=0)
        shape = expected.shape
        for _ in range(2):  # the factor A has a gradient once B is no longer zero
            loss = PerHead(CrossEntropy(None))(model.train()(**inputs), torch.tensor([0, 1, 2]))
            loss.backward()
            with torch.no_grad():
                for parameter in model.blocks.parameters():
                    if parameter.grad is not None:
                        parameter.sub_(parameter.grad)
        assert shape == (3, 2, 3)
        trained = {name: own for name, own in model.blocks.named_parameters() if own.requires_grad}
        if method == "lora":
            assert all("lora_" in name for name in trained)
            assert len(trained) == 2 * trainable * len(REGISTERED[family].linear_layers)
        for name, parameter in trained.items():
            if "k_proj.bias" not in name:  # it cancels in the softmax of attention
                assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
        assert not any(own.grad is not None for own in backbone.trainable_blocks(trainable).parameters())  # a copy's


@pytest.mark.parametrize("family", FAMILIES)
def test_what_lies_above_the_output_layer_is_neither_run_nor_counted(folders, family):
    whole, cut = load_backbone(str(folders(family))), load_backbone(str(folders(family)))
    blocks, last = list(cut.blocks.blocks), cut.block_count - 1
    above = [block.register_forward_hook(lambda *_: pytest.fail("a block above was run")) for block in blocks[last:]]
    assert cut.cut(last) is cut and cut.block_count == last and cut.head is None and above
    for trainable in (0, 1, 2):
        expected = whole.encode(CLIPS, trainable + 1)
        for own, other in zip(cut.encode(CLIPS, trainable), expected, strict=True):
            torch.testing.assert_close(own.frames, other.frames, atol=1e-5, rtol=0)
            torch.testing.assert_close(own.statistics, other.statistics[:, :-1], atol=1e-5, rtol=0)
    inputs, trainable = batch(cut, 2), cut.trainable_blocks(2)
    torch.testing.assert_close(
        trainable.statistics(inputs["frames"], inputs["valid"]), inputs["statistics"][:, :, -2:], atol=1e-5, rtol=0
    )
    assert not list(trainable.norm.parameters())  # the final norm belongs to the last block
    with pytest.raises(UserError, match=rf"model.output_layer: 99, but .* has {last} blocks; choose 1 to {last}, or"):
        cut.cut(99)
    assert whole.cut(None).block_count == last + 1


def test_low_rank_changes_are_refused_where_they_would_not_act(folders):
    blocks = load_backbone(str(folders("wavlm"))).trainable_blocks(2)
    settings = Lora(rank=2, alpha=4, targets=["q_proj"])
    message = "targets: q_proj: not one of .* that can be changed, intermediate_dense, output_dense"
    with pytest.raises(UserError, match=message):
        adapters.add(blocks, settings, REGISTERED["wavlm"].linear_layers)


@pytest.mark.parametrize("method", ["weights", "lora"])
def test_shares_of_a_change_lie_on_a_line_between_the_effective_weights(folder, method):
    blocks = load_backbone(str(folder)).trainable_blocks(2)
    start = TunedModel(*_tunable_parts(blocks, method))
    end = deepcopy(start)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in end.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))

    def weights(share: float) -> dict[str, torch.Tensor]:
        model = deepcopy(start)
        model.load_state_dict(between(start.state_dict(), end.state_dict(), share))
        adapters.merge(model.blocks)
        return model.state_dict()

    first, half, last = weights(0.0), weights(0.25), weights(1.0)
    assert first.keys() == TunedModel(blocks, start.head).state_dict().keys()
    for name, tensor in TunedModel(blocks, start.head).state_dict().items():
        torch.testing.assert_close(first[name], tensor)
        torch.testing.assert_close(half[name], 0.75 * first[name] + 0.25 * last[name], atol=1e-5, rtol=1e-5)
    assert (first["blocks.blocks.0.fc1.weight"] - last["blocks.blocks.0.fc1.weight"]).abs().max() > 0.1


def _tunable_parts(blocks, method: str):
    model = tunable(ensemble(4, 16), blocks, tuning_settings(method=method), "whisper")
    return model.blocks, model.head


def test_the_pull_is_a_share_of_the_way_back_to_where_the_weights_began(folder):
    blocks = load_backbone(str(folder)).trainable_blocks(2)
    optimisation = train_settings(learning_rate=0.01, weight_decay=0.0)

    def after_a_step(pull: float) -> dict[str, torch.Tensor]:
        model = tunable(ensemble(4, 16), blocks, tuning_settings(), "whisper")
        own = tuning_settings(learning_rate=0.002, head_learning_rate=0.01, layer_decay=0.5, l2_sp=pull)
        optimiser = adamw(model.parameter_groups(own), optimisation)
        assert {group["lr"] for group in optimiser.param_groups} == {0.01, 0.002, 0.001}
        for _ in range(2):
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
            optimiser.step()
        return {name: parameter.detach() for name, parameter in model.named_parameters()}

    start = dict(tunable(ensemble(4, 16), blocks, tuning_settings(), "whisper").named_parameters())
    free, pulled, held = after_a_step(0), after_a_step(50), after_a_step(1e9)
    for name, before in start.items():
        # A step of Adam on equal gradients has the length of the rate, whatever the weights are.
        if name.startswith("head"):
            torch.testing.assert_close(pulled[name], free[name])
            continue
        rate = 0.002 if name.startswith(("blocks.blocks.1", "blocks.norm")) else 0.001
        torch.testing.assert_close(free[name] - before, torch.full_like(before, -2 * rate), atol=1e-5, rtol=0)
        left = 1 - 50 * rate
        expected = torch.full_like(before, -rate * (left + left**2))
        torch.testing.assert_close(pulled[name] - before, expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(held[name], before, atol=1e-6, rtol=0)


@pytest.fixture
def data(tmp_path, folder):
    return encoded(folder, tmp_path)


def tuned(data, folder: Path, where: Path, tracker: Tracker | None = None, task: str = "classification", **changes):
    """Return a model that was tuned, and the device."""
    opened, rows = data
    settings = model_settings(folder, **(FROZEN | {"features": "tuned_layers", "task": task, "targets": ["arousal"]}))
    values = {"epochs": 3, "learning_rate": 3e-3, "head_learning_rate": 3e-3} | changes.pop("tuning", {})
    own = {"epochs": 1, "learning_rate": 1e-5, "refit": "none", "mixup": 0.0} | changes
    training = train_settings(**(own | {"tuning": tuning_settings(**values)}))
    device = set_up(RUNTIME, 1)
    train, dev = (rows[rows["split"] == name] for name in ("train", "dev"))
    run = Run(device, tracker or Tracker("test"), where / "checkpoints")
    return fit(train, dev, settings, training, opened, run), device


@pytest.mark.parametrize("method", ["weights", "lora"])
@pytest.mark.parametrize("refit", ["none", "all_epochs"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_dev_decides_how_much_of_a_change_is_kept_and_a_saved_model_predicts_the_same(
    data, folder, tmp_path, capsys, task, refit, method
):
    opened, rows = data
    lora = {"method": method, "lora": {"rank": 4, "alpha": 8}}
    model, device = tuned(data, folder, tmp_path, task=task, refit=refit, tuning=lora)
    share, losses, error, score, before = model.choice
    assert list(losses) == ["0", "0.25", "0.5", "0.75", "1"] and share > 0
    assert losses[f"{share:g}"] == min(losses.values()) < losses["0"] and error > 0 and score > before
    assert f"{share:g} of the change is kept: {model.task.metric} {score:.4f}, frozen" in capsys.readouterr().err
    assert isinstance(model.model, TunedModel) and model.settings.features == "tuned_layers"
    saving.save(model, tmp_path / "model")
    test = rows.loc[rows["split"] == "test", "utterance"]
    before = predict(model.model, model.settings, test, opened, device)
    again = saving.load(tmp_path / "model")
    assert again.choice == model.choice
    np.testing.assert_allclose(predict(again.model, again.settings, test, opened, device), before, atol=1e-5)
    assert not any("lora" in name for name in again.model.state_dict())  # merged
    with safe_open(tmp_path / "model/model.safetensors", "pt") as file:
        stored = {name for name in file.keys() if name.startswith("blocks.")}  # noqa: SIM118 - not a dictionary
    assert all(("lora_" in name) == (method == "lora") for name in stored) and stored
    if refit == "none" and task == "classification":
        dev = rows[rows["split"] == "dev"]
        found = predict(model.model, model.settings, dev["utterance"], opened, device).argmax(1)
        assert model.task.scores(np.eye(2)[found], model.task.targets(dev))["uar"] == pytest.approx(score)


def test_where_no_change_is_better_the_frozen_model_is_kept_and_named_so(data, folder, tmp_path, capsys):
    ruinous = {"learning_rate": 10.0, "head_learning_rate": 10.0, "epochs": 1}
    model, device = tuned(data, folder, tmp_path, epochs=12, learning_rate=0.02, tuning=ruinous)
    assert "the frozen model is kept" in capsys.readouterr().err
    assert model.choice.share == 0 and model.settings.features == "frozen" and isinstance(model.model, Ensemble)
    saving.save(model, tmp_path / "model")
    again = saving.load(tmp_path / "model")
    opened, rows = data
    test = rows.loc[rows["split"] == "test", "utterance"]
    settings = model_settings(folder, **FROZEN)
    alone = fit(
        *(rows[rows["split"] == name] for name in ("train", "dev")), settings,
        train_settings(epochs=12, learning_rate=0.02, refit="none", mixup=0.0), opened,
        Run(device, Tracker("test"), tmp_path / "frozen"),
    )  # fmt: skip
    expected = predict(alone.model, settings, test, opened, device)
    np.testing.assert_array_equal(predict(again.model, again.settings, test, opened, device), expected)


@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=40).filter(lambda own: len(set(own)) > 1),
    st.integers(0, 2**32 - 1),
)
def test_the_share_with_the_lowest_loss_is_kept_where_speakers_count_alike(speakers, seed):
    clusters = np.unique(speakers, return_inverse=True)[1]
    draw = np.random.default_rng(seed)
    losses = {share: draw.gamma(2.0, size=len(clusters)) * draw.uniform(0.8, 1.2) for share in (0.0, 0.5, 1.0)}
    choice = preferred(losses, clusters)
    table = pd.DataFrame(losses).groupby(clusters).mean()
    best = table[[0.5, 1.0]].mean().idxmin()
    assert choice.share == table.mean().idxmin()
    assert choice.error == pytest.approx((table[0.0] - table[best]).sem())
    for share, loss in choice.losses.items():
        assert loss == pytest.approx(table[float(share)].mean())


def test_sharper_outputs_alone_are_no_better():
    draw = np.random.default_rng(1)
    outputs, targets = draw.normal(size=(60, 3)), draw.integers(0, 3, 60)
    outputs[np.arange(60), targets] += 1
    task = Classification(["a", "b", "c"])
    found = task.losses(outputs, targets)
    np.testing.assert_allclose(task.losses(7 * outputs, targets), found, atol=1e-4)
    calibrated = softmax(outputs / task.temperature(outputs, targets), axis=1)
    assert found.mean() == pytest.approx(log_loss(targets, calibrated))


def one_dev_speaker(data):
    opened, rows = data
    first = rows.loc[rows["split"] == "dev", "speaker"].iloc[0]
    return opened, rows.assign(speaker=rows["speaker"].where(rows["split"] != "dev", first))


def test_one_dev_speaker_decides_nothing_and_so_nothing_is_tuned(data, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fitting, "tune", lambda *_: pytest.fail("it was tuned"))
    model, device = tuned(one_dev_speaker(data), folder, tmp_path, refit="all_epochs")
    assert "one dev speaker alone cannot tell" in capsys.readouterr().err
    assert model.settings.features == "frozen" and model.choice == Choice(0.0, {})
    saving.save(model, tmp_path / "model")
    again, (opened, rows) = saving.load(tmp_path / "model"), data
    assert again.choice == model.choice
    before, after = (predict(own.model, own.settings, rows["utterance"], opened, device) for own in (model, again))
    np.testing.assert_array_equal(after, before)


def test_a_share_that_is_given_is_kept_whatever_dev_says(data, folder, tmp_path):
    ruinous = {"learning_rate": 10.0, "head_learning_rate": 10.0, "epochs": 1}
    model, _ = tuned(one_dev_speaker(data), folder, tmp_path, tuning=ruinous, interpolation=0.5)
    assert model.choice.share == 0.5 and model.choice.error is None and list(model.choice.losses) == ["0", "0.5"]
    saving.save(model, tmp_path / "model")
    assert saving.load(tmp_path / "model").choice == model.choice


def test_every_head_has_its_say_on_the_share(data, folder, tmp_path, monkeypatch):
    heads, real = [], tuning.fit

    def counting(recipe, own, *others):
        heads.append(len(own.build().head.members))
        return real(recipe, own, *others)

    monkeypatch.setattr(tuning, "fit", counting)
    tuned(data, folder, tmp_path, refit="all_epochs")
    assert heads == [FROZEN["ensemble_size"]]


def test_a_tuning_without_a_block_to_train_is_refused(data, folder, tmp_path):
    data[0].provenance["trainable_layers"] = 0
    with pytest.raises(UserError, match=r"model\.features: tuned_layers, but model\.trainable_layers is 0"):
        tuned(data, folder, tmp_path)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_in", ["heads", "tuning", "refit"])
def test_a_tuning_that_is_killed_goes_on_to_the_same_weights(data, folder, tmp_path, monkeypatch, killed_in):
    whole, _ = tuned(data, folder, tmp_path / "whole", refit="all_epochs")
    state = {name: tensor.clone() for name, tensor in whole.model.state_dict().items()}

    def kill(*_, **__):
        raise KilledError

    class Killer(Tracker):
        def on_evaluate(self, *arguments, **others):
            super().on_evaluate(*arguments, **others)
            if len(self.history) == 3:  # before that epoch's checkpoint
                kill()

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        if killed_in == "heads":
            patched.setattr(tuning, "fit", kill)
        if killed_in == "refit":
            patched.setattr(tuning, "refit", kill)
        tuned(data, folder, tmp_path / "cut", Killer("test") if killed_in == "tuning" else None, refit="all_epochs")
    again, _ = tuned(data, folder, tmp_path / "cut", refit="all_epochs")
    assert again.choice == whole.choice
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    shutil.rmtree(tmp_path / "cut")


def test_each_head_has_a_loss_of_its_own():
    torch.manual_seed(0)
    outputs, targets = torch.randn(5, 3, 4), torch.tensor([0, 1, 2, 3, 0])
    plain = CrossEntropy(None)
    expected = np.mean([plain(outputs[:, head], targets).item() for head in range(3)])
    assert PerHead(plain)(outputs, targets).item() == pytest.approx(expected, abs=1e-6)
    assert PerHead(plain)(outputs.mean(1), targets) == plain(outputs.mean(1), targets)
