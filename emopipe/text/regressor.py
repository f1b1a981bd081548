"""The VAD regressor: an encoder, pooling and one linear layer."""

from __future__ import annotations

from torch import Tensor, nn

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.text.parameters import Text
from emopipe.training.networks import Network, ParameterGroup

METRIC = "ccc"  # the dev score that selects the epoch, as in the audio branch


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over real tokens, the special ones included, [batch, dim].

    Args:
        states: [batch, tokens, dim]
        mask: 1 where a token is real, [batch, tokens]
    """
    weights = mask[..., None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


class Regressor(Network):
    """Valence, arousal and dominance of a text."""

    def __init__(self, encoder: nn.Module, settings: Text) -> None:
        """Build the model.

        Args:
            encoder: pretrained; all of it is trained
            settings: the ``text`` group
        """
        super().__init__()
        self.encoder = encoder
        self.settings = settings
        self.head = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(encoder.config.hidden_size, len(DIMENSIONS)))

    def embedding(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Return the input of the head, whose outputs are VAD in standard deviations from the training mean.

        Args:
            input_ids: [batch, tokens]
            attention_mask: 1 where a token is real, [batch, tokens]
            token_type_ids: of encoders that tell a first sentence from a second, [batch, tokens]

        Returns:
            [batch, dim]
        """
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **segments).last_hidden_state
        return states[:, 0] if self.settings.pooling == "first" else masked_mean(states, attention_mask)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the parts that share a learning rate: of L blocks the last one has the full rate, the head more.

        With δ = ``text.layer_decay``, block l of 1..L has δ^(L − l) of the rate, and what is no block, the
        embeddings above all, δ^L: what lies low is general and should change little (Sun et al., "How to fine-tune
        BERT for text classification?", CCL 2019). The head begins at random and has ``text.head_scale`` times the rate.

        Raises:
            UserError: if there is a decay and the encoder's blocks cannot be told
        """
        head, decay = ParameterGroup([self.head], self.settings.head_scale), self.settings.layer_decay
        if decay == 1:
            return [ParameterGroup([self.encoder], 1.0), head]
        blocks = blocks_of(self.encoder)
        within = {id(parameter) for block in blocks for parameter in block.parameters()}
        others = nn.ParameterList(p for p in self.encoder.parameters() if id(p) not in within)
        # the rate of the first group is the one that is logged
        groups = [ParameterGroup([block], decay**depth) for depth, block in enumerate(reversed(blocks))]
        return [*groups, ParameterGroup([others], decay ** len(blocks)), head]


def blocks_of(encoder: nn.Module) -> list[nn.Module]:
    """Return the transformer blocks of an encoder, the lowest first.

    They are the list of modules that is as long as the configuration says there are layers; of a list within
    another the outer one counts.

    Raises:
        UserError: if there is no such list, or several
    """
    layers = getattr(encoder.config, "num_hidden_layers", None)
    found: dict[str, nn.ModuleList] = {}
    for name, module in encoder.named_modules():
        inner = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(module, nn.ModuleList) and len(module) == layers and not inner:
            found[name] = module
    if len(found) != 1:
        raise UserError(
            f"text.layer_decay: which are the {layers} blocks of a {encoder.config.model_type} encoder is not clear "
            f"({', '.join(found) or 'no list of that length'}); set it to 1.0"
        )
    (blocks,) = found.values()
    return list(blocks)
