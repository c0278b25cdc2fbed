"""Past chats: kept in SQLite, searched, and written out as files."""
