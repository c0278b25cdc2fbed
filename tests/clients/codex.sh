#!/usr/bin/env bash
# Codex against the API, with a folder of its own for its settings: npm install -g @openai/codex
#   MODEL=mlx-community/Qwen3-Coder-30B-A3B-Instruct-4bit ASSAY_KEY=$(assay key) tests/clients/codex.sh "What is in this folder?"
# Its own prompt and tools take some 10,000 tokens, so the model's window must be larger than that.
set -euo pipefail
CODEX_HOME=$(mktemp -d)
export CODEX_HOME
trap 'rm -rf "$CODEX_HOME"' EXIT
cat > "$CODEX_HOME/config.toml" <<TOML
model = "${MODEL:?the id of a model that calls tools}"
model_provider = "assay"
[model_providers.assay]
name = "Assay"
base_url = "${ASSAY_URL:-http://127.0.0.1:8484}/v1"
env_key = "ASSAY_KEY"
wire_api = "responses"
TOML
codex exec --skip-git-repo-check --sandbox read-only "$@" < /dev/null
