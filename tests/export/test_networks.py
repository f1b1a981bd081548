"""A model and all below it as one network of tensors answers as the recogniser does, whatever its parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.networks import CONVOLUTIONAL, LARGE_LAYOUT
from emopipe.export.front_ends import LogMel, front_end
from emopipe.export.networks import Distances, Speech, Unpadded
from emopipe.recognition.speech import Recognizer
from helpers.clips import clip

NETWORKS = [
    ("whisper", {}),
    *((family, changes) for family in CONVOLUTIONAL if family != "data2vec-audio" for changes in ({}, LARGE_LAYOUT)),
    ("data2vec-audio", {}),
    ("wavlm", {"max_bucket_distance": 12, "num_buckets": 16}),
    ("emotion2vec", {}),
]
PER_LAYER = ("emotion2vec", {"learned_alibi_scale_per_layer": True})
HEARD = 14_400  # samples, 0.9 s
FLIP = 5e-4  # a value of a layer that lies between two numbers of float16 may be rounded to the other one


def silence(length):
    return np.zeros(length, np.float32)


def noise(length):
    return clip(length, length).numpy()


def close(recognizer, answer, clips):
    network, found = Speech(recognizer.trained, recognizer.encoder), []
    for samples in clips:
        with torch.no_grad():
            found.append(network(torch.from_numpy(samples)[None]).numpy())
        np.testing.assert_allclose(found[-1], answer(recognizer, samples), atol=FLIP)
    assert np.ptp(found, axis=0).max() > 2 * FLIP  # the answer depends on what is heard


@pytest.mark.parametrize(("family", "network"), NETWORKS, ids=str)
def test_of_every_family_and_length(untrained, answer, family, network):
    recognizer = untrained(family, network, features="both", ensemble_size=1)
    close(recognizer, answer, [*map(noise, (400, 719, 9_000, HEARD, HEARD + 1)), silence(5_000)])


@pytest.mark.slow
@pytest.mark.parametrize(("family", "network"), [*NETWORKS, PER_LAYER], ids=str)
@pytest.mark.parametrize("features", ["tuned_layers", "finetuned"])
@pytest.mark.parametrize("trainable", [1, "all"])
def test_of_every_number_of_trained_blocks(untrained, answer, family, network, features, trainable):
    recognizer = untrained(family, network, features=features, trainable_layers=trainable)
    close(recognizer, answer, map(noise, (400, 9_000, 30_000)))


PARTS = [
    ("concat", "mean", "linear"),
    ("concat_means", "attentive_statistics", "tanh"),
    ("weighted", "mean", "norm_mlp"),
    ("concat", "attentive_statistics", "batchnorm_mlp"),
]


@pytest.mark.parametrize("features", ["frozen", "tuned_layers", "finetuned", "both"])
@pytest.mark.parametrize("parts", PARTS, ids="-".join)
def test_of_every_parameter_of_the_model(untrained, answer, features, parts):
    own = dict(zip(("layer_pooling", "pooling", "head"), parts, strict=True)) | {"features": features, "head_layers": 2}
    for task, size, output_layer, trainable in (("classification", 3, None, 2), ("regression", 1, 2, "all")):
        one = untrained(
            "whisper", task=task, ensemble_size=size, output_layer=output_layer, trainable_layers=trainable, **own
        )
        close(one, answer, map(noise, (400, 9_000)))
    if features == "finetuned":
        close(untrained("whisper", trainable_layers=0, **own), answer, map(noise, (400, 9_000)))


def test_of_a_backbone_that_computes_in_bfloat16_it_is_the_exact_network(untrained, answer):
    rough = untrained("whisper", encode={"precision": "bfloat16"})
    exact = Recognizer(rough.trained, untrained("whisper").encoder, Path())
    network, samples = Speech(rough.trained, rough.encoder), noise(9_000)
    found = network(torch.from_numpy(samples)[None]).numpy()
    assert np.abs(found - answer(exact, samples)).max() < 0.1 * np.abs(found - answer(rough, samples)).max()


def test_blocks_that_are_not_asked_for_do_not_run(untrained):
    for features, count in (("frozen", 3), ("both", 3), ("tuned_layers", 1), ("finetuned", 1)):
        recognizer = untrained("whisper", features=features)
        network = Speech(recognizer.trained, recognizer.encoder)
        ran: list[torch.nn.Module] = []
        for block in network.blocks.blocks:
            block.register_forward_pre_hook(lambda own, _, ran=ran: ran.append(own))
        network(torch.zeros(1, 800))
        assert ran == list(network.blocks.blocks[:count]), features


def test_the_model_that_is_exported_is_left_as_it_was(untrained, answer):
    for family in ("wav2vec2", "emotion2vec"):  # one has a norm of weights taken off, the other its biases replaced
        recognizer = untrained(family, features="finetuned", ensemble_size=1)
        before = answer(recognizer, noise(5_000))
        Speech(recognizer.trained, recognizer.encoder)
        np.testing.assert_array_equal(answer(recognizer, noise(5_000)), before)


@pytest.mark.parametrize("family", ["whisper", *CONVOLUTIONAL])
def test_a_front_end_gives_what_that_of_the_backbone_does(untrained, family):
    backbone = untrained(family, LARGE_LAYOUT if family in ("wav2vec2", "wavlm") else {}).encoder.backbone
    clips = [torch.from_numpy(samples) for samples in (noise(400), noise(401), noise(9_000) * 3, silence(2_000))]
    with torch.no_grad():
        expected = [backbone.front_end(samples) for samples in clips]
        front = front_end(backbone, 9_000)
        for samples, frames in zip(clips, expected, strict=True):
            torch.testing.assert_close(front(samples), frames, atol=3e-5, rtol=0)


@pytest.mark.parametrize("bands", [80, 128])
def test_the_spectrogram_is_that_of_the_feature_extractor(bands):
    from transformers import WhisperFeatureExtractor

    features = WhisperFeatureExtractor(feature_size=bands)
    generator = np.random.default_rng(1)
    time = np.arange(16_000) / 16_000
    sounds = {
        "noise": generator.normal(0, 0.1, 16_000), "faint noise": generator.normal(0, 1e-4, 16_000),
        "full scale": np.sign(np.sin(300 * time)), "constant": np.full(16_000, 0.3), "silence": np.zeros(16_000),
        "tone, then silence": np.where(time < 0.5, np.sin(6_000 * time), 0), "click": np.eye(1, 16_000, 8_000)[0],
        "sweep": 0.5 * np.sin(20_000 * time**2),
    }  # fmt: skip
    for name, sound in sounds.items():
        samples = sound.astype(np.float32)
        expected = features(samples, sampling_rate=16_000, padding="longest", truncation=False, return_tensors="np")
        found = LogMel(features)(torch.from_numpy(samples)).numpy()
        np.testing.assert_allclose(found, expected.input_features, atol=1e-4, err_msg=name)


def test_the_bias_of_attention_is_the_table_of_funasr_whatever_was_asked_before(untrained):
    blocks = untrained("emotion2vec").encoder.backbone.blocks
    table = {"batch_size": 1, "dtype": torch.float32, "device": torch.device("cpu")}
    before = blocks.alibi
    after = Unpadded(blocks).own.alibi
    assert isinstance(after, Distances)
    for frames in (3, 50, 1, 49):
        torch.testing.assert_close(
            after(time_steps=frames, **table), before(time_steps=frames, **table), rtol=0, atol=0
        )
