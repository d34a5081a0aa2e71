"""The official SDK, one explicit client a connection, its requests through the one door out, its errors as ours."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn, TypeVar

import msgspec
import stripe

from temula.inbound.kit.client import ProviderClient
from temula.inbound.payments.stripe.payloads import Intent, Refund, Session
from temula.kernel.http import TransactionOpen
from temula.kernel.providers import (
    BadCredentials,
    Declined,
    InvalidRequest,
    KeyConflict,
    Malformed,
    NotThere,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
)

P = TypeVar("P", bound=msgspec.Struct)
SERVER_ERROR = 500
MOST_PAGES = 20

# The SDK would send how long our requests took along with the next ones.
stripe.enable_telemetry = False


class KeySpent(OutcomeUnknown):
    """Stripe repeats the server error that the first request with this key ended in, and will for a day."""


class Door(stripe.HTTPClient):
    """Carries the SDK's requests through our client; asynchronous only, and with no retries of its own."""

    name = "temula"

    def __init__(self, client: ProviderClient) -> None:
        super().__init__()
        self._client = client

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request for the SDK."""
        body = post_data.encode() if isinstance(post_data, str) else (post_data or b"")
        response = await self._client.send(method.upper(), url, dict(headers), body)
        return response.body, response.status, {name.lower(): value for name, value in response.headers}

    async def close_async(self) -> None:
        """Nothing to close: the door is shared."""


class StripeClient:
    """What we ask of Stripe: paths, keys and shapes; nothing else."""

    def __init__(self, client: ProviderClient, secret_key: str) -> None:
        self._sdk = stripe.StripeClient(
            secret_key,
            base_addresses={"api": client.api_base},
            http_client=Door(client),
            max_network_retries=0,
        )

    async def create_session(self, params: dict[str, object], key: str) -> Session:
        """Create a Checkout Session; the same key gives the same one for at least a day."""
        call = self._sdk.v1.checkout.sessions.create_async(params, {"idempotency_key": key})  # type: ignore[arg-type]
        return await _asked(call, Session)

    async def session(self, identifier: str) -> Session:
        """Fetch a Checkout Session."""
        return await _asked(self._sdk.v1.checkout.sessions.retrieve_async(identifier), Session)

    async def intent(self, identifier: str) -> Intent:
        """Fetch a PaymentIntent."""
        return await _asked(self._sdk.v1.payment_intents.retrieve_async(identifier), Intent)

    async def sessions_since(self, at: datetime) -> list[Session]:
        """List the Checkout Sessions made since a time, newest first."""
        since = {"created": {"gte": int(at.timestamp())}}
        return await _listed(self._sdk.v1.checkout.sessions.list_async, since, _Sessions)

    async def create_refund(self, params: dict[str, object], key: str) -> Refund:
        """Create a refund; the same key gives the same one for at least a day."""
        call = self._sdk.v1.refunds.create_async(params, {"idempotency_key": key})  # type: ignore[arg-type]
        return await _asked(call, Refund)

    async def refund(self, identifier: str) -> Refund:
        """Fetch a refund."""
        return await _asked(self._sdk.v1.refunds.retrieve_async(identifier), Refund)

    async def refunds(self, payment_intent: str) -> list[Refund]:
        """List the refunds of a payment, newest first."""
        return await _listed(self._sdk.v1.refunds.list_async, {"payment_intent": payment_intent}, _Refunds)


class _Sessions(msgspec.Struct, frozen=True):
    data: list[Session]
    has_more: bool


class _Refunds(msgspec.Struct, frozen=True):
    data: list[Refund]
    has_more: bool


async def _listed(call: Callable[[Any], Awaitable[Any]], params: Mapping[str, object], shape: Any) -> list[Any]:
    """Fetch all pages; raises `OutcomeUnknown` if there is no end to them."""
    found: list[Any] = []
    for _ in range(MOST_PAGES):
        after = {"starting_after": found[-1].id} if found else {}
        page = await _asked(call({**params, **after, "limit": 100}), shape)
        found += page.data
        if not page.has_more:
            return found
    raise OutcomeUnknown("Stripe lists more than can be looked through.")


async def _asked(call: Awaitable[Any], shape: type[P]) -> P:
    try:
        answer = await call
        return msgspec.convert(answer.to_dict(), shape)
    except (ProviderError, TransactionOpen):
        raise
    except stripe.StripeError as error:
        _raise_ours(error)
    except Exception as error:
        # The SDK raises what it likes on answers that are not Stripe's: whatever it is, nobody knows what happened.
        raise Malformed(f"Stripe's answer cannot be read ({type(error).__name__}).") from error


def _raise_ours(error: stripe.StripeError) -> NoReturn:
    said = f"Stripe: {error.user_message or error.code or type(error).__name__} (request {error.request_id})."
    match error:
        case stripe.AuthenticationError() | stripe.PermissionError():
            raise BadCredentials(f"Stripe does not accept the key of this connection (request {error.request_id}).")
        case stripe.RateLimitError():
            raise RateLimited(said)
        case stripe.CardError():
            raise Declined(said)
        case _ if error.http_status == 409:
            raise OutcomeUnknown(said)  # the same key is being worked on by another request of ours
        case stripe.IdempotencyError():
            raise KeyConflict(said)
        case stripe.InvalidRequestError() if error.http_status == 404:
            raise NotThere(said)
        case stripe.InvalidRequestError():
            raise InvalidRequest(said)
        case _ if (error.http_status or SERVER_ERROR) >= SERVER_ERROR:
            replayed = "idempotent-replayed" in (error.headers or {})
            raise (KeySpent if replayed else OutcomeUnknown)(said)
        case _:
            raise Malformed(said)
