"""Alerts that leave the process: looked for in the ledger, recorded there, and sent to webhooks."""
