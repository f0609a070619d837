"""Secrets in commands: what is masked, what is left alone, and that masking twice changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenai.logic.masking import masked, printable

SECRET = "s3cr3t-of-mine"


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--token", SECRET],
        ["train", "--hub-token", SECRET],
        ["train", "-password", SECRET],
        ["train", f"--api-key={SECRET}"],
        ["train", f"--api_key={SECRET}"],
        ["env", f"HF_TOKEN={SECRET}", "train"],
        ["env", f"AWS_SECRET_ACCESS_KEY={SECRET}", "train"],
        ["bash", "-c", f"WANDB_API_KEY='{SECRET} and more' python train.py"],
        ["bash", "-c", f"train --secret {SECRET} --epochs 3"],
        ["curl", "-H", f"Authorization: Bearer {SECRET}"],
        ["curl", "-H", f"Authorization: {SECRET}"],
        ["curl", "-H", f"X-Api-Key: {SECRET}"],
        ["curl", f"https://me:{SECRET}@example.org/data"],
        ["curl", f"https://example.org/?access_key={SECRET}&page=2"],
        ["train", f'{{"password": "{SECRET}", "lr": 0.1}}'],
        ["train", "hf_" + "a" * 30 + SECRET[:0], "--x", f"--credentials={SECRET}"],
    ],
)
def test_secrets_do_not_show(command):
    shown = " ".join(masked(command))
    assert SECRET not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "shape",
    [
        "hf_" + "A" * 34,
        "ghp_" + "a" * 36,
        "github_pat_" + "1" * 22,
        "glpat-" + "a" * 20,
        "xoxb-1234567890-abc",
        "sk-" + "a" * 40,
        "AKIA" + "A" * 16,
    ],
)
def test_well_known_shapes_are_masked_wherever_they_stand(shape):
    assert masked(["train", f"--x={shape}", shape]) == ("train", "--x=***", "***")


@pytest.mark.parametrize(
    "command",
    [
        ("python", "train.py", "--tokenizer", "bert", "--max-tokens", "512"),
        ("train", "--token-type", "ids", "--password-file", "/run/secret"),
        ("train", "--secret", "--epochs", "3"),
        ("train", "https://example.org:8080/a@b", "-k", "key"),
        (),
    ],
)
def test_what_is_no_secret_stays(command):
    assert masked(command) == command


def test_the_rest_of_a_command_stays():
    assert masked(["sh", "-c", "A_TOKEN=x;B=2 run --lr 0.1"]) == ("sh", "-c", "A_TOKEN=***;B=2 run --lr 0.1")


def test_bytes_that_are_no_text_are_spelled_out():
    assert printable("caf\udce9") == "caf\\udce9"
    assert masked(["caf\udce9", "ü"]) == ("caf\\udce9", "ü")


PIECES = st.sampled_from(
    [
        "--token",
        "token=",
        "TOKEN: ",
        "***",
        "'",
        '"',
        " ",
        "://",
        "u:p@",
        "bearer ",
        "Authorization: ",
        "a",
        "x y",
        "{",
        "}",
        "sk-",
        "&",
    ]
)


@given(st.lists(st.lists(PIECES, max_size=8).map("".join), max_size=6))
def test_masking_twice_changes_nothing(command):
    once = masked(command)
    assert masked(once) == once
    assert len(once) == len(command)
