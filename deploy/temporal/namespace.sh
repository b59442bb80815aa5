#!/bin/sh
# Wait for Temporal, then see to it that the namespace is there and keeps closed workflows long enough.
# From the environment: TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE (read by `temporal` itself), TEMPORAL_RETENTION.
set -eu

tries=60
until temporal operator cluster health >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then
        echo "Temporal at $TEMPORAL_ADDRESS is not healthy after two minutes; see: docker compose logs temporal" >&2
        exit 1
    fi
    sleep 2
done

if temporal operator namespace describe >/dev/null 2>&1; then
    temporal operator namespace update --retention "$TEMPORAL_RETENTION" >/dev/null
    echo "Namespace $TEMPORAL_NAMESPACE is there and keeps closed incidents for $TEMPORAL_RETENTION"
else
    temporal operator namespace create --retention "$TEMPORAL_RETENTION" \
        --description "Support incidents under contract" >/dev/null
    echo "Namespace $TEMPORAL_NAMESPACE is made and keeps closed incidents for $TEMPORAL_RETENTION"
fi
