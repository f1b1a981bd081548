"""The inputs of the forest: the branches' VAD, joined on the utterance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from emopipe.forest.fitting import single_branch_forest
from emopipe.forest.inputs import join_branches, require_two_emotions
from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.vad import feature_names

VAD = list(DIMENSIONS)


def predicted(names: str, seed: int = 0) -> pd.DataFrame:
    """Return a branch's test predictions of utterances, of which u and U are two emotions and x is of none."""
    draw = np.random.default_rng(seed)
    vad = draw.uniform(1, 5, (len(names), 3))
    emotions = ["" if name == "x" else "anger" if name.isupper() else "calm" for name in names]
    table = pd.DataFrame({"utterance": [f"c/{i}{name}" for i, name in enumerate(names)], "emotion": emotions})
    table[VAD] = vad
    return table


def test_branches_are_joined_on_the_utterances_that_both_have():
    text, audio = predicted("uUxuU"), predicted("uUxuU", 1).iloc[[4, 1, 2, 0]]
    found = join_branches({"text": text, "audio": audio})
    assert list(found["utterance"]) == ["c/0u", "c/1U", "c/4U"]
    assert list(found) == ["utterance", "emotion", *feature_names("text", "audio")]
    np.testing.assert_array_equal(found[feature_names("text")], text.loc[[0, 1, 4], VAD])
    np.testing.assert_array_equal(found[feature_names("audio")], audio.loc[[0, 1, 4], VAD])
    with pytest.raises(
        UserError, match=r"give 1 utterance\(s\) two emotions \(c/0u: calm and fear\); set their labels"
    ):
        join_branches({"text": text, "audio": audio.replace({"emotion": {"calm": "fear"}}).iloc[2:]})


def test_a_forest_of_one_branch_is_its_own_single_branch_forest():
    draw = np.random.default_rng(0)
    rows = pd.DataFrame(draw.uniform(1, 5, (30, 6)), columns=feature_names("text", "audio"))
    rows["emotion"] = np.where(rows["text_valence"] > 3, "calm", "anger")
    forest = RandomForestClassifier(5, random_state=1).fit(rows[feature_names("text")], rows["emotion"])
    assert single_branch_forest(forest, rows, "text") is forest
    both = RandomForestClassifier(5, random_state=1).fit(rows[feature_names("text", "audio")], rows["emotion"])
    alone = single_branch_forest(both, rows, "text")
    np.testing.assert_array_equal(
        alone.predict_proba(rows[feature_names("text")]), forest.predict_proba(rows[feature_names("text")])
    )


def test_one_emotion_is_too_few_for_a_forest():
    with pytest.raises(UserError, match=r"data\.text and data\.audio: the forest needs two .* have 1 \(calm\)"):
        require_two_emotions(pd.Series(["calm", "calm"]), "both")
