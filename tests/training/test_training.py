"""A training that was stopped ends where it would have ended; parts of a batch and processes change nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts
from transformers import TrainingArguments

from emopipe import unfinished
from emopipe.io.errors import UserError
from emopipe.parameters import Runtime
from emopipe.training import checkpoints
from emopipe.training.data import PIECE, PIECES, WINDOW, ExampleDataset
from emopipe.training.devices import set_up
from emopipe.training.fitting import refit
from emopipe.training.networks import Network, ParameterGroup
from emopipe.training.optimiser import adamw, schedule
from emopipe.training.parameters import Restarts
from emopipe.training.trainer import ByLength
from helpers.paths import ROOT
from helpers.tiny_training import (
    PARAMS,
    KilledError,
    Tiny,
    collate,
    examples,
    recipe,
    run,
    same,
    settings,
    trained,
    training_data,
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_average": 0.0},
        {"weight_average": 0.75, "micro_batch": 3},
        {"patience": 1, "learning_rate": 0.3},
        {"precision": "bfloat16"},
    ],
)
def test_a_stopped_training_ends_in_the_same_bytes(tmp_path, changes):
    weights, history, best = trained(tmp_path / "whole", **changes)
    for epoch in (0, 1, 1, 3):
        with pytest.raises(KilledError):
            trained(tmp_path / "stopped", epoch, **changes)
        if len(history) <= epoch:
            break
    again = trained(tmp_path / "stopped", **changes)
    assert same(again[0], weights)
    assert again[1:] == (history, best)
    assert same(trained(tmp_path / "stopped", **changes)[0], weights)  # it had ended: nothing is trained


def test_a_checkpoint_that_was_being_written_does_not_count(tmp_path):
    weights, history, _ = trained(tmp_path / "whole")
    with pytest.raises(KilledError):
        trained(tmp_path / "stopped", 3)
    last = checkpoints.completed(tmp_path / "stopped")[-1]
    (last / checkpoints.HISTORY).unlink()
    (last / "optimizer.pt").write_bytes(b"half")
    again = trained(tmp_path / "stopped")
    assert same(again[0], weights)
    assert again[1] == history


def test_the_best_and_the_last_checkpoint_are_kept(tmp_path):
    _, history, best = trained(tmp_path)
    epochs = [len(checkpoints.history(path)) for path in checkpoints.completed(tmp_path)]
    assert epochs == sorted({best, len(history)})
    assert len(list(tmp_path.iterdir())) == len(epochs)


def test_checkpoints_are_of_one_choice_of_parameters_data_and_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text("a")
    runtime = Runtime.load(path=PARAMS)

    def folder(how: Runtime = runtime, **changes: object) -> Path:
        with (
            pytest.raises(KilledError),
            unfinished.unfinished_folder("finetune_text", [settings(**changes)], how, [Path("data.csv")]) as own,
        ):
            (own / "weights").touch()
            raise KilledError
        return own

    first = folder()
    assert folder() == first
    assert (first / "weights").exists()
    others = {folder(seed=1), folder(how=runtime.model_copy(update={"threads": 7}))}
    assert folder(how=runtime.model_copy(update={"workers": 7})) == first
    Path("data.csv").write_text("b")
    others.add(folder())
    monkeypatch.setattr(unfinished.Tree, "fingerprint", lambda _, stage: f"another {stage}")
    others.add(folder())
    assert len(others | {first}) == 5
    assert [path.name for path in Path(".checkpoints/finetune_text").iterdir()] == [
        folder().name
    ]  # the others are gone
    with unfinished.unfinished_folder("finetune_text", [settings()], runtime, [Path("data.csv")]):
        pass
    assert not Path(".checkpoints").exists()


def test_parts_of_a_batch_give_the_gradient_of_the_whole(monkeypatch):
    monkeypatch.setattr(Tiny, "dropout", 0.0)
    model = Tiny()
    batch = collate(examples(10, 3).examples)
    gradients = {}
    for size in (None, 1, 4, 10):
        model.micro_batch = size
        model.train().zero_grad()
        cross_entropy(model(x=batch["x"]), batch["labels"]).backward()
        gradients[size] = torch.cat([p.grad.flatten() for p in model.parameters()])
    for size in (1, 4, 10):
        torch.testing.assert_close(gradients[size], gradients[None], rtol=1e-5, atol=1e-7)


def test_refit_trains_for_as_long_and_with_the_rates_of_the_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(Tiny, "dropout", 0.0)  # looking at dev uses random numbers up

    def refitted(dataset: ExampleDataset, epochs: int, where: str) -> tuple[Network, int]:
        return refit(recipe(), training_data(dataset), epochs, run(tmp_path / where))

    weights, _, best = trained(tmp_path / "fit")
    assert best < settings().epochs
    model, last = refitted(examples(60, 1), best, "same")
    assert same(model.state_dict(), weights)  # nothing was added: the same
    assert last == best
    model, last = refitted(examples(60, 1), settings().epochs, "all")
    assert not same(model.state_dict(), weights)
    assert last == settings().epochs
    model, _ = refitted(examples(60, 1) + examples(30, 2), best, "more")
    assert not same(model.state_dict(), weights)
    assert not list(tmp_path.glob("[!f]*/checkpoint-*"))


def test_a_refit_that_had_ended_is_not_made_again(tmp_path, capsys):
    data = training_data(examples(60, 1))
    first, _ = refit(recipe(), data, 6, run(tmp_path))
    assert "name: 6 epochs on 60 examples" in capsys.readouterr().out
    again, last = refit(recipe(), data, 6, run(tmp_path))
    assert not capsys.readouterr().out
    assert same(again.state_dict(), first.state_dict())
    assert last == 6


def test_the_order_depends_on_seed_and_epoch_alone():
    lengths = examples(100, 5).lengths

    def order(seed: int, epoch: int) -> list[int]:
        sampler = ByLength(8, lengths, seed)
        sampler.set_epoch(epoch)
        torch.rand(int(torch.randint(1, 9, ())))
        return list(sampler)

    assert order(1, 2) == order(1, 2)
    assert sorted(order(1, 2)) == list(range(100))
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}) == 6
    spread = [max(batch) - min(batch) for batch in np.array_split([lengths[i] for i in order(0, 0)][:96], 12)]
    assert np.mean(spread) < 20  # of 49


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 3))
def test_an_epoch_may_draw_as_many_of_every_group_and_all_of_it_before_any_twice(groups, epoch):
    sampler = ByLength(4, list(range(len(groups))), 1, groups)
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == len(groups) and drawn == list(sampler)
    counts = Counter(groups[row] for row in drawn)
    shares = [counts[group] for group in set(groups)]
    assert max(shares) - min(shares) <= 1
    times = Counter(drawn)
    for group in set(groups):
        rows = [times[row] for row, own in enumerate(groups) if own == group]
        assert max(rows) - min(rows) <= 1


def test_what_is_drawn_of_large_groups_changes_from_epoch_to_epoch_and_batches_are_of_a_length():
    lengths = examples(400, 5).lengths
    groups = [0] * 380 + [1] * 20
    sampler, seen, spread = ByLength(8, lengths, 1, groups), set(), []
    for epoch in range(6):
        sampler.set_epoch(epoch)
        order = list(sampler)
        seen |= set(order)
        spread += [max(batch) - min(batch) for batch in np.array_split([lengths[row] for row in order], 50)]
    assert len(seen) > 380 and np.mean(spread) < 20


def test_a_large_corpus_is_read_from_a_bounded_part_of_the_disk_at_a_time_and_every_example_once():
    count = 2 * WINDOW + 1_000
    sampler, orders = ByLength(16, [1 + i % 97 for i in range(count)], 1), []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        orders.append(np.array(list(sampler)))
    assert not np.array_equal(*orders)
    for order in orders:
        assert sorted(order) == list(range(count))
        for start in range(0, count, WINDOW):
            pieces = np.unique(order[start : start + WINDOW] // PIECE)
            assert len(pieces) <= PIECES
            assert np.ptp(pieces) > PIECES or start + WINDOW > count  # from everywhere
        batches = order[:WINDOW].reshape(-1, 16)
        assert np.mean(np.ptp(batches, axis=1) > PIECE) == 1.0  # none is a neighbourhood


def test_a_large_corpus_may_be_drawn_by_groups():
    groups = [0] * (2 * WINDOW) + [1] * 5_000
    drawn = Counter(groups[row] for row in ByLength(16, [1] * len(groups), 1, groups))
    assert drawn[0] + drawn[1] == len(groups) and abs(drawn[0] - drawn[1]) <= 1


def test_restarts_are_those_of_pytorch_after_a_warm_up():
    given = settings(schedule="cosine_restarts", restarts=Restarts(first=2, growth=2, lowest=0.1), warmup=0.25)
    module = nn.Linear(1, 1)
    optimiser = adamw([ParameterGroup([module], 1.0)], given)
    ours = schedule(optimiser, given, 10)
    reference = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=given.learning_rate)
    theirs = CosineAnnealingWarmRestarts(reference, 20, 2, eta_min=0.1 * given.learning_rate)
    for step in range(60):
        rate = optimiser.param_groups[0]["lr"]
        if step < 15:
            assert rate == pytest.approx(given.learning_rate * step / 15)
        else:
            assert rate == pytest.approx(reference.param_groups[0]["lr"])
            reference.step()
            theirs.step()
        optimiser.step()
        ours.step()


@pytest.mark.parametrize(("kind", "last"), [("constant", 1.0), ("linear", 0.0), ("cosine", 0.0)])
def test_schedules_end_where_their_names_say(kind, last):
    given = settings(schedule=kind)
    optimiser = adamw([ParameterGroup([nn.Linear(1, 1)], 1.0)], given)
    rates = schedule(optimiser, given, 10)
    for _ in range(60):
        optimiser.step()
        rates.step()
    assert optimiser.param_groups[0]["lr"] == pytest.approx(last * given.learning_rate)


def shared(folder: Path, processes: int, printed: str = "epoch 1", **environment: str) -> dict[str, torch.Tensor]:
    """Train by so many processes, and return the weights, the history and how many weights the first one held."""
    folder.mkdir(exist_ok=True)
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    done = subprocess.run(
        [sys.executable, *launch, str(ROOT / "tests/helpers/shared_batches.py"), str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and printed in done.stderr, done.stderr
    return load_file(folder / "result.safetensors")


FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}  # as accelerate launch sets them


def test_two_processes_train_what_one_does(tmp_path):
    """Whether each has all weights (DDP), or half of them (FSDP)."""
    one = shared(tmp_path / "1", 1)
    two, sharded = shared(tmp_path / "2", 2), shared(tmp_path / "3", 2, **FSDP)
    assert [found.pop("count").tolist() for found in (one, two, sharded)] == [[1, 163], [2, 163], [2, 90]]
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(sharded[name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_what_two_processes_with_half_the_weights_began_is_gone_on_with(tmp_path):
    expected = shared(tmp_path, 2, **FSDP)
    newest = max((tmp_path / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    shutil.rmtree(newest)
    shutil.rmtree(tmp_path / "checkpoints/refitted")
    assert same(shared(tmp_path, 2, "goes on after epoch 2", **FSDP), expected)


def test_weights_that_accelerate_would_not_shard_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(UserError, match="several GPUs alone"):
        trained(tmp_path)


def test_with_several_gpus_in_sight_one_is_used_and_the_schedule_stays(tmp_path, monkeypatch):
    expected = trained(tmp_path / "one")
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda _: 2))
    weights, history, best = trained(tmp_path / "two")
    assert same(weights, expected[0]) and history == expected[1] and best == expected[2]


def test_that_one_gpu_of_several_is_used_is_said(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    set_up(
        Runtime(engine="local", address="auto", device="auto", processes=1, threads=1, workers=1, tensorboard=None),
        seed=0,
    )
    assert (
        capsys.readouterr().out
        == "4 GPUs, of which one is used; runtime.processes=4 trains and encodes on all of them\n"
    )
    set_up(
        Runtime(engine="local", address="auto", device="cpu", processes=1, threads=1, workers=1, tensorboard=None),
        seed=0,
    )
    assert capsys.readouterr().out == ""
