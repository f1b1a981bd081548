"""IEMOCAP: ten actors talk in pairs, from scripts and freely; transcripts, emotions and VAD, about 12 hours.

Layout, as released (or the same below ``IEMOCAP_full_release``), for each of five sessions:

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
* Beside the label files lie invisible ones of the same name after ``._``; they are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.sources import inner, match_lines, match_names
from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.manifest import DIMENSIONS, Utterance

EMOTIONS = {
    "ang": "anger",
    "hap": "happiness",
    "exc": "excitement",
    "sad": "sadness",
    "neu": "neutral",
    "fru": "frustration",
    "fea": "fear",
    "sur": "surprise",
    "dis": "disgust",
    "oth": "other",
    "xxx": "",
}
SESSIONS = 5
USUAL = ("anger", "happiness", "excitement", "sadness", "neutral")  # the four classes, before the merge
USUAL_UTTERANCES = 5_531

DIALOGUE = re.compile(r"Ses0[1-5][FM]_\w+")
NUMBER = r"\d+(?:\.\d+)?"
LABEL = re.compile(
    rf"\[{NUMBER} - {NUMBER}\]\s+((Ses0[1-5])[FM]_\w+_([FM])\d+)\s+({'|'.join(EMOTIONS)})"
    rf"\s+\[({NUMBER}), ({NUMBER}), ({NUMBER})\]"
)
TRANSCRIPT = re.compile(r"(Ses\w+)\s+\[[^\]]*\]:\s*(.*)")


def read(folder: Path) -> pd.DataFrame:
    """Return one row per labelled turn: session by session, dialogue by dialogue, in the order of the label file."""
    sessions = sorted(inner(folder, "IEMOCAP_full_release").glob(f"Session[1-{SESSIONS}]"))
    labels = [label for session in sessions for label in _labels(session)]
    transcripts = _transcripts(sessions)
    rows = [_row(file, match, transcripts) for file, match in labels]
    _drop_ratings_off_scale(rows)
    _report_gaps(rows, len(sessions))
    return tables.check(rows, Utterance, f"iemocap in {folder}")


def _labels(session: Path) -> list[tuple[Path, re.Match[str]]]:
    folder = session / "dialog" / "EmoEvaluation"
    names = match_names(folder.glob("*.txt"), DIALOGUE, "like Ses01F_impro01.txt")
    if not names:
        raise UserError(f"{folder}: no label files; a session holds dialog/EmoEvaluation/Ses01F_impro01.txt, ...")
    form = f"[start - end] turn label [V, A, D] with a label of {' '.join(EMOTIONS)}"
    return match_lines([file for file, _ in names], LABEL, form, beginning="[")


def _transcripts(sessions: list[Path]) -> dict[str, str]:
    """Return the words of each turn, labelled or not."""
    files = [file for session in sessions for file in sorted((session / "dialog" / "transcriptions").glob("Ses*.txt"))]
    return dict(match.groups() for _, match in match_lines(files, TRANSCRIPT, "turn [start-end]: words"))


def _row(file: Path, match: re.Match[str], transcripts: dict[str, str]) -> dict[str, Any]:
    turn, session, letter, code, *ratings = match.groups()
    return {
        "utterance": f"iemocap/{turn}",
        "corpus": "iemocap",
        "speaker": f"iemocap/{session}{letter}",
        "sex": "female" if letter == "F" else "male",
        "session": session,
        "language": "en",
        "path": str(file.parents[2] / "sentences" / "wav" / file.stem / f"{turn}.wav"),
        "emotion": EMOTIONS[code],
        **dict(zip(DIMENSIONS, map(float, ratings), strict=True)),
        "transcript": transcripts.get(turn, ""),
    }


def _drop_ratings_off_scale(rows: list[dict[str, Any]]) -> None:
    """Make ratings off the scale unknown, with a notice."""
    off = [(row, name) for row in rows for name in DIMENSIONS if not 1 <= row[name] <= 5]
    if off:
        row, name = off[0]
        print(
            f"iemocap: left out {len(off)} rating(s) off the scale of 1 to 5, the first {name} {row[name]} of "
            f"{row['utterance']}"
        )
    for row, name in off:
        row[name] = None


def _report_gaps(rows: list[dict[str, Any]], sessions: int) -> None:
    """Print what is not as published: turns without a transcript, another number of utterances."""
    silent = [row["utterance"] for row in rows if not row["transcript"]]
    if silent:
        print(f"iemocap: {len(silent)} of {len(rows)} labelled turns have no transcript, the first {silent[0]}")
    usual = sum(row["emotion"] in USUAL for row in rows)
    if sessions == SESSIONS and usual != USUAL_UTTERANCES:
        print(f"iemocap: {usual} utterances of {', '.join(USUAL)}; the published corpus has {USUAL_UTTERANCES}")


CORPUS = Corpus(
    key="iemocap",
    title="Interactive Emotional Dyadic Motion Capture database (IEMOCAP)",
    size="10,039 turns of 10 speakers in 5 sessions, English, acted; audio and transcripts",
    labels=(*filter(None, EMOTIONS.values()), *DIMENSIONS),
    branch="both",
    licence="research licence of the University of Southern California, to be signed",
    citation=(
        "C. Busso, M. Bulut, C.-C. Lee, A. Kazemzadeh, E. Mower, S. Kim, J. N. Chang, S. Lee, S. S. Narayanan: "
        "IEMOCAP: Interactive emotional dyadic motion capture database. Language Resources and Evaluation 42, 2008"
    ),
    source="https://sail.usc.edu/iemocap (request form)",
    layout=(
        "Session1/dialog/EmoEvaluation/*.txt, Session1/dialog/transcriptions/*.txt, Session1/sentences/wav, ... "
        "(or the same below IEMOCAP_full_release)"
    ),
    read=read,
)
