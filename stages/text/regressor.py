"""The VAD regressor: an encoder, pooling and one linear layer."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import mse_loss

from stages.contracts.manifest import DIMENSIONS
from stages.contracts.parameters import Text
from stages.training.network import Network
from stages.training.targets import Targets


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

    def __init__(self, encoder: nn.Module, settings: Text, targets: Targets) -> None:
        """Build the model.

        Args:
            encoder: pretrained; all of it is trained
            settings: the ``text`` group
            targets: statistics of the training targets
        """
        super().__init__()
        self.encoder = encoder
        self.pooling = settings.pooling
        self.head = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(encoder.config.hidden_size, len(DIMENSIONS)))
        self.targets = targets

    def embed(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Return one vector per text, of which the head makes VAD in standard deviations from the training mean.

        Args:
            input_ids: [batch, tokens]
            attention_mask: 1 where a token is real, [batch, tokens]
            token_type_ids: of encoders that tell a first sentence from a second, [batch, tokens]

        Returns:
            [batch, dim]
        """
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **segments).last_hidden_state
        return states[:, 0] if self.pooling == "first" else masked_mean(states, attention_mask)

    def loss(self, outputs: Tensor, vad: Tensor) -> Tensor:
        """Return the mean squared error of standardised VAD, each dimension counting alike.

        Args:
            outputs: standardised, [batch, 3]
            vad: on the 1..5 scale, [batch, 3]
        """
        return mse_loss(outputs, self.targets.standardise(vad))
