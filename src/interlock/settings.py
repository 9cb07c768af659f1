"""Settings: environment variables `INTERLOCK_…`, then `[tool.interlock]` of the project's pyproject.toml."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
)


class Settings(BaseSettings):
    """Every setting. docs/reference/settings.md lists them, and a test checks that it does."""

    model_config = SettingsConfigDict(
        env_prefix="INTERLOCK_",
        extra="forbid",
        frozen=True,
        pyproject_toml_table_header=("tool", "interlock"),
    )

    name: str = "project"
    """The project's name; prefix of its Temporal task queues."""
    root: Path = Field(default_factory=Path.cwd)
    """The project's folder: where agents/, tools/, permissions/ and workflows/ are."""
    state: Path = Path(".interlock")
    """Folder for keys, databases and logs of the embedded setup; relative to root."""
    tenant: str = "default"
    """The tenant of runs that are started here."""
    model: str = "scripted"
    """The model that `default` means: `scripted`, `openai:NAME` or `anthropic:NAME`."""
    model_base_url: str = ""
    """Base URL for an OpenAI-compatible or Anthropic-compatible server; empty: the provider's own."""
    ledger_url: str = ""
    """SQLAlchemy URL of the ledger; empty: a SQLite file in the state folder."""
    blobs_url: str = ""
    """SQLAlchemy URL of the blob store; empty: a SQLite file in the state folder. Kept apart from the ledger,
    so that a graph worker gets this one and not that."""
    accounts_url: str = ""
    """SQLAlchemy URL of the accounts: sessions, tokens, sign-in links and passkeys of people; empty: a SQLite file
    in the state folder. The API alone writes it, and nothing in it permits anything."""
    listen: str = Field(default="127.0.0.1:8400", pattern=r"^((\[[0-9a-fA-F:]+\]|[^\s:\[\]]+):\d{1,5})?$")
    """Where `interlock serve` listens, HOST:PORT. Beyond this machine, put TLS before it and set `public_url`.
    Empty: `interlock dev` starts no console."""
    public_url: str = Field(default="", pattern=r"^(https?://[^/\s*]+)?$")
    """Where browsers reach it, `https://interlock.example`; empty: `http://` and `listen`. Requests for another
    host are refused, and with https cookies are sent over TLS alone."""
    release: str = ""
    """What `interlock compile` wrote, from which the API starts runs; relative to root. Empty: the API compiles the
    project, which imports its code and needs a sandbox."""
    session_idle_min: int = Field(default=60, ge=1, le=1440)
    """Minutes without use after which a browser's session ends."""
    session_life_h: int = Field(default=12, ge=1, le=168)
    """Hours after which a browser's session ends, however much it is used."""
    notifications: Path = Path("notifications.yaml")
    """The file that says who is notified, and how; relative to root. Where it is not there nobody is."""
    oidc_issuer: str = ""
    """Issuer of the OpenID provider through which people sign in; empty: they sign in by one-time links alone."""
    oidc_client_id: str = ""
    """What the provider calls this server."""
    oidc_client_secret_file: str = ""
    """File with the secret that the provider gave with it, relative to root; empty: a public client."""
    oidc_claim: str = Field(default="preferred_username", pattern=r"^[A-Za-z0-9_:./-]+$")
    """Claim of the ID token that names the person: its value NAME is `user:NAME` to the policy. An `email` counts
    only where the provider says that it verified it."""
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    keys: Path = Path("keys")
    """Folder of the signing keys; relative to state. Public keys may be read by all, private ones by their
    one role."""
    data_key_provider: str = "file"
    """Who wraps the data keys of runs: `file`, `environment` (INTERLOCK_DATA_KEYS), or the name of an installed
    package's entry point in group `interlock.key_providers`, for a cloud's key management."""
    data_keys_folder: Path = Path("data-keys")
    """Folder of the wrapping keys of provider `file`; relative to state. Whoever reads it reads every run."""
    payload_encryption: bool = True
    """Whether what passes through Temporal is encrypted under the keys of runs, and nothing else is taken from it.
    Without, whoever reads Temporal reads what runs read and write."""
    codec_origin: str = "http://localhost:8233"
    """Where Temporal's UI is served: the only pages that `interlock codec serve` answers."""
    policy_signed: bool = False
    """Whether workers refuse a policy that the policy's key did not sign. They also do where `policy.pub` is in
    the keys folder; with this, removing that file stops them."""
    policy_shadow: str = ""
    """Folder of a candidate policy that executors ask beside the one in force, relative to root; it changes no
    outcome. Empty: the one that `interlock policy shadow DIR` named, if any."""
    events_an_execution: int = Field(default=450, ge=10, le=10_000)
    """Events in Temporal's history after which a run goes on in a new execution of its workflow. A worker that must
    bring a run back into memory replays at most so many, 1,000 to 1,800 a second."""
    worker_versioning: bool = False
    """Whether graph workers say which build they are, so that a run's execution stays with the build it began on.
    Then a build must be made current (`interlock builds current`) before it gets runs."""
    build_id: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,64}$")
    """Name of this build; empty: a digest of the engine, agents/ and workflows/."""
    sandbox_driver: Literal["docker", "in_process"] = "docker"
    """`in_process` runs tools without isolation; refused unless INTERLOCK_UNSAFE_IN_PROCESS names a test or
    a benchmark."""
    unsafe_in_process: str = ""
    """Set to `tests` or `benchmarks` to permit the in-process driver there."""
    image_prefix: str = "interlock-sandbox"
    """Repository name of the sandbox images that `interlock sandbox build` makes."""
    sandbox_reap_s: int = Field(default=15, ge=0)
    """Seconds between two looks of each executor for containers that dead ones left; 0: it does not look."""
    base_image: str = ""
    """Base image for sandbox images; empty: one built from Debian packages."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order: arguments, environment, pyproject.toml of the working folder."""
        return init_settings, env_settings, PyprojectTomlConfigSettingsSource(settings_cls)

    @cached_property
    def state_folder(self) -> Path:
        """The state folder, absolute."""
        return (self.root / self.state).resolve()

    @cached_property
    def keys_folder(self) -> Path:
        """The folder of the signing keys, absolute."""
        return (self.state_folder / self.keys).resolve()

    @cached_property
    def wrapping_keys_folder(self) -> Path:
        """The folder of the wrapping keys, absolute."""
        return (self.state_folder / self.data_keys_folder).resolve()

    @cached_property
    def effective_ledger_url(self) -> str:
        """The ledger's URL, the embedded default filled in."""
        return self.ledger_url or f"sqlite:///{self.state_folder / 'ledger.db'}"

    @cached_property
    def effective_blobs_url(self) -> str:
        """The blob store's URL, the embedded default filled in."""
        return self.blobs_url or f"sqlite:///{self.state_folder / 'blobs.db'}"

    @cached_property
    def effective_accounts_url(self) -> str:
        """The accounts' URL, the embedded default filled in."""
        return self.accounts_url or f"sqlite:///{self.state_folder / 'accounts.db'}"

    @property
    def effective_public_url(self) -> str:
        """Where browsers reach the API and the console."""
        return self.public_url or f"http://{self.listen}"

    @property
    def graph_queue(self) -> str:
        """Task queue of the graph workers: workflows, model calls, decisions."""
        return f"{self.name}-graph"

    @property
    def executor_queue(self) -> str:
        """Task queue of the executors: the only ones that act."""
        return f"{self.name}-executor"
