"""Where the `download` stage connects to, and how it shows addresses."""

from __future__ import annotations

import ipaddress
import random
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.errors import PermanentDownloadError
from medkg_dagster.stages.download.addresses import (
    AddressGuard,
    follow,
    read_address,
    show,
    why_not_public,
)
from medkg_dagster_tests.stages.download.download_runs import record_of, records_of, refused, run
from medkg_dagster_tests.stages.download.file_server import FileServer, pdf, whole


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("fc00::1", "private"),
        ("fd12:3456::1", "private"),
        ("fec0::1", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%1", "link-local"),
        ("fd00:ec2::254", "private"),
        ("100.64.0.1", "CGNAT"),
        ("100.127.255.255", "CGNAT"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("192.0.0.1", "reserved"),
        ("192.0.2.1", "reserved"),
        ("198.18.0.1", "reserved"),
        ("198.51.100.1", "reserved"),
        ("203.0.113.1", "reserved"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("2001:db8::1", "reserved"),
        ("2001::1", "reserved"),
        ("100::1", "reserved"),
        ("64:ff9b:1::1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:10.0.0.1", "private"),
        ("::127.0.0.1", "reserved"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a00:1::", "private"),
    ],
)
def test_addresses_that_are_not_public(address: str, kind: str) -> None:
    assert kind in (why_not_public(ipaddress.ip_address(address)) or "public")


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8",
     "64:ff9b::808:808", "2002:808:808::1"],
)  # fmt: skip
def test_public_addresses(address: str) -> None:
    assert why_not_public(ipaddress.ip_address(address)) is None


@given(st.ip_addresses())
def test_nothing_python_calls_local_is_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        leads_to_another = isinstance(address, ipaddress.IPv6Address) and (
            address.ipv4_mapped is not None or address.sixtofour is not None
        )
        assert leads_to_another or why_not_public(address) is not None


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0", "::1", "::ffff:127.0.0.1"]
)
def test_every_way_to_write_this_machine_is_refused(host: str) -> None:
    with pytest.raises(PermanentDownloadError, match="allow_private_hosts"):
        AddressGuard.allowing(()).resolve(host, 80)


@pytest.mark.parametrize(
    ("allowed", "host", "is_open"),
    [
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["127.0.0.1"], "::ffff:127.0.0.1", True),
        (["127.0.0.0/8"], "127.3.4.5", True),
        (["10.0.0.0/8"], "127.0.0.1", False),
        (["[::1]"], "::1", True),
        (["localhost"], "localhost", True),
        (["LOCALHOST."], "localhost", True),
        (["localhost"], "127.0.0.1", False),
        (["example.org"], "localhost", False),
        (["ocalhost"], "localhost", False),
    ],
)
def test_private_hosts_are_allowed_by_name_address_or_range(
    allowed: list[str], host: str, is_open: bool
) -> None:
    guard = AddressGuard.allowing(text.lower() for text in allowed)
    try:
        assert guard.resolve(host, 80)
    except PermanentDownloadError:
        assert not is_open
    else:
        assert is_open


def test_loopback_is_not_fetched_from_by_default(tmp_path: Path) -> None:
    with FileServer() as server:
        url = server.serve("/a", whole(pdf()))

        assert "127.0.0.1 leads to 127.0.0.1, which is loopback" in refused(
            tmp_path, url, allow_private_hosts=[]
        )
        assert server.requests == []


def test_one_private_address_among_several_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 80)) for text in ("93.184.216.34", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: answers)

    with pytest.raises(PermanentDownloadError, match=r"leads to 10\.0\.0\.1, which is private"):
        AddressGuard.allowing(()).resolve("rebind.example", 80)


def test_a_name_is_looked_up_once_for_a_connection_and_that_address_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, port: int, *args: Any, **options: Any) -> Any:
        resolved.append(host)
        # The name leads to the server at first, and to nowhere when asked again.
        address = {"papers.test": "127.0.0.1" if resolved.count(host) == 1 else "127.0.0.9"}.get(host, host)
        return real(address, port, *args, **options)

    with FileServer() as server:
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        urls = [server.serve(f"/{number}", whole(pdf(number)), host="papers.test") for number in range(5)]
        files, _ = run(tmp_path, records_of(urls), max_per_host=1, allow_private_hosts=["127.0.0.1"])

        assert len(files) == 5
        assert resolved.count("papers.test") == 1
        assert {request.headers["host"] for request in server.requests} == {f"papers.test:{server.port}"}


def test_proxies_of_the_environment_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with FileServer() as server:
        files, _ = run(tmp_path, [record_of(server.serve("/a", whole(pdf())))])

    assert len(files) == 1


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/a.pdf", "file:///etc/passwd", "data:application/pdf,x", "http://", "http:///a",
     "a.pdf", "", "http://[::1", "http://example.org:port/", "http://exa\nmple.org/", "javascript:alert(1)"],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(PermanentDownloadError):
        read_address(url)


def test_an_address_is_read_for_a_request() -> None:
    address = read_address("https://me:pass@PÄPERS.example:8443/a b?c=d e#part")

    assert (address.scheme, address.host, address.port) == ("https", "xn--ppers-gra.example", 8443)
    assert address.target == "/a%20b?c=d%20e"
    assert address.host_header == "xn--ppers-gra.example:8443"
    assert address.authorization == "Basic bWU6cGFzcw=="
    assert read_address("http://[::ffff:1.2.3.4]/").host_header.startswith("[")


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("https://a.org/x/y?z=1", "../b.pdf", "https://a.org/b.pdf"),
        ("http://a.org/", "https://b.org/c#d", "https://b.org/c"),
        ("https://a.org/", "//b.org/c", "https://b.org/c"),
        ("https://a.org/", "https://me:pass@b.org/c", "https://b.org/c"),
    ],
)
def test_redirects_lead_to(url: str, location: str, target: str) -> None:
    assert follow(url, location) == target


def test_a_redirect_never_gives_up_encryption() -> None:
    with pytest.raises(PermanentDownloadError, match="unprotected"):
        follow("HTTPS://a.org/x", "http://a.org/x")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pass@a.org/x", "https://a.org/x"),
        ("https://a.org/x?id=7&page=2#top", "https://a.org/x?id=7&page=2"),
        ("https://a.org/x?Token=abc&id=7", "https://a.org/x?Token=***&id=7"),
        ("https://a.org/x?api_key=abc", "https://a.org/x?api_key=***"),
        ("https://a.org/x?X-Amz-Signature=abc&X-Amz-Date=1", "https://a.org/x?X-Amz-Signature=***&X-Amz-Date=***"),
        ("https://a.org/x?e=eyJhbGciOiJIUzI1NiJ9.eyJzdWIi", "https://a.org/x?e=***"),
        ("https://a.org/x?pdf", "https://a.org/x?pdf"),
        ("http://[::1", "an address that cannot be read"),
    ],
)  # fmt: skip
def test_addresses_are_shown_without_secrets(url: str, shown: str) -> None:
    assert show(url) == shown


def test_no_login_is_ever_shown(chance: random.Random) -> None:
    for _ in range(500):
        secret = "".join(chance.choices("abcXYZ0189-_~", k=12))
        path = "".join(chance.choices("/ab?=&#%@:", k=chance.randrange(20)))
        assert secret not in show(f"https://user:{secret}@example.org/{path}")
