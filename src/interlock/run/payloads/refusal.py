"""A payload that was refused, on its way to whoever would have used it.

A codec that raised would fail the whole workflow task: whoever can send one unreadable update or signal could stop
a run for good. So the refusal takes the payload's place, and only its use fails: an update is rejected, a signal
dropped, an activity fails; and a run whose own record was touched does not go on.
"""

from __future__ import annotations

from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.converter import EncodingPayloadConverter

from interlock.errors import Erased, IntegrityError, InterlockError

REFUSED: Final = "interlock/refused"
_ERASED: Final = "erased"


def refusal(error: InterlockError) -> Payload:
    """The payload that stands for one that was refused."""
    metadata = {"encoding": REFUSED.encode()}
    if isinstance(error, Erased):
        metadata[_ERASED] = error.run.encode()
    return Payload(metadata=metadata, data=str(error).encode())


class RefusedPayloads(EncodingPayloadConverter):
    """Gives no value for a refused payload: it raises why."""

    @property
    def encoding(self) -> str:
        """See base class."""
        return REFUSED

    def to_payload(self, value: Any) -> Payload | None:
        """No value is refused on its way out."""
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Raises, always.

        Raises:
            Erased: the run's content was erased.
            IntegrityError: any other reason.
        """
        reason = payload.data.decode(errors="replace")
        if _ERASED in payload.metadata:
            raise Erased(payload.metadata[_ERASED].decode(errors="replace"), reason)
        raise IntegrityError(reason)
