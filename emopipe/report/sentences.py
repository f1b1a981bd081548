"""What the report and the model card say in words of the models and their data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emopipe.report.formatting import counted, listed

SYNTHETIC = (
    "The synthetic corpus is a speech synthesiser reading sentences made from patterns: its numbers show that the "
    "pipeline works, and say nothing about people."
)
OFF = "this branch is switched off, it has no utterances."
SCORES = {  # by target
    "emotion": "UAR is the recall averaged over the emotions, WA the accuracy.",
    "vad": "CCC is Lin's concordance correlation.",
}
BASELINES = {
    "emotion": "Majority always answers with the most frequent emotion of the training set.",
    "vad": "Mean always answers with the mean rating of the training set.",
}
CORPORA = 4  # that are named


def audio_model(config: Mapping[str, Any]) -> str:
    """Return what was trained for the audio branch; a backbone is fine-tuned only where some of its blocks were.

    Args:
        config: of models/audio
    """
    settings, backbone = config["model"], config["provenance"]["backbone"]["name"]
    size, blocks = settings["ensemble_size"], settings["trainable_layers"]
    if settings["features"] == "frozen" or blocks == 0:
        heads = "a head" if size == 1 else f"an ensemble of {size} heads"
        return f"{heads} on the frozen {backbone}"
    if settings["features"] == "tuned_layers":
        last, count = config["provenance"]["blocks"], config["provenance"]["trainable_layers"]
        numbers = listed([str(number) for number in range(last - count + 1, last + 1)])
        how = " by low-rank changes" if config["train"]["tuning"]["method"] == "lora" else ""
        heads = "a head" if size == 1 else f"{size} heads"
        return f"{backbone} with {heads}, block{'s' if count > 1 else ''} {numbers} fine-tuned{how}"
    which = "all blocks" if blocks == "all" else "the last block" if blocks == 1 else f"the last {blocks} blocks"
    return f"{backbone if size == 1 else f'an ensemble of {size} {backbone}'}, {which} fine-tuned"


def text_model(config: Mapping[str, Any]) -> str:
    """Return what was trained for the text branch, given the config of models/text."""
    size, encoder = config["text"]["ensemble_size"], config["encoder"]["name"]
    return f"{encoder}, fine-tuned" if size == 1 else f"an ensemble of {size} fine-tuned {encoder}"


def forest_model(forest: Mapping[str, Any], inputs: Sequence[str]) -> str:
    """Return what the forest is.

    Args:
        forest: the parameters ``forest``
        inputs: branches whose VAD it is given
    """
    trees = "tree" if forest["trees"] == 1 else "trees"
    return f"a random forest of {forest['trees']} {trees} on the VAD predicted from {listed(inputs)}"


def data(facts: Mapping[str, Any], refit: str) -> str:
    """Return what a model was trained and tested on.

    Args:
        facts: of :func:`emopipe.report.data.describe`
        refit: as in params.yaml; other than ``none``: it was trained on train and dev together in the end
    """
    trained, test = facts["sets"]["train"] if refit == "none" else facts["train_and_dev"], facts["sets"]["test"]
    corpora = "" if test["corpora"] == trained["corpora"] else f" ({_corpora(test)})"
    speakers = counted(test["speakers"], "other speaker" if not facts["shared"] else "speaker")
    if not test["utterances"]:
        return f"trained on {_size(trained)} ({_corpora(trained)}), not tested"
    if test["unknown"] == test["utterances"]:
        speakers = "speakers who are not known"
    elif test["unknown"]:
        speakers += " and of speakers who are not known"
    tested = f"tested on {counted(test['utterances'], 'utterance')} of {speakers}{corpora}"
    return f"trained on {_size(trained)} ({_corpora(trained)}), {tested}"


def overlap(facts: Mapping[str, Any]) -> str:
    """Return how many test speakers a model knows from its training; an empty text where it knows none.

    Args:
        facts: of :func:`emopipe.report.data.describe`
    """
    if not facts["shared"]:
        return ""
    of = f"{facts['shared']} of the {counted(facts['sets']['test']['speakers'], 'test speaker')}"
    return f"{of} spoke in train or dev as well: expect less of the model where it knows nobody."


def _size(facts: Mapping[str, Any]) -> str:
    speakers = counted(facts["speakers"], "known speaker" if facts["unknown"] else "speaker")
    return counted(facts["utterances"], "utterance") + (f" of {speakers}" if facts["speakers"] else "")


def _corpora(facts: Mapping[str, Any]) -> str:
    names = facts["corpora"]
    return listed(names) if len(names) <= CORPORA else f"{len(names)} corpora"


def question(config: Mapping[str, Any]) -> str:
    """Return what the audio model answers, given the config of models/audio."""
    if "labels" in config:
        return f"Which of {len(config['labels'])} emotions ({', '.join(config['labels'])}) is in a recording of speech?"
    names = config["targets"]["names"]
    return f"How high, from 1 to 5, {'are' if len(names) > 1 else 'is'} {listed(names)} of a recording of speech?"


def weights(config: Mapping[str, Any], refit: str) -> str:
    """Return which weights a trained model has.

    Args:
        config: of models/audio or models/text
        refit: as in params.yaml
    """
    epochs = config["epochs"]
    which = "the last" if refit == "all_epochs" else f"the best on dev by {config['selection_metric'].upper()}"
    different = [str(epoch) for epoch in dict.fromkeys(epochs)]
    found = f"the weights of epoch{'s' if len(different) > 1 else ''} {listed(different)}, {which}"
    found += "" if refit == "none" else ", of a training on train and dev together"
    if len(epochs) > 1:
        found += f"; {len(epochs)} models were trained apart, their outputs are averaged, the curves are those of one"
    return found + (_tuning(config["tuning"], config["selection_metric"].upper()) if config.get("tuning") else "")


def _tuning(choice: Mapping[str, Any], metric: str) -> str:
    if not choice["losses"]:
        return "; its blocks were not fine-tuned, for one dev speaker cannot tell whether that is better"
    if not choice["share"]:
        return "; a fine-tuning of its blocks was no better on dev, and is not kept"
    whole = "the change" if choice["share"] == 1 else f"{choice['share']:g} of the change"
    return (
        f"; then blocks and heads were trained together, and {whole} is kept: {metric} {choice['score']:.3f} on dev, "
        f"frozen {choice['frozen']:.3f}"
    )


def resampling(part: Mapping[str, Any]) -> str:
    """Return what the intervals of a branch and target are made by, given its statistics."""
    return f"the bootstrap over {counted(part['units'], part['by'])}"


def evaluation(part: Mapping[str, Any], classified: bool) -> str:
    """Return how the audio model was scored.

    Args:
        part: statistics of its target
        classified: it predicts emotions, not dimensions
    """
    target = "emotion" if classified else "vad"
    found = f"On the test set; the 95 % intervals are of {resampling(part)}. {SCORES[target]} {BASELINES[target]}"
    zero_shot = " Zero-shot is the classifier that the backbone brings along."
    return found + (zero_shot if "zero_shot" in part["intervals"] else "")


def sets(found: Mapping[str, Any], refit: str) -> str:
    """Return what the sets of emotions that cannot be ruled out are like.

    Args:
        found: ``sets`` of :func:`emopipe.scoring.statistics.selection`
        refit: as in params.yaml; other than ``none``: the thresholds are those of another training
    """
    promised = (
        "for an utterance of a new speaker"
        if found["guarantee"] == "speaker"
        else "for utterances like those of the dev set; too few speakers are known there for a promise about new ones"
    )
    worst = "" if found["worst"] is None else f", in {found['worst']:.1%} of those of the worst speaker,"
    again = (
        ""
        if refit == "none"
        else "That is of the networks before they were trained anew on train and dev together: for the final model, "
        "which has no dev set of its own, it is not proven. "
    )
    return (
        f"Sets of emotions that are to hold the true one in {found['share']:.0%} of the cases hold it in "
        f"{found['covered']:.1%} of the test utterances{worst} and "
        f"have {found['size']:.2f} of {found['labels']} emotions on average. The share is promised {promised}. {again}"
        "Nothing is promised for other corpora, languages or microphones."
    )


def limits(config: Mapping[str, Any]) -> list[str]:
    """Return what the audio model cannot do, given its config."""
    always = f"Its answer is always one of the {len(config.get('labels', ()))} emotions, even where none of them fits."
    return [
        "How it does on corpora, languages, microphones and rooms other than those of the test set was not measured.",
        *([always] if "labels" in config else []),
        "It learned what actors meant to show or raters believed to hear, which is not what somebody feels. It is no "
        "ground for a decision about a person.",
        f"It uses the first {config['provenance']['max_seconds']:g} seconds of a recording.",
    ]


def backbone(origin: Mapping[str, str], base_model: str | None) -> str:
    """Return where the frozen part of the audio model's backbone comes from.

    Args:
        origin: its provenance; without a revision it was read from a folder
        base_model: its id on the Hugging Face hub, where it is there
    """
    checked = f"Only weights with the sha256 {origin['sha256']} are taken."
    if origin["revision"]:
        return (
            "These weights are what was trained. The frozen part of the backbone is not among them; emopipe has it "
            f"or fetches it: {base_model or origin['name']}, revision {origin['revision']}, licence "
            f"{origin['licence']}. {checked}"
        )
    return (
        "These weights are what was trained. The frozen part of the backbone is not among them, and was read from a "
        f"folder of whoever trained this: {origin['name']}, of the family {origin['family']}. {checked} Before "
        "loading, write into config.json where they lie on your disk: as “name”, below “provenance” and “backbone”."
    )


def licences(origin: Mapping[str, str], facts: Mapping[str, Any]) -> str:
    """Return what the licence of the audio model follows from.

    Args:
        origin: provenance of its backbone
        facts: of :func:`emopipe.report.data.describe`
    """
    return (
        "None is named here. What may be done with these weights follows from the terms of the backbone "
        f"({origin['licence']}) and of the corpora in train and dev ({', '.join(facts['train_and_dev']['corpora'])}), "
        "which emopipe cannot judge."
    )
