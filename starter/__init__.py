"""The ways in: the web (webhooks, the board, the portal), the command line, and the embedded Temporal server with its
UI. What comes from outside is translated here into the events of `sla` and handed to the workflows; nothing here
decides what a contract means."""
