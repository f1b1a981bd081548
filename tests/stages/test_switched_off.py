"""A run without utterances leaves every file that DVC and the stages look for."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import yaml

from helpers.paths import ROOT
from helpers.stage_outputs import DATA_STAGES, OUTPUTS


def test_branches_that_are_switched_off_are_left_out(tmp_path, monkeypatch):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"]["text"]["corpora"] = params["data"]["audio"]["corpora"] = []
    params["runtime"]["threads"] = 1
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    for stage in DATA_STAGES:
        import_module(f"stages.{stage}").main()
        assert all(Path(path).exists() for path in OUTPUTS[stage])
    scores = json.loads(Path("metrics/evaluation.json").read_text())
    assert scores == {branch: {} for branch in ("audio", "text", "forest")}
