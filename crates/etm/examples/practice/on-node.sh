#!/bin/sh
# on-node NODE PROGRAM...: runs a program on a node, outside of any Pod. {cgroup} in its arguments
# stands for the cgroup that holds all of the node.
set -eu
. "$PRACTICE/node-$1"
shift
echo $$ >"$cgroup/cgroup.procs"
for argument; do
    shift
    set -- "$@" "$(printf '%s' "$argument" | sed "s|{cgroup}|$cgroup|g")"
done
exec nsenter "--net=/run/netns/$namespace" "$@"
