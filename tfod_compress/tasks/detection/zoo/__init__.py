"""TF1 zoo archive -> TF2 checkpoint that computes the same numbers.

`catalogue` knows the archives (`support.download` fetches one), `archive` takes out what is needed, `tf1_variables`
reads the weights, `old_config` makes its pipeline.config fit this OD API, `conversion` puts all of it together.
"""
