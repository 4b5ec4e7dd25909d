"""The history of a search, its only checkpoint: one SQLite file.

`writer` is its one writer. `file` makes, checks, locks and copies the file, `records` holds its
rows as values, and `reading` reads it back as a `SearchHistory`. `fingerprint` checks what may not
change on a resume; `listing` writes tables, CSV and JSON.
"""
