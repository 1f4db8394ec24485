"""The Python API behind `orderlake.connect()`: reads a lake, writes nothing.

`connection` opens a lake and pins its tables, `reading` turns a query over pins into Arrow, pandas or DuckDB,
`table_view` adds what is known about a table. What SQL and moments mean is decided in `orderlake.lake.query`.
"""
