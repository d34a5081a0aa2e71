"""Every receiver and every address of the table is tried in both ways in which a customer's receiver is asked."""

import asyncio
import itertools
from collections.abc import Collection, Hashable

import pytest

from temula.kernel.addresses import AddressPolicy
from temula.kernel.http import Fields, Http, NotSent, OutcomeUnknown, Posted, Request, Response

BOTH = ("test_names", "test_receivers", "test_keeping")
ALONE = "test_cancelling_closes_the_connection"  # who posts has nothing to cancel
NUMBERS = itertools.count()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask for both ways, each by its name."""
    both = metafunc.module.__name__.rpartition(".")[2] in BOTH and metafunc.function.__name__ != ALONE
    if both and asyncio.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("way")
        metafunc.parametrize("way", ["send", "post"], indirect=True)


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `post`, what would be sent to a customer by `Http.send` goes as deliveries do, by `Http.poster`."""
    if request.param == "post":
        monkeypatch.setattr(Http, "send", _posted)


SEND = Http.send


async def _posted(
    http: Http, request: Request, *, policy: AddressPolicy | None, secrets: Collection[str] = (), reuse: Hashable = None
) -> Response:
    if policy is None or request.method != "POST" or request.hops:
        return await SEND(http, request, policy=policy, secrets=secrets, reuse=reuse)
    poster = http.poster(
        request.url, request.headers, policy=policy, reuse=str(reuse) if reuse else f"once-{next(NUMBERS)}",
        deadline=request.deadline, cap=request.max_response_bytes,
    )  # fmt: skip
    done: asyncio.Future[Posted | None] = asyncio.get_running_loop().create_future()
    poster.post(Fields(()), (), request.body, done.set_result)
    posted = await done
    assert posted is not None
    headers = [(name.decode("utf-8", "replace"), value.decode("utf-8", "replace")) for name, value in posted.headers]
    answer = Response(
        posted.status, headers, posted.body, posted.truncated, posted.seconds, posted.address or "none was reached"
    )
    if posted.code is not None and posted.address is None and posted.code != "connection_closed":
        raise NotSent(posted.code, posted.code)  # type: ignore[arg-type]  # as it was told
    if posted.code is not None:
        raise OutcomeUnknown(posted.code, answer if posted.status else None)  # type: ignore[arg-type]  # as it was told
    return answer
