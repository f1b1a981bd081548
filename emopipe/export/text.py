"""The text regressor as an ONNX file, with its tokenizer beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from emopipe.export.agreement import of_ratings
from emopipe.export.material import NAMED, Material, corpora, pipeline_of
from emopipe.export.metadata import as_texts, origin
from emopipe.export.networks import Ratings
from emopipe.export.onnx_file import require_packages, write
from emopipe.export.outcome import Exported
from emopipe.export.precision import Precision
from emopipe.export.verification import Verified, alone, answered, times
from emopipe.io.errors import UserError
from emopipe.io.outputs import write_text
from emopipe.recognition.text import TextRecognizer, regressor
from emopipe.recognition.texts import texts
from emopipe.report import sentences
from emopipe.report.formatting import without_folders
from emopipe.schemas import splits
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.text.regressor import blocks_of
from emopipe.text.saving import Trained
from emopipe.training.saving import read_config

TOKENIZER = "tokenizer.json"
CPU = torch.device("cpu")
LIMITS = (
    "How it does on texts of other kinds and languages than those of the test set was not measured.",
    "It learned what raters believed to read, which is not what somebody feels. It is no ground for a decision about a "
    "person.",
)


class Text(nn.Module):
    """A text regressor: what :class:`emopipe.recognition.text.TextRecognizer` computes of texts."""

    exact = ()
    output = "vad"

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.model = deepcopy(trained.model)
        self.answer = Ratings(trained.targets)
        self.longest = trained.settings.max_tokens
        texts, tokens = Dim("texts"), Dim("tokens", max=self.longest)
        self.sizes = {name: {0: texts, 1: tokens} for name in ("input_ids", "attention_mask")}
        self.eval().requires_grad_(requires_grad=False)

    def example(self) -> dict[str, Tensor]:
        """Return texts of which one is shorter."""
        real = torch.tensor([[1] * 7, [1] * 6 + [0]])[:, -self.longest :]
        return {"input_ids": real.clone(), "attention_mask": real}  # of one tensor the exporter would make one input

    def lowest(self) -> list[nn.Module]:
        """Return the blocks that no other stands below; none where an encoder's blocks cannot be told."""
        with suppress(UserError):
            return [blocks_of(member.encoder)[0] for member in self.model.members]
        return []

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map tokens, [texts, tokens], to valence, arousal and dominance from 1 to 5, [texts, 3]."""
        return self.answer(self.model(input_ids=input_ids, attention_mask=attention_mask))


def export(folder: Path, precision: Precision, output: Path, named: str | None) -> Exported:
    """Write ``model.onnx``, ``export.json`` and ``tokenizer.json``; see :func:`emopipe.export.onnx_file.export`."""
    require_packages()
    trained = regressor(folder)
    recognizer = TextRecognizer(trained, None, CPU)
    found = transcripts(folder, named)
    tokenizer = _tokenizer(trained)
    exported = write(
        output,
        Text(trained),
        precision,
        describe(folder, precision, corpora(folder, splits.TEXT)),
        lambda file: verify(file, recognizer, found),
        precision == "float32",
    )
    write_text(tokenizer, output / TOKENIZER)
    return exported


def describe(folder: Path, precision: Precision, corpora: Sequence[str]) -> dict[str, str]:
    """Return what is to be known of a text regressor; see :func:`emopipe.export.metadata.of_speech`."""
    config = without_folders(read_config(folder, "finetune_text"))
    own = {
        "description": f"How high, from 1 to 5, are {', '.join(DIMENSIONS)} of a text? The model: "
        f"{sentences.text_model(config)}.",
        "task": "regression",
        "targets": list(DIMENSIONS),
        "max_tokens": config["text"]["max_tokens"],
        "limits": [*LIMITS, f"It reads the first {config['text']['max_tokens']} tokens of a text."],
    }
    shown = {name: config[name] for name in ("text", "encoder", "versions", "epochs", "rows")}
    return as_texts(own | origin(folder, config["encoder"], shown, precision, corpora))


def transcripts(model: Path, named: str | None) -> Material[str]:
    """Return texts for a text regressor; see :func:`emopipe.export.material.recordings`."""
    if named is not None:
        found = [line.text.strip() for line in texts([named]) if isinstance(line.text, str)]
        return Material(named, [text for text in found if text], None)
    path = pipeline_of(model) / splits.TEXT
    if not path.is_file():
        raise UserError(f"{model}: no {splits.TEXT} beside it to compare on; {NAMED} TEXTS")
    rows = splits.rated(splits.read_text(path))
    rows = rows[rows["split"] == "test"].reset_index(drop=True)
    return Material(f"the test set of {splits.TEXT}", rows["transcript"].tolist(), rows)


def verify(file: Path, recognizer: TextRecognizer, material: Material[str]) -> Verified:
    """Compare an exported text regressor with the regressor; see :func:`emopipe.export.verification.of_speech`.

    Texts that cannot be answered are left out.
    """
    answerable = recognizer(material.items)["status"].to_numpy() == "ok"
    items = [text for text, ok in zip(material.items, answerable, strict=True) if ok]
    if not items:
        raise UserError(f"{material.name}: no text that could be answered, to compare the file and the model on")
    truth = None if material.truth is None else material.truth[answerable]
    trained = recognizer.trained
    tokens = trained.tokenizer(items, truncation=True, max_length=trained.settings.max_tokens)["input_ids"]
    before = answered(lambda some: recognizer(some)[list(DIMENSIONS)].to_numpy(np.float64), items)
    after = alone(file, tokens)
    agreement = of_ratings(before.values, after.values, DIMENSIONS, truth)
    facts = {"compared_on": material.name, "texts": len(items)}
    return Verified(agreement, facts | {"seconds_per_text": times(before, after, len(items))})


def _tokenizer(trained: Trained) -> str:
    """Return the tokenizer as the library tokenizers reads it, cutting texts off where the regressor does."""
    backend = getattr(trained.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise UserError(f"{trained.origin.name}: its tokenizer is Python code, which no file can hold")
    own = deepcopy(backend)
    own.enable_truncation(trained.settings.max_tokens)
    own.no_padding()
    return own.to_str(pretty=True)
