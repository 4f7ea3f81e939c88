from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNKNOWN: _ClassVar[Side]
    SIDE_BUY: _ClassVar[Side]
    SIDE_SELL: _ClassVar[Side]

class TradeIdKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRADE_ID_NONE: _ClassVar[TradeIdKind]
    TRADE_ID_INTEGER: _ClassVar[TradeIdKind]
    TRADE_ID_TEXT: _ClassVar[TradeIdKind]

class TickFlag(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FLAG_NONE: _ClassVar[TickFlag]
    FLAG_VOLUME_ONLY: _ClassVar[TickFlag]
    FLAG_ODD_LOT: _ClassVar[TickFlag]
    FLAG_AUCTION: _ClassVar[TickFlag]
    FLAG_OUT_OF_SEQUENCE: _ClassVar[TickFlag]
    FLAG_CANCELLED: _ClassVar[TickFlag]
    FLAG_CORRECTED: _ClassVar[TickFlag]
SIDE_UNKNOWN: Side
SIDE_BUY: Side
SIDE_SELL: Side
TRADE_ID_NONE: TradeIdKind
TRADE_ID_INTEGER: TradeIdKind
TRADE_ID_TEXT: TradeIdKind
FLAG_NONE: TickFlag
FLAG_VOLUME_ONLY: TickFlag
FLAG_ODD_LOT: TickFlag
FLAG_AUCTION: TickFlag
FLAG_OUT_OF_SEQUENCE: TickFlag
FLAG_CANCELLED: TickFlag
FLAG_CORRECTED: TickFlag

class InstrumentTable(_message.Message):
    __slots__ = ("name", "price_scale", "size_scale", "count", "shard_entries", "venue", "entry_venue", "original")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRICE_SCALE_FIELD_NUMBER: _ClassVar[int]
    SIZE_SCALE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SHARD_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    ENTRY_VENUE_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_FIELD_NUMBER: _ClassVar[int]
    name: _containers.RepeatedScalarFieldContainer[str]
    price_scale: _containers.RepeatedScalarFieldContainer[int]
    size_scale: _containers.RepeatedScalarFieldContainer[int]
    count: _containers.RepeatedScalarFieldContainer[int]
    shard_entries: _containers.RepeatedScalarFieldContainer[int]
    venue: _containers.RepeatedScalarFieldContainer[str]
    entry_venue: _containers.RepeatedScalarFieldContainer[int]
    original: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[_Iterable[str]] = ..., price_scale: _Optional[_Iterable[int]] = ..., size_scale: _Optional[_Iterable[int]] = ..., count: _Optional[_Iterable[int]] = ..., shard_entries: _Optional[_Iterable[int]] = ..., venue: _Optional[_Iterable[str]] = ..., entry_venue: _Optional[_Iterable[int]] = ..., original: _Optional[_Iterable[str]] = ...) -> None: ...

class TickBatch(_message.Message):
    __slots__ = ("source", "instruments", "event_time_us", "price", "size", "side", "trade_id_kind", "trade_id_kind_all", "trade_id", "trade_id_text", "receive_time_us", "sequence", "flags", "wide_price", "wide_size")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_US_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_KIND_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_KIND_ALL_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_TEXT_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    WIDE_PRICE_FIELD_NUMBER: _ClassVar[int]
    WIDE_SIZE_FIELD_NUMBER: _ClassVar[int]
    source: str
    instruments: InstrumentTable
    event_time_us: _containers.RepeatedScalarFieldContainer[int]
    price: _containers.RepeatedScalarFieldContainer[int]
    size: _containers.RepeatedScalarFieldContainer[int]
    side: _containers.RepeatedScalarFieldContainer[int]
    trade_id_kind: _containers.RepeatedScalarFieldContainer[int]
    trade_id_kind_all: TradeIdKind
    trade_id: _containers.RepeatedScalarFieldContainer[int]
    trade_id_text: _containers.RepeatedScalarFieldContainer[str]
    receive_time_us: _containers.RepeatedScalarFieldContainer[int]
    sequence: _containers.RepeatedScalarFieldContainer[int]
    flags: _containers.RepeatedScalarFieldContainer[int]
    wide_price: _containers.RepeatedScalarFieldContainer[str]
    wide_size: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, source: _Optional[str] = ..., instruments: _Optional[_Union[InstrumentTable, _Mapping]] = ..., event_time_us: _Optional[_Iterable[int]] = ..., price: _Optional[_Iterable[int]] = ..., size: _Optional[_Iterable[int]] = ..., side: _Optional[_Iterable[int]] = ..., trade_id_kind: _Optional[_Iterable[int]] = ..., trade_id_kind_all: _Optional[_Union[TradeIdKind, str]] = ..., trade_id: _Optional[_Iterable[int]] = ..., trade_id_text: _Optional[_Iterable[str]] = ..., receive_time_us: _Optional[_Iterable[int]] = ..., sequence: _Optional[_Iterable[int]] = ..., flags: _Optional[_Iterable[int]] = ..., wide_price: _Optional[_Iterable[str]] = ..., wide_size: _Optional[_Iterable[str]] = ...) -> None: ...
