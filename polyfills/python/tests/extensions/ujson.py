import ujson
print(ujson.dumps({"a": [1, 2.5, None, True], "b": "é<"}), ujson.loads('{"x": [1e5, -0.1, "\\u00e9"]}'), ujson.dumps([1], indent=2), ujson.loads("123456789012345678901"))
try: ujson.loads("[1,")
except ValueError as e: print(e)
