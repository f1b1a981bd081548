"""The guard against leakage: whatever the strategy, what is tested on was not trained on."""

from __future__ import annotations

from hashlib import sha256
from unittest.mock import patch

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.manifest import SETS
from emopipe.schemas.splits import Leak, same_text
from emopipe.splits import branches
from emopipe.splits.branches import split_audio, split_text
from emopipe.splits.strategies import assign
from helpers.partitions import NONE, STRATEGIES, corpora, manifest, partition

each_strategy = pytest.mark.parametrize(("strategy", "needs"), STRATEGIES.items())


def of_each_set(rows):
    """Return one utterance of train, dev and test, each of a speaker who is in that set alone, if there is one."""
    alone = rows.groupby("speaker")["split"].transform("nunique") == 1
    rows = pd.concat([rows[alone], rows[~alone]])
    return [rows.loc[rows["split"] == name, "utterance"].iloc[0] for name in SETS]


@each_strategy
def test_a_recording_under_two_names_stays_in_the_test_set_alone(strategy, needs, capsys):
    rows, given_settings = corpora(), partition(strategy, **needs)
    train, dev, test = of_each_set(split_audio(rows, given_settings, None, {})[0])
    rows.loc[rows["utterance"].isin([train, dev, test]), "sha256"] = "0123456789abcdef"
    split, leaks = split_audio(rows, given_settings, None, {})
    assert set(rows["utterance"]) - set(split["utterance"]) == {train, dev}
    assert "audio: left out 2 of 96 utterances: the same recording is in another set" in capsys.readouterr().out
    assert leaks[leaks["kind"] == "recording"].to_dict("records") == [
        {
            "kind": "recording",
            "content": "0123456789ab",
            "sets": "train|dev|test",
            "utterances": 2,
            "action": "left_out",
        }
    ]


@each_strategy
def test_a_text_that_is_repeated_stays_in_the_test_set_alone(strategy, needs, capsys):
    rows, given_settings = corpora(), partition(strategy, **needs)
    train, dev, test = of_each_set(split_text(rows, NONE, given_settings, None, {})[0])
    for name, words in ((train, "Oh my  GOD"), (dev, "oh my god "), (test, "Oh my God")):
        rows.loc[rows["utterance"] == name, "transcript"] = words
    split, leaks = split_text(rows, NONE, given_settings, None, {})
    assert set(rows["utterance"]) - set(split["utterance"]) == {train, dev}
    assert "text: left out 2 of 96 utterances: the same text is in another set" in capsys.readouterr().out
    (leak,) = leaks[leaks["kind"] == "text"].itertuples()
    assert leak.content == sha256(b"oh my god").hexdigest()[:12]
    assert (leak.sets, leak.utterances, leak.action) == ("train|dev|test", 2, "left_out")


@pytest.mark.parametrize("branch", ["audio", "text"])
@each_strategy
def test_a_strategy_that_lets_a_speaker_cross_is_found_out(strategy, needs, branch, capsys):
    rows = corpora()
    tested = _split(branch, rows, partition(strategy, **needs))[0].query("split == 'test'")
    betrayed, speaker = tested.loc[tested["speaker"].duplicated(keep=False), ["utterance", "speaker"]].iloc[0]

    def careless(rows, *arguments):
        sets = assign(rows, *arguments)
        sets[rows["utterance"] == betrayed] = "train"
        return sets

    with patch.object(branches, "assign", careless):
        with pytest.raises(UserError, match=rf"split\.{branch}\.speaker_overlap: \d+ of 16 speakers .*strategy: sp"):
            _split(branch, rows, partition(strategy, speaker_overlap="error", **needs))
        split, leaks = _split(branch, rows, partition(strategy, speaker_overlap="warn", **needs))
        assert len(split) == len(rows)
        (leak,) = leaks[leaks["content"] == speaker].itertuples()
        assert (leak.kind, leak.action) == ("speaker", "reported")
        assert {"train", "test"} <= set(leak.sets.split("|"))
        assert f"kept (split.{branch}.speaker_overlap: warn)" in capsys.readouterr().out
        with (  # at random, nobody may be left to train on
            patch.object(branches, "_require_sets"),
            patch.object(branches, "_learnable", lambda rows, _: rows),
        ):
            split, dropped = _split(branch, rows, partition(strategy, speaker_overlap="drop", **needs))
    assert set(split.loc[split["speaker"] == speaker, "split"]) == {"test"}
    assert dropped.to_dict("records") == leaks.assign(action="left_out").to_dict("records")
    assert len(rows) - len(split) >= leaks["utterances"].sum()


def _split(branch, rows, given_settings):
    if branch == "audio":
        return split_audio(rows, given_settings, None, {})
    return split_text(rows, NONE, given_settings, None, {})


def test_only_so_many_speakers_are_named_and_unknown_ones_do_not_cross():
    rows = manifest()
    with pytest.raises(UserError, match=r"10 of 10 speakers are in more than one set \(c/s00, c/s01, c/s02, \.\.\.\)"):
        split_audio(rows, partition("random", speaker_overlap="error"), None, {})
    unknown = rows.assign(speaker="")
    split, leaks = split_audio(unknown, partition("random", speaker_overlap="error"), None, {})
    assert leaks.empty
    assert len(split) == len(rows)


def test_an_official_split_with_the_speakers_of_a_series_is_kept_and_reported():
    rows = manifest(4)
    rows["split"] = [SETS[i % 3] for i in range(len(rows))]
    split, leaks = split_text(rows, NONE, partition("official"), None, {})
    assert split["split"].tolist() == rows["split"].tolist()
    assert leaks["content"].tolist() == ["c/s00", "c/s01", "c/s02", "c/s03"]
    assert set(leaks["sets"]) == {"train|dev|test"}
    assert set(leaks["utterances"]) == {8}


def test_a_reported_speaker_of_the_audio_split_is_found_in_the_text_too():
    rows = manifest()
    rows.loc[:3, "split"], rows.loc[4:, "split"] = "test", "train"  # the first speaker is in both
    rows.loc[rows["speaker"] == "c/s01", "split"] = "dev"
    audio, leaks = split_audio(rows, partition("official"), None, {})
    assert leaks["content"].tolist() == ["c/s00"]
    words = rows[rows["split"] != "test"]  # no text of the audio test set
    both = pd.concat([words, manifest(corpus="d")], ignore_index=True)
    text, leaks = split_text(both, audio, partition(), None, {})
    assert leaks.to_dict("records") == [
        {"kind": "speaker", "content": "c/s00", "sets": "train|test", "utterances": 8, "action": "reported"}
    ]
    text, _ = split_text(both, audio, partition(speaker_overlap="drop"), None, {})
    assert "c/s00" not in set(text["speaker"])
    with pytest.raises(UserError, match=r"choose split\.audio\.strategy and split\.text\.strategy: speaker"):
        split_text(words, audio, partition(speaker_overlap="error"), None, {})


def test_a_clean_audio_split_is_followed_without_a_leak_under_refusal():
    rows = manifest()
    audio, _ = split_audio(rows, partition(speaker_overlap="error"), None, {})
    text, leaks = split_text(rows, audio[audio.index % 2 == 0], partition(speaker_overlap="error"), None, {})
    assert leaks.empty
    assert len(text) == len(rows)


def test_what_leaked_can_be_stored_and_read_and_so_can_nothing(tmp_path):
    _, leaks = split_audio(manifest(), partition("random"), None, {})
    tables.write(leaks, tmp_path / "leaks.csv", Leak)
    assert tables.read(tmp_path / "leaks.csv", Leak).to_dict("records") == leaks.to_dict("records")
    _, nothing = split_audio(manifest(), partition(), None, {})
    tables.write(nothing, tmp_path / "nothing.csv", Leak)
    assert (tmp_path / "nothing.csv").read_text() == "kind,content,sets,utterances,action\n"


# ---- Any corpora


@st.composite
def any_corpora(draw):
    """Two corpora of speakers who come to any sessions, say little, and say the same things again."""
    rows = []
    for corpus in "cd":
        official = draw(st.booleans())
        for speaker in range(draw(st.integers(4, 7))):
            for number in range(draw(st.integers(1, 3))):
                copied = draw(st.integers(0, 30))
                rows.append(
                    {
                        "utterance": f"{corpus}/{speaker}-{number}",
                        "corpus": corpus,
                        "speaker": f"{corpus}/{speaker}",
                        "session": str(draw(st.integers(1, 3)) if number else speaker % 3),
                        "sex": draw(st.sampled_from(["female", "male", ""])),
                        "emotion": "neutral",
                        "sha256": str(copied),
                        "transcript": f"sentence {copied}",
                        "split": draw(st.sampled_from(SETS)) if official else "",
                    }
                )
    return pd.DataFrame(rows).assign(language="", valence=3.0, arousal=3.0, dominance=3.0)


@each_strategy
@settings(max_examples=15, deadline=None)
@given(rows=any_corpora(), share=st.sampled_from([0.0, 0.5, 1.0]), seed=st.integers(0, 99))
def test_nothing_crosses_sets_in_any_corpora_and_the_test_set_stays_whole(strategy, needs, rows, share, seed):
    given_settings = partition(strategy, speaker_overlap="drop", seed=seed, **needs)
    # Of so few speakers nobody may be left to train on, and there is one emotion.
    with patch.object(branches, "_require_sets"), patch.object(branches, "_require_two_emotions"):
        audio, _ = split_audio(rows, given_settings, None, {})
        text, _ = split_text(rows, NONE, given_settings, None, {})
        reported, _ = split_audio(rows, partition("random", seed=seed), None, {})
        reported = reported.sample(frac=share, random_state=seed)
        both, _ = split_text(rows, reported, partition(speaker_overlap="drop", seed=seed), None, {})
    copies = audio.merge(rows[["utterance", "sha256"]], on="utterance")
    assert not _crosses(audio, audio["speaker"]) and not _crosses(copies, copies["sha256"])
    for split in (text, both):
        assert not _crosses(split, split["speaker"]) and not _crosses(split, same_text(split["transcript"]))
    drawn = assign(rows, given_settings, "split.audio")
    test = set(rows.loc[drawn == "test", "utterance"])
    assert test == set(text.loc[text["split"] == "test", "utterance"])
    if (audio["split"] == "train").any():  # else no emotion is trained on, and none tested
        assert test == set(audio.loc[audio["split"] == "test", "utterance"])
    tested = reported[reported["split"] == "test"]
    training = both[both["split"] == "train"]
    assert not set(training["utterance"]) & set(tested["utterance"])
    assert not set(training["speaker"]) & set(tested["speaker"])


def _crosses(split, content):
    return (split.groupby(content)["split"].nunique() > 1).any()
