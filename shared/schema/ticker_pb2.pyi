from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class TickerUpdate(_message.Message):
    __slots__ = ("symbol", "price", "volume", "timestamp", "size")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    price: float
    volume: int
    timestamp: int
    size: str
    def __init__(self, symbol: _Optional[str] = ..., price: _Optional[float] = ..., volume: _Optional[int] = ..., timestamp: _Optional[int] = ..., size: _Optional[str] = ...) -> None: ...
