"""What a connector says about itself, as data: forms, checks and the capability matrix are made from it."""

import msgspec


class Credential(msgspec.Struct, frozen=True):
    """One setting of a connection; a secret one is never shown again. `prefixes` tell sandbox from live by mode."""

    name: str
    label: str
    secret: bool
    prefixes: dict[str, tuple[str, ...]] = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A provider: `api_base` is where it is called, `callbacks` the events it tells us that we act on."""

    kind: str
    name: str
    title: str
    documentation: str
    capabilities: tuple[str, ...]
    credentials: tuple[Credential, ...]
    callbacks: tuple[str, ...]
    api_base: str
    deadline: float
    callback_limit: int
