#!/bin/sh
# Send the files of this folder to $URL. Usage: sh put.sh elasticsearch|opensearch
set -eu
cd "$(dirname "$0")"
kind="${1:?which server: elasticsearch or opensearch}"
url="${URL:-http://127.0.0.1:9200}"

put() {
  echo "$1"
  ${CURL:-curl} --silent --show-error --fail-with-body --request PUT "$url/$1" \
    --header 'Content-Type: application/json' --data-binary "@$2" || return 1
  echo
}

case "$kind" in
  elasticsearch) put _ilm/policy/obskit ilm-policy.json ;;
  opensearch) put _plugins/_ism/policies/obskit ism-policy.json ||
    echo "no ISM here: old indices will stay" >&2 ;;
  *) echo "which server: elasticsearch or opensearch" >&2; exit 2 ;;
esac
put _ingest/pipeline/obskit ingest-pipeline.json
put _component_template/obskit-settings "settings-$kind.json"
put _index_template/obskit index-template.json
