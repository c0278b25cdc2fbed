"""The API's face: its switch, the requests that came in, and programs that talk to it."""
