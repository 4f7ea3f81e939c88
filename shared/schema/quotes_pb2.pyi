from shared.schema import ticks_pb2 as _ticks_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QuoteBatch(_message.Message):
    __slots__ = ("source", "instruments", "event_time_us", "bid", "ask", "bid_size", "ask_size", "update_id", "receive_time_us", "sequence")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_US_FIELD_NUMBER: _ClassVar[int]
    BID_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    BID_SIZE_FIELD_NUMBER: _ClassVar[int]
    ASK_SIZE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_ID_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    source: str
    instruments: _ticks_pb2.InstrumentTable
    event_time_us: _containers.RepeatedScalarFieldContainer[int]
    bid: _containers.RepeatedScalarFieldContainer[int]
    ask: _containers.RepeatedScalarFieldContainer[int]
    bid_size: _containers.RepeatedScalarFieldContainer[int]
    ask_size: _containers.RepeatedScalarFieldContainer[int]
    update_id: _containers.RepeatedScalarFieldContainer[int]
    receive_time_us: _containers.RepeatedScalarFieldContainer[int]
    sequence: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, source: _Optional[str] = ..., instruments: _Optional[_Union[_ticks_pb2.InstrumentTable, _Mapping]] = ..., event_time_us: _Optional[_Iterable[int]] = ..., bid: _Optional[_Iterable[int]] = ..., ask: _Optional[_Iterable[int]] = ..., bid_size: _Optional[_Iterable[int]] = ..., ask_size: _Optional[_Iterable[int]] = ..., update_id: _Optional[_Iterable[int]] = ..., receive_time_us: _Optional[_Iterable[int]] = ..., sequence: _Optional[_Iterable[int]] = ...) -> None: ...
