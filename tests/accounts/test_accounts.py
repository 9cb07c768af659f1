"""The accounts' database: one schema, secrets that are used once, whoever asks at once. SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from support.postgres import start_postgres

from interlock.accounts import Accounts, accounts, tables
from interlock.accounts.answers import ABANDONED, KEPT, Answer
from interlock.accounts.attempts import WINDOW
from interlock.database import version_table
from interlock.errors import Conflict, InvalidInput, LedgerUnavailable, TokenRejected

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("accounts")
    if request.param == "sqlite":
        yield f"sqlite:///{folder / 'accounts.db'}"
        return
    with start_postgres() as server:
        yield server.new_database("accounts")


@pytest.fixture
def opened(url: str) -> Iterator[Accounts]:
    found = Accounts(url, idle=timedelta(hours=1), life=timedelta(hours=12))
    yield found
    found.close()


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    def one(number: int) -> Any:
        try:
            return act(number)
        except (TokenRejected, Conflict) as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_migrations_make_the_mapped_tables(opened: Accounts) -> None:
    with opened.store.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": version_table("accounts")})
        assert compare_metadata(context, tables.accounts) == []


def test_last_migration_is_the_known_one() -> None:
    config = Config()
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", str(accounts.FOLDER))
    config.set_main_option("version_locations", str(accounts.FOLDER / "accounts"))
    assert ScriptDirectory.from_config(config).get_heads() == [accounts.LAST]


def test_its_file_is_its_owners_alone(tmp_path: Path) -> None:
    Accounts(f"sqlite:///{tmp_path / 'a.db'}", idle=timedelta(hours=1), life=timedelta(hours=1)).close()
    assert (tmp_path / "a.db").stat().st_mode & 0o077 == 0


def test_a_database_that_cannot_be_had_says_what_to_do() -> None:
    with pytest.raises(LedgerUnavailable, match="accounts") as told:
        Accounts("postgresql://u:secret@127.0.0.1:1/x", idle=timedelta(hours=1), life=timedelta(hours=1))
    assert "INTERLOCK_ACCOUNTS_URL" in told.value.next_step
    assert "secret" not in str(told.value)


def test_of_many_who_use_a_link_at_once_one_gets_in(opened: Accounts) -> None:
    code = opened.links.make("user:alice", "default", now=NOW)
    answers = at_once(12, lambda _: opened.links.use(code, now=NOW))
    assert sum(not isinstance(answer, TokenRejected) for answer in answers) == 1


def test_a_link_ends(opened: Accounts) -> None:
    code = opened.links.make("user:alice", "default", now=NOW, life=timedelta(minutes=1))
    assert opened.links.look(code, now=NOW + timedelta(seconds=59)).person == "user:alice"
    with pytest.raises(TokenRejected):
        opened.links.look(code, now=NOW + timedelta(minutes=1))


def test_a_token_is_what_its_scopes_say_and_ends(opened: Accounts) -> None:
    token, secret = opened.tokens.make(
        "user:alice", "default", name="ci", scopes=["runs:read"], now=NOW, life=timedelta(days=1)
    )
    assert opened.tokens.find(secret, now=NOW).scopes == {"runs:read"}
    assert opened.tokens.of("user:alice", "default")[-1].used_at == NOW
    with pytest.raises(TokenRejected, match="expired"):
        opened.tokens.find(secret, now=NOW + timedelta(days=1))
    with pytest.raises(InvalidInput, match="no token"):
        opened.tokens.revoke(token.token, "user:carol", "default", now=NOW)
    with pytest.raises(InvalidInput, match="no token"):
        opened.tokens.revoke(token.token, "user:alice", "other", now=NOW)
    opened.tokens.revoke(token.token, "user:alice", "default", now=NOW)
    with pytest.raises(TokenRejected, match="revoked"):
        opened.tokens.find(secret, now=NOW)


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s + "x", lambda s: f"xx{s[2:]}", str.upper])
def test_another_text_is_no_token(opened: Accounts, change: Callable[[str], str]) -> None:
    life = timedelta(days=1)
    _, secret = opened.tokens.make("user:a", "default", name="x", scopes=["runs:read"], now=NOW, life=life)
    with pytest.raises(TokenRejected, match="not known"):
        opened.tokens.find(change(secret), now=NOW)


@pytest.mark.parametrize(
    "wrong",
    [{"name": " "}, {"name": "x" * 101}, {"scopes": []}, {"life": timedelta()}, {"life": timedelta(days=400)}],
    ids=str,
)
def test_a_token_without_limits_is_not_made(opened: Accounts, wrong: dict[str, Any]) -> None:
    right = {"name": "x", "scopes": ["runs:read"], "life": timedelta(days=1)}
    with pytest.raises(InvalidInput):
        opened.tokens.make("user:alice", "default", now=NOW, **{**right, **wrong})


def test_of_many_who_take_a_key_at_once_one_is_carried_out(opened: Accounts) -> None:
    answers = at_once(12, lambda _: opened.answers.begin("k1", "r1", now=NOW) is None)
    assert answers.count(True) == 1
    assert all(isinstance(one, Conflict) for one in answers if one is not True)


def test_a_key_says_again_what_it_said(opened: Accounts) -> None:
    answers = opened.answers
    assert answers.begin("k2", "r", now=NOW) is None
    answers.keep("k2", Answer(201, b"{}"))
    assert answers.begin("k2", "r", now=NOW) == Answer(201, b"{}")
    with pytest.raises(InvalidInput, match="another request"):
        answers.begin("k2", "r2", now=NOW)
    assert answers.begin("k2", "r2", now=NOW + KEPT + timedelta(seconds=1)) is None, "it is kept for a day"


def test_a_key_whose_server_died_may_be_used_again(opened: Accounts) -> None:
    assert opened.answers.begin("k3", "r", now=NOW) is None
    with pytest.raises(Conflict, match="being carried out"):
        opened.answers.begin("k3", "r", now=NOW + ABANDONED - timedelta(seconds=1))
    assert opened.answers.begin("k3", "r", now=NOW + ABANDONED) is None


def test_failures_are_counted_for_a_while(opened: Accounts) -> None:
    counted = at_once(8, lambda _: opened.attempts.count("address 192.0.2.1", now=NOW))
    assert sorted(counted) == list(range(1, 9))
    assert opened.attempts.seen("address 192.0.2.1", now=NOW) == 8
    assert opened.attempts.seen("address 192.0.2.2", now=NOW) == 0
    assert opened.attempts.seen("address 192.0.2.1", now=NOW + WINDOW + timedelta(seconds=1)) == 0


def test_everywhere_is_one_person_in_one_tenant(opened: Accounts) -> None:
    here = [opened.sessions.start("user:dave", "default", "link", now=NOW) for _ in range(3)]
    there = opened.sessions.start("user:dave", "other", "link", now=NOW)
    assert opened.sessions.end_all("user:dave", "default") == 3
    assert [opened.sessions.find(one, now=NOW) for one in here] == [None] * 3
    assert opened.sessions.find(there, now=NOW) is not None
