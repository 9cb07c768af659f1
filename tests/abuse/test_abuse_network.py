"""There is no way out: no route, no name, no socket of the host or of a neighbour."""

from __future__ import annotations

import contextlib
import secrets
import selectors
import socket
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.docker

GATEWAYS, NEIGHBOURS = ("172.17.0.1", "10.0.0.1"), ("172.17.0.2", "172.18.0.2")
METADATA = ("169.254.169.254", "100.100.100.200", "fd00:ec2::254")
STRANGERS = ("192.0.2.1", "8.8.8.8", "2001:4860:4860::8888")
NO_ROUTE = "ENETUNREACH"


@contextlib.contextmanager
def listening() -> Iterator[tuple[int, list[socket.socket]]]:
    """A port of the host with real listeners on it: every address, streams and datagrams."""
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(socket.create_server(("0.0.0.0", 0)))
        port = stream.getsockname()[1]
        datagram = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagram.bind(("0.0.0.0", port))
        yield port, [stream, datagram]


def heard(listeners: list[socket.socket]) -> int:
    """How many of the listeners have something waiting."""
    with selectors.DefaultSelector() as selector:
        for one in listeners:
            selector.register(one, selectors.EVENT_READ)
        return len(selector.select(0.1))


async def test_host_loopback_hears_nothing(attacker):
    with listening() as (port, listeners):
        # The listeners are real: the host itself is heard.
        socket.create_connection(("127.0.0.1", port), 1).close()
        assert heard(listeners) == 1
        listeners[0].accept()[0].close()
        found = await attacker.fact("network", "connect", arguments={"hosts": ["127.0.0.1", "::1"], "port": port})
        assert found["tcp 127.0.0.1"] == "ECONNREFUSED"
        assert found["tcp ::1"] in ("ECONNREFUSED", "EADDRNOTAVAIL")
        assert "allowed" not in found.values()
        assert heard(listeners) == 0


async def test_own_addresses_of_the_host_hear_nothing(attacker):
    with listening() as (port, listeners):
        # The address that the host itself would use on the way out; connecting a datagram sends nothing.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.connect((STRANGERS[0], 9))
            address = one.getsockname()[0]
        found = await attacker.fact("network", "connect", arguments={"hosts": [address], "port": port})
        assert set(found.values()) == {NO_ROUTE}
        assert heard(listeners) == 0


@pytest.fixture(scope="module")
async def reached(attacker):
    """Host → what came of a stream and a datagram to it."""
    hosts = [*GATEWAYS, *NEIGHBOURS, *METADATA, *STRANGERS]
    found = await attacker.fact("network", "connect", arguments={"hosts": hosts, "port": 80})
    return {host: {found[f"tcp {host}"], found[f"udp {host}"]} for host in hosts}


def nowhere(reached, hosts):
    """Neither way leads to any of them. Without an address of its own, IPv6 may say that instead."""
    return all(reached[host] <= ({NO_ROUTE, "EADDRNOTAVAIL"} if ":" in host else {NO_ROUTE}) for host in hosts)


def test_bridge_gateway_is_unreachable(reached):
    assert nowhere(reached, GATEWAYS)


def test_addresses_of_containers_are_unreachable(reached):
    assert nowhere(reached, NEIGHBOURS)


def test_metadata_address_is_unreachable(reached):
    assert nowhere(reached, METADATA)


def test_strangers_are_unreachable(reached):
    assert nowhere(reached, STRANGERS)


@pytest.fixture(scope="module")
async def names(attacker):
    """What came of asking for names, and what the container's own files say of them."""
    return await attacker.fact("network", "names")


def test_no_name_is_resolved(names):
    asked = ("example.org", "host.docker.internal", "metadata.google.internal")
    # EAI_AGAIN: no server answers.
    assert {names[name] for name in asked} == {"EAI -3"}
    assert "allowed" not in {names[name] for name in names if name.startswith("server ")}


def test_names_of_the_host_are_not_told(names):
    assert names["resolv.conf"] in ("nameserver 127.0.0.1", "none")
    words = set(names["hosts"].split())
    assert all(word == "localhost" or word.startswith("ip6-") or word == "sandbox" for word in words)


async def test_interface_and_routes_stay(attacker):
    found = await attacker.fact("network", "interfaces")
    assert (found.pop("there"), found.pop("routes"), found.pop("neighbours")) == ("lo", "0", "0")
    assert found.pop("bind to device") in ("ENODEV", "EPERM")
    assert set(found.values()) == {"EPERM"}


async def test_docker_socket_is_not_there(attacker):
    found = await attacker.fact("network", "docker")
    assert found.pop("sockets there") == ""
    assert set(found.values()) <= {"ENOENT", "EACCES"}
    assert len(found) == 7


async def test_abstract_socket_of_the_host_is_another(attacker):
    name = f"interlock-abuse-{secrets.token_hex(6)}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + name)
        listener.listen()
        with socket.socket(socket.AF_UNIX) as own:
            own.connect("\0" + name)
        assert heard([listener]) == 1
        listener.accept()[0].close()
        found = await attacker.fact("network", "abstract", arguments={"names": [name]})
        assert found[name] == "ECONNREFUSED"
        assert name not in found["there"]
        assert heard([listener]) == 0
