#!/bin/bash
# The first start makes the storage; the id is fixed, as the volume is this cluster's alone.
set -eu
/opt/kafka/bin/kafka-storage.sh format --ignore-formatted --cluster-id YmFyaWQtY29tcG9zZS1jMQ --config /etc/barid/server.properties
exec /opt/kafka/bin/kafka-server-start.sh /etc/barid/server.properties
