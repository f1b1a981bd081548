"""A family of encoders: its published networks, the files that their folders hold, and how one is loaded.

Each family's constant stands beside its loader, so that a new family is a file and a line of the catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from emopipe.backbones.backbone import Backbone
from emopipe.io.errors import UserError
from emopipe.weights import hub
from emopipe.weights.files import Origin, packaged, weight_files

Load = Callable[[Path, Origin], Backbone]


@dataclass(frozen=True)
class Layout:
    """The files that a folder with a network holds."""

    files: tuple[str | tuple[str, ...], ...]  # beside the weights; of several names one is enough
    weights: Sequence[Sequence[str]]  # patterns of the weight files, in order of preference
    weight_files: Callable[[Path], list[Path]]  # those of a folder, in order
    model_type: Callable[[Path], str | None]  # of the network in a folder; None where the folder is laid out otherwise

    def __str__(self) -> str:
        names = " or ".join(patterns[0] for patterns in self.weights)
        files = (file if isinstance(file, str) else " or ".join(file) for file in self.files)
        return f"{', '.join(files)} and the weights ({names})"

    @property
    def names(self) -> list[str]:
        """Return the names of the files, all that one may have."""
        return [name for file in self.files for name in ([file] if isinstance(file, str) else file)]

    def is_whole(self, folder: Path) -> bool:
        """Return whether the files beside the weights are there."""
        return all(
            any((folder / name).is_file() for name in ([file] if isinstance(file, str) else file))
            for file in self.files
        )


@dataclass(frozen=True)
class Packaged:
    """Weights that an installed Python package carries, as a single file."""

    distribution: str
    file: str  # relative to the folder the package is installed in
    sha256: str
    load: Load  # of this file

    def path(self) -> Path | None:
        """Return where the file lies; None when the package is not installed.

        Raises:
            UserError: if the file is another one
        """
        return packaged(self.distribution, self.file, self.sha256)

    def revision(self) -> str:
        """Return name and version of the package."""
        return f"{self.distribution} {metadata.version(self.distribution)}"


@dataclass(frozen=True)
class Published:
    """A published network."""

    repository: str  # on the Hugging Face hub; empty where it is not there
    licence: str
    modelscope: str = ""  # repository on ModelScope
    aliases: tuple[str, ...] = ()  # other tools' names of the same weights
    packaged: Packaged | None = None


@dataclass(frozen=True)
class Family:
    """Encoders of one architecture."""

    model_type: str  # as configurations name it
    published: Mapping[str, Published]  # by what params.yaml calls it
    layout: Layout
    load: Load  # of a folder; what is heavy is imported there
    linear_layers: tuple[str, ...] = ()  # names of those in a block whose weights a low-rank change may be added to
    has_classifier: bool = False  # whether checkpoints may bring a classifier of emotions along


def _model_type(folder: Path) -> str | None:
    config = folder / "config.json"
    try:
        return str(json.loads(config.read_text(encoding="utf-8")).get("model_type"))
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError):
        raise UserError(f"{config}: not a configuration in JSON") from None


# Newer releases of transformers save the feature extractor of a processor within processor_config.json.
PROCESSOR = ("preprocessor_config.json", "processor_config.json")
HUGGING_FACE = Layout(("config.json", PROCESSOR), hub.WEIGHTS, weight_files, _model_type)
