"""Whether records can be read, by Apache Avro's own library.

Reads lines of `[reader, writer]` (schemas) and prints a line each: `true`, or what is in the way as Avro's Java library
names it.
"""

import json
import sys

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

for line in sys.stdin:
    reader, writer = (parse(json.dumps(schema)) for schema in json.loads(line))
    found = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
    fits = found.compatibility is SchemaCompatibilityType.compatible
    print(json.dumps(True if fits else sorted({one.name for one in found.incompatibilities})))
