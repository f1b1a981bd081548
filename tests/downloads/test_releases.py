"""The releases that are pinned are those that were published."""

from __future__ import annotations

import subprocess

import pytest

from emopipe.downloads.release import Archive, digest, fingerprints
from helpers.downloads import RELEASES
from helpers.publisher import FILES, fingerprint, of


@pytest.mark.parametrize(
    ("key", "names", "folder"),
    [("emodb", "emodb535", "wav/"), ("ravdess", "ravdess1440", ""), ("crema_d", "crema_d", "AudioWAV/")],
)
def test_names_sizes_and_digests_are_those_of_the_published_recordings(shared, key, names, folder):
    lines = shared(f"reference/checksums/{names}.sha256.tsv").read_text().splitlines()
    found = {folder + name: (sha256, int(size)) for sha256, size, name in (line.split("\t") for line in lines)}
    release = RELEASES[key]
    assert set(release.names) == set(found) and len(release.names) == len(found)
    assert release.size == sum(size for _, size in found.values())
    assert release.digest == digest({name: sha256 for name, (sha256, _) in found.items()})
    for prefix, first in release.parts.items():
        part = {name: sha256 for name, (sha256, _) in found.items() if name.startswith(prefix)}
        assert digest(part).startswith(first) and len(first) == 8
    assert key != "crema_d" or len(release.parts) == 91


@pytest.mark.parametrize("key", ["emobank", "meld"])
def test_the_real_text_corpora_are_the_published_ones(shared, key):
    folder, release = shared(f"data/{key}"), RELEASES[key]
    assert release.mismatched(folder) == []
    assert release.size == sum((folder / name).stat().st_size for name in release.names)
    for file in release.sources[0].files:
        assert file.size == (folder / file.name).stat().st_size
        assert file.checksum == f"sha256:{fingerprints(folder, [file.name])[file.name]}"


@pytest.mark.parametrize("key", RELEASES)
def test_what_is_pinned_hangs_together(key):
    release = RELEASES[key]
    assert len({name.lower() for name in release.names}) == len(release.names)
    for source in release.sources:
        files = [source.file] if isinstance(source, Archive) else source.files
        assert isinstance(source, Archive) or {file.name for file in files} == set(release.names)
        for file in files:
            assert file.urls and all(url.startswith(("https://", "http://emodb.bilderbar.info/")) for url in file.urls)


def test_the_digest_is_that_of_what_sha256sum_prints(tmp_path):
    (tmp_path / "wav").mkdir()
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    said = subprocess.run(["sha256sum", *sorted(FILES)], cwd=tmp_path, capture_output=True, check=True).stdout
    assert fingerprint(said) == of(FILES).digest == digest(fingerprints(tmp_path, tuple(FILES)))
