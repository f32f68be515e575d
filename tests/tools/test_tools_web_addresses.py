"""Web tools: whatever an address looks like, it does not lead to this machine, its networks, or a cloud's metadata."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import Server, http, redirect, serving, silence

from agentkit import ToolFailed
from agentkit.tools.web import Web, fetch_page, find_in_page

pytestmark = pytest.mark.anyio

IS_PRIVATE = "is private, or this machine, and is not connected to"
IS_METADATA = "is link-local, where clouds keep their secrets, and is not connected to"
IS_RESERVED = "is reserved, and is not connected to"
IS_TRANSITION = "is an IPv6 form of an IPv4 address, and is not connected to"
IS_THIS_MACHINE = "is this machine itself, which is not asked"
IS_A_CLOUDS = "holds a cloud's secrets and is never asked"
UNUSUAL_NUMBERS = "is not an IPv4 address in its usual form"
NOT_IPV6 = "is not an IPv6 address"
NOT_A_NAME = "is not the name of a host"
NOT_WEB = "is not a web address"
NO_HOST = "names no host"
CREDENTIALS = "holds a user name or password"
INVISIBLE = "white space, a backslash or an invisible character"
OTHER_LETTERS = "letters that stand for others"
PORT = "is not asked, only 80 and 443"

NAMES: Mapping[str, Sequence[str]] = {
    "inside.example": ["10.1.2.3"],
    "loop.example": ["127.0.0.1"],
    "loop6.example": ["::1"],
    "mixed.example": ["93.184.216.34", "127.0.0.1"],
    "mixed6.example": ["2606:2800:220:1::1", "fd12::1"],
    "mapped.example": ["::ffff:93.184.216.34"],
    "scoped.example": ["fe80::1%eth0"],
    "cloud.example": ["169.254.169.254"],
    "strange.example": ["not an address"],
    "none.example": [],
}
REFUSED: Mapping[str, Sequence[str]] = {
    IS_PRIVATE: [
        "http://127.0.0.1/",
        "http://127.0.0.1./",
        "http://127.0.0.1:80/",
        "http://127.0.0.1:/",
        "HTTP://127.0.0.1",
        "https://127.0.0.1/",
        "http://127.0.0.1?x=1",
        "http://127.0.0.1#x",
        "http://127.1.2.3/",
        "http://127.255.255.255/",
        "http://10.0.0.1/",
        "http://10.255.255.255/",
        "http://172.16.0.1/",
        "http://172.31.255.255/",
        "http://192.168.0.1/",
        "http://100.64.0.1/",
        "http://100.127.255.255/",
        "http://[::1]/",
        "http://[::1]:443/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
        "http://[::0001]/",
        "http://[fc00::1]/",
        "http://[fd00::1]/",
        "http://[FD12:3456::1]/",
        "http://inside.example/",
        "http://INSIDE.example./",
        "http://loop.example/",
        "http://loop6.example/",
        "http://mixed.example/",
        "http://mixed6.example/",
    ],
    IS_METADATA: [
        "http://169.254.169.254/latest/meta-data/",
        "http://169.254.169.254./",
        "http://169.254.170.2/",
        "http://169.254.1.1/",
        "http://168.63.129.16/",
        "http://100.100.100.200/latest/meta-data/",
        "http://192.0.0.192/",
        "http://[fd00:ec2::254]/",
        "http://[fd00:0ec2:0:0:0:0:0:254]/",
        "http://[fd00:ec2::23]/",
        "http://[fd20:ce::254]/",
        "http://[fd00:c1::a9fe:a9fe]/",
        "http://[fe80::1]/",
        "http://[febf::1]/",
        "http://scoped.example/",
        "http://cloud.example/",
    ],
    IS_RESERVED: [
        "http://0.0.0.0/",
        "http://0.1.2.3/",
        "http://192.0.0.1/",
        "http://192.0.2.1/",
        "http://192.88.99.1/",
        "http://198.18.0.1/",
        "http://198.19.255.255/",
        "http://198.51.100.1/",
        "http://203.0.113.1/",
        "http://224.0.0.1/",
        "http://239.255.255.250/",
        "http://240.0.0.1/",
        "http://255.255.255.255/",
        "http://[::]/",
        "http://[100::1]/",
        "http://[2001:db8::1]/",
        "http://[2001:2::1]/",
        "http://[2001:10::1]/",
        "http://[3fff::1]/",
        "http://[5f00::1]/",
        "http://[4000::1]/",
        "http://[fec0::1]/",
        "http://[ff02::1]/",
        "http://[ff0e::1]/",
    ],
    IS_TRANSITION: [
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::FFFF:169.254.169.254]/",
        "http://[0:0:0:0:0:ffff:10.0.0.1]/",
        "http://[::ffff:93.184.216.34]/",
        "http://[::127.0.0.1]/",
        "http://[::7f00:1]/",
        "http://[::ffff:0:127.0.0.1]/",
        "http://[64:ff9b::127.0.0.1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[64:ff9b:1::10.0.0.1]/",
        "http://[2002:7f00:1::]/",
        "http://[2002:a9fe:a9fe::1]/",
        "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
        "http://[2001::1]/",
        "http://[2606:2800:220:1:0:5efe:127.0.0.1]/",
        "http://[2606:2800:220:1:200:5efe:10.0.0.1]/",
        "http://mapped.example/",
    ],
    UNUSUAL_NUMBERS: [
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0X7F.0.0.1/",
        "http://0x7f.0x0.0x0.0x1/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://0177.0.0.01/",
        "http://127.1/",
        "http://127.0.1/",
        "http://127.0.0.01/",
        "http://0127.0.0.1/",
        "http://127.0.0.0x1/",
        "http://127.0.0.1.1/",
        "http://127.0.0.256/",
        "http://425.510.425.510/",
        "http://0/",
        "http://0x/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://host.example.1/",
        "http://example.com&127.0.0.1/",
        "http://example.com,127.0.0.1/",
        "http://%31%32%37.0.0.1/",
    ],
    IS_THIS_MACHINE: [
        "http://localhost/",
        "http://LocalHost./",
        "http://a.localhost/",
        "http://localhost.localdomain/",
        "http://ip6-localhost/",
    ],
    IS_A_CLOUDS: [
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://METADATA.google.internal./",
        "http://metadata/",
        "http://metadata.goog/",
        "http://instance-data/latest/",
        "http://instance-data.ec2.internal/",
    ],
    OTHER_LETTERS: [
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127\u30020\u30020\u30021/",
        "http://127\uff0e0\uff0e0\uff0e1/",
        "http://127\uff610\uff610\uff611/",
        "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
        "http://\u24dbocalhost/",
        "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/",
        "http://loca\u017fhost/",
        "http://fa\xdf.example/",
        "http://a\u2100b.example/",
        "http://e\u0301.example/",
    ],
    CREDENTIALS: [
        "http://user:hunter2@example.com/",
        "http://user@example.com/",
        "http://@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com:80@127.0.0.1/",
        "http://127.0.0.1%2f@example.com/",
        "http://a@b@127.0.0.1/",
    ],
    INVISIBLE: [
        "http://127.0.0.1\t/",
        "http://exa\nmple.com/",
        "\nhttp://example.com/",
        " http://example.com/",
        "http://example.com/ ",
        "http://example.com/a b",
        "http://example.com/\r\nHost: other.example",
        "http://example.com\\@127.0.0.1/",
        "http:\\\\127.0.0.1\\",
        "http://example.com\\.127.0.0.1/",
        "http://\x00example.com/",
        "http://local\u200bhost/",
        "http://local\xadhost/",
        "http://\u202eexample.com/",
        "http://exam\u3000ple.com/",
        "http://\ud800.example/",
        "http://example.com/\x7f",
    ],
    NOT_WEB: [
        "",
        "example.com",
        "//example.com/",
        "/etc/passwd",
        "file:///etc/passwd",
        "file://127.0.0.1/etc/passwd",
        "FILE:/etc/passwd",
        "ftp://example.com/",
        "gopher://127.0.0.1:6379/_INFO",
        "dict://127.0.0.1:11211/stat",
        "ldap://127.0.0.1/",
        "data:text/html,hello",
        "javascript:alert(1)",
        "jar:http://example.com!/",
        "unix:/var/run/docker.sock",
        "ws://example.com/",
        "http:example.com",
        "http:/example.com",
        "httpx://example.com",
        "view-source:http://example.com",
    ],
    NO_HOST: [
        "http://",
        "http:///etc/passwd",
        "http://:80/",
        "http://?x",
        "http://[::1/",
        "http://::1/",
        "http://[::1]x/",
        "http://x[::1]/",
        "http://example.com:80:80/",
        "http://example.com:\uff18\uff10/",
        "http://example.com:-1/",
        "http://example.com:0x50/",
        "http://example.com:123456/",
    ],
    NOT_IPV6: [
        "http://[]/",
        "http://[127.0.0.1]/",
        "http://[fe80::1%25eth0]/",
        "http://[::1%lo]/",
        "http://[example.com]/",
    ],
    NOT_A_NAME: [
        "http://127.0.0.1%2eexample.com/",
        "http://example..com/",
        "http://.example.com/",
        "http://example.com../",
        "http://-.example/",
        "http://{}/",
        "http://a;b/",
        f"http://{'a' * 64}.example/",
        f"http://{'a.' * 130}example/",
    ],
    PORT: [
        "http://example.com:22/",
        "http://example.com:6379/",
        "https://example.com:8443/",
        "http://example.com:8080",
    ],
    "there is no port": ["http://example.com:0/", "http://example.com:65536/"],
    "there is no host": ["http://none.example/"],
    "is not an IP address": ["http://strange.example/"],
    "characters, 4096 are allowed": ["http://example.com/" + "a" * 4096],
}


async def known(host: str) -> Sequence[str]:
    """The names above."""
    return NAMES[host]


@pytest.fixture(scope="module")
def connects() -> Iterator[list[Any]]:
    """Where sockets have been connected to, and what was looked up, as the interpreter itself reports it."""
    seen: list[Any] = []
    on = True

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if on and event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
            seen.append((event, arguments))

    sys.addaudithook(hear)  # it cannot be taken off again
    yield seen
    on = False


@pytest.mark.parametrize(("said", "url"), [(said, url) for said, urls in REFUSED.items() for url in urls])
async def test_an_address_that_leads_inside_is_refused(said: str, url: str, connects: list[Any]) -> None:
    """With words on why, and without a look-up or a connection of any kind."""
    connects.clear()
    with pytest.raises(ToolFailed, match=re.escape(said)) as failure:
        await Web(resolve=known).fetch_page(url)
    assert not connects
    assert len(str(failure.value)) < 500
    assert str(failure.value).isprintable()
    assert "hunter2" not in str(failure.value)


NEVER = [url for said in (IS_METADATA, IS_RESERVED, IS_TRANSITION, IS_A_CLOUDS) for url in REFUSED[said]]


@pytest.mark.parametrize("url", NEVER)
async def test_metadata_is_refused_even_where_private_hosts_are_allowed(url: str, connects: list[Any]) -> None:
    """`allow_private` opens private networks; it does not open what clouds keep, or forms that hide an address."""
    connects.clear()
    with pytest.raises(ToolFailed, match=r"is not connected to|is never asked"):
        await Web(resolve=known, allow_private=True).fetch_page(url)
    assert not connects


async def test_the_loaded_tools_do_not_reach_this_machine() -> None:
    """What `load_tools("web")` gives is as strict as it gets; nobody knocks at a port of this machine."""
    with silence() as port:
        for url in (f"http://127.0.0.1:{port}/", f"http://localhost:{port}/", f"http://[::ffff:127.0.0.1]:{port}/"):
            with pytest.raises(ToolFailed):
                await fetch_page(url)
            with pytest.raises(ToolFailed):
                await find_in_page(url, "x")


@pytest.mark.parametrize("host", ["127.0.0.1", "loop.example", "localhost", "mixed.example"])
async def test_a_port_that_is_allowed_opens_no_host(host: str) -> None:
    """Port and host are two questions: with the port of a server here allowed, nobody knocks at it."""
    with silence() as port:
        with pytest.raises(ToolFailed, match=f"{IS_PRIVATE}|{IS_THIS_MACHINE}"):
            await Web(ports=(port,), resolve=known).fetch_page(f"http://{host}:{port}/")


@given(st.ip_addresses())
async def test_every_address_that_the_registries_keep_back_is_refused(ip: Any) -> None:
    """Whatever Python's own tables call anything but public is refused, however the address is made up."""
    if not ip.is_global or ip.is_multicast:
        with pytest.raises(ToolFailed):
            await Web().fetch_page(f"http://{ip}/" if ip.version == 4 else f"http://[{ip}]/")


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux: all of 127.0.0.0/8 is this machine")
async def test_a_name_is_looked_up_once() -> None:
    """A resolver that answers otherwise the second time (DNS rebinding) is not asked a second time."""
    answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.3"]]
    asked: list[str] = []

    async def rebinding(host: str) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    with serving({"/": http(b"the right one")}) as server, silence("127.0.0.2"):
        web = Web(allow_private=True, ports=(server.port,), resolve=rebinding)
        page = await web.fetch_page(server.url(host="shop.example"))
    assert page == f"Page: http://shop.example:{server.port}/\n\nthe right one"
    assert asked == ["shop.example"]
    assert f"\r\nHost: shop.example:{server.port}\r\n" in server.requests[0]


@pytest.mark.parametrize("second", [["169.254.169.254"], ["0.0.0.0"], ["127.0.0.1", "::ffff:127.0.0.1"]])
async def test_a_redirect_is_looked_up_and_checked_again(second: Sequence[str]) -> None:
    """What a name was when it was asked first says nothing about the next request."""
    answers = [["127.0.0.1"], second]

    async def rebinding(host: str) -> Sequence[str]:
        return answers.pop(0)

    with serving({"/": redirect("/next"), "/next": http(b"no")}) as server:
        web = Web(allow_private=True, ports=(server.port,), resolve=rebinding)
        with pytest.raises(ToolFailed, match=r"shop\.example redirects, and that fails: .* is not connected to"):
            await web.fetch_page(server.url(host="shop.example"))
    assert len(server.requests) == 1


async def test_a_connection_goes_to_the_next_address_where_one_does_not_answer() -> None:
    """All of them were checked."""
    with serving({"/": http(b"here")}) as server:

        async def two(host: str) -> Sequence[str]:
            return ["::1", "127.0.0.1"]

        web = Web(allow_private=True, ports=(server.port,), resolve=two)
        assert (await web.fetch_page(server.url(host="shop.example"))).endswith("here")


def leading(server: Server, port: int) -> Mapping[str, tuple[str, str]]:
    """Where a redirect may want to go -> why it does not."""
    return {
        f"http://127.0.0.1:{port}/": ("port", "is not asked"),
        f"//127.0.0.1:{port}/": ("port", "is not asked"),
        f"http://localhost:{port}/": ("port", "is not asked"),
        "http://169.254.169.254/": ("cloud", IS_METADATA),
        "http://metadata.google.internal/": ("cloud", IS_A_CLOUDS),
        f"http://[::ffff:127.0.0.1]:{server.port}/": ("form", IS_TRANSITION),
        f"http://2130706433:{server.port}/": ("form", UNUSUAL_NUMBERS),
        f"http://0.0.0.0:{server.port}/": ("form", IS_RESERVED),
        "file:///etc/passwd": ("scheme", NOT_WEB),
        "FILE:/etc/passwd": ("scheme", NOT_WEB),
        "gopher://127.0.0.1:6379/_INFO": ("scheme", NOT_WEB),
        "data:text/plain,hello": ("scheme", NOT_WEB),
        f"http://user:hunter2@127.0.0.1:{server.port}/end": ("credentials", CREDENTIALS),
        f"http://127.0.0.1:{server.port}\\@x/": ("form", INVISIBLE),
        "/a\tb": ("form", INVISIBLE),
        "http://[": ("form", NO_HOST),
        "//[x": ("form", "cannot be read"),
        "": ("for ever", "redirects more than 5 times"),
        "/": ("for ever", "redirects more than 5 times"),
        "?x": ("unknown", "404"),
    }


async def test_a_redirect_leads_nowhere_that_an_address_may_not() -> None:
    """To another port, another scheme, a cloud, or round in circles."""
    with serving() as server, silence() as port:
        web = Web(allow_private=True, ports=(server.port, 80, 443))
        for status in ("301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"):
            for where, (_, said) in leading(server, port).items():
                server.answers = {"/": redirect(where, status), "/?x": http(status="404 Not Found"), "/end": http()}
                with pytest.raises(ToolFailed, match=re.escape(said)) as failure:
                    await web.fetch_page(server.url())
                assert "hunter2" not in str(failure.value)
        server.answers = {"/": http(status="302 Found")}
        with pytest.raises(ToolFailed, match="does not say where to"):
            await web.fetch_page(server.url())


async def test_a_redirect_inside_the_rules_is_followed() -> None:
    """Up to five, with relative links, and the page says where it came from in the end."""
    with serving() as server:
        server.answers = {"/": redirect("/1?a=ü"), "/1?a=%C3%BC": redirect("2"), "/2": redirect("//127.0.0.1:PORT/d/3")}
        server.answers["/2"] = redirect(f"//127.0.0.1:{server.port}/d/3", "308 Permanent Redirect")
        server.answers |= {"/d/3": redirect("../4#part"), "/4": redirect(server.url("/5")), "/5": http(b"the end")}
        page = await Web(allow_private=True, ports=(server.port,)).fetch_page(server.url())
    assert page == f"Page: {server.url('/5')}\n\nthe end"


async def test_only_hosts_on_the_list_are_asked() -> None:
    """By their whole name or below a name, in redirects too, and the list opens nothing that is private."""
    with serving({"/": redirect("http://evil.example/"), "/page": http(b"yes")}) as server:

        async def here(host: str) -> Sequence[str]:
            assert host in ("shop.example", "a.b.docs.example"), host
            return ["127.0.0.1"]

        web = Web(allow=("shop.example", "*.docs.example"), allow_private=True, ports=(80, server.port), resolve=here)
        for host in ("shop.example", "SHOP.example.", "a.b.docs.example"):
            assert (await web.fetch_page(server.url("/page", host))).endswith("yes")
        for host in ("docs.example", "xshop.example", "shop.example.evil.example", "a.shop.example", "127.0.0.1"):
            with pytest.raises(ToolFailed, match=r"not among those that may be asked: shop\.example, \*\.docs"):
                await web.fetch_page(server.url("/page", host))
        with pytest.raises(ToolFailed, match=r"redirects, and that fails: the host 'evil\.example' is not among"):
            await web.fetch_page(server.url("/", "shop.example"))
        closed = Web(allow=("shop.example",), ports=(server.port,), resolve=here)
        with pytest.raises(ToolFailed, match=IS_PRIVATE):
            await closed.fetch_page(server.url("/page", "shop.example"))


async def test_nothing_of_this_machine_goes_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No proxy of the environment is used, no netrc is read, no cookie is kept: this is all that is sent."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", os.path.join(tmp_path, ".netrc"))
    with serving() as server, silence() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy}")
        server.answers = {"/": http(b"", "Set-Cookie: a=b", "Location: /b", status="302 Found"), "/b": http(b"ok")}
        web = Web(allow_private=True, ports=(server.port,), user_agent="a test")
        assert (await web.fetch_page(server.url())).endswith("ok")
        assert (await web.fetch_page(server.url("/b"))).endswith("ok")
    assert [request.split("\r\n") for request in server.requests] == [
        [
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            "User-Agent: a test",
            "Accept: text/html, application/xhtml+xml, application/json, text/plain;q=0.9, text/*;q=0.8, */*;q=0.5",
            "Accept-Encoding: gzip, deflate",
            "Connection: close",
            "",
            "",
        ]
        for path in ("/", "/b", "/b")
    ]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("", "/"),
        ("?q=a&b=[c]", "/?q=a&b=[c]"),
        ("/a/../b;c=d", "/a/../b;c=d"),
        ("/K\xf6ln?\u4e1c", "/K%C3%B6ln?%E4%B8%9C"),
        ("/a%20b%", "/a%20b%"),
        ('/"<>|^`{}', "/%22%3C%3E%7C%5E%60%7B%7D"),
        ("/a#b?c", "/a"),
        ("/@x:y", "/@x:y"),
    ],
)
async def test_a_path_is_asked_for_as_written(written: str, sent: str) -> None:
    """Letters that an address cannot hold are sent as browsers send them; the rest is left alone."""
    with serving({sent: http(b"ok")}) as server:
        page = await Web(allow_private=True, ports=(server.port,)).fetch_page(server.url(written))
    assert page == f"Page: {server.url(sent)}\n\nok"


async def test_a_host_with_other_letters_is_asked_for_by_its_registered_name() -> None:
    """As xn--, in the look-up and in the header."""

    async def here(host: str) -> Sequence[str]:
        assert host == "xn--r8jz45g.example"
        return ["127.0.0.1"]

    with serving({"/": http(b"ok")}) as server:
        web = Web(allow_private=True, ports=(server.port,), resolve=here)
        assert (await web.fetch_page(server.url("/", "例え.example"))).endswith("ok")
    assert f"\r\nHost: xn--r8jz45g.example:{server.port}\r\n" in server.requests[0]


@pytest.mark.parametrize(
    "options",
    [
        {"allow": "example.com"},
        {"allow": ("https://example.com",)},
        {"allow": ("Example.com",)},
        {"allow": ("*",)},
        {"allow": ("*.",)},
        {"allow": ("a*.example.com",)},
        {"allow": ("example.com:80",)},
        {"allow": ("example.com.",)},
        {"allow": ("",)},
        {"chars": 0},
        {"seconds": 0},
        {"max_bytes": -1},
        {"user_agent": "a\r\nCookie: b"},
        {"ca_file": "/nowhere/ca.pem"},
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    """A slip does not close or open the wrong doors, and is found when the tools are made."""
    with pytest.raises((TypeError, ValueError, OSError)):
        Web(**options)
