"""A PostgreSQL URL says how the connection is kept from others, and nothing in it is ignored."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text
from support.postgres import PostgresServer
from tenacity import Retrying, stop_after_delay, wait_fixed

from interlock.audit import SqlBlobs
from interlock.database.address import Address
from interlock.errors import InvalidInput, LedgerUnavailable

SERVER = "postgresql://user:secret@db.example/interlock"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://user@db.example/interlock", "'mysql' is not supported"),
        ("postgresql+psycopg://user@db.example/interlock", "driver 'psycopg' is not used"),
        ("postgresql://db.example/interlock", "the URL has no username"),
        ("postgresql://user:secret@/interlock", "the URL has no host"),
        ("postgresql://user:secret@db.example", "the URL has no database"),
        (f"{SERVER}?ssl=true", "option 'ssl' is not known"),
        (f"{SERVER}?sslmode=verify_full", "sslmode='verify_full' is not known"),
        (f"{SERVER}?sslmode=require&sslmode=disable", "option 'sslmode' is given twice"),
        (f"{SERVER}?sslmode=require&sslrootcert=/ca.pem", "verify-ca and verify-full alone"),
        (f"{SERVER}?sslmode=verify-full&sslrootcert=/no/such/ca.pem", "cannot be read: .*No such file"),
    ],
)
def test_url_that_would_be_misread_is_refused(url: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=f"INTERLOCK_LEDGER_URL: .*{reason}") as refused:
        Address.read("ledger", url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+pg8000"])
def test_every_name_of_postgresql_is_accepted(scheme: str) -> None:
    assert Address.read("blobs", SERVER.replace("postgresql", scheme)).url.drivername == "postgresql+pg8000"


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    private.chmod(0o600)
    return certificate, private


@pytest.fixture
def tls(postgres: PostgresServer) -> Iterator[Path]:
    """The server speaks TLS until the test ends; its certificate, and beside it another one."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-tls-"))
    certificate, private = _certificate(folder, "server")
    _certificate(folder, "other")
    folder.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(private, "postgres", "postgres")
    files = (f"ALTER SYSTEM SET ssl_cert_file = '{certificate}'", f"ALTER SYSTEM SET ssl_key_file = '{private}'")
    postgres.execute(postgres.url(), *files, "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
    try:
        yield certificate
    finally:
        postgres.execute(postgres.url(), "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")
        shutil.rmtree(folder)


def _encrypted(url: str) -> bool:
    blobs = SqlBlobs(url)
    try:
        with blobs.store.read() as connection:
            asked = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            return bool(connection.execute(asked).scalar())
    finally:
        blobs.close()


@pytest.mark.postgres
def test_asked_for_tls_is_had_and_verified(postgres: PostgresServer, tls: Path) -> None:
    url = postgres.new_database("tls")
    for attempt in Retrying(stop=stop_after_delay(20), wait=wait_fixed(0.1), reraise=True):
        with attempt:  # a reload takes the server a moment
            assert _encrypted(f"{url}?sslmode=require")
    assert _encrypted(f"{url}?sslmode=verify-full&sslrootcert={tls}")
    assert _encrypted(url)
    assert not _encrypted(f"{url}?sslmode=disable")
    for wrong in (f"&sslrootcert={tls.with_name('other.crt')}", ""):
        with pytest.raises(LedgerUnavailable, match="sslrootcert"):
            _encrypted(f"{url}?sslmode=verify-full{wrong}")
    elsewhere = url.replace("127.0.0.1", "localhost")
    assert _encrypted(f"{elsewhere}?sslmode=verify-ca&sslrootcert={tls}")
    with pytest.raises(LedgerUnavailable, match="sslrootcert"):
        _encrypted(f"{elsewhere}?sslmode=verify-full&sslrootcert={tls}")


@pytest.mark.postgres
def test_tls_that_a_server_refuses_is_an_error(postgres: PostgresServer) -> None:
    with pytest.raises(LedgerUnavailable, match="check sslmode"):
        SqlBlobs(f"{postgres.new_database('plain')}?sslmode=require")
