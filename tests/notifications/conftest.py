"""Outboxes on both databases, and a notification to put into them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from support.postgres import start_postgres

from interlock.notifications import Outbox


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def outbox_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database that no outbox was in; the tests of a module share it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('outbox') / 'accounts.db'}"
        return
    with start_postgres() as server:
        yield server.new_database("accounts") + "?sslmode=disable"


@pytest.fixture
def outbox(outbox_url: str) -> Iterator[Outbox]:
    """An outbox without rows."""
    with closing(Outbox(outbox_url)) as found:
        with found.store.write() as connection:
            for table in ("notifications", "notification_runs"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
        yield found


@pytest.fixture
def sqlite_outbox(tmp_path: Path) -> Iterator[Outbox]:
    """One for tests that are not about the database."""
    with closing(Outbox(f"sqlite:///{tmp_path / 'accounts.db'}")) as found:
        yield found


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed but itself, with its key in one file."""
    path = tmp_path_factory.mktemp("certificate") / "own.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    names = [x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
    start = datetime.now(UTC) - timedelta(hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def own_tls(certificate: Path) -> ssl.SSLContext:
    """A server's side with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trust(certificate: Path) -> ssl.SSLContext:
    """A client's side that trusts it."""
    return ssl.create_default_context(cafile=str(certificate))
