from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Pattern(_message.Message):
    __slots__ = ("id", "instrument", "timeframe", "pattern", "kind", "direction", "confidence", "level", "trigger_price", "start_us", "end_us", "open", "high", "low", "close", "volume", "retracted", "revision", "begin_us", "features")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_PRICE_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    END_US_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    RETRACTED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    BEGIN_US_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    id: str
    instrument: str
    timeframe: str
    pattern: str
    kind: str
    direction: int
    confidence: float
    level: str
    trigger_price: str
    start_us: int
    end_us: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    retracted: bool
    revision: int
    begin_us: int
    features: _containers.ScalarMap[str, float]
    def __init__(self, id: _Optional[str] = ..., instrument: _Optional[str] = ..., timeframe: _Optional[str] = ..., pattern: _Optional[str] = ..., kind: _Optional[str] = ..., direction: _Optional[int] = ..., confidence: _Optional[float] = ..., level: _Optional[str] = ..., trigger_price: _Optional[str] = ..., start_us: _Optional[int] = ..., end_us: _Optional[int] = ..., open: _Optional[str] = ..., high: _Optional[str] = ..., low: _Optional[str] = ..., close: _Optional[str] = ..., volume: _Optional[str] = ..., retracted: _Optional[bool] = ..., revision: _Optional[int] = ..., begin_us: _Optional[int] = ..., features: _Optional[_Mapping[str, float]] = ...) -> None: ...

class PatternBatch(_message.Message):
    __slots__ = ("patterns",)
    PATTERNS_FIELD_NUMBER: _ClassVar[int]
    patterns: _containers.RepeatedCompositeFieldContainer[Pattern]
    def __init__(self, patterns: _Optional[_Iterable[_Union[Pattern, _Mapping]]] = ...) -> None: ...

class Alert(_message.Message):
    __slots__ = ("rule_id", "start_us", "body")
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    rule_id: str
    start_us: int
    body: str
    def __init__(self, rule_id: _Optional[str] = ..., start_us: _Optional[int] = ..., body: _Optional[str] = ...) -> None: ...

class PatternSeries(_message.Message):
    __slots__ = ("instrument", "timeframe", "candles", "wide", "price_scale", "volume_scale", "evaluated_us", "whole", "revision", "active", "unpublished", "alerts", "refresh_ms")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    TIMEFRAME_FIELD_NUMBER: _ClassVar[int]
    CANDLES_FIELD_NUMBER: _ClassVar[int]
    WIDE_FIELD_NUMBER: _ClassVar[int]
    PRICE_SCALE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_SCALE_FIELD_NUMBER: _ClassVar[int]
    EVALUATED_US_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    UNPUBLISHED_FIELD_NUMBER: _ClassVar[int]
    ALERTS_FIELD_NUMBER: _ClassVar[int]
    REFRESH_MS_FIELD_NUMBER: _ClassVar[int]
    instrument: str
    timeframe: str
    candles: bytes
    wide: _containers.RepeatedScalarFieldContainer[str]
    price_scale: int
    volume_scale: int
    evaluated_us: int
    whole: bool
    revision: int
    active: _containers.RepeatedCompositeFieldContainer[Pattern]
    unpublished: _containers.RepeatedCompositeFieldContainer[Pattern]
    alerts: _containers.RepeatedCompositeFieldContainer[Alert]
    refresh_ms: int
    def __init__(self, instrument: _Optional[str] = ..., timeframe: _Optional[str] = ..., candles: _Optional[bytes] = ..., wide: _Optional[_Iterable[str]] = ..., price_scale: _Optional[int] = ..., volume_scale: _Optional[int] = ..., evaluated_us: _Optional[int] = ..., whole: _Optional[bool] = ..., revision: _Optional[int] = ..., active: _Optional[_Iterable[_Union[Pattern, _Mapping]]] = ..., unpublished: _Optional[_Iterable[_Union[Pattern, _Mapping]]] = ..., alerts: _Optional[_Iterable[_Union[Alert, _Mapping]]] = ..., refresh_ms: _Optional[int] = ...) -> None: ...

class PackedSeries(_message.Message):
    __slots__ = ("form", "series")
    FORM_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    form: int
    series: bytes
    def __init__(self, form: _Optional[int] = ..., series: _Optional[bytes] = ...) -> None: ...
