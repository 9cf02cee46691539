// Where tests take the definitions of the Gateway API from: `cargo xtask gateway-api` fetches the
// module listed here, of which nothing is built.
module etm/gateway-api

go 1.26.0

require sigs.k8s.io/gateway-api v1.6.3 // indirect
