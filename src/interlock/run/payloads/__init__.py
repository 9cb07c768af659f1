"""What passes through Temporal, made unreadable to Temporal: compressed, sealed with the key of its run, kept
elsewhere where it is large. One data converter for every client, worker and replayer."""

from interlock.run.payloads.converter import data_converter
from interlock.run.payloads.scope import bound_to, scope_of

__all__ = ["bound_to", "data_converter", "scope_of"]
