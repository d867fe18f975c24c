"""The commands, one thin module each: flags, one call, an exit code."""
