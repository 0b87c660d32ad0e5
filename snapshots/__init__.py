"""What was: restore points, transactions, rollback and the session log.

Works on any `Host`; knows kinds of state (domains), never a step.
"""
