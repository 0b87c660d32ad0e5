#!/bin/bash
# Owners and modes of the whole tree, as an update wants them.
chown -R www-data:www-data "$(dirname "$0")"
