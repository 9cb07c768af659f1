"""`interlock serve` sends notifications in its process, where the project has channels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api import Api
from support.receiver import Receiver, receiving, secret_file
from support.runtime import eventually
from support.told import SECRET

from interlock.cli.serve import application
from interlock.errors import ProjectError

pytestmark = pytest.mark.temporal


@pytest.fixture
def receiver(api: Api) -> Iterator[Receiver]:
    """A webhook of the project."""
    root = api.held.settings.root
    with receiving() as found:
        secret_file(root, "pager.secret", SECRET)
        (root / "notifications.yaml").write_text(
            f"webhooks: [{{name: pager, url: '{found.url}', secret_file: pager.secret, private: true}}]\n"
        )
        yield found
        (root / "notifications.yaml").unlink()


async def test_a_request_is_told_while_the_api_serves(api: Api, receiver: Receiver) -> None:
    app = application(api.held.settings)
    async with app.router.lifespan_context(app):
        run = await api.runtime.start("sender", "go")
        request = (await api.runtime.approval(run)).request_id
        await eventually(lambda: any(request.encode() in body for _, body in receiver.taken))


async def test_a_mistake_in_the_file_is_told_before_anything_is_served(api: Api, receiver: Receiver) -> None:
    path: Path = api.held.settings.root / "notifications.yaml"
    path.write_text("webhook: []\n")
    app = application(api.held.settings)
    with pytest.raises(ProjectError, match="did you mean 'webhooks'"):
        async with app.router.lifespan_context(app):
            pass
