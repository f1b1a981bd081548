"""What the runs of a sweep have in common, by the pipeline's own dvc.yaml."""

from __future__ import annotations

import pytest
import yaml

from emopipe.sweeps.preparation import HEAVY, preparations, unaffected
from emopipe.sweeps.runs import Run, expand
from helpers.paths import ROOT

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
TEXT = ["cross_fit_text", "finetune_text"]
AUDIO = ["cross_fit_audio", "encode", "finetune_audio"]
FOLDS = "split.audio.fold=range(0,3)"


def prepared(*words: str) -> list[tuple[list[str], set[str]]]:
    """Return the stages of each preparation, and the runs of a sweep that wait for it."""
    runs = {run.name for run in expand("s", words)}
    return [(list(found.run.stages), found.followers & runs) for found in preparations(STAGES, expand("s", words))]


@pytest.mark.parametrize(
    ("word", "shared"),
    [
        ("train.seed=1,2", ["cross_fit_text", "encode", "finetune_text"]),
        ("++train.seed=1,2", ["cross_fit_text", "encode", "finetune_text"]),
        (FOLDS, ["cross_fit_text", "encode", "finetune_text"]),
        ("split.text.fold=0,1", AUDIO),
        ("text.learning_rate=1e-3,1e-4", AUDIO),
        ("model.backbone=a,b", TEXT),
        ("forest.trees=5,6", [*AUDIO, *TEXT]),
        ("forest.inputs=text,audio", ["encode", "finetune_audio", "finetune_text"]),
        ("forest={inputs:text},{inputs:audio}", ["encode", "finetune_audio", "finetune_text"]),
        ("plot.dpi=40,50", [*AUDIO, *TEXT]),
        ("runtime.threads=1,2", [*AUDIO, *TEXT]),
    ],
)
def test_what_no_parameter_acts_on_is_shared_by_all(word, shared):
    names = {run.name for run in expand("s", [word])}
    assert prepared(word, "train.epochs=1") == [(sorted(shared), names)]


def test_what_one_branch_reads_of_the_corpora_is_not_shared():
    assert prepared("data.synthetic.seed=1,2") == []


def test_each_backbone_is_encoded_once():
    found = prepared("model.backbone=a,b", "train.seed=1,2")
    assert found == [
        (TEXT, {f"s-backbone-{key}-seed-{seed}" for key in "ab" for seed in (1, 2)}),
        (["encode"], {"s-backbone-a-seed-1", "s-backbone-a-seed-2"}),
        (["encode"], {"s-backbone-b-seed-1", "s-backbone-b-seed-2"}),
    ]
    leaders = [found.run.overrides for found in preparations(STAGES, expand("s", ["model.backbone=a,b", FOLDS]))[1:]]
    assert {leader[0] for leader in leaders} == {"model.backbone=a", "model.backbone=b"}


def test_a_preparation_waits_for_one_whose_stages_it_needs():
    words = ["model.backbone=a,b", "train.seed=1,2", "forest.trees=5,6"]
    found = {tuple(found.run.stages): found for found in preparations(STAGES, expand("s", words))}
    by_name = {found.run.name: found for found in preparations(STAGES, expand("s", words))}
    text, encode = found[tuple(TEXT)], by_name["s-backbone-a-seed-1-trees-5.encode"]
    assert not text.followers & by_name.keys()  # no audio stage needs the text
    assert encode.followers & by_name.keys() == {
        f"s-backbone-a-seed-{seed}-trees-5.cross_fit_audio-finetune_audio" for seed in (1, 2)
    }


def test_one_run_is_prepared_by_itself():
    assert prepared("train.seed=choice(1)") == []
    assert prepared() == []


def test_no_preparation_has_the_name_of_another_run():
    runs = expand("s", ["train.seed=1,2", "model.backbone=a,a-encode,a/encode", FOLDS, "forest.trees=5,6"])
    names = [run.name for run in [*runs, *(found.run for found in preparations(STAGES, runs))]]
    assert len(set(names)) == len(names)


def test_what_a_search_draws_leaves_the_other_stages():
    assert unaffected(STAGES, ["train.seed", "model.hidden"]) == ("cross_fit_text", "encode", "finetune_text")
    assert unaffected(STAGES, ["model.backbone", "text.seed"]) == ()
    assert set(unaffected(STAGES, ["plot.dpi"])) == HEAVY


def test_stages_of_other_names_are_no_matter():
    assert preparations({"a": {"cmd": "x", "params": ["p"]}}, [Run("1", ("p=1",)), Run("2", ("p=2",))]) == []
