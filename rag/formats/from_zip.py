"""A ZIP archive -> its members, one at a time, whatever its headers claim of their sizes."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO

from rag.errors import UnreadableFile
from rag.formats.encodings import is_plausible

MAX_MEMBERS = 20_000
MAX_TOTAL = 1024 * 1024 * 1024  # bytes unpacked from one archive
_END, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x07"
# The others unpack all that they are given at once, whatever is asked of them.
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MAX_DIRECTORY = 200 * MAX_MEMBERS  # bytes of the list of members


class Archive:
    """An archive that is open.

    Raises:
        UnreadableFile: if it is damaged or lists too many members.
    """

    def __init__(self, file: IO[bytes]) -> None:
        _check_directory(file)
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as exc:
            raise UnreadableFile("is a damaged ZIP file; download or pack it again.") from exc
        self._left = MAX_TOTAL

    def names(self) -> list[str]:
        """The members' names as the archive has them."""
        return self._zip.namelist()

    def members(self) -> Iterator[zipfile.ZipInfo]:
        """The files in it, folders, hidden files and what macOS adds left out."""
        for info in self._zip.infolist():
            parts = PurePosixPath(info.filename).parts
            hidden = any(part.startswith(".") and part != ".." for part in parts)
            if not info.is_dir() and not hidden and "__MACOSX" not in parts:
                yield info

    def read(self, info: zipfile.ZipInfo, most: int) -> bytes:
        """The content of a member of at most `most` bytes.

        Raises:
            UnreadableFile: if it is longer, locked, damaged, or the archive unpacks to too much.
        """
        if info.flag_bits & 1:
            raise UnreadableFile("is locked by a password; unpack the archive and ingest that.")
        if info.compress_type not in _BOUNDED:
            raise UnreadableFile("is packed in a way that isn't supported; use a plain .zip.")
        try:
            with self._zip.open(info) as member:
                content = member.read(min(most, self._left) + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError) as exc:
            raise UnreadableFile("is damaged inside its ZIP file; pack it again.") from exc
        except (RuntimeError, NotImplementedError) as exc:
            raise UnreadableFile(
                "is packed in a way that isn't supported; use a plain .zip."
            ) from exc
        self._left -= len(content)
        if self._left < 0:
            raise UnreadableFile("is in a ZIP file that unpacks to over 1 GB; unpack it yourself.")
        if len(content) > most:
            raise UnreadableFile(f"is larger than {most // 1024 // 1024} MB; split it into pages.")
        return content


def printable_name(info: zipfile.ZipInfo) -> str:
    """A member's name; Chinese systems write GBK where the format says code page 437."""
    if not info.flag_bits & 0x800:
        try:
            name = info.filename.encode("cp437").decode("gbk")
        except UnicodeError:
            return info.filename
        if is_plausible(name):
            return name
    return info.filename


def _check_directory(file: IO[bytes]) -> None:
    """Refuses a list of members so long that reading it would take all memory."""
    file.seek(0, 2)
    size = file.tell()
    file.seek(max(0, size - 65_557))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or at + 22 > len(tail):
        raise UnreadableFile("is a damaged ZIP file; download or pack it again.")
    _, count, length = struct.unpack("<HHI", tail[at + 8 : at + 16])
    is_64 = tail[max(0, at - 20) : at].startswith(_LOCATOR_64)  # the true numbers are elsewhere
    if is_64 or length > _MAX_DIRECTORY or count > MAX_MEMBERS:
        raise UnreadableFile(
            f"lists over {MAX_MEMBERS:,} files, or is over 4 GB; unpack it yourself."
        )
    file.seek(0)
