"""Which network addresses may be fetched from."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from medkg_dagster.errors import PermanentDownloadError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")

# Python's own tables differ between releases; what is refused here must not.
_NEVER: tuple[tuple[str, tuple[Network, ...]], ...] = tuple(
    (label, tuple(ipaddress.ip_network(network) for network in networks))
    for label, networks in (
        ("unspecified", ("0.0.0.0/8", "::/128")),
        ("loopback", ("127.0.0.0/8", "::1/128")),
        ("link-local", ("169.254.0.0/16", "fe80::/10")),
        ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
        ("shared by a carrier (CGNAT)", ("100.64.0.0/10",)),
        ("multicast", ("224.0.0.0/4", "ff00::/8")),
        (
            "reserved",
            (
                "192.0.0.0/24",
                "192.0.2.0/24",
                "192.88.99.0/24",
                "198.18.0.0/15",
                "198.51.100.0/24",
                "203.0.113.0/24",
                "240.0.0.0/4",
                "::/96",
                "64:ff9b:1::/48",
                "100::/64",
                "2001::/23",
                "2001:db8::/32",
                "3fff::/20",
                "5f00::/16",
            ),
        ),
    )
)


def why_not_public(address: Address) -> str | None:
    """Return what kind of address it is where it is not a public one, else None.

    An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) is judged as what it leads to.
    """
    inner = _embedded(address)
    if inner is not None:
        return why_not_public(inner)
    for label, networks in _NEVER:
        if any(address.version == network.version and address in network for network in networks):
            return label
    return None if address.is_global else "not public"


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour if address in _SIX_TO_FOUR else None


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Resolves host names to addresses that may be connected to.

    Attributes:
        hosts: Names that may lead anywhere.
        networks: Ranges that are allowed although they are not public.
    """

    hosts: frozenset[str]
    networks: tuple[Network, ...]

    @classmethod
    def allowing(cls, private_hosts: Iterable[str]) -> AddressGuard:
        """Return a guard that lets host names, addresses and ranges through besides public addresses."""
        hosts: set[str] = set()
        networks: list[Network] = []
        for text in private_hosts:
            try:
                networks.append(ipaddress.ip_network(text.strip("[]"), strict=False))
            except ValueError:
                hosts.add(text.lower().rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def resolve(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host, each of them checked.

        Raises:
            PermanentDownloadError: One of them must not be fetched from.
            OSError: The name could not be resolved.
        """
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise PermanentDownloadError(f"{host!r} is no host name; correct the address") from error
        found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        for text in found:
            self._check(host, text)
        return found

    def _check(self, host: str, text: str) -> None:
        if host.lower().rstrip(".") in self.hosts:
            return
        address = ipaddress.ip_address(text)
        reason = why_not_public(address)
        if reason is None or any(self._covers(network, address) for network in self.networks):
            return
        raise PermanentDownloadError(
            f"{host} leads to {text}, which is {reason}; nothing is fetched from there unless "
            "allow_private_hosts names it"
        )

    @staticmethod
    def _covers(network: Network, address: Address) -> bool:
        plain = address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address
        return network.version == plain.version and plain in network
