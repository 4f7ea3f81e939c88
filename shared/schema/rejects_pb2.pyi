from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Reject(_message.Message):
    __slots__ = ("original", "code", "detail", "receive_time_us", "sequence")
    ORIGINAL_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    original: bytes
    code: str
    detail: str
    receive_time_us: int
    sequence: int
    def __init__(self, original: _Optional[bytes] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ..., receive_time_us: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class RejectBatch(_message.Message):
    __slots__ = ("source", "rejects", "format")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REJECTS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    source: str
    rejects: _containers.RepeatedCompositeFieldContainer[Reject]
    format: int
    def __init__(self, source: _Optional[str] = ..., rejects: _Optional[_Iterable[_Union[Reject, _Mapping]]] = ..., format: _Optional[int] = ...) -> None: ...
