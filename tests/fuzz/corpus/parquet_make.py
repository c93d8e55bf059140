"""Writes corpus/parquet/*.parquet: small tables of made-up numbers, every codec, encoding and page version that kvcast reads, and what it refuses.

python3 -m venv v && v/bin/pip install pyarrow && v/bin/python tests/fuzz/corpus/parquet_make.py tests/fuzz/corpus/parquet
"""
import decimal
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq

out = pathlib.Path(sys.argv[1])
rows = 12
table = pa.table({
    "i": pa.array([None if i == 3 else i * i - 20 for i in range(rows)], pa.int64()),
    "u": pa.array([4_000_000_000 + i for i in range(rows)], pa.uint32()),
    "x": pa.array([0.1 * i for i in range(rows)], pa.float64()),
    "f": pa.array([0.1 * i for i in range(rows)], pa.float32()),
    "s": pa.array([f"kernel_{i // 3}" for i in range(rows)]),
    "b": pa.array([i % 3 == 0 for i in range(rows)]),
})
delta = {"i": "DELTA_BINARY_PACKED", "u": "DELTA_BINARY_PACKED", "x": "BYTE_STREAM_SPLIT", "f": "BYTE_STREAM_SPLIT", "s": "DELTA_BYTE_ARRAY", "b": "RLE"}
lengths = {"i": "PLAIN", "u": "PLAIN", "x": "PLAIN", "f": "PLAIN", "s": "DELTA_LENGTH_BYTE_ARRAY", "b": "PLAIN"}
for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli"):
    pq.write_table(table, out / f"{codec}.parquet", compression=codec, row_group_size=5, store_schema=False)
pq.write_table(table, out / "v2.parquet", data_page_version="2.0", store_schema=False)
pq.write_table(table, out / "delta.parquet", use_dictionary=False, column_encoding=delta, store_schema=False)
pq.write_table(table, out / "lengths.parquet", use_dictionary=False, column_encoding=lengths, data_page_version="2.0", store_schema=False)
pq.write_table(pa.table({"d": [decimal.Decimal("1.5")]}), out / "decimal.parquet", store_schema=False)
pq.write_table(pa.table({"l": [[1, 2]]}), out / "list.parquet", store_schema=False)
