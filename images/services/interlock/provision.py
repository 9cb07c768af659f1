"""Makes what the services of docker-compose.yml need once: signing keys and database passwords.

Each service has a volume of its own and gets into it only what its role may hold:

    executor   executor.key and ledger.key, the data keys, the URLs of ledger and blobs
    graph      public keys, the data keys, the URL of the blobs
    client     api.key, the data keys, the URLs of ledger (read) and blobs
    auditor    public keys, the data keys, the URLs of ledger and blobs, to read
    console    what `client` has; a volume of its own for the accounts
    owner      the URLs of the databases' owner, who alone changes tables
    postgres   the passwords, for the first start of the database; in a volume beside it, roles.sh

What exists is kept. A volume that lost its keys is not given new ones while others hold the old: tokens and
receipts on record would no longer verify.

    provision.py                make what is missing
    provision.py rotate         besides, make a new version of the data keys; then, where the executor runs,
                                `interlock keys rotate --wrap-only`
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Final

from interlock.encryption import create_data_keys
from interlock.encryption.file_keys import CURRENT, add_version
from interlock.errors import Conflict, InterlockError
from interlock.signing import ROLES, Role, create_keys

VOLUMES: Final = Path(os.environ.get("INTERLOCK_VOLUMES", "/volumes"))
USER: Final = 10002
"""The image's user; the executor is root without capabilities, because the Docker socket belongs to root."""
TEMPORAL_USER: Final = 1000
PRIVATE: Final[dict[str, tuple[Role, ...]]] = {"executor": ("executor", "ledger"), "client": ("api",)}
DATABASES: Final = {
    "owner": ("ledger", "blobs"),
    "executor": ("ledger", "blobs"),
    "client": ("ledger", "blobs"),
    "auditor": ("ledger", "blobs"),
    "graph": ("blobs",),
}


def main() -> int:
    """Fill the volumes."""
    os.umask(0o077)
    try:
        provide_keys()
        provide_data_keys(rotated="rotate" in sys.argv[1:])
    except InterlockError as error:
        print(f"provision: {error}", file=sys.stderr)
        return error.exit_code
    provide_databases()
    provide_roles()
    for service in ("graph", "client", "auditor"):
        _hand_over(VOLUMES / service, USER)
    _hand_over(VOLUMES / "temporal", TEMPORAL_USER)
    _hand_over(VOLUMES / "console", USER)
    print("provision: keys and passwords are in place")
    return 0


def provide_keys() -> None:
    """Private keys where they belong, public keys everywhere.

    Raises:
        Conflict: a volume holds the public key of another pair.
    """
    holders: dict[Role, Path] = {}
    for service, roles in PRIVATE.items():
        folder = VOLUMES / service / "keys"
        _refuse_second_pair(service, roles)
        create_keys(folder, roles)
        holders |= {role: folder / f"{role}.pub" for role in roles}
    for service in ("executor", "client", "graph", "auditor"):
        folder = VOLUMES / service / "keys"
        folder.mkdir(exist_ok=True)
        for role in ROLES:
            _put_public(holders[role], folder / f"{role}.pub")


def _refuse_second_pair(service: str, roles: tuple[Role, ...]) -> None:
    for role in roles:
        known = [path for path in VOLUMES.glob(f"*/keys/{role}.pub") if path.parts[-3] != service]
        if known and not (VOLUMES / service / "keys" / f"{role}.key").exists():
            raise Conflict(
                f"volume of {service!r} lost {role}.key, and {known[0]} is of the old pair",
                next_step="restore the volume; or remove all volumes with their records: docker-compose down -v",
            )


def _put_public(source: Path, target: Path) -> None:
    if target.exists():
        if target.read_bytes() != source.read_bytes():
            raise Conflict(f"{target} is not the public key of {source}", next_step="restore the volume")
        return
    shutil.copyfile(source, target)
    target.chmod(0o644)


def provide_data_keys(*, rotated: bool) -> None:
    """The keys that wrap the data keys of runs, for every service that reads content: the executor's, copied.

    Raises:
        Conflict: the executor's volume lost them.
    """
    source = VOLUMES / "executor" / "data-keys"
    others = [VOLUMES / service / "data-keys" for service in ("client", "graph", "auditor")]
    if not source.exists() and any(folder.exists() for folder in others):
        raise Conflict("volume of 'executor' lost its data keys", next_step="restore the volume: copy a service's")
    create_data_keys(source)
    if rotated:
        add_version(source)
    for folder in others:
        folder.mkdir(exist_ok=True, mode=0o700)
        # The name of the current one last: whoever reads it then finds its key.
        for path in (*sorted(source.glob("*.key")), source / CURRENT):
            unfinished = folder / f".{path.name}"
            _write(unfinished, path.read_text(), 0o600)
            os.chown(unfinished, USER, USER)
            unfinished.replace(folder / path.name)


def provide_databases() -> None:
    """A password for each database role; each service's URLs."""
    passwords = {name: _password(f"{name}_password") for name in (*DATABASES, "postgres")}
    for service, databases in DATABASES.items():
        for database in databases:
            url = f"postgresql://interlock_{service}:{passwords[service]}@postgres:5432/interlock_{database}"
            _write(VOLUMES / service / f"{database}_url", url, 0o600)


def provide_roles() -> None:
    """The script that makes databases and roles, where the database's first start looks for it. It travels in
    this image, so that docker-compose.yml needs no other file beside it."""
    target = VOLUMES / "postgres-init" / "10-interlock.sh"
    shutil.copyfile(Path(__file__).with_name("roles.sh"), target)
    target.chmod(0o644)


def _password(name: str) -> str:
    path = VOLUMES / "postgres" / name
    if not path.exists():
        # The database's user differs from image to image; only setup and the database mount this volume.
        _write(path, secrets.token_urlsafe(32), 0o644)
    return path.read_text()


def _write(path: Path, text: str, mode: int) -> None:
    path.write_text(text)
    path.chmod(mode)


def _hand_over(folder: Path, user: int) -> None:
    """A service that does not run as root must be able to read what is its own, and nobody else."""
    for path in (*folder.rglob("*"), folder):
        os.chown(path, user, user)


if __name__ == "__main__":
    sys.exit(main())
