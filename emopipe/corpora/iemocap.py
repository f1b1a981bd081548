"""IEMOCAP: ten actors talk in pairs, from scripts and freely; transcripts, emotions and VAD, about 12 hours.

Layout, wherever in the folder, for each of five sessions:

* ``Session1/dialog/EmoEvaluation/Ses01F_impro01.txt``: the labels, in lines such as
  ``[6.2901 - 8.2357]<tab>Ses01F_impro01_F000<tab>neu<tab>[2.5000, 2.5000, 2.5000]`` (valence, arousal, dominance)
* ``Session1/dialog/transcriptions/Ses01F_impro01.txt``: ``Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.``
* ``Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav``: the audio, 16 kHz

Labels: ang anger, hap happiness, exc excitement, sad sadness, neu neutral, fru frustration, fea fear, sur surprise, dis
disgust, oth other; xxx, on which the annotators did not agree, is no emotion. VAD are means of ratings on the 1..5
scale. The usual four classes count excitement as happiness, ``merge: {excitement: happiness}``: 5,531 utterances.

Licence: of the University of Southern California, to be signed. Citation: see ``CORPUS``.

Traps:

* The letter of a dialogue (``Ses01F``) says who wore the motion capture markers. The speaker of a turn is the letter of
  its last field: ``Ses01F_impro01_M002`` is the man.
* The transcripts hold turns that nobody labelled, such as those with MX or FX ids; they are no utterances here.
* A few ratings lie off the scale of 1 to 5 (5.5, for example): such a value is left out, with a notice.
* Scripted dialogues are the same play in every session: a text of the test session is in the others too. The split
  stage keeps it in the test set alone.
* Non-speech is in the transcripts in square brackets, as ``[LAUGHTER]``. It is kept.
* Beside the label files lie invisible ones of the same name after ``._``; no reader looks at those.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.folders import Scheme, by_stem, find, walk
from emopipe.corpora.sources import match_lines
from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.labels import WORDS
from emopipe.schemas.manifest import DIMENSIONS, Utterance
from emopipe.schemas.notices import notice

CODES = ("ang", "hap", "exc", "sad", "neu", "fru", "fea", "sur", "dis", "oth", "xxx")
SESSIONS = 5
USUAL = ("anger", "happiness", "excitement", "sadness", "neutral")  # the four classes, before the merge
USUAL_UTTERANCES = 5_531

LABELS = Scheme(
    "iemocap",
    rf"Session([1-{SESSIONS}])/dialog/EmoEvaluation/(Ses0[1-{SESSIONS}][FM]_\w+)",
    "like Session1/dialog/EmoEvaluation/Ses01F_impro01.txt",
    part=r"Session\d",
    suffixes=(".txt",),
)
TRANSCRIPTIONS = Scheme(
    "iemocap", r"dialog/transcriptions/(Ses\w+)", "like dialog/transcriptions/Ses01F_impro01.txt", suffixes=(".txt",)
)
NUMBER = r"\d+(?:\.\d+)?"
LABEL = re.compile(
    rf"\[{NUMBER} - {NUMBER}\]\s+((Ses0[1-5])[FM]_\w+_([FM])\d+)\s+({'|'.join(CODES)})"
    rf"\s+\[({NUMBER}), ({NUMBER}), ({NUMBER})\]"
)
TRANSCRIPT = re.compile(r"(Ses\w+)\s+\[[^\]]*\]:\s*(.*)")


def read(folder: Path) -> pd.DataFrame:
    """Return one row per labelled turn: session by session, dialogue by dialogue, in the order of the label file."""
    files = [file for file, _ in find(folder, LABELS)]
    form = f"[start - end] turn label [V, A, D] with a label of {' '.join(CODES)}"
    labels = match_lines(files, LABEL, form, beginning="[")
    sessions = sorted({file.parents[2] for file in files})
    _require_labels(folder, sessions)
    others = [file for session in sessions for file in walk(session)]
    transcripts, recordings = _transcripts(others), _recordings(others)
    rows = [_row(file, match, transcripts, recordings) for file, match in labels]
    _drop_ratings_off_scale(rows)
    _report_gaps(rows, len(sessions))
    return tables.check(rows, Utterance, f"iemocap in {folder}")


def _require_labels(folder: Path, sessions: list[Path]) -> None:
    """Check that every session in the folder, beside those with labels, has some.

    Raises:
        UserError: naming one that has none
    """
    part = re.compile(LABELS.part, re.IGNORECASE)
    roots = {session.parent for session in sessions if session != folder}
    beside = (one for root in roots for one in root.iterdir() if one.is_dir() and part.fullmatch(one.name))
    for session in sorted(set(beside) - set(sessions)):
        raise UserError(f"{session / 'dialog/EmoEvaluation'}: no label files, {LABELS.form}; take that folder away")


def _transcripts(files: list[Path]) -> dict[str, str]:
    """Return the words of each turn, labelled or not."""
    found = [file for file, _ in TRANSCRIPTIONS.matches(files)]
    lines = match_lines(found, TRANSCRIPT, "turn [start-end]: words")
    return dict(match.groups() for _, match in lines)


def _recordings(files: list[Path]) -> dict[str, Path]:
    """Return the recording of each turn, by its name in small letters; those of whole dialogues lie elsewhere."""
    return by_stem(file for file in files if file.parents[2].name.lower() == "sentences")


def _row(file: Path, match: re.Match[str], transcripts: dict[str, str], recordings: dict[str, Path]) -> dict[str, Any]:
    turn, session, letter, code, *ratings = match.groups()
    published = file.parents[2] / "sentences" / "wav" / file.stem / f"{turn}.wav"
    return {
        "utterance": f"iemocap/{turn}",
        "corpus": "iemocap",
        "speaker": f"iemocap/{session}{letter}",
        "sex": "female" if letter == "F" else "male",
        "session": session,
        "language": "en",
        "path": str(recordings.get(turn.lower(), published)),
        "emotion": WORDS[code],
        **dict(zip(DIMENSIONS, map(float, ratings), strict=True)),
        "transcript": transcripts.get(turn, ""),
    }


def _drop_ratings_off_scale(rows: list[dict[str, Any]]) -> None:
    """Make ratings off the scale unknown, with a notice."""
    off = [(row, name) for row in rows for name in DIMENSIONS if not 1 <= row[name] <= 5]
    first = next((f"{name} {row[name]} of {row['utterance']}" for row, name in off), "")
    notice("iemocap", len(off), "ratings", "left out: off the scale of 1 to 5", first=first)
    for row, name in off:
        row[name] = None


def _report_gaps(rows: list[dict[str, Any]], sessions: int) -> None:
    """Print what is not as published: turns without a transcript, another number of utterances."""
    silent = [row["utterance"] for row in rows if not row["transcript"]]
    notice("iemocap", len(silent), "turns", "without a transcript", len(rows), next(iter(silent), ""))
    usual = sum(row["emotion"] in USUAL for row in rows)
    if sessions == SESSIONS and usual != USUAL_UTTERANCES:
        print(f"iemocap: {usual} utterances of {', '.join(USUAL)}; the published corpus has {USUAL_UTTERANCES}")


CORPUS = Corpus(
    key="iemocap",
    title="Interactive Emotional Dyadic Motion Capture database (IEMOCAP)",
    size="10,039 turns of 10 speakers in 5 sessions, English, acted; audio and transcripts",
    labels=(*filter(None, (WORDS[code] for code in CODES)), *DIMENSIONS),
    branch="both",
    licence="research licence of the University of Southern California, to be signed",
    citation=(
        "C. Busso, M. Bulut, C.-C. Lee, A. Kazemzadeh, E. Mower, S. Kim, J. N. Chang, S. Lee, S. S. Narayanan: "
        "IEMOCAP: Interactive emotional dyadic motion capture database. Language Resources and Evaluation 42, 2008"
    ),
    source="https://sail.usc.edu/iemocap (request form)",
    layout="Session1/dialog/EmoEvaluation/*.txt, Session1/dialog/transcriptions/*.txt, Session1/sentences/wav, ...",
    read=read,
)
