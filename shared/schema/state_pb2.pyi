from shared.schema import candles_pb2 as _candles_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OrderKey(_message.Message):
    __slots__ = ("event_time_us", "trade_id_kind", "trade_id", "trade_id_text", "receive_time_us", "source", "sequence")
    EVENT_TIME_US_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_KIND_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_TEXT_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    event_time_us: int
    trade_id_kind: int
    trade_id: int
    trade_id_text: str
    receive_time_us: int
    source: str
    sequence: int
    def __init__(self, event_time_us: _Optional[int] = ..., trade_id_kind: _Optional[int] = ..., trade_id: _Optional[int] = ..., trade_id_text: _Optional[str] = ..., receive_time_us: _Optional[int] = ..., source: _Optional[str] = ..., sequence: _Optional[int] = ...) -> None: ...

class CandleState(_message.Message):
    __slots__ = ("candle", "first", "last")
    CANDLE_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    candle: _candles_pb2.Candle
    first: OrderKey
    last: OrderKey
    def __init__(self, candle: _Optional[_Union[_candles_pb2.Candle, _Mapping]] = ..., first: _Optional[_Union[OrderKey, _Mapping]] = ..., last: _Optional[_Union[OrderKey, _Mapping]] = ...) -> None: ...

class SeenTrades(_message.Message):
    __slots__ = ("start", "length", "text")
    START_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    start: _containers.RepeatedScalarFieldContainer[int]
    length: _containers.RepeatedScalarFieldContainer[int]
    text: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, start: _Optional[_Iterable[int]] = ..., length: _Optional[_Iterable[int]] = ..., text: _Optional[_Iterable[str]] = ...) -> None: ...

class InstrumentState(_message.Message):
    __slots__ = ("name", "watermark_us", "last", "last_price", "last_size", "received_us")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_US_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    LAST_PRICE_FIELD_NUMBER: _ClassVar[int]
    LAST_SIZE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_US_FIELD_NUMBER: _ClassVar[int]
    name: str
    watermark_us: int
    last: OrderKey
    last_price: str
    last_size: str
    received_us: int
    def __init__(self, name: _Optional[str] = ..., watermark_us: _Optional[int] = ..., last: _Optional[_Union[OrderKey, _Mapping]] = ..., last_price: _Optional[str] = ..., last_size: _Optional[str] = ..., received_us: _Optional[int] = ...) -> None: ...
