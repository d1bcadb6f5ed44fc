"""Reads the tables of a lake with engines that others wrote, where they lie.

    other_engines.py FOLDER TABLES.json

TABLES.json maps a table's name to its columns, and these to their kind. Prints one JSON object: what each engine found, by table and
column, as `[values that are not null, measure]`; `rows` counts rows. The measure of text is its bytes, of numbers and times (microseconds)
their sum, of maps their entries plus the bytes of their values, of lists their elements. `skipped` says what could not run, and why.
"""

import decimal
import glob
import json
import os
import shutil
import sys

import deltalake
import duckdb
import pyarrow
import pyarrow.compute

decimal.getcontext().prec = 100


def text(measure):
    number = decimal.Decimal(measure if measure is not None else 0)
    return f"{number:.18f}"


def with_deltalake(folder, tables):
    found = {}
    for name, columns in tables.items():
        table = deltalake.DeltaTable(f"{folder}/{name}")
        adds = pyarrow.table(table.get_add_actions(flatten=True))
        rows = table.to_pyarrow_table()
        # What the log says of its files is true.
        assert sum(adds["num_records"].to_pylist()) == rows.num_rows, name
        result = {"rows": rows.num_rows}
        for column, kind in columns.items():
            values = rows[column]
            if kind == "time":
                values = values.cast(pyarrow.int64())
            values = [value for value in values.to_pylist() if value is not None]
            measure = {
                "text": lambda v: len(v.encode()),
                "map": lambda v: len(v) + sum(len((value or "").encode()) for _, value in v),
                "list": len,
            }.get(kind, decimal.Decimal)
            result[column] = [len(values), text(sum(map(measure, values)))]
        found[name] = result
    return found


def in_sql(columns, functions):
    """One row with count and measure of every column."""
    measures = [f"count({c}), {functions[kind].format(c=c)}" for c, kind in columns.items()]
    return "select count(*), " + ", ".join(measures)


def from_sql(columns, row):
    result = {"rows": row[0]}
    for i, column in enumerate(columns):
        result[column] = [row[1 + 2 * i], text(row[2 + 2 * i])]
    return result


def with_duckdb(folder, tables):
    functions = {
        "text": "sum(strlen({c}))",
        "number": "sum({c}::decimal(38, 3))",
        "decimal": "sum({c})",
        "time": "sum(epoch_us({c}))",
        "map": "sum(cardinality({c}) + coalesce(list_sum(list_transform(map_values({c}), lambda v: coalesce(strlen(v), 0))), 0))",
        "list": "sum(len({c}))",
    }
    duck, found = duckdb.connect(), {}
    for name, columns in tables.items():
        active = deltalake.DeltaTable(f"{folder}/{name}").file_uris()
        everything = glob.glob(f"{folder}/{name}/tenant=*/date=*/*.parquet")
        # Nothing was removed, so that the folder has what the log says.
        assert sorted(map(os.path.realpath, active)) == sorted(map(os.path.realpath, everything)), name
        source = f"from read_parquet({active}, hive_partitioning = true)"
        row = duck.execute(f"{in_sql(columns, functions)} {source}").fetchone()
        found[name] = from_sql(columns, row)
        # Partitions are columns.
        tenants, dates = duck.execute(f"select count(distinct tenant), count(distinct date) {source}").fetchone()
        assert (tenants, dates) == (2, 3), (name, tenants, dates)
    return found


def with_spark(folder, tables):
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .getOrCreate()
    )
    functions = {
        "text": "sum(octet_length({c}))",
        "number": "sum(cast({c} as decimal(30, 3)))",
        "decimal": "sum({c})",
        "time": "sum(cast(unix_micros({c}) as decimal(30, 0)))",
        "map": "sum(size({c}) + aggregate(map_values({c}), 0, (a, v) -> a + coalesce(octet_length(v), 0)))",
        "list": "sum(size({c}))",
    }
    found = {}
    try:
        for name, columns in tables.items():
            spark.read.parquet(f"{folder}/{name}").createOrReplaceTempView("rows")
            quoted = {f"`{c}`": kind for c, kind in columns.items()}
            row = spark.sql(f"{in_sql(quoted, functions)} from rows").collect()[0]
            found[name] = from_sql(columns, list(row))
            count = spark.sql("select count(distinct tenant), count(distinct date) from rows").collect()[0]
            assert tuple(count) == (2, 3), (name, count)
    finally:
        spark.stop()
    return found


def main():
    folder, tables = sys.argv[1], json.load(open(sys.argv[2]))
    found = {"deltalake": with_deltalake(folder, tables), "duckdb": with_duckdb(folder, tables)}
    skipped = {}
    if shutil.which("java"):
        found["spark"] = with_spark(folder, tables)
    else:
        skipped["spark"] = "Java is not installed"
    print(json.dumps({"found": found, "skipped": skipped}))


main()
