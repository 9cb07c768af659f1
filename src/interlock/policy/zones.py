"""Time zones, carried in the bundle: a decision must not depend on which zone files a machine has."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from interlock.policy.problems import did_you_mean


@lru_cache
def known_zones() -> frozenset[str]:
    """Names of all zones of the tzdata package."""
    return frozenset((resources.files("tzdata") / "zones").read_text().split())


def zone_name(name: str) -> str:
    """Check the name of a zone and return it.

    Raises:
        ValueError: there is no such zone.
    """
    if name not in known_zones():
        raise ValueError(f"unknown time zone {name!r}{did_you_mean(name, known_zones())}")
    return name


def zone_data(name: str) -> str:
    """The zone's compiled rules (TZif) in base64, to be kept in a bundle."""
    file = resources.files("tzdata").joinpath("zoneinfo", *zone_name(name).split("/"))
    return base64.b64encode(file.read_bytes()).decode()


@lru_cache(maxsize=256)
def zone_from(name: str, data: str) -> ZoneInfo:
    """The zone that `zone_data` wrote.

    Raises:
        ValueError: these are no rules of a zone.
    """
    try:
        return ZoneInfo.from_file(io.BytesIO(base64.b64decode(data, validate=True)), key=name)
    except (
        Exception
    ) as error:  # what zoneinfo raises on such bytes is not documented: struct.error, AssertionError, …
        raise ValueError(f"the rules of time zone {name!r} are damaged") from error
