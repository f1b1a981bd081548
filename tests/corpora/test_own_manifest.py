"""Tables of the user's own, as other tools and people write them: what is certain is read, the rest named by cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from emopipe.corpora import own_manifest
from emopipe.io.errors import UserError
from emopipe.schemas.labels import WORDS

HEADER = "utterance,corpus,speaker,sex,path,start,end,emotion,split"
GOOD = "{corpus}/{n},{corpus},{corpus}/anna,female,clips/{n}.wav,0,1.5,anger,dev"


def table(folder: Path, *rows: str, header: str = HEADER, name: str = "m.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


def good(n: int) -> str:
    return GOOD.format(corpus="mine", n=n)


def read(path: Path, **others):
    return own_manifest.read(path, **others)


def the_same(folder: Path, path: Path) -> bool:
    """Return whether a table means what one in the manifest's own words does."""
    plain = read(table(folder, good(1), good(2), name="plain.csv"))
    return read(path).equals(plain)


# ---- what is certain


@pytest.mark.parametrize(
    ("column", "word", "meant"),
    [
        ("emotion", "happy", "happiness"), ("emotion", "ANG", "anger"), ("emotion", "joyful", "happiness"),
        ("emotion", "anger\u00a0", "anger"), ("emotion", "Fearful", "fear"), ("emotion", "exc", "excitement"),
        ("emotion", "neutrality", "neutral"), ("emotion", "pleasant_surprise", "surprise"), ("emotion", "xxx", ""),
        ("sex", "F", "female"), ("sex", "male", "male"), ("sex", "Woman", "female"), ("sex", "m", "male"),
        ("split", "validation", "dev"), ("split", "Val", "dev"), ("split", "training", "train"),
        ("split", "Test", "test"), ("split", "development", "dev"),
        ("speaker", "anna", "mine/anna"), ("speaker", "nan", ""), ("utterance", "a1", "mine/a1"),
        ("start", "0 days 00:00:00.25", 0.25), ("end", "00:01:01.5", 61.5),
    ],
)  # fmt: skip
def test_a_cell_of_another_convention_is_read_by_what_it_means(tmp_path, capsys, column, word, meant):
    columns = HEADER.split(",")
    cells = [word if name == column else cell for name, cell in zip(columns, good(1).split(","), strict=True)]
    rows = read(table(tmp_path, ",".join(cells), good(2)))
    assert rows[column].iloc[0] == meant
    if str(meant) != word.strip() and column != "end":
        assert f"column {column} " in capsys.readouterr().out


OTHER_FORMS = {
    "header in capitals": lambda text: text.replace(HEADER, HEADER.upper()),
    "blanks after commas": lambda text: text.replace(",", ", "),
    "a semicolon more on every line": lambda text: text.replace(",", ";").replace("\n", ";\n"),
    "sep=;": lambda text: "sep=;\n" + text.replace(",", ";"),
    "sep=; after a BOM, CRLF": lambda text: "\ufeffsep=;\r\n" + text.replace(",", ";").replace("\n", "\r\n"),
    "decimal commas": lambda text: text.replace(",", ";").replace("1.5", "1,5"),
    "tabs": lambda text: text.replace(",", "\t"),
    "backslashes in paths": lambda text: text.replace("clips/", "clips\\"),
    "names of other tools": lambda text: text.replace("path", "file").replace("sex", "gender"),
    "names spelt apart": lambda text: text.replace("path", "File Path").replace("split", "partition"),
    "line ends of old Macintoshes": lambda text: text.replace("\n", "\r"),
    "the index of pandas": lambda text: f",{text}".replace("\nmine/1", "\n0,mine/1").replace("\nmine/2", "\n1,mine/2"),
    "empty lines": lambda text: text.replace("\n", "\n\n"),
}


@pytest.mark.parametrize("change", OTHER_FORMS.values(), ids=OTHER_FORMS)
def test_a_table_of_another_form_means_the_same(tmp_path, change):
    path = table(tmp_path, good(1), good(2))
    path.write_text(change(path.read_text()), newline="")
    assert the_same(tmp_path, path)


def test_utf_16_as_excel_saves_unicode_text(tmp_path):
    path = table(tmp_path, good(1), good(2))
    path.write_bytes(path.read_text().replace(",", "\t").encode("utf-16"))
    assert the_same(tmp_path, path)


def test_a_list_of_files_alone_becomes_a_corpus(tmp_path, capsys):
    path = table(tmp_path, "clips/a.wav,anna,F,happy", "/far/b.wav,bert,m,sad", header="file,speaker,gender,emotion")
    rows = read(path)
    assert rows["utterance"].tolist() == ["m/clips/a", "m/far/b"]
    assert rows["speaker"].tolist() == ["m/anna", "m/bert"]
    assert rows["path"].tolist() == [str(tmp_path / "clips/a.wav"), "/far/b.wav"]
    assert rows["emotion"].tolist() == ["happiness", "sadness"]
    assert "column file is taken for path" in capsys.readouterr().out


def test_segments_and_texts_without_names_are_named_too(tmp_path):
    rows = read(table(tmp_path, "a.wav,0,1.5", "a.wav,1.5,", header="file,start,end"))
    assert rows["utterance"].tolist() == ["m/a_0-1.5", "m/a_1.5-"]
    assert read(table(tmp_path, "Hi.,3", "So.,4", header="text,valence"))["utterance"].tolist() == ["m/1", "m/2"]


def test_columns_that_a_manifest_does_not_have_are_not_read_and_said(tmp_path, capsys):
    path = table(tmp_path, good(1) + ",31,x", good(2) + ",44,y", header=HEADER + ",age,")
    assert the_same(tmp_path, path)
    assert "m.csv: 2 columns not read: a manifest has none of these names; the first: age" in capsys.readouterr().out


def test_words_of_the_users_own_mean_what_merge_says(tmp_path):
    path = table(tmp_path, good(1).replace("anger", "Amused"))
    assert read(path, words=WORDS | {"amused": "happiness"})["emotion"].tolist() == ["happiness"]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (r'"He said \"no\" today"', 'He said "no" today'),
        (r'"He said \"no\", today"', 'He said "no", today'),
        (r'"\"Hi\""', '"Hi"'),
        ('"He said ""no"" today"', 'He said "no" today'),
        (r'"C:\new"', r"C:\new"),
        ('He said "no"', 'He said "no"'),
        ('"two\nlines"', "two\nlines"),
    ],
)
def test_a_quotation_mark_in_a_quoted_cell(tmp_path, cell, text):
    rows = read(table(tmp_path, f"x/1,x,{cell}", "x/2,x,So.", header="utterance,corpus,transcript"))
    assert rows["transcript"].tolist() == [text, "So."]


def test_backslashes_before_quotation_marks_are_said(tmp_path, capsys):
    read(table(tmp_path, r'x/1,x,"A \"b\" c"', header="utterance,corpus,transcript"))
    assert r"m.csv: 1 cell read with \" for a quotation mark" in capsys.readouterr().out


# ---- what is not


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("anger", "hapiness"), "row 2, column emotion: 'hapiness': did you mean happiness?"),
        (("anger", "3"), "row 2, column emotion: '3': write anger, boredom"),
        (("anger", "amused"), "or say what it means here: data.audio.merge={amused: anger}"),
        (("female", "femle"), "row 2, column sex: 'femle': did you mean female?"),
        (("female", "x"), "row 2, column sex: 'x': write female, male, other, or nothing"),
        ((",dev", ",validaton"), "row 2, column split: 'validaton': did you mean dev?"),
        ((",dev", ",7"), "row 2, column split: '7': write train, dev, test, or nothing"),
        (("clips/", "C:\\clips\\"), "row 2, column path: 'C:\\\\clips\\\\1.wav': a path of Windows"),
        (("1.5", "soon"), "row 2, column end: 'soon'"),
        ((",dev", ",dev,more"), "row 2 has 10 cells, the header names 9; a cell that holds ',' needs quotation marks"),
        (("anger", '"an"ger'), "row 2: not quoted as in CSV"),
        (("anger", '"anger'), "row 2: not quoted as in CSV"),
    ],
)
def test_what_is_not_certain_is_refused_by_row_and_column_with_the_nearest_right_value(tmp_path, change, message):
    with pytest.raises(UserError) as error:
        read(table(tmp_path, good(1).replace(*change)))
    assert str(error.value).startswith(f"{tmp_path}/m.csv: ") and message in str(error.value)
    assert str(error.value).count("row 2") == 1  # one line a mistake


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("emotion", "emotoin"), "column emotoin: not a column of a manifest; did you mean emotion?"),
        (HEADER.replace("sex", "file"), "the columns file, path all mean path; leave one of them"),
        ("a,b", "neither a column path, of recordings, nor transcript, of texts; found a, b"),
    ],
)
def test_a_header_that_is_not_certain_is_refused(tmp_path, header, message):
    with pytest.raises(UserError) as error:
        read(table(tmp_path, "1,2" if header == "a,b" else good(1), header=header))
    assert message in str(error.value)
