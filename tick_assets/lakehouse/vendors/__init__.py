"""Where hours of ticks come from.

Where do I go to…?
- the port every vendor implements, and its fake: `port.py`, `fake.py`
- the two wire formats, pure in both directions: `bi5.py`, `json_feed.py`; choosing between them: `wire_formats.py`
- ask Dukascopy, or its twin: `dukascopy.py`; its addresses: `feeds.py`; when a feed may be asked: `circuit.py`
- what the vendor lists (point factor, first tick, code): `instrument_table.py`
- be the twin, with faults on demand: `twin.py`, `faults.py`; fill its folder: `synthetic.py`
"""
