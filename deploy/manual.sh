#!/usr/bin/env bash
# Writes the manual pages, hepar.1 and hepar-COMMAND.1 for each command, as the program itself tells its commands.
#
#     manual.sh HEPAR FOLDER       FOLDER is there already; needs jq
set -euo pipefail
description=$("$1" --experimental-dump-help)
version=$("$1" --version)
page() { jq -r --arg command "$1" --arg version "hepar ${version%% *}" -f "${0%.sh}.jq" <<<"$description"; }

page "" >"$2/hepar.1"
for command in $(jq -r '.command.subcommands[] | select(.shouldDisplay and .commandName != "help").commandName' <<<"$description"); do
    page "$command" >"$2/hepar-$command.1"
done
