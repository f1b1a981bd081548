"""The page in a real browser: what it shows is what `emopipe predict` answers, whoever computes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile
import soxr

from emopipe.io.cache import cache_folder
from emopipe.page import folder as static_page
from emopipe.page import runtime
from emopipe.recognition import detection
from emopipe.recognition.segmentation import Cutting, pieces
from emopipe.recognition.speech import Recognizer
from helpers.bad_recordings import audio
from helpers.browser import file_host
from helpers.served import TOKEN, Served
from helpers.small_corpus import train_small

NUMBERS = {"service": 0, "browser": 2e-3}  # by how much the answer of a network of random weights may differ
TIMES = {"service": 0, "browser": 1e-3}  # s


@pytest.fixture(scope="module")
def made(model, recordings, tmp_path_factory):
    """Return the page as a folder, with a float32 model in it."""
    if not (cache_folder() / "npm").is_dir() and shutil.which("npm") is None:
        pytest.skip("no npm, which fetches ONNX Runtime for browsers")
    made = tmp_path_factory.mktemp("page") / "folder"
    static_page.export(Recognizer.load(model, device="cpu"), "float32", made, str(recordings[0].parent))
    return made


@pytest.fixture(scope="module", params=["service", "browser"])
def site(request, model, tmp_path_factory):
    """Return who computes, and the address of the page."""
    if request.param == "browser":
        with file_host(request.getfixturevalue("made")) as address:
            yield "browser", address
        return
    service = Served(model, tmp_path_factory.mktemp("served"), "--max-bytes", 3_000_000, token=None)
    yield "service", f"{service.url}/"
    service.end()


@pytest.fixture(scope="module")
def page(site, chromium):
    """Return the page, opened; it has sent nothing to another host when all tests are done."""
    with chromium(viewport={"width": 1280, "height": 900}) as opened:
        opened.open(site[1])
        yield opened
        assert all(one.url.startswith((site[1], "blob:", "data:")) for one in opened.requests)
        if site[0] == "browser":
            assert {one.method for one in opened.requests} == {"GET"}
        assert not opened.errors


@pytest.fixture(scope="module")
def speech(recordings) -> tuple[np.ndarray, int]:
    """Return utterances with pauses between, float64 [samples], and their rate."""
    parts = [soundfile.read(file) for file in recordings[:3]]
    pause = np.zeros(parts[0][1])
    return np.concatenate([part for samples, _ in parts for part in (samples, pause)]), parts[0][1]


def wav(speech):
    samples, rate = speech
    return audio((samples * 32767).astype(np.int16), rate)


def agree(engine, found, expected):
    assert found["status"].tolist() == [row["status"] for row in expected]
    for name in found.columns.intersection(["emotion"]):
        assert found[name].fillna("").tolist() == [row[name] or "" for row in expected]
    for name in found.columns.difference(["file", "emotion", "status", "reason"]):
        values = np.array([row[name] for row in expected], float)
        tolerance = TIMES[engine] if name in ("start", "end") else NUMBERS[engine]
        np.testing.assert_allclose(found[name], values, atol=tolerance, rtol=0, err_msg=name)


KINDS = [("WAV", 16_000, 1), ("WAV", 44_100, 2), ("FLAC", 48_000, 1), ("WAV", 8_000, 1), ("FLAC", 22_050, 2)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_file_is_answered_as_by_predict(site, page, predicted, speech, kind):
    form, rate, channels = kind
    samples = speech[0][: 4 * rate]
    sound = np.column_stack([samples, np.roll(samples, 99)])[:, :channels]
    content = audio((sound * 32767).astype(np.int16), rate, form)
    page.drop("some speech.wav", content)
    (expected,) = predicted([content])
    found = page.rows()
    assert set(found["file"]) == {"some speech.wav"} and page.text("problem") == ""
    agree(site[0], found, expected)
    columns = ["file", *expected[0]]
    assert [name for name in columns if name != "spread"] == [name for name in found.columns if name != "spread"]
    assert page.page.locator("#rows tr").count() == len(expected)
    assert page.page.locator("#rows").inner_text().count("no speech") == sum(
        row["status"] == "no_speech" for row in expected
    )


@pytest.mark.parametrize("kind", ["MP3", "OGG"])
def test_a_compressed_file_is_answered_nearly_so(site, page, predicted, speech, kind):
    content = audio((speech[0] * 32767).astype(np.int16), speech[1], kind)
    page.drop(f"speech.{kind.lower()}", content)
    (expected,) = predicted([content])
    found = page.rows()
    assert abs(found["end"].max() - expected[-1]["end"]) < 0.1  # decoders leave other delays
    seconds = {"found": found.to_dict("records"), "expected": expected}
    answered = {key: sum(r["end"] - r["start"] for r in rows if r["status"] == "ok") for key, rows in seconds.items()}
    assert answered["found"] == pytest.approx(answered["expected"], abs=0.2)


@pytest.mark.parametrize("way", ["speech", "windows"])
def test_segments_are_chosen(site, page, predicted, speech, way):
    content = wav(speech)
    page.page.select_option("#segments", "auto")
    page.drop("a.wav", content)
    page.page.select_option("#segments", way)
    words = ["--segments", way]
    if way == "windows":
        page.page.fill("#window", "0.7")
        page.page.press("#window", "Tab")
        words += ["--window", "0.7"]
    page.answered()
    (expected,) = predicted([content], *words)
    if speech[1] != 16_000 and site[0] == "browser" and way == "windows":
        expected[-1]["end"] = page.rows()["end"].iloc[-1]  # a sample more or less
    agree(site[0], page.rows(), expected)
    page.page.select_option("#segments", "auto")
    page.answered()


def test_a_textgrid_holds_the_same(page, speech, tmp_path):
    textgrid = pytest.importorskip("praatio.textgrid", reason="praatio is an extra, and not installed")
    page.drop("a.wav", wav(speech))
    rows = page.rows()
    (tmp_path / "a.TextGrid").write_text(page.download("textgrid"))
    grid = textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=False)
    for name in ("emotion", "status"):
        entries = grid.getTier(name).entries
        known = rows[rows[name].notna()]
        assert [entry.label for entry in entries] == known[name].tolist()
        np.testing.assert_allclose([entry.start for entry in entries], known["start"], atol=1e-4)
        np.testing.assert_allclose([entry.end for entry in entries], known["end"], atol=1e-4)


def test_no_answer_where_it_is_not_certain_enough(page, speech):
    page.drop("a.wav", wav(speech))
    rows = page.rows()
    confidences = rows["confidence"].dropna().to_numpy()
    least = int(np.median(confidences) * 100) + 1
    page.page.evaluate(
        "(value) => { const own = document.getElementById('least'); own.value = value;"
        " own.dispatchEvent(new Event('input')); }",
        least,
    )
    shown = page.page.locator("#rows").inner_text().count("not certain enough")
    assert shown == (confidences < least / 100).sum() > 0
    assert "% of recordings like those of its dev set are answered" in page.text("least-value")
    page.page.evaluate("() => { document.getElementById('least').value = 0; }")


NONE = {
    "nothing": b"",
    "a text": b"not a recording at all" * 99,
    "a broken header": b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(99),
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_recording_is_told_in_a_sentence(page, speech, name):
    page.drop("bad.wav", NONE[name])
    told = page.text("problem") or page.text("summary")
    assert told.endswith(".") and not any(word in told for word in ("undefined", "TypeError", "[object")), told
    page.drop("good.wav", wav(speech))
    assert page.text("problem") == "" and len(page.rows()) > 3


def test_what_the_browser_cannot_read_the_service_may(site, page, predicted, speech):
    content = audio((speech[0] * 32767).astype(np.int16), speech[1], "AU")
    page.drop("speech.au", content)
    if site[0] == "browser":
        assert page.text("problem").startswith("speech.au: this browser reads no sound from it")
    else:
        (expected,) = predicted([content])
        agree("service", page.rows(), expected)


def test_silence_gets_no_answer(page):
    page.drop("silence.wav", audio(np.zeros(12_000, np.int16), 16_000, "WAV"))
    assert page.text("summary").startswith("No answer: ") and page.rows()["status"].tolist() == ["no_speech"]


def test_the_model_tells_what_it_was_trained_on_and_its_limits(page):
    assert "synthetic" in page.text("facts") and "No" not in page.text("facts").split("Licence")[0]
    assert "no ground for a decision about a person" in page.text("limits")


def test_it_is_used_by_the_keyboard_and_fits_a_phone(site, page, speech):
    page.drop("a.wav", wav(speech))
    view = page.page
    view.evaluate("() => document.activeElement.blur()")
    reached = []
    for _ in range(40):
        view.keyboard.press("Tab")
        reached.append(view.evaluate("() => document.activeElement.id || document.activeElement.textContent"))
    for name in ("record", "file", "segments", "least", "csv", "textgrid"):
        assert name in reached
    assert view.evaluate(  # everything that takes input says what it is
        "() => [...document.querySelectorAll('input, select, button')].every("
        "(own) => own.labels?.length || own.textContent.trim() || own.getAttribute('aria-label'))"
    )
    for width in (1280, 390):
        view.set_viewport_size({"width": width, "height": 844})
        assert view.evaluate("() => document.documentElement.scrollWidth") <= width
    view.set_viewport_size({"width": 1280, "height": 900})


def test_the_microphone_gives_what_a_file_of_it_does(site, chromium, predicted, speech, tmp_path):
    _, address = site
    sound = tmp_path / "spoken.wav"
    soundfile.write(sound, *speech, subtype="PCM_16")
    with chromium(sound) as live:
        live.open(address)
        live.page.click("#record")
        live.page.wait_for_timeout(4000)
        live.page.click("#record")
        live.answered()
        while_spoken = live.rows()
        live.page.select_option("#segments", "speech")
        live.answered()
        as_a_file = live.rows()
        assert not live.errors
    assert len(while_spoken) > 2 and (while_spoken["status"] == "ok").any()
    agree("browser", while_spoken, json.loads(as_a_file.to_json(orient="records", double_precision=15)))
    (expected,) = predicted([sound.read_bytes()], "--segments", "speech")
    first = next(row for row in expected if row["status"] == "ok")
    own = while_spoken[while_spoken["status"] == "ok"].iloc[0]
    assert own["end"] - own["start"] == pytest.approx(first["end"] - first["start"], abs=0.1)


def test_a_token_is_asked_for(chromium, model, speech, tmp_path):
    service = Served(model, tmp_path / "served", token=TOKEN)
    sound, content = tmp_path / "a.wav", wav(speech)
    sound.write_bytes(content)
    try:
        with chromium(sound) as page:
            page.open(f"{service.url}/")
            page.drop("a.wav", content)
            assert "token" in page.text("problem")
            page.page.fill("#token", TOKEN)
            page.page.press("#token", "Enter")
            page.answered()
            assert page.text("problem") == "" and len(page.rows()) > 3
            page.open(f"{service.url}/?again#token={TOKEN}")
            assert TOKEN not in page.page.url and not page.page.is_visible("#token-form")
            page.page.click("#record")
            page.page.wait_for_timeout(2500)
            page.page.click("#record")
            page.answered()
            assert page.text("problem") == "" and len(page.rows()) > 1
        assert TOKEN not in service.log
    finally:
        service.end()


def test_ratings_are_shown_along_time(chromium, small_corpus, folder, speech, tmp_path):
    train_small(small_corpus, folder, {"model.task": "regression", "train.epochs": 2})
    service = Served(small_corpus / "models/audio", tmp_path / "served", token=None)
    try:
        with chromium(viewport={"width": 700, "height": 900}) as page:
            page.open(f"{service.url}/")
            page.drop("a.wav", wav(speech))
            answer = service.predict(wav(speech)).json()
            found = page.rows()
            agree("service", found, answer["rows"])
            assert {"valence", "arousal", "dominance"} <= set(found.columns) and "confidence" not in found.columns
            assert page.text("summary").startswith("On a scale from 1 to 5: ") and not page.errors
            assert not page.page.is_visible("#least-field")
    finally:
        service.end()


def test_the_folder_holds_all_that_it_needs(made):
    names = {path.name for path in made.iterdir()}
    assert {*runtime.FILES, "index.html", "page.json", "model.onnx", "silero_vad.onnx", "LICENCES.txt"} <= names
    about = json.loads((made / "page.json").read_text())
    assert about["engine"] == "browser" and about["bytes"] == (made / "model.onnx").stat().st_size
    assert (made / "LICENCES.txt").read_text().count("MIT") >= 2


CUT = """async ([mode, cutting, longest, probabilities, blocks]) => {
  const { cutter } = await import("./segments.js");
  let at = 0;
  const own = cutter(mode, cutting, longest, { reset: () => { at = 0; }, next: async () => probabilities[at++] ?? 0 });
  const found = [];
  for (const length of blocks) found.push(...await own.push(Float32Array.from({ length }, (_, i) => 1 + i % 7)));
  found.push(...await own.finish());
  return found.map(({ start, end, samples, status }) => [start, end, samples ? samples.length : 0, status]);
}"""


@pytest.mark.parametrize("mode", ["auto", "speech", "windows"])
def test_sound_is_cut_as_by_predict(made, chromium, monkeypatch, mode):
    generator = np.random.default_rng(3)
    about = json.loads((made / "page.json").read_text())["cutting"] | {"window": 0.9, "min_samples": 400}
    cutting = Cutting(mode, window=0.9 if mode == "windows" else None)
    with file_host(made) as address, chromium() as page:
        page.page.goto(address)
        for _ in range(60):
            windows = int(generator.integers(1, 400))
            steps = np.repeat(generator.uniform(0, 1, windows // 4 + 1), generator.integers(1, 30, windows // 4 + 1))
            probabilities = np.clip(np.resize(steps, windows) + generator.normal(0, 0.1, windows), 0, 1).tolist()
            total = windows * 512 - int(generator.integers(0, 512))
            blocks = np.diff([0, *sorted(generator.integers(0, total + 1, 5)), total]).tolist()
            longest = int(generator.choice([16_000, 80_000]))
            coming = iter(probabilities)
            monkeypatch.setattr(detection.Detector, "__call__", lambda self, _, coming=coming: next(coming, 0.0))
            signal = np.concatenate([1 + np.arange(length) % 7 for length in blocks]).astype(np.float32)
            expected = [
                [piece.start, piece.end, 0 if piece.samples is None else len(piece.samples), piece.status]
                for piece in pieces(iter(np.split(signal, np.cumsum(blocks)[:-1])), cutting, longest)
            ]
            assert page.page.evaluate(CUT, [mode, about, longest, probabilities, blocks]) == expected


RESAMPLE = """async ([rate, samples, blocks]) => {
  const { Resampler, joined } = await import("./resampling.js");
  const own = new Resampler(rate), found = [];
  let at = 0;
  for (const length of blocks) found.push(own.push(Float32Array.from(samples.slice(at, at += length))));
  return [...joined([...found, own.finish()])];
}"""


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_sound_is_resampled_as_by_the_pipeline(made, chromium, speech, rate):
    generator = np.random.default_rng(rate)
    sound = (np.resize(speech[0], rate) + generator.normal(0, 0.003, rate)).astype(np.float32)
    blocks = np.diff([0, *sorted(generator.integers(0, rate, 6)), rate]).tolist()
    expected = soxr.resample(sound, rate, 16_000, quality="HQ")
    with file_host(made) as address, chromium() as page:
        page.page.goto(address)
        found = np.array(page.page.evaluate(RESAMPLE, [rate, sound.tolist(), blocks]))
    assert abs(len(found) - len(expected)) <= 1
    size = min(len(found), len(expected)) - 200  # at the ends the library has its own way
    difference = (found - np.resize(expected, len(found)))[200:size]
    assert np.sqrt(np.mean(difference**2)) < 0.002 * np.sqrt(np.mean(expected**2))
