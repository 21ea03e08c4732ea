"""Models in the ONNX format as bytes: a graph of nodes whose weights stay in another file.

ONNX is written in protocol buffers, of which a graph takes a few fields.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

FLOAT, INT64, FLOAT16, BFLOAT16 = 1, 7, 10, 16
"""Types of tensors, by the numbers that ONNX gives them."""

_IR_VERSION = 8
_OPSET = 17
_EXTERNAL = 1
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_INTS = 1, 2, 7

Value = int | float | Sequence[int]


@dataclass
class OnnxGraph:
    """A graph that is being written.

    Attributes:
        inputs: Names of its inputs, tensors of whole numbers with the axes `texts` and `tokens`.
    """

    inputs: Sequence[str]
    _nodes: list[bytes] = field(default_factory=list)
    _weights: list[bytes] = field(default_factory=list)

    def node(self, kind: str, *inputs: str, **attributes: Value) -> str:
        """Add a node and return the name of what it gives."""
        output = f"{kind}_{len(self._nodes)}"
        message = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)
        for name, value in attributes.items():
            message += _field(5, _attribute(name, value))
        self._nodes.append(message)
        return output

    def numbers(self, name: str, values: Sequence[int]) -> str:
        """Add a list of whole numbers and return its name."""
        message = _field(1, len(values)) + _field(2, INT64) + _field(8, name)
        self._weights.append(message + _field(9, struct.pack(f"<{len(values)}q", *values)))
        return name

    def number(self, name: str, value: float) -> str:
        """Add a number and return its name."""
        self._weights.append(_field(2, FLOAT) + _field(8, name) + _field(9, struct.pack("<f", value)))
        return name

    def weights(self, name: str, kind: int, shape: Sequence[int], file: str, place: tuple[int, int]) -> str:
        """Add weights that stand in a file, and return their name.

        Args:
            name: What they are called.
            kind: The type of their numbers.
            shape: Their shape.
            file: The file's name.
            place: Where they begin there, and how many bytes they have.
        """
        entries = {"location": file, "offset": str(place[0]), "length": str(place[1])}
        message = b"".join(_field(1, size) for size in shape) + _field(2, kind) + _field(8, name)
        message += b"".join(_field(13, _field(1, key) + _field(2, value)) for key, value in entries.items())
        self._weights.append(message + _field(14, _EXTERNAL))
        return name

    def model(self, output: str, axes: Sequence[str]) -> bytes:
        """Return the model that gives one of the nodes' outputs, which has these axes."""
        graph = b"".join(_field(1, node) for node in self._nodes) + _field(2, "graph")
        graph += b"".join(_field(5, weights) for weights in self._weights)
        for name in self.inputs:
            graph += _field(11, _tensor(name, INT64, "texts", "tokens"))
        graph += _field(12, _tensor(output, FLOAT, *axes))
        return _field(1, _IR_VERSION) + _field(7, graph) + _field(8, _field(1, "") + _field(2, _OPSET))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    number &= 0xFFFF_FFFF_FFFF_FFFF  # negative ones are written as 64 bits
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _attribute(name: str, value: Value) -> bytes:
    message = _field(1, name)
    if isinstance(value, int):
        return message + _field(3, value) + _field(20, _ATTRIBUTE_INT)
    if isinstance(value, float):
        return message + _varint(2 << 3 | 5) + struct.pack("<f", value) + _field(20, _ATTRIBUTE_FLOAT)
    numbers = b"".join(_field(8, number) for number in value)
    return message + numbers + _field(20, _ATTRIBUTE_INTS)


def _tensor(name: str, kind: int, *axes: str) -> bytes:
    shape = b"".join(_field(1, _field(2, axis)) for axis in axes)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))
