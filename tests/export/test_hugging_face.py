"""What transformers loads of a trained model answers as the recogniser does, whatever its parameters."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from benchmarks.networks import CONVOLUTIONAL, LARGE_LAYOUT
from emopipe.export import hugging_face
from helpers.clips import clip

FLIP = 5e-4  # a value of a layer that lies between two numbers of float16 may be rounded to the other one
CLIPS = [clip(length, length).numpy() for length in (400, 719, 9_000, 30_000)]
NETWORKS = [
    ("whisper", {}),
    *((family, changes) for family in CONVOLUTIONAL if family != "data2vec-audio" for changes in ({}, LARGE_LAYOUT)),
    ("data2vec-audio", {}),
    ("wavlm", {"max_bucket_distance": 12, "num_buckets": 16}),
]
QUICK = [NETWORKS[0], ("hubert", LARGE_LAYOUT), NETWORKS[-1]]
FAMILIES = [one if one in QUICK else pytest.param(*one, marks=pytest.mark.slow) for one in NETWORKS]
HEADS = [
    ("concat", "mean", "linear"),
    ("concat_means", "attentive_statistics", "tanh"),
    ("weighted", "mean", "norm_mlp"),
    ("concat", "attentive_statistics", "batchnorm_mlp"),
]


def loaded(recognizer, folder):
    """Return what the folder of a recogniser holds once it is read again, in the class that it names."""
    from emopipe.export.modeling_emopipe import EmopipeForAudioClassification

    model, extractor, stock = hugging_face._made(recognizer)
    model.save_pretrained(folder)
    import transformers

    kind = getattr(transformers, type(model).__name__) if stock else EmopipeForAudioClassification
    again, found = kind.from_pretrained(folder, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"] and not found["mismatched_keys"]
    return again.eval(), extractor, stock


def answers(model, extractor, samples):
    prepared = extractor(samples, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        logits = model(**prepared).logits
    return (logits if model.config.problem_type == "regression" else logits.softmax(-1)).numpy()


def close(recognizer, answer, folder, tolerance=FLIP):
    model, extractor, stock = loaded(recognizer, folder)
    found = []
    for samples in CLIPS:
        samples = samples[: recognizer.encoder.max_samples] if stock else samples
        found.append(answers(model, extractor, samples))
        np.testing.assert_allclose(found[-1], answer(recognizer, samples), atol=tolerance)
    assert np.ptp(found, axis=0).max() > 2 * tolerance  # the answer depends on the clip
    return stock


@pytest.mark.parametrize(("family", "network"), FAMILIES, ids=str)
def test_of_every_family(untrained, answer, tmp_path, family, network):
    for features in ("both", "tuned_layers"):
        recognizer = untrained(family, network, features=features, head="tanh")
        assert not close(recognizer, answer, tmp_path / features)


@pytest.mark.parametrize("features", ["frozen", "tuned_layers", "finetuned", "both"])
@pytest.mark.parametrize("parts", HEADS, ids="-".join)
def test_of_every_parameter_of_the_model(untrained, answer, tmp_path, features, parts):
    own = dict(zip(("layer_pooling", "pooling", "head"), parts, strict=True)) | {"features": features, "head_layers": 2}
    for task, size, output_layer, trainable in (("classification", 3, None, 2), ("regression", 1, 2, "all")):
        recognizer = untrained(
            "whisper", task=task, ensemble_size=size, output_layer=output_layer, trainable_layers=trainable, **own
        )
        assert not close(recognizer, answer, tmp_path / task)


@pytest.mark.parametrize("trainable", [1, "all"])
def test_a_wavlm_whose_first_block_is_or_is_not_trained(untrained, answer, tmp_path, trainable):
    for features in ("finetuned", "both", "tuned_layers"):
        recognizer = untrained("wavlm", features=features, trainable_layers=trainable)
        assert not close(recognizer, answer, tmp_path / features)


STOCK = [
    {"features": "finetuned", "pooling": "mean"},
    {"features": "frozen", "layer_pooling": "weighted"},
    {"features": "finetuned", "pooling": "mean", "task": "regression"},
    {"features": "frozen", "layer_pooling": "weighted", "trainable_layers": 0, "output_layer": 2},
    {"features": "finetuned", "pooling": "mean", "output_layer": 2},
]


@pytest.mark.parametrize(("family", "network"), FAMILIES[1:], ids=str)
def test_a_class_of_the_library_where_it_computes_the_same(untrained, answer, tmp_path, family, network):
    for number, settings in enumerate(STOCK):
        recognizer = untrained(family, network, head="linear", ensemble_size=1, **settings)
        other = network == LARGE_LAYOUT and (settings["features"] == "frozen" or "output_layer" in settings)
        folder = tmp_path / str(number)
        assert close(recognizer, answer, folder, tolerance=5e-3) is not other  # it does not round the layers
        assert ("auto_map" in json.loads((folder / "config.json").read_text())) is other


@pytest.mark.parametrize(
    "settings",
    [{"ensemble_size": 2}, {"head": "tanh"}, {"pooling": "attentive_statistics"}, {"features": "tuned_layers"}],
    ids=str,
)
def test_and_our_own_where_none_does(untrained, settings):
    plain = {"features": "finetuned", "head": "linear", "pooling": "mean", "ensemble_size": 1}
    assert hugging_face._is_stock(untrained("wav2vec2", **plain))
    assert not hugging_face._is_stock(untrained("wav2vec2", **plain | settings))
    assert not hugging_face._is_stock(untrained("whisper", **plain))


def test_no_clip_of_a_batch_changes_the_answer_to_another(untrained, tmp_path):
    for family in ("whisper", "wav2vec2"):
        model, extractor, _ = loaded(untrained(family), tmp_path / family)
        alone = np.concatenate([answers(model, extractor, samples) for samples in CLIPS])
        batch = extractor(CLIPS, sampling_rate=16_000, return_tensors="pt", padding=True)
        with torch.no_grad():
            together = model(**batch).logits.softmax(-1).numpy()
        np.testing.assert_allclose(together, alone, atol=1e-6)
