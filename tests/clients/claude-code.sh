#!/usr/bin/env bash
# Claude Code against the API, with a home of its own for its settings: npm install -g @anthropic-ai/claude-code
#   MODEL=mlx-community/Qwen3-Coder-30B-A3B-Instruct-4bit ASSAY_KEY=$(assay key) tests/clients/claude-code.sh "What is in this folder?"
# Its own prompt and tools take some 36,000 tokens of a small vocabulary, so the model's window must be larger than that.
set -euo pipefail
HOME=$(mktemp -d)
export HOME
trap 'rm -rf "$HOME"' EXIT
export ANTHROPIC_BASE_URL="${ASSAY_URL:-http://127.0.0.1:8484}" ANTHROPIC_AUTH_TOKEN="${ASSAY_KEY:?the key: assay key}"
export ANTHROPIC_MODEL="${MODEL:?the id of a model that calls tools}" ANTHROPIC_SMALL_FAST_MODEL="$MODEL"
export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
claude -p "$@" --output-format json < /dev/null
