from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LateReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LATE_REASON_LATE: _ClassVar[LateReason]
    LATE_REASON_REPEATED: _ClassVar[LateReason]
LATE_REASON_LATE: LateReason
LATE_REASON_REPEATED: LateReason

class LateBatch(_message.Message):
    __slots__ = ("event_id", "reason", "instrument", "start_us")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    reason: LateReason
    instrument: _containers.RepeatedScalarFieldContainer[str]
    start_us: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, event_id: _Optional[str] = ..., reason: _Optional[_Union[LateReason, str]] = ..., instrument: _Optional[_Iterable[str]] = ..., start_us: _Optional[_Iterable[int]] = ...) -> None: ...
