"""Addresses that a customer may not make the sender dial."""

from collections.abc import Sequence

from conformance.kit import Kit, check, require
from conformance.receiver import Receiver
from conformance.sender import Refused

PRIVATE = (
    "http://10.0.0.1/", "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/", "https://0.0.0.0/", "https://224.0.0.1/", "https://255.255.255.255/",
    "https://[fd00::1]/", "https://[fe80::1]/", "https://[::]/", "https://metadata.google.internal/",
    "https://printer.local/",
)  # fmt: skip
DISGUISED = (
    "https://2852039166/", "https://0xa9fea9fe/", "https://0251.0376.0251.0376/", "https://169.254.43518/",
    "https://[::ffff:169.254.169.254]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:a9fe:a9fe::1]/",
    "https://10.1/", "https://①⓪.0.0.1/", "https://0/",
)  # fmt: skip
UNREADABLE = (
    "file:///etc/passwd", "gopher://example.com/", "ftp://example.com/", "//example.com/", "https:///path", "",
    "https://user:password@example.com/", "https://example.com\\@10.0.0.1/", "https://example.com/a b",
    "https://example.com/\r\nX-Injected: 1", "https://example.com:0/", "https://example.com:99999/",
    "javascript:alert(1)",
)  # fmt: skip
PUBLIC = "93.184.215.14"


async def _refused(kit: Kit, urls: Sequence[str]) -> None:
    taken = []
    for url in urls:
        try:
            await kit.create(url)
        except Refused:
            continue
        taken.append(url)
    require(not taken, f"these were saved: {', '.join(map(repr, taken))}")


@check("address.private")
async def private_addresses(kit: Kit) -> None:
    """A URL with a private, link-local, reserved or internal address is refused when it is saved."""
    await _refused(kit, PRIVATE)


@check("address.disguised")
async def disguised_addresses(kit: Kit) -> None:
    """So is one that writes the address as a number, in octal, or inside an IPv6 address."""
    await _refused(kit, DISGUISED)


@check("address.unreadable")
async def unreadable_urls(kit: Kit) -> None:
    """So is another scheme, a password in the URL, and what parsers read differently."""
    await _refused(kit, UNREADABLE)


async def _never_dialled(kit: Kit, name: str, addresses: Sequence[str], *, before: Sequence[str] = (PUBLIC,)) -> None:
    async with Receiver(kit.sender.promises.port) as canary:
        await kit.sender.aim(name, before)
        try:
            endpoint = await kit.create(f"https://{name}:{canary.port}/")
        except Refused:
            return
        await kit.sender.aim(name, addresses)
        marker = await kit.sender.publish(endpoint)

        async def tried() -> bool:
            return bool(await kit.sender.attempts(endpoint, marker))

        await kit.until(tried, "no attempt was logged")
        (attempt, *_) = await kit.sender.attempts(endpoint, marker)
        require(canary.connections == 0, "a name that led to this machine was dialled")
        require(attempt.status is None and attempt.error, f"the log says {attempt}")


@check("address.rebinding", alone=True)
async def rebinding(kit: Kit) -> None:
    """A name that was public when it was saved and leads to this machine when it is sent to is not dialled."""
    await _never_dialled(kit, "rebinding.conformance-kit.com", ["127.0.0.1"])


@check("address.one-of-several", alone=True)
async def one_bad_answer(kit: Kit) -> None:
    """Nor is one that leads to a public address and to this machine."""
    await _never_dialled(kit, "several.conformance-kit.com", [PUBLIC, "127.0.0.1"])


@check("address.ipv6-disguise", alone=True)
async def mapped_answer(kit: Kit) -> None:
    """Nor is one whose address is this machine's inside an IPv6 address."""
    await _never_dialled(kit, "mapped.conformance-kit.com", ["::ffff:127.0.0.1"])


@check("address.changed-later")
async def checked_when_changed(kit: Kit) -> None:
    """What may not be saved may not be put in later."""
    endpoint, _ = await kit.subscribed()
    taken = []
    for url in (PRIVATE[0], DISGUISED[0], UNREADABLE[0]):
        try:
            await kit.sender.change_url(endpoint, url)
        except Refused:
            continue
        taken.append(url)
    require(not taken, f"these were taken: {', '.join(taken)}")
