import dataclasses
import datetime
import uuid
import zoneinfo

import orjson


@dataclasses.dataclass
class Point:
    x: float
    y: int


value = {
    "point": Point(0.1, 2**53 - 1),
    "time": datetime.datetime(2026, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    "uuid": uuid.UUID(int=1),
    "text": 'é"\u2028\x00',
    "list": [None, True, -0.0, 1e300, 2**63 - 1],
}
print(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode())
print(orjson.dumps({1: 2}, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_INDENT_2).decode())
print(orjson.loads(b'{"a": [1, 2.5, "\\u00e9", -1e-7, 18446744073709551615]}'))
for text in ("[1,", '"\ud800"', "[" * 2000):
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        print(type(error).__name__, error.pos)
for bad in (2**64, {1: 1}, object):
    try:
        orjson.dumps(bad)
    except TypeError as error:
        print(error)
large = [{"id": n, "name": f"name {n}", "value": n / 7} for n in range(20000)]
print(orjson.loads(orjson.dumps(large)) == large)
