from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class SeenTrades(_message.Message):
    __slots__ = ("number", "first", "length", "digest", "range_number", "range_first", "range_last", "ranged_bytes")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    RANGE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIRST_FIELD_NUMBER: _ClassVar[int]
    RANGE_LAST_FIELD_NUMBER: _ClassVar[int]
    RANGED_BYTES_FIELD_NUMBER: _ClassVar[int]
    number: _containers.RepeatedScalarFieldContainer[int]
    first: _containers.RepeatedScalarFieldContainer[int]
    length: _containers.RepeatedScalarFieldContainer[int]
    digest: _containers.RepeatedScalarFieldContainer[int]
    range_number: _containers.RepeatedScalarFieldContainer[int]
    range_first: _containers.RepeatedScalarFieldContainer[int]
    range_last: _containers.RepeatedScalarFieldContainer[int]
    ranged_bytes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, number: _Optional[_Iterable[int]] = ..., first: _Optional[_Iterable[int]] = ..., length: _Optional[_Iterable[int]] = ..., digest: _Optional[_Iterable[int]] = ..., range_number: _Optional[_Iterable[int]] = ..., range_first: _Optional[_Iterable[int]] = ..., range_last: _Optional[_Iterable[int]] = ..., ranged_bytes: _Optional[_Iterable[int]] = ...) -> None: ...

class SeenRanges(_message.Message):
    __slots__ = ("digest", "range_number", "range_first", "range_last", "ranged_bytes")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    RANGE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIRST_FIELD_NUMBER: _ClassVar[int]
    RANGE_LAST_FIELD_NUMBER: _ClassVar[int]
    RANGED_BYTES_FIELD_NUMBER: _ClassVar[int]
    digest: _containers.RepeatedScalarFieldContainer[int]
    range_number: _containers.RepeatedScalarFieldContainer[int]
    range_first: _containers.RepeatedScalarFieldContainer[int]
    range_last: _containers.RepeatedScalarFieldContainer[int]
    ranged_bytes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, digest: _Optional[_Iterable[int]] = ..., range_number: _Optional[_Iterable[int]] = ..., range_first: _Optional[_Iterable[int]] = ..., range_last: _Optional[_Iterable[int]] = ..., ranged_bytes: _Optional[_Iterable[int]] = ...) -> None: ...
