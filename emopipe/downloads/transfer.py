"""Download of one file: resumed after an interruption, from any of its mirrors, verified before it gets its name.

A file in progress is called ``NAME.part``; ``NAME.part.from`` holds the URL it was begun at and the version of the file
there (RFC 9110: ``ETag``, ``Range``, ``If-Range``).

The library pooch downloads and verifies files too; it neither resumes a download nor tries mirrors, which a corpus of
hundreds of megabytes needs.
"""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from pathlib import Path
from textwrap import shorten

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from emopipe.downloads.release import File, checksum
from emopipe.io.errors import UserError

CONNECTIONS = 8  # at a time, where a corpus consists of many files
WAITS = (1, 2, 4, 8, 16, 32)  # seconds before each further round over the URLs, as long as they bring nothing
TIMEOUT = (10, 60)  # seconds to connect, and without a byte
CHUNK = 1 << 16  # bytes
TEMPORARY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


class TransferError(Exception):
    """No URL served a file; the message has a line for each of them, with the reason."""


class _Retry(Exception):  # noqa: N818 - what to do
    """The connection or the server failed: another attempt may succeed."""


class _GiveUp(Exception):  # noqa: N818 - what to do
    """This URL does not serve the published file, and will not do so the next time."""


class Connection:
    """The HTTP session of one download, and its progress bar."""

    def __init__(self, total: int, name: str) -> None:
        self.session = requests.Session()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
        self.bar = tqdm(total=total or None, desc=name, unit="B", unit_scale=True, disable=None)
        self.answered = False  # once a server has, it is worth waiting for the connection to come back

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        self.session.close()


def fetch(file: File, folder: Path, connection: Connection) -> Path:
    """Return the file below ``folder``; it is fetched when it is not there, and verified in any case.

    Raises:
        TransferError: if no URL serves it
        UserError: if another file has its name
        OSError: if it cannot be written; what has been received is kept
    """
    target = folder / file.name
    if target.is_file():
        if wrong := _mismatch(target, file):
            raise UserError(f"{target}: {wrong}; remove it to have it fetched")
        connection.bar.update(target.stat().st_size)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    connection.bar.update(_size(part))
    _download(file, part, connection)
    _note(part).unlink(missing_ok=True)
    return part.rename(target)


def _download(file: File, part: Path, connection: Connection) -> None:
    """Fetch what is missing of ``part``, from the first URL that serves it."""
    reasons: dict[str, str] = {}
    urls = list(file.urls)
    fruitless = 0  # attempts in a row that brought nothing
    while urls:
        url, before = urls[0], _size(part)
        try:
            _receive(url, file, part, connection)
            wrong = _mismatch(part, file)
            if not wrong:
                return
            _discard(part, connection)
            # A part that had come earlier, from this URL or another, may be the one that is wrong.
            raise _Retry(wrong) if before else _GiveUp(wrong)
        except _GiveUp as reason:
            reasons[url] = str(reason)
            urls.remove(url)
        except _Retry as reason:
            reasons[url] = str(reason)
            if _size(part) > before:
                fruitless = 0
                continue
            fruitless += 1
            urls.append(urls.pop(0))
            rounds, rest = divmod(fruitless, len(urls))
            if not rest:
                if rounds > (len(WAITS) if connection.answered else 1):
                    break
                time.sleep(WAITS[rounds - 1])
    raise TransferError("\n".join(f"  {url}: {reason}" for url, reason in reasons.items()))


def _receive(url: str, file: File, part: Path, connection: Connection) -> None:
    """Append to ``part`` what it lacks, or begin it anew where the server cannot resume."""
    have = _size(part)
    if have and have == file.size:
        return
    try:
        with connection.session.get(url, headers=_headers(url, part), stream=True, timeout=TIMEOUT) as response:
            connection.answered = True
            _check_status(response)
            start, total = _offer(response)
            if start not in (0, have):
                _discard(part, connection)
                raise _Retry(f"does not go on from byte {have}")
            _check_length(total, file)
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # nothing was missing
            if start == 0:
                _discard(part, connection)
                _note(part).write_text(f"{url}\n{response.headers.get('ETag', '')}\n", encoding="utf-8")
            with part.open("ab") as out:
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    if out.tell() + len(chunk) > file.largest:
                        raise _GiveUp(f"sends more than {file.largest} bytes")
                    out.write(chunk)
                    connection.bar.update(len(chunk))
    except (requests.RequestException, HTTPError) as error:
        raise _Retry(_cause(error)) from None
    if _size(part) < (total or 0):
        raise _Retry(f"broke off after {_size(part)} of {total} bytes")


def _headers(url: str, part: Path) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}  # compressed on the way, its bytes could not be counted
    if have := _size(part):
        headers["Range"] = f"bytes={have}-"
        note = _note(part).read_text(encoding="utf-8") if _note(part).is_file() else ""
        begun, _, version = note.partition("\n")
        if begun == url and version.startswith('"'):  # others are too weak for byte ranges
            headers["If-Range"] = version.strip()
    return headers


def _check_status(response: requests.Response) -> None:
    status, encoding = response.status_code, response.headers.get("Content-Encoding", "identity")
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
        kind = _Retry if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in TEMPORARY else _GiveUp
        raise kind(f"status {status} {response.reason}")
    if encoding != "identity":
        raise _GiveUp(f"compresses it by {encoding}, which was not asked for")


def _offer(response: requests.Response) -> tuple[int | None, int | None]:
    """Return the byte at which an answer starts, and the announced size of the whole file; None where not given."""
    if response.status_code == HTTPStatus.OK:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    form = r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)"
    described = re.fullmatch(form, response.headers.get("Content-Range", ""))
    start, total = (int(digits) if digits else None for digits in (described.groups() if described else ("", "")))
    return (start, total) if response.status_code == HTTPStatus.PARTIAL_CONTENT else (total, total)


def _check_length(total: int | None, file: File) -> None:
    if total is None:
        return
    if file.size is not None and total != file.size:
        raise _GiveUp(f"announces {total} bytes; the published file has {file.size}")
    if total > file.largest:
        raise _GiveUp(f"announces {total} bytes; no more than {file.largest} are expected")


def _mismatch(path: Path, file: File) -> str:
    """Return how a file differs from the published one, empty where it does not."""
    if file.size is not None and path.stat().st_size != file.size:
        return f"{path.stat().st_size} bytes; the published file has {file.size}"
    algorithm, _, published = file.checksum.partition(":")
    if published and (found := checksum(path, algorithm)) != published:
        return f"{algorithm} {found}; that of the published file is {published}"
    return ""


def _cause(error: Exception) -> str:
    """Describe what failed by the innermost cause, which the libraries wrap several times."""
    if isinstance(error, requests.ConnectTimeout | requests.ReadTimeout):
        return "no answer"
    while error.args and isinstance(cause := getattr(error.args[0], "reason", error.args[-1]), Exception):
        error = cause
    message = re.sub(r"^\w+\(host=.*?\): ", "", str(error))  # the URL stands beside it anyway
    return shorten(f"connection failed ({message or type(error).__name__})", 200)


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".from")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _discard(part: Path, connection: Connection) -> None:
    connection.bar.update(-_size(part))
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)
