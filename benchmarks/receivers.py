"""Receivers in a process of their own, so that what they cost is not counted against who sends to them."""

import asyncio
import datetime as dt
import ipaddress
import multiprocessing
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import NamedTuple, cast

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = (
    b"HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Connection: keep-alive\r\nContent-Length: 15\r\n\r\n" + b'{"received":1} '
)
Serve = Callable[[], asyncio.BaseProtocol]


class Farm(NamedTuple):
    """Where the receivers listen, and what trusts them (None without TLS)."""

    ports: list[int]
    tls: ssl.SSLContext | None

    def url(self, number: int) -> str:
        """The address of one of them, round and round."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.ports[number % len(self.ports)]}/hooks/temula"


@contextmanager
def farm(kinds: list[Serve], *, tls: bool = False) -> Iterator[Farm]:
    """One receiver of each of the kinds, until the end."""
    here, there = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory(prefix="temula-bench-") as folder:
        authority = _certificate(Path(folder)) if tls else None
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_receive, args=(there, kinds, folder if tls else None), daemon=True)
        process.start()
        try:
            ports = cast("list[int]", here.recv())
            yield Farm(ports, None if authority is None else _trusting(authority))
        finally:
            process.terminate()
            process.join(10)


class Answering(asyncio.Protocol):
    """Answers every request with the same 200, as fast as it can."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            at = self._buffer.lower().find(b"content-length:", 0, end)
            whole = end + 4 + int(self._buffer[at + 15 : self._buffer.find(b"\r", at)])
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            if self._transport is not None:
                self._transport.write(OK)


def _receive(pipe: "Pipe[list[int], None]", kinds: list[Serve], folder: str | None) -> None:
    uvloop.run(_serve(pipe, kinds, folder))


async def _serve(pipe: "Pipe[list[int], None]", kinds: list[Serve], folder: str | None) -> None:
    context = None
    if folder is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Path(folder) / "server.pem")
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(kind, "127.0.0.1", 0, ssl=context, backlog=1024) for kind in kinds]
    pipe.send([server.sockets[0].getsockname()[1] for server in servers])
    await asyncio.Event().wait()


def _certificate(folder: Path) -> bytes:
    """Write the server's key and certificate for 127.0.0.1, and give the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "temula benchmark")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(key.private_bytes(*form) + certificate)
    return certificate


def _trusting(certificate: bytes) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=certificate.decode())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
