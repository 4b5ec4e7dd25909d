"""The history of a search, its only checkpoint: one SQLite file.

`writer` is its one writer, `file` how the file is made, checked, locked and copied, `records` its
rows as values, `fingerprint` what may not change on a resume, `listing` tables, CSV and JSON.
"""
