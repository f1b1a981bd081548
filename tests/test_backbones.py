"""Backbones: exact against the published forward pass, and never on wrong weights."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from stages.backbones.catalogue import load
from stages.contracts.errors import UserError

SAMPLES = 16_000


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Return a small Whisper of random weights in the published layout; it hears exactly one second."""
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=32, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=64, num_mel_bins=80,
        decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=64, vocab_size=60, max_source_positions=50,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3, begin_suppress_tokens=None,
        init_std=0.2,  # wide, so that what the network says depends on what it hears
    )  # fmt: skip
    path = tmp_path_factory.mktemp("whisper")
    WhisperForConditionalGeneration(config).save_pretrained(path)
    WhisperFeatureExtractor().save_pretrained(path)
    return path


@pytest.fixture
def copy(folder, tmp_path):
    """Return a copy of the folder that a test may damage."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def clip(samples=SAMPLES, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * 0.1)


def test_every_layer_equals_the_published_model(folder):
    model = WhisperForConditionalGeneration.from_pretrained(folder).eval()
    waveform = clip()
    # Hugging Face pads to 30 s and this model hears one: its own features, cut.
    features = WhisperFeatureExtractor()(waveform.numpy(), sampling_rate=16_000, return_tensors="pt").input_features
    with torch.no_grad():
        states = model.model.encoder(features[:, :, :100], output_hidden_states=True).hidden_states
    backbone = load(str(folder))
    for trainable in range(4):
        encoding = backbone.encode(waveform, trainable)
        if trainable:
            torch.testing.assert_close(encoding.frames, states[3 - trainable][0], atol=1e-5, rtol=0)
        after = backbone.suffix(trainable)(encoding.frames[None], torch.ones(1, 50, dtype=torch.bool))
        torch.testing.assert_close(after, states[-1], atol=1e-5, rtol=0)
        for layer, state in enumerate(states):
            torch.testing.assert_close(encoding.statistics[0, layer], state[0].mean(0), atol=1e-5, rtol=0)
            expected = state[0].std(0, correction=0)
            torch.testing.assert_close(encoding.statistics[1, layer], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("trainable", [0, 1, 2, 3])
def test_a_clip_alone_equals_the_clip_in_a_padded_batch(folder, trainable):
    backbone = load(str(folder))
    clips = [backbone.encode(clip(samples, samples), trainable).frames for samples in (16_000, 5_000, 401)]
    valid = torch.arange(50) < torch.tensor([[len(frames)] for frames in clips])
    batch = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True, padding_value=9.0)
    suffix = backbone.suffix(trainable).eval()
    together = suffix(batch, valid)
    for i, frames in enumerate(clips):
        alone = suffix(frames[None], None)[0]
        torch.testing.assert_close(together[i, : len(frames)], alone, atol=1e-5, rtol=0)


def test_exactly_the_last_blocks_and_the_final_norm_learn(folder):
    backbone = load(str(folder))
    suffix = backbone.suffix(2)
    frames = backbone.encode(clip(), 2).frames[None]
    suffix(frames, None).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in suffix.blocks.parameters() if p.ndim > 1)
    assert not any(p.requires_grad for p in backbone.whole.blocks[0].parameters())
    assert not any(p.requires_grad for p in backbone.embedding.parameters())
    assert not any(p.requires_grad for p in load(str(folder)).suffix(0).parameters())


def test_the_embedded_weights_are_those_of_the_paper():
    backbone = load("whisper_tiny_en")
    assert (backbone.dim, backbone.blocks, backbone.max_samples) == (384, 4, 480_000)
    channels = torch.arange(192)
    angle = torch.arange(1500)[:, None] * torch.exp(-np.log(10_000) / 191 * channels)
    sinusoids = torch.cat([angle.sin(), angle.cos()], 1)
    torch.testing.assert_close(backbone.embedding["positions"].weight, sinusoids, atol=1e-3, rtol=0)


def test_too_many_trainable_blocks_are_refused(folder):
    with pytest.raises(UserError, match=r"model\.trainable_layers: 4, but .* has 3 blocks; choose 0 to 3, or all"):
        load(str(folder)).trainable(4)
    assert load(str(folder)).trainable("all") == 3


KEY = "model.encoder.layers.1.fc1.weight"


def damage(copy, change):
    state = load_file(copy / "model.safetensors")
    change(state)
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop(KEY), r"missing: layers\.1\.fc1\.weight"),
        (lambda s: s.update({KEY + "s": s.pop(KEY)}), r"(?s)missing: layers\.1\.fc1\.weight.*unexpected: .*weights"),
        (lambda s: s.update({KEY: s[KEY][:, :-1].contiguous()}), r"misshaped: .*fc1\.weight \[64, 31\] instead of"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_key(copy, change, message):
    damage(copy, change)
    with pytest.raises(UserError, match=message):
        load(str(copy))


def test_broken_files_are_refused_by_name(copy):
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"model\.safetensors: not a whole file of tensors"):
        load(str(copy))
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(UserError, match="a Git LFS pointer, not the weights"):
        load(str(copy))
    weights.unlink()
    with pytest.raises(UserError, match="no weights: neither"):
        load(str(copy))


class Code:
    """A pickle that would run code if anybody loaded it."""

    def __reduce__(self):
        return print, ("pickled code ran",)


def test_a_pickle_with_code_is_refused_and_does_not_run(copy, capsys):
    (copy / "model.safetensors").unlink()
    torch.save({"model.encoder.conv1.weight": torch.zeros(1), "x": Code()}, copy / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin: not a whole file of tensors"):
        load(str(copy))
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Code()))
    with pytest.raises(UserError, match=r"pytorch_model\.bin: not a whole file of tensors"):
        load(str(copy))
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("whisper_huge", "'whisper_huge' is not known; choose one of whisper_tiny_en"),
        ("./nowhere", "no folder at ./nowhere"),
    ],
)
def test_unknown_names_are_refused(name, message):
    with pytest.raises(UserError, match=message):
        load(name)


def test_a_hub_that_cannot_be_reached_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"nobody/nothing is neither in .* nor could it be fetched"):
        load("nobody/nothing")


def test_an_unsupported_architecture_is_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "resnet"}))
    with pytest.raises(UserError, match=r"config\.json: model_type 'resnet' is not supported; supported: whisper"):
        load(str(tmp_path))


def test_real_weights_in_hugging_face_layout_load(shared):
    backbone = load(str(shared("weights/whisper-base-encoder")))
    assert (backbone.dim, backbone.blocks) == (512, 6)
