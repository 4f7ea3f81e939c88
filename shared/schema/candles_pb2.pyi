from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Candle(_message.Message):
    __slots__ = ("instrument", "timeframe", "start_us", "open", "high", "low", "close", "volume", "notional", "trade_count", "buy_volume", "sell_volume", "first_time_us", "last_time_us", "closed", "partial", "complete", "revision")
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
    FIRST_TIME_US_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_US_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
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
    first_time_us: int
    last_time_us: int
    closed: bool
    partial: bool
    complete: bool
    revision: int
    def __init__(self, instrument: _Optional[str] = ..., timeframe: _Optional[str] = ..., start_us: _Optional[int] = ..., open: _Optional[str] = ..., high: _Optional[str] = ..., low: _Optional[str] = ..., close: _Optional[str] = ..., volume: _Optional[str] = ..., notional: _Optional[str] = ..., trade_count: _Optional[int] = ..., buy_volume: _Optional[str] = ..., sell_volume: _Optional[str] = ..., first_time_us: _Optional[int] = ..., last_time_us: _Optional[int] = ..., closed: _Optional[bool] = ..., partial: _Optional[bool] = ..., complete: _Optional[bool] = ..., revision: _Optional[int] = ...) -> None: ...

class CandleBatch(_message.Message):
    __slots__ = ("candles",)
    CANDLES_FIELD_NUMBER: _ClassVar[int]
    candles: _containers.RepeatedCompositeFieldContainer[Candle]
    def __init__(self, candles: _Optional[_Iterable[_Union[Candle, _Mapping]]] = ...) -> None: ...
