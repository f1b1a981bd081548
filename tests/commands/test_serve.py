"""`emopipe serve`: what is wrong with its arguments is one line, before a model is loaded."""

from __future__ import annotations

import socket

import pytest

from helpers.commands import run_command


@pytest.fixture
def serve(monkeypatch, capsys):
    """Return a function that runs the command where there is no model, and returns its exit code and its error."""

    def run(*words: object) -> tuple[int, str]:
        code, _, err = run_command(monkeypatch, capsys, "serve", "--model", "./nowhere", "--port", 0, *words)
        return code, err

    return run


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--max-bytes", 0], "--max-bytes and --max-seconds: more than 0"),
        (["--max-seconds", "nan"], "--max-bytes and --max-seconds: more than 0"),
        (["--workers", 0], "--workers: at least 1"),
        (["--queue", -1], "--queue and --streams: at least 0"),
        (["--port", 99_999], "--port 99999: bind(): port must be 0-65535; choose another"),
        (["--host", "300.1.1.1"], "--host 300.1.1.1 --port 0: "),
        (["--token-file", "nowhere"], "--token-file: nowhere: cannot be read: No such file or directory"),
        ([], "model: no folder at ./nowhere"),
    ],
)
def test_what_cannot_be_is_one_line(serve, words, told):
    code, err = serve(*words)
    assert code == 1 and told in err and err.startswith("error: ") and err.count("\n") == 0


def test_a_port_that_is_taken(serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, err = serve("--port", taken.getsockname()[1])
    assert code == 1 and "Address already in use" in err


@pytest.mark.parametrize("token", ["", "two words", "grün", "a\tb", "a\nb"])
def test_a_token_that_no_client_could_send(serve, monkeypatch, tmp_path, token):
    (tmp_path / "token").write_text(f"{token}\n", encoding="utf-8")
    code, err = serve("--token-file", tmp_path / "token")
    assert code == 1 and f"{tmp_path / 'token'}: a token is one word of letters, digits and signs" in err
    monkeypatch.setenv("EMOPIPE_TOKEN", token)
    code, err = serve()
    assert code == 1 and err.startswith("error: EMOPIPE_TOKEN: a token is one word of letters, digits and signs; ")


def test_a_token_of_a_file_comes_first(serve, monkeypatch, tmp_path):
    (tmp_path / "token").write_text(" a-token \n")
    monkeypatch.setenv("EMOPIPE_TOKEN", "two words")
    assert "no folder at" in serve("--token-file", tmp_path / "token")[1]


def test_a_package_that_is_not_there(serve, monkeypatch):
    monkeypatch.setattr("emopipe.commands.serve.find_spec", lambda name: name != "python_multipart")
    assert serve() == (1, "error: no package python-multipart, for a service; `pip install 'emopipe[serve]'`")
