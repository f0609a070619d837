"""Progress out of a growing log: all of it understood, little of it read."""

from __future__ import annotations

import os

import pytest

from greenai.adapters.executors._output import MOST_BYTES, OutputProgress


def add(path, text: str) -> None:
    with path.open("ab") as log:
        log.write(text.encode())


def bar(done: int) -> str:
    return f"\r{done:3d}%|{'█' * 20}| {done * 10}/1000 [00:12<00:15, 37.5it/s]"


def test_a_log_that_grows(tmp_path):
    path = tmp_path / "output.log"
    reader = OutputProgress(path)
    assert reader.share() is None
    add(path, "Epoch 1/4\n")
    assert reader.share() == 0
    add(path, "Epoch 2")
    assert reader.share() == 0
    add(path, "/4\n")
    assert reader.share() == reader.share() == 0.25


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_character_cut_in_two_does_not_matter(tmp_path, cut):
    path = tmp_path / "output.log"
    body = bar(45).encode()
    path.write_bytes(body[:cut])
    reader = OutputProgress(path)
    reader.share()
    path.write_bytes(body)
    assert reader.share() == 0.45


def test_a_flood_is_not_read_whole(tmp_path, monkeypatch):
    path = tmp_path / "output.log"
    path.write_bytes(b"x" * 5_000_000 + b"\n" + bar(45).encode())
    read, pread = [], os.pread
    monkeypatch.setattr("os.pread", lambda fd, n, at: read.append(n) or pread(fd, n, at))
    assert OutputProgress(path).share() == 0.45
    assert read == [MOST_BYTES]


def test_a_log_that_cannot_be_read_tells_nothing(tmp_path, monkeypatch):
    path = tmp_path / "output.log"
    add(path, bar(45))
    reader = OutputProgress(path)

    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.pread", broken)
    assert reader.share() is None
    monkeypatch.undo()
    assert reader.share() == 0.45
