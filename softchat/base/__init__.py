"""Files, untrusted text and Ctrl-C: what every folder may use."""
