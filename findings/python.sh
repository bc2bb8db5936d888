# Sourced by each script with the packages that it needs: sets PY, in an environment of its own in a temporary folder,
# or the interpreter that FINDINGS_PYTHON names, which must have them.
if [ -n "${FINDINGS_PYTHON:-}" ]; then
    PY=$FINDINGS_PYTHON
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    python3 -m venv "$folder/env"
    "$folder/env/bin/python" -m pip --quiet --disable-pip-version-check install "$@"
    PY=$folder/env/bin/python
fi
