"""The history of a search, its only checkpoint: one SQLite file.

`file` creates, checks, upgrades and backs up the file. `journal` chooses SQLite's journal and locks
the file; `writer` writes it. `records` defines the rows; `reading` reads a `SearchHistory`.
`fingerprint` refuses a resume under other settings; `listing` prints tables, CSV and JSON.
"""
