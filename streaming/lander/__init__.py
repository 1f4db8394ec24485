"""The lander: Kafka to Iceberg, every message exactly once in the raw table or the quarantine table.

One process, two threads. The main thread (`lander`) consumes, decodes and decides when to commit (`flush`); the
writer thread (`writer`) writes Parquet and commits. Per topic, `start` makes sure that landing may begin and where,
`hold` claims the two tables, `router` turns messages into rows, `sink` writes and commits them.

Safety:
1. Truth is the table: offsets change in the commit that adds the rows. Consumer groups are told for lag tools only.
2. Quarantine commits first, raw second; landing resumes at raw's offsets. Where quarantine is ahead after a crash, its
   rows stand: exactly those messages are skipped, every other one is decoded by whatever contract is valid now.
3. Whoever starts claims both tables by a commit of its own; every later commit is fenced on that claim and on the
   offsets it began at. A lander that was overtaken, however long ago it was stopped, cannot commit again.
4. After any doubt (an error of the store, an unknown outcome) everything in memory is dropped and the tables are read
   again.
"""
