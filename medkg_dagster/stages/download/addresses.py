"""Addresses on the web: reading, following, showing them without secrets, and which may be fetched from."""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

from medkg_dagster.errors import PermanentDownloadError

HIDDEN = "***"
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SECRET_NAME = re.compile(
    r"token|secret|passw|pwd|signature|^sig$|api[-_]?key|^key$|access[-_]?key|auth|credential|session|"
    r"^sid$|ticket|^code$|jwt|hmac|policy|x-amz-|x-goog-|^x-ms-",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(r"(?=[^&]*\d)(?=[^&]*[A-Za-z])[A-Za-z0-9_.~+/=%-]{24,}")
_PORTS = {"http": 80, "https": 443}
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


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A checked http or https address, ready for a request.

    Attributes:
        scheme: `http` or `https`.
        host: The host in ASCII, lower case; no brackets around IPv6.
        port: The port.
        target: Path and query.
        authorization: The header for user and password in the address; empty without.
    """

    scheme: str
    host: str
    port: int
    target: str
    authorization: str

    @property
    def host_header(self) -> str:
        """The value of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def is_absolute(text: str) -> bool:
    """Say whether a text has the form of an absolute address of any scheme."""
    return _ABSOLUTE.match(text) is not None


@lru_cache(maxsize=1024)
def read_address(text: str) -> WebAddress:
    """Check an address.

    Raises:
        PermanentDownloadError: It is none that may be fetched.
    """
    import httpx

    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise PermanentDownloadError(f"{show(text)}: no valid address: {error}; correct it") from error
    if url.scheme not in _PORTS or not url.host:
        raise PermanentDownloadError(
            f"{show(text)}: only http and https addresses with a host are fetched; correct it"
        )
    login = ""
    if url.userinfo:
        login = "Basic " + base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    return WebAddress(
        url.scheme,
        url.raw_host.decode("ascii"),
        url.port or _PORTS[url.scheme],
        url.raw_path.decode("ascii"),
        login,
    )


def follow(url: str, location: str) -> str:
    """Return where a redirect leads; a login in it is dropped.

    Raises:
        PermanentDownloadError: It leads nowhere, or from https to http.
    """
    import httpx

    try:
        target = httpx.URL(url).join(location.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise PermanentDownloadError(
            f"{show(url)}: redirects to {show(location)[:100]!r}, which is no address; check it"
        ) from error
    if target.scheme != "https" and url.strip().lower().startswith("https:"):
        raise PermanentDownloadError(
            f"{show(url)}: redirects to the unprotected {show(str(target))}; give an https address"
        )
    # A login is meant for the host it was given with, and no header carries a fragment.
    return str(target.copy_with(username=None, password=None, fragment=None))


def show(url: str) -> str:
    """Return an address for logs and records: no login, no query values that look like secrets."""
    try:
        parts = urlsplit(url.strip())
        host = parts.netloc.rpartition("@")[2]
        query = "&".join(map(_shown_pair, parts.query.split("&"))) if parts.query else ""
        return urlunsplit((parts.scheme, host, parts.path, query, ""))
    except ValueError:
        return "an address that cannot be read"


def _shown_pair(pair: str) -> str:
    name, separator, value = pair.partition("=")
    if value and (_SECRET_NAME.search(name) or _SECRET_VALUE.fullmatch(value)):
        return f"{name}={HIDDEN}"
    return HIDDEN if not separator and _SECRET_VALUE.fullmatch(name) else name + separator + value


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
            # Without the type each address comes once for every kind of socket.
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
