"""EmoDB, the Berlin Database of Emotional Speech: ten actors, ten German sentences, seven emotions.

Layout: ``wav/*.wav`` (or the files directly in the folder), 535 recordings at 16 kHz, each named speaker (2 digits),
sentence (3 characters), emotion (1 letter), version (1 letter): ``03a01Fa.wav``.

Labels: the letter is the initial of the German word. W (Wut) anger, L (Langeweile) boredom, E (Ekel) disgust, A (Angst)
fear, F (Freude) happiness, T (Trauer) sadness, N neutral.

Licence: CC0. Citation: see ``CORPUS``.

Traps: the sentences were chosen for being neutral, so they are prompts and no transcripts. The published files
are those that at least 80 % of the listeners recognised, so emotions are uneven within and between speakers.
Version 2.0 adds 281 that fewer recognised, without a sign in their names: in a folder of that version all 816 are read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stages.corpora import emodb_release
from stages.corpora.corpus import Corpus
from stages.corpora.sources import match_names

NAME = re.compile(r"(\d\d)([ab]\d\d)([WLEAFTN])([a-z])")
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


def read(folder: Path) -> list[dict[str, Any]]:
    """Return one row per recording, in the order of the names."""
    inner = folder / "wav"
    files = (inner if inner.is_dir() else folder).glob("*.wav")
    return [_row(path, *match.groups()) for path, match in match_names(files, NAME, "like 03a01Fa.wav")]


def _row(path: Path, speaker: str, sentence: str, emotion: str, _version: str) -> dict[str, Any]:
    return {
        "utterance": f"emodb/{path.stem}",
        "corpus": "emodb",
        "speaker": f"emodb/{speaker}",
        "sex": "female" if speaker in FEMALE else "male",
        "language": "de",
        "path": path,
        "emotion": EMOTIONS[emotion],
        "prompt": SENTENCES.get(sentence, ""),
    }


CORPUS = Corpus(
    key="emodb",
    title="Berlin Database of Emotional Speech (EmoDB)",
    licence="CC0",
    citation=(
        "F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier, B. Weiss: A Database of German Emotional Speech. "
        "Interspeech 2005"
    ),
    source="https://zenodo.org/records/17651657 or http://emodb.bilderbar.info",
    layout="wav/03a01Fa.wav, ...",
    read=read,
    downloads=emodb_release.RELEASE,
)
