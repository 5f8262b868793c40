"""A terminal on another host or under Wine: its module surface over an authenticated TCP connection.

Where do I go to...?
    see frames, values and signatures    protocol.py
    serve a terminal's module            server.py (`python -m execution.adapters.mt5.bridge.server`)
    use it like the module               client.py (BridgedMetaTrader5)

Frames are signed, not encrypted: bind to loopback or a private network. The leg under Wine is untested; the same contract suite that
runs on the simulator runs on this bridge with the simulator behind it.
"""
