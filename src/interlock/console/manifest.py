"""What agents and tools there are: the project as it can be started now, or as the newest run pinned it."""

from __future__ import annotations

from typing import Final, NamedTuple

from interlock.api.caller import Caller
from interlock.api.services import Services
from interlock.definitions import AgentEntry, Manifest
from interlock.digest import digest_of
from interlock.errors import InterlockError
from interlock.run.catalogue import load_manifest

_LOOKED_AT: Final = 200
"""The newest runs, among which earlier versions are looked for."""


class Known(NamedTuple):
    """A manifest."""

    manifest: Manifest | None
    note: str
    """Why it is not the project as it is now; empty where it is."""


class Version(NamedTuple):
    """One version of an agent or a tool, as runs pinned it."""

    digest: str
    run: str
    """The newest run that pinned it."""
    now: bool
    """Whether it is what a run would get that starts now."""


async def known(held: Services, who: Caller) -> Known:
    """The manifest that a run would get now; where it cannot be made here, that of the newest run."""
    try:
        return Known(await held.project.manifest(), "")
    except InterlockError as error:
        note = f"The project cannot be read as it is now: {error}"
    for row in held.ledger.find_runs(1, tenant=who.tenant):
        try:
            return Known(load_manifest(held.blobs, row.manifest), f"{note}. This is what run {row.run} pinned.")
        except InterlockError:
            break
    return Known(None, note)


def versions(held: Services, who: Caller, now: Manifest, *, agent: str = "", tool: str = "") -> list[Version]:
    """The versions of an agent or a tool that runs pinned, newest first."""
    current = _digest(now, agent, tool)
    found: dict[str, Version] = {current: Version(current, "", True)} if current else {}
    manifests: dict[str, str] = {}
    for row in held.ledger.find_runs(_LOOKED_AT, tenant=who.tenant):
        manifests.setdefault(row.manifest, row.run)
    for digest, run in manifests.items():
        try:
            own = _digest(load_manifest(held.blobs, digest), agent, tool)
        except (InterlockError, ValueError):
            continue
        if own and not found.get(own, Version("", "", False)).run:
            found[own] = Version(own, run, own == current)
    return list(found.values())


def _digest(manifest: Manifest, agent: str, tool: str) -> str:
    if agent:
        entry: AgentEntry | None = manifest.agents.get(agent)
        return digest_of(entry.model_dump(mode="json")) if entry else ""
    found = manifest.tools.get(tool)
    return found.source if found else ""
