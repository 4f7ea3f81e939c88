"""CloudEvents SQL: values, errors, and failed expressions in filters."""

from __future__ import annotations

import pytest

from local.broker.cesql import CesqlSyntaxError, parse, passes
from local.broker.cesql_functions import EvaluationError, Value

EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "https://example.com/orders",
    "type": "dev.shop.order.v1",
    "hop": "5",
    "ttl": "10",
    "flag": "true",
    "path": "abc%1_x",
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # literals, in any case of the keywords
        ("true", True),
        ("False", False),
        ("42", 42),
        ("-7", -7),
        ("'it\\'s'", "it's"),
        ('"say \\"so\\""', 'say "so"'),
        # attributes are strings
        ("hop", "5"),
        ("ID", "e-1"),
        # arithmetic: precedence, truncation towards zero, casts
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("10 - 4 - 3", 3),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("hop + 1", 6),
        ("'4' + true", 5),
        ("-hop", -5),
        # comparison: the left side is cast to the type of the right
        ("hop = 5", True),
        ("hop = '5'", True),
        ("hop = '05'", False),
        ("hop != 6", True),
        ("hop <> 5", False),
        ("hop < ttl", True),
        ("9 >= ttl", False),
        ("flag = true", True),
        ("true = 'TRUE'", False),
        ("'TRUE' = true", True),
        # logic, with short circuits
        ("hop = 5 AND ttl = 10", True),
        ("hop = 4 OR ttl = 10", True),
        ("true XOR true", False),
        ("false AND missing", False),
        ("true OR missing", True),
        ("NOT flag", False),
        ("not (hop = 5)", False),
        ("true AND false OR true", True),
        ("false AND false OR true", False),  # associates to the right: false AND (...)
        # LIKE
        ("type LIKE 'dev.%.v1'", True),
        ("type NOT LIKE 'dev.%'", False),
        ("type like 'dev_shop_order_v1'", True),
        ("type LIKE 'dev'", False),
        ("path LIKE 'abc\\%1\\_x'", True),
        ("'abcd1_x' LIKE 'abc\\%1\\_x'", False),
        ("'a.b' LIKE 'a_b'", True),
        ("'axb' LIKE 'a.b'", False),
        ("235 LIKE '23_'", True),
        # IN: the members are cast to the type of the left side
        ("hop IN ('1', '5')", True),
        ("5 IN ('5', 'x')", True),
        ("hop NOT IN (1, 2)", True),
        # EXISTS
        ("EXISTS hop", True),
        ("EXISTS missing", False),
        ("NOT EXISTS missing", True),
        ("NOT EXISTS missing AND hop = 5", True),
        # functions
        ("LENGTH(type)", 17),
        ("length(true)", 4),
        ("CONCAT('a', 1, true)", "a1true"),
        ("CONCAT()", ""),
        ("CONCAT_WS('-', 'a', 'b')", "a-b"),
        ("CONCAT_WS('-')", ""),
        ("UPPER('aé')", "AÉ"),
        ("LOWER('AB')", "ab"),
        ("TRIM('  a b ')", "a b"),
        ("LEFT('abc', 2)", "ab"),
        ("LEFT('abc', 9)", "abc"),
        ("RIGHT('abc', 2)", "bc"),
        ("RIGHT('abc', 0)", ""),
        ("SUBSTRING('market', 4)", "ket"),
        ("SUBSTRING('market', -3, 2)", "ke"),
        ("SUBSTRING('market', 2, 99)", "arket"),
        ("SUBSTRING('market', 0)", ""),
        ("ABS(-3)", 3),
        ("INT('12') + 1", 13),
        ("BOOL('False')", False),
        ("BOOL(2)", True),
        ("STRING(12)", "12"),
        ("IS_INT(hop)", True),
        ("IS_BOOL(hop)", False),
    ],
)
def test_an_expression_has_the_specified_value(expression: str, value: Value) -> None:
    """An expression has the value and the type of the specification."""
    result = parse(expression)(EVENT)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("missing", "missing_attribute"),
        ("missing = 1", "missing_attribute"),
        ("missing / 0", "missing_attribute"),
        ("NOT missing", "missing_attribute"),
        ("missing NOT LIKE 'a%'", "missing_attribute"),
        ("hop = 5 AND missing = 1", "missing_attribute"),
        ("type + 1", "cast"),
        ("type = 1", "cast"),
        ("hop AND true", "cast"),
        ("1 IN ('x')", "cast"),
        ("INT('9999999999')", "cast"),
        ("1 / 0", "math"),
        ("1 % 0", "math"),
        ("2147483647 + 1", "math"),
        ("LEFT('abc', -1)", "function"),
        ("RIGHT('abc', -1)", "function"),
        ("SUBSTRING('abc', 4)", "function"),
        ("SUBSTRING('abc', 1, -1)", "function"),
    ],
)
def test_a_failed_expression_does_not_pass(expression: str, kind: str) -> None:
    """A failed expression has its kind of error and does not pass a filter."""
    compiled = parse(expression)
    with pytest.raises(EvaluationError) as caught:
        compiled(EVENT)
    assert caught.value.kind == kind
    assert not passes(compiled, EVENT)


@pytest.mark.parametrize(
    "expression",
    ["", "type =", "= 1", "(1", "type LIKE hop", "1 IN ()", "EXISTS 'a'", "NOPE(1)", "LEFT('a')"],
)
def test_syntax_errors_are_refused(expression: str) -> None:
    """An expression with a syntax error or an unknown function is refused when it is parsed."""
    with pytest.raises(CesqlSyntaxError, match="not CloudEvents SQL"):
        parse(expression)


def test_only_true_passes_a_filter() -> None:
    """The string "true" and the number 1, which are no booleans, do not pass a filter."""
    assert passes(parse("1 = 1"), EVENT)
    assert not passes(parse("flag"), EVENT)
    assert not passes(parse("1"), EVENT)


def test_a_word_that_starts_like_a_keyword_is_an_attribute() -> None:
    """`order`, `android` and `trueish` are attribute names."""
    event = {**EVENT, "order": "a", "android": "b", "trueish": "c"}
    assert passes(parse("order = 'a' AND android = 'b' AND trueish = 'c'"), event)
