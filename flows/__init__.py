"""The drivers: Prefect flows and the `stillroom` command. The only importer of Prefect."""
