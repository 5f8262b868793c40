"""Local tick files into the raw store.

Where do I go to…?
- import a path: `importing.py`
- the text formats, what they look like and what their clocks are: `text_formats.py`
- unpack gz and zip, decode bytes: `containers.py`
- decide which format a text is, with a reason: `detection.py`; refuse candles: `candles.py`
- local time to UTC at daylight-saving switches: `clocks.py`; find a broker's clock: `clock_inference.py`
- turn lines into rows: `parsing.py`
- what an hour without rows means: `spill.py`
- files of the vendor's own wire formats: `hour_files.py`
"""
