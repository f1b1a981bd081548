"""Backbones are exact against the published forward pass, alone and in any batch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from funasr import AutoModel as AutoFunasrModel
from funasr.models.emotion2vec.model import Emotion2vec as FunasrNetwork
from torch.nn.functional import layer_norm
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoFeatureExtractor, AutoModel, WhisperFeatureExtractor, WhisperForConditionalGeneration

from benchmarks.networks import CONVOLUTIONAL, FAMILIES, LARGE_LAYOUT
from emopipe.backbones.catalogue import ENTRIES
from emopipe.backbones.catalogue import FAMILIES as REGISTERED
from emopipe.backbones.loading import load
from emopipe.io.errors import UserError
from helpers.clips import clip
from helpers.paths import ROOT

# Every family, and the layout of its large models where that is another one.
NETWORKS = [
    ("whisper", {}),
    *((family, changes) for family in CONVOLUTIONAL if family != "data2vec-audio" for changes in ({}, LARGE_LAYOUT)),
    ("data2vec-audio", {}),
    ("wavlm", {"max_bucket_distance": 12, "num_buckets": 16}),  # clips longer than the table of distances
    ("emotion2vec", {}),
    ("emotion2vec", {"learned_alibi_scale_per_layer": True}),
]
CLIPS = [clip(samples, samples) for samples in (16_000, 5_000, 401)]


def published(folder: Path, waveform: torch.Tensor) -> list[torch.Tensor]:
    """Return all layers, [frames, dim] each, as the publishers' own code computes them for a clip alone."""
    if (folder / "config.yaml").is_file():
        config = yaml.safe_load((folder / "config.yaml").read_text())
        network = FunasrNetwork(model_conf=config["model_conf"], vocab_size=9).eval()
        state = torch.load(folder / "model.pt", weights_only=True)["model"]
        assert not [key for key in network.load_state_dict(state, strict=False)[0] if ".decoder." not in key]
        seen = []
        blocks = [*network.modality_encoders["AUDIO"].context_encoder.blocks, *network.blocks]
        hooks = [block.register_forward_hook(lambda _, x, y: seen.extend((x[0], y[0]))) for block in blocks]
        with torch.no_grad():
            out = network.extract_features(layer_norm(waveform, waveform.shape)[None], padding_mask=None)["x"]
        assert len(hooks) == len(seen) / 2 == 12
        torch.testing.assert_close(out[0], seen[-1][0, 10:])
        return [state[0, 10:] for state in [seen[0], *seen[1::2]]]
    if json.loads((folder / "config.json").read_text())["model_type"] == "whisper":
        network = WhisperForConditionalGeneration.from_pretrained(folder).model.encoder.eval()
        # Hugging Face pads to 30 s: its own features, cut to the clip, and the position table with them.
        columns = 2 * -(-len(waveform) // 320)
        features = WhisperFeatureExtractor()(waveform.numpy(), sampling_rate=16_000, return_tensors="pt")
        network.embed_positions = torch.nn.Embedding.from_pretrained(network.embed_positions.weight[: columns // 2])
        network.config.max_source_positions = columns // 2
        inputs = features.input_features[:, :, :columns]
    else:
        network = AutoModel.from_pretrained(folder).eval()
        extractor = AutoFeatureExtractor.from_pretrained(folder)
        inputs = extractor(waveform.numpy(), sampling_rate=16_000, return_tensors="pt").input_values
    with torch.no_grad():
        result = network(inputs, output_hidden_states=True)
    return [state[0] for state in (*result.hidden_states[:-1], result.last_hidden_state)]


def padded(encodings):
    """Return the clips' frames as one batch, with rubbish where there is none, and which are real."""
    lengths = [len(encoding.frames) for encoding in encodings]
    batch = pad_sequence([encoding.frames for encoding in encodings], batch_first=True, padding_value=9.0)
    return batch, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize(("family", "changes"), NETWORKS, ids=str)
def test_frozen_and_trainable_part_equal_the_published_network_on_the_clip_alone(folders, family, changes):
    path = folders(family, **changes)
    backbone = load(str(path))
    expected = [published(path, waveform) for waveform in CLIPS]
    assert expected[0][-1].std() > 0.1
    for trainable in range(backbone.block_count + 1):
        encodings = [backbone.encode([waveform], trainable)[0] for waveform in CLIPS]
        blocks = backbone.trainable_blocks(trainable)
        frames, real = blocks(*padded(encodings))
        for i, layers in enumerate(expected):
            assert real[i].sum() == len(layers[-1])
            close(frames[i, : len(layers[-1])], layers[-1])
            close(blocks(encodings[i].frames[None], None)[0][0], layers[-1])  # alone, as in the batch
            if trainable:
                cut = encodings[i].frames[blocks.extra_tokens :]
                close(cut, layers[backbone.block_count - trainable])
            close(encodings[i].statistics[0], torch.stack([layer.mean(0) for layer in layers]))
            close(encodings[i].statistics[1], torch.stack([layer.std(0, correction=0) for layer in layers]))


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("family", "changes"), NETWORKS, ids=str)
def test_clips_encoded_together_equal_clips_encoded_alone(folders, family, changes):
    backbone = load(str(folders(family, **changes)))
    for trainable in (0, 2):
        for alone, together in zip(
            (backbone.encode([waveform], trainable)[0] for waveform in CLIPS),
            backbone.encode(CLIPS, trainable),
            strict=True,
        ):
            close(together.frames, alone.frames)
            close(together.statistics, alone.statistics)


@pytest.mark.parametrize(("family", "changes"), NETWORKS, ids=str)
def test_exactly_the_last_blocks_learn(folders, family, changes):
    backbone = load(str(folders(family, **changes)))
    blocks = list(backbone.blocks.blocks)
    for trainable in (1, 2, len(blocks)):
        backbone.requires_grad_(requires_grad=False)
        last = backbone.trainable_blocks(trainable)
        last(*padded([backbone.encode([waveform], trainable)[0] for waveform in CLIPS]))[0].square().sum().backward()
        for number, block in enumerate(blocks):
            learns = number >= len(blocks) - trainable
            for name, parameter in block.named_parameters():
                assert parameter.requires_grad == learns, (number, name)
                # The bias of attention's keys cancels in its softmax: its gradient is zero, but for rounding.
                assert (parameter.grad is not None and parameter.grad.isfinite().all()) == learns, (number, name)
        last.zero_grad(set_to_none=True)
        own = sum(p.numel() for block in blocks[-trainable:] for p in block.parameters())
        norm = sum(p.numel() for p in last.norm.parameters())
        assert sum(p.numel() for p in last.parameters() if p.requires_grad) == own + norm
        assert not any(p.requires_grad for p in backbone.front.parameters())
    assert not any(p.requires_grad for p in load(str(folders(family, **changes))).trainable_blocks(0).parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_backbone_stays_frozen_and_in_eval_mode_inside_of_what_trains(folders, family):
    whole = torch.nn.ModuleList([load(str(folders(family)))]).train()
    assert whole.training
    assert not any(module.training for module in whole[0].modules())
    assert not any(parameter.requires_grad for parameter in whole.parameters())
    assert whole[0].parameter_count == sum(parameter.numel() for parameter in whole.parameters()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_of_full_size_equals_the_published_one(folders, family):
    path = folders(family, small=False)
    backbone = load(str(path))
    assert (backbone.dim, backbone.block_count) == ((384, 4) if family == "whisper" else (768, 12))
    expected = published(path, CLIPS[1])[-1]
    frames, real = backbone.trainable_blocks(3)(*padded(backbone.encode(CLIPS, 3)))
    torch.testing.assert_close(frames[1, real[1]], expected, atol=2e-5, rtol=0)
    shutil.rmtree(path)


def test_bfloat16_stays_near_float32(folders):
    for family in FAMILIES:
        backbone = load(str(folders(family)))
        exact = backbone.encode(CLIPS[:1], 2)[0]
        # oneDNN's convolution of groups of eight channels, as small networks have, is wrong in bfloat16 where the
        # processor has AMX; of 16 and more, as published ones have, it is right.
        with torch.autocast("cpu", torch.bfloat16), torch.backends.mkldnn.flags(enabled=False):
            rough = backbone.encode(CLIPS[:1], 2)[0]
        assert rough.frames.dtype == rough.statistics.dtype == torch.float32
        error = (rough.frames - exact.frames).norm() / exact.frames.norm()
        assert 0 < error < 0.03, family


def test_the_embedded_weights_are_those_of_the_paper():
    backbone = load("whisper_tiny_en")
    assert (backbone.dim, backbone.block_count, backbone.max_samples) == (384, 4, 480_000)
    channels = torch.arange(192)
    angle = torch.arange(1500)[:, None] * torch.exp(-np.log(10_000) / 191 * channels)
    sinusoids = torch.cat([angle.sin(), angle.cos()], 1)
    torch.testing.assert_close(backbone.front["positions"].weight, sinusoids, atol=1e-3, rtol=0)


def test_too_many_trainable_blocks_are_refused(folder):
    with pytest.raises(
        UserError, match=r"model\.trainable_layers: 4, but of .* 3 blocks are used; choose 0 to 3, or all"
    ):
        load(str(folder)).resolve_trainable(4)
    assert load(str(folder)).resolve_trainable("all") == 3


def test_labels_are_read_in_both_published_forms(folders, shared):
    assert load(str(folders("emotion2vec"))).head.emotions == [
        "anger", "disgust", "fear", "happiness", "neutral", "other", "sadness", "surprise", "",
    ]  # fmt: skip
    some = ("生气/angry", "unuse_0", "unuse_1", "开心/happy", "中立/neutral", "unuse_2", "难过/sad", "unuse_3", "<unk>")
    five = ["anger", "", "", "happiness", "neutral", "", "sadness", "", ""]
    assert load(str(folders("emotion2vec", tokens=some))).head.emotions == five
    published = shared("reference/emotion2vec/tokens.first-release-90B.txt")
    assert tuple(published.read_text(encoding="utf-8").split()) == some


def test_the_classifier_that_comes_along_gives_the_scores_of_funasr(folders):
    backbone = load(str(folders("emotion2vec")))
    waveform = clip()
    model = AutoFunasrModel(model=str(folders("emotion2vec")), disable_update=True, disable_pbar=True)
    (expected,) = model.generate(waveform.numpy(), granularity="utterance", extract_embedding=False)
    mean = backbone.encode([waveform], 0)[0].statistics[0, -1]
    scores = torch.softmax(mean @ backbone.head.weight.T + backbone.head.bias, 0)
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-5)


def test_real_weights_in_hugging_face_layout_load(shared):
    backbone = load(str(shared("weights/whisper-base-encoder")))
    assert (backbone.dim, backbone.block_count) == (512, 6)


def test_every_family_is_registered_under_names_of_its_own():
    assert REGISTERED.keys() == set(FAMILIES)
    assert len(ENTRIES) == sum(len(family.published) for family in REGISTERED.values())


def test_only_the_chosen_family_is_imported(folders):
    code = f"""
import sys
import emopipe.backbones.catalogue
from emopipe.backbones.loading import load
assert not {{"transformers", "funasr"}} & set(sys.modules)
load({str(folders("hubert"))!r})
loaded = {{name.split(".")[2] for name in sys.modules if ".modeling_" in name and name.count(".") == 3}}
assert loaded & {{"whisper", "wav2vec2", "hubert", "wavlm", "data2vec"}} == {{"hubert"}}, loaded
assert "funasr" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_configuration_without_a_vocabulary_loads(folders, tmp_path):
    folder = tmp_path / "w2v"
    shutil.copytree(folders("wav2vec2"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": None}))
    sound = [torch.sin(torch.arange(16_000) / 10)]
    assert torch.equal(
        load(str(folder)).encode(sound, 1)[0].statistics, load(str(folders("wav2vec2"))).encode(sound, 1)[0].statistics
    )
