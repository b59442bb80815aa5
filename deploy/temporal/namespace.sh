#!/bin/sh
# Wait for Temporal, then see to it that the namespace is there and keeps closed workflows long enough.
# From the environment: TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE (read by `temporal` itself), TEMPORAL_RETENTION.
set -eu

wait_until() {
    tries=60
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            echo "Temporal at $TEMPORAL_ADDRESS did not answer '$*' within two minutes; see: docker compose logs temporal" >&2
            exit 1
        fi
        sleep 2
    done
}

wait_until temporal operator cluster health

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$TEMPORAL_RETENTION" >/dev/null
    echo "Namespace $TEMPORAL_NAMESPACE is there and keeps closed incidents for $TEMPORAL_RETENTION"
else
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$TEMPORAL_RETENTION" \
        --description "Support incidents under contract" >/dev/null
    echo "Namespace $TEMPORAL_NAMESPACE is made and keeps closed incidents for $TEMPORAL_RETENTION"
fi

# The server's roles learn of a new namespace with a delay of some seconds.
wait_until temporal workflow count
