"""What opens over the panes: settings, help, pictures, confirmations."""
