"""Keeping revealed secrets out of whatever the system shows or stores: texts, errors, log records, states."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import logging
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO, TypeVar, cast
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, ValidationError

from medkg_dagster.errors import ConfigError

T = TypeVar("T")
SHORTEST = 4
"""Characters below which a value is not looked for: it would stand in every other text by chance."""

_SHORTEST_BASE64 = 8
_SHORTEST_HEX = 8
_MARK = r"\[secret [A-Za-z_][A-Za-z0-9_]*\]"


@dataclass(frozen=True, slots=True)
class _Known:
    """What to look for; replaced as a whole, so that readers need no lock.

    Attributes:
        names: By each form a value may be written in, longest first: the environment variable.
        encoded: The same as bytes.
        pattern: Matches the forms, and marks that stand in the text already.
    """

    names: dict[str, str]
    encoded: tuple[tuple[bytes, str], ...]
    pattern: re.Pattern[str]


# One memory for the process: a value leaks through a logger, an exception or a thread that knows nothing of
# the stage that revealed it, so whoever shows something must know all. `os.environ` holds the values anyway.
_lock = threading.Lock()
_revealed: dict[str, str] = {}
_known: _Known | None = None
_logs_are_guarded = False


def remember(value: str, name: str) -> None:
    """Keep a value out of what is shown from now on; log records of all loggers are included.

    Args:
        value: The value; below `SHORTEST` characters it is not looked for.
        name: Its environment variable.
    """
    global _known, _logs_are_guarded  # noqa: PLW0603 - see above: the memory is the process's
    if len(value) < SHORTEST or value in _revealed:
        return
    with _lock:
        _revealed[value] = name
        _known = _compile(_revealed)
        if not _logs_are_guarded:
            _guard_logs()
            _logs_are_guarded = True


def revealed_names() -> tuple[str, ...]:
    """Return the environment variables whose values are kept out of what is shown, sorted."""
    with _lock:
        return tuple(sorted(set(_revealed.values())))


def redact(text: str) -> str:
    """Return a text with every revealed value, plain, escaped or encoded, replaced by `[secret NAME]`."""
    known = _known
    if known is None or not any(form in text for form in known.names):
        return text
    return known.pattern.sub(lambda found: _mark(found.group(), known), text)


def holds_secret(data: bytes | str) -> str | None:
    """Return the environment variable of a revealed value that the data hold; None where they hold none.

    Args:
        data: A text, or bytes: UTF-8, or the memory of a NumPy array.
    """
    known = _known
    if known is None:
        return None
    if isinstance(data, str):
        return next((name for form, name in known.names.items() if form in data), None)
    return next((name for form, name in known.encoded if form in data), None)


def redacted(value: T) -> T:
    """Return a value with every revealed secret in its texts replaced, however deep they lie in it.

    Args:
        value: A text, a model, a dataclass, or mappings and sequences of these; anything else is returned as
            it is.
    """
    return value if _known is None else cast("T", _redacted(value))


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return value.model_copy(update=_changed({name: getattr(value, name) for name in fields}))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.init]
        return dataclasses.replace(value, **_changed({name: getattr(value, name) for name in names}))
    if isinstance(value, Mapping):
        return {_redacted(key): _redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "_fields"):
        return type(value)(map(_redacted, value))
    return value


def _changed(values: dict[str, Any]) -> dict[str, Any]:
    """Return what differs without its secrets, so that what was left out of a model stays out of it."""
    return {name: new for name, old in values.items() if (new := _redacted(old)) != old}


def showable(error: BaseException) -> BaseException:
    """Return an error whose text and causes may be logged and stored.

    Returns:
        The error itself; where it or one of its causes quotes a revealed value, or quotes configuration that
        was refused, a stand-in with the same class name, traceback and causes.
    """
    quotes_config = isinstance(error, ConfigError) and any(
        isinstance(item, ValidationError) for item in _chain(error)
    )
    if quotes_config or (_known is not None and any(map(_quotes_secret, _chain(error)))):
        return _stand_in(error, {})
    return error


def text_of(error: BaseException) -> str:
    """Return the text of an error as it may be logged and stored."""
    return _text(showable(error))


@contextmanager
def printing_redacted() -> Iterator[None]:
    """Keep revealed values out of what Python code prints meanwhile: Dagster stores both streams of a run."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _RedactedStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _RedactedStream:
    """A text stream as whoever prints sees it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redact(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _compile(revealed: dict[str, str]) -> _Known:
    names: dict[str, str] = {}
    for value, name in revealed.items():
        for form in _forms(value):
            names.setdefault(form, name)
    longest_first = {form: names[form] for form in sorted(names, key=lambda form: (-len(form), form))}
    encoded = {form.encode("utf-8", "surrogateescape"): name for form, name in longest_first.items()}
    for value, name in revealed.items():
        for encoding in ("utf-32-le", "utf-32-be"):
            # NumPy's memory of text.
            encoded[value.encode(encoding, "surrogatepass")] = name
    alternatives = "|".join(re.escape(form) for form in longest_first)
    return _Known(longest_first, tuple(encoded.items()), re.compile(f"{_MARK}|{alternatives}"))


def _forms(value: str) -> set[str]:
    """Return what a value looks like where it is shown: as it is, or written into something else, even twice.

    A service quotes a request in its reply, and that reply stands in a log line, as one of JSON in JSON.
    """
    once = {value, *_writings(value)}
    encoded = value.encode("utf-8", "surrogateescape")
    return once.union(*map(_writings, once), _encodings(encoded))


def _writings(text: str) -> Iterator[str]:
    quoted = {quote(text, safe="", errors="replace"), quote(text, errors="replace")}
    quoted |= {quote_plus(text, errors="replace")}
    yield from quoted
    yield from (re.sub(r"%[0-9A-F]{2}", lambda found: found.group().lower(), form) for form in quoted)
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
    yield repr(text.encode("utf-8", "surrogateescape"))[2:-1]
    yield from (html.escape(text), html.escape(text, quote=False))


def _encodings(value: bytes) -> Iterator[str]:
    yield from _base64_forms(value)
    # What is shorter stands in the hash of something by chance.
    if len(value) >= _SHORTEST_HEX:
        yield from (value.hex(), value.hex().upper())


def _base64_forms(value: bytes) -> Iterator[str]:
    """Yield what a value looks like within base64, wherever among other bytes it begins."""
    for before in range(3):
        characters = base64.b64encode(bytes(before) + value).decode("ascii")
        # Characters at both ends that also depend on the bytes around are left out.
        certain = characters[-(-before * 8 // 6) : (before + len(value)) * 8 // 6]
        if len(certain) >= _SHORTEST_BASE64:
            yield certain
            yield certain.replace("+", "-").replace("/", "_")


def _mark(found: str, known: _Known) -> str:
    name = known.names.get(found)
    return f"[secret {name}]" if name else found


def _guard_logs() -> None:
    # A filter on one logger does not see the records of others, such as an HTTP client's.
    make_record = logging.getLogRecordFactory()

    def make_redacted_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        _redact_record(record)
        return record

    logging.setLogRecordFactory(make_redacted_record)


def _redact_record(record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - `logging` reports it, arguments included, to standard error
        message = f"{record.msg} {record.args!r}"
    redacted = redact(message)
    if redacted != message:
        record.msg, record.args = redacted, ()
    if record.exc_info and record.exc_info[1] is not None:
        error = showable(record.exc_info[1])
        if error is not record.exc_info[1]:
            record.exc_info = (type(error), error, error.__traceback__)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and whatever Python prints with it."""
    waiting, seen = [error], set[int]()
    while waiting:
        item = waiting.pop()
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        waiting += [item.__cause__, None if item.__suppress_context__ else item.__context__]
        if isinstance(item, BaseExceptionGroup):
            waiting += item.exceptions


def _quotes_secret(error: BaseException) -> bool:
    return any(holds_secret(text) for text in _texts(error))


def _texts(error: BaseException) -> Iterator[str]:
    yield _text(error)
    yield from map(str, getattr(error, "__notes__", ()))
    if isinstance(error, ValidationError):
        # Its text shows both ends of the input, and may have cut a secret in two.
        yield from (repr(item["input"]) for item in error.errors(include_url=False, include_context=False))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the class of a plugin's error may have a broken __str__
        return "its text cannot be shown"


def _stand_in(error: BaseException, made: dict[int, BaseException]) -> BaseException:
    """Copy an error and its causes; classes are made anew because a class may format its text as it likes."""
    name, module = type(error).__name__, type(error).__module__
    kind = type(name, (Exception,), {"__module__": module, "__qualname__": type(error).__qualname__})
    copy: BaseException = kind(redact(_shown_text(error)))
    made[id(error)] = copy
    for note in getattr(error, "__notes__", ()):
        copy.add_note(redact(str(note)))
    copy.__cause__ = _copy_of(error.__cause__, made)
    copy.__context__ = None if error.__suppress_context__ else _copy_of(error.__context__, made)
    copy.__suppress_context__ = error.__suppress_context__
    return copy.with_traceback(error.__traceback__)


def _copy_of(error: BaseException | None, made: dict[int, BaseException]) -> BaseException | None:
    if error is None:
        return None
    return made[id(error)] if id(error) in made else _stand_in(error, made)


def _shown_text(error: BaseException) -> str:
    if not isinstance(error, ValidationError):
        return _text(error)
    # Its own text quotes the input, and that may be a secret that was refused for being written in plain.
    places = (
        (".".join(str(part) for part in item["loc"]), item["msg"])
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    )
    return "; ".join(f"{place}: {message}" if place else message for place, message in places)
