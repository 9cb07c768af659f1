"""Runs and approvals for other agents, over the Model Context Protocol. It does what its token may, and no more:
everything goes through the API, which asks the policy."""
