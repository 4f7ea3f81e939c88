from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class LiveTick(_message.Message):
    __slots__ = ("symbol", "price", "volume", "timestamp", "size", "exact_price", "side", "trade_id", "time_us", "receive_time_us", "order_id", "source_key", "sequence")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    EXACT_PRICE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_KEY_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    price: float
    volume: int
    timestamp: int
    size: str
    exact_price: str
    side: int
    trade_id: str
    time_us: int
    receive_time_us: int
    order_id: int
    source_key: int
    sequence: int
    def __init__(self, symbol: _Optional[str] = ..., price: _Optional[float] = ..., volume: _Optional[int] = ..., timestamp: _Optional[int] = ..., size: _Optional[str] = ..., exact_price: _Optional[str] = ..., side: _Optional[int] = ..., trade_id: _Optional[str] = ..., time_us: _Optional[int] = ..., receive_time_us: _Optional[int] = ..., order_id: _Optional[int] = ..., source_key: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class LiveBust(_message.Message):
    __slots__ = ("symbol", "trade_id", "venue", "status", "price", "size", "time_us", "receive_time_us")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    trade_id: str
    venue: str
    status: str
    price: str
    size: str
    time_us: int
    receive_time_us: int
    def __init__(self, symbol: _Optional[str] = ..., trade_id: _Optional[str] = ..., venue: _Optional[str] = ..., status: _Optional[str] = ..., price: _Optional[str] = ..., size: _Optional[str] = ..., time_us: _Optional[int] = ..., receive_time_us: _Optional[int] = ...) -> None: ...

class LiveBar(_message.Message):
    __slots__ = ("candle", "day_us", "number")
    CANDLE_FIELD_NUMBER: _ClassVar[int]
    DAY_US_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    candle: bytes
    day_us: int
    number: int
    def __init__(self, candle: _Optional[bytes] = ..., day_us: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...

class LiveIndicator(_message.Message):
    __slots__ = ("symbol", "timeframe", "indicator", "start_us", "closed", "revision", "columns", "values")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    INDICATOR_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    timeframe: str
    indicator: str
    start_us: int
    closed: bool
    revision: int
    columns: _containers.RepeatedScalarFieldContainer[str]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, symbol: _Optional[str] = ..., timeframe: _Optional[str] = ..., indicator: _Optional[str] = ..., start_us: _Optional[int] = ..., closed: _Optional[bool] = ..., revision: _Optional[int] = ..., columns: _Optional[_Iterable[str]] = ..., values: _Optional[_Iterable[float]] = ...) -> None: ...

class LiveAlert(_message.Message):
    __slots__ = ("symbol", "timeframe", "rule_id", "rule", "timestamp", "json")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    timeframe: str
    rule_id: str
    rule: str
    timestamp: int
    json: str
    def __init__(self, symbol: _Optional[str] = ..., timeframe: _Optional[str] = ..., rule_id: _Optional[str] = ..., rule: _Optional[str] = ..., timestamp: _Optional[int] = ..., json: _Optional[str] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("type", "channel", "seq", "payload", "channels", "code", "message", "retry_ms", "stream", "replayed", "more", "late", "received_us", "published_us", "time_ms", "state", "speed")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_MS_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_US_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_US_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    type: str
    channel: str
    seq: int
    payload: bytes
    channels: _containers.RepeatedScalarFieldContainer[str]
    code: str
    message: str
    retry_ms: int
    stream: str
    replayed: bool
    more: bool
    late: bool
    received_us: int
    published_us: int
    time_ms: int
    state: str
    speed: float
    def __init__(self, type: _Optional[str] = ..., channel: _Optional[str] = ..., seq: _Optional[int] = ..., payload: _Optional[bytes] = ..., channels: _Optional[_Iterable[str]] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., retry_ms: _Optional[int] = ..., stream: _Optional[str] = ..., replayed: _Optional[bool] = ..., more: _Optional[bool] = ..., late: _Optional[bool] = ..., received_us: _Optional[int] = ..., published_us: _Optional[int] = ..., time_ms: _Optional[int] = ..., state: _Optional[str] = ..., speed: _Optional[float] = ...) -> None: ...
