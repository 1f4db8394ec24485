"""Data contracts: one ODCS file per topic or table, and everything that is compiled from it.

`registry` finds the files, `document` and `odcs` read them, `lint` judges them, `model` is the contract in
memory. From the model come the message decoder (`decoding`), the Iceberg schema and partition spec (`iceberg`),
the Arrow schema (`arrow`) and the checks (`checks`). Nothing here reads or writes a table.
"""
