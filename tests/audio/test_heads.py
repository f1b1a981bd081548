"""The heads: their layers, and batch norm with one utterance."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from emopipe.audio.heads import BatchNorm, head
from emopipe.audio.parameters import Model
from emopipe.io.errors import UserError

LAYOUTS = {
    "linear": "Dropout Linear",
    "tanh": "Dropout Linear Tanh Dropout Linear",
    "norm_mlp": "Dropout Linear LayerNorm ReLU Dropout Linear LayerNorm ReLU Dropout Linear",
    "batchnorm_mlp": "Linear BatchNorm ReLU Dropout Linear BatchNorm ReLU Dropout Linear",
}
SIZES = {  # of 768 inputs, 512 units and 4 classes
    "linear": 768 * 4 + 4,
    "tanh": 768 * 512 + 512 + 512 * 4 + 4,
    "norm_mlp": 768 * 512 + 512 + 2 * 512 + 512 * 512 + 512 + 2 * 512 + 512 * 4 + 4,
    "batchnorm_mlp": 768 * 512 + 512 + 2 * 512 + 512 * 256 + 256 + 2 * 256 + 256 * 4 + 4,
}


def built(kind, inputs=768, outputs=4, hidden=512, head_layers=2, dropout=0.4):
    settings = Model.model_construct(head=kind, hidden=hidden, head_layers=head_layers, dropout=dropout)
    return head(settings, inputs, outputs)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_head_has_the_layers_it_is_named_for(kind):
    made = built(kind)
    assert [type(layer).__name__ for layer in made] == LAYOUTS[kind].split()
    assert sum(p.numel() for p in made.parameters()) == SIZES[kind]
    assert {layer.p for layer in made if isinstance(layer, nn.Dropout)} == {0.4}


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_head_maps_and_learns_from_batches_of_any_size(kind, size):
    torch.manual_seed(0)
    made, x = built(kind, inputs=6, outputs=3, hidden=8), torch.randn(size, 6)
    for mode in (True, False):
        out = made.train(mode)(x)
        assert out.shape == (size, 3)
        gradients = torch.autograd.grad(out.square().sum(), list(made.parameters()))
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_the_batchnorm_mlp_halves_its_width():
    assert [layer.out_features for layer in built("batchnorm_mlp") if isinstance(layer, nn.Linear)] == [512, 256, 4]
    with pytest.raises(UserError, match=r"model\.hidden: 1"):
        built("batchnorm_mlp", hidden=1)


def test_one_training_utterance_is_normalised_as_in_evaluation():
    torch.manual_seed(0)
    norm = BatchNorm(5)
    norm(3 + 2 * torch.randn(64, 5))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    one = torch.randn(1, 5)
    trained = norm(one)
    torch.testing.assert_close(trained, (one - norm.running_mean) / (norm.running_var + norm.eps).sqrt())
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    torch.testing.assert_close(norm.eval()(one), trained)


def test_two_or_more_are_normalised_by_pytorch():
    x, norm, reference = torch.randn(2, 5), BatchNorm(5), nn.BatchNorm1d(5)
    torch.testing.assert_close(norm(x), reference(x))
    assert all(torch.equal(norm.state_dict()[name], value) for name, value in reference.state_dict().items())
