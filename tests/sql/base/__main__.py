"""Writes the base anew, from the schema as it stands."""

import gzip

from sql.schema_files import read_schema
from tests.sql.base import BASE, written

if __name__ == "__main__":
    BASE.write_bytes(gzip.compress(written(read_schema()), mtime=0))
