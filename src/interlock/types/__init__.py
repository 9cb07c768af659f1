"""Plain values that every part shares. Ground layer: no I/O, no engine imports but errors."""

from interlock.types.access import AccessRequest, Decision, NearestRule, Verdict, canonical_request
from interlock.types.approval import ApprovalRequest, ApprovalVerdict, RequestKind, RequestState
from interlock.types.blobs import Blobs, BlobStore
from interlock.types.call import Artifact, CallStatus, Refusal, ToolCall, Usage
from interlock.types.egress import Credential, EgressRecord, EgressRule, WayOut
from interlock.types.names import Digest, Name, RunId, SubjectName, ToolName
from interlock.types.profile import Profile
from interlock.types.route import Route
from interlock.types.workspace import FileEntry, RelativePath, Tree

__all__ = [
    "AccessRequest",
    "ApprovalRequest",
    "ApprovalVerdict",
    "Artifact",
    "BlobStore",
    "Blobs",
    "CallStatus",
    "Credential",
    "Decision",
    "Digest",
    "EgressRecord",
    "EgressRule",
    "FileEntry",
    "Name",
    "NearestRule",
    "Profile",
    "Refusal",
    "RelativePath",
    "RequestKind",
    "RequestState",
    "Route",
    "RunId",
    "SubjectName",
    "ToolCall",
    "ToolName",
    "Tree",
    "Usage",
    "Verdict",
    "WayOut",
    "canonical_request",
]
