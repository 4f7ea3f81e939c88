from shared.schema import candles_pb2 as _candles_pb2
from shared.schema import live_pb2 as _live_pb2
from shared.schema import patterns_pb2 as _patterns_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StreamCandlesRequest(_message.Message):
    __slots__ = ("symbols", "timeframes", "from_seq", "stream")
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAMES_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQ_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    symbols: _containers.RepeatedScalarFieldContainer[str]
    timeframes: _containers.RepeatedScalarFieldContainer[str]
    from_seq: int
    stream: str
    def __init__(self, symbols: _Optional[_Iterable[str]] = ..., timeframes: _Optional[_Iterable[str]] = ..., from_seq: _Optional[int] = ..., stream: _Optional[str] = ...) -> None: ...

class StreamPatternsRequest(_message.Message):
    __slots__ = ("symbols", "from_seq", "stream")
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQ_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    symbols: _containers.RepeatedScalarFieldContainer[str]
    from_seq: int
    stream: str
    def __init__(self, symbols: _Optional[_Iterable[str]] = ..., from_seq: _Optional[int] = ..., stream: _Optional[str] = ...) -> None: ...

class StreamTicksRequest(_message.Message):
    __slots__ = ("symbols", "from_seq", "stream")
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQ_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    symbols: _containers.RepeatedScalarFieldContainer[str]
    from_seq: int
    stream: str
    def __init__(self, symbols: _Optional[_Iterable[str]] = ..., from_seq: _Optional[int] = ..., stream: _Optional[str] = ...) -> None: ...

class CandleUpdate(_message.Message):
    __slots__ = ("type", "channel", "seq", "candle", "channels", "stream", "replayed", "more", "late", "received_us", "published_us")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    CANDLE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_US_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_US_FIELD_NUMBER: _ClassVar[int]
    type: str
    channel: str
    seq: int
    candle: _candles_pb2.Candle
    channels: _containers.RepeatedScalarFieldContainer[str]
    stream: str
    replayed: bool
    more: bool
    late: bool
    received_us: int
    published_us: int
    def __init__(self, type: _Optional[str] = ..., channel: _Optional[str] = ..., seq: _Optional[int] = ..., candle: _Optional[_Union[_candles_pb2.Candle, _Mapping]] = ..., channels: _Optional[_Iterable[str]] = ..., stream: _Optional[str] = ..., replayed: _Optional[bool] = ..., more: _Optional[bool] = ..., late: _Optional[bool] = ..., received_us: _Optional[int] = ..., published_us: _Optional[int] = ...) -> None: ...

class PatternUpdate(_message.Message):
    __slots__ = ("type", "channel", "seq", "pattern", "channels", "stream", "replayed", "more", "late", "received_us", "published_us")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_US_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_US_FIELD_NUMBER: _ClassVar[int]
    type: str
    channel: str
    seq: int
    pattern: _patterns_pb2.Pattern
    channels: _containers.RepeatedScalarFieldContainer[str]
    stream: str
    replayed: bool
    more: bool
    late: bool
    received_us: int
    published_us: int
    def __init__(self, type: _Optional[str] = ..., channel: _Optional[str] = ..., seq: _Optional[int] = ..., pattern: _Optional[_Union[_patterns_pb2.Pattern, _Mapping]] = ..., channels: _Optional[_Iterable[str]] = ..., stream: _Optional[str] = ..., replayed: _Optional[bool] = ..., more: _Optional[bool] = ..., late: _Optional[bool] = ..., received_us: _Optional[int] = ..., published_us: _Optional[int] = ...) -> None: ...

class TickUpdate(_message.Message):
    __slots__ = ("type", "channel", "seq", "tick", "channels", "stream", "replayed", "more", "late", "received_us", "published_us")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_US_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_US_FIELD_NUMBER: _ClassVar[int]
    type: str
    channel: str
    seq: int
    tick: _live_pb2.LiveTick
    channels: _containers.RepeatedScalarFieldContainer[str]
    stream: str
    replayed: bool
    more: bool
    late: bool
    received_us: int
    published_us: int
    def __init__(self, type: _Optional[str] = ..., channel: _Optional[str] = ..., seq: _Optional[int] = ..., tick: _Optional[_Union[_live_pb2.LiveTick, _Mapping]] = ..., channels: _Optional[_Iterable[str]] = ..., stream: _Optional[str] = ..., replayed: _Optional[bool] = ..., more: _Optional[bool] = ..., late: _Optional[bool] = ..., received_us: _Optional[int] = ..., published_us: _Optional[int] = ...) -> None: ...
