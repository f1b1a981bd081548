"""Training utterances under conditions: one drawn for each by its name, whoever encodes it, and beside which others."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml
from pydantic import ValidationError

from emopipe import Recognizer
from emopipe.backbones.parameters import BackboneChoice
from emopipe.conditions.catalogue import CONDITIONS, FULL, apply, apply_in_training
from emopipe.encoding import corpus, store
from emopipe.encoding.corpus import AUGMENTED, SEED, encode_corpus
from emopipe.encoding.encoder import Encoder
from emopipe.encoding.parameters import Encode
from emopipe.encoding.store import ORIGINAL, Store
from emopipe.fingerprint import Tree
from emopipe.io.errors import UserError
from emopipe.parameters import Runtime
from emopipe.schemas.manifest import write_manifest
from helpers.small_corpus import train_small
from stages import encode

RATE = 16_000
SETTINGS = {
    "max_seconds": 1.0, "speed_perturbation": [], "conditions": None, "condition_draws": 1, "precision": "float32",
}  # fmt: skip
DRAWN = ["white_noise", "clipping", "spectral_tilt"]  # of six levels together
LEVELS = [(name, level) for name, level in FULL if name in DRAWN]
RUNTIME = {
    "engine": "local", "address": "auto", "device": "cpu", "processes": 1, "threads": 1, "workers": 1,
    "tensorboard": None,
}  # fmt: skip


def encoder(folder: Path, **changes: object) -> Encoder:
    choice = BackboneChoice(backbone=str(folder), output_layer=None, trainable_layers=1, features="both")
    return Encoder.load(choice, Encode(**SETTINGS | changes), torch.device("cpu"))


def noise(number: int) -> np.ndarray:
    return np.random.default_rng(number).uniform(-0.3, 0.3, 6_000 + 171 * number).astype(np.float32)


@pytest.fixture
def manifest(tmp_path):
    """Return a function that writes the manifest of utterances of certain numbers."""

    def write(numbers):
        rows = {f"x/{i}": f"{i}.wav" for i in numbers}
        for i in numbers:
            soundfile.write(tmp_path / f"{i}.wav", noise(i), RATE, subtype="FLOAT")
        table = pd.DataFrame({"utterance": rows.keys(), "corpus": "x", "path": rows.values(), "seconds": 0.5})
        write_manifest(table, tmp_path / "manifest.csv")
        return tmp_path / "manifest.csv"

    return write


@pytest.fixture
def stored(tmp_path, manifest):
    """Return a function that encodes utterances of certain numbers into a store."""

    def make(made, numbers=range(12), name="encoded"):
        encode_corpus(made, manifest(numbers), True, tmp_path / f"{name}.parts", tmp_path / name)
        return Store(tmp_path / name)

    return make


def content(opened: Store) -> dict[str, bytes]:
    return {str(path.relative_to(opened.folder)): path.read_bytes() for path in sorted(opened.folder.rglob("*.*"))}


def of(opened: Store, utterance: str, condition: str = AUGMENTED) -> np.ndarray:
    return opened.frames(opened.rows([utterance], condition)[0])


def test_every_utterance_is_encoded_once_more_under_one_of_the_conditions(folder, stored):
    made = encoder(folder, conditions=DRAWN, speed_perturbation=[0.8])
    opened = stored(made, range(24))
    assert opened.conditions == [ORIGINAL, "speed=0.8", AUGMENTED]
    assert opened.provenance["conditions"] == DRAWN
    drawn = Counter()
    for i in range(24):
        waveforms = [apply_in_training(*one, noise(i), f"x/{i}", SEED) for one in LEVELS]
        candidates = [frames.numpy().astype(np.float16).astype(np.float32) for frames, _ in made(waveforms)]
        (number,) = {n for n, frames in enumerate(candidates) if np.array_equal(frames, of(opened, f"x/{i}"))}
        drawn[LEVELS[number]] += 1
    assert {name for name, _ in drawn} == set(DRAWN)


def test_what_stands_there_without_conditions_stays_the_same(folder, stored):
    plain = stored(encoder(folder, speed_perturbation=[0.8]), name="plain")
    opened = stored(encoder(folder, speed_perturbation=[0.8], conditions=DRAWN))
    assert plain.conditions == [ORIGINAL, "speed=0.8"]
    for i in range(12):
        for condition in plain.conditions:
            assert np.array_equal(of(plain, f"x/{i}", condition), of(opened, f"x/{i}", condition))


def test_what_is_drawn_depends_on_the_name_alone(folder, stored):
    whole = stored(encoder(folder, conditions=DRAWN), name="whole")
    few = stored(encoder(folder, conditions=DRAWN[::-1]), [7, 3], name="few")
    for i in (3, 7):
        assert np.array_equal(of(whole, f"x/{i}"), of(few, f"x/{i}"))


def test_all_levels_are_drawn_equally_often():
    choices, counts = [("gain", str(i)) for i in range(10)], Counter()
    for i in range(5_000):
        own = [corpus.drawn(f"corpus/{i}", choices, draw) for draw in range(3)]
        assert len(set(own)) == 3
        counts.update(enumerate(own))
    for draw in range(3):
        of_it = [counts[draw, choice] for choice in choices]
        assert sum((count - 500) ** 2 / 500 for count in of_it) < 27.9  # chi-square of 9 degrees: p = 0.001


def test_several_draws_are_several_versions(folder, stored):
    one, three = (stored(encoder(folder, conditions=DRAWN, condition_draws=n), name=f"of {n}") for n in (1, 3))
    assert three.conditions == [ORIGINAL, AUGMENTED, f"{AUGMENTED}=2", f"{AUGMENTED}=3"]
    for i in range(12):
        own = [of(three, f"x/{i}", condition) for condition in three.conditions]
        assert np.array_equal(own[1], of(one, f"x/{i}"))
        assert not any(np.array_equal(own[a], own[b]) for a in range(4) for b in range(a))


def test_no_more_is_drawn_than_there_is():
    assert Encode(**SETTINGS | {"conditions": DRAWN, "condition_draws": len(LEVELS)}).versions == 1 + len(LEVELS)
    with pytest.raises(ValidationError, match=f"encode.condition_draws: {len(LEVELS) + 1}, but encode.conditions have"):
        Encode(**SETTINGS | {"conditions": DRAWN, "condition_draws": len(LEVELS) + 1})
    assert Encode(**SETTINGS | {"condition_draws": 99}).versions == 1


def test_a_store_that_was_interrupted_ends_in_the_same_bytes(folder, stored, monkeypatch):
    monkeypatch.setattr(store, "SHARD", 5)
    made = encoder(folder, conditions=DRAWN)
    whole = content(stored(made, name="whole"))
    times = iter(range(100))

    def fails(name, *rest):
        if next(times) == 8:
            raise UserError("killed")
        return apply_in_training(name, *rest)

    monkeypatch.setattr(corpus, "apply_in_training", fails)
    with pytest.raises(UserError, match="killed"):
        stored(made)
    assert next(times) == 9
    monkeypatch.setattr(corpus, "apply_in_training", apply_in_training)
    assert content(stored(made)) == whole
    assert len([name for name in whole if name.endswith("frames.npy")]) == 3


def test_processes_and_nodes_draw_the_same(folder, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SHARD", 5)
    made = encoder(folder, conditions=DRAWN)
    whole = content(stored(made))
    for shard, numbers in enumerate((range(5), range(5, 10), range(10, 12))):
        recordings = [(f"x/{i}", (tmp_path / f"{i}.wav").read_bytes()) for i in numbers]
        files = corpus._shard_on_node((made, Runtime(**RUNTIME), True), recordings)
        for name in ("frames.npy", "statistics.npy"):
            assert files[name] == whole[f"shards/{shard:05}/{name}"]


def test_what_a_condition_makes_longer_is_cut(folder, stored):
    opened = stored(encoder(folder, conditions=["leading_silence"]))  # of one or three seconds
    for i in range(12):
        samples = np.zeros(RATE, np.float32)
        assert np.array_equal(
            of(opened, f"x/{i}"), next(iter(encoder(folder)([samples])))[0].numpy().astype(np.float16)
        )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["white_noize"], "did you mean white_noise?"),
        (["gain", "gain"], "each condition once"),
        (["gain", "babble"], "babble: other speakers are mixed in"),
        (["second_talker"], "leave it out"),
        ("gain", "valid list"),
    ],
)
def test_conditions_that_cannot_be_are_refused(value, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        Encode(**SETTINGS | {"conditions": value})


def test_all_others_may_be_asked_for():
    alone = [name for name, condition in CONDITIONS.items() if not condition.needs_others]
    assert Encode(**SETTINGS | {"conditions": alone}).conditions == alone


def test_a_model_made_before_there_were_conditions_is_read():
    older = {name: value for name, value in SETTINGS.items() if "condition" not in name} | {"dim": 64}
    assert Encode.of(older) == Encode(**SETTINGS)
    assert Encode.of(SETTINGS | {"conditions": ["gain"], "dim": 64}).conditions == ["gain"]


def test_a_model_is_trained_under_conditions_and_answers(small_corpus, tmp_path, folder, capsys):
    place = tmp_path / "repository"
    shutil.copytree(small_corpus, place)
    train_small(place, folder, {"encode.conditions": DRAWN, "model.ensemble_size": 1, "train.epochs": 1})
    assert "training utterances, under 2 condition(s)" in capsys.readouterr().out
    recognizer = Recognizer.load(place / "models/audio")
    assert recognizer.encoder.settings.conditions == DRAWN
    assert recognizer([(noise(1), RATE)])["status"].tolist() == ["ok"]


def test_a_file_of_parameters_names_the_condition(small_corpus, tmp_path, monkeypatch):
    params = yaml.safe_load((small_corpus / "params.yaml").read_text())
    params["encode"]["conditions"] = ["white_nois"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"encode\.conditions\[0\]: 'white_nois': no condition; did you mean white_noise"
    ):
        encode.main()


def test_the_encodings_depend_on_what_conditions_do():
    tree = Tree()
    names = {path.as_posix() for path in tree.files(tree.root / "stages/encode.py")}
    assert {"emopipe/conditions/catalogue.py", "emopipe/conditions/noise.py"} <= names


def test_no_room_of_the_training_is_one_of_the_tests():
    click = np.zeros(1600, np.float32)
    click[0] = 1
    heard, tested = (
        {np.round(one("room", "0.1-0.5s", click, f"c/{i}", SEED), 4).tobytes() for i in range(60)}
        for one in (apply_in_training, apply)
    )
    assert len(heard) > 10 and len(tested) > 10 and not heard & tested
    other = CONDITIONS["gaussian_noise"]
    for level in other.levels:
        same = [one("gaussian_noise", level, noise(1), "c/1", SEED) for one in (apply_in_training, apply)]
        np.testing.assert_array_equal(*same)
