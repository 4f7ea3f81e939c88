from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LateCandle(_message.Message):
    __slots__ = ("instrument", "timeframe", "start_us")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    timeframe: str
    start_us: int
    def __init__(self, instrument: _Optional[str] = ..., timeframe: _Optional[str] = ..., start_us: _Optional[int] = ...) -> None: ...

class LateBatch(_message.Message):
    __slots__ = ("event_id", "candles")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    CANDLES_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    candles: _containers.RepeatedCompositeFieldContainer[LateCandle]
    def __init__(self, event_id: _Optional[str] = ..., candles: _Optional[_Iterable[_Union[LateCandle, _Mapping]]] = ...) -> None: ...
