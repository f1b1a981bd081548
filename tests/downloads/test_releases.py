"""The releases that are pinned are those that were published."""

from __future__ import annotations

import re
import subprocess

import pytest

from emopipe.downloads.release import Archive, Release, checksum, read_checksums
from helpers.downloads import RELEASES
from helpers.publisher import FILES, of


@pytest.mark.parametrize(
    ("key", "names", "folder"),
    [("emodb", "emodb535", "wav/"), ("ravdess", "ravdess1440", ""), ("crema_d", "crema_d", "AudioWAV/")],
)
def test_names_sizes_and_checksums_are_those_of_the_published_recordings(shared, key, names, folder):
    lines = shared(f"reference/checksums/{names}.sha256.tsv").read_text().splitlines()
    found = {folder + name: (sha256, int(size)) for sha256, size, name in (line.split("\t") for line in lines)}
    release = RELEASES[key]
    assert release.checksums == {name: sha256 for name, (sha256, _) in found.items()}
    assert release.size == sum(size for _, size in found.values())


@pytest.mark.parametrize("key", ["emobank", "meld"])
def test_the_real_text_corpora_are_the_published_ones(shared, key):
    folder, release = shared(f"data/{key}"), RELEASES[key]
    assert release.mismatched(folder) == []
    assert release.size == sum((folder / name).stat().st_size for name in release.checksums)
    for file in release.sources[0].files:
        assert file.size == (folder / file.name).stat().st_size
        assert file.checksum == f"sha256:{checksum(folder / file.name, 'sha256')}"


@pytest.mark.parametrize("key", RELEASES)
def test_what_is_pinned_hangs_together(key):
    release = RELEASES[key]
    names = list(release.checksums)
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in release.checksums.values())
    for source in release.sources:
        files = [source.file] if isinstance(source, Archive) else source.files
        assert isinstance(source, Archive) or {file.name for file in files} == set(names)
        for file in files:
            assert file.urls and all(url.startswith(("https://", "http://emodb.bilderbar.info/")) for url in file.urls)


def test_a_list_of_sha256sum_is_read_and_files_that_differ_from_it_are_named(tmp_path):
    (tmp_path / "wav").mkdir()
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "list.sha256").open("wb") as out:
        subprocess.run(["sha256sum", *FILES], cwd=tmp_path, stdout=out, check=True)
    checksums = read_checksums(tmp_path / "list.sha256")
    assert checksums == of(FILES).checksums
    release = Release(checksums, size=1, sources=())
    assert release.mismatched(tmp_path) == []
    (tmp_path / "wav/b.wav").write_bytes(b"changed")
    (tmp_path / "wav/c.wav").unlink()
    assert release.mismatched(tmp_path) == ["wav/b.wav", "wav/c.wav"]
