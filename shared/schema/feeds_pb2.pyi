from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FeedState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEED_STATE_UNSPECIFIED: _ClassVar[FeedState]
    FEED_STATE_LIVE: _ClassVar[FeedState]
    FEED_STATE_QUIET: _ClassVar[FeedState]
    FEED_STATE_STALLED: _ClassVar[FeedState]
    FEED_STATE_RECONNECTING: _ClassVar[FeedState]
    FEED_STATE_ENDED: _ClassVar[FeedState]
    FEED_STATE_HALTED: _ClassVar[FeedState]
    FEED_STATE_MAINTENANCE: _ClassVar[FeedState]
FEED_STATE_UNSPECIFIED: FeedState
FEED_STATE_LIVE: FeedState
FEED_STATE_QUIET: FeedState
FEED_STATE_STALLED: FeedState
FEED_STATE_RECONNECTING: FeedState
FEED_STATE_ENDED: FeedState
FEED_STATE_HALTED: FeedState
FEED_STATE_MAINTENANCE: FeedState

class SymbolStatus(_message.Message):
    __slots__ = ("symbol", "instrument", "state", "last_message_us", "last_trade_us", "last_trade_id", "id_time_us", "gaps_open", "gaps_filled", "trades_per_minute", "history_done", "history_parts")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LAST_MESSAGE_US_FIELD_NUMBER: _ClassVar[int]
    LAST_TRADE_US_FIELD_NUMBER: _ClassVar[int]
    LAST_TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    ID_TIME_US_FIELD_NUMBER: _ClassVar[int]
    GAPS_OPEN_FIELD_NUMBER: _ClassVar[int]
    GAPS_FILLED_FIELD_NUMBER: _ClassVar[int]
    TRADES_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    HISTORY_DONE_FIELD_NUMBER: _ClassVar[int]
    HISTORY_PARTS_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    instrument: str
    state: FeedState
    last_message_us: int
    last_trade_us: int
    last_trade_id: int
    id_time_us: int
    gaps_open: int
    gaps_filled: int
    trades_per_minute: int
    history_done: int
    history_parts: int
    def __init__(self, symbol: _Optional[str] = ..., instrument: _Optional[str] = ..., state: _Optional[_Union[FeedState, str]] = ..., last_message_us: _Optional[int] = ..., last_trade_us: _Optional[int] = ..., last_trade_id: _Optional[int] = ..., id_time_us: _Optional[int] = ..., gaps_open: _Optional[int] = ..., gaps_filled: _Optional[int] = ..., trades_per_minute: _Optional[int] = ..., history_done: _Optional[int] = ..., history_parts: _Optional[int] = ...) -> None: ...

class FeedStatus(_message.Message):
    __slots__ = ("feed", "source", "reported_us", "reconnects", "skew_us", "error", "symbols")
    FEED_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REPORTED_US_FIELD_NUMBER: _ClassVar[int]
    RECONNECTS_FIELD_NUMBER: _ClassVar[int]
    SKEW_US_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    feed: str
    source: str
    reported_us: int
    reconnects: int
    skew_us: int
    error: str
    symbols: _containers.RepeatedCompositeFieldContainer[SymbolStatus]
    def __init__(self, feed: _Optional[str] = ..., source: _Optional[str] = ..., reported_us: _Optional[int] = ..., reconnects: _Optional[int] = ..., skew_us: _Optional[int] = ..., error: _Optional[str] = ..., symbols: _Optional[_Iterable[_Union[SymbolStatus, _Mapping]]] = ...) -> None: ...
