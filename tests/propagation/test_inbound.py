"""The trust boundary: who is believed, and what may leave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.propagation.inbound import Boundary

BOUNDARY = Boundary()

INTERNAL = [
    "127.0.0.1", "127.8.9.10", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "::1", "fd00::1", "fe80::1", "fe80::1%eth0", "::ffff:10.0.0.1",
]  # fmt: skip
PUBLIC = [
    "93.184.216.34", "8.8.8.8", "172.32.0.1", "172.15.0.1", "192.169.0.1", "11.0.0.1",
    "100.64.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "0.0.0.0", "255.255.255.255",
    "224.0.0.1", "2001:db8::1", "2606:4700::1111", "::", "::ffff:8.8.8.8", "64:ff9b::a00:1",
]  # fmt: skip


@pytest.mark.parametrize("address", INTERNAL)
def test_loopback_private_and_link_local_addresses_are_ours(address):
    """Both families, and the first of them in the clothes of the second."""
    assert BOUNDARY.trusts(address, {})
    assert BOUNDARY.is_internal_host(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_all_other_addresses_are_foreign(address):
    """Also those of documentation, of carriers' networks and of nobody."""
    assert not BOUNDARY.trusts(address, {})
    assert not BOUNDARY.is_internal_host(address)


@pytest.mark.parametrize(
    "peer", [None, "", "localhost", "testclient", "unix:", "/run/s.sock", "@s"]
)
def test_a_peer_without_an_address_is_inside(peer):
    """Unix sockets and in-process clients are on this machine."""
    assert BOUNDARY.trusts(peer, {})


@pytest.mark.parametrize(
    "peer", ["shop", "localhost.evil.com", "x" * 300, "10.0.0.1, 8.8.8.8", "0"]
)
def test_a_peer_of_another_name_is_foreign(peer):
    """Servers name addresses; whatever else stands there is not believed."""
    assert not BOUNDARY.trusts(peer, {})


@pytest.mark.parametrize(
    ("forwarded", "trusted"),
    [
        ("10.0.0.1", True),
        ("10.0.0.1, 192.168.0.1", True),
        ("10.0.0.1:4711", True),
        ("[fd00::1]:4711", True),
        ("[fd00::1]", True),
        ("::ffff:10.0.0.1", True),
        ("", True),
        (" , ", True),
        ("93.184.216.34", False),
        ("93.184.216.34, 10.0.0.1", False),
        ("10.0.0.1, 93.184.216.34", False),
        ("10.0.0.1,10.0.0.2,::ffff:8.8.8.8", False),
        ("93.184.216.34:4711", False),
        ("[2606:4700::1111]:4711", False),
        ("unknown", False),
        ("_hidden", False),
        ("localhost", False),
        ("testclient", False),
        ("/run/s.sock", False),
        ("10.0.0.1 8.8.8.8", False),
        ("10.0.0.01", False),
        ("010.0.0.1", False),
        ("0x0a.0.0.1", False),
        ("167772161", False),
        ("10.1", False),
        ("\u0661\u0660.0.0.1", False),
        ("10.0.0.1\n", True),
        ("10.0.0.1" + ",10.0.0.1" * 400, False),
        ("1" * 65, False),
    ],
)
def test_all_that_a_proxy_forwards_for_must_be_inside(forwarded, trusted):
    """One public, hidden or unreadable address in the list is enough to be outside."""
    assert BOUNDARY.trusts("10.0.0.9", {"x-forwarded-for": forwarded}) is trusted


@pytest.mark.parametrize(
    ("forwarded", "trusted"),
    [
        ("for=10.0.0.1", True),
        ("For=10.0.0.1;proto=https;by=8.8.8.8", True),
        ('for="10.0.0.1:4711"', True),
        ('for="[fd00::1]:4711"', True),
        ("for=10.0.0.1, for=192.168.0.1", True),
        ("proto=https; for = 10.0.0.1", True),
        ("for=unix:", True),
        ("", True),
        ("for=93.184.216.34", False),
        ("FOR=93.184.216.34", False),
        ("for=10.0.0.1, for=93.184.216.34", False),
        ("for=10.0.0.1;for=93.184.216.34", False),
        ('for="[2606:4700::1111]"', False),
        ("for=unknown", False),
        ("for=_hidden", False),
        ("proto=https", False),
        ("by=10.0.0.1", False),
        ("for=10.0.0.1, proto=https", False),
        ('for="10.0.0.1, 93.184.216.34"', False),
        ('for="10.0.0\\.1"', False),
        ("for=", False),
        ("for", False),
        ("host=for=10.0.0.1", False),
        ("xfor=10.0.0.1", False),
        ("for=10.0.0.1," * 300, False),
    ],
)
def test_the_standard_header_of_proxies_is_read_too(forwarded, trusted):
    """A proxy that names nobody may forward for anybody."""
    assert BOUNDARY.trusts("10.0.0.9", {"forwarded": forwarded}) is trusted


def test_both_headers_of_proxies_must_agree():
    """Whoever can set one of them cannot hide what the other one says."""
    ours, theirs = "10.0.0.1", "93.184.216.34"

    assert BOUNDARY.trusts("10.0.0.9", {"x-forwarded-for": ours, "forwarded": f"for={ours}"})
    assert not BOUNDARY.trusts("10.0.0.9", {"x-forwarded-for": ours, "forwarded": f"for={theirs}"})
    assert not BOUNDARY.trusts("10.0.0.9", {"x-forwarded-for": theirs, "forwarded": f"for={ours}"})


def test_a_public_peer_cannot_speak_for_a_private_one():
    """What it says to forward for changes nothing."""
    assert not BOUNDARY.trusts("93.184.216.34", {"x-forwarded-for": "10.0.0.1"})
    assert not BOUNDARY.trusts("93.184.216.34", {"forwarded": "for=10.0.0.1"})


@pytest.mark.parametrize(
    "host",
    [
        "warehouse", "warehouse:8000", "localhost", "db.local", "db.local.", "DB.Local:5432",
        "api.internal", "shop.svc", "shop.default.svc.cluster.local", "x.localhost", "[::1]:80",
        "10.0.0.1:8080", "_srv", "server1",
    ],
)  # fmt: skip
def test_single_names_and_internal_suffixes_are_ours(host):
    """With a port, a dot at the end, in capitals."""
    assert BOUNDARY.is_internal_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "", "example.com", "example.com:80", "local.example.com", "evillocal.com", "a.notlocal",
        "svc.example.com", "x.svc.evil.com", "internal.", "8.8.8.8:53", "[2606:4700::1111]:443",
        "2130706433", "0x7f000001", "0X7F000001", "127.1", "0x7f.1", "10.0.0.1.", "x" * 256,
        "10.0.0.1.nip.io", "a." * 200 + "local", "\u0661.local.com", "shop.local\n.evil.com", ".",
    ],
)  # fmt: skip
def test_all_other_hosts_are_foreign(host):
    """Names that only look like ours, and numbers that resolvers take for addresses."""
    assert BOUNDARY.is_internal_host(host) is (host == "internal.")


def test_a_setting_adds_suffixes_and_networks():
    """In any of the spellings that people use."""
    boundary = Boundary(
        [" *.corp.example ", ".lan", "Shop.Example", "100.64.0.0/10", "2001:db8::/32",
         "203.0.113.7", "198.51.100.9/24", "", "*", "."]
    )  # fmt: skip

    for host in ("a.corp.example", "corp.example", "x.lan", "shop.example", "api.shop.example:80"):
        assert boundary.is_internal_host(host), host
    for address in (
        "100.64.1.1",
        "2001:db8::5",
        "203.0.113.7",
        "198.51.100.1",
        "::ffff:100.64.1.1",
    ):
        assert boundary.trusts(address, {}), address
        assert boundary.is_internal_host(address), address
    for host in ("evilcorp.example", "example", "my-shop.example", "x.example.com", "203.0.113.8"):
        assert boundary.is_internal_host(host) is (host == "example"), host


def test_who_is_near_is_remembered_within_bounds():
    """Nobody who is outside, and for nobody for whom somebody forwards."""
    boundary = Boundary()
    for number in range(3000):
        assert boundary.trusts(f"10.0.{number // 256}.{number % 256}", {})
    boundary.trusts("10.9.9.9", {"x-forwarded-for": "10.0.0.1"})
    boundary.trusts("93.184.216.34", {})
    boundary.trusts("/" + "x" * 5000, {})

    assert "10.0.11.183" in boundary.near
    assert not {"10.9.9.9", "93.184.216.34", "/" + "x" * 5000} & boundary.near
    assert len(boundary.near) <= 1024


@given(st.text(max_size=300), st.text(max_size=100), st.text(max_size=100))
def test_hostile_addresses_never_raise(peer, forwarded, standard):
    """What cannot be understood is not believed, and hosts are told in or out."""
    headers = {"x-forwarded-for": forwarded, "forwarded": standard}

    assert BOUNDARY.trusts(peer, headers) in (True, False)
    assert BOUNDARY.is_internal_host(peer) in (True, False)


@given(st.ip_addresses(), st.booleans())
def test_an_address_is_judged_the_same_in_every_place(address, in_list):
    """As a peer, in both headers, with a port, and as a host."""
    text = f"[{address}]:80" if address.version == 6 else f"{address}:80"
    extra = "127.0.0.1, " if in_list else ""
    peer = BOUNDARY.trusts(str(address), {})

    assert BOUNDARY.trusts("127.0.0.1", {"x-forwarded-for": f"{extra}{text}"}) is peer
    assert BOUNDARY.trusts("127.0.0.1", {"forwarded": f'for="{text}"'}) is peer
    assert BOUNDARY.is_internal_host(text) is peer
