"""Where a request may go: names resolved once, every address judged, and connected to by address."""

from interlock.network.addresses import Resolver, SystemResolver, forbidden, permitted
from interlock.network.pinned import Pinned

__all__ = ["Pinned", "Resolver", "SystemResolver", "forbidden", "permitted"]
