"""Which names stand for which backbone, and where weights come from."""

from __future__ import annotations

from dataclasses import dataclass

from emopipe.io.errors import UserError


@dataclass(frozen=True)
class Entry:
    """A published backbone."""

    family: str
    licence: str
    repository: str = ""  # on the Hugging Face hub; empty where it is not there
    modelscope: str = ""  # on ModelScope


def _huggingface(family: str, licence: str, repositories: dict[str, str]) -> dict[str, Entry]:
    return {key: Entry(family, licence, repository) for key, repository in repositories.items()}


EMBEDDED = "whisper_tiny_en"

ENTRIES = {
    **_huggingface("whisper", "MIT", {
        EMBEDDED: "openai/whisper-tiny.en",
        "whisper_tiny": "openai/whisper-tiny",
        "whisper_base_en": "openai/whisper-base.en",
        "whisper_base": "openai/whisper-base",
        "whisper_small_en": "openai/whisper-small.en",
        "whisper_small": "openai/whisper-small",
        "whisper_medium": "openai/whisper-medium",
    }),
    **_huggingface("whisper", "Apache-2.0", {"whisper_large_v3": "openai/whisper-large-v3"}),
    **_huggingface("wav2vec2", "Apache-2.0", {
        "wav2vec2_base": "facebook/wav2vec2-base",
        "wav2vec2_base_960h": "facebook/wav2vec2-base-960h",
        "wav2vec2_large_robust": "facebook/wav2vec2-large-robust-ft-swbd-300h",
    }),
    **_huggingface("wavlm", "CC BY-SA 3.0", {
        "wavlm_base": "microsoft/wavlm-base",
        "wavlm_base_plus": "microsoft/wavlm-base-plus",
        "wavlm_large": "microsoft/wavlm-large",
    }),
    **_huggingface("hubert", "Apache-2.0", {
        "hubert_base": "facebook/hubert-base-ls960",
        "hubert_large": "facebook/hubert-large-ll60k",
    }),
    **_huggingface("data2vec-audio", "Apache-2.0", {
        "data2vec_base": "facebook/data2vec-audio-base",
        "data2vec_large": "facebook/data2vec-audio-large",
    }),
    "emotion2vec_base": Entry("emotion2vec", "Apache-2.0", "emotion2vec/emotion2vec_base", "iic/emotion2vec_base"),
    "emotion2vec_base_finetuned": Entry("emotion2vec", "Apache-2.0", "", "iic/emotion2vec_base_finetuned"),
    **{
        f"emotion2vec_plus_{size}": Entry(
            "emotion2vec",
            "FunASR model licence",
            f"emotion2vec/emotion2vec_plus_{size}",
            f"iic/emotion2vec_plus_{size}",
        )
        for size in ("seed", "base", "large")
    },
}  # fmt: skip

# Other tools' names of the same weights. nkululeko's emotion2vec-base is the finetuned one.
ALIASES = {
    "emotion2vec": "emotion2vec_base",
    "emotion2vec-base": "emotion2vec_base_finetuned",
    "emotion2vec-seed": "emotion2vec_plus_seed",
    "emotion2vec-large": "emotion2vec_plus_large",
    **{hub: key for key, entry in ENTRIES.items() for hub in (entry.repository, entry.modelscope) if hub},
}


def find(name: str) -> tuple[str, Entry]:
    """Return the key that a name stands for, and its entry; of a hub id that is not listed, itself.

    >>> find("iic/emotion2vec_plus_base")[0]
    'emotion2vec_plus_base'
    >>> find("wavlm-base-plus")[1].repository
    'microsoft/wavlm-base-plus'

    Raises:
        UserError: if the name is none of these
    """
    for key in (name, ALIASES.get(name), name.replace("-", "_")):
        if key in ENTRIES:
            return key, ENTRIES[key]
    if "/" in name:
        return name, Entry("", "see the hub", repository=name)
    raise UserError(
        f"model.backbone: {name!r} is not known; choose one of {', '.join(ENTRIES)}, "
        "a hub id (organisation/name), or a local folder (./folder)"
    )
