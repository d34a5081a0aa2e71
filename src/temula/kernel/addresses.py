"""Says which addresses we may dial when somebody else chose them: which URL, which name, which IP.

The table of networks is ours, frozen by `tests/testdata/ssrf_cases.json`: what `ipaddress` calls private changes with
the patch level of Python, and it lets loopback through in several IPv6 spellings. Nothing here does input or output.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal

import idna

MAX_URL: Final = 2048
MAX_HOST: Final = 253
MAX_DIALLED: Final = 3
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

# Names that never lead to the public internet, each with all that is below it.
RESERVED_SUFFIXES: Final = frozenset(
    {"localhost", "local", "localdomain", "internal", "svc", "cluster.local", "home.arpa", "arpa", "onion", "test"}
    | {"invalid", "example", "lan", "corp", "home", "intranet", "private", "metadata.goog"}
)

DENIED_V4: Final = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared address space"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud platform service"),  # Azure's WireServer: public by every registry
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "AMT"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)

GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
LOOPBACK_V6: Final = IPv6Address("::1")
DENIED_V6: Final = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("2001::/23", "protocol assignments"),  # Teredo, ORCHID, benchmarking, AMT
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112"),
        ("3ffe::/16", "returned"),
        ("3fff::/20", "documentation"),
    )
)
# An ISATAP interface identifier carries an IPv4 address behind any prefix (RFC 5214, section 6.1).
ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})

AddressCode = Literal[
    "url_invalid",
    "scheme_not_allowed",
    "userinfo_not_allowed",
    "fragment_not_allowed",
    "ip_literal_not_allowed",
    "host_not_public",
    "self_target_not_allowed",
    "port_not_allowed",
    "address_not_allowed",
]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\\]")
# RFC 3986 and the square brackets that many put into queries; anything else is read differently by different parsers.
_TARGET = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# A last label that is a number makes the whole name an IPv4 address to some resolvers: 2130706433, 0x7f.1, 127.1.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class AddressRefused(ValueError):
    """The address may not be saved or dialled; `code` is stable and public, `detail` says what to change."""

    def __init__(self, code: AddressCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What we dial for others. `allow_loopback` is for development alone: it opens this machine, and nothing else."""

    own_hosts: frozenset[str] = frozenset()
    reserved_suffixes: frozenset[str] = RESERVED_SUFFIXES
    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] = frozenset({443, 8443})
    allow_loopback: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    public: bool
    reason: str
    loopback: bool = False


@dataclass(frozen=True, slots=True)
class CheckedUrl:
    """A URL that passed; `target` is the path and query byte for byte as they were given."""

    scheme: str
    host: str
    port: int
    target: str
    loopback: bool = False

    @property
    def url(self) -> str:
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.target}"


def classify(ip: str) -> Verdict:
    """Public, or denied and why. Every embedding of IPv4 in IPv6 is denied, whatever it embeds."""
    try:
        address = ip_address(ip)
    except ValueError:
        return Verdict(public=False, reason="not an address")
    if isinstance(address, IPv4Address):
        return _classify_v4(address)
    return _classify_v6(address)


def _classify_v4(address: IPv4Address) -> Verdict:
    for network, reason in DENIED_V4:
        if address in network:
            return Verdict(public=False, reason=reason, loopback=reason == "loopback")
    return Verdict(public=True, reason="public")


def _classify_v6(address: IPv6Address) -> Verdict:
    if address.scope_id is not None:
        return Verdict(public=False, reason="zone")
    if address == LOOPBACK_V6:
        return Verdict(public=False, reason="loopback", loopback=True)
    if address not in GLOBAL_UNICAST:
        return Verdict(public=False, reason="not global unicast")
    for network, reason in DENIED_V6:
        if address in network:
            return Verdict(public=False, reason=reason)
    if (int(address) >> 32) & 0xFFFF_FFFF in ISATAP:
        return Verdict(public=False, reason="ISATAP")
    return Verdict(public=True, reason="public")


def check_answers(addresses: Iterable[str], policy: AddressPolicy, *, loopback: bool = False) -> tuple[str, ...]:
    """The at most three addresses to try. One denied answer refuses all: picking the good ones invites rebinding.

    `loopback` says that the URL itself named this machine; then every answer must be this machine.
    """
    answers = tuple(dict.fromkeys(addresses))
    for answer in answers:
        verdict = classify(answer)
        allowed = verdict.loopback if loopback and policy.allow_loopback else verdict.public
        if not allowed:
            # The answer itself is not told: it would let a customer look up names inside our network.
            raise AddressRefused("address_not_allowed", "the name resolves to an address that we do not dial")
    return answers[:MAX_DIALLED]


def check_url(url: str, policy: AddressPolicy) -> CheckedUrl:
    """Read the URL strictly, refusing whatever two parsers could read differently."""
    if not url or len(url) > MAX_URL or _UNPRINTABLE.search(url):
        raise AddressRefused("url_invalid", f"give a URL of at most {MAX_URL} characters without spaces")
    scheme, authority, target, fragment = _split(url)
    if authority.count("@") > 1:
        raise AddressRefused("url_invalid", "the URL has more than one @ before its path")
    if "@" in authority:
        raise AddressRefused("userinfo_not_allowed", "put credentials into a header, not into the URL")
    given, port = _host_and_port(authority)
    loopback = policy.allow_loopback and given.lower() in LOOPBACK_HOSTS
    if scheme not in policy.schemes and not (loopback and scheme == "http"):
        raise AddressRefused("scheme_not_allowed", f"use {' or '.join(sorted(policy.schemes))}")
    host = given.lower() if loopback else _public_host(given, policy)
    if port is None:
        port = DEFAULT_PORTS[scheme]
    elif port not in policy.ports and not (loopback and port > 0):
        raise AddressRefused("port_not_allowed", f"use one of the ports {', '.join(map(str, sorted(policy.ports)))}")
    if fragment:
        raise AddressRefused("fragment_not_allowed", "a fragment (#...) is never sent: leave it out")
    if not _TARGET.fullmatch(target):
        raise AddressRefused("url_invalid", "percent-encode what is not a URL character in the path and query")
    return CheckedUrl(scheme, host, port, target if target.startswith("/") else f"/{target}", loopback)


def _split(url: str) -> tuple[str, str, str, bool]:
    found = _SCHEME.fullmatch(url)
    if found is None:
        raise AddressRefused("url_invalid", "give a whole URL, beginning with https://")
    scheme, rest = found[1].lower(), found[2]
    if scheme not in DEFAULT_PORTS:
        raise AddressRefused("scheme_not_allowed", "use https")
    if not rest.startswith("//"):
        raise AddressRefused("url_invalid", "two slashes follow the scheme")
    rest, hash_sign, _ = rest[2:].partition("#")
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    return scheme, rest[:end], rest[end:], bool(hash_sign)


def _host_and_port(authority: str) -> tuple[str, int | None]:
    if authority.startswith("["):
        host, closed, rest = authority.partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise AddressRefused("url_invalid", "the host cannot be read")
        host, port = host + closed, rest[1:]
    else:
        host, _, port = authority.partition(":")
    if not port:
        return host, None
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise AddressRefused("url_invalid", "the port is a number up to 65535 without leading zeros")
    return host, int(port)


def _public_host(given: str, policy: AddressPolicy) -> str:
    if given.startswith("["):
        raise AddressRefused("ip_literal_not_allowed", "give a name, not an IP address")
    host = _mapped(given).removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        raise AddressRefused("ip_literal_not_allowed", "give a name, not an IP address")
    if len(labels) > 1 and not all(labels):
        raise AddressRefused("url_invalid", "the host has an empty label")
    ascii_host = ".".join(_ascii_label(label) for label in labels)
    if len(ascii_host) > MAX_HOST:
        raise AddressRefused("url_invalid", f"the host is longer than {MAX_HOST} characters")
    if len(labels) < 2 or _is_reserved(ascii_host, policy.reserved_suffixes):
        raise AddressRefused("host_not_public", "the host must be a name in the public DNS")
    if _has_invisible(given):
        raise AddressRefused("url_invalid", "the host has invisible characters")
    if ascii_host in policy.own_hosts:
        raise AddressRefused("self_target_not_allowed", "this is our own host: it would deliver to itself")
    return ascii_host


def _mapped(host: str) -> str:
    """The host as every resolver will read it: lower case, full-width and circled characters folded (UTS 46)."""
    if not host or "%" in host:
        raise AddressRefused("url_invalid", "the host is missing or percent-encoded")
    try:
        return idna.uts46_remap(host, std3_rules=False, transitional=False)
    except (idna.IDNAError, UnicodeError):
        raise AddressRefused("url_invalid", "the host has characters that no name may have") from None


def _ascii_label(label: str) -> str:
    try:
        if not label.isascii():
            return idna.alabel(label).decode("ascii")
        if label.startswith("xn--"):
            idna.ulabel(label)
    except (idna.IDNAError, UnicodeError):
        raise AddressRefused("url_invalid", "the host is not a valid international name") from None
    if not _LABEL.fullmatch(label):
        raise AddressRefused("url_invalid", "a part of the host is too long or has characters that no name may have")
    return label


def _is_reserved(host: str, suffixes: frozenset[str]) -> bool:
    labels = host.split(".")
    return any(".".join(labels[at:]) in suffixes for at in range(len(labels)))


def _has_invisible(host: str) -> bool:
    """Whether mapping drops characters: such a host looks like another one to whoever reads it."""
    return any(
        not idna.uts46_remap(character, std3_rules=False, transitional=False)
        for character in host
        if not character.isascii()
    )
