"""Every figure draws whatever the data, the same data give the same bytes, and its CSV holds the right numbers."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib import image
from sklearn.metrics import recall_score

from emopipe.figures import baselines, confusion, reliability, speakers, tsne
from emopipe.figures.style import class_styles
from emopipe.results.scores import LABELS, headline
from emopipe.schemas import predictions
from emopipe.schemas.manifest import DIMENSIONS, EMOTIONS
from helpers import results
from stages import plot

ALL = {
    "baselines", "confusion_audio", "confusion_forest", "reliability", "risk_coverage", "robustness", "speakers",
    "training", "tsne_audio", "tsne_vad", "vad_text",
}  # fmt: skip
OF_TEXT = {"confusion_forest", "tsne_vad", "vad_text"}
OF_AUDIO = {"confusion_audio", "reliability", "risk_coverage", "robustness", "tsne_audio"}


def run(folder, monkeypatch, *parts, **options):
    """Run the stage on made-up results; return the names of the figures and the tables behind them."""
    results.write(folder, *parts, **options)
    monkeypatch.chdir(folder)
    plot.main()
    tables = {path.stem: pd.read_csv(path) for path in plot.NUMBERS.iterdir()}
    return {path.stem for path in plot.FIGURES.iterdir()}, tables


def emotions(folder, branch="audio", model="trained"):
    table = predictions.read_emotion(folder / predictions.EMOTION)
    return table[(table["branch"] == branch) & (table["model"] == model)].reset_index(drop=True)


def ratings(folder, branch="text", model="trained", dimension="valence"):
    table = predictions.read_vad(folder / predictions.VAD)
    chosen = (table["branch"] == branch) & (table["model"] == model) & (table["dimension"] == dimension)
    return table[chosen].reset_index(drop=True)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plot")
    with pytest.MonkeyPatch.context() as patch:
        figures, tables = run(folder, patch, results.rows(), results.rows(), zero_shot=True)
    return folder, figures, tables


def test_all_figures_are_drawn_and_none_is_blank(drawn):
    folder, figures, _ = drawn
    assert figures == ALL
    for name in figures:
        assert image.imread(folder / f"metrics/figures/{name}.png")[..., :3].std() > 0.02, name


def test_the_same_data_give_the_same_bytes(drawn, tmp_path, monkeypatch):
    first = drawn[0]
    run(tmp_path, monkeypatch, results.rows(), results.rows(), zero_shot=True)
    files = [path.relative_to(tmp_path) for path in (tmp_path / "metrics").rglob("*") if path.is_file()]
    assert len(files) > len(ALL)
    assert not [file for file in files if (first / file).read_bytes() != (tmp_path / file).read_bytes()]


def test_scores_beside_baselines_are_those_of_the_evaluation(drawn):
    folder, _, tables = drawn
    found = tables["baselines"].set_index("name")
    statistics = json.loads((folder / predictions.STATISTICS).read_text())
    expected = {
        f"{branch} {title}, {score}, {label}": statistics[branch][target]["intervals"][model][key]
        for branch, target, title, score, key in (
            ("audio", "emotion", "emotion", "UAR", "uar"),
            ("audio", "emotion", "emotion", "WA", "accuracy"),
            ("forest", "emotion", "emotion", "UAR", "uar"),
            ("forest", "emotion", "emotion", "WA", "accuracy"),
            *(("text", "vad", name, "CCC", f"ccc.{name}") for name in DIMENSIONS),
        )
        for model, label in LABELS.items()
        if model in statistics[branch][target]["intervals"]
    }
    assert list(found.index) == list(expected)
    for name, interval in expected.items():
        for key in ("value", "low", "high"):
            number = np.nan if interval[key] is None else interval[key]
            assert found.loc[name, key] == pytest.approx(number, abs=1e-5, nan_ok=True)
    assert found.loc["audio emotion, UAR, majority", "note"] == "one answer for all"
    assert not [name for name in found.index if "uncalibrated" in name]


def test_a_forest_of_both_branches_stands_beside_those_of_one(tmp_path, monkeypatch):
    parts = results.rows(), results.rows()
    figures, tables = run(tmp_path, monkeypatch, *parts, targets=DIMENSIONS, forest=("text", "audio"))
    assert "confusion_forest" in figures
    found = tables["baselines"].set_index("name")
    for model in ("trained", "text_only", "audio_only", "zero_shot"):
        own = emotions(tmp_path, "forest", model)
        uar = recall_score(own["truth"], own["prediction"], average="macro")
        assert found.loc[f"forest emotion, UAR, {LABELS[model]}", "value"] == pytest.approx(uar, abs=1e-6)
    assert tables["confusion_forest"].to_dict() == emotions(tmp_path, "forest")[["truth", "prediction"]].to_dict()
    assert "forest" in set(tables["speakers"]["branch"])


def test_bins_of_the_reliability_diagram_are_those_of_the_evaluation(drawn):
    folder, _, tables = drawn
    statistics = json.loads((folder / predictions.STATISTICS).read_text())["audio"]["emotion"]
    for name in ("reliability", "reliability_before"):
        expected = pd.DataFrame(statistics[name])[reliability.COLUMNS]
        pd.testing.assert_frame_equal(tables[name], expected, check_dtype=False, atol=1e-5)


def test_the_curve_of_risk_ends_with_all_that_is_wrong(drawn):
    folder, _, tables = drawn
    audio, found = emotions(folder), tables["risk_coverage"]
    assert found["coverage"].iloc[-1] == 1
    assert found["risk"].iloc[-1] == pytest.approx((audio["truth"] != audio["prediction"]).mean(), abs=1e-5)


def test_speakers_have_the_recall_of_their_own_utterances_the_best_first(drawn):
    folder, _, tables = drawn
    audio, found = emotions(folder), tables["speakers"]
    for row in found[found["branch"] == "audio"].itertuples():
        own = audio[audio["speaker"] == row.speaker]
        assert row.utterances == len(own)
        assert row.uar == pytest.approx(recall_score(own["truth"], own["prediction"], average="macro"), abs=1e-5)
    scores = {"accuracy": 1, "utterances": 10}
    two = speakers.table({"audio": {"a": {"uar": 0.1} | scores, "b": {"uar": 0.9} | scores}})
    assert list(two["speaker"]) == ["b", "a"]


def test_histograms_hold_every_utterance(drawn):
    folder, _, tables = drawn
    found = tables["vad_text"]
    width = found["centre"].diff()[1]
    low = found["centre"] + width / 2 <= 3
    for name in DIMENSIONS:
        for column, model in (("prediction", "trained"), ("prediction", "zero_shot"), ("prediction", "nli"),
                              ("truth", "trained")):  # fmt: skip
            values = ratings(folder, "text", model, name)[column]
            counts = found[f"{name}_{'truth' if column == 'truth' else model}"] * width * len(values)
            assert counts.sum() == pytest.approx(len(values), abs=1e-3)
            assert counts[low].sum() == pytest.approx((values < 3).sum(), abs=1e-3)


def test_confusions_and_points_stand_for_the_utterances(drawn):
    folder, _, tables = drawn
    audio, forest = emotions(folder), emotions(folder, "forest")
    pd.testing.assert_frame_equal(tables["confusion_audio"], audio[["truth", "prediction"]])
    for name, whole in (("tsne_audio", audio), ("tsne_vad", forest)):
        assert list(tables[name]["utterance"]) == list(whole["utterance"])
        assert list(tables[name]["emotion"]) == list(whole["truth"])
        assert np.isfinite(tables[name][["x", "y"]].to_numpy()).all()


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((None, None), set()),
        ((results.rows(), None), ALL - OF_TEXT),
        ((None, results.rows()), ALL - OF_AUDIO),
        ((results.rows(classes=13), results.rows(classes=13)), ALL),
        (
            (results.rows(speakers=3, each=8), None),
            {"baselines", "confusion_audio", "reliability", "risk_coverage", "robustness", "training"},
        ),
        ((results.rows(speakers=90, each=12), None), ALL - OF_TEXT),
        ((results.rows().assign(speaker="", sex=""), None), ALL - OF_TEXT - {"speakers"}),
    ],
    ids=["none", "audio", "text", "13 classes", "8 utterances", "30 speakers", "speakers unknown"],
)
def test_what_cannot_be_drawn_is_left_out_and_its_table_keeps_the_header(parts, expected, tmp_path, monkeypatch):
    figures, tables = run(tmp_path, monkeypatch, *parts)
    assert figures == expected
    assert tables.keys() == ALL - {"training"} | {"reliability_before", "vad_audio"}
    filled = {name for name, table in tables.items() if len(table)} - {"reliability_before"}
    assert filled == expected - {"training"}
    assert all(len(table.columns) > 1 for table in tables.values())


@pytest.mark.parametrize("targets", [["arousal"], ["valence", "dominance"], list(DIMENSIONS)], ids=",".join)
def test_a_regression_is_drawn_as_one(targets, tmp_path, monkeypatch):
    figures, tables = run(tmp_path, monkeypatch, results.rows(), None, targets=targets)
    assert figures == {"baselines", "robustness", "training", "tsne_audio", "vad_audio"}
    found = tables["baselines"].set_index("name")
    statistics = json.loads((tmp_path / predictions.STATISTICS).read_text())
    for name in targets:
        ccc = statistics["audio"]["vad"]["intervals"]["trained"][f"ccc.{name}"]["value"]
        assert found.loc[f"audio {name}, CCC, trained", "value"] == pytest.approx(ccc, abs=1e-5)
        assert found.loc[f"audio {name}, CCC, mean", "value"] == 0
    densities = tables["vad_audio"].drop(columns="centre").dropna(axis=1)
    assert set(densities) == {f"{name}_{source}" for name in targets for source in ("truth", "trained")}
    assert densities.sum().to_numpy() * 4 / 32 == pytest.approx(1, abs=1e-4)
    assert len(tables["tsne_audio"]) == len(ratings(tmp_path, "audio", dimension=targets[0]))


def test_a_regression_shows_the_emotions_that_are_known(tmp_path, monkeypatch):
    rows = results.rows()
    rows.loc[rows.index[-12:], "emotion"] = ""
    figures, tables = run(tmp_path, monkeypatch, rows, None, targets=["arousal"])
    assert len(tables["tsne_audio"]) == 12
    (tmp_path / "none").mkdir()
    figures, _ = run(tmp_path / "none", monkeypatch, rows.assign(emotion=""), None, targets=["arousal"])
    assert figures == {"baselines", "robustness", "training", "vad_audio"}


def test_utterances_that_are_not_rated_are_in_no_histogram(tmp_path, monkeypatch):
    results.write(tmp_path, None, results.rows())
    table = predictions.read_vad(tmp_path / predictions.VAD)
    table.loc[table["utterance"].isin(table["utterance"].unique()[:20]), "truth"] = np.nan
    table.to_csv(tmp_path / predictions.VAD, index=False)
    monkeypatch.chdir(tmp_path)
    plot.main()
    found, rated = pd.read_csv(plot.NUMBERS / "vad_text.csv"), ratings(tmp_path).dropna()
    assert len(rated) == 4
    counts = found["valence_trained"] * found["centre"].diff()[1] * len(rated)
    assert counts.round(3).sum() == pytest.approx(len(rated), abs=0.01)
    assert counts.round(3).mod(1).max() == 0  # whole utterances
    assert len(pd.read_csv(plot.NUMBERS / "tsne_vad.csv")) == 24  # a point needs an emotion alone


def test_points_are_capped_and_spread_and_too_few_different_ones_give_no_picture():
    rows = pd.DataFrame({"utterance": [f"u/{i}" for i in range(30)], "emotion": "fear"})
    points = np.random.default_rng(0).normal(size=(30, 3))
    assert len(tsne.embed(rows, points)) == 30
    assert tsne.embed(rows, points)["x"].tolist() == tsne.embed(rows, points)["x"].tolist()
    assert tsne.embed(rows, np.ones((30, 3))).empty
    assert tsne.embed(rows[: tsne.LEAST - 1], points[: tsne.LEAST - 1]).empty
    assert len(tsne.embed(rows[: tsne.LEAST], points[: tsne.LEAST])) == tsne.LEAST
    assert tsne.embed(rows[:0], points[:0]).empty


def test_at_most_a_thousand_points_are_laid_out(monkeypatch):
    monkeypatch.setattr(tsne, "MOST", 12)
    rows = pd.DataFrame({"utterance": [f"u/{i}" for i in range(40)], "emotion": "fear"})
    found = tsne.embed(rows, np.random.default_rng(0).normal(size=(40, 3)))
    assert len(found) == 12
    assert found["utterance"].iloc[[0, -1]].tolist() == ["u/0", "u/39"]


def test_t_sne_keeps_groups_apart():
    generator = np.random.default_rng(0)
    group = np.repeat([0, 1], 30)
    rows = pd.DataFrame({"utterance": [f"u/{i}" for i in range(60)], "emotion": np.array(["fear", "anger"])[group]})
    found = tsne.embed(rows, generator.normal(size=(60, 10)) + 20 * group[:, None])
    points = found[["x", "y"]].to_numpy()
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(60)
    assert (group[distances.argmin(1)] == group).all()


def test_every_class_has_a_look_of_its_own():
    looks = [tuple(style.values()) for style in class_styles(EMOTIONS).values()]
    assert len(set(looks)) == len(EMOTIONS) == 13


def test_a_temperature_that_was_not_fitted_is_named():
    assert "not calibrated" in reliability.described({"temperature": None, "ece": 0.1, "ece_before": 0.1})


def test_odd_names_are_drawn_as_they_are(tmp_path):
    scores = {"accuracy": 1, "utterances": 10}
    names = {"$x$_{1": 0.5, "a" * 200: 0.7, "<b>": 0.1}
    table = speakers.table({"audio": {name: {"uar": uar} | scores for name, uar in names.items()}})
    speakers.draw(table, tmp_path / "speakers.png", 50)
    confusion.draw(pd.DataFrame({"truth": ["a"], "prediction": ["a"]}), tmp_path / "one.png", 50, "one class")
    assert (tmp_path / "speakers.png").stat().st_size > 1000


def test_scores_without_an_interval_are_drawn_as_markers(tmp_path):
    none = {"value": 0.5, "low": None, "high": None}
    lone = headline({"audio": {"emotion": {"intervals": {"trained": {"uar": none, "accuracy": none}}}}})
    assert lone["low"].isna().all()
    baselines.draw(lone, tmp_path / "baselines.png", 50)
    assert (tmp_path / "baselines.png").is_file()
