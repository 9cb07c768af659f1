"""Words that payloads are made of, for compression. A released one never changes: payloads name it by its number.

Deflate looks back from the end, so what comes oftenest stands last. A digest is one NUL here, as packing writes it.
"""

from __future__ import annotations

from typing import Final

CURRENT: Final = 1
"""The vocabulary that new payloads are packed with."""

_RARE: Final = (
    b'"parent":"","parent_call":"","delegators":[],"labels":["untrusted","secret"]',
    b'{"kind":"run.started","requester_token":"eyJhbGciOiJFZERTQSIsInR5cCI6ImludGVybG9jay1yZXF1ZXN0ZXIifQ.',
    b'"tenant":"default","workflow":"agent_run","requester":"user:","manifest":"\0","input":{"agent":"","task":"',
    b'{"kind":"agent.started","agent":"agent:","task":"\0","model":"',
    b'"verdict":"deny","nearest":{"rule":"","clause":"","source":"permissions/rules.yaml:',
    b'"condition_errors":["',
    b'{"kind":"call.refused","by":"policy","detail":"',
    b'{"kind":"approval.requested","request_id":":a1","about":"call","rule":"","reason":"","route":{"name":"',
    b'"approvers":["user:"],"quorum":1,"expires_at":"2026-01-01T00:00:00.000000+00:00","expires_after_s":3600}',
    b'{"kind":"approval.decided","verdict":"approve","approver":"user:","message":"","edited":"\0","closes":true,',
    b'"token":"eyJhbGciOiJFZERTQSIsInR5cCI6ImludGVybG9jay1hcHByb3ZhbCJ9.',
    b'{"kind":"egress.requested","request":{"attempt":1,"number":1}}',
    b'{"kind":"call.unknown","reason":"',
    b'{"kind":"agent.finished","status":"completed","result":"\0"},{"kind":"run.ended","status":"completed","result":',
    b'"detail":"","final":true}',
    b'{"trail":{"run":"","seq":1,"head":"\0","time":"2026-01-01T00:00:00.000000Z","tenant":"default","heads":{"agent:',
    b'"facts":{"agents":{"":{"model":"scripted","max_steps":50,"max_tokens":0}},"writers":["',
    b'"so_far":{"events":1,"input":"\0","earlier":"\0","calls":[{"proposal":{"v":1,"run":"","seq":1,"time":"',
    b'"prev":"\0","hash":"\0","kind":"call.proposed","call_id":"","agent":"agent:","tool":"","tool_digest":"\0",',
    b'"arguments":"\0","workspace":"","call_digest":"\0","edited_from":""},"first":"allow","request":"",',
    b'"approved":false,"out":null,"finished":null,"carried":[],"over":true}],"usage":{"',
)
_USUAL: Final = (
    b'"outcome":"ask","decision":{"verdict":"ask","rule":"","reason":"","route":{"',
    b'"outcome":"finished","status":"error","output":"\0","workspace":"\0",',
    b'"artifacts":[{"name":"","digest":"\0","size":1,"media_type":"text/plain"}],',
    b'"start":"leased","start":"cold","start":"warm",',
    b'"usage":{"cpu_ms":1,"memory_kib":1,"bytes_in":1,"bytes_out":1},"receipt":"\0"}',
    b'{"kind":"call.proposed","call_id":":c1","tool_digest":"\0","workspace":"\0","bundle":"\0",',
    b'{"tool_digest":"\0","arguments":"\0","files":true,"verdict":"ask","rule":"","reason":"","carried":["untrusted"]}',
    b'{"rule":"","bundle":"\0","request":"\0"}',
    b'{"head":"\0","calls":[{"model_call_id":"call_","tool":"","arguments":"\0"}],"final":"\0",',
    b'"input_tokens":1,"output_tokens":1,"model":"scripted"}',
    b'{"agent":"","manifest":"\0","head":"\0",',
    b'"results":[{"model_call_id":"call_","tool":"","status":"ok","output":"\0"}]}',
    b'{"outcome":"finished","status":"ok","output":"\0","receipt":"\0"}',
    b'{"call":":c1","approvals":["eyJ","events":{"first":1,"head":"","rows":[{"kind":"call.finished","t":1},',
    b'{"kind":"model.responded","t":1,"after":"\0","calls":1,"input_tokens":1,"output_tokens":1},',
    b'{"kind":"call.proposed","t":1,"tool":"","arguments":"\0"},{"kind":"call.decided","request":"\0"}]}}',
)

VOCABULARIES: Final = {1: b"".join((*_RARE, *_USUAL))}
