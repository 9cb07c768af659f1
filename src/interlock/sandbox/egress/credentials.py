"""Which credential goes with a request, and its secret, read when it is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from cachetools import TTLCache
from pydantic import SecretStr

from interlock.errors import Refused
from interlock.sandbox.egress.matching import names
from interlock.sandbox.egress.providers import EnvironmentSecrets, FileSecrets, SecretProvider, SecretUnavailable
from interlock.sandbox.egress.scrubber import LEAST, MOST
from interlock.sandbox.egress.target import Target
from interlock.sandbox.egress.vault import VaultSecrets
from interlock.types.egress import Credential

_KEPT_S: Final = 30
_MOST: Final = 256


def chosen(credentials: Sequence[Credential], target: Target) -> Credential | None:
    """The credential for a request that a rule fits.

    Raises:
        Refused: there are two, so nobody can say which is meant.
    """
    found = [one for one in credentials if names(one.hosts, target.host) and (target.scheme == "https" or one.http)]
    if len(found) > 1:
        both = " and ".join(repr(one.name) for one in found[:2])
        raise Refused(f"credentials {both} are both for {target.host}", next_step="grant the tool one of them")
    return found[0] if found else None


class Secrets:
    """Reads secrets through providers and keeps each for half a minute."""

    def __init__(
        self, providers: Mapping[str, SecretProvider], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._providers = dict(providers)
        self._kept: TTLCache[str, SecretStr] = TTLCache(_MOST, _KEPT_S, timer=clock)
        self._lock = threading.Lock()

    def kept(self, credential: Credential) -> SecretStr | None:
        """The secret of a credential, if it was read not long ago."""
        with self._lock:
            return self._kept.get(credential.source)

    def read(self, credential: Credential) -> SecretStr:
        """The secret of a credential. May block.

        Raises:
            Refused: it cannot be had, or cannot stand in a header.
        """
        kept = self.kept(credential)
        if kept is None:
            kept = SecretStr(self._fresh(credential))
            with self._lock:
                self._kept[credential.source] = kept
        return kept

    def _fresh(self, credential: Credential) -> str:
        kind, _, reference = credential.source.partition(":")
        problem, step = f"credential {credential.name!r} cannot be read: ", "tell whoever keeps this credential"
        if kind not in self._providers:
            known = ", ".join(sorted(self._providers))
            raise Refused(f"{problem}no provider {kind!r}; there are {known}", next_step=step)
        try:
            secret = self._providers[kind].read(reference)
        except SecretUnavailable as error:
            raise Refused(f"{problem}{error}", next_step=step) from None
        except Exception as error:
            raise Refused(f"{problem}{type(error).__name__}", next_step=step) from None
        plain = secret.isascii() and secret.isprintable() and secret == secret.strip()
        if not plain or not LEAST <= len(secret) <= MOST:
            raise Refused(f"{problem}it must be one line of {LEAST} to {MOST} printable characters", next_step=step)
        return secret


def standard_secrets(root: Path) -> Secrets:
    """Files (relative to `root`), the executor's environment, Vault."""
    return Secrets({"file": FileSecrets(root), "env": EnvironmentSecrets(), "vault": VaultSecrets()})
