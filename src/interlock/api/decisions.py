"""What people send as a decision, in the words of this engine or in those of LangChain, as one form.

LangChain has two vocabularies: that of its human-in-the-loop middleware (approve, edit with `edited_action`,
reject, respond) and that of the Agent Inbox before it (accept, edit with `args`, response, ignore).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from interlock.api.schemas import Body
from interlock.errors import InvalidInput
from interlock.types.approval import ApprovalVerdict, RequestKind

_IGNORED: Final = "The approver decided not to run this, and gave no reason."
Message = Annotated[str, Field(max_length=20_000)]


class EditedAction(Body):
    """The call that is to run instead."""

    name: str = Field(max_length=128)
    args: dict[str, JsonValue]


class ActionArgs(Body):
    """The same in the words of the Agent Inbox."""

    action: str = Field(max_length=128)
    args: dict[str, JsonValue]


class Approve(Body):
    """Run it as it is shown."""

    type: Literal["approve", "accept"]
    args: None = None


class Edit(Body):
    """Run this other call instead; it is decided anew."""

    type: Literal["edit"]
    edited_action: EditedAction | None = None
    args: ActionArgs | None = None


class Reject(Body):
    """Do not run it, and tell the agent why."""

    type: Literal["reject", "ignore"]
    message: Message = ""
    args: None = None


class Respond(Body):
    """Answer a question. To a call it is a rejection that the agent reads, as in the Agent Inbox."""

    type: Literal["respond", "response"]
    message: Message = ""
    args: Message | None = None


Given = Annotated[Approve | Edit | Reject | Respond, Field(discriminator="type")]


class Decide(Body):
    """A decision on the call that the card showed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"call_digest": "sha256:" + "0" * 64, "decision": {"type": "approve"}},
                {
                    "call_digest": "sha256:" + "0" * 64,
                    "decision": {"type": "reject", "message": "Add a test for the empty list."},
                },
                {
                    "call_digest": "sha256:" + "0" * 64,
                    "decision": {
                        "type": "edit",
                        "edited_action": {
                            "name": "open_pull_request",
                            "args": {"branch": "fix-12", "title": "Fix"},
                        },
                    },
                },
            ]
        }
    )

    call_digest: str = Field(
        pattern=r"^sha256:[0-9a-f]{64}$",
        description="`call_digest` of the card that was read; a decision counts for no other call.",
    )
    decision: Given
    seat: str = Field(
        default="",
        max_length=140,
        description="The approver for whom you decide; left out: for yourself.",
        examples=["user:carol"],
    )
    passkey: dict[str, Any] | None = Field(
        default=None,
        description="What your authenticator signed for this decision: the credential, as `toJSON()` gives it.",
    )
    emergency: bool = Field(
        default=False,
        description="Break the glass: an approval that counts alone, where the route lets you; it is reviewed.",
    )


class Withdraw(Body):
    """Why a request need not be decided any more."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the customer cancelled"}]})

    reason: str = Field(min_length=1, max_length=2_000)


class HandOn(Body):
    """To whom a decision is handed, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "user:dave", "reason": "he knows this part"}]})

    to: str = Field(max_length=140)
    reason: str = Field(min_length=1, max_length=2_000)


@dataclass(frozen=True)
class Meant:
    """A decision in the one form that is signed and stored."""

    verdict: ApprovalVerdict
    message: str = ""
    edited: dict[str, JsonValue] | None = None


def meant(given: Given, *, kind: RequestKind, tool: str) -> Meant:
    """What a decision means for a request.

    Raises:
        InvalidInput: an edit lacks the arguments, or names another tool.
    """
    match given:
        case Approve():
            return Meant("approve")
        case Reject():
            return Meant("reject", given.message.strip() or (_IGNORED if given.type == "ignore" else ""))
        case Respond():
            text = given.args if given.args is not None else given.message
            return Meant("reject" if kind == "call" else "respond", text)
        case Edit():
            return Meant("edit", edited=_edited(given, tool))


def _edited(given: Edit, tool: str) -> dict[str, JsonValue]:
    action = given.edited_action or given.args
    if action is None:
        raise InvalidInput("decision.edited_action: an edit needs the new arguments")
    name = action.name if isinstance(action, EditedAction) else action.action
    if name != tool:
        raise InvalidInput(
            f"decision.edited_action: an edit stays with the tool {tool!r}, not {name!r}",
            next_step="reject it, and say which tool is meant",
        )
    return action.args
