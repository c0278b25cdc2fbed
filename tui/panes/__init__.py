"""The faces of the workbench, one module each: every pane owns its own logic."""
