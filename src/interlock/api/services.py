"""What the API's process holds open: stores, the policy in force, a client that acts on runs for people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass

from fastapi import Request

from interlock.accounts import Accounts
from interlock.api.project import Project
from interlock.audit import Ledger, SqlBlobs, open_blobs
from interlock.errors import Refused
from interlock.policy import Bundle, PolicySource
from interlock.policy.signature import signed_only
from interlock.run.client import RunClient
from interlock.run.connection import connect
from interlock.settings import Settings
from interlock.signing import load_signer


@dataclass
class Services:
    """The parts that routes use."""

    settings: Settings
    ledger: Ledger
    """For reading only."""
    blobs: SqlBlobs
    policy: PolicySource
    runs: RunClient
    """Acts in the tenant of the settings, which is the only one that this process serves."""
    accounts: Accounts
    project: Project
    """What can be started: agents, tools, workflows."""

    @property
    def bundle(self) -> Bundle:
        """The policy in force."""
        return self.policy.current()

    def runs_in(self, tenant: str) -> RunClient:
        """Acts on runs for people of a tenant.

        Raises:
            Refused: this process serves another one.
        """
        if tenant != self.settings.tenant:
            raise Refused(f"this server serves tenant {self.settings.tenant!r}, not {tenant!r}")
        return self.runs


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open everything until the block ends.

    Raises:
        Unreachable: Temporal, the ledger or a key is not there.
        PolicyError: the policy does not load.
    """
    async with AsyncExitStack() as stack:
        api = load_signer(settings.keys_folder, "api")
        ledger = stack.enter_context(closing(Ledger(settings.effective_ledger_url, read_only=True)))
        blobs = stack.enter_context(closing(open_blobs(settings)))
        accounts = stack.enter_context(closing(Accounts.of(settings)))
        folder = settings.root / "permissions"
        policy = await asyncio.to_thread(lambda: PolicySource(folder, signed=signed_only(settings, None)))
        stack.callback(policy.close)
        policy.watch()
        temporal = await connect(settings)
        runs = RunClient(temporal, settings, blobs, api)
        yield Services(settings, ledger, blobs, policy, runs, accounts, Project(settings, blobs))


def services(request: Request) -> Services:
    """The dependency that gives them to a route."""
    found: Services = request.app.state.services
    return found
