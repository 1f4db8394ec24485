"""Message decoders, generated from contracts.

A decoder turns a batch of message values into typed Arrow columns and a list of the bad messages with everything
that is wrong with each. It works in two tiers: `columnar` proves whole columns good at once, `exact` examines
single messages. Tier 1 only proves good, never bad; what it cannot prove, tier 2 decides. So the bad set is always
that of tier 2, however fast or slow a batch was.
"""

from __future__ import annotations

import datetime as dt

from orderlake.contracts.decoding.base import Decoder
from orderlake.contracts.model import Contract
from orderlake.times import day_start_microseconds


def compile_decoder(contract: Contract, partitions_start: dt.date) -> Decoder:
    """Return the decoder of a topic's contract.

    Args:
        contract: the contract of a topic.
        partitions_start: the first UTC day of event time that is accepted.
    """
    from orderlake.contracts.decoding.flat import FlatDecoder

    # A further dialect is a further class behind `Decoder`; `TopicOptions.dialect` chooses.
    return FlatDecoder(contract, day_start_microseconds(partitions_start))
