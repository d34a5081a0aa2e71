"""The sandbox organization: everything a newcomer needs to sell a ticket, made once, connected to the stand-in."""

import secrets
import urllib.parse
from datetime import timedelta
from pathlib import Path

import msgspec

from temula.domain.connections import service as connections
from temula.domain.connections.model import PAYMENTS
from temula.domain.events import service as events
from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Mode, Plan, Role
from temula.inbound.payments.stripe.manifest import MANIFEST
from temula.kernel.http import Request
from temula.kernel.tenancy import Actor, system
from temula.operations.wiring import House
from temula.outbound.callers import service as callers

NAME = "Quickstart"
ADMIN_EMAIL = "admin@quickstart.example"
RATE = 100_000


class Quickstart(msgspec.Struct, frozen=True):
    """What `var/quickstart.json` holds."""

    base_url: str
    token: str
    organization_id: str
    event_id: str
    ticket_type_id: str
    admin_email: str
    admin_password: str


class Sandbox(msgspec.Struct, frozen=True):
    """What the sandbox needs to find its way back at the next start; as secret as the quickstart file."""

    quickstart: Quickstart
    stripe_key: str
    stripe_endpoint: str
    callback_token: str


def quickstart_file(folder: Path) -> Path:
    """Name the file a newcomer reads."""
    return folder / "quickstart.json"


async def prepare(house: House, stand_in: str) -> Quickstart:
    """Make the sandbox organization, or bring the one that exists up to date with where things are now."""
    folder = house.configuration.data.folder
    file = folder / "sandbox.json"
    base_url = house.configuration.server.base_url
    if file.exists():
        sandbox = msgspec.json.decode(file.read_bytes(), type=Sandbox)
        if await _still_there(house, sandbox):
            await _point_stand_in(house, stand_in, sandbox, base_url)
            quickstart = msgspec.structs.replace(sandbox.quickstart, base_url=base_url)
            _write(quickstart_file(folder), quickstart)
            return quickstart
    sandbox = await _make(house, stand_in, base_url)
    _write(file, sandbox)
    _write(quickstart_file(folder), sandbox.quickstart)
    return sandbox.quickstart


async def _still_there(house: House, sandbox: Sandbox) -> bool:
    everyone = await organizations.every(house.database)
    return any(one.organization_id == sandbox.quickstart.organization_id for one in everyone)


async def _make(house: House, stand_in: str, base_url: str) -> Sandbox:
    _, organization = await organizations.create_twins(
        house.database, name=NAME, plan=Plan.ENTERPRISE, part="quickstart"
    )
    actor = system("quickstart", organization.organization_id)
    password = secrets.token_urlsafe(12)
    stripe_key, callback_token = f"sk_test_{secrets.token_hex(16)}", connections.new_token()
    endpoint, secret = await _endpoint_at(house, stand_in, stripe_key, _door(base_url, callback_token))
    async with house.database.unit(actor) as uow:
        await organizations.change(uow, msgspec.structs.replace(organization, requests_per_minute=RATE))
        await organizations.add_member(uow, email=ADMIN_EMAIL, name="Admin", role=Role.OWNER, password=password)
        _, token = await callers.create_token(uow, name="quickstart", abilities=["*"])
        credentials = {"secret_key": stripe_key, "webhook_secret": secret}
        await connections.connect(
            uow, house.ring, kind=PAYMENTS, provider=MANIFEST.name, mode=Mode.SANDBOX, credentials=credentials,
            hint=stripe_key[-4:], token=callback_token,
        )  # fmt: skip
    event_id, ticket_type_id = await _first_event(house, actor)
    quickstart = Quickstart(
        base_url, token, organization.organization_id, event_id, ticket_type_id, ADMIN_EMAIL, password
    )
    return Sandbox(quickstart, stripe_key, endpoint, callback_token)


async def _first_event(house: House, actor: Actor) -> tuple[str, str]:
    async with house.database.unit(actor) as uow:
        start = (uow.now + timedelta(days=30)).replace(hour=12, minute=0, second=0, microsecond=0)
        event = await events.create_event(
            uow, name="First Night", starts_at=start, ends_at=start + timedelta(hours=4),
            timezone="Asia/Kuala_Lumpur", currency="MYR", venue="Dewan Filharmonik, Kuala Lumpur",
            description="The event that comes with a new sandbox.",
        )  # fmt: skip
        ticket_type = await events.add_ticket_type(uow, event.id, name="General admission", price=5000, quota=1000)
        await events.publish(uow, event.id)
    return event.id, ticket_type.id


def _door(base_url: str, token: str) -> str:
    return f"{base_url}/in/{PAYMENTS}/{MANIFEST.name}/{Mode.SANDBOX.value}/{token}"


async def _endpoint_at(house: House, stand_in: str, key: str, url: str) -> tuple[str, str]:
    """Register our door at the stand-in, as an organizer does in Stripe's dashboard; give its id and secret."""
    form = [("url", url), *((f"enabled_events[{n}]", kind) for n, kind in enumerate(MANIFEST.callbacks))]
    made = await _post(house, stand_in, key, "/v1/webhook_endpoints", form)
    return str(made["id"]), str(made["secret"])


async def _point_stand_in(house: House, stand_in: str, sandbox: Sandbox, base_url: str) -> None:
    """Tell the stand-in where we are now: the port may have changed since."""
    path = f"/v1/webhook_endpoints/{sandbox.stripe_endpoint}"
    await _post(house, stand_in, sandbox.stripe_key, path, [("url", _door(base_url, sandbox.callback_token))])


async def _post(house: House, stand_in: str, key: str, path: str, form: list[tuple[str, str]]) -> dict[str, object]:
    request = Request(
        method="POST", url=stand_in + path, body=urllib.parse.urlencode(form).encode(), deadline=10,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    answer = await house.http.send(request, policy=None, secrets=(key,))
    if answer.status != 200:
        raise RuntimeError(f"The Stripe stand-in answered {answer.status} to {path}.")
    return msgspec.json.decode(answer.body, type=dict[str, object])


def _write(file: Path, value: msgspec.Struct) -> None:
    draft = file.with_name(file.name + ".new")
    draft.touch(mode=0o600)
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    draft.replace(file)
