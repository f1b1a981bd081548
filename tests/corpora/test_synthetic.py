"""The synthetic corpus: the same bytes wherever and however it is made, and sound, words and labels that agree."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from emopipe.corpora import espeak, synthetic, synthetic_text
from emopipe.corpora.parameters import Synthetic
from emopipe.io.errors import UserError
from emopipe.schemas.manifest import check_unique

ROOT = Path(synthetic.__file__).resolve().parents[2]
SETTINGS = Synthetic(speakers=8, utterances=40, seed=1)
SMALL = Synthetic(speakers=6, utterances=5, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("synthetic")


@pytest.fixture(scope="module")
def corpus(folder: Path) -> pd.DataFrame:
    return synthetic.make(folder, SETTINGS)


@pytest.fixture(scope="module")
def measured(corpus: pd.DataFrame) -> pd.DataFrame:
    """Return the median loudness (dB), brightness and tempo (letters per second) of each emotion."""
    rows = []
    for path, transcript in zip(corpus["path"], corpus["transcript"], strict=True):
        x, rate = soundfile.read(path)
        spectrum = np.abs(np.fft.rfft(x)) ** 2
        high = np.fft.rfftfreq(len(x), 1 / rate) > 1000
        tempo = len(transcript) / (len(x) / rate)
        rows.append((10 * np.log10(np.mean(x**2)), spectrum[high].sum() / spectrum.sum(), tempo))
    measured = pd.DataFrame(rows, columns=["loudness", "brightness", "tempo"])
    return measured.groupby(corpus["emotion"]).median()


def fingerprints(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.wav"))}


def test_rows_fit_the_manifest(corpus: pd.DataFrame, folder: Path) -> None:
    check_unique(corpus, "synthetic")
    assert len(corpus) == 320
    assert corpus["utterance"].iloc[0] == "synthetic/s01_001"
    assert corpus["speaker"].nunique() == 8
    assert corpus.groupby("speaker")["sex"].nunique().eq(1).all()
    assert corpus.drop_duplicates("speaker")["sex"].value_counts().to_dict() == {"female": 4, "male": 4}
    assert corpus.groupby("session")["speaker"].nunique().eq(2).all()
    assert (corpus["prompt"] == "").all()
    assert all(Path(path).parent == folder and Path(path).is_file() for path in corpus["path"])


def test_recordings_are_short_clips_at_one_rate(corpus: pd.DataFrame) -> None:
    infos = [soundfile.info(path) for path in corpus["path"]]
    assert {(i.samplerate, i.channels, i.subtype) for i in infos} == {(22_050, 1, "PCM_16")}
    assert min(i.duration for i in infos) > 0.8
    assert max(i.duration for i in infos) < 8
    assert 1.5 < np.median([i.duration for i in infos]) < 3


def test_recordings_do_not_clip(corpus: pd.DataFrame) -> None:
    clipped = [np.mean(np.abs(soundfile.read(path, dtype="int16")[0].astype(int)) >= 32767) for path in corpus["path"]]
    assert max(clipped) < 0.001, corpus["utterance"][int(np.argmax(clipped))]


def test_a_fresh_process_makes_the_same_bytes(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    rows = synthetic.make(here, SMALL)
    program = (
        "import sys; from pathlib import Path; from emopipe.corpora.parameters import Synthetic; "
        "from emopipe.corpora.synthetic import make; "
        f"make(Path(sys.argv[1]), Synthetic.model_validate({SMALL.model_dump()}))"
    )
    subprocess.run([sys.executable, "-c", program, str(there)], check=True, cwd=ROOT)
    assert fingerprints(here) == fingerprints(there)
    again = synthetic.make(here, SMALL)
    assert again.equals(rows)
    assert fingerprints(here) == fingerprints(there)


def test_more_speakers_or_utterances_leave_the_first_ones_alone(corpus: pd.DataFrame, folder: Path) -> None:
    small = folder / "small"
    rows = synthetic.make(small, SMALL)
    large = fingerprints(folder)
    assert all(large[name] == digest for name, digest in fingerprints(small).items())
    columns = ["utterance", "speaker", "emotion", "valence", "transcript"]
    subset = corpus[corpus["utterance"].isin(rows["utterance"])]
    assert subset[columns].values.tolist() == rows[columns].values.tolist()


def test_another_seed_makes_another_corpus(corpus: pd.DataFrame, tmp_path: Path) -> None:
    rows = synthetic.make(tmp_path, SMALL.model_copy(update={"seed": 2}))
    assert not set(rows["transcript"]) <= set(corpus["transcript"])


def test_sentences_sound_alike_whatever_was_spoken_before_the_list() -> None:
    # The synthesiser itself does not keep this promise: spoken twice in one process, a sentence differs.
    sentence = espeak.Sentence("The letter belongs to Anna.", "en-us+f1", 180, 50, 50, 0)
    first, second = espeak.speak([sentence, sentence])
    assert espeak.speak([sentence]) == [first]
    assert abs(len(first) - len(second)) < 5_000


def test_sentences_sound_alike_whatever_the_time() -> None:
    # The synthesiser takes its seed from the clock, in whole seconds; this voice has noise in it.
    sentences = [espeak.Sentence("The letter belongs to Anna.", "en-us+f1", 180, 50, 50, 0)] * 5
    before = espeak.speak(sentences)
    time.sleep(1.1)
    assert espeak.speak(sentences) == before


def test_no_sentences_no_samples() -> None:
    assert espeak.speak([]) == []


def test_an_unknown_voice_is_named() -> None:
    with pytest.raises(UserError, match="no voice en-us-nowhere"):
        espeak.speak([espeak.Sentence("Hello.", "en-us-nowhere", 180, 50, 50, 0)])


def test_every_voice_exists_and_differs() -> None:
    voices = [f"{accent}+{voice}" for accent in synthetic.ACCENTS for voice in synthetic.VOICES]
    spoken = espeak.speak([espeak.Sentence("My sister lost the keys.", voice, 180, 50, 50, 0) for voice in voices])
    assert len(set(spoken)) == len(voices)


def test_every_speaker_has_every_emotion_from_the_fifth_utterance_on(corpus: pd.DataFrame) -> None:
    first = corpus.groupby("speaker").head(5)
    assert first.groupby("speaker")["emotion"].nunique().eq(len(synthetic.EMOTIONS)).all()


def test_classes_are_imbalanced_as_in_conversation(corpus: pd.DataFrame) -> None:
    shares = corpus["emotion"].value_counts(normalize=True)
    assert shares.index[0] == "neutral"
    assert 0.2 < shares["neutral"] < 0.45
    assert shares.min() > 0.08
    assert sum(profile.share for profile in synthetic.EMOTIONS.values()) == pytest.approx(1)


def test_transcripts_seldom_repeat(corpus: pd.DataFrame) -> None:
    words = corpus["transcript"].str.lower().str.replace(r"\W+", " ", regex=True)
    assert words.duplicated(keep=False).mean() < 0.03


def test_transcripts_are_clean(corpus: pd.DataFrame) -> None:
    assert corpus["transcript"].str.fullmatch(r"[A-Z][A-Za-z, ]+[.!]").all()


def test_voices_follow_the_literature(measured: pd.DataFrame) -> None:
    loudness, brightness, tempo = measured["loudness"], measured["brightness"], measured["tempo"]
    assert loudness["anger"] > loudness["happiness"] > loudness["neutral"] > loudness["sadness"] + 3
    assert brightness["anger"] > brightness["neutral"] > brightness["sadness"]
    assert tempo["anger"] > tempo["neutral"] > tempo["sadness"] * 1.15
    assert tempo["fear"] > tempo["neutral"]


def test_labels_follow_the_emotion(corpus: pd.DataFrame) -> None:
    mean = corpus.groupby("emotion")[["valence", "arousal", "dominance"]].mean()
    assert mean["valence"].idxmax() == "happiness"
    assert mean["arousal"].idxmin() == "sadness"
    assert mean.loc["anger", "dominance"] > mean.loc["fear", "dominance"] + 1
    assert mean.loc["neutral"].to_numpy() == pytest.approx([3, 2.5, 3.2], abs=0.25)


def test_ratings_are_means_of_three(corpus: pd.DataFrame) -> None:
    sums = 3 * corpus[["valence", "arousal", "dominance"]].to_numpy()
    assert np.abs(sums - sums.round()).max() < 0.001
    assert corpus.groupby("emotion")["valence"].std().min() > 0.2


def test_words_carry_the_ratings(corpus: pd.DataFrame) -> None:
    words = np.array([_rating(transcript) for transcript in corpus["transcript"]])
    for column, dimension in enumerate(("valence", "arousal", "dominance")):
        assert 0.6 < np.corrcoef(words[:, column], corpus[dimension])[0, 1] < 0.97


def test_words_alone_do_not_settle_the_emotion(corpus: pd.DataFrame) -> None:
    template = pd.Series([_template(transcript) for transcript in corpus["transcript"]])
    most = corpus["emotion"].groupby(template).transform(lambda emotions: emotions.mode()[0])
    assert 0.7 < (most == corpus["emotion"]).mean() < 0.97


def test_templates_are_rated_on_the_scale() -> None:
    assert len(synthetic_text.TEMPLATES) == len(set(synthetic_text.TEMPLATES)) == len(synthetic_text.RATINGS)
    assert synthetic_text.RATINGS.min() >= 1
    assert synthetic_text.RATINGS.max() <= 5
    slots = {slot for template in synthetic_text.TEMPLATES for slot in re.findall(r"\{(.*?)\}", template)}
    assert slots == set(synthetic_text.SLOTS)


def test_importing_does_not_load_the_synthesiser() -> None:
    program = (
        "import sys, emopipe.corpora.synthetic; sys.exit('espeakng_loader' in sys.modules or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def _template(transcript: str) -> int:
    """Find the template behind a transcript."""
    text = transcript.rstrip(".!").lower()
    for opener in synthetic_text.OPENERS:
        text = text.removeprefix(opener.lower())
    return next(i for i, pattern in enumerate(PATTERNS) if re.fullmatch(pattern, text))


def _rating(transcript: str) -> np.ndarray:
    return synthetic_text.RATINGS[_template(transcript)]


PATTERNS = [
    re.sub(r"\{(\w+)\}", lambda slot: f"({'|'.join(synthetic_text.SLOTS[slot[1]]).lower()})", template.lower())
    for template in synthetic_text.TEMPLATES
]
