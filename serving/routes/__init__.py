"""Routes, one file per resource. Each says its scope once; handlers read the request, call one part and answer."""
