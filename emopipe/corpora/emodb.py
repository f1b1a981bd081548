"""EmoDB, the Berlin Database of Emotional Speech: ten actors, ten German sentences, seven emotions.

Layout: ``wav/*.wav``, wherever in the folder, 535 recordings at 16 kHz, each named speaker (2 digits), sentence (3
characters), emotion (1 letter), version (1 letter): ``03a01Fa.wav``. Release 2.0 is the same with tables
beside (``emodb_2.0.zip``: the folder that holds ``db.yaml``). Of them are read, where they are there:

* ``db.emotion.categories.ambiguous.csv``: 281 recordings that earlier releases withheld, as fewer than 80 % of the
  listeners recognised them. They are left out, and counted, so that EmoDB stays what the literature calls so; whoever
  wants them names the folder ``audformat:FOLDER``.
* ``db.emotion.categories.train.gold_standard.csv`` and ``...test...``: the official split, six speakers and four.

Labels: the letter is the initial of the German word. W (Wut) anger, L (Langeweile) boredom, E (Ekel) disgust, A (Angst)
fear, F (Freude) happiness, T (Trauer) sadness, N neutral.

Licence: CC0. Citation: see ``CORPUS``.

Traps: the emotion is that of the file's name, in every release. The sentences were chosen for being neutral, so they
are prompts and no transcripts. The published files are those that at least 80 % of the listeners recognised, so
emotions are uneven within and between speakers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.folders import Scheme, find_recordings, walk
from emopipe.corpora.sources import read_columns
from emopipe.downloads.release import Archive, File, Release, read_checksums
from emopipe.schemas import tables
from emopipe.schemas.manifest import Utterance
from emopipe.schemas.notices import notice

RECORDINGS = Scheme(
    "emodb",
    r"(\d\d)([ab]\d\d)([WLEAFTN])([a-z])",
    "like 03a01Fa.wav",
    home="wav",
    apart=("laryngo", "lablaut", "labsilb", "silb"),  # the larynx signal of the same sentences, and transcriptions
)
TABLES = Scheme(
    "emodb",
    r"db\.emotion\.categories\.(ambiguous|train|test)(?:\.gold_standard)?",
    "db.emotion.categories.ambiguous.csv",
    suffixes=(".csv",),
)
EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
FEMALE = {"08", "09", "13", "14", "16"}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


def read(folder: Path) -> pd.DataFrame:
    """Return one row per recording, in the order of the names."""
    rows = [_row(path, *match.groups()) for path, match in find_recordings(folder, RECORDINGS)]
    listed = _listed(folder)
    ambiguous = {name for name, table in listed.items() if table == "ambiguous"}
    kept = [row for row in rows if row["utterance"] not in ambiguous]
    notice("emodb", len(rows) - len(kept), "recordings", "left out: ambiguous ones of release 2.0", len(rows))
    kept = [row | {"split": listed.get(row["utterance"], "")} for row in kept]
    return tables.check(kept, Utterance, f"emodb in {folder}")


def _listed(folder: Path) -> dict[str, str]:
    """Return which table of release 2.0 each utterance stands in: train, test or ambiguous."""
    return {
        f"emodb/{Path(name).stem}": match[1]
        for path, match in TABLES.matches(walk(folder))
        for name in read_columns(path, ("file",))["file"]
    }


def _row(path: Path, speaker: str, sentence: str, emotion: str, version: str) -> dict[str, Any]:
    sentence, emotion, version = sentence.lower(), emotion.upper(), version.lower()
    return {
        "utterance": f"emodb/{speaker}{sentence}{emotion}{version}",
        "corpus": "emodb",
        "speaker": f"emodb/{speaker}",
        "sex": "female" if speaker in FEMALE else "male",
        "language": "de",
        "path": str(path),
        "emotion": EMOTIONS[emotion],
        "prompt": SENTENCES.get(sentence, ""),
    }


def release() -> Release:
    """Return the 535 recordings, which both EmoDB's own site (1.x) and Zenodo (2.0, among 281 others) have.

    No checksum of either archive is known: the recordings are verified.
    """
    return Release(
        checksums=read_checksums(Path(__file__).with_name("emodb.sha256")),
        size=47_626_698,
        sources=(
            Archive(File("download.zip", ("http://emodb.bilderbar.info/download/download.zip",), limit=100_000_000)),
            Archive(
                File(
                    "emodb_2.0.zip",
                    (
                        "https://zenodo.org/records/17651657/files/emodb_2.0.zip?download=1",
                        "https://zenodo.org/api/records/17651657/files/emodb_2.0.zip/content",
                    ),
                    limit=500_000_000,
                )
            ),
        ),
    )


CORPUS = Corpus(
    key="emodb",
    title="Berlin Database of Emotional Speech (EmoDB)",
    size="535 recordings of 10 speakers, German, acted",
    labels=tuple(EMOTIONS.values()),
    branch="audio",
    licence="CC0",
    citation=(
        "F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier, B. Weiss: A Database of German Emotional Speech. "
        "Interspeech 2005"
    ),
    source="https://zenodo.org/records/17651657 or http://emodb.bilderbar.info",
    layout="wav/03a01Fa.wav, ... (and the tables of release 2.0)",
    read=read,
    release=release,
)
