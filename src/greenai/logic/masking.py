"""Commands without their secrets: evidence is kept for years and shown to others.

Masked are the values of arguments whose name ends like a secret's (--token X,
--api-key=X, HF_TOKEN=X, "X-Api-Key: X", also inside a shell string), passwords in
URLs, authorization headers, and the shapes of well-known keys. A secret under any other name is not
recognised: give secrets by environment or file. Masking twice changes nothing,
so a masked command recomputes to itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MASK = "***"

_TELLTALE = r"(?:token|secret|passwo?r?d|passwd|pwd|passphrase|credentials?|(?:api|access|secret|private|auth|account)[-_]?key)"
_FLAG = re.compile(rf"--?[\w.-]*{_TELLTALE}", re.IGNORECASE)
_ASSIGNED = re.compile(rf"({_TELLTALE}[\"']?\s*[:=]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s&;,'\"(){{}}\[\]]+)", re.IGNORECASE)
_SPOKEN = re.compile(rf"(\s--?[\w.-]*{_TELLTALE}\s+)(?!-)\S+", re.IGNORECASE)
_AUTHORIZED = re.compile(r"(\b(?:authorization:\s*(?:\w+\s+)?|bearer\s+))[^\s'\"]+", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(@)")
_KNOWN_SHAPES = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
    r"|xox[abprs]-[\w-]{10,}|sk-[\w-]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16})"
)


def masked(command: Sequence[str]) -> tuple[str, ...]:
    """The command as it may be written down; bytes that are no UTF-8 are spelled out."""
    before, after = tuple(command), _masked_once(command)
    while after != before:
        before, after = after, _masked_once(after)
    return after


def _masked_once(command: Sequence[str]) -> tuple[str, ...]:
    words: list[str] = []
    for word in command:
        follows_flag = bool(words) and _FLAG.fullmatch(words[-1]) is not None and not word.startswith("-")
        words.append(MASK if follows_flag else _masked_word(word))
    return tuple(words)


def _masked_word(word: str) -> str:
    text = printable(word)
    for pattern in (_ASSIGNED, _SPOKEN, _AUTHORIZED):
        text = pattern.sub(rf"\1{MASK}", text)
    return _KNOWN_SHAPES.sub(MASK, _URL_PASSWORD.sub(rf"\1{MASK}\2", text))


def printable(text: str) -> str:
    """Text that UTF-8 can hold: what came from undecodable bytes is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
