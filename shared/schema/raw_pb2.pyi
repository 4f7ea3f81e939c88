from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Format(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FORMAT_UNSPECIFIED: _ClassVar[Format]
    FORMAT_CSV: _ClassVar[Format]
    FORMAT_TICKER: _ClassVar[Format]
    FORMAT_TICKER_STREAM: _ClassVar[Format]
    FORMAT_BINANCE: _ClassVar[Format]
    FORMAT_COINBASE: _ClassVar[Format]
    FORMAT_KRAKEN: _ClassVar[Format]
    FORMAT_SCANNER: _ClassVar[Format]
    FORMAT_CSV_DECIMAL_COMMA: _ClassVar[Format]
    FORMAT_BINANCE_FUTURES: _ClassVar[Format]
    FORMAT_COINBASE_ADVANCED: _ClassVar[Format]
    FORMAT_BYBIT: _ClassVar[Format]
    FORMAT_OKX: _ClassVar[Format]
    FORMAT_CCXT: _ClassVar[Format]
    FORMAT_ALPACA: _ClassVar[Format]
FORMAT_UNSPECIFIED: Format
FORMAT_CSV: Format
FORMAT_TICKER: Format
FORMAT_TICKER_STREAM: Format
FORMAT_BINANCE: Format
FORMAT_COINBASE: Format
FORMAT_KRAKEN: Format
FORMAT_SCANNER: Format
FORMAT_CSV_DECIMAL_COMMA: Format
FORMAT_BINANCE_FUTURES: Format
FORMAT_COINBASE_ADVANCED: Format
FORMAT_BYBIT: Format
FORMAT_OKX: Format
FORMAT_CCXT: Format
FORMAT_ALPACA: Format

class RawBatch(_message.Message):
    __slots__ = ("format", "source", "first_sequence", "lengths", "receive_time_us", "payloads")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    format: Format
    source: str
    first_sequence: int
    lengths: _containers.RepeatedScalarFieldContainer[int]
    receive_time_us: _containers.RepeatedScalarFieldContainer[int]
    payloads: bytes
    def __init__(self, format: _Optional[_Union[Format, str]] = ..., source: _Optional[str] = ..., first_sequence: _Optional[int] = ..., lengths: _Optional[_Iterable[int]] = ..., receive_time_us: _Optional[_Iterable[int]] = ..., payloads: _Optional[bytes] = ...) -> None: ...
