"""The words for labels that corpora and people use, and what they mean in the manifest.

One table for all readers: nouns, adjectives, and the abbreviations of three or four letters that label files are
written with. A number means an emotion only in the corpus that says so; its reader knows.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from emopipe.schemas.manifest import EMOTIONS, SETS

# No emotion: the annotators did not agree, or nobody knows.
NO_EMOTION = (
    "",
    "xxx",
    "no_agreement",
    "no agreement",
    "unknown",
    "undefined",
    "none",
    "nan",
    "n/a",
    "na",
    "null",
    "-",
)

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "anger": ("ang", "angry", "ärger", "wut"),
    "boredom": ("bor", "bored", "langeweile"),
    "calm": ("cal", "calmness"),
    "contempt": ("contemptuous",),
    "disgust": ("dis", "disgusted", "ekel"),
    "excitement": ("exc", "excited"),
    "fear": ("fea", "afraid", "fearful", "scared", "angst"),
    "frustration": ("fru", "frustrated"),
    "happiness": ("hap", "happy", "joy", "joyful", "freude"),
    "neutral": ("neu", "neutrality"),
    "other": ("oth", "others"),
    "sadness": ("sad", "trauer"),
    "surprise": ("sur", "surprised", "ps", "pleasant surprise", "pleasant surprised"),
}
WORDS: dict[str, str] = {
    **dict.fromkeys(NO_EMOTION, ""),
    **{word: emotion for emotion in EMOTIONS for word in (emotion, *_SYNONYMS[emotion])},
}
SEXES = {
    **dict.fromkeys(("female", "f", "fem", "woman", "women", "w", "weiblich"), "female"),
    **dict.fromkeys(("male", "m", "masc", "man", "men", "männlich"), "male"),
    **dict.fromkeys(("other", "o", "divers", "diverse", "nonbinary", "non-binary"), "other"),
    **dict.fromkeys(("", "unknown", "u", "n/a", "nan", "-"), ""),
}
PARTS = {
    **{name: name for name in ("", *SETS)},
    **dict.fromkeys(("training", "trn"), "train"),
    **dict.fromkeys(("development", "devel", "validation", "valid", "val"), "dev"),
    **dict.fromkeys(("testing", "tst"), "test"),
}


def plain(word: object) -> str:
    r"""Return a word in small letters, blanks of any kind single and none around it, underscores and hyphens as blanks.

    >>> plain(" Pleasant_Surprise\xa0")
    'pleasant surprise'
    """
    return " ".join(str(word).replace("_", " ").replace("-", " ").split()).casefold()


def meaning(word: object, table: Mapping[str, str]) -> str | None:
    """Return what a word means by one of the tables above; None where it stands in none.

    >>> meaning("Joyful", WORDS), meaning("no_agreement", WORDS), meaning(3, WORDS)
    ('happiness', '', None)
    """
    return table.get(str(word).strip().casefold(), table.get(plain(word)))


def nearest(word: object, known: Iterable[str], alike: float = 0.75) -> str | None:
    """Return the known word that a misspelt one was probably meant to be; None where no word is near.

    Args:
        word: the misspelt one
        known: the others
        alike: from 0 to 1, how much of the words must agree (Ratcliff and Obershelp's ratio)

    >>> nearest("hapiness", EMOTIONS), nearest("3", EMOTIONS)
    ('happiness', None)
    """
    found = difflib.get_close_matches(plain(word), list(known), n=1, cutoff=alike)
    return found[0] if found else None
