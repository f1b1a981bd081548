"""The answers for a dev set come back as they were written, and nothing else is taken for them."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from emopipe.io.errors import UserError
from emopipe.schemas import dev_answers
from emopipe.schemas.dev_answers import DevAnswers

FOUND = DevAnswers(np.full((4, 2), 0.5), np.array([0, 1, 1, 0]), np.array([0, 0, 1, -1]))


def test_they_come_back_with_the_same_bytes_and_go_with_the_model(tmp_path):
    written = []
    for _ in range(2):
        dev_answers.write(FOUND, tmp_path)
        written.append((tmp_path / dev_answers.NAME).read_bytes())
    assert written[0] == written[1]
    for one, other in zip(dev_answers.read(tmp_path), FOUND, strict=True):
        np.testing.assert_array_equal(one, other)
    dev_answers.write(None, tmp_path)
    assert dev_answers.read(tmp_path) is None and not list(tmp_path.iterdir())


def test_other_files_are_refused(tmp_path):
    path = tmp_path / dev_answers.NAME
    path.write_bytes(b"no tensors at all")
    with pytest.raises(UserError, match="not a whole file of tensors"):
        dev_answers.read(tmp_path)
    own, none = FOUND._asdict(), {name: values[:0] for name, values in FOUND._asdict().items()}
    others = {"probabilities": np.full_like(FOUND.probabilities, np.nan)}, {"targets": FOUND.targets + 99}
    halves = {"speakers": FOUND.speakers[:2]}, {"probabilities": FOUND.probabilities[:, 0]}
    for content in ({"targets": FOUND.targets}, none, *(own | change for change in (*halves, *others))):
        save_file(content, path)
        with pytest.raises(UserError, match="not the answers for a dev set"):
            dev_answers.read(tmp_path)
