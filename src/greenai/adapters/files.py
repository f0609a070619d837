"""The door to what lies on this machine: files, packaged facts, and data: URLs, which are their own content."""

from __future__ import annotations

import base64
import binascii
import hashlib
import stat
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from greenai.errors import InputError
from greenai.model.intensity import Payload, Request

MAX_BYTES = 64 * 1024 * 1024
"""A year of 5-minute values is 4 MB; more than this is no intensity series."""


class FileDoor:
    """Implements `greenai.ports.Door` for file:, package: and data:."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now

    def fetch(self, request: Request) -> Payload:
        """Read a whole text.

        Raises:
            InputError: there is no such file, it cannot be read, or it is no UTF-8 text of a sane size.
        """
        scheme, _, rest = request.url.partition(":")
        read = {"file": _file, "package": _package, "data": _data}.get(scheme.lower())
        if read is None:
            raise InputError(f"{request.url[:80]!r} is not a file", hint="give a path")
        body = read(rest)
        return Payload(url=request.url, body=body, sha256=hashlib.sha256(body).hexdigest(), fetched_at=self._now())


def _file(rest: str) -> bytes:
    # Loads all of HTTP: only for who reads a file.
    from urllib.request import url2pathname

    parts = urlsplit(rest, scheme="file")
    if parts.netloc not in {"", "localhost"}:
        raise InputError(f"file:{rest} names the machine {parts.netloc}", hint="give a path on this machine")
    path = Path(url2pathname(parts.path))
    if "\0" in str(path):
        raise InputError(f"{str(path)!r} is not a path", hint="give the path of a file")
    try:
        _check(path)
        body = path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"there is no file {path}", hint="check the path; a relative one starts where greenai is called"
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="make it readable, or give another file") from None
    try:
        body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text", hint="save it as CSV in UTF-8") from None
    return body


def _check(path: Path) -> None:
    """Refuse what would never end or never fit before it is read."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise InputError(f"{path} is {kind}", hint="give the path of a file; it is read again each half hour")
    if found.st_size > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES // 2**20} MB", hint="cut out the time that is needed")


def _package(name: str) -> bytes:
    resource = files("greenai.facts").joinpath(name) if name and "/" not in name and "\\" not in name else None
    if resource is None or not resource.is_file():
        raise InputError(f"greenai has no packaged fact {name!r}", hint="reinstall greenai")
    return resource.read_bytes()


def _data(rest: str) -> bytes:
    head, comma, content = rest.partition(",")
    if not comma:
        raise InputError(f"'data:{rest[:80]}' has no comma before its content", hint="write data:text/plain,250")
    body = unquote_to_bytes(content)
    if not head.endswith(";base64"):
        return body
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        raise InputError("the content of the data: URL is not base64", hint="write data:text/plain,250") from None
