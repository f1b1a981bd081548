"""The answers under conditions are those that a recogniser gives, and are scored as scikit-learn and audmetric do."""

from __future__ import annotations

import json
from pathlib import Path

import audmetric
import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from sklearn.metrics import recall_score

from emopipe import Recognizer
from emopipe.conditions import catalogue
from emopipe.conditions.catalogue import levels_of
from emopipe.io.errors import UserError
from emopipe.recognition.abstention import Abstention
from emopipe.robustness import sounds
from emopipe.robustness.answers import OtherSpeakers
from emopipe.robustness.languages import SENTENCES
from emopipe.robustness.parameters import Robustness
from emopipe.robustness.reference import BASELINE
from emopipe.robustness.scores import scores, target_of, unknown
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.robustness import ANSWERS, CLEAN, SOUND_ANSWERS
from helpers.paths import ROOT
from helpers.small_corpus import train_small
from stages import robustness

SUITE = ["prepend_zeros", "white_noise", "packet_loss", "babble"]
CASES = {"classification": {"model.ensemble_size": 2}, "regression": {"model.task": "regression"}}


def emotions(answers, sure=0.9):
    labels = ["anger", "joy", "sadness"]
    chances = (np.eye(3) * sure + (1 - sure) / 3)[[labels.index(answer) for answer in answers]]
    return pd.DataFrame({"emotion": answers, "confidence": chances.max(1)}).assign(
        **{f"p_{label}": chances[:, i] for i, label in enumerate(labels)}
    )


def rows(count, **columns):
    who = {"utterance": [f"c/{i}" for i in range(count)], "corpus": "c", "sex": "", "language": ""}
    return pd.DataFrame(who | {"speaker": [f"s{i % 4}" for i in range(count)]} | columns)


def changed(values, share, generator):
    """Return answers of which a share is another one."""
    others = generator.choice(["anger", "joy", "sadness"], len(values))
    return np.where(generator.random(len(values)) < share, others, values)


FOUR = ["anger", "happiness", "neutral", "sadness"]


def of_four(share, truth, generator):
    """Return answers of which a share is drawn anew, with probabilities."""
    own = np.where(generator.random(len(truth)) < share, generator.choice(FOUR, len(truth)), truth)
    return pd.DataFrame({"emotion": own} | {f"p_{label}": np.where(own == label, 0.7, 0.1) for label in FOUR})


def test_errors_on_iemocap_stand_beside_those_of_the_published_baseline():
    generator = np.random.default_rng(5)
    truth = generator.choice(FOUR, 200)
    suite = [*levels_of(["gaussian_noise", "mp3", "opus"]), ("clipping", "20%")]
    answers = {CLEAN: of_four(0.2, truth, generator)}
    answers |= {one: of_four(0.5, truth, generator) for one in suite}
    found = scores(target_of(rows(200, emotion=truth).assign(corpus="iemocap"), answers), suite)["beside_robuser"]
    wrong = {one: 100 * np.mean(own["emotion"] != truth) for one, own in answers.items()}
    noise = [wrong["gaussian_noise", level] for level in ("30dB", "20dB", "10dB")]
    mp3 = [wrong["mp3", level] for level in ("32kbps", "16kbps", "8kbps")]
    absolute = {"gaussian_noise": 100 * sum(noise) / 93.08, "mp3": 100 * sum(mp3) / 76.64}
    gained = {"gaussian_noise": sum(noise) - 3 * wrong[CLEAN], "mp3": sum(mp3) - 3 * wrong[CLEAN]}
    relative = {"gaussian_noise": 100 * gained["gaussian_noise"] / 28.16, "mp3": 100 * gained["mp3"] / 11.72}
    for kind, expected in (("absolute", absolute), ("relative", relative)):
        assert found[kind] == pytest.approx(expected | {"mean": np.mean(list(expected.values()))}, abs=1e-6)
    other = scores(target_of(rows(200, emotion=truth), answers), suite)
    assert "beside_robuser" not in other  # another corpus


def test_the_published_errors_are_those_of_conditions_that_there_are():
    assert {(name, level) for name, levels in BASELINE.items() for level in levels} == set(levels_of(list(BASELINE)))


def test_scores_of_emotions_are_those_of_the_conditions_and_changes_those_of_the_same_utterances():
    generator = np.random.default_rng(1)
    truth = generator.choice(["anger", "joy", "sadness"], 80)
    answers = {CLEAN: changed(truth, 0.2, generator)}
    suite = [("white_noise", "20dB"), ("packet_loss", "5%"), ("packet_loss", "20%")]
    for name, level in suite:
        answers[name, level] = changed(answers[CLEAN], 0.3, generator)
    found = scores(target_of(rows(80, emotion=truth), {name: emotions(own) for name, own in answers.items()}), suite)
    uar = {name: recall_score(truth, own, average="macro") for name, own in answers.items()}
    assert (found["score"], found["clean"]["score"]) == ("uar", pytest.approx(uar[CLEAN], abs=1e-9))
    for name, level in suite:
        own = found["conditions"][name][level]
        assert own["score"] == pytest.approx(uar[name, level], abs=1e-9)
        assert own["change"] == pytest.approx(uar[name, level] - uar[CLEAN], abs=1e-9)
        assert own["low"] < own["change"] < own["high"]
        assert own["unchanged"] == np.mean(answers[name, level] == answers[CLEAN])
        assert 0 < own["ece"] < 1
    assert found["conditions"]["white_noise"]["20dB"]["thresholds"] == {"change": -0.05, "unchanged": 0.9}
    assert found["conditions"]["white_noise"]["20dB"]["passed"] is False
    assert "passed" not in found["conditions"]["packet_loss"]["5%"]
    changes = [own["change"] for own in found["conditions"]["packet_loss"].values()]
    assert found["summary"]["mean_change"]["channel"] == pytest.approx(np.mean(changes))
    assert (found["summary"]["tested"], found["summary"]["passed"]) == (1, 0)


@pytest.mark.parametrize(
    ("others", "passed"),
    [(0, True), (4, True), (5, False)],  # of 100: more than 95 %, rounded to two digits, must stay the same
)
def test_a_threshold_is_compared_as_published(others, passed):
    truth = np.tile(np.array(["anger", "joy"], dtype=object), 50)
    after = truth.copy()
    after[:others] = "sadness"
    answers = {CLEAN: emotions(truth), ("gain", "drawn"): emotions(after)}
    found = scores(target_of(rows(100, emotion=truth), answers), [("gain", "drawn")])
    assert found["conditions"]["gain"]["drawn"]["passed"] is passed
    assert found["summary"]["mean_change"] == {"small changes": pytest.approx(-others / 100)}
    assert (found["summary"]["tested"], found["summary"]["passed"]) == (1, passed)


def test_of_dimensions_the_one_that_suffers_most_decides():
    generator = np.random.default_rng(2)
    truth = generator.uniform(1, 5, (60, 3))
    clean = truth + generator.normal(0, 0.3, (60, 3))
    after = clean + np.array([0, 0.19, 0.21])  # less and more than 5 % of the scale
    answers = {CLEAN: clean, ("white_noise", "20dB"): after, ("polarity", "inverted"): clean}
    tables = {name: pd.DataFrame(own, columns=list(DIMENSIONS)) for name, own in answers.items()}
    test = rows(60).assign(**dict(zip(DIMENSIONS, truth.T, strict=True)))
    found = scores(target_of(test, tables), [("white_noise", "20dB"), ("polarity", "inverted")])
    ccc = {name: [audmetric.concordance_cc(truth[:, i], own[:, i]) for i in range(3)] for name, own in answers.items()}
    noisy = found["conditions"]["white_noise"]["20dB"]
    assert found["score"] == "ccc.mean"
    assert found["clean"] == {"score": pytest.approx(np.mean(ccc[CLEAN]), abs=1e-9)}
    assert noisy["change"] == pytest.approx(np.mean(ccc["white_noise", "20dB"]) - np.mean(ccc[CLEAN]), abs=1e-9)
    assert noisy["unchanged"] == 0 and noisy["passed"] is False
    assert found["conditions"]["polarity"]["inverted"] == {
        "score": found["clean"]["score"], "change": 0, "low": None, "high": None, "unchanged": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("suite", "message"),
    [(["white_nose"], "did you mean white_noise"), (["x"], "no condition"), ("all", "quick"), ([], "at least 1")],
)
def test_a_suite_that_is_none_is_refused_by_name(tmp_path, suite, message):
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["robustness"]["suite"] = suite
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match=rf"(?s)robustness\.suite.*{message}"):
        Robustness.load(path=tmp_path / "params.yaml")


def test_suites_are_in_the_order_of_the_catalogue_and_a_condition_comes_at_all_its_levels():
    chosen = Robustness(suite=["room", "gain"], seed=1).conditions
    assert chosen == [("gain", "drawn"), *(("room", level) for level in catalogue.CONDITIONS["room"].levels)]
    assert Robustness(suite="none", seed=1).conditions == []
    assert set(Robustness(suite="quick", seed=1).conditions) < set(Robustness(suite="full", seed=1).conditions)


@pytest.fixture(scope="module", params=CASES)
def tested(small_corpus, folder, request):
    """Return a folder in which a model was tested under a few conditions."""
    train_small(small_corpus, folder, CASES[request.param])
    path = small_corpus / "params.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["robustness"]["suite"] = SUITE
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(small_corpus)
        robustness.main()
    return small_corpus


def read(folder: Path) -> dict[str, bytes]:
    found = [folder / ANSWERS, folder / SOUND_ANSWERS, folder / robustness.METRICS]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_the_answers_are_those_of_the_recogniser_for_the_changed_waveforms(tested, monkeypatch):
    monkeypatch.chdir(tested)
    recognizer = Recognizer.load("models/audio", device="cpu")
    paths = pd.read_csv("data/audio/manifest.csv").set_index("utterance")["path"]
    split = pd.read_csv("data/splits/audio.csv", keep_default_na=False).set_index("utterance")
    test, train = (split[split["split"] == name] for name in ("test", "train"))

    def samples(utterance):
        return soundfile.read(Path("data/audio", paths[utterance]), dtype="float32")[0]

    background = [samples(utterance) for utterance in train.index]
    assert not set(test["speaker"]) & set(train["speaker"])
    answers = pd.read_csv(ANSWERS, keep_default_na=False)
    suite = [CLEAN, *Robustness.load().conditions]
    assert answers[["condition", "level"]].drop_duplicates().to_records(index=False).tolist() == suite
    for name, level in suite:
        table = answers[(answers["condition"] == name) & (answers["level"] == level)]
        assert table["utterance"].tolist() == test.index.tolist()
        for row in table.iloc[:3].to_dict("records"):
            own = samples(row["utterance"])
            if level:
                own = catalogue.apply(name, level, own, row["utterance"], 1, background)
            (expected,) = recognizer([(own, 16_000)])[recognizer.columns].to_dict("records")
            for column, value in expected.items():
                assert row[column] == (value if isinstance(value, str) else pytest.approx(value, abs=2e-3))  # 16 bit


def test_clean_answers_are_those_of_the_evaluation_and_a_second_run_gives_the_same_bytes(tested, monkeypatch):
    monkeypatch.chdir(tested)
    first = read(tested)
    robustness.main()
    assert read(tested) == first
    found = json.loads(first["metrics/robustness.json"])
    heard = pd.read_csv(SOUND_ANSWERS)["sound"]
    assert set(heard) == set(sounds.KINDS) and (heard == "tone").sum() == sounds.CLIPS
    assert {len(levels) for levels in found["conditions"].values()} == {1, 4}
    clean = pd.read_csv(ANSWERS).query("condition == 'clean'").set_index("utterance")
    for name in ("emotion", "vad"):
        predicted = pd.read_csv(f"data/predicted/audio/{name}.csv")
        predicted = predicted[predicted["model"] == "trained"]
        for row in predicted.itertuples():
            if name == "emotion":
                assert clean.loc[row.utterance, "emotion"] == row.prediction
            else:
                assert clean.loc[row.utterance, row.dimension] == pytest.approx(row.prediction, abs=1e-4)


def test_a_killed_run_goes_on_with_the_conditions_that_are_left(tested, monkeypatch, capsys):
    monkeypatch.chdir(tested)
    first, applied = read(tested), []
    apply = catalogue.apply

    def stopping(name, *arguments):
        applied.append(name)
        if name == "packet_loss" and applied.count(name) == 3:
            raise KeyboardInterrupt
        return apply(name, *arguments)

    monkeypatch.setattr(catalogue, "apply", stopping)
    with pytest.raises(KeyboardInterrupt):
        robustness.main()
    assert {"prepend_zeros", "white_noise"} < set(applied)
    applied.clear()
    monkeypatch.setattr(catalogue, "apply", lambda name, *rest: applied.append(name) or apply(name, *rest))
    robustness.main()
    assert set(applied) == {"packet_loss", "babble"}
    assert read(tested) == first
    assert not Path(".checkpoints").exists()


@pytest.mark.parametrize("kind", sounds.KINDS)
def test_sounds_are_drawn_by_the_seed_and_lie_within_their_levels(kind):
    speech = [np.arange(400 + i, dtype=np.float32) / 1000 for i in range(50)]
    found, again = list(sounds.clips(kind, 1, speech)), list(sounds.clips(kind, 1, speech))
    assert len(found) == (len(SENTENCES) if kind == sounds.FOREIGN else sounds.CLIPS)
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == np.float32 and np.isfinite(one).all() and np.abs(one).max() <= 1
    if kind == sounds.REVERSED:
        np.testing.assert_array_equal(found[0], speech[0][::-1])
        np.testing.assert_array_equal(found[-1], speech[-1][::-1])
        assert len(list(sounds.clips(kind, 1, speech[:3]))) == 3
        return
    assert {len(one) for one in found} != {len(one) for one in sounds.clips(kind, 2, speech)}
    levels = [20 * np.log10(np.sqrt(np.mean(np.square(one, dtype=float))) + 1e-12) for one in found]
    low, high = sounds.LEVELS
    assert all(low - 0.01 < level < high + 0.01 for level in levels) or (kind == sounds.SILENCE and max(levels) < -200)
    assert all(16_000 <= len(one) <= 5 * 16_000 for one in found)


def test_the_language_of_the_test_set_is_no_other_one():
    speech = [np.ones(400, np.float32)]
    everything, others = (list(sounds.clips(sounds.FOREIGN, 1, speech, known)) for known in ((), {"de", "", "xx"}))
    assert len(others) == len(everything) - 1
    assert len({len(one) for one in everything}) > 15  # each is spoken in its own way


def test_how_well_sounds_are_told_from_speech_is_the_share_of_pairs_in_their_order():
    generator = np.random.default_rng(1)
    clean = emotions(["anger", "joy"] * 10).assign(confidence=generator.random(20), spread=generator.random(20))
    heard = emotions(["joy"] * 7).assign(confidence=generator.random(7) / 2, spread=generator.random(7))
    found = unknown(clean, {"tone": heard}, Abstention(threshold=0.25))["tone"]
    pairs = [(a, b) for a in range(20) for b in range(7)]
    right = np.mean([clean["confidence"][a] > heard["confidence"][b] for a, b in pairs])
    steady = np.mean([clean["spread"][a] < heard["spread"][b] for a, b in pairs])
    assert found["auroc"] == {"confidence": pytest.approx(right), "spread": pytest.approx(steady)}
    assert found["answered"] == np.mean(heard["confidence"] >= 0.25)
    assert found["confidence"] == pytest.approx(heard["confidence"].mean())
    ratings = [pd.DataFrame({"valence": 3.0, "spread": values}) for values in ([0.1, 0.2], [0.3, 0.4])]
    assert unknown(ratings[0], {"tone": ratings[1]}, None) == {"tone": {"auroc": {"spread": 1.0}}}


def test_babble_is_of_other_speakers():
    found = OtherSpeakers(pd.DataFrame({"speaker": ["a", "b", "a", ""], "path": ["1", "2", "3", "4"]}), "a")
    assert found._paths.tolist() == ["2", "4"]
    assert len(OtherSpeakers(pd.DataFrame({"speaker": ["a", ""], "path": ["1", "2"]}), "")) == 2
