"""The connection to the Temporal server: what a command needs that neither loads graphs nor runs a worker."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.service import RPCError

from interlock.errors import Unreachable
from interlock.run.payloads import data_converter
from interlock.settings import Settings


async def connect(settings: Settings) -> Client:
    """A Temporal client.

    Raises:
        Unreachable: no server answers at the address.
    """
    try:
        return await Client.connect(
            settings.temporal_address,
            namespace=settings.temporal_namespace,
            data_converter=data_converter(settings),
        )
    except (RPCError, RuntimeError, OSError) as error:
        raise Unreachable(
            f"no Temporal server answers at {settings.temporal_address}: {error}",
            next_step="interlock dev starts one; or set INTERLOCK_TEMPORAL_ADDRESS",
        ) from error
