"""The history of a search, its only checkpoint: one SQLite file.

`file` creates, checks, upgrades and copies the file; `journal` makes writing safe; `writer` is its
one writer. `records` holds its rows as values, and `reading` reads it back as a `SearchHistory`.
`fingerprint` checks what may not change on a resume; `listing` writes tables, CSV and JSON.
"""
