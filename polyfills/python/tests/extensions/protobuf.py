from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, struct_pb2, text_format, timestamp_pb2
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError

print(api_implementation.Type())
file = descriptor_pb2.FileDescriptorProto(name="item.proto", package="shop", syntax="proto3")
item = file.message_type.add(name="Item")
F = descriptor_pb2.FieldDescriptorProto
for number, (name, kind, label) in enumerate(
    [("name", F.TYPE_STRING, F.LABEL_OPTIONAL), ("price", F.TYPE_DOUBLE, F.LABEL_OPTIONAL),
     ("codes", F.TYPE_SINT64, F.LABEL_REPEATED), ("raw", F.TYPE_BYTES, F.LABEL_OPTIONAL),
     ("parts", F.TYPE_MESSAGE, F.LABEL_REPEATED)], 1):
    field = item.field.add(name=name, number=number, type=kind, label=label)
    if kind == F.TYPE_MESSAGE:
        field.type_name = ".shop.Item"
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
Item = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Item"))
bolt = Item(name="bölt", price=0.25, codes=[1, -1, 2**62], raw=b"\x00\xff", parts=[Item(name="nut")])
data = bolt.SerializeToString()
print(data.hex(), Item.FromString(data) == bolt, len(data))
print(json_format.MessageToJson(bolt, indent=None), text_format.MessageToString(bolt, as_one_line=True))
for bad in (b"\x0a\xff", b"\x0a\x02\xff\xff"):
    try:
        Item.FromString(bad)
    except DecodeError as error:
        print(type(error).__name__)
for name, value in (("price", "x"), ("codes", 3), ("nothing", 1)):
    try:
        setattr(bolt, name, value)
    except (TypeError, AttributeError) as error:
        print(type(error).__name__)
many = Item(parts=[Item(name=str(n), codes=range(n % 9)) for n in range(5000)])
print(len(many.SerializeToString()), sum(sum(p.codes) for p in Item.FromString(many.SerializeToString()).parts))
s = struct_pb2.Struct()
s.update({"a": [1, None, "x"], "b": {"c": True}})
# The order of a map is nobody's promise.
print(json_format.MessageToJson(s, indent=None, sort_keys=True), timestamp_pb2.Timestamp(seconds=1767225600).ToJsonString())
