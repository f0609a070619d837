"""How one setting is read: from TOML (typed), from a variable or flag (text).

Each reader takes the raw value and the directory that relative paths start
from, and raises InputError with the problem and the remedy; `config` adds the
key and the place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

from greenai.errors import ConfigError, InputError

Read = Callable[[object, Path], object]

_ZONE = r"WORLD|[A-Z]{2}(-[A-Z0-9]+)*"
_RANGE = r"([0-9.eE+]+)\s*(?:-|to|:)\s*([0-9.eE+]+)"


def text(value: object, _base: Path) -> str:
    """Words, not empty."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{value!r} is not a text", hint="write it in quotes")
    return value.strip()


def secret(value: object, _base: Path) -> str:
    """A secret: never repeated in the message."""
    if not isinstance(value, str) or not value.strip():
        raise InputError("the secret is not a text", hint="write it in quotes")
    return value.strip()


def zone(value: object, base: Path) -> str:
    """A grid zone, upper case."""
    name = text(value, base).upper()
    if not re.fullmatch(_ZONE, name):
        raise InputError(f"{value!r} is not a grid zone", hint="write it like GB, GB-13, DE, US-CAL-CISO or WORLD")
    return name


def path(value: object, base: Path) -> Path:
    """A path; ~ is the home directory."""
    given = value if isinstance(value, Path) else Path(text(value, base))
    try:
        return base / given.expanduser()
    except RuntimeError:
        raise InputError(f"the home directory in {value!r} is not known", hint="write the whole path") from None


def url(value: object, base: Path) -> str:
    """A base URL without a closing slash."""
    from urllib.parse import urlsplit

    given = text(value, base)
    if "@" in given:
        raise InputError("the URL holds a user name or password", hint="put the secret into <provider>_key instead")
    try:
        parts = urlsplit(given)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(f"{given!r} is not a web address", hint="write it like https://api.example.org")
    return given.rstrip("/")


def one_of(*words: str) -> Read:
    """One of a few words."""

    def read(value: object, base: Path) -> str:
        given = text(value, base).lower()
        if given not in words:
            raise InputError(f"{value!r} is none of {', '.join(words)}", hint=f"write {' or '.join(words)}")
        return given

    return read


def number(low: float, high: float) -> Read:
    """A finite number from low to high."""

    def read(value: object, _base: Path) -> float:
        return _number(value, low, high)

    return read


def share(value: object, _base: Path) -> float:
    """A share from 0 to below 1, as 0.03 or "3%"."""
    from greenai.moments import parse_share

    return parse_share(value if isinstance(value, str) else str(_number(value, 0.0, 1.0)))


def span_of_numbers(low: float, high: float) -> Read:
    """One number, or a pair [low, high], written "low-high" in text."""

    def read(value: object, _base: Path) -> tuple[float, float]:
        pair = re.fullmatch(_RANGE, value.strip()) if isinstance(value, str) else None
        given = list(pair.groups()) if pair else list(value) if isinstance(value, list | tuple) else [value, value]
        if len(given) != 2:
            raise InputError(f"{value!r} is not a number or a pair of numbers", hint="write 150, or [100, 200] for a range")
        first, second = (_number(item, low, high) for item in given)
        if first > second:
            raise InputError(f"the range {value!r} goes down", hint="write the lower number first")
        return first, second

    return read


def pairs(value: object, _base: Path) -> str:
    """Names and what each stands for, as `pairs_of` reads them: "GB=gb,DE=fr", or a table of TOML."""
    text = ",".join(f"{name}={item}" for name, item in value.items()) if isinstance(value, dict) else value
    if not isinstance(text, str) or any(not (name and item) for name, item in pairs_of(text)):
        raise InputError(f"{value!r} is no list of pairs", hint="write it as NAME=VALUE,NAME=VALUE")
    return ",".join(f"{name}={item}" for name, item in pairs_of(text))


def pairs_of(text: str) -> tuple[tuple[str, str], ...]:
    """The pairs of "GB=gb,DE=fr"; what is missing of one is empty."""
    split = [word.partition("=") for word in text.split(",") if word.strip()]
    return tuple((name.strip(), item.strip()) for name, _, item in split)


def toml_table(file: Path) -> dict[str, object] | None:
    """The whole table of a TOML file, None if there is no such file.

    Raises:
        ConfigError: it cannot be read or is not TOML.
    """
    body = _body(file)
    return None if body is None else _parsed(body, file)


def tool_table(file: Path, name: str) -> dict[str, object] | None:
    """The table [tool.<name>] of a pyproject.toml, None if there is none; a file that never says the name is not parsed.

    Raises:
        ConfigError: it cannot be read or is not TOML, or tool.<name> is not a table.
    """
    body = _body(file)
    if body is None or name.encode() not in body:
        return None
    tool = _parsed(body, file).get("tool")
    table = tool.get(name) if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"tool.{name} in {file} is not a table", hint=f"write [tool.{name}] and the keys under it")
    return table


def _body(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint="make it readable or remove it") from None


def _parsed(body: bytes, file: Path) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text", hint="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}", hint='text is written in quotes: zone = "GB"') from None


def _number(value: object, low: float, high: float) -> float:
    limits = f"a number from {low:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(f"{value!r} is not a number", hint=f"write {limits}")
    try:
        given = float(value)
    except (ValueError, OverflowError):
        raise InputError(f"{value!r} is not a number", hint=f"write {limits}") from None
    if not math.isfinite(given) or not low <= given <= high:
        raise InputError(f"{value!r} is out of range", hint=f"write {limits}")
    return given
