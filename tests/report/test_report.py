"""The report says what was found, needs nothing but itself, and nothing in it is cut off."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest
import yaml

from emopipe.audio.model import Choice
from emopipe.report import mistakes, sentences
from emopipe.report.formatting import p_value, score
from emopipe.report.grid import grid_of
from emopipe.results.scores import headline
from emopipe.schemas import predictions
from emopipe.schemas.manifest import DIMENSIONS
from helpers import results
from stages import plot

VOID = {"meta", "img", "br", "link", "input", "hr", "line", "circle"}
PICTURES = 8
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
EVIL = "synthetic/<script>alert(1)</script>"
LONG = "synthetic/" + "x" * 120


class Page(HTMLParser):
    """Collects elements and text; fails where an end does not match its beginning."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def report(folder, *parts, **options):
    """Run the stage on made-up results and return the page."""
    results.write(folder, *parts, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plot.main()
    return (folder / plot.REPORT).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    rows = results.rows()
    rows["speaker"] = rows["speaker"].replace({"synthetic/s04": EVIL, "synthetic/s01": LONG})
    return folder, report(folder, rows, rows.assign(speaker=""), zero_shot=True)


def statistics(folder):
    return json.loads((folder / predictions.STATISTICS).read_text())


def tables(page):
    """Return the rows of every table as lists of cells, by the table's name."""
    found = {}
    for name, body in re.findall(r'<table[^>]* aria-label="([^"]*)">(.*?)</table>', page, re.DOTALL):
        found[html.unescape(name)] = [
            [html.unescape(re.sub(r"<title>.*?</title>|<[^>]*>", "", cell)).strip() for cell in re.findall(CELL, row)]
            for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)
        ]
    return found


CELL = re.compile(r"<t[hd][ >].*?</t[hd]>", re.DOTALL)


def test_it_is_well_formed_and_needs_nothing_else(made):
    page = Page(made[1])
    tags = [tag for tag, _ in page.elements]
    assert not {"script", "link", "iframe", "object", "embed"} & set(tags)
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "img":
            assert attributes["src"].startswith("data:image/png;base64,")
            assert len(attributes["alt"]) > 20
        if tag == "a":
            assert attributes["href"][1:] in {other.get("id") for _, other in page.elements}
        if tag == "audio":
            assert attributes["src"].startswith("../data/audio/")
    assert "http" not in re.sub(r"base64,[^\"]*", "", made[1])
    assert "url(" not in made[1]
    assert "@import" not in made[1]
    assert tags.count("img") == PICTURES


def test_it_can_be_used_without_seeing_it(made):
    page = Page(made[1])
    for tag, attributes in page.elements:
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
        if tag in ("table", "audio") or attributes.get("role") in ("region", "img"):
            assert attributes["aria-label"]
    assert [tag for tag, _ in page.elements if tag in ("h1", "h2")].count("h1") == 1


def test_what_users_name_is_shown_and_never_run(made):
    assert EVIL not in made[1]
    assert html.escape(EVIL) in made[1]
    assert EVIL in Page(made[1]).text


def test_the_first_table_has_a_row_for_each_score_and_a_column_for_each_model(made):
    folder, page = made
    head, *rows = tables(page)["Scores on the test set"]
    assert head == ["on the test set", "score", "trained", "zero-shot", "zero-shot NLI", "majority or mean"]
    assert [row[:2] for row in rows] == [
        ["audio emotion", "UAR"], ["audio emotion", "WA"], ["forest emotion", "UAR"], ["forest emotion", "WA"],
        ["text valence", "CCC"], ["text arousal", "CCC"], ["text dominance", "CCC"],
    ]  # fmt: skip
    found = statistics(folder)
    uar = [
        found["audio"]["emotion"]["intervals"][model]["uar"]["value"] for model in ("trained", "zero_shot", "majority")
    ]
    assert rows[0][2:] == [score(uar[0]), score(uar[1]), "–", score(uar[2])]
    ccc = found["text"]["vad"]["intervals"]
    assert rows[4][2:] == [
        score(ccc[model]["ccc.valence"]["value"]) for model in ("trained", "zero_shot", "nli", "mean")
    ]


def test_intervals_are_drawn_where_they_are():
    three = {
        "trained": {"value": 0.6, "low": 0.5, "high": 0.75},
        "zero_shot": {"value": 0.3, "low": None, "high": None, "note": "of one speaker"},
        "mean": {"value": 0.0, "low": -0.25, "high": 0.1},
    }
    intervals = {model: {"ccc.valence": found} for model, found in three.items()}
    grid = grid_of(headline({"text": {"vad": {"intervals": intervals}}}))
    assert grid.floors == {"CCC": -0.3}
    (row,) = grid.rows
    ours, other, mean = row.cells
    assert (ours.low, ours.at, ours.high) == (pytest.approx(61.5), pytest.approx(69.2), pytest.approx(80.8))  # of 1.3
    assert ours.described == "95 % interval [0.500, 0.750]"
    assert (other.low, other.high, other.described) == (None, None, "no interval: of one speaker")
    assert row.reference == mean.at == pytest.approx(23.1)


def test_the_page_draws_an_interval_for_every_score_that_has_one(made):
    folder, page = made
    drawn = re.findall(r'<line class="interval" x1="([\d.]+)%" x2="([\d.]+)%"', page)
    rows = headline(statistics(folder))
    assert len(drawn) == rows["low"].notna().sum() > 10
    assert len(re.findall("<circle", page)) == len(rows)
    found = statistics(folder)["text"]["vad"]["intervals"]["trained"]["ccc.dominance"]
    floor = grid_of(rows).floors["CCC"]
    place = [f"{100 * (found[key] - floor) / (1 - floor):.1f}" for key in ("low", "high")]
    assert tuple(place) in drawn


def test_the_confusion_beside_it_counts_the_utterances(made):
    folder, page = made
    table = predictions.read_emotion(folder / predictions.EMOTION)
    own = table[(table["branch"] == "audio") & (table["model"] == "trained")]
    head, *rows = tables(page)["Confusion of audio emotions, shares of each row"]
    labels = sorted(set(own["truth"]))
    assert head[1:] == labels
    for label, row in zip(labels, rows, strict=True):
        answers = own.loc[own["truth"] == label, "prediction"]
        expected = [(answers == other).mean() for other in labels]
        assert row == [label, *(f"{share:.2f}" if share else "0" for share in expected)]


def test_the_worst_mistakes_can_be_read_and_listened_to(made):
    folder, page = made
    table = predictions.read_emotion(folder / predictions.EMOTION)
    own = table[(table["branch"] == "audio") & (table["model"] == "trained")]
    wrong = own[own["truth"] != own["prediction"]]
    chances = wrong.set_index("utterance").filter(like="p_").max(axis=1).sort_values(ascending=False)[:10]
    head, *rows = tables(page)["Audio: highest confidence in a wrong emotion"]
    assert head == ["utterance", "truth", "prediction", "confidence", "transcript", "recording"]
    assert [row[0] for row in rows] == list(chances.index)
    assert [row[3] for row in rows] == [f"{chance:.2f}" for chance in chances]
    assert {row[4] for row in rows} == {"These are the words."}
    players = [attributes for tag, attributes in Page(page).elements if tag == "audio"]
    assert players[0]["src"] == f"../data/audio/{chances.index[0]}.flac"
    assert players[0]["preload"] == "none"
    assert "controls" in players[0]
    assert "stay silent in a copy of this page elsewhere" in Page(page).text


def test_the_worst_ratings_are_those_with_the_largest_error(made):
    folder, page = made
    table = predictions.read_vad(folder / predictions.VAD)
    own = table[(table["branch"] == "text") & (table["model"] == "trained")]
    errors = (own["prediction"] - own["truth"]).abs().groupby(own["utterance"]).max().sort_values(ascending=False)
    _, *rows = tables(page)["Text: largest error on the scale of 1 to 5"]
    assert [row[0] for row in rows] == list(errors.index[:10])
    assert [row[4].lstrip("+−") for row in rows] == [score(error) for error in errors[:10]]


def test_what_has_no_recording_or_transcript_has_no_column_and_names_are_escaped():
    rows = [(f"c/odd #{i}?", "fear", "anger", 0.5 + i / 10) for i in range(3)] + [("c/right", "anger", "anger", 0.9)]
    table = pd.DataFrame(rows, columns=["utterance", "truth", "prediction", "p_anger"])
    silent = mistakes.emotions(table, "audio", mistakes.Utterances({}, ()))
    assert silent.columns == ["utterance", "truth", "prediction", "confidence"]
    assert [row[0].text for row in silent.rows] == ["c/odd #2?", "c/odd #1?", "c/odd #0?"]
    found = mistakes.emotions(table, "audio", mistakes.Utterances({}, {"c/odd #1?"}))
    assert [row[-1].audio for row in found.rows] == ["", "../data/audio/c/odd%20%231%3F.flac", ""]


def test_it_holds_the_numbers(made):
    folder, text = made[0], Page(made[1]).text
    found = statistics(folder)
    for branch in ("audio", "forest"):
        part = found[branch]["emotion"]
        for label in ("anger", "boredom", "calm", "contempt"):
            assert score(part["intervals"]["trained"][f"recall.{label}"]["value"]) in text
        for own in part["tests"].values():
            assert score(own["uar"]["difference"], "+") in text
            assert p_value(own["mcnemar_p"]) in text
    assert score(found["text"]["vad"]["intervals"]["trained"]["ccc.mean"]["value"]) in text
    for name in ("zero_shot", "nli", "mean"):
        assert score(found["text"]["vad"]["tests"][name]["ccc.valence"]["difference"], "+") in text, name
    for word in (
        "Trained minus zero-shot",
        "Trained minus zero-shot NLI",
        "Trained minus mean",
        "Trained minus majority",
    ):
        assert word in text
    assert "WA by McNemar's test" in text
    assert "someone/mnli" in text
    assert "before after T = 1.500" in text
    assert "0.090 0.050" in text


def test_it_says_on_what(made):
    text = Page(made[1]).text
    assert "the weights of epoch 3, the last, of a training on train and dev together; 1,234,567 trainable" in text
    assert (
        "Audio a head on the frozen …/base, trained on 96 utterances of 4 speakers (synthetic), tested on 24 "
        "utterances of 1 other speaker." in text
    )
    assert (
        "Text an ensemble of 2 fine-tuned …/base, trained on 72 utterances (synthetic), tested on 24 utterances of "
        "speakers who are not known." in text
    )
    assert "Forest a random forest of 100 trees on the VAD predicted from text, tested on 24 utterances." in text
    assert "synthesiser" in text
    assert "silent 3" in text
    assert "anger 18 (3) 6 (1) 6 (1)" in text
    assert "train, test 1 2 left out of the set that is held out less" in text
    assert "Some of the data was left out or read in another way; what, and how much, stands under Data." in text
    assert "audio split 2 of 9 utterances left out: not rated" in text


FEATURES = {
    ("frozen", 1, 1): "a head on the frozen b", ("frozen", "all", 4): "an ensemble of 4 heads on the frozen b",
    ("both", 0, 1): "a head on the frozen b", ("both", 1, 1): "b, the last block fine-tuned",
    ("finetuned", 2, 3): "an ensemble of 3 b, the last 2 blocks fine-tuned",
    ("finetuned", "all", 1): "b, all blocks fine-tuned",
}  # fmt: skip


@pytest.mark.parametrize("case", FEATURES)
def test_a_backbone_is_called_fine_tuned_only_where_it_was(case):
    settings = dict(zip(("features", "trainable_layers", "ensemble_size"), case, strict=True))
    config = {"model": settings, "provenance": {"backbone": {"name": "b"}}}
    assert sentences.audio_model(config) == FEATURES[case]


@pytest.mark.parametrize(
    ("blocks", "trainable", "size", "method", "expected"),
    [
        (5, 2, 4, "weights", "b with 4 heads, blocks 4 and 5 fine-tuned"),
        (6, 1, 1, "lora", "b with a head, block 6 fine-tuned by low-rank changes"),
        (3, 3, 2, "weights", "b with 2 heads, blocks 1, 2 and 3 fine-tuned"),
    ],
)
def test_the_blocks_that_were_tuned_are_named(blocks, trainable, size, method, expected):
    config = {
        "model": {"features": "tuned_layers", "trainable_layers": trainable, "ensemble_size": size},
        "provenance": {"backbone": {"name": "b"}, "blocks": blocks, "trainable_layers": trainable},
        "train": {"tuning": {"method": method}},
    }
    assert sentences.audio_model(config) == expected


def test_how_much_of_a_tuning_is_kept_and_what_dev_said_of_it_is_told():
    choice = Choice(0.5, {"0": 1.2, "0.5": 1.0}, 0.1, 0.61, 0.5)._asdict()
    config = {"epochs": [3], "selection_metric": "uar", "tuning": choice}
    words = "; then blocks and heads were trained together, and 0.5 of the change is kept: UAR 0.610 on dev, "
    assert sentences.weights(config, "none").endswith(f"{words}frozen 0.500")
    config["tuning"] = choice | {"share": 0.0}
    assert sentences.weights(config, "none").endswith("was no better on dev, and is not kept")
    config["tuning"] = Choice(0.0, {})._asdict()
    assert sentences.weights(config, "none").endswith("one dev speaker cannot tell whether that is better")
    assert "tuned" not in sentences.weights(config | {"tuning": None}, "none")


def test_a_frozen_backbone_is_nowhere_called_fine_tuned(tmp_path):
    page = report(tmp_path, results.rows(), None)
    assert "tuned" not in Page(page).text.replace("finetuned", "").replace("tuned_layers", "").lower()
    assert "tuned" not in " ".join(alt for _, attributes in Page(page).elements if (alt := attributes.get("alt")))
    assert "tuned" not in (tmp_path / "metrics/plots/baselines.csv").read_text()


def test_a_score_without_an_interval_says_why(made):
    assert results.ONE in Page(made[1]).text


def test_it_shows_every_parameter_but_how_it_ran_and_no_folder_of_anybody(made):
    page = Page(made[1])
    shown = yaml.safe_load(next(word for word in page.words if word.startswith("data:\n")))
    expected = yaml.safe_load((made[0] / "params.yaml").read_text())
    del expected["runtime"]
    expected["data"]["audio"]["corpora"] = ["emodb:…/emodb"]
    for branch in "audio", "text":
        expected["split"][branch]["test_corpora"] = []  # null in the file
    expected["encode"]["speed_perturbation"] = expected["encode"]["conditions"] = []
    expected["train"]["tuning"]["lora"]["targets"] = []
    assert shown == expected
    for word in ("/home", "/weights", str(made[0])):
        assert word not in page.text
    for word in results.ORIGIN["sha256"], "r1", "torch 2.0", "make repro", "1,234,567 trainable":
        assert word in page.text


def test_a_regression_is_reported_as_one(tmp_path):
    text = Page(report(tmp_path, results.rows(), None, targets=["arousal", "valence"])).text
    assert "How high, from 1 to 5, are arousal and valence of a recording of speech?" in text
    found = statistics(tmp_path)["audio"]["vad"]
    for name in ("ccc.arousal", "ccc.mean", "mse.valence"):
        assert score(found["intervals"]["trained"][name]["value"]) in text
        assert score(found["tests"]["mean"][name]["difference"], "+") in text
    assert "Trained minus mean" in text
    assert "the weights of epochs 3 and 4, the best on dev by CCC, of a training on train and dev together" in text
    assert "3 models were trained apart" in text
    for word in ("Recall of each emotion", "Calibration", "McNemar's test takes"):
        assert word not in text


@pytest.mark.parametrize("forest", [("text", "audio"), ("audio",)], ids=" and ".join)
def test_a_forest_of_audio_is_reported_beside_those_of_one_branch(tmp_path, forest):
    rows = results.rows()
    page = report(tmp_path, rows, rows, targets=DIMENSIONS, forest=forest)
    text, found = Page(page).text, statistics(tmp_path)["forest"]["emotion"]
    for word in ("Trained minus text only", "Trained minus audio only"):
        assert (word in text) == ("text" in forest)
    assert "Trained minus majority" in text
    row = next(row for row in tables(page)["Scores on the test set"] if row[:2] == ["forest emotion", "UAR"])
    assert row[2] == score(found["intervals"]["trained"]["uar"]["value"])
    for name, worth in found["importance"].items():
        assert f"{name.replace('_', ' ')} {score(worth['mean'])} {score(worth['std'])}" in text
    assert f"on the VAD predicted from {' and '.join(forest)}" in text
    assert "Confusion of forest emotions, shares of each row" in tables(page)


def test_speakers_of_the_training_are_named(tmp_path):
    rows = results.rows()
    rows.loc[rows["split"] == "test", "speaker"] = "synthetic/s00"
    text = Page(report(tmp_path, rows)).text
    assert "Audio: 1 of the 1 test speaker spoke in train or dev as well" in text
    assert "tested on 24 utterances of 1 speaker." in text


def test_the_text_regressor_is_trained_on_what_is_rated(tmp_path):
    rows = results.rows()
    rows.loc[rows.index[:48], DIMENSIONS] = float("nan")
    assert "fine-tuned …/base, trained on 24 utterances of 1 speaker (" in Page(report(tmp_path, None, rows)).text


@pytest.mark.parametrize(("targets", "score", "labels"), [((), "UAR of the file", True), (DIMENSIONS, "CCC", False)])
def test_an_exported_file_is_shown_beside_the_model(tmp_path, targets, score, labels):
    page = Page(report(tmp_path, results.rows(), None, targets=targets))
    assert "12.96 MB in int8" in page.text and "in a process without emopipe" in page.text
    assert score in page.text and "0.695" in page.text and ("labels that are others" in page.text) is labels


@pytest.mark.parametrize(("branches", "off"), [((True, False), 1), ((False, True), 1), ((False, False), 2)])
def test_a_branch_that_is_off_is_named_in_a_line(branches, off, tmp_path):
    page = Page(report(tmp_path, *(results.rows() if on else None for on in branches)))
    assert page.text.count("this branch is switched off") == off
    anchors = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert ("audio" in anchors, "text" in anchors) == branches
    assert ("Nothing was tested." in page.text) == (off == 2)


def browse(*arguments):
    """Run a browser without a window; skip where there is none."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
    ran = subprocess.run([browser, *flags, *arguments], capture_output=True, text=True, timeout=120, check=True)
    return ran.stdout


MEASURE = """
const wide = [...inner.body.querySelectorAll("*")].filter(
  e => !e.parentElement.closest(".scroll") && e.getBoundingClientRect().right > width + 1);
const small = [...inner.querySelectorAll("p, td, th, figcaption, pre")].map(
  e => parseFloat(frame.contentWindow.getComputedStyle(e).fontSize));
document.title = JSON.stringify({page: inner.documentElement.scrollWidth, wide: wide.map(e => e.outerHTML.slice(0, 80)),
  smallest: Math.min(...small), pictures: [...inner.images].filter(i => i.naturalWidth > 0).length});
"""


FIRST = """
const [scores, confusion] = [...inner.querySelector(".screen").children].map(e => e.getBoundingClientRect());
document.title = JSON.stringify({bottom: Math.max(scores.bottom, confusion.bottom),
  beside: scores.right <= confusion.left, wide: [...inner.querySelectorAll(".screen .scroll")].filter(
  e => e.scrollWidth > e.clientWidth + 1).length});
"""


@pytest.mark.parametrize(("targets", "classes"), [((), 5), (DIMENSIONS, 5), (DIMENSIONS, 7)])
def test_scores_and_confusion_are_seen_without_scrolling(tmp_path, targets, classes):
    rows = results.rows(classes=classes)
    page = report(tmp_path, rows, rows, targets=targets, zero_shot=True, forest=("text", "audio"))
    found = measure(page, tmp_path, 1280, FIRST)
    assert found["bottom"] <= 800
    assert found["wide"] == 0
    assert found["beside"]


def measure(page, folder, width, script):
    """Return what a script finds in the page, shown in a frame of some width."""
    frame = f'<iframe style="width:{width}px;height:800px;border:0" srcdoc="{html.escape(page)}"></iframe>'
    begin = 'const frame = document.querySelector("iframe"), inner = frame.contentDocument, width = frame.clientWidth;'
    script = f"<script>window.onload = () => {{ {begin} {script} }}</script>"
    (folder / "frame.html").write_text(f"<!DOCTYPE html><title></title>{frame}{script}", encoding="utf-8")
    dom = browse(f"--window-size={width + 100},900", "--dump-dom", (folder / "frame.html").as_uri())
    return json.loads(html.unescape(re.search(r"<title>(.*?)</title>", dom).group(1)))


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("opened", [False, True], ids=["folded", "open"])
def test_nothing_is_cut_off(made, tmp_path, width, opened):
    page = made[1].replace("<details>", "<details open>") if opened else made[1]
    found = measure(page, tmp_path, width, MEASURE)
    assert found["page"] <= width
    assert found["wide"] == []
    assert found["smallest"] >= 12
    assert found["pictures"] == PICTURES


def test_it_prints(made, tmp_path):
    browse(f"--print-to-pdf={tmp_path / 'report.pdf'}", (made[0] / plot.REPORT).as_uri())
    pdf = (tmp_path / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 50_000


def test_a_model_without_thresholds_is_reported_without_them(tmp_path):
    results.write(tmp_path, results.rows(), None)
    path, found = tmp_path / predictions.STATISTICS, statistics(tmp_path)
    del found["audio"]["emotion"]["selection"]
    path.write_text(json.dumps(found))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        plot.main()
    text = Page((tmp_path / plot.REPORT).read_text(encoding="utf-8")).text
    assert "Calibration" in text and "Leaving answers out" not in text


def test_what_is_promised_is_said_with_its_limits():
    sets = {"share": 0.9, "guarantee": "speaker", "covered": 0.92, "worst": 0.8, "size": 1.5, "labels": 4}
    assert "not proven" in sentences.sets(sets, "all_epochs") and "not proven" not in sentences.sets(sets, "none")
    assert "worst speaker" in sentences.sets(sets, "none")
    assert "worst speaker" not in sentences.sets(sets | {"worst": None}, "none")
