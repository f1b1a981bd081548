"""Test the audio model under conditions: noise, codecs, rooms, channels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emopipe.io.errors import run_stage
from emopipe.io.outputs import write_json
from emopipe.parameters import Runtime
from emopipe.robustness.parameters import Robustness
from emopipe.schemas.robustness import ANSWERS, CLEAN, KEYS, SOUND_ANSWERS
from emopipe.schemas.splits import AUDIO, read_audio
from emopipe.schemas.tables import write_csv

METRICS = Path("metrics/robustness.json")
MODEL = Path("models/audio")
COVERAGE = 0.9  # of the dev set, by the threshold with which sounds are answered or not


def main() -> None:
    """Write data/robustness and metrics/robustness.json, both empty where there is nothing to test."""
    settings, rows = Robustness.load(), read_audio()
    if not settings.conditions or rows.empty:
        print(f"robustness: {'robustness.suite is none' if len(rows) else 'no audio'}; nothing to do")
        write_csv(pd.DataFrame(columns=list(KEYS)), ANSWERS)
        write_csv(pd.DataFrame(columns=["sound"]), SOUND_ANSWERS)
        write_json({}, METRICS)
        return
    _test(settings, rows, Runtime.load())


def _test(settings: Robustness, rows: pd.DataFrame, runtime: Runtime) -> None:
    # Here: PyTorch takes seconds to import, and where nothing is tested nobody waits for it.
    from emopipe.recognition.abstention import Abstention
    from emopipe.recognition.speech import Recognizer
    from emopipe.recordings import resampled
    from emopipe.robustness.answers import FORMAT, SOUNDS, table_of, together, write_answers
    from emopipe.robustness.scores import scores, target_of, unknown
    from emopipe.robustness.sounds import KINDS
    from emopipe.training.devices import set_up
    from emopipe.unfinished import unfinished_folder

    set_up(runtime, seed=0)  # what is drawn is drawn by utterance
    rows = rows.assign(path=resampled.files(rows["utterance"]))
    recognizer = Recognizer.load(MODEL, device=runtime.device)
    trained = recognizer.trained
    test = rows[rows["split"] == "test"]
    files = [resampled.MANIFEST, AUDIO, MODEL / "config.json", MODEL / "model.safetensors"]
    with unfinished_folder("robustness", [settings], runtime, files) as parts:
        write_answers(recognizer, rows, settings.conditions, settings.seed, parts)
        answers = {one: pd.read_csv(table_of(parts, *one)) for one in [CLEAN, *settings.conditions]}
        by_sound = {kind: pd.read_csv(table_of(parts, SOUNDS, kind)) for kind in KINDS}
        write_csv(together(answers, test["utterance"]), ANSWERS, FORMAT)
        write_csv(pd.concat([own.assign(sound=kind) for kind, own in by_sound.items()]), SOUND_ANSWERS, FORMAT)
    found = scores(target_of(test, answers), settings.conditions)
    abstention = None if trained.dev is None else Abstention.of(trained, coverage=COVERAGE)
    found["sounds"] = unknown(answers[CLEAN], by_sound, abstention)
    write_json(found, METRICS)
    passed = found["summary"]
    print(
        f"robustness: {len(settings.conditions)} conditions; {passed['passed']} of {passed['tested']} thresholds passed"
    )


if __name__ == "__main__":
    run_stage(main)
