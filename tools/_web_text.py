"""Bytes to text: in which letters a page is written, and which of them nobody sees."""

import codecs
import re
from collections.abc import Mapping

# What a reader does not see: control, format and filler characters, those that turn the direction of writing, and
# variation selectors and tags, in which whole messages can be hidden.
_INVISIBLE = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_DECLARED = re.compile(
    rb"""<meta[^>]{0,500}?charset\s{0,9}=\s{0,9}["']?\s{0,9}([\w.:-]{1,40})|<\?xml[^>]{0,200}?encoding=["']([\w.:-]{1,40})""",
    re.IGNORECASE,
)
_WHERE_DECLARED = 1024
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# As browsers read these names; a name that is not here is not looked up, since Python's codecs do other things too.
_CHARSETS: Mapping[str, str] = {
    **{f"iso8859{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{f"windows{n}": f"cp{n}" for n in (874, *range(1250, 1259))},
    **{f"cp{n}": f"cp{n}" for n in (866, *range(1250, 1259))},
    **dict.fromkeys(["utf8", "unicode11utf8"], "utf-8"),
    **dict.fromkeys(["utf16", "utf16le"], "utf-16-le"),
    "utf16be": "utf-16-be",
    **dict.fromkeys(["iso88591", "latin1", "ascii", "usascii"], "cp1252"),
    **dict.fromkeys(["iso88599", "latin5"], "cp1254"),
    **dict.fromkeys(["iso885911", "tis620"], "cp874"),
    **dict.fromkeys(["gb2312", "gbk", "gb18030"], "gb18030"),
    **dict.fromkeys(["big5", "big5hkscs"], "big5hkscs"),
    **dict.fromkeys(["shiftjis", "sjis", "xsjis", "windows31j", "mskanji"], "cp932"),
    **dict.fromkeys(["euckr", "ksc56011987", "windows949"], "cp949"),
    "eucjp": "euc_jp",
    "iso2022jp": "iso2022_jp",
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
    "macintosh": "mac_roman",
    "xmaccyrillic": "mac_cyrillic",
    "ibm866": "cp866",
}


def decoded(data: bytes, charset: str) -> str:
    """Bytes as text: by the mark in front of them, the name in the header, what they say of themselves, or a guess."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    encoding = _encoding(charset)
    if not encoding and (declared := _DECLARED.search(data, 0, _WHERE_DECLARED)):
        encoding = _encoding((declared[1] or declared[2]).decode("ascii"))
        encoding = "utf-8" if encoding.startswith("utf-16") else encoding  # it could not have been read
    if encoding:
        return data.decode(encoding, "replace")
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data)  # it may have been cut in the middle of a letter
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _encoding(charset: str) -> str:
    """Python's name for a charset; nothing if it is not known."""
    return _CHARSETS.get(re.sub("[^a-z0-9]", "", charset.lower()), "")


def cleaned(text: str) -> str:
    """Text without what a reader does not see, with line ends of one kind."""
    return _INVISIBLE.sub("", LINE_ENDS.sub("\n", text)).replace("\xa0", " ")
