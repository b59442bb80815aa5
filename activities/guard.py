"""Where we may connect to: every address that a name has is looked at, and the one that was looked at is connected to.

A name that leads into a private network is refused at the moment of connecting, whatever it led to before. What an
operator means to be reached there is allowed by name or network (`PACTKEEPER_ALLOW_HOSTS`), or is this machine itself and
says so (`localhost`, `127.0.0.1`, `::1`).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

ALLOW_HOSTS: Final = "PACTKEEPER_ALLOW_HOSTS"
Ip = IPv4Address | IPv6Address

# Our own list: what `ipaddress` calls global changes with Python's version, and takes in NAT64, 6to4 and multicast.
_DENIED: Final[Mapping[str, str]] = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "a private network",
    "100.64.0.0/10": "a carrier's private network",
    "127.0.0.0/8": "this machine",
    "169.254.0.0/16": "a link-local address",
    "172.16.0.0/12": "a private network",
    "192.0.0.0/24": "a reserved network",
    "192.0.2.0/24": "a network for documentation",
    "192.88.99.0/24": "a 6to4 relay",
    "192.168.0.0/16": "a private network",
    "198.18.0.0/15": "a network for benchmarks",
    "198.51.100.0/24": "a network for documentation",
    "203.0.113.0/24": "a network for documentation",
    "224.0.0.0/4": "a multicast address",
    "240.0.0.0/4": "a reserved network",
    "::1/128": "this machine",
    "::ffff:0:0/96": "an embedded IPv4 address",
    "64:ff9b::/96": "an embedded IPv4 address (NAT64)",
    "64:ff9b:1::/48": "an embedded IPv4 address (NAT64)",
    "fc00::/7": "a private network",
    "fe80::/10": "a link-local address",
    "ff00::/8": "a multicast address",
    "2001::/32": "an embedded IPv4 address (Teredo)",
    "2001::/23": "a reserved network",
    "2001:db8::/32": "a network for documentation",
    "2002::/16": "an embedded IPv4 address (6to4)",
    "3fff::/20": "a network for documentation",
}
_NETWORKS: Final = tuple((ip_network(network), what) for network, what in _DENIED.items())
_PUBLIC_V6: Final = IPv6Network("2000::/3")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)


class Forbidden(Exception):
    """The address must not be connected to; the text is half a sentence."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an operator lets us reach though it is private: names as they stand in addresses, and networks."""

    names: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """As the environment says.

        Raises:
            ValueError: one sentence, with the part that is neither a name nor a network.
        """
        return cls.parse(environ.get(ALLOW_HOSTS, ""))

    @classmethod
    def parse(cls, text: str) -> Self:
        """`helpdesk.lan, 10.1.0.0/16, 192.168.1.7`; empty allows nothing."""
        names, networks = set[str](), list[IPv4Network | IPv6Network]()
        for part in filter(None, (part.strip() for part in text.split(","))):
            if not part.isascii() or not part.isprintable() or any(c in part for c in " @?#") or "://" in part:
                raise ValueError(_unreadable(part))
            try:
                networks.append(ip_network(part.strip("[]")))
            except ValueError:
                if "/" in part or ":" in part or part.replace(".", "").isdigit():
                    raise ValueError(_unreadable(part)) from None
                names.add(part.rstrip(".").lower())
        return cls(frozenset(names), tuple(networks))

    def takes(self, host: str, address: Ip) -> bool:
        """Whether this address of this name is allowed on purpose."""
        return host.rstrip(".").lower() in self.names or any(
            address.version == network.version and address in network for network in self.networks
        )


def denied(address: Ip) -> str | None:
    """What keeps us from connecting to an address, such as `a private network`; None: it is a public one."""
    for network, what in _NETWORKS:
        if address.version == network.version and address in network:
            return what
    if isinstance(address, IPv6Address):
        if address not in _PUBLIC_V6 or address.scope_id is not None:
            return "a reserved network"
        if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
            return "an embedded IPv4 address (ISATAP)"
    return None


def own(host: str) -> bool:
    """Whether an address says by itself that it is this machine's."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def check(host: str, addresses: Sequence[Ip], allowed: Allowed, *, inside: bool) -> None:
    """Look at every address that a name has; `inside`: this machine is fine where the name itself says so.

    Raises:
        Forbidden: one of them is not to be connected to.
    """
    for address in addresses:
        what = denied(address)
        if what is None or allowed.takes(host, address) or (inside and address.is_loopback and own(host)):
            continue
        raise Forbidden(f"leads to {what}, where nothing is sent; {ALLOW_HOSTS} can allow it")


async def resolved(host: str, port: int, *, inside: bool, allow: str) -> list[str]:
    """The addresses of a name, each of them looked at, in the order in which to try them; `allow` is the setting's text.

    Raises:
        Forbidden: one of them is not to be connected to, or the setting cannot be read.
        OSError, UnicodeError: the name has none.
    """
    try:
        allowed = _parsed(allow)
    except ValueError as error:
        raise Forbidden(f"is not connected to: {error}") from None
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    addresses = list(dict.fromkeys(ipaddress.ip_address(str(where[4][0])) for where in found))
    check(host, addresses, allowed, inside=inside)
    return [str(address) for address in addresses]


@lru_cache(maxsize=8)
def _parsed(text: str) -> Allowed:
    return Allowed.parse(text)


def _unreadable(part: str) -> str:
    return f"{ALLOW_HOSTS} has {part[:80]!r}; write names of hosts and networks, such as helpdesk.lan, 10.1.0.0/16"
