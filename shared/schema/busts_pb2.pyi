from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Bust(_message.Message):
    __slots__ = ("instrument", "venue", "trade_id", "event_time_us", "is_correction", "price", "size", "receive_time_us", "sequence", "original", "corrected_id", "flags", "may_be_absent")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_US_FIELD_NUMBER: _ClassVar[int]
    IS_CORRECTION_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_ID_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    MAY_BE_ABSENT_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    venue: str
    trade_id: str
    event_time_us: int
    is_correction: bool
    price: str
    size: str
    receive_time_us: int
    sequence: int
    original: bytes
    corrected_id: str
    flags: int
    may_be_absent: bool
    def __init__(self, instrument: _Optional[str] = ..., venue: _Optional[str] = ..., trade_id: _Optional[str] = ..., event_time_us: _Optional[int] = ..., is_correction: _Optional[bool] = ..., price: _Optional[str] = ..., size: _Optional[str] = ..., receive_time_us: _Optional[int] = ..., sequence: _Optional[int] = ..., original: _Optional[bytes] = ..., corrected_id: _Optional[str] = ..., flags: _Optional[int] = ..., may_be_absent: _Optional[bool] = ...) -> None: ...

class BustBatch(_message.Message):
    __slots__ = ("source", "busts", "format")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    BUSTS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    source: str
    busts: _containers.RepeatedCompositeFieldContainer[Bust]
    format: int
    def __init__(self, source: _Optional[str] = ..., busts: _Optional[_Iterable[_Union[Bust, _Mapping]]] = ..., format: _Optional[int] = ...) -> None: ...
