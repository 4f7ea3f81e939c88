from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OrderKey(_message.Message):
    __slots__ = ("event_time_us", "order_id", "receive_time_us", "source_key", "sequence")
    EVENT_TIME_US_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    SOURCE_KEY_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    event_time_us: int
    order_id: int
    receive_time_us: int
    source_key: int
    sequence: int
    def __init__(self, event_time_us: _Optional[int] = ..., order_id: _Optional[int] = ..., receive_time_us: _Optional[int] = ..., source_key: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class CandleState(_message.Message):
    __slots__ = ("instrument", "timeframe", "start_us", "open", "high", "low", "close", "volume", "notional", "trade_count", "buy_volume", "sell_volume", "first", "last", "closed", "partial", "complete", "revision", "touched_us")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    NOTIONAL_FIELD_NUMBER: _ClassVar[int]
    TRADE_COUNT_FIELD_NUMBER: _ClassVar[int]
    BUY_VOLUME_FIELD_NUMBER: _ClassVar[int]
    SELL_VOLUME_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TOUCHED_US_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    timeframe: str
    start_us: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    notional: str
    trade_count: int
    buy_volume: str
    sell_volume: str
    first: OrderKey
    last: OrderKey
    closed: bool
    partial: bool
    complete: bool
    revision: int
    touched_us: int
    def __init__(self, instrument: _Optional[str] = ..., timeframe: _Optional[str] = ..., start_us: _Optional[int] = ..., open: _Optional[str] = ..., high: _Optional[str] = ..., low: _Optional[str] = ..., close: _Optional[str] = ..., volume: _Optional[str] = ..., notional: _Optional[str] = ..., trade_count: _Optional[int] = ..., buy_volume: _Optional[str] = ..., sell_volume: _Optional[str] = ..., first: _Optional[_Union[OrderKey, _Mapping]] = ..., last: _Optional[_Union[OrderKey, _Mapping]] = ..., closed: _Optional[bool] = ..., partial: _Optional[bool] = ..., complete: _Optional[bool] = ..., revision: _Optional[int] = ..., touched_us: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("name", "watermark_us", "last", "last_price", "last_size", "received_us", "floor_us", "first_us")
    class FloorUsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_US_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    LAST_PRICE_FIELD_NUMBER: _ClassVar[int]
    LAST_SIZE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_US_FIELD_NUMBER: _ClassVar[int]
    FLOOR_US_FIELD_NUMBER: _ClassVar[int]
    FIRST_US_FIELD_NUMBER: _ClassVar[int]
    name: str
    watermark_us: int
    last: OrderKey
    last_price: str
    last_size: str
    received_us: int
    floor_us: _containers.ScalarMap[str, int]
    first_us: int
    def __init__(self, name: _Optional[str] = ..., watermark_us: _Optional[int] = ..., last: _Optional[_Union[OrderKey, _Mapping]] = ..., last_price: _Optional[str] = ..., last_size: _Optional[str] = ..., received_us: _Optional[int] = ..., floor_us: _Optional[_Mapping[str, int]] = ..., first_us: _Optional[int] = ...) -> None: ...
