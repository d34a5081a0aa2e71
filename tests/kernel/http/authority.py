"""A certificate authority for one test run, and the routing of public test addresses to receivers on this machine."""

import datetime as dt
import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

SHA256_WITH_RSA = bytes.fromhex("2a864886f70d01010b")
SHA1_WITH_RSA = bytes.fromhex("2a864886f70d010105")


def routed(port: int, dialled: list[str], port_v6: int = 0) -> Callable[[str], socket.socket]:
    """Sockets that connect to a receiver of ours, wherever they are sent; `dialled` has where that was."""

    class Routed(socket.socket):
        def connect(self, address: Any) -> None:
            dialled.append(address[0])
            super().connect(("::1", port_v6) if self.family == socket.AF_INET6 else ("127.0.0.1", port))

    def make(address: str) -> socket.socket:
        return Routed(socket.AF_INET6 if port_v6 and ":" in address else socket.AF_INET, socket.SOCK_STREAM)

    return make


class Authority:
    """Signs what a test asks for, good or bad."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = rsa.generate_private_key(65537, 2048)
        self.certificate = self._certificate(x509.BasicConstraints(ca=True, path_length=None), self.key, self.key)

    def _certificate(
        self,
        extension: x509.ExtensionType,
        key: Any,
        signer: Any,
        start: int = -1,
        end: int = 9,
    ) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a" if key is signer else "b")])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now + dt.timedelta(days=start)).not_valid_after(now + dt.timedelta(days=end))
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def server(
        self, *names: x509.GeneralName, start: int = -1, end: int = 9, own: bool = False, sha1: bool = False
    ) -> ssl.SSLContext:
        """What a receiver of these names shows; `own` is self-signed, the days count from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self._certificate(x509.SubjectAlternativeName(names), key, key if own else self.key, start, end)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if sha1:
            chain = self._signed_with_sha1(chain)
            context.set_ciphers("ALL:@SECLEVEL=0")  # a server that is as old as its certificate
        file = self.folder / f"{x509.random_serial_number()}.pem"
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form) + chain)
        context.load_cert_chain(file)
        return context

    def _signed_with_sha1(self, chain: bytes) -> bytes:
        """The same certificate with the signature that `cryptography` does not make any more."""
        made = x509.load_pem_x509_certificate(chain)
        old = made.tbs_certificate_bytes
        new = old.replace(SHA256_WITH_RSA, SHA1_WITH_RSA)
        whole = made.public_bytes(serialization.Encoding.DER).replace(old, new).replace(SHA256_WITH_RSA, SHA1_WITH_RSA)
        signature = self.key.sign(new, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 (it is what we refuse)
        return ssl.DER_cert_to_PEM_cert(whole.replace(made.signature, signature)).encode()

    def trusted(self) -> ssl.SSLContext:
        """What a client that trusts this authority uses."""
        context = ssl.create_default_context(cadata=self.certificate.decode())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def legacy(context: ssl.SSLContext) -> ssl.SSLContext:
    """The context, speaking TLS 1.0 and 1.1 alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def asking(context: ssl.SSLContext) -> ssl.SSLContext:
    """The context, asking for a client's certificate."""
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
