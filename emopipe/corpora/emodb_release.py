"""Where EmoDB is to be had: its own site (1.x), or Zenodo (2.0), which adds 281 recordings that are left out here.

The 535 recordings of 1.x are those that at least 80 % of the listeners recognised, and what papers call EmoDB. Version
2.0 was built on the same files. No checksum of either archive is known here: the recordings are verified.
"""

from __future__ import annotations

from emopipe.downloads.release import Archive, File, Release

# By speaker: sentence, then emotion and version of each recording. 03a01Fa.wav is speaker 03, sentence a01, Fa.
RECORDINGS = {
    "03": "a01FaNcWa a02FcNcTaWbWc a04AdFdLcNcTaWc a05AaFcNdTcWaWb a07FaFbLaNcWc "
    "b01FaLbNbTdWaWc b02AaLaNaTbWb b03NbTcWc b09LaNcTcWa b10AbEcNaNcWbWc",
    "08": "a01AbFdLcNaWaWc a02AbAcFeLaNaTbWc a04FfLaNcTbWc a05FeLcNbTaWa a07FdLaNaTaTbWc "
    "b01AaFdFeLbNaWa b02FfLaNbTcWd b03FeLcNbTcWd b09AbFdLcNbTbWaWc b10AaFdLaNcTcWa",
    "09": "a01EaFaNbWb a02EaEbLaWb a04FdLaNbWa a05EdLcNbTbWbWc a07EbNaTaWbWd "
    "b01EaNaWb b02NaTbWcWd b03EdFaFdLbNbTaWb b09EaNdWa b10AaNdWa",
    "10": "a01AcNbWa a02AbFaLbNaWa a04FdNbWaWb a05AaLdTbWb a07AaAdLaTaWb "
    "b01AaEaFaLb b02AaLaNaWb b03LaTbWb b09AdLbWb b10FcLcWa",
    "11": "a01AaAbLdNdWc a02EcFbLdNcTcWc a04AcFdNdWc a05AdFbFcLcNaTdWd a07AcLdTaWc "
    "b01AbEbFcLbNcWd b02AbFdNaTdWb b03FcLcNbTdWaWb b09AdFdLdNaTdWa b10AdAeLdNcTdWa",
    "12": "a01FbLbNbWc a02AcEcNbWaWc a04Wc a05AbLbNdTaWb a07AcLaWa "
    "b01TaWa b02AdEaFbNaWaWbWd b03LaTa b09AcTdWc b10AcLdWa",
    "13": "a01AcEaEcFdLbNbWb a02AdEcFaLcNcTaWa a04AcFcLbTaWc a05AaEaLcNbTcWaWc a07FdLbNaTcWb "
    "b01AbEcFcLdNcWa b02FbLcNbWa b03AcEdFdLbNaTdWc b09AbEcFbFcLaNaWa b10EcFaLaNcWaWc",
    "14": "a01AaAcEaNaWaWc a02AbEaFdLaNcTbWaWc a04AaEdLbTbTcWbWc a05AaAcFaFbLbNaTaTcWaWb a07AaEbFdLcLdNaTcWc "
    "b01AcEbFaFcNaWc b02AaFbNaTcWbWd b03AdEdLbTaWb b09AcEaFcLbTdWaWc b10AdEbLbNbTcWc",
    "15": "a01EaFbLaNbWa a02AcEaLaNaTaWbWd a04AbAcFdNcWaWb a05EbFbLbNaWa a07AcEbFaFbLdNc "
    "b01EcLbNaWc b02AaLbNdTcWaWc b03AaLcNbTcWaWb b09AcFaLaNbTaWb b10AcLcNbNcWa",
    "16": "a01EcFcLbNcTbWb a02EaEcLbNbTcWb a04AbEaFaLaLcNcTcWbWc a05AbEaFcLaTbWbWc a07EaFaFbLaLbNbTdWa "
    "b01AaEbFaLaLcTbWaWb b02AaEbFdLbWb b03AdEaFaFdLaNbTaWb b09AbEbFbLaLbWb b10AaEbFbLbTbTdWaWb",
}
RELEASE = Release(
    names=tuple(
        f"wav/{speaker}{sentence[:3]}{sentence[i : i + 2]}.wav"
        for speaker, sentences in RECORDINGS.items()
        for sentence in sentences.split()
        for i in range(3, len(sentence), 2)
    ),
    size=47_626_698,
    digest="3a39736dcd3bd9f3d5329687d6bed0ee30d88b544a45b4d72770da596315b86e",
    sources=(
        Archive(File("download.zip", ("http://emodb.bilderbar.info/download/download.zip",), limit=100_000_000)),
        Archive(
            File(
                "emodb_2.0.zip",
                (
                    "https://zenodo.org/records/17651657/files/emodb_2.0.zip?download=1",
                    "https://zenodo.org/api/records/17651657/files/emodb_2.0.zip/content",
                ),
                limit=500_000_000,
            )
        ),
    ),
)
