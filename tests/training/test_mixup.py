"""Mixup: what is mixed with what, where clips differ in length, and whose random numbers it takes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from emopipe.training.mixup import Mixture, mixed


def batch(lengths=(4, 2, 3), dim=3, targets=None):
    size = len(lengths)
    valid = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return {
        "frames": torch.randn(size, max(lengths), dim) * valid[..., None],
        "valid": valid,
        "statistics": torch.randn(size, 2, 5, dim),
        "labels": torch.arange(size) if targets is None else targets,
    }


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_alpha_zero_changes_nothing_and_draws_nothing():
    given_batch, state = batch(), torch.get_rng_state()
    result, partner, share = mixed(given_batch, 0.0)
    assert same(result, given_batch) and partner.tolist() == [0, 1, 2] and share == 1
    assert torch.equal(torch.get_rng_state(), state)
    outputs = torch.randn(3, 3)
    assert mixed(given_batch, 0.0).mixed_loss(F.cross_entropy, outputs) == F.cross_entropy(
        outputs, given_batch["labels"]
    )


@given(st.sampled_from([1e-3, 0.2, 1.0, 50.0]), st.integers(0, 10_000), st.lists(st.integers(1, 6), min_size=1))
@settings(max_examples=50, deadline=None)
def test_a_mixture_follows_the_formula_row_by_row(alpha, seed, lengths):
    torch.manual_seed(seed)
    before = batch(lengths)
    copy = {name: value.clone() for name, value in before.items()}
    after, partner, share = mixed(before, alpha)
    assert same(before, copy)
    assert 0.5 <= share <= 1
    assert sorted(partner.tolist()) == list(range(len(lengths)))
    for i, j in enumerate(partner.tolist()):
        longest = max(lengths[i], lengths[j])
        assert after["valid"][i].tolist() == [t < longest for t in range(max(lengths))]
        for t in range(longest):
            mine, other = before["frames"][i, t], before["frames"][j, t]
            expected = share * mine + (1 - share) * other
            if t >= lengths[i] or t >= lengths[j]:
                expected = mine if t < lengths[i] else other
            torch.testing.assert_close(after["frames"][i, t], expected)
        expected = share * before["statistics"][i] + (1 - share) * before["statistics"][j]
        torch.testing.assert_close(after["statistics"][i], expected)
    torch.testing.assert_close(after["statistics"].mean(0), before["statistics"].mean(0), atol=1e-5, rtol=0)
    assert torch.equal(after["labels"], before["labels"])


def test_where_one_clip_has_ended_the_other_goes_on_alone(monkeypatch):
    monkeypatch.setattr(torch.distributions.Beta, "sample", lambda self: torch.tensor(0.25))  # folded to 0.75
    monkeypatch.setattr(torch, "randperm", lambda size: torch.tensor([1, 0]))
    frames = torch.tensor([[[4.0], [8.0], [12.0]], [[40.0], [torch.nan], [torch.nan]]])  # padding must not leak
    valid = torch.tensor([[True, True, True], [True, False, False]])
    after, _, share = mixed({"frames": frames, "valid": valid, "labels": torch.tensor([0, 1])}, 0.3)
    assert share == 0.75
    assert after["frames"][..., 0].tolist() == [[13.0, 8.0, 12.0], [31.0, 8.0, 12.0]]
    assert after["valid"].all()


@pytest.mark.parametrize("left_out", [("frames", "valid"), ("statistics",)])
def test_either_kind_of_input_may_be_missing(left_out):
    before = {name: value for name, value in batch().items() if name not in left_out}
    assert mixed(before, 0.4).batch.keys() == before.keys()


def test_frames_keep_the_type_of_the_store():
    before = {name: value.half() if value.is_floating_point() else value for name, value in batch().items()}
    after = mixed(before, 0.4).batch
    assert {name: value.dtype for name, value in after.items()} == {name: v.dtype for name, v in before.items()}


def test_the_loss_is_shared_between_both_labels():
    torch.manual_seed(0)
    outputs = torch.randn(3, 4)
    mixture = Mixture({"labels": torch.tensor([0, 3, 1])}, torch.tensor([2, 0, 1]), 0.7)
    # Cross-entropy is linear in its targets: the shared loss is that of mixed one-hot targets.
    targets = 0.7 * F.one_hot(torch.tensor([0, 3, 1]), 4) + 0.3 * F.one_hot(torch.tensor([1, 0, 3]), 4)
    torch.testing.assert_close(mixture.mixed_loss(F.cross_entropy, outputs), F.cross_entropy(outputs, targets))


def test_targets_of_a_regression_are_mixed_and_scored_once():
    torch.manual_seed(0)
    before = batch(targets=torch.rand(3, 2))
    mixture = mixed(before, 1.0)
    after, partner, share = mixture
    targets = share * before["labels"] + (1 - share) * before["labels"][partner]
    torch.testing.assert_close(after["labels"], targets)
    torch.testing.assert_close(mixture.mixed_loss(F.mse_loss, torch.zeros(3, 2)), targets.square().mean())


def test_pytorchs_seed_fixes_the_mixture_and_its_state_continues_it():
    given_batch = batch(lengths=range(1, 9))
    torch.manual_seed(3)
    mixed(given_batch, 0.4)
    state = torch.get_rng_state()
    expected = mixed(given_batch, 0.4)
    torch.set_rng_state(state)
    again = mixed(given_batch, 0.4)
    assert same(again.batch, expected.batch) and again.share == expected.share
    assert torch.equal(again.partner, expected.partner)
    assert mixed(given_batch, 0.4).share != expected.share


def test_a_mixture_is_made_where_its_batch_lies():
    on_device = {name: value.to("meta") for name, value in batch().items()}
    after, partner, _ = mixed(on_device, 0.4)
    assert {value.device.type for value in (*after.values(), partner)} == {"meta"}
