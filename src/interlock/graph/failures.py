"""Errors of an activity in words, and whether trying again can help."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from pydantic import ValidationError
from temporalio.exceptions import ApplicationError

from interlock.errors import IntegrityError, InvalidInput, Refused

RETRIED_STATUS: Final = frozenset({408, 409, 425, 429})
"""4xx answers of a provider that may be different next time; other 4xx stay as they are."""
MAX_DELAY: Final = timedelta(minutes=5)
_BUGS: Final = (
    TypeError,
    AttributeError,
    NameError,
    LookupError,
    AssertionError,
    NotImplementedError,
    ImportError,
    RecursionError,
    ValidationError,
)


def explained(error: Exception, where: str) -> Exception:
    """The error that the activity raises instead of `error`.

    Args:
        error: what the node raised.
        where: `AGENT.NODE`, for the message.
    """
    if isinstance(error, ApplicationError):
        return error
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return _of_provider(error, status, where)
    final = isinstance(error, (InvalidInput, Refused, IntegrityError, *_BUGS))
    words = str(error) if isinstance(error, (InvalidInput, Refused)) else f"{type(error).__name__}: {error}"
    return ApplicationError(f"{where}: {_short(words)}", type=type(error).__name__, non_retryable=final)


def _of_provider(error: Exception, status: int, where: str) -> ApplicationError:
    kind, words = type(error).__name__, _short(str(error))
    if status in (401, 403):
        advice = "check OPENAI_API_KEY or ANTHROPIC_API_KEY of the graph worker"
        words = f"the model provider refused the key (HTTP {status}): {words} ({advice})"
        return ApplicationError(f"{where}: {words}", type=kind, non_retryable=True)
    words = f"{where}: the model provider answered HTTP {status}: {words}"
    final = 400 <= status < 500 and status not in RETRIED_STATUS
    return ApplicationError(
        words, type=kind, non_retryable=final, next_retry_delay=None if final else _delay(error)
    )


def _delay(error: Any) -> timedelta | None:
    """What the provider's Retry-After header asks for, in seconds."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    text = str(headers.get("retry-after", ""))
    return min(timedelta(seconds=int(text)), MAX_DELAY) if text.isdecimal() and len(text) < 7 else None


def _short(text: str) -> str:
    return text if len(text) <= 2000 else text[:2000] + "…"
