#!/usr/bin/env bash
# promptfoo validates and evaluates an exported suite against a server: in an empty folder,
#   npm install --ignore-scripts promptfoo && PATH=$PWD/node_modules/.bin:$PATH tests/clients/promptfoo.sh SUITE
# `assay serve` runs, ASSAY_KEY is its key (assay key), and SUITE a folder of golden prompts (below: one that passes).
set -euo pipefail
export PROMPTFOO_DISABLE_TELEMETRY=1 PROMPTFOO_DISABLE_UPDATE=1
PROMPTFOO_CONFIG_DIR=$(mktemp -d)
export PROMPTFOO_CONFIG_DIR ASSAY_KEY="${ASSAY_KEY:-$(assay key | tail -1)}"
work=$(mktemp -d)
trap 'rm -rf "$PROMPTFOO_CONFIG_DIR" "$work"' EXIT
assay golden export "$work/suite" --to promptfoo --suite "${1:?a folder of golden prompts}"
promptfoo validate -c "$work/suite/promptfooconfig.yaml"
promptfoo eval --no-cache --no-table -c "$work/suite/promptfooconfig.yaml"
# A kept run is judged by its answers, and no model is asked.
assay golden run "$1"
assay golden export "$work/run" --to promptfoo
env -u ASSAY_KEY -u OPENAI_API_KEY promptfoo eval --no-cache --no-table -c "$work/run/promptfooconfig.yaml"
