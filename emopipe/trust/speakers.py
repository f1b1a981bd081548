"""Does a corpus give away the emotion by who speaks? Then a model may learn voices, however the corpus is split."""

from __future__ import annotations

import pandas as pd

from emopipe.trust.results import Result, judged, not_applicable

SPEAKER_EMOTION = "shortcut_speaker_emotion"
ONE_EMOTION, MOST = 0.9, 0.5  # share of a speaker's utterances that have one emotion; share of such speakers
COUNTED = 5  # utterances of a speaker, by which the speaker counts: fewer have one emotion by chance


def speakers_of_one_emotion(rows: pd.DataFrame) -> list[Result]:
    """Return of each corpus whether most speakers have one emotion only.

    Args:
        rows: ``corpus``, ``speaker`` and ``emotion``
    """
    found = []
    for corpus, own in rows[rows["emotion"] != ""].groupby("corpus", sort=True):
        counts = pd.crosstab(own["speaker"], own["emotion"]).drop(index="", errors="ignore")
        total = counts.sum(axis=1)
        shares = (counts.max(axis=1) / total)[total >= COUNTED]
        if shares.empty:
            note = f"none of {len(counts)} known speakers has {COUNTED} utterances"
            found.append(not_applicable(SPEAKER_EMOTION, "share", "<", 0, note, subject=str(corpus)))
            continue
        number = int((shares > ONE_EMOTION).sum())
        note = f"{number} of {len(shares)} speakers have one emotion in more than {ONE_EMOTION:.0%} of their utterances"
        share = number / len(shares)
        found.append(judged(SPEAKER_EMOTION, "share", share, "<", MOST, len(shares), subject=str(corpus), note=note))
    return found
