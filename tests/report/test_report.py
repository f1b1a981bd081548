"""The report says what was found, needs nothing but itself, and nothing in it is cut off."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
import yaml

from emopipe.report.page import p_value, score
from emopipe.schemas import predictions
from emopipe.schemas.manifest import DIMENSIONS
from helpers import results
from stages import plot

VOID = {"meta", "img", "br", "link", "input", "hr"}
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
    assert "http" not in re.sub(r"base64,[^\"]*", "", made[1])
    assert "url(" not in made[1]
    assert "@import" not in made[1]
    assert tags.count("img") == 9


def test_what_users_name_is_shown_and_never_run(made):
    assert EVIL not in made[1]
    assert html.escape(EVIL) in made[1]
    assert EVIL in Page(made[1]).text


def test_it_holds_the_numbers(made):
    folder, text = made[0], Page(made[1]).text
    details = json.loads((folder / predictions.DETAILS).read_text())
    uar = details["audio"]["intervals"]["uar"]
    assert f"UAR {score(uar['value'])}" in text
    for label in ("anger", "boredom", "calm", "contempt"):
        assert score(details["audio"]["intervals"][f"recall.{label}"]["value"]) in text
    for tests in (details["audio"]["tests"], details["text"]["emotion"]["tests"]):
        for found in tests.values():
            assert score(found["uar"]["difference"], "+") in text
            assert p_value(found["mcnemar_p"]) in text
    assert score(details["text"]["vad"]["intervals"]["ccc.mean"]["value"]) in text
    for name, found in details["text"]["vad"]["tests"].items():
        assert score(found["ccc.valence"]["difference"], "+") in text, name
    for word in ("minus zero-shot", "minus zero-shot NLI", "minus mean predictor", "Fine-tuned minus majority"):
        assert word in text
    assert "accuracy by McNemar's test" in text
    assert "someone/mnli" in text
    assert "before after T = 1.500" in text
    assert "0.090 0.050" in text


def test_it_says_on_what(made):
    text = Page(made[1]).text
    assert "the weights of epoch 3, the last, of a training on train and dev together; 1,234,567 trainable" in text
    assert "Trained on 72 utterances of 3 speakers (demo), on top of …/base" in text
    assert "tested on 24 of 1 speakers (demo). None of the known test speakers is in train or dev." in text
    assert "Who speaks in the test set is not known." in text  # of text
    assert "synthetic" in text
    assert "3: silent" in text
    assert "anger 18 (3) 6 (1) 6 (1)" in text
    assert "train, test 1 2 left out of the set that is held out less" in text


def test_a_score_without_an_interval_says_why(made):
    text = Page(made[1]).text
    assert "one speaker or utterance says nothing of others" in text


def test_it_shows_every_parameter_but_how_it_ran_and_no_folder_of_anybody(made):
    page = Page(made[1])
    shown = yaml.safe_load(next(word for word in page.words if word.startswith("data:\n")))
    expected = yaml.safe_load((made[0] / "params.yaml").read_text())
    del expected["runtime"]
    expected["data"]["audio"]["corpora"] = ["emodb:…/emodb"]
    assert shown == expected
    for word in ("/home", "/weights", str(made[0])):
        assert word not in page.text
    for word in results.ORIGIN["sha256"], "r1", "torch 2.0", "make repro", "1,234,567 trainable":
        assert word in page.text


def test_a_regression_is_reported_as_one(tmp_path):
    text = Page(report(tmp_path, results.rows(), None, targets=["arousal", "valence"])).text
    assert "How high, from 1 to 5, are the arousal and valence of a recording?" in text
    details = json.loads((tmp_path / predictions.DETAILS).read_text())["audio"]
    for name in ("ccc.arousal", "ccc.mean", "mse.valence"):
        assert score(details["intervals"][name]["value"]) in text
        assert score(details["tests"]["mean_predictor"][name]["difference"], "+") in text
    assert "minus mean predictor" in text
    assert "the weights of epoch 3, 4, the best on dev by CCC, of a training on train and dev together" in text
    assert "the mean of 3 members that were trained apart" in text
    for word in ("Recall of each emotion", "Calibration", "McNemar's test takes"):
        assert word not in text


@pytest.mark.parametrize("forest", [("text", "audio"), ("audio",)], ids=" and ".join)
def test_a_forest_that_hears_is_reported_beside_those_of_one_branch(tmp_path, forest):
    rows = results.rows()
    page = Page(report(tmp_path, rows, rows, targets=DIMENSIONS, forest=forest))
    details = json.loads((tmp_path / predictions.DETAILS).read_text())["forest"]
    alone = ["Forest minus text alone", "Forest minus audio alone", "Forest minus zero-shot"]
    for word in alone:
        assert (word in page.text) == ("text" in forest)
    assert "Forest minus majority" in page.text
    assert "forest emotion fine-tuned UAR " + score(details["intervals"]["uar"]["value"]) in page.text
    for name, worth in details["importance"].items():
        assert f"{name.replace('_', ' ')} {score(worth['mean'])} {score(worth['std'])}" in page.text
    assert page.text.count("is shuffled among the test utterances") == 1
    assert "the forest hears, and does not read" not in page.text  # the made-up text branch has an emotion
    assert any(
        attributes.get("alt", "").startswith("Confusion matrix of the emotions that the forest")
        for _, attributes in page.elements
    )


def test_what_the_inputs_are_worth_to_a_forest_that_reads_stands_with_text(made):
    page = Page(made[1])
    assert "text valence 0.011 0.020" in page.text
    assert not [1 for _, attributes in page.elements if attributes.get("id") == "forest"]


def test_speakers_that_were_heard_in_training_are_said(tmp_path):
    rows = results.rows()
    rows.loc[rows["split"] == "test", "speaker"] = "synthetic/s00"
    assert "1 of the 1 test speakers are in train or dev as well." in Page(report(tmp_path, rows)).text


@pytest.mark.parametrize(("branches", "off"), [((True, False), 1), ((False, True), 1), ((False, False), 2)])
def test_a_branch_that_is_off_is_said_in_a_line(branches, off, tmp_path):
    page = Page(report(tmp_path, *(results.rows() if on else None for on in branches)))
    assert page.text.count("This branch is switched off") == off
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
const frame = document.querySelector("iframe"), inner = frame.contentDocument, width = frame.clientWidth;
const wide = [...inner.body.querySelectorAll("*")].filter(
  e => !e.parentElement.closest(".scroll") && e.getBoundingClientRect().right > width + 1);
const small = [...inner.querySelectorAll("p, td, th, figcaption, pre")].map(
  e => parseFloat(frame.contentWindow.getComputedStyle(e).fontSize));
document.title = JSON.stringify({page: inner.documentElement.scrollWidth, wide: wide.map(e => e.outerHTML.slice(0, 80)),
  smallest: Math.min(...small), pictures: [...inner.images].filter(i => i.naturalWidth > 0).length});
"""


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off(made, tmp_path, width):
    frame = f'<iframe style="width:{width}px;height:800px;border:0" srcdoc="{html.escape(made[1])}"></iframe>'
    script = f"<script>window.onload = () => {{ {MEASURE} }}</script>"
    (tmp_path / "frame.html").write_text(f"<!DOCTYPE html><title></title>{frame}{script}", encoding="utf-8")
    dom = browse(f"--window-size={width + 100},900", "--dump-dom", (tmp_path / "frame.html").as_uri())
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", dom).group(1)))
    assert found["page"] <= width
    assert found["wide"] == []
    assert found["smallest"] >= 12
    assert found["pictures"] == 9


def test_it_prints(made, tmp_path):
    browse(f"--print-to-pdf={tmp_path / 'report.pdf'}", (made[0] / plot.REPORT).as_uri())
    pdf = (tmp_path / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 50_000
