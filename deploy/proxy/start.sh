#!/bin/sh
# nginx asks the name server of the network it finds itself in.
set -eu
awk '$1 == "nameserver" { print "resolver " ($2 ~ /:/ ? "[" $2 "]" : $2) " valid=5s;"; exit }' /etc/resolv.conf > /tmp/resolver.conf
exec nginx -c /etc/barid/nginx.conf -g 'daemon off;'
