"""The certificates that the proxy shows inside: of an authority made for one call, which can name only the call's
hosts and is believed by that call's sandbox alone."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Final

from cachetools import LRUCache
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE: Final = timedelta(hours=26)
"""Longer than any call or lease."""
_CLOCK: Final = timedelta(hours=1)
_KEPT: Final = 128
_EVERY_ADDRESS: Final = tuple(x509.IPAddress(ip_network(text)) for text in ("0.0.0.0/0", "::/0"))
_SIGN_CERTIFICATES: Final = {"key_cert_sign": True, "crl_sign": True}
_SIGN_ONLY: Final = {"digital_signature": True}
_USES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class CertificateAuthority:
    """Signs certificates for the hosts of one call. Its key never leaves this process's memory."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Interlock egress proxy of one call")]
        )
        permitted = [x509.DNSName(host) for host in sorted({host.removeprefix("*.") for host in hosts})]
        self._certificate = (
            self._builder(self._key, self._name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(_SIGN_CERTIFICATES), critical=True)
            .add_extension(x509.NameConstraints(permitted, _EVERY_ADDRESS), critical=True)
            .sign(self._key, SHA256())
        )
        self._contexts: LRUCache[str, ssl.SSLContext] = LRUCache(_KEPT)
        self.misnamed: dict[str, str] = {}
        """Host → the other name that a handshake with it asked for last."""

    def __repr__(self) -> str:
        return "CertificateAuthority()"

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self._certificate.public_bytes(Encoding.PEM)

    def context(self, host: str) -> ssl.SSLContext:
        """For the server's side of a handshake as `host`, and with nobody who asks for another."""
        if host not in self._contexts:
            self._contexts[host] = self._context(host)
        return self._contexts[host]

    def _context(self, host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])

        def on_name(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> int | None:
            if name == host:
                return None
            self.misnamed[host] = name or "no name"
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

        context.sni_callback = on_name
        # The standard library loads certificates from files only.
        with tempfile.NamedTemporaryFile() as file:
            file.write(self._leaf(host))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def _leaf(self, host: str) -> bytes:
        """Key and certificate for a host."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(key, x509.Name([]))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True)
            .add_extension(_usage(_SIGN_ONLY), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return private + certificate.public_bytes(Encoding.PEM)

    def _builder(self, key: ec.EllipticCurvePrivateKey, subject: x509.Name) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder(issuer_name=self._name, subject_name=subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK)
            .not_valid_after(now + _LIFE)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(own, critical=False)
        )


def _usage(uses: dict[str, bool]) -> x509.KeyUsage:
    return x509.KeyUsage(**{**dict.fromkeys(_USES, False), **uses})
