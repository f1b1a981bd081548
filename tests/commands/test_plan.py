"""What a corpus costs: sizes are those that the pipeline writes, and costs grow with the hours."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import soundfile

from emopipe import costs
from emopipe.audio.parameters import Model, Train
from emopipe.commands import plan as command
from emopipe.encoding import store
from emopipe.encoding.parameters import Encode
from emopipe.io.errors import UserError
from emopipe.parameters import Runtime
from helpers.noises import model_settings, train_settings
from helpers.small_corpus import write_params

SMALL = {
    "encode.max_seconds": 1.0, "model.hidden": 16, "model.ensemble_size": 2, "train.epochs": 1, "train.batch_size": 8,
    "runtime.threads": 1,
}  # fmt: skip


@pytest.fixture
def plan(tmp_path, monkeypatch, folders, capsys):
    """Return a function that runs the command with other parameters and returns what it printed."""

    def run(*arguments: str, **changes: object) -> str:
        values = {"model.backbone": str(folders("whisper")), "model.features": "frozen"}
        write_params(tmp_path, SMALL | values | {key.replace("__", "."): value for key, value in changes.items()})
        monkeypatch.chdir(tmp_path)
        parser = argparse.ArgumentParser()
        command.configure(parser)
        command.run(parser.parse_args(arguments))
        return capsys.readouterr().out

    return run


@pytest.fixture
def measure(tmp_path, folders):
    """Return a function that measures by other parameters, and returns what it found and the groups."""

    def run(family: str, features: str, **changes: object) -> tuple[costs.Measured, Model, Train]:
        values = {"model.backbone": str(folders(family)), "model.features": features}
        write_params(tmp_path, SMALL | values | changes)
        path, folder = tmp_path / "params.yaml", tmp_path / "place"
        folder.mkdir()
        groups = [group.load(path=path) for group in (Model, Encode, Train, Runtime)]
        return costs.measure(0.5, *groups, [], folder), groups[0], groups[2]

    return run


def corpus(utterances: int, conditions: int = 1, runs: int = 1) -> costs.Corpus:
    return costs.Corpus(utterances, 0.5, conditions, runs, 0.6, 0.2)


def bytes_of(folder, name: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"encoded/shards/*/{name}"))


def row(printed: str, name: str) -> list[str]:
    (line,) = [line for line in printed.splitlines() if line.startswith(f"  {name} ")]
    return line.removeprefix(f"  {name} ").split()


def test_the_formulas_are_the_bytes_of_a_store(tmp_path):
    rng, dim, layers = np.random.default_rng(0), 64, 5
    lengths = rng.integers(20, 60, 40)
    encodings = [
        store.StoredEncoding(f"c/{i}", condition, rng.standard_normal((length, dim)), np.ones((2, layers, dim)))
        for i, length in enumerate(lengths)
        for condition in (store.ORIGINAL, "speed=0.9")
    ]
    store.write(tmp_path / "encoded", encodings, dim, layers, {})
    assert costs.statistics_bytes(80, layers, dim) == pytest.approx(bytes_of(tmp_path, store.STATISTICS), rel=0.01)
    assert costs.frames_bytes(2 * lengths.sum(), dim) == pytest.approx(bytes_of(tmp_path, store.FRAMES), rel=0.01)


@pytest.mark.parametrize(
    ("family", "features"), [("whisper", "tuned_layers"), ("wavlm", "finetuned"), ("emotion2vec", "both")]
)
def test_the_sizes_are_those_that_the_pipeline_writes(measure, family, features, tmp_path):
    measured, _, _ = measure(family, features, **{"encode.speed_perturbation": [0.5]})
    place, sizes = tmp_path / "place", costs.disk(corpus(costs.CLIPS, conditions=2), measured)
    headers = 128  # of each file, which counts here alone
    assert sizes["data/encoded, statistics"] + headers == bytes_of(place, store.STATISTICS)
    assert sizes["data/encoded, frames"] + headers == pytest.approx(bytes_of(place, store.FRAMES))
    stored = store.Store(place / "encoded")
    assert stored.conditions == [store.ORIGINAL, "speed=0.5"]
    assert (measured.layers, measured.dim) == (stored.layers, stored.dim)
    assert 0 < sizes["models/audio"] < sizes[".checkpoints, during a training"]


def test_a_frozen_model_has_no_frames_and_trains_no_blocks(measure, tmp_path):
    measured, settings, train = measure("whisper", "frozen")
    assert measured.blocks is None
    assert costs.disk(corpus(100), measured)["data/encoded, frames"] == 0 == bytes_of(tmp_path / "place", store.FRAMES)
    assert costs.processor_seconds(corpus(100), measured, settings, train)["train"] > measured.heavy


def test_a_member_with_blocks_of_its_own_is_measured_with_them(measure):
    measured, settings, train = measure("whisper", "both")
    assert measured.heads is None
    assert costs.disk(corpus(100), measured)["data/encoded, frames"] > 0
    assert costs.training_seconds(corpus(100), measured, settings, train) > 0


def made_up(heads: bool = True, blocks: bool = True) -> costs.Measured:
    head, block = costs.Epoch(0, 1, 0), costs.Epoch(0, 100, 0)
    return costs.Measured(
        light=1, heavy=2, resample=0.1, source=32_000, flac=14_000, encode=0.3, frames=200, layers=5, dim=384,
        backbone=10**7, heads=head if heads else None, blocks=block if blocks else None,
        model=10**6, checkpoints=10**7,
    )  # fmt: skip


def test_what_grows_with_the_hours_grows_in_proportion():
    measured, settings, train = made_up(), model_settings(features="tuned_layers"), train_settings()
    small, large = corpus(10_000), corpus(100_000)
    once = {"resample": 1, "encode": 2, "train": 2, "predict": 2}
    few, many = (costs.processor_seconds(one, measured, settings, train) for one in (small, large))
    assert {name: many[name] - start for name, start in once.items()} == pytest.approx(
        {name: 10 * (few[name] - start) for name, start in once.items()}
    )
    few, many = costs.disk(small, measured), costs.disk(large, measured)
    for name in ("data/audio, FLAC", "data/encoded, statistics", "data/encoded, frames"):
        assert many[name] == pytest.approx(10 * few[name])
    assert many["models/audio"] == few["models/audio"]
    assert costs.transfer(large, measured, 1)["encodings, back"] == pytest.approx(
        many["data/encoded, statistics"] + many["data/encoded, frames"]
    )


@pytest.mark.parametrize(
    ("features", "refit", "passes"),
    [
        ("frozen", "none", 4 * 10 * 60),
        ("frozen", "best_epoch", 4 * 10 * (60 + 80)),
        ("frozen", "all_epochs", 10 * (60 + 4 * 80)),
        ("tuned_layers", "none", 4 * 10 * 60 + 100 * 3 * 60),
        ("tuned_layers", "all_epochs", 4 * 10 * (60 + 80) + 100 * 3 * (60 + 80)),
        ("finetuned", "all_epochs", 100 * 10 * (60 + 4 * 80)),
    ],
)
def test_every_training_that_a_fit_makes_is_counted(features, refit, passes):
    measured = made_up(heads=features != "finetuned", blocks=features != "frozen")
    settings, train = model_settings(features=features, ensemble_size=4), train_settings(epochs=10, refit=refit)
    assert costs.training_seconds(corpus(100), measured, settings, train) == pytest.approx(passes)
    assert costs.training_seconds(corpus(100, conditions=3), measured, settings, train) == pytest.approx(3 * passes)


def test_the_command_prints_sizes_times_and_transfer(plan):
    printed = plan("1", "--clip-seconds", "0.5", "--folds", "5", "--seeds", "2", "--machines", "4", "--cores", "3")
    assert "7,200 utterances of 0.5 s, under 1 condition(s), 10 training(s)" in printed
    assert row(printed, "data/audio, FLAC") == ["48.2", "MB"]
    assert row(printed, "data/encoded, frames") == ["0", "bytes"]
    assert row(printed, "FLAC, to be encoded") == ["48.2", "MB"]
    assert "4 x 3 cores" in printed
    assert all(row(printed, name) for name in ("resample", "encode", "train", "predict", "all"))


def test_the_conditions_are_those_of_the_parameters_unless_they_are_given(plan):
    speeds = {"encode__speed_perturbation": [0.9, 1.1]}
    assert "under 3 condition(s)" in plan("1", "--clip-seconds", "0.5", **speeds)
    assert "under 2 condition(s)" in plan("1", "--clip-seconds", "0.5", "--conditions", "2", **speeds)


def test_flac_is_measured_on_recordings(plan, tmp_path):
    rate, files = 48_000, [tmp_path / f"{i}.wav" for i in range(2)]
    for file in files:
        soundfile.write(file, np.sin(np.arange(2 * rate) / 20) * 0.5, rate)
    printed = plan("1", "--clip-seconds", "0.5", "--recordings", *map(str, files))
    assert row(printed, "recordings, to be resampled") == ["346", "MB"]
    size, unit = row(printed, "data/audio, FLAC")
    assert unit == "MB" and float(size) < 48  # a tone is smaller than speech


def test_a_recording_that_cannot_be_used_is_named(plan, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(UserError, match=r"bad\.wav: .*name recordings that can be used"):
        plan("1", "--clip-seconds", "0.5", "--recordings", str(tmp_path / "bad.wav"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-1"], "HOURS -1: a number above 0"),
        (["0"], "HOURS 0: a number above 0"),
        (["nan"], "HOURS nan: a number above 0"),
        (["1", "--clip-seconds", "0"], "--clip-seconds 0: at least 0.1"),
        (["1", "--conditions", "0"], "--conditions 0: at least 1"),
        (["1", "--machines", "0"], "--machines 0: at least 1"),
        (["1", "--cores", "-2"], "--cores -2: at least 1"),
        (["1", "--folds", "0"], "--folds 0: at least 1"),
        (["1", "--seeds", "0"], "--seeds 0: at least 1"),
    ],
)
def test_a_number_that_makes_no_sense_is_named(plan, arguments, message):
    with pytest.raises(UserError) as error:
        plan(*arguments)
    assert str(error.value) == message


def test_sizes_and_times_are_in_units_that_can_be_read():
    assert [command._size(count) for count in (0, 999, 67_027_000, 2.5e12)] == [
        "0 bytes",
        "999 bytes",
        "67 MB",
        "2.5 TB",
    ]
    assert [command._duration(seconds) for seconds in (12.34, 246, 36_000)] == ["12.3 s", "4.1 min", "10.0 h"]
