import simplejson as j, decimal
from simplejson import _speedups
print(j.dumps({"a": [1, 2.5, None, decimal.Decimal("1.10")], "ü": "\u2028\U0001f600"}, sort_keys=True), j.loads('[1e3, "\\ud83d\\ude00", 12345678901234567890]'))
print(j.dumps("<é>", for_json=True), j.loads("1.1", use_decimal=True), j.encoder.c_make_encoder is not None)
try: j.loads("[1, }")
except j.JSONDecodeError as e: print(e)
