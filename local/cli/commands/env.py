"""`kandle env`: the addresses of the running instance, for a shell or to attach its lake."""

from __future__ import annotations

import json
import shlex
from typing import Annotated
from urllib.parse import urlsplit

import typer

from local.cli.options.common import AsJson, DataDir
from local.instance import DEFAULT_DATA_DIR, INSTANCE_SERVERS, Instance, host_port

_NAMES = ("S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL")


app = typer.Typer()


@app.command("env")
def env(
    duckdb: Annotated[bool, typer.Option("--duckdb", help="SQL for DuckDB.")] = False,
    polars: Annotated[
        bool, typer.Option("--polars", help="Python for PyIceberg, Polars and pandas.")
    ] = False,
    spark: Annotated[bool, typer.Option("--spark", help="Options of spark-sql.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Print the addresses and credentials of the running instance as shell exports.

    Options print code that attaches the lake's tables in DuckDB, Polars or Spark instead.

    Examples:

      eval "$(kandle env)"

      eval "$(kandle env)"; psql "$DATABASE_URL"

      kandle env --data-dir /var/tmp/kandle | grep API_URL

      duckdb -cmd "$(kandle env --duckdb)"
    """
    instance = Instance.load(data_dir)
    variables = instance.env
    if duckdb or polars or spark:
        if duckdb:
            from local.cli.commands.lake import metadata_of

            typer.echo(_duckdb(variables, metadata_of(variables)))
        if polars:
            typer.echo(_polars(variables))
        if spark:
            typer.echo(_spark(variables))
        return
    if as_json:
        typer.echo(json.dumps(variables, indent=2))
        return
    for name, value in variables.items():
        typer.echo(f"export {name}={quoted(value)}")
    servers = [host_port(each.url) for each in instance.components if each.kind == "server"]
    typer.echo(f"export {INSTANCE_SERVERS}={quoted(' '.join(servers))}")


def _duckdb(env: dict[str, str], metadata: dict[str, str]) -> str:
    endpoint, key, secret, _ = (env[name] for name in _NAMES)
    address = urlsplit(endpoint)
    lines = [
        "INSTALL httpfs; LOAD httpfs; INSTALL iceberg; LOAD iceberg;",
        f"CREATE OR REPLACE SECRET kandle (TYPE s3, KEY_ID '{key}', SECRET '{secret}',"
        f" ENDPOINT '{address.netloc}', REGION 'us-east-1', URL_STYLE 'path',"
        f" USE_SSL {str(address.scheme == 'https').lower()});",
    ]
    for name, location in metadata.items():
        table = f"iceberg_scan('{location}')"
        lines.append(f"CREATE OR REPLACE VIEW {name} AS FROM {table};")
    return "\n".join(lines)


def _polars(env: dict[str, str]) -> str:
    endpoint, key, secret, database = (env[name] for name in _NAMES)
    return f"""import polars as pl
from pyiceberg.catalog import load_catalog

s3 = {{
    "s3.endpoint": {endpoint!r},
    "s3.access-key-id": {key!r},
    "s3.secret-access-key": {secret!r},
    "s3.region": "us-east-1",
}}
database = {database.replace("postgresql:", "postgresql+psycopg:", 1)!r}
lake = load_catalog("kandle", type="sql", uri=database, **s3)
options = s3 | {{"aws_allow_http": "true"}}
ticks = pl.scan_iceberg(lake.load_table("kandle.ticks"), storage_options=options)
candles = pl.scan_iceberg(lake.load_table("kandle.candles"), storage_options=options)"""


def _spark(env: dict[str, str]) -> str:
    endpoint, key, secret, database = (env[name] for name in _NAMES)
    address = urlsplit(database)
    options = {
        "": "org.apache.iceberg.spark.SparkCatalog",
        ".type": "jdbc",
        ".uri": f"jdbc:postgresql://{address.hostname}:{address.port}{address.path}",
        ".jdbc.user": address.username,
        ".jdbc.password": address.password,
        ".jdbc.schema-version": "V1",
        ".warehouse": "s3://ticks",
        ".io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        ".client.region": "us-east-1",
        ".s3.endpoint": endpoint,
        ".s3.path-style-access": "true",
        ".s3.access-key-id": key,
        ".s3.secret-access-key": secret,
    }
    return " \\\n".join(
        f"--conf {quoted(f'spark.sql.catalog.kandle{name}={value}')}"
        for name, value in options.items()
    )


def quoted(value: str) -> str:
    """Quote a value for a POSIX shell, always in single quotes."""
    bare = shlex.quote(value)
    return f"'{value}'" if bare == value else bare
