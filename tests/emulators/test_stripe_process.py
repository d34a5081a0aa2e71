"""The stand-in as a process: what it has answered outlives `kill -9`, and it does not outlive its supervisor."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import stripe

from emulators.payments.stripe import Retries, StripeEmulator

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20


class Started:
    """A stand-in in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, base_url: str) -> None:
        self.process = process
        self.base_url = base_url


@pytest.fixture
async def launch(tmp_path: Path) -> AsyncIterator[Callable]:
    running: list[asyncio.subprocess.Process] = []

    async def start(*options: str, fds: tuple[int, ...] = ()) -> Started:
        state = str(tmp_path / "stripe.sqlite3")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "emulators", "stripe", "--port", "0", "--state", state, *options,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, pass_fds=fds,
        )  # fmt: skip
        running.append(process)
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        return Started(process, line.decode().rsplit(" ", 1)[1].strip())

    yield start
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(met: Callable[[], bool]) -> None:
    """Waits for what another process does."""
    async with asyncio.timeout(PATIENCE):
        while not met():
            await asyncio.sleep(0.01)


async def test_killed(launch, connect, shop, browser, basket):
    """After `kill -9` all is there, a key gives its first answer, and what was not delivered is."""
    first = await launch()
    client = connect(first)
    await shop.subscribe(client, "checkout.session.completed")
    session = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    async with browser.post(f"{first.base_url}/_emulator/webhooks/hold"):
        pass
    async with browser.post(f"{session.url}/pay", json={"outcome": "succeed"}, allow_redirects=False) as paid:
        assert paid.status == 303
    first.process.send_signal(signal.SIGKILL)
    await first.process.wait()

    second = await launch()
    client = connect(second)
    assert shop.received == []
    again = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    assert (again.id, again.last_response.headers["Idempotent-Replayed"]) == (session.id, "true")
    assert (await client.v1.checkout.sessions.retrieve_async(session.id)).payment_status == "paid"
    async with browser.post(f"{second.base_url}/_emulator/webhooks/release"):
        pass
    await until(lambda: bool(shop.received))
    assert shop.types == ["checkout.session.completed"]


async def test_retries_resume(tmp_path, connect, shop):
    """A webhook that failed is retried by the next process on the same state."""
    state = str(tmp_path / "stripe.sqlite3")
    first = StripeEmulator(state)
    await first.start()
    await shop.subscribe(connect(first))
    shop.answers = [500]
    await connect(first).v1.customers.create_async({"name": "A"})
    await first.tick()
    await first.stop()
    assert len(shop.received) == 1

    second = StripeEmulator(state, clock=lambda: first.clock() + 5)
    await second.start()
    await second.tick()
    await second.stop()
    assert len(shop.received) == 2
    assert len({event.id for event in shop.events}) == 1


async def test_lifeline(launch):
    """It ends when the far end of its lifeline is closed, as happens when its supervisor dies."""
    near, far = os.pipe()
    started = await launch("--lifeline-fd", str(near), fds=(near,))
    os.close(near)
    assert started.process.returncode is None
    os.close(far)
    assert await asyncio.wait_for(started.process.wait(), PATIENCE) == 0


async def test_terminated(launch, connect):
    """It ends in order when it is told to, and its settings are the provider's."""
    started = await launch("--set", "retry-first=0.1", "--public-url", "http://pay.test")
    assert started.base_url == "http://pay.test"
    started.process.terminate()
    assert await asyncio.wait_for(started.process.wait(), PATIENCE) == 0


async def test_delivers_by_itself(connect, shop):
    """With no one to move its clock it delivers at once, and retries when the time comes."""
    emulator = StripeEmulator(retries=Retries(first=0.05))
    await emulator.start()
    client: stripe.StripeClient = connect(emulator)
    await shop.subscribe(client)
    shop.answers = [500, 500]
    await client.v1.customers.create_async({"name": "A"})
    await until(lambda: len(shop.received) == 3)
    await emulator.stop()
    assert shop.types == ["customer.created"] * 3
