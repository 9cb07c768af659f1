"""Egress: the only way out of a sandbox, a proxy that checks, records and completes each request."""

from interlock.network import Resolver, SystemResolver
from interlock.sandbox.egress.caps import Caps
from interlock.sandbox.egress.credentials import Secrets, standard_secrets
from interlock.sandbox.egress.providers import EnvironmentSecrets, FileSecrets, SecretProvider, SecretUnavailable
from interlock.sandbox.egress.proxy import EgressProxy
from interlock.sandbox.egress.vault import VaultSecrets

__all__ = [
    "Caps",
    "EgressProxy",
    "EnvironmentSecrets",
    "FileSecrets",
    "Resolver",
    "SecretProvider",
    "SecretUnavailable",
    "Secrets",
    "SystemResolver",
    "VaultSecrets",
    "standard_secrets",
]
