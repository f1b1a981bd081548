"""The service answers as `emopipe predict` and `emopipe listen` do, and says in one sentence what it does not take."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import jsonschema
import numpy as np
import psutil
import pytest
import requests
import soundfile
from openapi_spec_validator import OpenAPIV31SpecValidator
from websockets.exceptions import ConnectionClosed, InvalidStatus

from emopipe import Recognizer
from emopipe.recognition.segmentation import Cutting
from emopipe.serving.limits import CONNECTIONS, Limits
from emopipe.serving.service import Service
from helpers.bad_recordings import BAD, GOOD, audio, spoilt, voice
from helpers.served import Served, received

FORM = "multipart/form-data; boundary=x"
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'


@pytest.fixture(scope="module")
def speech(recordings) -> tuple[np.ndarray, int]:
    """Return utterances with pauses between, int16 [samples], and their rate."""
    parts = [soundfile.read(file, dtype="int16") for file in recordings[:3]]
    pause = np.zeros(parts[0][1], np.int16)
    return np.concatenate([part for samples, _ in parts for part in (samples, pause)]), parts[0][1]


@pytest.fixture(scope="module")
def content(speech) -> bytes:
    """Return a WAV file of them."""
    return audio(*speech)


def contained(samples: np.ndarray, rate: int) -> bytes:
    """Return samples as FLAC within Matroska, which FFmpeg alone reads."""
    av = pytest.importorskip("av", reason="PyAV is an extra, and not installed")
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as file:
        stream = file.add_stream("flac", rate=rate, layout="mono")
        for start in range(0, len(samples), 4096):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 4096], "s16", "mono")
            frame.sample_rate, frame.pts = rate, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return target.getvalue()


# ---- recordings


@pytest.mark.parametrize(
    "query",
    ["", "segments=speech&threshold=0.8&min-speech=0.1", "segments=none&min-confidence=0.6",
     "segments=windows&window=0.9&hop=0.5", "coverage=0.5&sets=0.9&channels=each"],
)  # fmt: skip
def test_an_answer_is_that_of_predict(served, predicted, speech, query):
    samples, rate = speech
    content = audio(np.column_stack([samples, np.roll(samples, rate // 3)]), rate)
    words = [f"--{pair}" for pair in query.split("&") if pair]
    answer = served.predict(content, query)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json"
    (expected,) = predicted([content], *words)
    assert answer.json()["rows"] == expected and list(answer.json()["rows"][0]) == list(expected[0])
    fields = {pair.partition("=")[0]: (None, pair.partition("=")[2]) for pair in query.split("&") if pair}
    form = served.predict(None, files={"file": ("a.wav", content)} | fields)
    assert form.content == answer.content


def test_an_answer_is_that_of_predict_to_any_kind_of_file(served, predicted, speech):
    contents = [audio(*speech, kind) for kind in ("FLAC", "MP3", "OGG")] + [contained(*speech)]
    for content, expected in zip(contents, predicted(contents), strict=True):
        answer = served.predict(content, headers={"Content-Type": "audio/x-any"})
        assert answer.json()["rows"] == expected and len(expected) > 3


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head(served):
    seconds = []
    with requests.Session() as session:
        for _ in range(21):
            began = time.monotonic()
            session.get(f"{served.url}/health", timeout=10)
            seconds.append(time.monotonic() - began)
    assert sorted(seconds)[10] < 0.03  # an acknowledgement is held back for 0.04 s


def test_the_labels_and_the_model_are_told(served, model):
    about, answer = served.health(), served.predict(GOOD, "segments=none").json()
    labels = json.loads((model / "config.json").read_text())["labels"]
    idle = {"ready": True, "model": "models/audio", "labels": labels, "running": 0, "queue": 0, "streams": 0}
    assert about == idle and len(labels) > 2
    assert answer.keys() == {"model", "labels", "rows"} and answer | about == answer | idle


UNHEARD = [content for content, _ in BAD.values() if isinstance(content, bytes)]


@pytest.fixture(scope="module")
def unheard(predicted) -> dict[bytes, list[dict]]:
    """Return what `emopipe predict` says of recordings that cannot be heard."""
    return dict(zip(UNHEARD, predicted(UNHEARD), strict=True))


@pytest.mark.parametrize("name", [name for name, (content, _) in BAD.items() if isinstance(content, bytes)])
def test_what_cannot_be_heard_is_refused_in_the_words_of_predict(served, unheard, name):
    content, _ = BAD[name]
    answer, rows = served.predict(content), unheard[content]
    if name == "69 billion frames":
        assert (answer.status_code, answer.json()["detail"]) == (413, "longer than 20 s")
    elif rows[-1]["status"] == "no_speech":
        assert answer.status_code == 200 and answer.json()["rows"] == rows
    else:
        assert answer.status_code == 422 and answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem.pop("title").startswith("Unprocessable")
        assert problem == {"status": 422, "detail": rows[-1]["reason"], "rows": rows}
    assert served.health()["ready"]


def test_a_film_without_sound_and_a_name_that_is_told(served, predicted):
    av = pytest.importorskip("av", reason="PyAV is an extra, and not installed")
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), "yuv420p")))
        file.mux(stream.encode(None))
    answer = served.predict(target.getvalue())
    assert (answer.status_code, answer.json()["detail"]) == (422, "a video without sound")
    unknown = b"ADIF" + bytes(300)
    for name, sent in (("my call.aac", {"files": {"file": ("/home/me/my call.aac", unknown)}}), ("recording", {})):
        detail = served.predict(None if sent else unknown, **sent).json()["detail"]
        assert detail == predicted([unknown], name=name)[0][0]["reason"] and f"ffmpeg -i {shlex.quote(name)}" in detail


def test_what_comes_before_a_damaged_place_is_answered_beside_the_refusal(served, predicted, speech):
    whole = audio(*speech, "FLAC")
    cut = whole[: 3 * len(whole) // 4]
    answer = served.predict(cut)
    assert answer.status_code == 422 and "truncated" in answer.json()["detail"]
    assert answer.json()["rows"] == predicted([cut])[0] and "ok" in {row["status"] for row in answer.json()["rows"]}


def hour_of_silence() -> bytes:
    return contained(np.zeros(3_600 * 8_000, np.int16), 8_000)


BROKEN: dict[str, tuple[dict, int, str]] = {  # what is sent, the status, and what is told
    "no body": ({"data": b""}, 422, "empty file of 0 bytes"),
    "a page": ({"headers": {"Content-Type": "text/html"}, "data": GOOD}, 415, "Content-Type text/html: no sound"),
    "as curl says": ({"headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 415, "no sound; it takes"),
    "a picture": ({"headers": {"Content-Type": "image/png"}, "data": GOOD}, 415, "Content-Type image/png: no sound"),
    "JSON": ({"json": {"file": "a.wav"}}, 415, "Content-Type application/json"),
    "no boundary": ({"headers": {"Content-Type": "multipart/form-data"}, "data": GOOD}, 400, "boundary"),
    "no form": ({"headers": {"Content-Type": FORM}, "data": GOOD}, 400, "Invalid multipart data"),
    "half a form": ({"headers": {"Content-Type": FORM}, "data": HEAD + GOOD}, 400, "no file in the field file"),
    "an empty form": ({"headers": {"Content-Type": FORM}, "data": b"--x--\r\n"}, 400, "no file in the field file"),
    "a strange form": ({"headers": {"Content-Type": FORM + "; charset=idna"}, "data": HEAD + GOOD}, 400, "form-data"),
    "another field": ({"files": {"sound": ("a.wav", GOOD)}}, 400, "no file in the field file"),
    "a text in its place": ({"files": {"file": (None, "a.wav")}}, 400, "no file in the field file"),
    "two files": ({"files": [("file", ("a.wav", GOOD)), ("file", ("b.wav", GOOD))]}, 400, "Too many files"),
    "many fields": ({"files": {f"f{i}": (None, "1") for i in range(40)}}, 400, "Too many fields"),
    "a large field": ({"files": {"window": (None, "1" * 5_000)}}, 400, "Part exceeded"),
    "an empty file": ({"files": {"file": ("a.wav", b"")}}, 422, "empty file of 0 bytes"),
    "a bad field": ({"files": {"file": ("a.wav", GOOD), "hop": (None, "0")}}, 400, "--window and --hop need"),
    "too large": ({"data": bytes(2_000_001)}, 413, "a body of more than 2,000,000 bytes"),
    "too long": ({"data": audio(np.zeros(21 * 8_000), 8_000)}, 413, "longer than 20 s"),
    "much in little": ({"data": hour_of_silence}, 413, "longer than 20 s"),
    "no such option": ({"params": {"colour": "red"}}, 400, "colour: no such option; there are channels, segments"),
    "an option twice": ({"params": {"hop": ["1", "2"]}}, 400, "--hop: named twice"),
    "no number": ({"params": {"threshold": "much"}}, 400, "argument --threshold: invalid float value: 'much'"),
    "not finite": ({"params": {"min-silence": "inf"}}, 400, "--min-silence: inf is no finite number"),
    "no share": ({"params": {"coverage": "1.5"}}, 400, "--coverage: 1.5 is not between 0 and 1"),
    "two thresholds": ({"params": {"coverage": "0.5", "min-confidence": "0.5"}}, 400, "two thresholds; name one"),
    "no such mode": ({"params": {"segments": "words"}}, 400, "argument --segments: invalid choice: 'words'"),
    "no window": ({"params": {"window": "1"}}, 400, "--window and --hop need --segments windows"),
    "a long window": ({"params": {"segments": "windows", "window": "9"}}, 400, "the model hears 1 s at once"),
    "a tiny hop": ({"params": {"segments": "windows", "hop": "0.01"}}, 400, "one every 0.1 s at most"),
    "get": ({"method": "GET"}, 405, "Method Not Allowed"),
    "put": ({"method": "PUT", "data": GOOD}, 405, "Method Not Allowed"),
    "elsewhere": ({"place": "/v1/nothing", "data": GOOD}, 404, "Not Found"),
    "a file of the system": ({"place": "/../../etc/passwd"}, 404, "Not Found"),
    "no token": ({"headers": {"Authorization": ""}, "data": GOOD}, 401, "Authorization: Bearer TOKEN is missing"),
    "another token": ({"headers": {"Authorization": "Bearer a-token"}, "data": GOOD}, 401, "of another token"),
    "another scheme": ({"headers": {"Authorization": "Basic a-token-of-letters-7"}}, 401, "of another token"),
    "an odd token": ({"headers": {"Authorization": "Bearer é".encode()}}, 401, "of another token"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_asked_is_refused_in_one_sentence(served, name):
    sent, status, told = BROKEN[name]
    headers = served.headers | sent.get("headers", {})
    others = {name: value for name, value in sent.items() if name not in ("headers", "method", "place")}
    if callable(sent.get("data")):
        others["data"] = sent["data"]()
    url = served.url + sent.get("place", "/v1/predict")
    answer = requests.request(sent.get("method", "POST"), url, headers=headers, timeout=20, **others)
    assert answer.status_code == status and answer.headers["Content-Type"] == "application/problem+json"
    assert told in answer.json()["detail"] and "\n" not in answer.json()["detail"]
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert served.predict(GOOD, "segments=none").status_code == 200


def raw(served: Served, *lines: str, path: str = "/v1/predict") -> socket.socket:
    """Return a connection on which the head of a request was sent."""
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    head = [f"POST {path} HTTP/1.1", "Host: a", f"Authorization: {served.headers['Authorization']}", *lines, "", ""]
    connection.sendall("\r\n".join(head).encode())
    return connection


def test_a_gigabyte_is_refused_before_any_of_it_is_read(served):
    began = time.monotonic()
    with raw(served, "Content-Length: 1000000000", "Expect: 100-continue") as connection:
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
    assert time.monotonic() - began < 1


def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_large(served):
    with raw(served, "Transfer-Encoding: chunked") as connection:
        connection.settimeout(0.002)
        for sent in count(step=10_000):
            connection.sendall(b"2710\r\n" + bytes(10_000) + b"\r\n")
            try:
                answer = connection.recv(1 << 16)
                break
            except TimeoutError:
                assert sent < 2_500_000
    assert answer.startswith(b"HTTP/1.1 413 ") and sent >= 1_990_000


@pytest.mark.parametrize("bad", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"])
def test_what_is_no_http_is_refused(served, bad):
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(bad)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 400 ")


def test_many_at_a_time_are_answered_alike_or_told_to_come_again(served, predicted, recordings):
    contents = [file.read_bytes() for file in recordings[:5]]
    expected = predicted(contents)

    def ask(number: int) -> int:
        refused = 0
        while (answer := served.predict(contents[number % 5])).status_code != 200:
            assert answer.status_code == 429 and int(answer.headers["Retry-After"]) >= 1
            refused += 1
            time.sleep(0.2)
        assert answer.json()["rows"] == expected[number % 5]
        return refused

    with ThreadPoolExecutor(24) as pool:
        assert any(pool.map(ask, range(24)))


def test_clients_that_leave_are_not_answered(served, content):
    before = served.log.count(" 499 ")
    for _ in range(6):
        with raw(served, f"Content-Length: {len(content)}") as connection:
            connection.sendall(content)
    deadline = time.monotonic() + 10
    while served.log.count(" 499 ") < before + 3 or served.health()["running"]:
        assert time.monotonic() < deadline, served.log
        time.sleep(0.05)


def test_slow_clients_are_let_go_and_keep_nobody_waiting(served):
    length = f"Content-Length: {len(GOOD)}"
    dribbling = [raw(served, length) for _ in range(40)]
    stalled = [raw(served, length) for _ in range(5)]
    for connection in stalled:
        connection.sendall(GOOD[:10_000])
    silent = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(5)]
    halfway = socket.create_connection(("127.0.0.1", served.port))
    halfway.sendall(b"POST /v1/predict HTTP/1.1\r\nHo")
    began, slowest = time.monotonic(), 0.0
    while time.monotonic() - began < 9:
        for connection in dribbling:
            connection.sendall(b"R")
        asked = time.monotonic()
        assert served.predict(GOOD, "segments=none").status_code == 200
        slowest = max(slowest, time.monotonic() - asked)
        time.sleep(1)
    assert slowest < 1
    for connection in (*dribbling, *stalled, *silent, halfway):
        connection.settimeout(6)
        answer = b""
        try:
            while part := connection.recv(1 << 16):
                answer += part
        except ConnectionResetError:
            pass
        late = connection in dribbling or connection in stalled
        assert answer.startswith(b"HTTP/1.1 408 ") if late else answer == b""
        connection.close()


def test_more_connections_than_there_may_be_are_turned_away(served):
    with ExitStack() as connections:
        for _ in range(CONNECTIONS):
            connections.enter_context(socket.create_connection(("127.0.0.1", served.port)))
        with socket.create_connection(("127.0.0.1", served.port), timeout=5) as another:
            assert another.recv(1 << 16).startswith(b"HTTP/1.1 503 ")
    assert served.health()["ready"]


# ---- streams


@pytest.mark.parametrize("query", ["segments=speech", "segments=windows&window=0.9&hop=0.5", "sets=0.9"])
@pytest.mark.parametrize("size", [3_202, 200_000])
def test_a_stream_is_answered_as_by_the_recogniser(served, model, speech, query, size):
    samples, rate = speech
    with served.stream(f"rate={rate}&{query}") as stream:
        for at in range(0, 2 * len(samples), size):
            stream.send(samples.tobytes()[at : at + size])
        stream.send("end")
        rows = received(stream)
        assert (stream.close_code, stream.close_reason) == (1000, "")
    cutting = Cutting("windows", window=0.9, hop=0.5) if "windows" in query else "speech"
    expected = list(Recognizer.load(model, device="cpu").stream([samples], rate, cutting))
    assert ["set" in row for row in rows] == ["sets" in query] * len(rows) and len(rows) > 5
    assert [{name: row[name] for name in own} for own, row in zip(expected, rows, strict=True)] == expected


def test_a_segment_is_answered_while_the_sound_goes_on(served, speech):
    samples, rate = speech
    with served.stream(f"rate={rate}") as stream:
        stream.send(samples[: 5 * rate].tobytes())
        first = json.loads(stream.recv(timeout=10))
        assert first["start"] == 0 and served.health()["streams"] == 1
        stream.send("end")
        assert received(stream)


def test_streams_are_limited_and_a_place_becomes_free(served):
    with ExitStack() as streams:
        for _ in range(3):
            streams.enter_context(served.stream())
        with pytest.raises(InvalidStatus) as refused, served.stream():
            pass
        response = refused.value.response
        assert response.status_code == 429 and int(response.headers["Retry-After"]) >= 1
        assert json.loads(response.body)["detail"] == "3 streams already; try again later"
    deadline = time.monotonic() + 5
    while served.health()["streams"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with served.stream() as stream:
        stream.send("end")
        assert received(stream) == []


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [("rate=100", 400, "--rate: 100 Hz, outside 2000 to 768000"), ("rate=fast", 400, "invalid int value: 'fast'"),
     ("segments=auto", 400, "invalid choice: 'auto'"), ("channels=each", 400, "channels: no such option"),
     ("sets=2", 400, "--sets: 2 is not between 0 and 1")],
)  # fmt: skip
def test_a_stream_that_cannot_be_is_not_opened(served, query, status, told):
    with pytest.raises(InvalidStatus) as refused, served.stream(query):
        pass
    assert refused.value.response.status_code == status
    assert told in json.loads(refused.value.response.body)["detail"]
    with pytest.raises(InvalidStatus) as refused, served.stream(additional_headers={}):
        pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize(
    ("message", "code", "told"),
    [
        (b"odd", 1007, "3 bytes are no whole samples"),
        ("stop", 1003, "a text other than end"),
        (bytes(300_000), 1009, ""),
    ],
)
def test_a_message_that_cannot_be_ends_the_stream(served, message, code, told):
    with served.stream() as stream:
        stream.send(message)
        with pytest.raises(ConnectionClosed):
            stream.recv(timeout=5)
        assert stream.close_code == code and told in stream.close_reason
    assert served.health()["ready"]


@pytest.mark.slow
def test_a_client_that_sends_more_than_is_answered_is_kept_waiting_and_not_in_memory(served, speech):
    samples, rate = speech
    process = psutil.Process(served.process.pid)

    def speak(content: bytes) -> tuple[float, int]:
        """Send faster than it is answered; return where the last row ends, and the memory of the service."""
        with served.stream(f"rate={rate}") as stream, ThreadPoolExecutor(1) as pool:

            def send() -> None:
                for at in range(0, len(content), 100_000):
                    stream.send(content[at : at + 100_000])
                stream.send("end")

            sending = pool.submit(send)
            rows = received(stream)
            sending.result()
        return rows[-1]["end"], process.memory_info().rss

    some, more = samples.tobytes() * 10, samples.tobytes() * 80  # 5 and 40 MB; buffers of sockets hold 6
    (_, before), (end, after) = speak(some), speak(more)
    assert end == pytest.approx(len(more) / 2 / rate, abs=1e-3)
    assert after - before < 15_000_000


# ---- what is told, and what is not


def test_the_document_is_valid_and_answers_are_as_it_says(served, content):
    document = requests.get(f"{served.url}/openapi.json", timeout=10).json()
    OpenAPIV31SpecValidator(document).validate()
    assert set(document["paths"]) == {"/v1/predict", "/v1/stream", "/health"}
    samples = ["Answer", served.predict(content, "sets=0.9&channels=each").json()]
    problem = ["Problem", served.predict(b"nothing").json()]
    for name, found in (samples, problem, ["Health", served.health()]):
        schema = document | {"$ref": f"#/components/schemas/{name}"}
        jsonschema.Draft202012Validator(schema).validate(found)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(document | {"$ref": "#/components/schemas/Row"}).validate({"emotion": "joy"})
    told = {each["name"]: each["schema"] for each in document["paths"]["/v1/predict"]["post"]["parameters"]}
    assert told["segments"]["enum"] == ["auto", "none", "speech", "windows"] and told["min-silence"]["default"] == 0.5


def test_nothing_is_written_and_nothing_that_was_sent_is_logged(served, content):
    process = psutil.Process(served.process.pid)
    written = process.io_counters().write_bytes
    form = served.predict(None, "segments=speech", files={"file": ("a secret name.wav", content)})
    served.predict(contained(np.zeros(20_000, np.int16), 16_000))
    served.predict(None, files={"file": ("a secret name.wav", spoilt(np.nan))})
    mp3 = audio(voice(), kind="MP3")
    served.predict(mp3[:1_000] + b"secret" * 50 + mp3[1_000:])  # of which libmpg123 prints a part
    requests.post(f"{served.url}/a secret place?a=secret", data=b"a secret", timeout=10)
    with served.stream("sets=0.9") as stream:
        stream.send(voice().astype(np.int16).tobytes())
        stream.send("end")
        received(stream)
    assert form.status_code == 200 and [list(place.iterdir()) for place in served.places] == [[], []]
    assert process.io_counters().write_bytes - written < 1 << 16  # its log
    assert "elsewhere 404" in served.log and "Traceback" not in served.log and "fault" not in served.log
    for word in ("Note", "secret", "segments", "sets", "a-token", "recording"):
        assert word not in served.log


def test_a_fault_is_told_without_the_words_of_the_error(model, monkeypatch, caplog):
    recognizer = Recognizer.load(model, device="cpu")
    monkeypatch.setattr(recognizer, "answers", lambda *_: [b"the secret"[99]])
    service = Service(recognizer, "a model", Limits(bytes=100_000, seconds=9, workers=1, queue=1, streams=1))
    scope = {"type": "http", "method": "POST", "path": "/v1/predict", "query_string": b"", "headers": []}
    coming, sent = [{"type": "http.request", "body": GOOD}], []

    async def receive() -> dict:
        return coming.pop() if coming else await asyncio.sleep(9, {"type": "http.disconnect"})

    async def send(message: dict) -> None:
        sent.append(message)

    with caplog.at_level("INFO", "emopipe.serving"):
        asyncio.run(service(scope, receive, send))
    assert sent[0]["status"] == 500 and json.loads(sent[1]["body"])["detail"] == "a fault of the service"
    assert "a fault, IndexError:" in caplog.text and "prediction.py" in caplog.text
    assert "out of range" not in caplog.text and service.idle


def test_files_in_memory_are_given_back(served):
    descriptors = Path(f"/proc/{served.process.pid}/fd")
    deadline = time.monotonic() + 10
    while any("recording" in str(link.readlink()) for link in descriptors.iterdir() if link.is_symlink()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


# ---- the end


LONG = "segments=windows&window=1&hop=0.1&threshold=0.01"  # many answers, and so some seconds of work


@pytest.fixture
def ending(model, tmp_path):
    """Return a service that answers one recording at a time."""
    service = Served(model, tmp_path, "--workers", 1, "--queue", 4, "--streams", 1, token=None)
    yield service
    service.end()


@pytest.fixture(scope="module")
def long(recordings) -> tuple[np.ndarray, int]:
    """Return speech without a pause, int16 [samples], and its rate."""
    samples, rate = soundfile.read(recordings[0], dtype="int16")
    return np.resize(samples, 20 * rate), rate


def until(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_was_taken_is_answered_and_all_else_is_told(ending, long):
    samples, rate = long
    content = audio(samples, rate)
    with ThreadPoolExecutor(3) as pool, ending.stream(f"rate={rate}") as stream:
        stream.send(samples[: 2 * rate].tobytes())
        uploading = socket.create_connection(("127.0.0.1", ending.port), timeout=10)
        uploading.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + content[:50_000])
        asked = [pool.submit(ending.predict, content, LONG) for _ in range(3)]
        until(lambda: (ending.health()["running"], ending.health()["queue"]) == (1, 2))
        began = time.monotonic()
        ending.process.send_signal(signal.SIGTERM)
        assert uploading.recv(1 << 16).startswith(b"HTTP/1.1 503 ") and time.monotonic() - began < 2
        refused = ending.predict(content)
        assert (refused.status_code, refused.json()["detail"]) == (503, "the service is shutting down")
        assert "Retry-After" in refused.headers
        state = requests.get(f"{ending.url}/health", timeout=10)
        assert state.status_code == 503 and not state.json()["ready"]
        rows = received(stream)
        assert rows[-1]["end"] == pytest.approx(2, abs=1e-3)
        assert (stream.close_code, stream.close_reason) == (1012, "the service is shutting down")
        answers = [each.result() for each in asked]
    assert [answer.status_code for answer in answers] == [200] * 3 and len({answer.text for answer in answers}) == 1
    assert len(json.loads(answers[0].text)["rows"]) > 150
    assert ending.process.wait(timeout=10) == 0 and "fault" not in ending.log and "Traceback" not in ending.log


@pytest.mark.slow
def test_one_that_has_nothing_to_do_ends_at_once(ending):
    with requests.Session() as idle:
        assert idle.get(f"{ending.url}/health", timeout=5).status_code == 200  # and the connection stays
        ending.process.send_signal(signal.SIGINT)
        assert ending.process.wait(timeout=10) == 0


@pytest.mark.slow
def test_told_twice_it_ends_without_an_answer(ending, long):
    content = audio(np.resize(long[0], 500 * long[1]), long[1])
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ending.predict, content, LONG) for _ in range(3)]
        until(lambda: ending.health()["running"] == 1)
        ending.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            ending.process.wait(timeout=3)
        ending.process.send_signal(signal.SIGTERM)
        assert ending.process.wait(timeout=10) == 0
        assert not [each for each in asked if each.exception() is None and each.result().status_code == 200]
