import msgpack, msgpack._cmsgpack
data = {"a": [1, -1, 2**40, 1.5, None, True], "b": b"\x00\xff", "é": {"x": "y" * 300}}
packed = msgpack.packb(data)
print(msgpack.Packer.__module__, len(packed), packed[:20], msgpack.unpackb(packed) == data)
u = msgpack.Unpacker()
for i in range(0, len(packed), 7): u.feed(packed[i:i + 7])
print(list(u) == [data], msgpack.unpackb(msgpack.packb(msgpack.Timestamp(5, 6))))
for bad in (b"\xc1", b"\x92\x01"):
    try: msgpack.unpackb(bad)
    except Exception as e: print(type(e).__name__, e)
