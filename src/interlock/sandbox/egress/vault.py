"""Secrets in a Vault-compatible server (HashiCorp Vault, OpenBao): its KV engine, version 2, over HTTP.

Source: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2, "Read secret version".
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import httpcore2

from interlock.sandbox.egress.providers import SecretUnavailable

_TIMEOUT_S: Final = 10


@dataclass(frozen=True)
class VaultSecrets:
    """`vault:PATH#FIELD`, PATH as the API has it: `vault:secret/data/github#token`.

    The executor's environment says where and as whom: `VAULT_ADDR`, `VAULT_TOKEN`, and if need be
    `VAULT_NAMESPACE` and `VAULT_CACERT`.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def read(self, reference: str) -> str:
        """See `SecretProvider.read`."""
        path, _, name = reference.partition("#")
        if not path or not name:
            raise SecretUnavailable("its source must look like vault:PATH#FIELD")
        try:
            value = json.loads(self._get(path))["data"]["data"][name]
        except (ValueError, KeyError, TypeError):
            raise SecretUnavailable("Vault's answer has no such field") from None
        if not isinstance(value, str):
            raise SecretUnavailable("the field in Vault is no text")
        return value

    def _get(self, path: str) -> bytes:
        address, token = self.environment.get("VAULT_ADDR"), self.environment.get("VAULT_TOKEN")
        if not address or not token:
            raise SecretUnavailable("VAULT_ADDR or VAULT_TOKEN is not set for the executor")
        headers: dict[bytes | str, bytes | str] = {"X-Vault-Token": token, "X-Vault-Request": "true"}
        if namespace := self.environment.get("VAULT_NAMESPACE"):
            headers["X-Vault-Namespace"] = namespace
        url = f"{address.rstrip('/')}/v1/{path}"
        timeout: dict[str, Any] = dict.fromkeys(("connect", "read", "write", "pool"), _TIMEOUT_S)
        try:
            with httpcore2.ConnectionPool(ssl_context=self._trust()) as pool:
                response = pool.request("GET", url, headers=headers, extensions={"timeout": timeout})
        except Exception as error:
            # Whatever it was: its text may hold the request's headers.
            raise SecretUnavailable(f"Vault does not answer ({type(error).__name__})") from None
        if response.status != HTTPStatus.OK:
            raise SecretUnavailable(f"Vault answers {response.status}")
        return response.content

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.environment.get("VAULT_CACERT") or None)
