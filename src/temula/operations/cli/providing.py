"""Commands about providers: accounts with them, and what they told us that was not processed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from temula.operations.cli.shared import actor_of, in_house, table

if TYPE_CHECKING:
    from temula.domain.connections.model import Connection
    from temula.inbound.kit.manifest import Manifest
    from temula.inbound.kit.store import Callback
    from temula.operations.connecting import Owner
    from temula.operations.wiring import House

OwnerOption = Annotated[str | None, typer.Option("--organization", help="Id of the organization (org_...)")]
PlatformOption = Annotated[bool, typer.Option("--platform", help="The platform's own account, for those allowed it")]


def connections_add(
    provider: Annotated[str, typer.Argument(help="Name of the provider, like stripe")],
    *,
    organization: OwnerOption = None,
    platform: PlatformOption = False,
    mode: Annotated[str | None, typer.Option(help="live or sandbox; for the platform's account only")] = None,
    kind: Annotated[str, typer.Option(help="What it is for")] = "payments",
) -> None:
    """Connect an account with a provider and use it from now on; its credentials are asked for and never shown again.

    An account that was used before is still found by its callbacks, and its payments are refunded through it.
    """
    from temula.operations import connecting

    owner = _owner(organization, platform=platform)
    manifest, chosen = in_house(lambda house: connecting.look(house, owner, kind, provider, mode))
    given = _ask(manifest)
    url = in_house(lambda house: connecting.connect(house, owner, manifest, chosen, given))
    typer.echo(f"connected; let {manifest.title} call back at\n{url}\nfor: {', '.join(manifest.callbacks)}")


def connections_change(
    connection_id: Annotated[str, typer.Argument(help="Id of the connection (con_...)")],
    *,
    organization: OwnerOption = None,
    platform: PlatformOption = False,
) -> None:
    """Replace a connection's credentials, as when a key was rolled; its callback address stays."""
    from temula.operations import connecting

    owner = _owner(organization, platform=platform)
    found, manifest = in_house(lambda house: connecting.find(house, owner, connection_id))
    given = _ask(manifest)
    in_house(lambda house: connecting.change(house, owner, found, manifest, given))
    typer.echo(f"{connection_id} has new credentials")


def connections_disable(
    connection_id: Annotated[str, typer.Argument(help="Id of the connection (con_...)")],
    *,
    organization: OwnerOption = None,
    platform: PlatformOption = False,
) -> None:
    """Take a connection out of use; what was paid through it still is looked after and refunded through it."""
    from temula.operations import connecting

    owner = _owner(organization, platform=platform)
    in_house(lambda house: connecting.disable(house, owner, connection_id))
    typer.echo(f"{connection_id} takes no new payments")


def connections_list(*, organization: OwnerOption = None, platform: PlatformOption = False) -> None:
    """List an organization's connections, or the platform's."""
    from temula.operations import connecting

    owner = _owner(organization, platform=platform)
    found: list[Connection] = in_house(lambda house: connecting.listed(house, owner))
    rows = [
        (one.id, one.kind, one.provider, one.mode, f"...{one.hint}", "yes" if one.enabled else "no") for one in found
    ]
    table(("id", "kind", "provider", "mode", "key", "in use"), rows)


def callbacks_list() -> None:
    """List callbacks that wait to be processed, and those that were parked, with the reason."""
    from temula.inbound.kit import inbox

    async def work(house: "House") -> list["Callback"]:
        async with house.database.crossing("listing unfinished callbacks for the operator") as uow:
            return await inbox.unfinished(uow, 500)

    rows = [
        (one.id, one.provider, one.organization_id, one.dedupe_key, one.state, str(one.received_at),
         one.last_error or "")
        for one in in_house(work)
    ]  # fmt: skip
    table(("id", "provider", "organization", "their id", "state", "received", "reason"), rows)


def callbacks_retry(
    callback_id: Annotated[str | None, typer.Argument(help="One callback; all parked ones if left out")] = None,
) -> None:
    """Have parked callbacks processed once more."""
    from temula.inbound.kit import inbox

    async def work(house: "House") -> int:
        async with house.database.crossing("finding parked callbacks for the operator") as uow:
            found = await inbox.unfinished(uow, 10_000)
        parked = [one for one in found if one.state == "parked" and callback_id in (None, one.id)]
        for one in parked:
            async with house.database.unit(actor_of(one.organization_id)) as uow:
                await inbox.retry(uow, one.id)
        return len(parked)

    typer.echo(f"{in_house(work)} callbacks will be processed again")


CONNECTIONS: dict[str, Any] = {
    "add": connections_add, "change": connections_change, "disable": connections_disable, "list": connections_list,
}  # fmt: skip
CALLBACKS: dict[str, Any] = {"list": callbacks_list, "retry": callbacks_retry}


def _owner(organization: str | None, *, platform: bool) -> "Owner":
    from temula.kernel.errors import InvalidInput
    from temula.operations.connecting import Owner

    if platform == (organization is not None):
        raise InvalidInput("Name whose account it is: --organization org_..., or --platform.")
    return Owner(None if organization is None else actor_of(organization))


def _ask(manifest: "Manifest") -> dict[str, str]:
    return {one.name: typer.prompt(one.label, hide_input=one.secret) for one in manifest.credentials}
