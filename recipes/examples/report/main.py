"""Renders the items of a YAML file as a small report."""

import sys

import jinja2
import yaml

TEMPLATE = """\
{{ title }}
{% for item in items | sort(attribute="name") -%}
{{ "%-12s %6.2f" | format(item.name, item.price) }}
{% endfor -%}
{{ "%-12s %6.2f" | format("total", items | sum(attribute="price")) }}
"""


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: report FILE.yaml", file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        data = yaml.safe_load(file)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    print(environment.from_string(TEMPLATE).render(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
