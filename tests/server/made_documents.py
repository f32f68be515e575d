"""Documents for tests, byte by byte, so that it is known what is in them."""

import io
import zipfile

import docx


def pdf(*pages: str) -> bytes:
    """A PDF with a line of text on each page."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for n, said in enumerate(pages):
        stream = f"BT /F1 12 Tf 40 700 Td ({said}) Tj ET".encode()
        parts = (
            f"/Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * n} 0 R"
        )
        objects.append(f"<< /Type /Page {parts} >>".encode())
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    written = bytearray(b"%PDF-1.4\n")
    places = []
    for number, each in enumerate(objects, start=1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(written))
    return bytes(written) + b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table) + end


def word(heading: str, paragraph: str, *cells: str) -> bytes:
    """A Word document with a heading, a paragraph, and a table of one row."""
    document = docx.Document()
    document.add_heading(heading)
    document.add_paragraph(paragraph)
    if cells:
        row = document.add_table(rows=1, cols=len(cells)).rows[0]
        for cell, said in zip(row.cells, cells, strict=True):
            cell.text = said
    kept = io.BytesIO()
    document.save(kept)
    return kept.getvalue()


def bomb() -> bytes:
    """A Word document of a few hundred kilobytes that would be 300 megabytes once it is unpacked."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("word/document.xml", "w") as inside:
        for _ in range(300):
            inside.write(bytes(2**20))
    return kept.getvalue()
