"""The door to what lies on this machine, and the one that finds the door."""

from __future__ import annotations

import base64
import os
import socket
from pathlib import Path

import pytest
from tests.adapters.making import NOW, payload

from greenai.adapters import files
from greenai.adapters.door import SchemeDoor
from greenai.adapters.files import FileDoor
from greenai.errors import InputError
from greenai.model.intensity import Request


def read(url: str):
    return FileDoor(now=lambda: NOW).fetch(Request(url=url))


def refused(url: str, words: str):
    with pytest.raises(InputError) as caught:
        read(url)
    assert words in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_file_comes_with_its_hash_and_time(tmp_path):
    file = tmp_path / "my grid ü%20.csv"
    file.write_text("start_utc\n", encoding="utf-8")
    got = read(file.as_uri())
    assert got == payload("start_utc\n", url=file.as_uri())
    assert got.fetched_at == NOW


def test_localhost_is_this_machine(tmp_path):
    (tmp_path / "a.csv").write_text("a", encoding="utf-8")
    assert read(f"file://localhost{tmp_path}/a.csv").body == b"a"
    refused(f"file://elsewhere{tmp_path}/a.csv", "names the machine elsewhere")


def test_a_byte_order_mark_is_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfa")
    assert read((tmp_path / "a.csv").as_uri()).body == b"\xef\xbb\xbfa"


def test_no_such_file(tmp_path):
    refused((tmp_path / "a.csv").as_uri(), f"there is no file {tmp_path / 'a.csv'}")


def test_a_file_in_a_file(tmp_path):
    (tmp_path / "a").touch()
    refused(f"{(tmp_path / 'a').as_uri()}/b.csv", "cannot be read")


def test_a_directory(tmp_path):
    refused(tmp_path.as_uri(), "is a directory")


def test_what_never_ends_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused((tmp_path / "pipe").as_uri(), "is not a regular file")
    refused("file:///dev/zero", "is not a regular file")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        refused((tmp_path / "s").as_uri(), "is not a regular file")


def test_a_file_too_large(tmp_path):
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)
    refused((tmp_path / "a.csv").as_uri(), "larger than 64 MB")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """As the system says it; a test run by root could read anything."""
    (tmp_path / "a.csv").touch()

    def forbidden(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    refused((tmp_path / "a.csv").as_uri(), "cannot be read: Permission denied")


@pytest.mark.parametrize("body", [b"\xff\xfea\x00", b"PK\x03\x04\xff\xfe"])
def test_a_file_that_is_no_text(tmp_path, body):
    (tmp_path / "a.csv").write_bytes(body)
    refused((tmp_path / "a.csv").as_uri(), "is not UTF-8 text")


def test_a_path_that_is_none():
    refused("file:///a%00b", "is not a path")


def test_packaged_facts_are_read():
    assert read("package:climatology.csv").body.startswith(b"zone,month,weekend,hour_utc,ratio_mean")


@pytest.mark.parametrize("name", ["none.csv", "", "../errors.py", "/etc/passwd", "..\\errors.py", "."])
def test_nothing_else_is_a_packaged_fact(name):
    refused(f"package:{name}", "no packaged fact")


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("data:text/plain,250", b"250"),
        ("data:,250", b"250"),
        ("data:text/plain,2%35%30", b"250"),
        ("data:text/plain;base64," + base64.b64encode(b"250").decode(), b"250"),
        ("data:text/plain,", b""),
    ],
)
def test_a_data_url_is_its_own_content(url, body):
    assert read(url).body == body


def test_a_data_url_without_content():
    refused("data:250", "no comma")
    refused("data:;base64,2", "not base64")


def test_another_scheme_is_no_file():
    refused("ftp://host/a", "is not a file")


class Remembering:
    """A door that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def fetch(self, request: Request):
        self.asked.append(request.url)
        return payload(b"", url=request.url)


def test_each_scheme_has_its_door():
    network, local = Remembering(), Remembering()
    door = SchemeDoor({"https": network, "file": local})
    door.fetch(Request(url="https://grid.example/a"))
    assert door.fetch(Request(url="FILE:///a")).url == "FILE:///a"
    assert (network.asked, local.asked) == (["https://grid.example/a"], ["FILE:///a"])


@pytest.mark.parametrize("url", ["gopher://a", "grid.csv", ""])
def test_a_scheme_without_a_door_is_refused(url):
    with pytest.raises(InputError, match="cannot be read") as caught:
        SchemeDoor({"https": Remembering()}).fetch(Request(url=url))
    assert "https:" in caught.value.hint
