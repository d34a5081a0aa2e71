"""Finds connectors by their folders: one with a `manifest.MANIFEST` is one, and nothing lists them by hand."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import ModuleType
from typing import NamedTuple, Protocol, cast

from temula import inbound
from temula.domain.payments.model import Observation
from temula.inbound.kit.manifest import Manifest
from temula.kernel.errors import NotFound


class Callbacks(Protocol):
    """How a provider's callbacks are read; no database, no calls (a module fulfils it)."""

    def is_genuine(self, raw: bytes, headers: Mapping[str, str], credentials: Mapping[str, str], now: datetime) -> bool:
        """Tell whether the provider signed exactly these bytes."""
        ...

    def callback_id(self, raw: bytes) -> str:
        """Give what tells this callback from others and is the same when it is repeated."""
        ...

    def mode(self, raw: bytes) -> str:
        """Tell whether the callback is about real money (`live`) or not (`sandbox`)."""
        ...

    def parse(self, raw: bytes) -> list[Observation]:
        """Translate into our words; an empty list means that it is nothing to us."""
        ...


class Provider(NamedTuple):
    """One connector as found."""

    manifest: Manifest
    callbacks: Callbacks
    connector: ModuleType


def find() -> dict[tuple[str, str], Provider]:
    """Find all connectors, by kind and name."""
    found = {}
    for kind in _packages(inbound.__path__, inbound.__name__):
        # The kit and the door hold no folders, so what has one is a kind of provider.
        for package in _packages(importlib.import_module(kind).__path__, kind):
            provider = _load(package)
            found[provider.manifest.kind, provider.manifest.name] = provider
    return found


def get(providers: Mapping[tuple[str, str], Provider], kind: str, name: str) -> Provider:
    """Find one connector; raises `NotFound` naming those there are."""
    if (provider := providers.get((kind, name))) is None:
        known = ", ".join(sorted(other for its_kind, other in providers if its_kind == kind)) or "none"
        raise NotFound(f"There is no {kind} provider {name}; there is: {known}.")
    return provider


def _packages(path: Iterable[str], name: str) -> list[str]:
    return [module.name for module in pkgutil.iter_modules(path, f"{name}.") if module.ispkg]


def _load(package: str) -> Provider:
    manifest = importlib.import_module(f"{package}.manifest").MANIFEST
    callbacks = cast("Callbacks", importlib.import_module(f"{package}.callbacks"))
    return Provider(manifest, callbacks, importlib.import_module(f"{package}.connector"))
