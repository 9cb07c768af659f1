"""The peers' images: Interlock's own, without its entry point, and with their server where they need one inside."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import docker
from install import Missing

PREFIX = "interlock-benchmark"
# `python` and the environment are what llm-sandbox and autogen start; both are the image's own interpreter.
PLAIN = """\
FROM {own}
USER 0:0
RUN ln -s python3 /usr/bin/python \
 && mkdir -p /sandbox/.sandbox-venv/bin && ln -s /usr/bin/python3 /sandbox/.sandbox-venv/bin/python
USER 10001:10001
ENTRYPOINT []
CMD ["sleep", "infinity"]
"""
SERVER = """\
FROM {plain}
USER 0:0
COPY peer /opt/peer
RUN python3 -m compileall -q /opt/peer || true
ENV PYTHONPATH=/opt/peer
RUN printf '#!/usr/bin/python3\\nimport sys\\nfrom swerex.server import main\\nsys.exit(main())\\n' \
 > /usr/local/bin/swerex-remote && chmod 755 /usr/local/bin/swerex-remote
USER 10001:10001
CMD {command}
"""
KERNEL_GATEWAY = (
    '["python3", "-m", "kernel_gateway", "--KernelGatewayApp.ip=0.0.0.0", "--KernelGatewayApp.port=8888"]'
)


def plain(api: docker.APIClient, own: str) -> str:
    """Our image as the peers use it."""
    return _build(api, f"{PREFIX}:plain", PLAIN.format(own=own), None)


def with_server(api: docker.APIClient, name: str, packages: Path, command: str = '["sleep", "infinity"]') -> str:
    """The same with `packages` in /opt/peer."""
    text = SERVER.format(plain=f"{PREFIX}:plain", command=command)
    return _build(api, f"{PREFIX}:{name}", text, packages)


def python_of(client: docker.DockerClient, image: str) -> str:
    """The version of its Python, as pip wants it: `3.11`."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    output: bytes = client.containers.run(image, ["python3", "-c", code], remove=True, network_mode="none")
    return output.decode().strip()


def _build(api: docker.APIClient, tag: str, dockerfile: str, packages: Path | None) -> str:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        tar.addfile(entry, io.BytesIO(dockerfile.encode()))
        if packages:
            tar.add(packages, "peer", filter=_plain)
    context.seek(0)
    said = []
    for line in api.build(
        fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, network_mode="none", decode=True
    ):
        said.append(line.get("stream", ""))
        if "error" in line:
            raise Missing(f"its image does not build: {line['error']}: {''.join(said)[-400:]}")
    return tag


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The engine's cache compares owners and times, too: without them an image is built once."""
    if "__pycache__" in entry.name:
        return None
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry
