"""What an approver sees: one sentence, the exact call, what it would change, who asks, which rule, until when.

The card is computed from the parts that the call digest binds, and the digest is computed again from them: a
card whose call is not the one that the approver would sign is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import JsonValue

from interlock.approval.changes import FileChange, workspace_changes
from interlock.approval.state import PendingApproval
from interlock.approval.visible import lookalikes, shortened, visible, visible_line
from interlock.definitions import ToolEntry
from interlock.digest import digest_of, parse
from interlock.errors import IntegrityError
from interlock.types.approval import ApprovalRequest, RequestKind
from interlock.types.blobs import Blobs
from interlock.types.call import ToolCall
from interlock.types.closed import Closed
from interlock.types.names import Digest
from interlock.types.route import AtDeadline
from interlock.types.workspace import Tree

IN_SENTENCE: Final = 120
"""Characters of an argument in the sentence; the arguments themselves are always whole."""
LOOKALIKES: Final = 20
LOOKALIKE: Final = 80
"""How many suspicious words a warning names, and how much of each; the text itself is whole."""


class Argument(Closed):
    """One argument, whole, as text that is safe to print."""

    name: str
    text: str
    """JSON; a string of several lines is written as these lines, each behind `| `."""


class CardStage(Closed):
    """One stage of the request's route."""

    name: str
    state: Literal["passed", "passed over", "decides", "waits", "only if escalated"]
    approvers: tuple[str, ...]
    quorum: int
    expires_after_s: int


class Card(Closed):
    """Everything that an approval is given on. Every text is made visible already."""

    request_id: str
    run: str
    kind: RequestKind
    sentence: str
    agent: str
    tool: str
    call_id: str
    arguments: tuple[Argument, ...]
    exact_arguments: dict[str, JsonValue]
    """The normalised arguments as they are: for machines."""
    changes: tuple[FileChange, ...] | None
    """All changes of files since the run began; None where the tool does not say that it acts on them."""
    rule: str
    reason: str
    route: str
    stage: str
    """The stage that decides now; empty where the route has one only."""
    stages: tuple[CardStage, ...]
    """All of them, in order."""
    approvers: tuple[str, ...]
    """Who may decide now, with those who stand in for somebody."""
    quorum: int
    approvals: int
    """How many of the quorum there are."""
    emergency: tuple[str, ...]
    """Who may break the glass."""
    passkey: bool
    """Whether a decision that lets something happen must be signed with a passkey."""
    stand_ins: tuple[str, ...]
    """To whom a decision may be handed on."""
    requester: str
    requested_at: datetime
    expires_at: datetime
    """The deadline of the stage that decides."""
    at_deadline: AtDeadline
    seconds_left: int
    call_digest: Digest
    workspace: str
    """Digest of the files that the call starts from."""
    warnings: tuple[str, ...]


def build_card(
    request: ApprovalRequest,
    call: ToolCall,
    tool: ToolEntry,
    blobs: Blobs,
    *,
    base: str,
    reason: str,
    now: datetime,
    pending: PendingApproval | None = None,
) -> Card:
    """The card of a request.

    Args:
        request: who is asked, about which digest.
        call: the call as it was proposed.
        tool: the tool as the run pins it.
        blobs: arguments and files.
        base: digest of the workspace that the run began with; what changed since is shown.
        reason: the policy's own words.
        now: for the time that is left.
        pending: how far its route has come; None: it has just been opened.

    Raises:
        IntegrityError: the parts do not give the digest that an approval would bind to, or are absent or altered.
    """
    arguments = _bound(request, call, tool, blobs)
    pending = pending or PendingApproval(request, call.tenant)
    stage = pending.stage
    shows_files = tool.schema_.preview == "workspace_diff"
    changes = workspace_changes(_tree(base, blobs), _tree(call.workspace, blobs), blobs) if shows_files else None
    return Card(
        request_id=request.request_id,
        run=request.run,
        kind=request.kind,
        sentence=_sentence(request, call, tool, arguments),
        agent=call.agent,
        tool=call.tool,
        call_id=call.call_id,
        arguments=tuple(Argument(name=visible_line(n), text=_shown(v)) for n, v in sorted(arguments.items())),
        exact_arguments=arguments,
        changes=changes,
        rule=request.rule,
        reason=visible_line(reason),
        route=request.route.name,
        stage=stage.name,
        stages=tuple(_stages(pending)),
        approvers=pending.deciders,
        quorum=stage.quorum,
        approvals=sum(vote.claims.stage == stage.name for vote in pending.approvals()),
        emergency=request.route.emergency.people if request.route.emergency and request.kind == "call" else (),
        passkey=stage.passkey,
        stand_ins=request.route.stand_ins,
        requester=request.requester,
        requested_at=request.requested_at,
        expires_at=pending.deadline,
        at_deadline=stage.at_deadline,
        seconds_left=max(0, int((pending.deadline - now).total_seconds())),
        call_digest=digest_of(call.as_hashed()),
        workspace=call.workspace,
        warnings=tuple(_warnings(arguments, changes)),
    )


def _stages(pending: PendingApproval) -> Iterator[CardStage]:
    for place, stage in enumerate(pending.request.route.stages):
        if stage.name in pending.passed_over:
            state = "passed over"
        elif place == pending.place and pending.open:
            state = "decides"
        elif place < pending.place or pending.state == "approved":
            state = "only if escalated" if stage.only_escalated else "passed"
        else:
            state = "only if escalated" if stage.only_escalated else "waits"
        yield CardStage.model_validate(
            {
                "name": stage.name,
                "state": state,
                "approvers": stage.approvers,
                "quorum": stage.quorum,
                "expires_after_s": stage.expires_after_s,
            }
        )


def _bound(request: ApprovalRequest, call: ToolCall, tool: ToolEntry, blobs: Blobs) -> dict[str, Any]:
    """The arguments, once everything that is shown is known to be what the digest binds."""
    for name, said, bound in (
        ("call digest", request.call_digest, digest_of(call.as_hashed())),
        ("run", request.run, call.run),
        ("call id", request.call_id, call.call_id),
        ("arguments", request.subject, call.arguments),
        ("tool's source", tool.source, call.tool_digest),
        ("tool", tool.schema_.name, call.tool),
    ):
        if said != bound:
            raise IntegrityError(
                f"request {request.request_id!r} is not shown: its {name} is {said!r}, the call's is {bound!r}",
                next_step=f"do not approve it; interlock replay {request.run}",
            )
    arguments = parse(blobs.get(call.arguments))
    if not isinstance(arguments, dict) or digest_of(arguments) != call.arguments:
        raise IntegrityError(f"request {request.request_id!r} is not shown: its arguments are not in normal form")
    return arguments


def _tree(digest: str, blobs: Blobs) -> Tree:
    try:
        return Tree.from_hashed(parse(blobs.get(digest))) if digest else Tree()
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"workspace {digest} is not a tree of files") from error


def _sentence(request: ApprovalRequest, call: ToolCall, tool: ToolEntry, arguments: Mapping[str, Any]) -> str:
    if request.kind == "question":
        return f"{call.agent} asks a question"
    template = tool.schema_.sentence or f"Run {call.tool}"
    known = {name: value if isinstance(value, str) else json.dumps(value) for name, value in arguments.items()}

    def fill(place: re.Match[str]) -> str:
        return shortened(visible_line(known[place[1]]), IN_SENTENCE) if place[1] in known else place[0]

    sentence = re.sub(r"\{(\w+)\}", fill, visible_line(template))
    said = {"unknown": "It may have happened already", "review": "Let run in an emergency"}.get(request.kind)
    return f"{said}: {sentence}" if said else sentence


def _shown(value: JsonValue) -> str:
    """One value, whole. Text of several lines is easier to read as lines than with `\\n` in it."""
    if isinstance(value, str) and "\n" in value:
        return "\n".join(f"| {line}" for line in visible(value).split("\n"))
    return visible(json.dumps(value, ensure_ascii=False, indent=1))


def _warnings(arguments: Mapping[str, Any], changes: tuple[FileChange, ...] | None) -> list[str]:
    texts = list(_texts(dict(arguments)))
    shown = [change.path + change.text for change in changes or ()]
    found = []
    if any(visible(text) != text for text in texts) or any("⟨U+" in text for text in shown):
        found.append("There are hidden or control characters; each is written as ⟨U+…⟩.")
    words = list({shortened(word, LOOKALIKE): None for text in (*texts, *shown) for word in lookalikes(text)})
    if words:
        more = f" and {len(words) - LOOKALIKES} more" if len(words) > LOOKALIKES else ""
        named = ", ".join(words[:LOOKALIKES])
        found.append(f"Words that mix alphabets whose letters look alike: {named}{more}")
    return found


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []
