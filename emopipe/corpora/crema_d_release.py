"""Where CREMA-D is to be had: 7,442 files, each by itself, from the large-file storage of its repository.

All 91 actors say the same 82 things, but for 20 clips that do not exist. One recording bears another name in some
copies: 1040_ITH_SAD_X.
"""

from __future__ import annotations

from emopipe.downloads.release import File, Files, Release

MEDIA = "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/master"
EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
SENTENCES = ("DFA", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
STIMULI = (
    *(f"{sentence}_{emotion}_XX" for sentence in SENTENCES for emotion in EMOTIONS),
    *(f"IEO_{emotion}_{level}" for emotion in EMOTIONS if emotion != "NEU" for level in ("LO", "MD", "HI")),
    "IEO_NEU_XX",
)
ABSENT = {
    "1002_TIE_NEU_XX",
    "1076_ITS_NEU_XX",
    *(f"{name}_{emotion}_XX" for name in ("1008_WSI", "1009_MTI", "1019_ITH") for emotion in EMOTIONS),
}
CLIPS = tuple(
    clip for actor in range(1001, 1092) for stimulus in sorted(STIMULI) if (clip := f"{actor}_{stimulus}") not in ABSENT
)
OTHER_NAMES = {"1040_ITH_SAD_XX": "1040_ITH_SAD_X"}

# The first digits of the digest of each actor's clips, 1001 to 1091: which of them are to be fetched again.
ACTORS = """
b17c0669 44134ee5 432ae519 cdbb32cf 7b85e2c2 58c37f6e 73dbdf86 f9a0c7e2 6a6d9861 2ce383f5 2545c3ea 91148b52
98c8ad3e e8c734c2 9eb124d7 f4f28724 b26186ba d50d03f5 a2f09cd5 9baeb241 1d5f7627 43c7f9fb 58751bca 612f9e64
6eec06b0 b8f1c1b5 ea6b0cdc dc98c6f7 ff56f7f2 6bf41f76 311fd420 eac8487b 69de05f3 45ae7300 be6d7624 26553d6d
8a3dac3b 29742d5c 570e70db b65553f5 ffd2c826 0e40428b 2e40101e 03c896a6 3d9ab343 abf76141 ef4aaeb4 93f31b1a
780257a0 094b86f4 bcd98e34 df87bb05 ac4b7a25 a8a56ac3 7688db42 d62ea0d8 9883d9d4 2078fb2e f50bab8f 4b853b84
6d16321f 020b31fa d11b03de a30034b5 754cdaf2 17674c1f fd3b94d5 6e354c39 09ed9f4f 7525f4f9 b9767235 aa021a25
98d7bd34 f00ee941 5a9cecb3 982e8b83 7a525c34 0f2e591e eabe299e e1b83645 ac8c76ef 8f2b7fec 56b1948b c6ac29fd
d9eb9bc5 c13a1ea6 81984a96 cff98dac 583e3fe4 f0840815 a51e591d
"""


def _file(clip: str) -> File:
    names = [clip, OTHER_NAMES[clip]] if clip in OTHER_NAMES else [clip]
    return File(f"AudioWAV/{clip}.wav", tuple(f"{MEDIA}/AudioWAV/{name}.wav" for name in names))


RELEASE = Release(
    names=tuple(f"AudioWAV/{clip}.wav" for clip in CLIPS),
    size=605_899_936,
    digest="969267c6ce183a42342720a078227a8455f0bfbefa4031836f4a04b72a56736c",
    sources=(Files(tuple(_file(clip) for clip in CLIPS)),),
    parts={f"AudioWAV/{actor}": digits for actor, digits in enumerate(ACTORS.split(), start=1001)},
)
