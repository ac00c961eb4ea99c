"""Checks a Compose file against the specification's JSON schema, and prints it as JSON.

The arguments are the file and the schema. `${NAME:-default}` stands for its default, as where no such variable is set.
"""

import json
import re
import sys

import jsonschema
import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
with open(sys.argv[2], encoding="utf-8") as file:
    schema = json.load(file)
compose = yaml.safe_load(re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text))
validator = jsonschema.validators.validator_for(schema)
validator.check_schema(schema)
wrong = sorted(validator(schema).iter_errors(compose), key=str)
for error in wrong:
    print(f"{'/'.join(map(str, error.path))}: {error.message}", file=sys.stderr)
if wrong:
    sys.exit(1)
json.dump(compose, sys.stdout)
