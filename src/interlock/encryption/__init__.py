"""Encryption of content: a data key for each run, wrapped by a key that a provider keeps. Ground: no database.

`interlock.audit.RunKeys` keeps the wrapped keys. Content keys give nobody authority: they open what a run read and
wrote, and sign nothing.
"""

from interlock.encryption.cipher import Cipher, bound
from interlock.encryption.environment_keys import EnvironmentKeys
from interlock.encryption.file_keys import FileKeys, create_data_keys
from interlock.encryption.loading import key_provider
from interlock.encryption.provider import KeyProvider, Wrapped
from interlock.errors import Erased

__all__ = [
    "Cipher",
    "EnvironmentKeys",
    "Erased",
    "FileKeys",
    "KeyProvider",
    "Wrapped",
    "bound",
    "create_data_keys",
    "key_provider",
]
