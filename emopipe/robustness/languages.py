"""Speech in other languages than a test set's, by the synthesiser of the synthetic corpus: a plain sentence in each.

Beside a corpus of people the voice is another one as well, and beside the synthetic corpus the language alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import soxr

from emopipe.conditions.condition import SAMPLE_RATE, generator_of
from emopipe.corpora import espeak
from emopipe.corpora.espeak import Sentence, speak

SENTENCES = {  # by ISO 639 code: the train leaves at eight, or so
    "cs": "Vlak odjíždí v osm hodin z prvního nástupiště.",
    "da": "Toget kører klokken otte fra det første spor.",
    "de": "Der Zug fährt um acht Uhr vom ersten Gleis ab.",
    "el": "Το τρένο φεύγει στις οκτώ το πρωί.",
    "en": "The train leaves at eight from the first platform.",
    "es": "El tren sale a las ocho de la primera vía.",
    "fi": "Juna lähtee kello kahdeksan ensimmäiseltä raiteelta.",
    "fr": "Le train part à huit heures du premier quai.",
    "hi": "ट्रेन सुबह आठ बजे स्टेशन से जाती है।",
    "hu": "A vonat nyolc órakor indul az első vágányról.",
    "id": "Kereta berangkat pukul delapan dari peron pertama.",
    "it": "Il treno parte alle otto dal primo binario.",
    "nl": "De trein vertrekt om acht uur van het eerste spoor.",
    "pl": "Pociąg odjeżdża o ósmej z pierwszego peronu.",
    "pt": "O comboio parte às oito horas da primeira linha.",
    "ro": "Trenul pleacă la ora opt de la prima linie.",
    "ru": "Поезд отправляется в восемь часов с первого пути.",
    "sv": "Tåget går klockan åtta från det första spåret.",
    "sw": "Treni inaondoka saa mbili asubuhi.",
    "tr": "Tren saat sekizde birinci perondan kalkıyor.",
    "vi": "Tàu khởi hành lúc tám giờ sáng.",
}
VARIANTS = ("f2", "m3", "f4", "m1")  # voices of the synthesiser


def spoken(seed: int, known: Collection[str]) -> Iterator[np.ndarray]:
    """Yield the sentences, 16 kHz mono float32 [samples].

    Args:
        seed: of what is drawn: rate and pitch
        known: languages of the test set, which are left out

    Raises:
        UserError: if the synthesiser does not run here
    """
    sentences = []
    for number, (code, text) in enumerate(SENTENCES.items()):
        if code in known:
            continue
        generator = generator_of(seed, "other_languages", "", code)
        rate, pitch = int(generator.integers(130, 190)), int(generator.integers(35, 66))
        voice = f"{code}+{VARIANTS[number % len(VARIANTS)]}"
        sentences.append(Sentence(text, voice, rate, pitch, range=50, word_gap=0))
    for samples in speak(sentences):
        floats = np.frombuffer(samples, np.int16).astype(np.float32) / 32768
        yield soxr.resample(floats, espeak.SAMPLE_RATE, SAMPLE_RATE)
