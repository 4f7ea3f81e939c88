from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Candle(_message.Message):
    __slots__ = ("instrument", "timeframe", "start_us", "open", "high", "low", "close", "volume", "notional", "trade_count", "buy_volume", "sell_volume", "first_time_us", "last_time_us", "closed", "partial", "complete", "revision", "origin")
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
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
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
    origin: str
    def __init__(self, instrument: _Optional[str] = ..., timeframe: _Optional[str] = ..., start_us: _Optional[int] = ..., open: _Optional[str] = ..., high: _Optional[str] = ..., low: _Optional[str] = ..., close: _Optional[str] = ..., volume: _Optional[str] = ..., notional: _Optional[str] = ..., trade_count: _Optional[int] = ..., buy_volume: _Optional[str] = ..., sell_volume: _Optional[str] = ..., first_time_us: _Optional[int] = ..., last_time_us: _Optional[int] = ..., closed: _Optional[bool] = ..., partial: _Optional[bool] = ..., complete: _Optional[bool] = ..., revision: _Optional[int] = ..., origin: _Optional[str] = ...) -> None: ...

class CandleColumns(_message.Message):
    __slots__ = ("timeframe", "instrument", "start_us", "price_scale", "size_scale", "open", "high", "low", "close", "volume", "notional", "buy_volume", "sell_volume", "volume_high", "notional_high", "buy_volume_high", "sell_volume_high", "trade_count", "first_time_us", "last_time_us", "flags", "revision", "wide")
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    PRICE_SCALE_FIELD_NUMBER: _ClassVar[int]
    SIZE_SCALE_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    NOTIONAL_FIELD_NUMBER: _ClassVar[int]
    BUY_VOLUME_FIELD_NUMBER: _ClassVar[int]
    SELL_VOLUME_FIELD_NUMBER: _ClassVar[int]
    VOLUME_HIGH_FIELD_NUMBER: _ClassVar[int]
    NOTIONAL_HIGH_FIELD_NUMBER: _ClassVar[int]
    BUY_VOLUME_HIGH_FIELD_NUMBER: _ClassVar[int]
    SELL_VOLUME_HIGH_FIELD_NUMBER: _ClassVar[int]
    TRADE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_US_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_US_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    WIDE_FIELD_NUMBER: _ClassVar[int]
    timeframe: str
    instrument: _containers.RepeatedScalarFieldContainer[str]
    start_us: _containers.RepeatedScalarFieldContainer[int]
    price_scale: _containers.RepeatedScalarFieldContainer[int]
    size_scale: _containers.RepeatedScalarFieldContainer[int]
    open: _containers.RepeatedScalarFieldContainer[int]
    high: _containers.RepeatedScalarFieldContainer[int]
    low: _containers.RepeatedScalarFieldContainer[int]
    close: _containers.RepeatedScalarFieldContainer[int]
    volume: _containers.RepeatedScalarFieldContainer[int]
    notional: _containers.RepeatedScalarFieldContainer[int]
    buy_volume: _containers.RepeatedScalarFieldContainer[int]
    sell_volume: _containers.RepeatedScalarFieldContainer[int]
    volume_high: _containers.RepeatedScalarFieldContainer[int]
    notional_high: _containers.RepeatedScalarFieldContainer[int]
    buy_volume_high: _containers.RepeatedScalarFieldContainer[int]
    sell_volume_high: _containers.RepeatedScalarFieldContainer[int]
    trade_count: _containers.RepeatedScalarFieldContainer[int]
    first_time_us: _containers.RepeatedScalarFieldContainer[int]
    last_time_us: _containers.RepeatedScalarFieldContainer[int]
    flags: _containers.RepeatedScalarFieldContainer[int]
    revision: _containers.RepeatedScalarFieldContainer[int]
    wide: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, timeframe: _Optional[str] = ..., instrument: _Optional[_Iterable[str]] = ..., start_us: _Optional[_Iterable[int]] = ..., price_scale: _Optional[_Iterable[int]] = ..., size_scale: _Optional[_Iterable[int]] = ..., open: _Optional[_Iterable[int]] = ..., high: _Optional[_Iterable[int]] = ..., low: _Optional[_Iterable[int]] = ..., close: _Optional[_Iterable[int]] = ..., volume: _Optional[_Iterable[int]] = ..., notional: _Optional[_Iterable[int]] = ..., buy_volume: _Optional[_Iterable[int]] = ..., sell_volume: _Optional[_Iterable[int]] = ..., volume_high: _Optional[_Iterable[int]] = ..., notional_high: _Optional[_Iterable[int]] = ..., buy_volume_high: _Optional[_Iterable[int]] = ..., sell_volume_high: _Optional[_Iterable[int]] = ..., trade_count: _Optional[_Iterable[int]] = ..., first_time_us: _Optional[_Iterable[int]] = ..., last_time_us: _Optional[_Iterable[int]] = ..., flags: _Optional[_Iterable[int]] = ..., revision: _Optional[_Iterable[int]] = ..., wide: _Optional[_Iterable[str]] = ...) -> None: ...

class CandleBatch(_message.Message):
    __slots__ = ("columns",)
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedCompositeFieldContainer[CandleColumns]
    def __init__(self, columns: _Optional[_Iterable[_Union[CandleColumns, _Mapping]]] = ...) -> None: ...

class CandleHistory(_message.Message):
    __slots__ = ("instrument", "from_us", "to_us", "trades_follow", "candles")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    TO_US_FIELD_NUMBER: _ClassVar[int]
    TRADES_FOLLOW_FIELD_NUMBER: _ClassVar[int]
    CANDLES_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    from_us: int
    to_us: int
    trades_follow: bool
    candles: CandleColumns
    def __init__(self, instrument: _Optional[str] = ..., from_us: _Optional[int] = ..., to_us: _Optional[int] = ..., trades_follow: _Optional[bool] = ..., candles: _Optional[_Union[CandleColumns, _Mapping]] = ...) -> None: ...
