"""A file is there when it was verified, and not before."""

from __future__ import annotations

import json
from copy import deepcopy

import numpy as np
import onnxruntime
import pytest

from emopipe.export import graphs
from emopipe.export.agreement import of_ratings
from emopipe.export.onnx_file import write
from emopipe.export.verification import Verified
from emopipe.io.errors import UserError


@pytest.fixture(scope="module")
def trace(line):
    with graphs._quietly():
        return graphs._traced(line)


@pytest.fixture
def attempt(trace, line, tmp_path, monkeypatch):
    """Return a function that writes a network whose file is found to differ by so much, and the folder."""
    monkeypatch.setattr(graphs, "_traced", lambda _: deepcopy(trace))  # which takes a second

    def attempted(difference, precision="float32", exact=True, asked=lambda file: None):
        def verify(file):
            asked(file)
            before = np.full((5, 2), 3.0)
            found = of_ratings(before, before + difference, ["valence", "arousal"], None)
            return Verified(found, {"compared_on": "five texts"})

        return write(tmp_path / "out", line, precision, {"task": "none"}, verify, exact)

    return attempted, tmp_path / "out"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


def test_a_file_that_answers_otherwise_is_not_there_and_the_one_before_is(attempt):
    write_it, folder = attempt
    with pytest.raises(UserError) as told:
        write_it(1e-3)
    assert str(told.value) == (
        f"{folder / 'model.onnx'}: not written: on five texts it does not answer as the model does: the largest "
        "difference of a rating is 0.001"
    )
    assert not contents(folder)
    write_it(0.0)
    before = contents(folder)
    with pytest.raises(UserError, match=r"the largest difference of a rating is 0\.5; choose another precision$"):
        write_it(0.5, "int8", exact=False)
    assert contents(folder) == before and before.keys() == {"model.onnx", "export.json"}


def test_what_fails_otherwise_leaves_nothing_either(attempt):
    write_it, folder = attempt

    def fail(file):
        assert file.stat().st_size > 64 * 64 * 4 and file.name != "model.onnx"
        raise UserError("does not run")

    with pytest.raises(UserError, match="does not run"):
        write_it(0.0, asked=fail)
    assert not contents(folder)


def test_the_report_is_of_the_file_that_lies_beside_it(attempt):
    write_it, folder = attempt
    for precision in ("float32", "float16"):
        exported = write_it(0.01, precision, exact=False)
        report = json.loads((folder / "export.json").read_text())
        assert report == exported.report
        assert (report["precision"], report["compared_on"]) == (precision, "five texts")
        assert report["megabytes"] == pytest.approx((folder / "model.onnx").stat().st_size / 1e6, abs=0.005)
        assert report["largest_difference"] == pytest.approx(0.01) and report["ccc"] is report["changed_labels"] is None
    x = np.arange(128, dtype=np.float32).reshape(2, 64)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    np.testing.assert_array_equal(session.run(["y"], {"x": x})[0], x)
