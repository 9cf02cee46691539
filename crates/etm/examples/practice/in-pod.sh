#!/bin/sh
# in-pod POD PROGRAM...: runs a program in a Pod of the current Kubernetes namespace, in the cgroup
# and network of its first container.
set -eu
pod=$1
shift
container=$(kubectl get pod "$pod" -o 'jsonpath={.status.containerStatuses[0].containerID}')
node=$(kubectl get pod "$pod" -o 'jsonpath={.spec.nodeName}')
. "$PRACTICE/node-$node"
processes=$(find "$cgroup" -path "*${container#*://}*" -name cgroup.procs)
process=$(head -n 1 "$processes")
echo $$ >"$processes"
exec nsenter --target "$process" --net "$@"
