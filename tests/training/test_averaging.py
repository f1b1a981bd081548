"""Averaged weights are the mean over the last steps of a training, which they do not touch."""

from __future__ import annotations

import errno

import pytest
import torch

from emopipe.io.errors import UserError
from emopipe.training import averaging
from emopipe.training.data import predict
from emopipe.training.fitting import fit, refit
from emopipe.training.tracking import Tracker
from helpers.tiny_training import CPU, collate, examples, recipe, run, same, trained, training_data


class Recorder(Tracker):
    """Keeps what the network's weights are after every step."""

    def __init__(self) -> None:
        super().__init__("test")
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_step_end(self, args, state, control, model, **_):
        self.weights.append({name: value.clone() for name, value in model.state_dict().items()})


@pytest.mark.parametrize(("share", "first"), [(0.0, None), (0.25, 36), (0.5, 24), (0.9, 5)])
def test_the_weights_are_the_mean_over_the_last_steps(tmp_path, share, first):
    """Of 6 epochs of 8 steps."""
    recorder, dev = Recorder(), examples(30, 2)
    model, best = fit(recipe(weight_average=share), training_data(examples(60, 1)), dev, run(tmp_path, recorder))
    steps = recorder.weights[first : 8 * best] if first is not None and 8 * best > first else []
    steps = steps or [recorder.weights[8 * best - 1]]
    for name, value in model.state_dict().items():
        of_steps = torch.stack([weights[name] for weights in steps])
        expected = of_steps.mean(0) if value.is_floating_point() else of_steps[-1]
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    assert len(recorder.weights) == 48
    outputs = predict(model, dev, collate, 7, CPU)
    right = [y.item() for _, y in dev.examples] == outputs.argmax(1)
    assert recorder.history[best - 1]["dev/accuracy"] == pytest.approx(right.mean())  # judged by what is kept


def test_weights_that_are_averaged_learn_as_if_they_were_not(tmp_path):
    with_mean, without = Recorder(), Recorder()
    for recorder, share in ((with_mean, 0.5), (without, 0.0)):
        fit(
            recipe(weight_average=share),
            training_data(examples(60, 1)),
            examples(30, 2),
            run(tmp_path / f"{share}", recorder),
        )
    assert all(same(one, other) for one, other in zip(with_mean.weights, without.weights, strict=True))


def test_a_refit_is_averaged_too(tmp_path):
    data = training_data(examples(60, 1))
    means, last = (refit(recipe(weight_average=w), data, 6, run(tmp_path / f"{w}"))[0] for w in (0.5, 0.0))
    assert not same(means.state_dict(), last.state_dict())
    again, _ = refit(recipe(weight_average=0.5), data, 6, run(tmp_path / "0.5"))
    assert same(again.state_dict(), means.state_dict())


def test_averaged_weights_that_cannot_be_written_are_named(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(averaging, "save_file", full)
    with pytest.raises(UserError, match=rf"checkpoint-40/{averaging.FILE}.*space"):  # of the first epoch after step 36
        trained(tmp_path, weight_average=0.25)
