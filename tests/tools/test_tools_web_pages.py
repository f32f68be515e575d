"""Web tools: what a model reads of a page is what a reader sees, in few and honest characters, whatever the page is."""

import sys
import unicodedata
from collections.abc import Iterator

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import SECONDS, Server, http, serving

from agentkit.tools.web import Web


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def read(server: Server, page: bytes, kind: str = "text/html; charset=utf-8") -> tuple[str, str]:
    """The title and the text of a page, as a model reads them."""

    async def fetch() -> str:
        with anyio.fail_after(SECONDS):
            return await Web(allow_private=True, ports=(server.port,), chars=10_000_000).fetch_page(server.url("/a/b"))

    server.answers["/a/b"] = http(page, kind=kind)
    head, _, text = anyio.run(fetch).partition("\n\n")
    url, _, title = head.partition("\n")
    assert url == f"Page: {server.url('/a/b')}"
    return title.removeprefix("Title: "), "" if text == "[there is no text on the page]" else text


HTML = [
    # what stands in a page, and what a model reads of it
    ("<h1>A</h1><h3>B <b>c</b></h3>text", "# A\n\n### B c\n\ntext"),
    ("one\n two<br>three<br><br>four<br><br><br>five", "one two\nthree\n\nfour\n\nfive"),
    ("<p>one<p>two</p><div>three</div><div>four</div>", "one\n\ntwo\n\nthree\nfour"),
    ("<p>a<b>b</b> <i> c</i>d</p>", "ab cd"),
    ("<ul><li>one<li>two<ul><li>in</ul><li>three</ul>", "- one\n- two\n  - in\n- three"),
    ("<ol start=3><li><p>x</p></li><li>y</ol><ol><li>z</ol>", "3. x\n4. y\n\n1. z"),
    ("<li>alone</li><ul></ul><ul><li></li></ul>end", "- alone\n\nend"),
    ("<dl><dt>word<dd>meaning<dt>next<dd>more</dl>", "word\nmeaning\nnext\nmore"),
    ("<table><tr><th>a<th>b<tr><td>1<td><p>2</p><tr><td><td>3</table>", "a | b\n1 | 2\n| 3"),
    ("<table><tr><td><table><tr><td>x</td><td>y</td></tr></table></td></tr></table>", "x | y"),
    ("<table><tr><td></td><td></td></tr><tr><td>z</td></tr></table>", "z"),
    ("2<sup>63</sup> or 2<sup>n - 1</sup><sup></sup><sup hidden>a</sup>.", "2^63 or 2^n - 1."),
    ("<pre>a\n  |\n  | b</pre>", "a\n  |\n  | b"),
    ("<pre>\na\n  b  c\n</pre><p>d  e", "a\n  b  c\n\nd e"),
    ("a<hr>b", "a\n\n---\n\nb"),
    ('<img src=x alt="a  cat"> and <img src=y>', "[image: a cat] and"),
    ('<a href="/c?d=e&amp;f=g">x</a>', "x (BASE/c?d=e&f=g)"),
    ('<a href="c">x </a>y <a href="../../d"><h2>z</h2></a>', "x (BASE/a/c) y\n\n## z (BASE/d)"),
    ('<a href="https://e.example/">https://e.example/</a>', "https://e.example/"),
    ('<a href="#top">x</a><a href="">y</a><a>z</a><a href="k"></a>', "xyz"),
    ('<a href="javascript:alert(1)">x</a> <a href="data:,x">y</a> <a href="file:///z">z</a>', "x y z"),
    ('<a href="mailto:a@b.example">write</a>', "write (mailto:a@b.example)"),
    ('<a href="http://[">x</a> <a href="\nhttp:\n//e.example ">y</a>', "x y (http://e.example)"),
    ('<base href="https://e.example/"><base href="/x/"><a href="y">z</a>', "z (https://e.example/y)"),
    ("<a href=c>x<a href=d>y</a>", "x (BASE/a/c)y (BASE/a/d)"),
    ('<base href="https://e.example/x/"><a href="y">z</a>', "z (https://e.example/x/y)"),
    ("1 < 2 && 3 &gt; 2 &lt;b&gt; &copy; &#65;&#x42; &nbsp;| a&nbsp;b", "1 < 2 && 3 > 2 <b> \xa9 AB | a b"),
    ("&unknown; &#0; &#xD800; &#99999999999999; &", "&unknown; \ufffd \ufffd \ufffd &"),
    # what a reader does not see
    ("a<script>b < c; '</p>'</script>d<style>e</style><noscript>f</noscript>", "adf"),
    ("a<!-- b --><!-->c<!--->d<!-- <p> -- > --!>e<!doctype x><?php f ?>g</>h</ i>", "acdegh"),
    ("a<template><p>b</p></template><textarea><b>c</textarea><select><option>d</select>e", "ae"),
    ("a<svg><title>b</title><text>c</text></svg><iframe>d</iframe><object>e</object>f", "af"),
    (
        "<div hidden>a<div>b</div>c</div>d<span aria-hidden=TRUE>e</span><dialog>f</dialog><dialog open>g</dialog>",
        "d\ng",
    ),
    ("<p style='color:red; Display : NONE'>a<p style='visibility:hidden'>b<p style=opacity:0>c<p>d", "d"),
    ("<p style='font-size:0px'>a<p style='opacity:0.0'>b<p style='opacity:0.5'>c<p style='font-size:.9em'>d", "c\n\nd"),
    ("<p hidden>a<p>b<ul><li hidden>c<li>d</ul><img hidden alt=e>", "b\n\n- d"),
    # what is not closed, or closed too often
    ("<b>a</i>b</p></div></table>c", "abc"),
    ("<ul><li>a</div></ul>b", "- a\n\nb"),
    ("a<p", "a"),
    ("a<p title='b>c", "a"),
    ("a<p title=\"b'>c", "a"),
    ("a<script>b", "a"),
    ("a<!-- b", "a"),
    ("a<", "a<"),
    ("a</", "a"),
    ("a<p title=a'b\"c>d", "a\n\nd"),
    ("<p/title='x'/hidden>a<p / >b<p title=x/hidden>c", "b\n\nc"),
    ("<P HIDDEN>a</P><DIV>b</DIV>", "b"),
    ("<title>x</title><h1>a", "# a"),
]


@pytest.mark.parametrize(("page", "text"), HTML)
def test_html_becomes_what_a_reader_sees(server: Server, page: str, text: str) -> None:
    """Laid out in lines, with where links lead; without what is not shown; read as browsers read what is not closed."""
    assert read(server, page.encode())[1].replace(server.url("").rstrip("/"), "BASE") == text


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<title> A &amp;\n B </title><title>C</title>", "A & B"),
        ("<svg><title>A</title></svg><title>B</title>", "B"),
        ("<TITLE>A<b>c</TITLE>", "A<b>c"),
        ("<p>x", ""),
        ("<title>a\u202eb\u200b\x1b[31mc</title>", "ab[31mc"),
        (f"<title>{'x' * 1000}</title>", "x" * 300),
    ],
)
def test_a_page_has_one_title(server: Server, page: str, title: str) -> None:
    """In one line, of a bearable length."""
    assert read(server, page.encode())[0] == title


LETTERS = [
    # bytes, what the header says, what they mean
    ("grün".encode(), "text/html; charset=utf-8", "grün"),
    ("grün".encode(), "text/html", "grün"),
    ("grün".encode("latin-1"), "text/html", "grün"),
    ("grün \u20ac".encode("cp1252"), "text/html; charset=ISO-8859-1", "grün \u20ac"),
    ("\u0437\u0430".encode("cp1251"), 'text/html; Charset="windows-1251"', "\u0437\u0430"),
    ("\u0437\u0430".encode("koi8-r"), "text/html;charset=KOI8-R;x=y", "\u0437\u0430"),
    ("\u65e5\u672c".encode("shift_jis"), "text/html; charset=Shift_JIS", "\u65e5\u672c"),
    ("\u65e5\u672c".encode("euc_jp"), "text/html; charset=euc-jp", "\u65e5\u672c"),
    ("\u4e2d\u6587".encode("gb18030"), "text/html; charset=gb2312", "\u4e2d\u6587"),
    ("\u4e2d\u6587".encode("big5"), "text/plain; charset=big5", "\u4e2d\u6587"),
    ("\ud55c".encode("euc_kr"), "text/html; charset=euc-kr", "\ud55c"),
    (b'<meta charset="windows-1251">' + "\u0437".encode("cp1251"), "text/html", "\u0437"),
    (b"<META content='text/html; charset=windows-1251'>" + "\u0437".encode("cp1251"), "text/html", "\u0437"),
    (b"<meta charset=utf-16>" + "grün".encode(), "text/html", "grün"),
    (b"<meta charset=latin1>" + "grün".encode(), "text/html; charset=utf-8", "grün"),
    (b'<?xml version="1.0" encoding="koi8-r"?>' + "\u0437".encode("koi8-r"), "text/html", "\u0437"),
    ("\ufeffgrün".encode(), "text/html; charset=latin-1", "grün"),
    ("\ufeffgrün".encode("utf-16-le"), "text/html; charset=utf-8", "grün"),
    ("\ufeffgrün".encode("utf-16-be"), "text/html", "grün"),
    ("grün".encode("utf-16-le"), "text/html; charset=utf-16le", "grün"),
    (b"a\xffb", "text/html; charset=utf-8", "a\ufffdb"),
    (b"a\xffb\x81", "text/html", "a\xffb\ufffd"),
    ("grün".encode(), "text/html; charset=no-such", "grün"),
    *(
        ("grün &#80;".encode(), f"text/html; charset={codec}", "grün P")
        for codec in ("rot13", "zip", "hex", "punycode", "idna", "utf-7", "unicode_escape", "undefined", "../x", "\xff")
    ),
]


@pytest.mark.parametrize(("page", "kind", "text"), LETTERS)
def test_letters_are_read_in_the_right_charset(server: Server, page: bytes, kind: str, text: str) -> None:
    """By the mark in front, the header, what the page says, or a guess; never by a codec that does something else."""
    assert read(server, page, kind)[1] == text


VISIBLE_FORMAT = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "text/plain; charset=utf-8"])
def test_what_nobody_sees_is_not_read(server: Server, kind: str) -> None:
    """No control, format, half or filler character reaches the model, so no text can be hidden in them or turned."""
    unseen = [
        c
        for c in map(chr, range(1, sys.maxunicode + 1))
        if (unicodedata.category(c) in ("Cc", "Cf") and c not in VISIBLE_FORMAT)
        or 0xFE00 <= ord(c) <= 0xFE0F
        or 0xE0000 <= ord(c) <= 0xE0FFF
        or c in "\u034f\u115f\u1160\u17b4\u17b5\u180b\u3164\uffa0"
    ]
    breaks = "\t\n\r\x0b\x0c\x85"
    page = "a" + "".join(c for c in unseen if c not in breaks) + "b"
    assert read(server, page.encode(), kind)[1] == "ab"
    if "html" in kind:
        page = "a" + "".join(f"&#{ord(c)};" for c in unseen if c not in breaks and not 127 < ord(c) < 160) + "b"
        assert read(server, page.encode(), kind)[1] == "ab"
    assert read(server, b"a\r\nb\rc\xc2\x85d\xe2\x80\xa8e", "text/plain; charset=utf-8")[1] == "a\nb\nc\nd\ne"


N, M = 100_000, 30_000
TORTURE = {
    "deep": ("<div>" * N + "x", "x"),
    "deep and closed": ("<b><p>" * M + "x" + "</p></b>" * M, "x"),
    "closed only": ("</div>" * N + "x", "x"),
    "wrongly closed": ("<i>" * M + "</b>" * M + "x", "x"),
    "hidden and deep": ("<div hidden>" * M + "y" + "</div>" * M + "x", "x"),
    "deep lists": ("<ul><li>" * M + "x", None),
    "deep tables": ("<table><tr><td>" * M + "x", None),
    "links in tables": ("<table><a href=c>x" * M, None),
    "a long attribute": (f"<p title='{'y' * 10 * N}'>x", "x"),
    "a long value without quotes": (f"<p title={'y' * 10 * N}>x", "x"),
    "a long link": (f"<a href='{'y' * 10 * N}'>x</a>", "x"),
    "many attributes": (f"<p {'y=z ' * 2 * N}>x", "x"),
    "a long name": (f"<{'y' * 10 * N}>x", "x"),
    "an open quote": ("x" + "<a b='" * N, "x"),
    "open tags": ("x" + "<a b" * N, "x"),
    "spaces in a tag": (f"<p{' ' * 10 * N}=>x", "x"),
    "spaces and equals": (f"<p {'a = ' * 2 * N}>x", "x"),
    "open comments": ("x" + "<!--" * N, "x"),
    "open scripts": ("x" + "<script>" * N, "x"),
    "nearly closed scripts": ("x<script>" + "</scrip" * N, "x"),
    "open declarations": ("x" + "<![CDATA[" * N, "x"),
    "less than": ("<" * N, "<" * N),
    "ampersands": ("&" * 10 * N, "&" * 10 * N),
    "a long number": ("&#" + "9" * 10 * N + ";x", "\ufffdx"),
    "a long hexadecimal number": ("&#x" + "f" * 10 * N + ";x", "\ufffdx"),
    "a long entity": ("&" + "y" * 10 * N, "&" + "y" * 10 * N),
    "many numbers": ("&#8203;" * N + "x", "x"),
    "spaces": ("<pre>" + " " * 10 * N + "x", None),
    "line ends": ("<pre>" + "\n" * 10 * N + "x", None),
    "breaks": ("x" + "<br>" * N + "x", "x\n\nx"),
    "styles": (f"<p style='{'display ' * N}'>x", "x"),
    "zeros in styles": ("<p style='" + ("opacity:" + "0" * 1900 + "1") + "'>" * 1 + "x" * 1, "x"),
    "many zeros in styles": (("<i style='opacity:" + "0" * 1900 + "1'>") * 500 + "x", "x"),
    "items": ("<li>" * M + "x", "- x"),
    "cells": ("<td>" * M + "x", None),
    "titles": ("<title>" * N + "x", ""),
    "far away": ("<p><button>" + "<b>" * M + "<hr hidden><div></div>" * M + "x", "x"),
    "NULs later": ("x" * 5000 + "\0" * N, "x" * 5000),
}


@pytest.mark.parametrize("name", TORTURE)
def test_no_page_takes_long(server: Server, name: str) -> None:
    """Each is read in a moment, where a reader that goes back over what it has read would take for ever."""
    page, text = TORTURE[name]
    got = read(server, page.encode())[1]
    assert "x" in got if text is None else got == text


def test_links_do_not_make_a_page_far_longer(server: Server) -> None:
    """What a page says once about all its links is not repeated for ever in what the model reads."""
    page = f"<base href='https://e.example/{'a/' * 900}'>" + "<a href=x>k</a>" * N
    text = read(server, page.encode())[1]
    assert text.startswith("k (https://e.example/a/a/")
    assert text.endswith("kkkk")
    assert len(text) < 2_000_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from([*"<>/='\"!-& \n", *"abp", "<p>", "</p>", "<a href=", "<!--", "-->", "<td>", "<tr>",
                                 "<li>", "</ul>", "<pre>", "<script>", "</script>", " hidden", "&#", ";", "\ud800"[:0],
                                 "<title>", "<br>", "<table>", "<ol>", "</a>"]), max_size=60).map("".join))  # fmt: skip
def test_every_page_is_read(server: Server, page: str) -> None:
    """Whatever tags are made of, a model gets text, and reading it again gives the same."""
    title, text = read(server, page.encode())
    assert (title, text) == read(server, page.encode())
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in (title + text).replace("\n", ""))
    assert "\n\n\n" not in text


@given(
    st.binary(max_size=60), st.sampled_from(["", "utf-8", "utf-16", "shift_jis", "gb18030", "euc-kr", "iso-2022-jp"])
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_all_bytes_are_read(server: Server, page: bytes, charset: str) -> None:
    """Whatever is called HTML in some charset is text, or is refused in words."""
    kind = f"text/html; charset={charset}"
    if b"\0" not in page:
        assert "\ud800" not in read(server, page, kind)[1]
