"""Files that hold no page, or more than one wants to read: truncated, locked, bombs, liars."""

import gzip
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import docx
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

PAGE = "河边新修了一座桥\n\n桥长三百米，昨天通车，两岸的孩子上学不用再坐船。\n"
ROW = {"id": "a", "title": "新桥通车", "text": "桥长三百米。"}
_MEGABYTE = 1024 * 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
_PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def make(folder: Path) -> list[Path]:
    """Writes them all; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in FILES.items():
        path = folder / name
        with path.open("wb") as file:
            made = content() if callable(content) else content
            for piece in made if isinstance(made, list) else [made]:
                file.write(piece)
        paths.append(path)
    return paths


def _noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def _lines(*rows: object) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=True) for row in rows).encode()


# --- PDF -----------------------------------------------------------------------------------------


def _pdf(pages: int = 1, encrypt: StandardEncryption | None = None, picture: bool = False) -> bytes:
    written = io.BytesIO()
    canvas = Canvas(written, encrypt=encrypt)
    for _ in range(pages):
        if picture:
            image = Image.new("L", (200, 200), 200)
            canvas.drawImage(ImageReader(image), 50, 50, 400, 600)
        else:
            canvas.drawString(50, 700, "The new bridge opened yesterday.")
        canvas.showPage()
    canvas.save()
    return written.getvalue()


def _pdf_of(packed: bytes, kids: bytes = b"[3 0 R]") -> bytes:
    """A PDF by hand, with one content stream, which is packed already."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids " + kids + b" /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(packed) + packed + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % at for at in places)
    out += b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % start
    return bytes(out)


def _pdf_stream_bomb() -> bytes:
    """700 MB of spaces in some kilobytes."""
    packer = zlib.compressobj(1)
    megabytes = [packer.compress(b" " * _MEGABYTE) for _ in range(700)]
    return _pdf_of(b"".join(megabytes) + packer.flush())


# --- ZIP and Word --------------------------------------------------------------------------------


def _zip(members: dict[str, bytes], spaces: tuple[str, int] = ("", 0)) -> bytes:
    """An archive of some members, and of one that is so many megabytes of spaces."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if spaces[0]:
            with archive.open(spaces[0], "w") as member:
                for _ in range(spaces[1]):
                    member.write(b" " * _MEGABYTE)
    return written.getvalue()


def _zip_locked() -> bytes:
    """As if packed with a password: the bit is set in both headers."""
    content = bytearray(_zip({"page.txt": PAGE.encode()}))
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + at] |= 1
    return bytes(content)


def _zip_with_wrong_sum() -> bytes:
    content = bytearray(_zip({"page.txt": PAGE.encode() * 50}))
    content[60] ^= 0xFF
    return bytes(content)


def _zip_of_many() -> bytes:
    return _zip({f"{i}.png": b"" for i in range(20_100)})


def _zip_with_a_long_list() -> bytes:
    """Says that its list of members is 3 GB long."""
    content = bytearray(_zip({"page.txt": PAGE.encode()}))
    struct.pack_into("<I", content, content.rindex(b"PK\x05\x06") + 12, 3_000_000_000)
    return bytes(content)


def _zip_with_its_list_elsewhere() -> bytes:
    """In the form for more members than a ZIP file can count, which are not in its end record."""
    content = bytearray(_zip({"page.txt": PAGE.encode()}))
    end = content.rindex(b"PK\x05\x06")
    start = struct.unpack_from("<I", content, end + 16)[0]
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, end - start, start)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    return bytes(content[:end] + record + locator + content[end:])


def _zip_packed_otherwise() -> bytes:
    """A bomb in a packing that is unpacked all at once: 200 MB in 300 bytes."""
    written = io.BytesIO()
    with (
        zipfile.ZipFile(written, "w", zipfile.ZIP_BZIP2) as archive,
        archive.open("page.txt", "w") as member,
    ):
        for _ in range(200):
            member.write(bytes(_MEGABYTE))
    return written.getvalue()


def _word() -> bytes:
    written = io.BytesIO()
    document = docx.Document()
    document.add_paragraph(PAGE)
    document.save(written)
    return written.getvalue()


def _word_of(xml: bytes, megabytes: int = 0) -> bytes:
    """A Word file whose text is this XML, or so many megabytes of spaces."""
    with zipfile.ZipFile(io.BytesIO(_word())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = "word/document.xml"
    del members[name]
    return _zip(members, (name, megabytes)) if megabytes else _zip(members | {name: xml})


def _laughs(body: bytes) -> bytes:
    """XML whose entities are ten times one another, nine deep."""
    entities = b'<!ENTITY a0 "ha">' + b"".join(
        b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 10)
    )
    return b'<?xml version="1.0"?><!DOCTYPE w [' + entities + b"]>" + body


def _word_bomb() -> bytes:
    space = b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    text = b"<w:p><w:r><w:t>&a9;</w:t></w:r></w:p>"
    return _word_of(
        _laughs(b'<w:document xmlns:w="' + space + b'"><w:body>' + text + b"</w:body></w:document>")
    )


FILES: dict[str, bytes | Callable[[], bytes | list[bytes]]] = {
    # --- text that is none
    "empty.txt": b"",
    "blank.txt": " \n\t\r\n\u3000".encode(),
    "mark-alone.txt": b"\xef\xbb\xbf",
    "nul.txt": PAGE.encode() + b"\0\1\2",
    "noise.txt": _noise(5_000),
    "noise.md": _noise(5_000, 2),
    "high-noise.txt": bytes(range(128, 256)) * 20,
    "cut-in-a-character.txt": PAGE.encode()[:-3] + b"\xe6",
    "latin-1.txt": "Le préfet a visité l’école rénovée à Sète, où l'été fut rude. ".encode("cp1252")
    * 3
    + b"\xff",
    "cyrillic.txt": ("Новый мост открыт вчера утром. " * 20).encode("koi8-r"),
    "cut-utf-16.txt": b"\xff\xfe\x00",
    "furniture.txt": "第05版\n2023年6月1日 星期四\n".encode(),
    "one-line-of-100-mb.txt": lambda: ["桥".encode() * (_MEGABYTE // 3)] * 100,
    "one-line-of-19-mb.txt": lambda: "桥".encode() * (19 * _MEGABYTE // 3),
    "50000-titles.txt": lambda: "".join(f"第{i}号桥通车了\n" for i in range(50_000)).encode(),
    # --- something else
    "picture.txt": _PNG,
    "photo.txt": b"\xff\xd8\xff\xe0" + bytes(100),
    "drawing.txt": b"GIF89a" + bytes(100),
    "scan.txt": b"II*\x00" + bytes(100),
    "packed.txt": gzip.compress(PAGE.encode()),
    "seven.txt": b"7z\xbc\xaf\x27\x1c" + bytes(100),
    "rar.txt": b"Rar!\x1a\x07\x00" + bytes(100),
    "rich.txt": b"{\\rtf1\\ansi The bridge.}",
    "old-word.txt": _OLE,
    "program.txt": b"\x7fELF" + bytes(500),
    "old-word.docx": _OLE,
    "text.pdf": PAGE.encode(),
    "picture.pdf": _PNG,
    "text.docx": PAGE.encode(),
    "text.zip": PAGE.encode(),
    # --- lines of articles
    "not-json.jsonl": b"{\n",
    "list.jsonl": b"[1, 2]\n",
    "no-text.jsonl": _lines({"id": "a", "title": "t"}),
    "number-for-an-id.jsonl": _lines(ROW | {"id": 7}),
    "null-date.jsonl": _lines(ROW | {"date": None}),
    "blank-text.jsonl": _lines(ROW | {"text": " "}),
    "half-a-pair.jsonl": _lines(ROW | {"text": "\ud800"}),
    "id-twice.jsonl": _lines(ROW, ROW),
    "nested-too-deep.jsonl": b"[" * 100_000,
    "text-of-3-mb.jsonl": lambda: _lines(ROW | {"text": "ab " * _MEGABYTE}),
    "blank.jsonl": b"\n\n",
    # --- PDF
    "truncated.pdf": lambda: _pdf()[:300],
    "head-alone.pdf": b"%PDF-1.7\n",
    "noise.pdf": b"%PDF-1.7\n" + _noise(20_000, 3),
    "locked.pdf": lambda: _pdf(encrypt=StandardEncryption("secret")),
    "pictures.pdf": lambda: _pdf(3, picture=True),
    "stream-bomb.pdf": _pdf_stream_bomb,
    "pages-in-a-circle.pdf": lambda: _pdf_of(zlib.compress(b""), kids=b"[2 0 R]"),
    "2001-pages.pdf": lambda: _pdf(2_001),
    # --- Word
    "truncated.docx": lambda: _word()[:-4_000],
    "no-document.docx": lambda: _zip({"readme.txt": b"x"}),
    "entities.docx": _word_bomb,
    "spaces.docx": lambda: _word_of(b"", 600),
    "broken-xml.docx": lambda: _word_of(b"<w:document>"),
    # --- ZIP
    "truncated.zip": lambda: _zip({"page.txt": PAGE.encode() * 99})[:150],
    "locked.zip": _zip_locked,
    "wrong-sum.zip": _zip_with_wrong_sum,
    "bomb.zip": lambda: _zip({}, ("page.txt", 300)),
    "zip-in-a-zip.zip": lambda: _zip({"inner.zip": _zip({"page.txt": PAGE.encode()})}),
    "nothing-in-it.zip": lambda: _zip({}),
    "pictures.zip": lambda: _zip({"1.png": _PNG}),
    "many.zip": _zip_of_many,
    "long-list.zip": _zip_with_a_long_list,
    "list-elsewhere.zip": _zip_with_its_list_elsewhere,
    "bzip2-bomb.zip": _zip_packed_otherwise,
    "leads-out.zip": lambda: _zip({"../page.txt": PAGE.encode()}),
    "sheet.zip": lambda: _zip({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}),
    # --- HTML
    "menu.html": "<html><body><nav><a href='/'>首页</a></nav></body></html>".encode(),
    "script.html": b"<!doctype html><html><head><script>var a = 1;</script></head></html>",
    "noise.html": _noise(5_000, 4),
    "nested.html": b"<html><body>" + b"<div>" * 200_000,
}
