"""What uses of models leave behind: times, rates and memory, kept on this machine; and what they let one expect."""
