"""TFRecord files of ``tf.train.Example`` messages, read without TensorFlow.

A record is a length (8 bytes, little-endian), the masked crc32c of those bytes, the message, and its own masked crc32c
(the format that TensorFlow documents). The message is a protocol buffer: a map from names to lists of bytes, floats
or integers. Every checksum is compared, every length believed only if the bytes are there.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.datasets.labelled import ViewsRefused

Value = bytes | NDArray[np.float32] | NDArray[np.int64]
TOGETHER = 256  # records whose checksums are summed at once


@lru_cache(maxsize=1)
def _table() -> NDArray[np.uint32]:
    """The crc of each byte under the Castagnoli polynomial, reflected."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ (np.uint32(0x82F63B78) * (table & np.uint32(1)))
    return table


def masked_crc32c(messages: Sequence[bytes]) -> NDArray[np.uint32]:
    """The checksum of each message as TensorFlow stores it, (n,): all of them byte by byte at once."""
    table = _table()
    lengths = np.array([len(m) for m in messages], dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    crc = np.full(len(messages), 0xFFFFFFFF, dtype=np.uint32)
    rows = np.zeros((int(lengths.max(initial=0)), len(messages)), dtype=np.uint8)
    for column, index in enumerate(order):
        rows[: lengths[index], column] = np.frombuffer(messages[index], dtype=np.uint8)
    longer = np.searchsorted(-lengths[order], -np.arange(len(rows)), side="left")  # how many have a byte here
    for row, count in zip(rows, longer, strict=True):
        part = crc[:count]
        crc[:count] = table[(part ^ row[:count]) & np.uint32(0xFF)] ^ (part >> np.uint32(8))
    crc ^= np.uint32(0xFFFFFFFF)
    masked = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)
    result = np.empty_like(masked)
    result[order] = masked
    return result


def read_records(path: Path) -> list[bytes]:
    """The messages of a file, in order.

    Raises
    ------
    ViewsRefused
        The file is cut short, or a checksum differs; the line names the record.
    """
    data = Path(path).read_bytes()
    messages: list[bytes] = []
    sums: list[int] = []
    at = 0
    while at < len(data):
        number = len(messages) + 1
        if at + 12 > len(data):
            raise ViewsRefused(f"{path}: is cut short in the head of record {number}")
        head = data[at : at + 8]
        if masked_crc32c([head])[0] != struct.unpack_from("<I", data, at + 8)[0]:
            raise ViewsRefused(f"{path}: the length of record {number} is damaged (its checksum differs)")
        (length,) = struct.unpack("<Q", head)
        if length > len(data) - at - 16:
            raise ViewsRefused(f"{path}: is cut short in record {number}, which should have {length} bytes")
        messages.append(data[at + 12 : at + 12 + length])
        sums.append(struct.unpack_from("<I", data, at + 12 + length)[0])
        at += 16 + length
    for first in range(0, len(messages), TOGETHER):
        wrong = masked_crc32c(messages[first : first + TOGETHER]) != np.array(
            sums[first : first + TOGETHER], dtype=np.uint32
        )
        if wrong.any():
            raise ViewsRefused(f"{path}: record {first + int(wrong.argmax()) + 1} is damaged (its checksum differs)")
    return messages


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number that does not end")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Number and content of each field of a message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of unknown kind {kind}")
        if at + length > len(data):
            raise ValueError("a field longer than its message")
        yield key >> 3, data[at : at + length]
        at += length


def _signed(value: int) -> int:
    if value >= 1 << 64:
        raise ValueError("an integer of more than 64 bits")
    return value - (1 << 64) if value >= 1 << 63 else value


def _numbers(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield _signed(value)


def _value(feature: bytes) -> Value | list[bytes]:
    """The list of one feature: packed or not, as any writer may have it."""
    result: Value | list[bytes] = []
    for kind, content in _fields(feature):
        if not isinstance(content, bytes):
            raise ValueError("a list that is a number")
        parts = [part for number, part in _fields(content) if number == 1]
        if kind == 1:
            if not all(isinstance(part, bytes) for part in parts):
                raise ValueError("a text that is a number")
            result = [part for part in parts if isinstance(part, bytes)]
        elif kind == 2:
            if any(isinstance(part, int) or len(part) % 4 for part in parts):
                raise ValueError("floats that are not of 4 bytes each")
            result = np.frombuffer(b"".join(part for part in parts if isinstance(part, bytes)), dtype="<f4")
        elif kind == 3:
            each = [[_signed(part)] if isinstance(part, int) else list(_numbers(part)) for part in parts]
            result = np.array([value for some in each for value in some], dtype=np.int64)
        else:
            raise ValueError(f"a list of unknown kind {kind}")
    return result


def parse_example(message: bytes) -> dict[str, Value | list[bytes]]:
    """The features of one ``tf.train.Example``: floats, integers, or bytes, a list each.

    Raises
    ------
    ValueError
        If it is no such message.
    """
    found: dict[str, Value | list[bytes]] = {}
    for number, features in _fields(message):
        if number != 1 or not isinstance(features, bytes):
            raise ValueError("not an Example")
        for inner, entry in _fields(features):
            if inner != 1 or not isinstance(entry, bytes):
                raise ValueError("not a map of features")
            pair = dict(_fields(entry))
            name, feature = pair.get(1), pair.get(2)
            if not isinstance(name, bytes) or not isinstance(feature, bytes):
                raise ValueError("a feature without name or value")
            found[name.decode()] = _value(feature)
    return found


def first_features(path: Path) -> dict[str, Value | list[bytes]]:
    """The features of the first record of a file, unchecked: to tell what the file is; none if it is none."""
    with open(path, "rb") as data:
        head = data.read(12)
        if len(head) < 12:
            return {}
        (length,) = struct.unpack_from("<Q", head)
        if length > 2**24 or masked_crc32c([head[:8]])[0] != struct.unpack_from("<I", head, 8)[0]:
            return {}
        try:
            return parse_example(data.read(length))
        except ValueError:
            return {}


def read_columns(paths: Sequence[Path]) -> dict[str, NDArray]:
    """All records of all files as columns: (n,) numbers or words, (n, m) lists.

    Raises
    ------
    ViewsRefused
        A file is damaged, a message is no Example, or the records differ in their features or lengths.
    """
    rows: list[dict[str, Value | list[bytes]]] = []
    for path in paths:
        for number, message in enumerate(read_records(path), start=1):
            try:
                rows.append(parse_example(message))
            except ValueError as error:  # a name that is no text is one too
                raise ViewsRefused(f"{path}: record {number} is no tf.train.Example ({error})") from error
            odd = set(rows[-1]) ^ set(rows[0])
            if odd:
                raise ViewsRefused(f"{path}: record {number} differs from the first in {', '.join(sorted(odd))}")
    if not rows:
        raise ViewsRefused(f"{', '.join(map(str, paths)) or 'no file'}: no record is there")
    columns: dict[str, NDArray] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if len({len(value) for value in values}) != 1 or not len(values[0]):
            raise ViewsRefused(f"{paths[0]}: the lists of {name} are empty or differ in length")
        if all(isinstance(value, list) for value in values):
            try:
                array = np.array([[part.decode() for part in value] for value in values])  # type: ignore[union-attr]
            except UnicodeDecodeError:
                raise ViewsRefused(f"{paths[0]}: {name} holds bytes that are no text") from None
        else:
            array = np.stack([np.asarray(value) for value in values])
        columns[name] = array[:, 0] if array.shape[1] == 1 else array
    return columns
