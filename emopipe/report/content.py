"""What stands in the report: sentences, tables, and which picture stands where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from emopipe.report import data, mistakes, sentences, tables
from emopipe.report.formatting import counted, listed, without_folders
from emopipe.report.grid import Grid, grid_of
from emopipe.report.tables import Confusion, Table
from emopipe.results.reading import Results
from emopipe.results.scores import evaluated, headline
from emopipe.schemas.splits import rated

PAIRED = "Differences are of two models on the same utterances, their intervals and p of the paired bootstrap."
MCNEMAR = "McNemar's test takes utterances to be independent, which those of one speaker are not."
ZERO_SHOT = (
    "Zero-shot is a pretrained model as it comes. Of audio it is the classifier that the backbone brings along; of "
    "text, how close a sentence is to anchor sentences, or (NLI) which statements about its writer it entails, both "
    "brought to the scale of the training set by a straight line; of the forest, a forest on that VAD of text."
)
SHORTCUTS = (
    "A shortcut is what a recording gives away without being listened to. Each is given alone to a small model, which "
    "is fitted on the training set. A network that gets no further may rest on it alone. p: share of shuffles of the "
    "emotions within every speaker with which it gets as far."
)
LISTENING = (
    "The players take their recordings from data/audio of the repository: they play where the pipeline ran, or after "
    "“dvc pull”, and stay silent in a copy of this page elsewhere. Recordings and transcripts are under the licence of "
    "their corpus."
)
BYTES = (
    "At the Git commit that holds this page. On one machine the same inputs give the same bytes; on another processor "
    "the last bits may differ."
)
REPRODUCE = """\
make repro                                # installs the locked versions, runs every stage that is not up to date
dvc metrics show                          # the scores
dvc exp run -S train.learning_rate=3e-4   # another experiment
emopipe compare HEAD workspace            # is it better?"""


@dataclass(frozen=True)
class Figure:
    """A picture, by its name among the figures; left out where it was not drawn."""

    name: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Fold:
    """What is shown when a reader opens it."""

    title: str
    paragraphs: list[str]
    tables: list[Table]
    code: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    anchor: str
    title: str
    paragraphs: list[str]
    confusion: Confusion | None = None
    figures: tuple[Figure, ...] = ()
    folds: tuple[Fold, ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Content:
    """The whole page."""

    statements: list[tuple[str, str]]  # branch, what was trained on what
    notices: list[str]
    grid: Grid
    legend: str
    confusion: Confusion | None  # that stands beside the grid
    scores: Fold
    mistakes: list[Table]
    listening: str  # where their recordings can be heard; empty where there is none
    sections: list[Section]


def build(results: Results, parameters: dict[str, Any]) -> Content:
    """Return what stands in the report.

    Args:
        results: what was trained and evaluated
        parameters: as resolved from params.yaml, less those that change no result
    """
    statistics, models = results.statistics, without_folders(results.models)
    facts = without_folders({name: data.describe(rows, results.leaks[name]) for name, rows in results.splits.items()})
    learned = facts | {"text": without_folders(data.describe(rated(results.splits["text"]), results.leaks["text"]))}
    scores, wrong = headline(statistics), _mistakes(results)
    grid = grid_of(scores)
    confusions = {
        branch: tables.confusion(results.trained(target, branch), f"Confusion of {branch} emotions, shares of each row")
        for branch, target, _ in evaluated(statistics)
        if target == "emotion"
    }
    beside = confusions.pop(next(iter(confusions))) if confusions else None
    return Content(
        statements=_statements(learned, models, statistics, parameters),
        notices=_notices(facts, results),
        grid=grid,
        legend=_legend(statistics, grid) if grid.rows else "",
        confusion=beside,
        scores=Fold("All headline scores in numbers", [ZERO_SHOT], [tables.headline(scores)]),
        mistakes=wrong,
        listening=LISTENING if any(cell.audio for table in wrong for row in table.rows for cell in row) else "",
        sections=[
            *_audio(statistics["audio"], models["audio"]),
            *_forest(statistics["forest"], confusions.get("forest")),
            *_text(statistics["text"], models["text"]),
            *_trust(results),
            *_groups(statistics),
            _training(models),
            *_data(facts, results),
            *_provenance(models, statistics),
            _parameters(parameters),
            Section("again", "Reproduce", [BYTES], code=REPRODUCE),
        ],
    )


def _notices(facts: dict[str, Any], results: Results) -> list[str]:
    known = {branch: own for branch, own in facts.items() if own is not None}
    found = [sentences.SYNTHETIC] if any(own["synthetic"] for own in known.values()) else []
    shared = {branch: sentences.overlap(own) for branch, own in known.items()}
    found += [f"{branch.capitalize()}: {sentence}" for branch, sentence in shared.items() if sentence]
    if len(results.notices):
        found.append("Some of the data was left out or read in another way; what, and how much, stands under Data.")
    return found


def _statements(
    facts: dict[str, Any], models: dict[str, Any], statistics: dict[str, Any], parameters: dict[str, Any]
) -> list[tuple[str, str]]:
    found = []
    for branch, refit, describe in (
        ("audio", parameters["train"]["refit"], sentences.audio_model),
        ("text", parameters["text"]["refit"], sentences.text_model),
    ):
        model = models[branch]
        what = f"{describe(model)}, {sentences.data(facts[branch], refit)}." if model else sentences.OFF
        found.append((branch, what))
    if part := statistics["forest"].get("emotion"):
        forest = sentences.forest_model(parameters["forest"], part["inputs"])
        found.append(("forest", f"{forest}, tested on {counted(part['utterances'], 'utterance')}."))
    return found


def _legend(statistics: dict[str, Any], grid: Grid) -> str:
    tested = list(evaluated(statistics))
    how = dict.fromkeys(sentences.resampling(part) for _, _, part in tested)
    below = "".join(f" (of {name} from −{-floor:.1f})" for name, floor in grid.floors.items() if floor)
    return (
        f"Dot: score on the test set, on an axis from 0{below} to 1. Bar: 95 % interval of {listed(list(how))}. "
        f"Dotted: {grid.columns[-1]}. {_explained(tested)}"
    )


def _explained(tested: list[tuple[str, str, dict[str, Any]]]) -> str:
    targets = dict.fromkeys(target for _, target, _ in tested)
    return " ".join([*(sentences.SCORES[name] for name in targets), *(sentences.BASELINES[name] for name in targets)])


def _mistakes(results: Results) -> list[Table]:
    text = results.splits["text"]
    utterances = mistakes.Utterances(
        dict(zip(text["utterance"], text["transcript"], strict=True)), set(results.splits["audio"]["utterance"])
    )
    worst = {"emotion": mistakes.emotions, "vad": mistakes.ratings}
    return [
        worst[target](results.trained(target, branch), branch, utterances)
        for branch, target, _ in evaluated(results.statistics)
    ]


def _against(part: dict[str, Any]) -> Fold:
    classified = any("mcnemar_p" in scores for scores in part["tests"].values())
    words = [PAIRED, MCNEMAR] if classified else [f"{PAIRED} Of the errors MSE, RMSE and MAE, less is better."]
    return Fold("Differences from the other models", [" ".join(words)], tables.differences(part["tests"]))


def _audio(statistics: dict[str, Any], model: dict[str, Any] | None) -> Iterator[Section]:
    tsne = Figure(
        "tsne_audio",
        "Scatter plot of test utterances by t-SNE, coloured by true emotion",
        "t-SNE of what the head is given (pooled embedding), one point per test utterance, by its true emotion. "
        "Distances between clusters mean little.",
    )
    if part := statistics.get("emotion"):
        found = part["calibration"]
        reliability = Figure(
            "reliability",
            "Reliability diagram: accuracy against confidence, with the share of utterances at each confidence; "
            f"expected calibration error {found['ece']:.3f}",
            "Accuracy of the test utterances by how confident the model is. Grey bars: share of the utterances with "
            "that confidence; grey line: before the temperature.",
        )
        chosen = part.get("selection")  # of a model whose answers for dev are stored
        curve = chosen and Figure(
            "risk_coverage",
            "Curve of risk and coverage: the share of wrong answers by the share of answers that are given; "
            f"area {chosen['aurc']:.3f}",
            "Share of wrong answers if the least certain ones are left out: by the model's confidence, if all wrong "
            f"ones came last (area {chosen['aurc_perfect']:.3f}), and in any order. Points: the thresholds that leave "
            "out a tenth and a fifth of the dev set.",
        )
        worse = found["temperature"] is not None and found["ece"] > found["ece_before"]
        words = ["The temperature was fitted on dev; on this test set it made the calibration error larger."]
        folds = (
            Fold("Recall of each emotion", [], [tables.recalls(part["intervals"]["trained"])]),
            _against(part),
            Fold("Calibration", words if worse else [], [tables.calibration(found)]),
        )
        if chosen:
            words = [sentences.sets(chosen["sets"], model["train"]["refit"])]
            folds += (Fold("Leaving answers out", words, [tables.selection(chosen)]),)
        figures = (reliability, curve, tsne) if chosen else (reliability, tsne)
        yield Section("audio", "Audio", [sentences.question(model)], figures=figures, folds=folds)
    elif part := statistics.get("vad"):
        folds = (Fold("All scores", [], [tables.ratings(part["intervals"]["trained"])]), _against(part))
        yield Section("audio", "Audio", [sentences.question(model)], figures=(_histograms("audio"), tsne), folds=folds)


def _text(statistics: dict[str, Any], model: dict[str, Any] | None) -> Iterator[Section]:
    if model is None:
        return
    tsne = Figure(
        "tsne_vad",
        "Scatter plot of test utterances by t-SNE of their VAD predicted from text, coloured by true emotion",
        "t-SNE of the VAD predicted from text, one point per test utterance, by its true emotion.",
    )
    words = "How high, from 1 to 5, are valence, arousal and dominance (VAD) of a sentence?"
    if part := statistics.get("vad"):
        folds = (Fold("All scores", [], [tables.ratings(part["intervals"]["trained"])]), _against(part))
        yield Section("text", "Text", [words], figures=(_histograms("text"), tsne), folds=folds)
    else:
        yield Section("text", "Text", [words, "No test utterance is rated for VAD."], figures=(tsne,))


def _histograms(branch: str) -> Figure:
    return Figure(
        f"vad_{branch}",
        "Histograms of the rated dimensions and of what the models predict",
        "Distribution of the dimensions on the test set. Values off the scale count as its end.",
    )


def _forest(statistics: dict[str, Any], confusion: Confusion | None) -> Iterator[Section]:
    if part := statistics.get("emotion"):
        inputs = part["inputs"]
        words = f"Which emotion, from the valence, arousal and dominance predicted from {listed(inputs)}?"
        if len(inputs) > 1:
            words += " Text only and audio only are forests on one branch, fitted on the same utterances."
        folds = (
            Fold("Recall of each emotion", [], [tables.recalls(part["intervals"]["trained"])]),
            _against(part),
            Fold("Importance of each input", [], [tables.importance(part["importance"])]),
        )
        yield Section("forest", "Forest", [words], confusion, folds=folds)


def _trust(results: Results) -> Iterator[Section]:
    words, figures, folds = [], [], []
    if found := results.robustness:
        passed, tested = found["summary"]["passed"], found["summary"]["tested"]
        words.append(
            "What becomes of the audio model's answers if its recordings are changed before it hears them? "
            f"{passed} of {counted(tested, 'condition')} with a published threshold {'is' if passed == 1 else 'are'} "
            "passed. Change: minus the score of the clean test set, on the same utterances. Unchanged: share of the "
            "answers that stay the same."
        )
        if beside := found.get("beside_robuser"):
            mean = {kind: f"{own['mean']:.1f}" for kind, own in beside.items()}
            words.append(
                f"Beside RobuSER's baseline on IEMOCAP, over {counted(len(beside['absolute']) - 1, 'condition')}: mean "
                f"corruption error {mean['absolute']}, relative {mean['relative']}; below 100 is better."
            )
        figures.append(
            Figure(
                "robustness",
                "Score under each condition with its interval, beside that of the clean test set",
                "Score under each condition, with the 95 % interval of its change; dashed: the clean test set.",
            )
        )
        folds += [
            Fold("All conditions", [], [tables.robustness(found)]),
            Fold("What is no speech", [], [tables.sounds(found["sounds"])]),
        ]
    for branch, own in results.fairness.groupby("branch", sort=False):
        passed, tested = int(own["passed"].sum()), own["passed"].count()
        tests = f"{passed} of {tested} published tests of correctness and fairness are passed"
        words.append(f"{str(branch).capitalize()}: {tests}.")
        folds.append(Fold(f"Correctness and fairness of {branch}", [], tables.trust(own)))
    shown = results.shortcuts[results.shortcuts["value"].notna()]
    audio = results.statistics["audio"]
    if len(shown) and audio:
        (part,) = audio.values()
        folds.append(
            Fold("Shortcuts", [SHORTCUTS], [tables.shortcuts(results.shortcuts, part["intervals"]["trained"])])
        )
    if found := results.export:
        words.append(
            f"The audio model as one file, models/onnx/model.onnx: {found['megabytes']:g} MB in {found['precision']}. "
            f"It has answered {found['compared_on']} in a process without emopipe."
        )
        folds.append(Fold("The ONNX file beside the model", [], [tables.export(found)]))
    if folds:
        yield Section("trust", "Trust", words, figures=tuple(figures), folds=tuple(folds))


def _groups(statistics: dict[str, Any]) -> Iterator[Section]:
    found = [
        Fold(f"{branch.capitalize()} emotion by group", [], tables.groups(part["groups"]))
        for branch, target, part in evaluated(statistics)
        if target == "emotion"
    ]
    if any(fold.tables for fold in found):
        figure = Figure(
            "speakers",
            "Unweighted average recall of each test speaker, sorted",
            "UAR of each test speaker with ten utterances or more; dashed: the mean over speakers.",
        )
        words = "Groups of fewer than ten utterances are left out. With many or small groups, chance alone makes a gap."
        folds = tuple(fold for fold in found if fold.tables)
        yield Section("groups", "Groups", [words], figures=(figure,), folds=folds)


def _training(models: dict[str, Any]) -> Section:
    words = []
    if audio := models["audio"]:
        parameters = f"{audio['trainable_parameters']:,} trainable parameters"
        words.append(f"Audio: {sentences.weights(audio, audio['train']['refit'])}; {parameters}.")
    if text := models["text"]:
        words.append(f"Text: {sentences.weights(text, text['text']['refit'])}.")
    curves = Figure(
        "training",
        "Loss on train and dev, and the dev score, epoch by epoch",
        "Loss and dev score by epoch. The test set chooses nothing.",
    )
    return Section("training", "Training", words or ["No model was trained."], figures=(curves,))


def _data(facts: dict[str, Any], results: Results) -> Iterator[Section]:
    folds, words = [], []
    for branch, own in facts.items():
        if own is not None:
            leaks = [tables.leaks(own["leaks"])] if own["leaks"] else []
            found = [] if leaks else ["No recording, text or speaker that was looked for stood in more than one set."]
            shown = tables.sets(own, with_ratings=branch == "text")
            folds.append(Fold(f"{branch.capitalize()}: train, dev and test", found, [shown, *leaks]))
    if facts["audio"] is not None:
        reasons = data.reasons(results.rejected)
        words.append(f"{counted(len(results.rejected), 'recording')} could not be used.")
        folds += [Fold("Recordings that could not be used", [], [tables.rejected(reasons)])] if reasons else []
    if len(results.notices):
        shown = tables.notices(results.notices)
        folds.append(Fold(shown.caption, [], [shown]))
    if folds:
        yield Section("data", "Data", words, folds=tuple(folds))


def _provenance(models: dict[str, Any], statistics: dict[str, Any]) -> Iterator[Section]:
    found = []
    if audio := models["audio"]:
        origin = audio["provenance"]
        found.append(tables.origin("Audio backbone", origin["backbone"], origin["versions"]))
    if text := models["text"]:
        found.append(tables.origin("Text encoder", text["encoder"], text["versions"]))
    if nli := statistics["text"].get("vad", {}).get("nli"):
        found.append(tables.origin("Zero-shot NLI", without_folders(nli)))
    if found:
        fold = Fold("Backbones, their revisions, checksums and licences", [], found)
        yield Section("provenance", "Provenance", [], folds=(fold,))


def _parameters(parameters: dict[str, Any]) -> Section:
    text = yaml.safe_dump(without_folders(parameters), sort_keys=False, allow_unicode=True, width=100)
    words = (
        "As resolved from params.yaml, without runtime, which says how a stage runs and changes no result. Folders are "
        "shown by their name."
    )
    return Section("parameters", "Parameters", [], folds=(Fold("All parameters", [words], [], text),))
