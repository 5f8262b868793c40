"""MetaTrader 5: translation between its module surface and the terminal port.

Where do I go to...?
    see record and array layouts               records.py
    see constants and the retcode policy       constants.py, retcodes.py
    convert server time to UTC and back        server_clock.py
    see requests, filling and rounding         translation.py
    use any object with the module surface     terminal.py
    run the real package (Windows)             native.py
    run a broker in this process               simulator/

`ticket`, `magic`, `deviation`, `retcode`, `volume` and `filling` are words of this folder alone.
"""
