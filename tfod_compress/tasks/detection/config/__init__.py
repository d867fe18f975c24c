"""pipeline.config: made of a template, a record set and changes, and checked before it is written."""
