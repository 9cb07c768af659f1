"""By which names the server may be addressed."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from interlock.api.app import hosts
from interlock.api.serving import serve
from interlock.errors import InvalidInput
from interlock.settings import Settings

LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}


@pytest.mark.parametrize(
    ("listen", "public", "names"),
    [
        ("127.0.0.1:8400", "", LOOPBACK),
        ("[::1]:8400", "", LOOPBACK),
        ("127.0.0.1:8400", "https://interlock.example", LOOPBACK | {"interlock.example"}),
        ("0.0.0.0:8400", "https://interlock.example:8443", {"interlock.example"}),
        ("10.0.0.5:8400", "", {"10.0.0.5"}),
    ],
)
def test_names_are_these(listen: str, public: str, names: set[str]) -> None:
    assert set(hosts(Settings(listen=listen, public_url=public))) == names


@pytest.mark.parametrize("public", ["https://*", "https://*.example", "https://a.example/path", "ftp://a.example"])
def test_an_address_that_is_no_origin_is_refused(public: str) -> None:
    with pytest.raises(ValidationError):
        Settings(public_url=public)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_every_address_needs_a_name(listen: str) -> None:
    with pytest.raises(InvalidInput, match="public_url"):
        serve(None, Settings(listen=listen), print)  # type: ignore[arg-type]
