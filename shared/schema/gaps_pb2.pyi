from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GapState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GAP_STATE_UNSPECIFIED: _ClassVar[GapState]
    GAP_STATE_OPEN: _ClassVar[GapState]
    GAP_STATE_FILLED: _ClassVar[GapState]
GAP_STATE_UNSPECIFIED: GapState
GAP_STATE_OPEN: GapState
GAP_STATE_FILLED: GapState

class Gap(_message.Message):
    __slots__ = ("symbol", "instrument", "first_id", "last_id", "from_us", "to_us", "state", "absent", "changed_us", "by_time")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    FIRST_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    TO_US_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_US_FIELD_NUMBER: _ClassVar[int]
    BY_TIME_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    instrument: str
    first_id: int
    last_id: int
    from_us: int
    to_us: int
    state: GapState
    absent: int
    changed_us: int
    by_time: bool
    def __init__(self, symbol: _Optional[str] = ..., instrument: _Optional[str] = ..., first_id: _Optional[int] = ..., last_id: _Optional[int] = ..., from_us: _Optional[int] = ..., to_us: _Optional[int] = ..., state: _Optional[_Union[GapState, str]] = ..., absent: _Optional[int] = ..., changed_us: _Optional[int] = ..., by_time: _Optional[bool] = ...) -> None: ...

class GapBatch(_message.Message):
    __slots__ = ("feed", "gaps")
    FEED_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    feed: str
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    def __init__(self, feed: _Optional[str] = ..., gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ...) -> None: ...
