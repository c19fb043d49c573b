import yaml
print(yaml.__with_libyaml__)
text = "a: [1, 2.5, null, true]\nb: {c: 'x', d: |\n  lines\n  more\n}\nt: 2024-05-06\n" if False else "a: [1, 2.5, null, true]\nb:\n  c: 'x'\n  d: |\n    lines\n    more\nt: 2024-05-06\n"
data = yaml.load(text, Loader=yaml.CSafeLoader)
print(data)
print(yaml.dump(data, Dumper=yaml.CSafeDumper, allow_unicode=True))
for bad in ("a: [1", "a: b: c", "\t- x"):
    try:
        yaml.load(bad, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        print(type(error).__name__, str(error).replace("\n", " | "))
print(len(yaml.load(yaml.dump(list(range(2000)), Dumper=yaml.CDumper), Loader=yaml.CLoader)))
