import threading

from pydantic_core import SchemaSerializer, SchemaValidator, ValidationError, core_schema, from_json, to_json

item = core_schema.model_fields_schema(
    {
        "name": core_schema.model_field(core_schema.str_schema(min_length=1)),
        "price": core_schema.model_field(core_schema.decimal_schema(gt=0, decimal_places=2)),
        "when": core_schema.model_field(core_schema.datetime_schema()),
        "tags": core_schema.model_field(core_schema.with_default_schema(core_schema.list_schema(), default=[])),
        "link": core_schema.model_field(core_schema.nullable_schema(core_schema.url_schema())),
    }
)
validator = SchemaValidator(item)
good = '{"name": "bolt", "price": "0.25", "when": "2026-07-01T12:00:00+02:00", "link": "https://bücher.example/ä?q"}'
fields, extra, found = validator.validate_json(good)
print(sorted(found), fields["name"], fields["price"], fields["when"].isoformat(), fields["link"], fields["tags"])
try:
    validator.validate_python({"name": "", "price": "1.234", "when": "today", "tags": 3, "link": 1})
except ValidationError as error:
    for one in error.errors(include_url=False):
        print(one["loc"], one["type"], one["msg"])
print(SchemaSerializer(core_schema.any_schema()).to_json({"a": 1.5, "b": b"x", "c": {1}}).decode())
print(from_json('[1, 2, {"a": "unfini', allow_partial="trailing-strings"), to_json({"k": "é"}))


# What a callback raises comes through Rust as it is.
def refuse(value):
    raise KeyError(value)


try:
    SchemaValidator(core_schema.no_info_plain_validator_function(refuse)).validate_python("x")
except KeyError as error:
    print("KeyError", error)
numbers = SchemaValidator(core_schema.list_schema(core_schema.int_schema()))
answers = []
threads = [threading.Thread(target=lambda: answers.append(sum(numbers.validate_json("[" + "1," * 9999 + "1]")))) for _ in range(4)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(answers)
