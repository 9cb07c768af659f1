"""A local HTTP server that speaks a model provider's protocol: what it answers is written by the test.

Formats: OpenAI's chat completions and Anthropic's messages, as their API references describe them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, Any], dict[str, str]]
"""Status, body, headers."""


@dataclass
class Provider:
    """The server: its address, its prepared answers, the requests that it saw."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def openai_reply(text: str, *calls: tuple[str, str, str]) -> Answer:
    """A chat completion; each call is (id, tool, arguments as the model wrote them)."""
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": tool, "arguments": arguments}}
            for call_id, tool, arguments in calls
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return 200, {**body, "usage": usage}, {}


def anthropic_reply(text: str, *calls: tuple[str, str, dict[str, Any]]) -> Answer:
    """A message; each call is (id, tool, input)."""
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    content += [{"type": "tool_use", "id": i, "name": tool, "input": given} for i, tool, given in calls]
    body = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": content}
    stop = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    return 200, {**body, **stop, "usage": {"input_tokens": 13, "output_tokens": 5}}, {}


def error_reply(status: int, **headers: str) -> Answer:
    """A refusal."""
    body = {"type": "error", "error": {"type": "error", "message": f"refused with {status}", "code": "x"}}
    return status, body, {name.replace("_", "-"): value for name, value in headers.items()}


@contextmanager
def provider(*answers: Answer) -> Iterator[Provider]:
    """Serve `answers` in order on loopback; the last one is repeated."""
    state = Provider(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            state.requests.append({"path": self.path, **json.loads(self.rfile.read(length))})
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            status, body, headers = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
