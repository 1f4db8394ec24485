"""Real servers without Docker: a declarative table of services, and what starts, probes and stops them.

`services` is the table. `artifacts` gets what a service runs (verified, cached per user), `supervision` keeps its
process alive beyond the command that started it, `lifecycle` is up, down, status and logs. A service is ready when
it answers a real request, never because a port is open or a log line appeared.
"""
