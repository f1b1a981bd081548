"""Splits: nothing crosses sets, every class is where it can be, the same every time."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupShuffleSplit

from emopipe.corpora import emodb
from emopipe.io.errors import UserError
from emopipe.recordings.reading import fingerprint
from emopipe.splits import branches, strategies
from helpers.partitions import NONE, STRATEGIES, corpora, manifest, partition, split_audio, split_text


@pytest.mark.parametrize("strategy", ["speaker", "speaker_folds", "official"])
def test_no_speaker_crosses_sets_and_all_sets_hold_all_emotions(strategy):
    split = split_audio(manifest(), partition(strategy=strategy), None, {})
    assert split.groupby("speaker")["split"].nunique().max() == 1
    assert split.groupby("split")["emotion"].nunique().to_dict() == {"train": 3, "dev": 3, "test": 3}
    assert split["split"].value_counts(normalize=True).to_dict() == pytest.approx(
        {"train": 0.6, "dev": 0.2, "test": 0.2}, abs=0.01
    )


def test_a_rare_class_reaches_every_set_when_its_speakers_allow():
    rows = manifest(speakers=12)
    few = rows["speaker"].isin(["c/s00", "c/s01", "c/s02"]) & (rows["emotion"] == "anger")
    split = split_audio(rows[(rows["emotion"] != "anger") | few], partition(), None, {})
    assert set(split.loc[split["emotion"] == "anger", "split"]) == {"train", "dev", "test"}


def test_every_set_has_both_sexes():
    for seed in range(5):
        rows = manifest()
        split = split_audio(rows, partition(seed=seed), None, {})
        sex = split["utterance"].map(rows.set_index("utterance")["sex"])
        assert sex.groupby(split["split"]).nunique().to_dict() == {"train": 2, "dev": 2, "test": 2}


@pytest.mark.parametrize(("strategy", "needs"), STRATEGIES.items())
def test_the_same_seed_gives_the_same_split_whatever_the_order(strategy, needs):
    rows = corpora()
    first = split_audio(rows, partition(strategy, **needs), None, {})
    assert set(first["split"]) == {"train", "dev", "test"}
    assert len(first) == len(rows)
    again = split_audio(rows.sample(frac=1, random_state=3), partition(strategy, **needs), None, {})
    assert again.set_index("utterance")["split"].to_dict() == first.set_index("utterance")["split"].to_dict()


def test_another_seed_gives_another_split():
    one, other = (split_audio(manifest(), partition("random", seed=seed), None, {}) for seed in (1, 2))
    assert (one["split"].to_numpy() != other["split"].to_numpy()).any()


@pytest.mark.parametrize(
    ("settings", "dev", "test"),
    [
        (partition(seed=1), ["03", "08"], ["02", "09"]),
        (partition(seed=42), ["04", "09"], ["01", "08"]),
        (partition("official", seed=42), ["04", "09"], ["01", "08"]),
        (partition("speaker_folds", fold=2, seed=42), ["02", "07"], ["04", "05"]),
    ],
    ids=lambda value: f"{value.strategy} {value.seed}" if hasattr(value, "seed") else "",
)
def test_who_is_drawn_for_a_seed_does_not_change_from_one_version_to_the_next(settings, dev, test):
    split = split_audio(manifest(), settings, None, {})
    drawn = {name: own["speaker"].str[-2:].unique().tolist() for name, own in split.groupby("split")}
    assert (drawn["dev"], drawn["test"]) == (dev, test)


@pytest.mark.parametrize(("groups", "rows", "share", "spare"), [(3, 40, 0.2, 2), (10, 200, 0.2, 2), (57, 300, 0.25, 1)])
def test_candidates_are_those_of_scikit_learn(groups, rows, share, spare):
    draw = np.random.default_rng(groups)
    frame = manifest(speakers=1, each=rows)
    frame["speaker"] = [f"c/s{s:02}" for s in draw.permutation(np.arange(rows) % groups)]
    frame["emotion"] = draw.choice(["anger", "fear", "neutral"], rows)
    number = max(1, min(round(share * groups), groups - spare))
    for seed in (0, 42, 2**32 - 1):
        splitter = GroupShuffleSplit(strategies.CANDIDATES, test_size=number, random_state=seed)
        expected = [frame.index[chosen].tolist() for _, chosen in splitter.split(frame, groups=frame["speaker"])]
        found = []
        with patch.object(strategies, "_imbalance", lambda _, chosen, __, found=found: found.append(chosen) or 0.0):
            strategies._sample_groups(frame, frame["speaker"], share, spare, seed)
        assert [frame.index[chosen].tolist() for chosen in found[::2]] == expected  # asked for two strata each


@pytest.mark.parametrize("strategy", ["speaker", "session", "random", "official"])
def test_a_corpus_is_divided_in_the_same_way_whichever_others_are_listed(strategy):
    rows, others = manifest(10), pd.concat([manifest(7, corpus="a"), manifest(1, corpus="e")], ignore_index=True)
    alone = split_audio(rows, partition(strategy), None, {})
    beside = split_audio(pd.concat([others, rows], ignore_index=True), partition(strategy), None, {})
    expected = alone.set_index("utterance")["split"]
    assert beside.set_index("utterance")["split"][expected.index].equals(expected)


def test_a_corpus_of_too_few_speakers_is_trained_on_and_two_such_are_divided_together(capsys):
    few = [manifest(2, corpus=corpus) for corpus in "de"]
    split = split_audio(pd.concat([manifest(), few[0]], ignore_index=True), partition(), None, {})
    assert set(split.loc[split["corpus"] == "d", "split"]) == {"train"}
    assert "split.audio: d: all in train, since 2 group(s) cannot be divided" in capsys.readouterr().out
    split = split_audio(pd.concat([manifest(), *few], ignore_index=True), partition(), None, {})
    assert set(split.loc[split["corpus"] != "c", "split"]) == {"train", "dev", "test"}
    assert split_audio(pd.concat(few, ignore_index=True), partition(), None, {})["split"].nunique() == 3


@pytest.mark.parametrize("strategy", ["speaker", "corpus"])
def test_corpora_that_share_speakers_are_drawn_together(strategy):
    rows = pd.concat([manifest(), manifest(corpus="d"), manifest(corpus="e")], ignore_index=True)
    rows["speaker"] = rows["speaker"].str.replace("d/", "c/")
    needs = {"test_corpora": ["e"]} if strategy == "corpus" else {}
    split = split_audio(rows, partition(strategy, speaker_overlap="error", **needs), None, {})
    assert set(split["split"]) == {"train", "dev", "test"}
    assert split.groupby("speaker")["split"].nunique().max() == 1


def test_folds_are_contiguous_groups_of_speakers_and_every_utterance_is_tested_once():
    rows = manifest(speakers=24)
    tested = [
        split.loc[split["split"] == "test", "speaker"].unique().tolist()
        for fold in range(6)
        for split in [split_audio(rows, partition(strategy="speaker_folds", folds=6, fold=fold), None, {})]
    ]
    assert tested == [[f"c/s{s:02}" for s in range(4 * fold, 4 * fold + 4)] for fold in range(6)]


@pytest.mark.parametrize(("group", "groups"), [("speaker", 10), ("session", 5)])
def test_leave_one_out_tests_each_group_once_in_its_order_and_divides_none(group, groups):
    rows = manifest()
    tested = []
    for fold in range(groups):
        split = split_audio(rows, partition(f"leave_one_{group}_out", fold=fold), None, {})
        whole = rows.set_index("utterance")[group][split["utterance"]].to_numpy()
        assert split["split"].groupby(whole).nunique().max() == 1
        assert set(split["split"]) == {"train", "dev", "test"}
        tested += set(whole[split["split"] == "test"])
    assert tested == sorted(rows[group].unique())
    message = rf"split\.audio\.fold: {groups}; with {groups} folds choose 0 to {groups - 1}"
    with pytest.raises(UserError, match=message):
        split_audio(rows, partition(f"leave_one_{group}_out", fold=groups), None, {})


def test_leave_one_speaker_out_of_real_recordings(shared):
    wav, labels = shared("data/emodb/wav"), ["anger", "happiness", "neutral", "sadness"]
    rows = emodb.read(wav.parent)
    rows["sha256"] = [fingerprint(Path(path)) for path in rows["path"]]
    tested = {}
    for fold in range(10):
        settings = partition("leave_one_speaker_out", fold=fold, speaker_overlap="error")
        split, leaks = branches.split_audio(rows, settings, labels, {})
        assert leaks.empty
        assert split.groupby("split")["speaker"].nunique().to_dict() == {"train": 7, "dev": 2, "test": 1}
        tested |= split[split["split"] == "test"].set_index("utterance")["speaker"].to_dict()
    assert list(dict.fromkeys(tested.values())) == sorted(rows["speaker"].unique())
    assert set(tested) == set(rows.loc[rows["emotion"].isin(labels), "utterance"])


def test_sessions_are_drawn_whole_and_those_of_two_corpora_are_different_ones():
    rows = corpora()
    split = split_audio(rows, partition("session"), None, {})
    session = (rows["corpus"] + rows["session"]).to_numpy()
    assert split["split"].groupby(session).nunique().max() == 1
    assert split.assign(session=session).groupby("split")["session"].nunique().to_dict() == {
        "train": 4, "dev": 2, "test": 2,
    }  # fmt: skip


def dialogues(speakers: int, sessions: int, turns: int) -> pd.DataFrame:
    """Return a corpus of dialogues in which any speaker may talk with any other, as in MELD."""
    draw = np.random.default_rng(0)
    rows = manifest(speakers=1, each=sessions * turns)
    rows["session"] = [f"dia{i // turns}" for i in range(len(rows))]
    rows["speaker"] = [f"c/s{s}" for s in draw.integers(speakers, size=len(rows))]
    return rows


@pytest.mark.parametrize("branch", ["audio", "text"])
def test_no_dialogue_crosses_sets_when_sessions_are_drawn(branch):
    rows, settings = dialogues(speakers=6, sessions=60, turns=5), partition("session")
    split = split_audio(rows, settings, None, {}) if branch == "audio" else split_text(rows, NONE, settings, None, {})
    sets = split["split"].groupby(split["session"])
    assert sets.nunique().eq(1).all()
    assert sets.first().value_counts().to_dict() == {"train": 36, "dev": 12, "test": 12}
    assert len(split) == len(rows)  # its speakers are reported


@pytest.mark.parametrize("strategy", ["session", "leave_one_session_out"])
def test_neither_speaker_nor_session_crosses_sets_where_each_pair_has_its_own(strategy):
    rows = manifest(speakers=10)  # as IEMOCAP's: five sessions of two speakers
    settings = partition(strategy, speaker_overlap="error")
    for split in (split_audio(rows, settings, None, {}), split_text(rows, NONE, settings, None, {})):
        for column in ("session", "speaker"):
            assert split["split"].groupby(split[column]).nunique().eq(1).all()
        assert split.groupby("split")["session"].nunique().to_dict() == {"train": 3, "dev": 1, "test": 1}


def test_whole_corpora_are_tested_and_dev_is_drawn_by_speaker_from_the_others():
    rows = pd.concat([manifest(4), manifest(4, corpus="d"), manifest(2, corpus="e", speaker="")], ignore_index=True)
    split = split_audio(rows, partition("corpus", test_corpora=["d"]), None, {})
    assert set(split.loc[split["split"] == "test", "corpus"]) == {"d"}
    assert set(split.loc[split["corpus"] == "d", "split"]) == {"test"}
    assert split[split["corpus"] == "c"].groupby("speaker")["split"].nunique().max() == 1
    unknown = split[split["corpus"] == "e"]
    assert set(unknown["split"]) == {"train", "dev"}  # by utterance


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"split\.audio\.test_corpora: empty; name the corpora to test on, of c, d"),
        ({"test_corpora": ["d", "x"]}, r"split\.audio\.test_corpora: no utterance is of x; there are c, d"),
        ({"test_corpora": ["d", "c"]}, r"split\.audio\.test_corpora: leaves none of c, d to train on"),
        (
            {"strategy": "speaker", "test_corpora": ["d"]},
            r"split\.audio\.test_corpora: set, but .* choose corpus, or \[\]",
        ),
    ],
)
def test_impossible_test_corpora_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        split_audio(corpora(), partition(**({"strategy": "corpus"} | changes)), None, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "speaker_folds", "folds": 11}, r"split\.audio\.folds: 11, but there are 10 speakers"),
        ({"strategy": "speaker_folds", "fold": 5}, r"split\.audio\.fold: 5; with 5 folds choose 0 to 4"),
    ],
)
def test_impossible_folds_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        split_audio(manifest(), partition(**changes), None, {})


def test_unknown_speakers_are_refused_by_speaker_and_split_at_random_by_official():
    rows = manifest(speaker="")
    with pytest.raises(UserError, match="speakers of c are unknown; choose random or official"):
        split_audio(rows, partition(), None, {})
    split = split_audio(rows, partition(strategy="official"), None, {})
    assert set(split["split"]) == {"train", "dev", "test"}


@pytest.mark.parametrize("strategy", ["session", "leave_one_session_out"])
def test_unknown_sessions_are_refused(strategy):
    with pytest.raises(UserError, match="sessions of c are unknown; choose random or official"):
        split_audio(manifest(session=""), partition(strategy), None, {})


def test_one_speaker_only_is_refused():
    with pytest.raises(UserError, match="needs 3 groups or more, here are 1"):
        split_audio(manifest(speakers=1), partition(), None, {})


@pytest.mark.parametrize(("speakers", "empty"), [(1, "train"), (2, "dev")])
def test_who_leaves_one_out_of_too_few_learns_which_set_is_empty(speakers, empty):
    with pytest.raises(UserError, match=f"the {empty} set is empty"):
        split_audio(manifest(speakers), partition("leave_one_speaker_out"), None, {})


def test_a_large_share_leaves_something_to_the_other_sets():
    split = split_audio(manifest(speakers=3), partition(fractions=[0.05, 0.05, 0.9]), None, {})
    assert split.groupby("split")["speaker"].nunique().to_dict() == {"train": 1, "dev": 1, "test": 1}


def test_the_official_split_is_kept_and_a_missing_dev_set_comes_from_train():
    rows = manifest()
    rows["split"] = np.where(rows["speaker"] < "c/s07", "train", "test")
    split = split_audio(rows, partition(strategy="official"), None, {}).set_index("utterance")["split"]
    official = rows.set_index("utterance")["split"]
    assert (split[official == "test"] == "test").all()
    assert set(split[official == "train"]) == {"train", "dev"}


def test_half_an_official_split_is_refused():
    rows = manifest()
    rows.loc[0, "split"] = "train"
    with pytest.raises(UserError, match="c gives a split for some rows and not for others"):
        split_audio(rows, partition(strategy="official"), None, {})
