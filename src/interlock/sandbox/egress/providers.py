"""Where secrets are read. A provider is named before the colon of a credential's source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

_MOST: Final = 64 * 1024


class SecretUnavailable(Exception):
    """A secret cannot be read. The message says why and is shown to the sandbox: it names no secret and no path."""


class SecretProvider(Protocol):
    """Reads secrets of one kind. Called from worker threads."""

    def read(self, reference: str) -> str:
        """The secret.

        Args:
            reference: what stands after the provider's name in the source.

        Raises:
            SecretUnavailable
        """
        ...


@dataclass(frozen=True)
class FileSecrets:
    """`file:PATH`: the file's content without its last line break."""

    root: Path = field(default_factory=Path.cwd)
    """What a relative path is relative to."""

    def read(self, reference: str) -> str:
        """See `SecretProvider.read`."""
        try:
            with (self.root / reference).open("rb") as file:
                content = file.read(_MOST + 1)
            return content.decode().removesuffix("\n").removesuffix("\r")
        except OSError as error:
            raise SecretUnavailable(f"its file: {error.strerror}") from None
        except ValueError:
            raise SecretUnavailable("its file is no text") from None


@dataclass(frozen=True)
class EnvironmentSecrets:
    """`env:NAME`: a variable of the executor's environment."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def read(self, reference: str) -> str:
        """See `SecretProvider.read`."""
        if reference not in self.environment:
            raise SecretUnavailable("its environment variable is not set for the executor")
        return self.environment[reference]
