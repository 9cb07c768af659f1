"""What a person decides about a waiting call or question, and what they are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from interlock.types.closed import Closed
from interlock.types.names import OptionalDigest, RunId, SubjectName
from interlock.types.route import Route

ApprovalVerdict = Literal["approve", "edit", "reject", "respond"]
"""approve: run it as shown. edit: run this other call instead, decided anew. reject: do not run it, and tell
the agent why. respond: answer a question (the only verdict that a question takes, besides reject)."""

RequestKind = Literal["call", "question", "unknown", "review"]
"""call: may this tool call run? question: a graph asks a person. unknown: a call may have had its effect and
nobody can tell; approve runs it again, respond takes it as done, reject takes it as failed. review: a call was let
run in an emergency; respond finds that justified, reject does not."""

RequestState = Literal["pending", "approved", "consumed", "rejected", "answered", "expired", "withdrawn"]


class ApprovalRequest(Closed):
    """One step that waits for people. Lives in the workflow's state; the ledger keeps a read model."""

    request_id: str
    """`RUN:aN`, N counting from 1 in the run."""
    run: RunId
    kind: RequestKind
    call_id: str = ""
    call_digest: OptionalDigest = ""
    """What an approval binds to. For a question: the digest of the question's bytes."""
    subject: OptionalDigest = ""
    """Blob of the call's arguments or of the question: what the approver is shown."""
    rule: str = ""
    """The rule that asked."""
    reason: str = ""
    route: Route
    requester: SubjectName
    requested_at: datetime
    expires_at: datetime
    """The deadline of the first stage."""

    @property
    def ends_at(self) -> datetime:
        """The latest moment at which it can still be open, through all stages."""
        return self.route.last_moment(self.requested_at)
