"""200 uploads and 20 streams at a time: nothing but answers and the stated refusals, and memory that stays flat."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import soundfile

from emopipe import Recognizer
from helpers.served import Served, received

UPLOADS, STREAMS, ROUNDS = 200, 20, 4


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    """Return a service that takes so many streams."""
    service = Served(model, tmp_path_factory.mktemp("served"), "--workers", 2, "--streams", STREAMS, token=None)
    yield service
    service.end()


@pytest.mark.slow
def test_many_clients_at_a_time_are_answered_alike_in_flat_memory(served, model, predicted, recordings):
    contents = [file.read_bytes() for file in recordings[:10]]
    expected = predicted(contents)
    parts = [soundfile.read(file, dtype="int16") for file in recordings[:4]]
    rate = parts[0][1]
    samples = np.concatenate([part for samples, _ in parts for part in (samples, np.zeros(rate, np.int16))])
    spoken = list(Recognizer.load(model, device="cpu").stream([samples], rate))

    def upload(number: int) -> int:
        refused = 0
        while (answer := served.predict(contents[number % 10])).status_code != 200:
            assert answer.status_code == 429
            refused += 1
            time.sleep(int(answer.headers["Retry-After"]))
        assert answer.json()["rows"] == expected[number % 10]
        return refused

    def speak(_: int) -> int:
        with served.stream(f"rate={rate}") as stream:
            for at in range(0, len(samples), 4_000):
                stream.send(samples[at : at + 4_000].tobytes())
            stream.send("end")
            assert received(stream) == spoken and stream.close_code == 1000
        return 0

    process, resident = psutil.Process(served.process.pid), []
    for _ in range(ROUNDS):
        with ThreadPoolExecutor(UPLOADS + STREAMS) as pool:
            streams, uploads = pool.map(speak, range(STREAMS)), pool.map(upload, range(UPLOADS))
            refused = sum(uploads) + sum(streams)
        assert refused > 0
        resident.append(process.memory_info().rss)
    assert resident[-1] < 1.05 * resident[0], resident
    assert served.health() == served.health() | {"ready": True, "running": 0, "queue": 0, "streams": 0}
    assert {line.split()[3] for line in served.log.splitlines()[1:]} <= {"200", "429", "101"}
