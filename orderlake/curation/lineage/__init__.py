"""Where every column comes from: from a model's SQL, table by table, down to the JSON path in a topic's message."""
