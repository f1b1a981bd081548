"""The configuration of a network in Hugging Face layout, and of the feature extractor before it."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, TypeVar

from huggingface_hub.errors import StrictDataclassError

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import SAMPLE_RATE

if TYPE_CHECKING:
    from transformers import PretrainedConfig, SequenceFeatureExtractor

Config = TypeVar("Config", bound="PretrainedConfig")
Extractor = TypeVar("Extractor", bound="SequenceFeatureExtractor")


def read(folder: Path, config: type[Config], extractor: type[Extractor]) -> tuple[Config, Extractor]:
    """Return config.json and preprocessor_config.json of a folder, read as the given classes.

    Raises:
        UserError: if one is missing or is not what it should be, or the network takes another sampling rate
    """
    try:
        network, sound = config.from_pretrained(folder), extractor.from_pretrained(folder)
    except (OSError, ValueError, TypeError, StrictDataclassError) as error:
        reason = shorten(str(error), 300)
        raise UserError(f"{folder}: config.json or preprocessor_config.json cannot be read: {reason}") from None
    if sound.sampling_rate != SAMPLE_RATE:
        raise UserError(
            f"{folder / 'preprocessor_config.json'}: sampling_rate {sound.sampling_rate}; "
            f"the recordings are at {SAMPLE_RATE}"
        )
    return network, sound
