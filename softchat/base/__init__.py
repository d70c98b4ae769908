"""What every folder may use: files, untrusted text, keys and Ctrl-C, small child processes."""
