"""Local tick files into the raw store.

Where do I go to…?
- import a path: `importing.py`
- the text formats, what they look like and what their clocks are: `text_formats.py`
- decide which one a file is, with a reason: `detection.py`
- turn lines into rows: `parsing.py`
- folders of bi5 hours: `bi5_folder.py`
"""
