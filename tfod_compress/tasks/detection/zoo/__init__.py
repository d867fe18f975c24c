"""Published detectors: archives of the TF1 and TF2 detection zoos -> checkpoints that were found good.

`catalogue` and `tf2_catalogue` know the archives, `fetching` gets one (`support.download`), `archive` takes out what is
needed. Of TF1, `tf1_variables` reads the weights, `old_config` makes the pipeline.config fit this OD API, `conversion`
puts them together; `tf2_archive` takes a TF2 archive as it is. `verification` then runs the archive's own graph beside
the result, in the process `verifying`: `operations` says what such a graph may do, `comparison` what is alike.
"""
