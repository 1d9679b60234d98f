"""Rows of a struct in a MATLAB file of version 5, as the devkits hold their classes, and matrices of bytes.

SciPy reads far more, but it believes the sizes that a file declares: 600 bytes can make it ask for 16 GB. Here nothing
is allocated by a declared size. After MathWorks, MAT-File Format, "Level 5 MAT-File Format".
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MOST_UNZIPPED_BYTES = 20_000_000  # of one variable; the real meta.mat unpacks to about a megabyte
MOST_CELLS = 1_000_000  # rows by fields; the real one has 1,860 by 8
HEADER_BYTES, LITTLE_ENDIAN_5 = 128, b"\x00\x01IM"
MATRIX, COMPRESSED, STRUCT, CHARACTERS, UINT8 = 14, 15, 2, 4, 2
NUMBERS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d", 12: "q", 13: "Q"}
TEXTS = {1: "utf-8", 2: "utf-8", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le"}

Cell = int | float | str | None  # None for whatever is neither one number nor text


def read_structs(data: bytes, name: str) -> list[dict[str, Cell]]:
    """The rows of the struct of this name, each with its fields. Raises ValueError if it is not there or damaged."""
    for found, form, _, parts in _variables(data):
        if found == name and form == STRUCT:
            return _rows(parts)
    raise ValueError(f"it has no struct {name}")


def read_matrix(data: bytes, name: str) -> NDArray[np.uint8] | None:
    """The matrix of bytes of this name, as many dimensions as it has, or None. Raises ValueError if it is damaged."""
    for found, _, sizes, parts in _variables(data):
        if found == name:
            kind, values = _next(parts)
            if kind != UINT8:
                raise ValueError(f"its {name} is not of bytes")
            return np.frombuffer(values, dtype=np.uint8).reshape(sizes, order="F").copy()
    return None


def _variables(data: bytes) -> Iterator[tuple[str, int, tuple[int, ...], Iterator[tuple[int, bytes]]]]:
    """Name, class, sizes and further elements of each variable."""
    if data[HEADER_BYTES - 4 : HEADER_BYTES] != LITTLE_ENDIAN_5:
        raise ValueError("it is no MATLAB file of version 5")
    for kind, body in _elements(data[HEADER_BYTES:]):
        unpacked = next(_elements(_unzip(body)), (0, b"")) if kind == COMPRESSED else (kind, body)
        if unpacked[0] == MATRIX:
            parts = _elements(unpacked[1])
            (_, flags), (_, sizes), (_, name) = _next(parts), _next(parts), _next(parts)
            if not flags or len(sizes) % 4:
                raise ValueError("it is cut short")
            yield name.decode(), flags[0], struct.unpack(f"<{len(sizes) // 4}i", sizes), parts


def _rows(parts: Iterator[tuple[int, bytes]]) -> list[dict[str, Cell]]:
    """Field names of a fixed length, then the cells row by row."""
    width = _number(*_next(parts))
    _, text = _next(parts)
    if not isinstance(width, int) or not 0 < width <= len(text) <= 100 * width:
        raise ValueError("its struct has no field names")
    names = [text[at : at + width].partition(b"\0")[0].decode() for at in range(0, len(text), width)]
    cells: list[Cell] = []
    for _, body in parts:
        if len(cells) == MOST_CELLS:
            raise ValueError(f"its struct has more than {MOST_CELLS:,} cells")
        cells.append(_cell(body))
    return [dict(zip(names, cells[at : at + len(names)], strict=True)) for at in range(0, len(cells), len(names))]


def _cell(body: bytes) -> Cell:
    """One number or one text."""
    if not body:
        return None
    parts = _elements(body)
    (_, flags), _, _ = _next(parts), _next(parts), _next(parts)
    kind, data = next(parts, (0, b""))
    if flags[:1] == bytes([CHARACTERS]):
        return data.decode(TEXTS[kind]) if kind in TEXTS else None
    return _number(kind, data)


def _number(kind: int, data: bytes) -> int | float | None:
    form = NUMBERS.get(kind)
    if form is None or len(data) != struct.calcsize(form):
        return None
    number: int | float = struct.unpack(f"<{form}", data)[0]
    return number


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each element; up to four bytes stand in the tag itself."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise ValueError("it is cut short")
        kind, size = struct.unpack_from("<II", data, at)
        start = at + 8
        at = start + size
        if kind >> 16:
            kind, size, start, at = kind & 0xFFFF, kind >> 16, start - 4, start
        elif kind != COMPRESSED:
            at += -size % 8
        if start + size > min(at, len(data)):
            raise ValueError("it is cut short")
        yield kind, data[start : start + size]


def _next(parts: Iterator[tuple[int, bytes]]) -> tuple[int, bytes]:
    found = next(parts, None)
    if found is None:
        raise ValueError("it is cut short")
    return found


def _unzip(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(data, MOST_UNZIPPED_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not stream.eof:
        raise ValueError(f"a variable is cut short or has more than {MOST_UNZIPPED_BYTES:,} bytes")
    return unpacked
