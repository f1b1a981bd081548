"""The tables of the report: numbers and names as text, in rows and columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from emopipe.report.formatting import counted, interval, p_value, score, score_name
from emopipe.results import robustness as tested
from emopipe.results import scores
from emopipe.results.scores import LABELS

FEW = 20  # groups that are all shown
ACTIONS = {"left_out": "left out of the set that is held out less", "reported": "left as it is, and reported here"}
ENDS = 10  # groups that are shown of more: the worst, and as many of the best


class Cell(NamedTuple):
    """What stands in a table's cell."""

    text: str
    note: int = 0  # number of the note below the table; 0: none
    audio: str = ""  # address of a recording, relative to the page; its name is ``text``


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names it."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: frozenset[int] = frozenset()  # columns after the first that hold words: the others hold numbers
    notes: Sequence[str] = ()
    remark: str = ""  # below it


@dataclass(frozen=True)
class Share:
    """A cell of a confusion matrix."""

    share: float  # of the true class
    count: int


@dataclass(frozen=True)
class Confusion:
    """How each true class was predicted; rows and columns in the order of ``labels``."""

    caption: str
    labels: Sequence[str]
    rows: Sequence[Sequence[Share]]


@dataclass
class _Notes:
    """Notes of a table: each stands once, and its number at every value that it holds for."""

    texts: list[str] = field(default_factory=list)

    def number(self, found: Mapping[str, Any]) -> int:
        text = found.get("note") or ""
        if text and text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1 if text else 0


def _cells(*texts: str) -> list[Cell]:
    return [Cell(text) for text in texts]


def confusion(predictions: pd.DataFrame, caption: str) -> Confusion:
    """Return how each true class was predicted.

    Args:
        predictions: with ``truth`` and ``prediction``, a row per utterance
        caption: what is shown
    """
    counts = scores.confusion(predictions)
    rows = [[Share(float(count) / max(1, row.sum()), int(count)) for count in row] for row in counts.to_numpy()]
    return Confusion(caption, list(counts), rows)


def headline(rows: pd.DataFrame) -> Table:
    """Return the headline scores as a list, with their intervals in numbers.

    Args:
        rows: of :func:`emopipe.results.scores.headline`
    """
    notes, found = _Notes(), rows.to_dict("records")
    return Table(
        "Scores on the test set, each with its 95 % interval",
        ["predicted", "model", "score", "value", "95 % interval"],
        [
            [*_cells(x["target"], x["model"], x["score"], score(x["value"])), Cell(interval(x), notes.number(x))]
            for x in found
        ],
        frozenset({1, 2}),
        notes.texts,
    )


def recalls(intervals: Mapping[str, Any]) -> Table:
    """Return the recall of every class of a trained model, given its intervals by score."""
    found = {name.removeprefix("recall."): x for name, x in intervals.items() if name.startswith("recall.")}
    return _scores("Recall of each emotion", "emotion", found)


def ratings(intervals: Mapping[str, Any]) -> Table:
    """Return every score of predicted dimensions, given the intervals of a trained model by score."""
    found = {score_name(name): x for name, x in intervals.items()}
    return _scores("Scores of the predicted dimensions; errors on the scale of 1 to 5", "score", found)


def _scores(caption: str, first: str, found: Mapping[str, Any]) -> Table:
    notes = _Notes()
    rows = [[*_cells(name, score(x["value"])), Cell(interval(x), notes.number(x))] for name, x in found.items()]
    return Table(caption, [first, "value", "95 % interval"], rows, notes=notes.texts)


def differences(tests: Mapping[str, Any]) -> list[Table]:
    """Return a table for each other model: the trained one's scores minus its, with interval and p."""
    return [_difference(LABELS[model], scores) for model, scores in tests.items() if model in LABELS]


def _difference(label: str, scores: Mapping[str, Any]) -> Table:
    notes = _Notes()
    rows = [
        [
            *_cells(score_name(name), score(x["difference"], "+")),
            Cell(interval(x, "+"), notes.number(x)),
            Cell(p_value(x["p"])),
        ]
        for name, x in scores.items()
        if name != "mcnemar_p"
    ]
    if "mcnemar_p" in scores:
        rows.append(_cells("WA by McNemar's test", "", "", p_value(scores["mcnemar_p"])))
    return Table(f"Trained minus {label}", ["score", "difference", "95 % interval", "p"], rows, notes=notes.texts)


def groups(found: Mapping[str, Any]) -> list[Table]:
    """Return a table for each kind of group (speaker, sex, ...) of which any is known, the worst group first."""
    return [_group(kind, own["values"], own["gap"]) for kind, own in found.items() if own["values"]]


def _group(kind: str, values: Mapping[str, Any], gap: float | None) -> Table:
    ordered = sorted(values.items(), key=lambda item: (item[1]["uar"], item[0]))
    shown = ordered if len(ordered) <= FEW else ordered[:ENDS] + ordered[-ENDS:]
    spread = "one group, no gap" if gap is None else f"gap between the best and the worst UAR {score(gap)}"
    return Table(
        f"By {kind}: {spread}",
        [kind, "utterances", "UAR", "WA"],
        [_cells(name, f"{x['utterances']:,}", score(x["uar"]), score(x["accuracy"])) for name, x in shown],
        remark="" if shown == ordered else f"The {ENDS} worst and the {ENDS} best of {len(ordered)}.",
    )


def calibration(found: Mapping[str, Any]) -> Table:
    """Return the calibration before and after the temperature."""
    temperature = found["temperature"]
    after = "not calibrated" if temperature is None else f"after T = {temperature:.3f}"
    return Table(
        "Calibration of the probabilities; lower is better",
        ["", "before", after],
        [
            _cells("expected calibration error", score(found["ece_before"]), score(found["ece"])),
            _cells("Brier score (0 to 2)", score(found["brier_before"]), score(found["brier"])),
        ],
    )


def selection(found: Mapping[str, Any]) -> Table:
    """Return what is reached on the test set with the thresholds of the dev set."""
    rows = [
        _cells(f"{float(share):.0%}", f"{one['covered']:.1%}", score(one["accuracy"]), score(one["uar"]))
        for share, one in found["answered"].items()
    ]
    return Table(
        "The least certain answers left out, by thresholds of the dev set",
        ["coverage requested", "reached", "WA of these", "UAR of these"],
        rows,
    )


def robustness(found: dict[str, Any]) -> Table:
    """Return what each condition changes, given the content of metrics/robustness.json."""
    what, shown = score_name(found["score"]), tested.table(found)
    rows = [
        _cells(
            x["name"],
            score(x["score"]),
            score(x["change"], "+"),
            interval(x, "+"),
            f"{x['unchanged']:.1%}",
            "; ".join(f"{name} > {limit:g}".replace("-", "−") for name, limit in _limits(x).items()) or "–",
            {None: "–", True: "yes", False: "no"}[x["passed"]],
        )
        for x in shown.to_dict("records")
    ]
    columns = ["condition", what, "change", "95 % interval", "unchanged answers", "threshold", "passed"]
    return Table(
        f"{what} under each condition; clean {score(found['clean']['score'])}", columns, rows, frozenset({5, 6})
    )


def export(found: Mapping[str, Any]) -> Table:
    """Return how the ONNX file and the model compare, given the content of metrics/export.json."""
    (name,) = {"uar", "ccc"} & set(found)
    kind = "rating" if found["changed_labels"] is None else "probability"
    rows = [
        ("recordings", f"{found['answers']}"),
        (f"largest difference of a {kind}", f"{found['largest_difference']:.2g}"),
        (f"mean difference of a {kind}", f"{found['mean_difference']:.2g}"),
    ]
    if found["changed_labels"] is not None:
        rows.append(("labels that are others", f"{found['changed_labels']}"))
    if scores := found[name]:
        rows += [
            (f"{score_name(name)} of the model", score(scores["emopipe"])),
            (f"{score_name(name)} of the file", score(scores["exported"])),
        ]
    return Table("How the file and the model compare", ["", "value"], [_cells(*row) for row in rows])


def sounds(found: Mapping[str, Any]) -> Table:
    """Return how sure the model is of what is no speech, given that part of metrics/robustness.json."""
    names = {"confidence": "by confidence", "energy": "by energy", "spread": "by agreement"}
    shown = [name for name in names if all(name in one["auroc"] for one in found.values())]
    extra = [name for name in ("answered", "confidence") if all(name in one for one in found.values())]
    columns = ["sound", *({"answered": "answered", "confidence": "mean confidence"}[name] for name in extra)]
    return Table(
        "Sounds that are no speech: how many are answered, and how well they are told from the test set (area under "
        "the ROC, 0.5 by chance)",
        [*columns, *(names[name] for name in shown)],
        [
            _cells(
                kind.replace("_", " "),
                *(f"{one[name]:.0%}" for name in extra),
                *(score(one["auroc"][name]) for name in shown),
            )
            for kind, one in found.items()
        ],
        remark="Answered: with the threshold that answers 90 % of the dev set." if "answered" in extra else "",
    )


def shortcuts(found: pd.DataFrame, model: Mapping[str, Any]) -> Table:
    """Return how far each shortcut gets, beside the model.

    Args:
        found: of data/shortcuts/shortcuts.csv
        model: intervals of the trained model, by score
    """
    notes, rows = _Notes(), []
    for name in found["score"].unique():
        one = model[name]
        rows.append(
            [*_cells("the trained model", score_name(name), score(one["value"])), Cell(interval(one)), *_cells("", "")]
        )
    for x in found[found["value"].notna()].to_dict("records"):
        rows.append(
            [
                *_cells(x["name"].replace("_", " "), score_name(x["score"]), score(x["value"])),
                Cell(interval(x), notes.number(x)),
                *_cells(p_value(x["p"] if x["p"] == x["p"] else None), score(x["baseline"])),
            ]
        )
    left = [x.replace("_", " ") for x in found.loc[found["value"].isna(), "name"].unique()]
    return Table(
        "How far a shortcut alone gets on the test set",
        ["", "score", "value", "95 % interval", "p", "one answer for all"],
        rows,
        frozenset({1}),
        notes.texts,
        f"Not applicable, the same for all or unknown: {', '.join(left)}." if left else "",
    )


def trust(found: pd.DataFrame) -> list[Table]:
    """Return the published tests of a branch: how many of each were passed, and those that were not.

    Args:
        found: rows of data/fairness.csv of one branch
    """
    failed = found[found["passed"] == 0]
    counts = [
        _cells(_test_name(test), *map(str, (int(own.sum()), own.count(), own.isna().sum())))
        for test, own in found.groupby("test", sort=False)["passed"]
    ]
    tables = [Table("Tests passed", ["test", "passed", "of", "not applicable"], counts)]
    if len(failed):
        rows = [
            _cells(
                _test_name(x["test"]),
                " ".join(filter(None, [x["score"].replace("_", " "), x["subject"], x["group"] and f"({x['group']})"])),
                score(x["value"]),
                interval(x),
                {">": "> ", "<": "< ", "within": "within ± "}[x["rule"]] + f"{x['threshold']:g}",
                f"{x['n']:,}",
            )
            for x in failed.to_dict("records")
        ]
        columns = ["test", "what", "value", "95 % interval", "has to be", "n"]
        tables.append(Table("Tests not passed", columns, rows, frozenset({1, 4})))
    return tables


def _test_name(test: str) -> str:
    return test.replace("_", " ")


def _limits(row: Mapping[str, Any]) -> dict[str, float]:
    limits = {name: row[f"{name}_above"] for name in ("change", "unchanged")}
    return {name: limit for name, limit in limits.items() if limit == limit}


def importance(found: Mapping[str, Any]) -> Table:
    """Return what each input is worth to the forest: means over shuffles, with their standard deviation."""
    return Table(
        "By how much UAR falls when an input of the forest is shuffled among the test utterances",
        ["input", "fall", "± over shuffles"],
        [_cells(name.replace("_", " "), score(x["mean"]), score(x["std"])) for name, x in found.items()],
    )


def sets(facts: Mapping[str, Any], with_ratings: bool) -> Table:
    """Return the sizes of train, dev and test.

    Args:
        facts: of :func:`emopipe.report.data.describe`
        with_ratings: tell how many utterances are rated for VAD
    """
    own = list(facts["sets"].values())
    rows = [
        [emotion, *(f"{size['utterances']} ({size['speakers']})" for size in sizes.values())]
        for emotion, sizes in facts["emotions"].items()
    ]
    rows.append(["all", *(f"{size['utterances']} ({size['speakers']})" for size in own)])
    rows += [["rated for VAD", *(str(size["rated"]) for size in own)]] if with_ratings else []
    rows.append(["speaker not known", *(str(size["unknown"]) for size in own)])
    rows.append(["speakers by sex", *(_counts(size["sexes"]) for size in own)])
    rows.append(["corpora", *(", ".join(size["corpora"]) for size in own)])
    return Table("Utterances (and speakers) of each set", ["emotion", *facts["sets"]], [_cells(*row) for row in rows])


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in found.items()) or "–"


def leaks(found: Iterable[Mapping[str, Any]]) -> Table:
    """Return what stood in more than one set, given the counts of :func:`emopipe.report.data.describe`."""
    return Table(
        "What stood in more than one set",
        ["kind", "sets", "how many", "utterances", "what was done"],
        [
            _cells(
                x["kind"], x["sets"].replace("|", ", "), *map(str, (x["number"], x["utterances"])), ACTIONS[x["action"]]
            )
            for x in found
        ],
        frozenset({1, 4}),
    )


def origin(caption: str, *entries: Mapping[str, Any]) -> Table:
    """Return where weights come from, and with what they were trained."""
    rows = [_cells(key, str(value)) for entry in entries for key, value in entry.items()]
    return Table(caption, ["", ""], rows, frozenset({1}))


def rejected(reasons: Mapping[str, int]) -> Table:
    """Return for what reasons recordings could not be used, and how often."""
    return Table(
        f"{counted(sum(reasons.values()), 'recording')} that could not be used",
        ["reason", "recordings"],
        [_cells(reason, str(count)) for reason, count in reasons.items()],
    )


def notices(found: pd.DataFrame) -> Table:
    """Return what was left out, or read in another way, as :func:`emopipe.schemas.notices.read` has it."""
    counts = [f"{row.number:,} of {row.total:,}" if row.total else f"{row.number:,}" for row in found.itertuples()]
    return Table(
        "What was left out, or read in another way than it stands there",
        ["source", "stage", "how many", "of what", ""],
        [
            _cells(Path(row.source).name, row.stage, count, row.unit, row.what)
            for row, count in zip(found.itertuples(), counts, strict=True)
        ],
        frozenset({1, 3, 4}),
    )
